//! Swarms over TCP, Noise and Yamux, as a stranger to the project builds them. Nothing here is the project's.

use std::time::Duration;

use libp2p::{
    Multiaddr, Swarm, SwarmBuilder, futures::StreamExt, identity::Keypair, noise, swarm::NetworkBehaviour,
    swarm::SwarmEvent, tcp, yamux,
};

/// Far more than any exchange needs.
const DEADLINE: Duration = Duration::from_secs(60);

/// Makes a swarm with a new identity.
///
/// # Panics
/// If the machine has no TCP or no randomness.
pub fn swarm<B: NetworkBehaviour>(behaviour: impl FnOnce(&Keypair) -> B) -> Swarm<B> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("Noise takes any Ed25519 key")
        .with_behaviour(|key| behaviour(key))
        .expect("a behaviour is made without fail")
        .build()
}

/// Listens on a free port of loopback and returns the address.
///
/// # Panics
/// If the port cannot be had.
pub async fn listen<B: NetworkBehaviour>(swarm: &mut Swarm<B>) -> Multiaddr {
    let addr = "/ip4/127.0.0.1/tcp/0".parse().expect("the address is one");
    swarm.listen_on(addr).expect("loopback has a free port");
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            return address;
        }
    }
}

/// Waits for something, but not for ever.
///
/// # Panics
/// If it takes longer than a minute.
pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it takes more than a minute")
}
