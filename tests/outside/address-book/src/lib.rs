//! An address book that says what libp2p dials, and learns from what came of it.
//!
//! The book is a data structure, not a behaviour: who owns the swarm tells it facts and asks it whom to dial.

use bruit_address_book::{AddressBook, Conduct, Endpoint, Timestamp, Wanted};
use libp2p::{
    ping,
    swarm::{
        Swarm, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};

/// Dials the endpoint that the book proposes; `None` when it has none to propose.
pub fn dial(swarm: &mut Swarm<ping::Behaviour>, book: &mut AddressBook, now: Timestamp) -> Option<Endpoint> {
    let choice = book.select(Wanted::Any, |_| true, now)?;
    let addr = choice.endpoint.to_multiaddr();
    let opts = match choice.peer {
        Some(peer) => DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![addr]).build(),
        None => DialOpts::unknown_peer_id().address(addr).build(),
    };
    book.dial_started(&choice.endpoint, now);
    if swarm.dial(opts).is_err() {
        book.dial_failed(&choice.endpoint, now);
    }
    Some(choice.endpoint)
}

/// Tells the book what came of a dial, and how fast a peer answers.
#[allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]
pub fn learn(book: &mut AddressBook, dialled: &Endpoint, event: &SwarmEvent<ping::Event>, now: Timestamp) {
    match event {
        SwarmEvent::ConnectionEstablished { peer_id, .. } => {
            book.dial_succeeded(dialled, *peer_id, now);
            book.connected(*peer_id, now);
        }
        SwarmEvent::OutgoingConnectionError { .. } => {
            book.dial_failed(dialled, now);
        }
        SwarmEvent::Behaviour(ping::Event { peer, result: Ok(elapsed), .. }) => {
            book.conduct(*peer, Conduct::Answered { elapsed: *elapsed }, 1, now);
        }
        _ => {}
    }
}
