//! The book in a swarm: what it is told by dials and connections, and what it forbids. Connections only; the rules are tested
//! without a swarm.

#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::time::Duration;

use bruit_address_book::{
    AddressBook, Ban, BanSubject, Behaviour, Conduct, Config, Endpoint, Event, Part, PeerId, Seed, Table,
};
use libp2p_swarm::{DialError, Swarm, SwarmEvent, dial_opts::DialOpts};
use libp2p_swarm_test::SwarmExt;

fn swarm() -> Swarm<Behaviour> {
    let config = Config { allow_private_addrs: true, ..Config::default() }.validate().unwrap();
    Swarm::new_ephemeral_tokio(|key| {
        let mut book = AddressBook::new(config, Seed::from_number(1));
        book.own_peer(key.public().to_peer_id());
        Behaviour::new(book)
    })
}

/// A listening swarm that runs by itself: who it is, and where.
async fn running() -> (PeerId, Endpoint) {
    let mut swarm = swarm();
    let (addr, _) = swarm.listen().with_memory_addr_external().await;
    let peer = *swarm.local_peer_id();
    tokio::spawn(swarm.loop_on_next());
    (peer, Endpoint::from_multiaddr(&addr).unwrap().0)
}

async fn connected(swarm: &mut Swarm<Behaviour>) -> PeerId {
    let is_made = |event| match event {
        SwarmEvent::ConnectionEstablished { peer_id, .. } => Some(peer_id),
        _ => None,
    };
    swarm.wait(is_made).await
}

async fn refused(swarm: &mut Swarm<Behaviour>) -> DialError {
    let is_refused = |event| match event {
        SwarmEvent::OutgoingConnectionError { error, .. } => Some(error),
        _ => None,
    };
    swarm.wait(is_refused).await
}

#[tokio::test]
async fn who_is_dialled_by_identity_is_dialled_where_the_book_knows_it() {
    let mut alice = swarm();
    let (bob, endpoint) = running().await;
    alice.behaviour_mut().add_seed(endpoint.clone(), Some(bob));
    alice.dial(bob).unwrap();
    assert_eq!(connected(&mut alice).await, bob);
    let (book, now) = (alice.behaviour().book(), alice.behaviour().now());
    let entry = book.entry(&endpoint, now).unwrap();
    assert_eq!((entry.peer, entry.table, entry.failures), (Some(bob), Table::Tried, 0));
    assert!(alice.behaviour_mut().next_dial(|_| true).is_none(), "who is connected is not dialled again");
}

#[tokio::test]
async fn what_fails_and_who_is_somebody_else_is_noted() {
    let mut alice = swarm();
    let nowhere = Endpoint::from_multiaddr(&"/memory/4242424242".parse().unwrap()).unwrap().0;
    alice.behaviour_mut().add_seed(nowhere.clone(), None);
    let dial = alice.behaviour_mut().next_dial(|_| true).unwrap();
    alice.dial(dial).unwrap();
    refused(&mut alice).await;
    let now = alice.behaviour().now();
    assert_eq!(alice.behaviour().book().entry(&nowhere, now).unwrap().failures, 1);

    let (bob, endpoint) = running().await;
    let carol = *swarm().local_peer_id();
    alice.behaviour_mut().add_seed(endpoint.clone(), Some(carol));
    alice.dial(carol).unwrap();
    assert!(matches!(refused(&mut alice).await, DialError::WrongPeerId { obtained, .. } if obtained == bob));
    assert_eq!(alice.behaviour().book().endpoints_of(&bob), [endpoint]);
}

#[tokio::test]
async fn fault_a_ban_closes_the_connection_and_no_new_one_is_made() {
    let mut alice = swarm();
    let (bob, endpoint) = running().await;
    alice.behaviour_mut().add_seed(endpoint.clone(), Some(bob));
    alice.dial(bob).unwrap();
    connected(&mut alice).await;
    let now = alice.behaviour().now();
    let ban = Ban::by_operator(BanSubject::Peer(bob), Duration::from_secs(60), now);
    alice.behaviour_mut().ban(ban).unwrap();
    let is_closed =
        |event| matches!(event, SwarmEvent::ConnectionClosed { peer_id, .. } if peer_id == bob).then_some(());
    alice.wait(is_closed).await;
    let denied = alice.dial(DialOpts::peer_id(bob).addresses(vec![endpoint.to_multiaddr()]).build());
    assert!(matches!(denied, Err(DialError::Denied { .. })), "{denied:?}");
    assert!(alice.behaviour_mut().next_dial(|_| true).is_none());
}

#[tokio::test]
async fn conduct_that_the_application_tells_comes_back_as_a_change_of_quality() {
    let mut alice = swarm();
    let (bob, endpoint) = running().await;
    alice.behaviour_mut().add_seed(endpoint, Some(bob));
    alice.dial(bob).unwrap();
    connected(&mut alice).await;
    alice.behaviour_mut().conduct(bob, Conduct::DeliveredInvalid, 1);
    let changes = alice.wait(|event| match event {
        SwarmEvent::Behaviour(Event::QualitiesChanged(changes)) => Some(changes),
        _ => None,
    });
    let changes = changes.await;
    assert_eq!(changes.iter().map(|change| change.peer).collect::<Vec<_>>(), [bob]);
    let quality = alice.behaviour().book().quality(&bob, alice.behaviour().now());
    let invalid = quality.parts.iter().find(|value| value.part == Part::Invalid).unwrap();
    assert!(invalid.points <= -4_999 && changes[0].total < 0);
}
