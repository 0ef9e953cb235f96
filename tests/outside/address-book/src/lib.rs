//! A swarm whose address book says where libp2p dials, and learns from what came of it and from what pings tell.
#![allow(missing_docs, reason = "the event that the derive makes has none")]

use bruit_address_book::{AddressBook, Behaviour as Book, Conduct, Config, ConfigError, Endpoint, Heard, Seed};
use libp2p::{
    PeerId, ping,
    swarm::{DialError, NetworkBehaviour, Swarm, SwarmEvent},
};

/// The book, and something of the application's own.
#[derive(NetworkBehaviour)]
pub struct Behaviour {
    /// The project's.
    pub book: Book,
    /// libp2p's.
    pub ping: ping::Behaviour,
}

/// Makes the behaviour; private addresses are welcome only on a local network. The seed stays secret.
pub fn behaviour(own: PeerId, seed: Seed, allow_private_addrs: bool) -> Result<Behaviour, ConfigError> {
    let config = Config { allow_private_addrs, ..Config::default() }.validate()?;
    let mut book = AddressBook::new(config, seed);
    book.own_peer(own);
    Ok(Behaviour { book: Book::new(book), ping: ping::Behaviour::default() })
}

/// Names an endpoint to start from.
pub fn start_from(swarm: &mut Swarm<Behaviour>, endpoint: Endpoint) -> Heard {
    swarm.behaviour_mut().book.add_seed(endpoint, None)
}

/// Dials whom the book proposes; false when it has nobody to propose.
pub fn dial(swarm: &mut Swarm<Behaviour>) -> Result<bool, DialError> {
    let Some(dial) = swarm.behaviour_mut().book.next_dial(|_| true) else { return Ok(false) };
    swarm.dial(dial).map(|()| true)
}

/// Tells the book what the application learns of a peer: here, how fast it answers.
pub fn learn(swarm: &mut Swarm<Behaviour>, event: &SwarmEvent<BehaviourEvent>) {
    if let SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { peer, result: Ok(elapsed), .. })) = event {
        swarm.behaviour_mut().book.conduct(*peer, Conduct::Answered { elapsed: *elapsed }, 1);
    }
}

/// What the book knows.
pub fn book(swarm: &Swarm<Behaviour>) -> &AddressBook {
    swarm.behaviour().book.book()
}
