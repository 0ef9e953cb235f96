//! Seeds that dial us while we dial them. When a newcomer has heard enough from its seeds: however a dial of one ends, it is not
//! waited for any longer.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_core::{Endpoint, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{Config, DialFailure, Engine, Hello, Origin, Subject};
use libp2p_identity::Keypair;

const T: Timestamp = Timestamp::from_secs(1_000);

fn peer(number: u8) -> PeerId {
    Keypair::ed25519_from_bytes([number; 32]).unwrap().public().to_peer_id()
}

fn seed() -> Endpoint {
    Endpoint::tcp([8, 8, 2, 1].into(), 4_001)
}

fn hello() -> Hello {
    Hello { network: "test".into(), listen: vec![seed()], ..Hello::default() }
}

/// An engine that dials its only seed.
fn asking() -> Engine<u32> {
    let valid = Config::default().validate(NetworkId::new("test").unwrap(), "test").unwrap();
    let mut engine = Engine::new(valid, peer(1), Seed::from_number(1));
    engine.add_seed(seed(), None, T);
    engine.candidates_exhausted(T);
    assert_eq!(engine.dials().count(), 1);
    assert!(engine.is_asking_seeds(T));
    engine
}

/// The seed has dialled us at the same moment, and has its slot.
fn with_the_seed_inbound(engine: &mut Engine<u32>) {
    let from = Endpoint::tcp([8, 8, 2, 1].into(), 50_000);
    engine.connection_established(1, peer(2), Origin::Accepted(from), T);
    assert!(engine.hello_received(peer(2), hello(), T).unwrap().refused.is_none());
}

fn later() -> Timestamp {
    T.after(Config::default().hello_timeout)
}

#[test]
fn a_seed_that_is_here_already_is_waited_for_as_long_as_any_other() {
    let mut engine = asking();
    with_the_seed_inbound(&mut engine);
    engine.connection_established(2, peer(2), Origin::Dialled(seed()), T);
    assert!(engine.is_asking_seeds(T), "it may still tell what it knows");
    assert!(!engine.is_asking_seeds(later()));
}

#[test]
fn a_seed_whose_second_connection_ends_is_waited_for_as_long_as_any_other() {
    let mut engine = asking();
    with_the_seed_inbound(&mut engine);
    engine.connection_established(2, peer(2), Origin::Dialled(seed()), T);
    engine.connection_closed(2, peer(2), T);
    assert!(!engine.is_asking_seeds(later()));
}

#[test]
fn a_seed_that_greets_us_first_and_closes_our_connection_is_not_waited_for() {
    let mut engine = asking();
    let from = Endpoint::tcp([8, 8, 2, 1].into(), 50_000);
    engine.connection_established(1, peer(2), Origin::Accepted(from), T);
    engine.connection_established(2, peer(2), Origin::Dialled(seed()), T);
    engine.connection_closed(2, peer(2), T);
    assert!(engine.hello_received(peer(2), hello(), T).unwrap().refused.is_none());
    assert!(!engine.is_asking_seeds(later()));
}

#[test]
fn a_seed_that_is_not_let_in_is_not_waited_for() {
    let mut engine = asking();
    let deny = vec![Subject::Peer(peer(2))];
    engine.reconfigure(Config { deny, ..Config::default() }, T).unwrap();
    engine.connection_established(1, peer(2), Origin::Dialled(seed()), T);
    assert!(!engine.is_asking_seeds(later()));
}

#[test]
fn a_seed_that_does_not_answer_is_waited_for_until_the_dial_fails() {
    let mut engine = asking();
    assert!(engine.is_asking_seeds(later()));
    engine.dial_failed(&seed(), DialFailure::Unreachable, later());
    assert!(!engine.is_asking_seeds(later()));
}

#[test]
fn who_came_while_it_was_dialled_counts_where_it_was_dialled() {
    let mut engine = asking();
    let from = Endpoint::tcp([8, 8, 2, 1].into(), 50_000);
    engine.connection_established(1, peer(2), Origin::Accepted(from), T);
    assert_eq!(engine.dialled().collect::<Vec<_>>(), [&seed()]);
    engine.connection_established(2, peer(2), Origin::Dialled(seed()), T);
    assert_eq!(engine.dialled().collect::<Vec<_>>(), [&seed()], "and not at the port that it came from");
}
