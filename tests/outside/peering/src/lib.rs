//! Peering in a swarm of its own, beside libp2p's ping and identify.
#![allow(missing_docs, reason = "the event that the derive makes has none")]

use libp2p::{identify, identity::Keypair, ping, swarm::NetworkBehaviour};

/// What each of the two nodes runs.
#[derive(NetworkBehaviour)]
pub struct Behaviour {
    /// The project's.
    pub peering: bruit_peering::Behaviour,
    /// libp2p's.
    pub ping: ping::Behaviour,
    /// libp2p's.
    pub identify: identify::Behaviour,
}

impl Behaviour {
    /// Makes the behaviours of one node.
    ///
    /// # Panics
    /// Never: network and settings are valid.
    pub fn new(key: &Keypair, seed: u64) -> Self {
        let network = bruit_peering::NetworkId::new("outside").expect("the name is valid");
        let config = bruit_peering::Config::default().validate(network, "outside/1").expect("the defaults are valid");
        let seed = bruit_peering::Seed::from_number(seed);
        Self {
            peering: bruit_peering::Behaviour::new(config, key.public().to_peer_id(), seed),
            ping: ping::Behaviour::default(),
            identify: identify::Behaviour::new(identify::Config::new("/outside/1".to_owned(), key.public())),
        }
    }
}
