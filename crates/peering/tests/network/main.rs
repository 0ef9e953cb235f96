//! Rules that only show among many nodes, by the simulated hour.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod world;

use std::time::Duration;

use bruit_peering::{Config, DepartureCause, Event, GoodbyeReason, Mode, SlotClass};
use world::{TOLD, World, endpoint, peer};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn small() -> Config {
    Config { outbound_target: 4, inbound_max: 8, quiet_target: 1, ..Config::default() }
}

/// Factom's: no feelers, no rotation, nobody makes room.
fn still() -> Config {
    Config { inbound_eviction: false, feeler_interval: Duration::ZERO, quiet_target: 0, ..small() }
}

#[test]
fn five_mutual_specials_find_each_other_again_within_a_minute_in_a_full_network() {
    let config = |number| match number {
        0..5 => Config { outbound_target: 2, inbound_max: 3, inbound_slack: 1, reserved: 5, ..still() },
        _ => Config { inbound_max: 3, ..still() },
    };
    let mut world = World::new(25, config);
    let now = world.now;
    for special in 0..5 {
        for other in (0..5).filter(|other| *other != special) {
            world.nodes[special].engine.add_node(endpoint(other), Some(peer(other)), now);
        }
    }
    world.run(MINUTE * 30);
    let all_linked = |world: &World| (0..5).all(|a| (0..5).all(|b| a == b || world.is_linked(a, b)));
    assert!(all_linked(&world));
    assert!((0..5).all(|special| world.held(special, SlotClass::Inbound) == 3), "all other slots are full");
    for special in 0..5 {
        world.cut_all_of(special);
        world.run(MINUTE);
        assert!(all_linked(&world), "after {special} lost its links");
    }
    // The same after all of them were away for an hour.
    (0..5).for_each(|special| world.nodes[special].is_dead = true);
    (0..5).for_each(|special| world.cut_all_of(special));
    world.run(HOUR);
    (0..5).for_each(|special| world.nodes[special].is_dead = false);
    world.run(MINUTE);
    assert!(all_linked(&world), "after an hour without each other");
}

#[test]
fn a_full_network_without_churn_neither_dials_nor_parts_for_a_day() {
    let mut world = World::new(10, |_| Config { outbound_target: 2, ..still() });
    world.run(MINUTE * 10);
    assert!((0..10).all(|node| world.held(node, SlotClass::Outbound) == 2));
    let before = (world.dials, world.closed);
    world.run(HOUR * 24);
    assert_eq!((world.dials, world.closed), before);
}

#[test]
fn simultaneous_dials_settle_on_one_connection() {
    let mut world = World::new(2, |_| small());
    let now = world.now;
    for (node, other) in [(0, 1), (1, 0)] {
        let _ = world.nodes[node].engine.dial(endpoint(other), Some(peer(other)), TOLD, now);
    }
    world.run(MINUTE);
    assert_eq!(world.links().into_values().collect::<Vec<_>>(), [1]);
    assert!(world.is_linked(0, 1));
    assert_eq!(world.dials, 2);
    let ups = |node: usize| {
        world.nodes[node].events.iter().filter(|(_, event)| matches!(event, Event::PeerUp { .. })).count()
    };
    assert_eq!((ups(0), ups(1)), (1, 1));
}

#[test]
fn fault_a_silent_peer_is_given_up_within_45_seconds() {
    for settled in 0..40 {
        let mut world = World::new(2, |_| small());
        world.run(MINUTE + Duration::from_secs(settled));
        assert!(world.is_linked(0, 1));
        world.nodes[1].is_frozen = true;
        let began = world.now;
        world.run(MINUTE);
        let down = world.nodes[0].events.iter().find(|(_, event)| matches!(event, Event::PeerDown { .. }));
        let (at, _) = down.expect("a silent peer keeps its slot");
        assert!(at.since(began) <= Duration::from_secs(45), "only after {:?}", at.since(began));
        assert!(world.nodes[0].engine.departures().any(|departure| departure.cause == DepartureCause::Silent));
    }
}

#[test]
fn a_full_node_sends_newcomers_to_others_and_they_get_there() {
    let config = |number| if number == 0 { Config { inbound_max: 1, ..still() } } else { still() };
    let mut world = World::new(12, config);
    world.run(MINUTE * 10);
    assert!(world.reasons(0).contains(&GoodbyeReason::Full));
    let named =
        |(_, event): &(_, Event)| matches!(event, Event::Refused { alternatives, .. } if !alternatives.is_empty());
    assert!(world.nodes.iter().any(|node| node.events.iter().any(named)));
}

#[test]
fn a_newcomer_takes_the_place_of_a_peer_without_merit() {
    let config = |number| match number {
        0 => Config { inbound_max: 8, outbound_target: 0, quiet_target: 0, ..Config::default() },
        _ => Config { outbound_target: 1, quiet_target: 0, inbound_max: 0, ..Config::default() },
    };
    let mut world = World::new(10, config);
    (1..10).for_each(|node| world.nodes[node].is_frozen = true);
    let dial = |world: &mut World, node: usize| {
        let now = world.now;
        world.nodes[node].is_frozen = false;
        let _ = world.nodes[node].engine.dial(endpoint(0), Some(peer(0)), TOLD, now);
        world.drain(node);
        world.run(Duration::from_secs(5));
    };
    (1..9).for_each(|node| dial(&mut world, node));
    assert_eq!(world.held(0, SlotClass::Inbound), 8);
    dial(&mut world, 9);
    assert!(world.is_linked(0, 9));
    assert_eq!(world.held(0, SlotClass::Inbound), 8);
    assert!(world.is_linked(0, 1), "the oldest stays");
}

#[test]
fn feelers_visit_and_leave() {
    let mut world = World::new(30, |_| Config { feeler_interval: MINUTE * 2, inbound_eviction: false, ..small() });
    world.run(HOUR);
    let visits = world.nodes[3].events.iter().filter(|(_, event)| matches!(event, Event::FeelerWanted)).count();
    assert!((22..=40).contains(&visits), "{visits} in an hour");
    assert_eq!(world.held(3, SlotClass::Outbound), 4);
    assert!((0..30).any(|node| world.reasons(node).contains(&GoodbyeReason::Done)));
}

#[test]
fn rotation_exchanges_some_peers_and_fills_up_again() {
    let config = Config { rotation_interval: MINUTE * 15, rotation_drops: 2, ..still() };
    let mut world = World::new(30, |_| config.clone());
    world.run(MINUTE * 10);
    let before: Vec<_> = world.nodes[0].engine.peers().map(|view| view.peer).collect();
    world.run(HOUR);
    assert!(world.reasons(0).contains(&GoodbyeReason::Rotated));
    assert_ne!(world.nodes[0].engine.peers().map(|view| view.peer).collect::<Vec<_>>(), before);
    assert!((3..=4).contains(&world.held(0, SlotClass::Outbound)), "it fills up again");
}

#[test]
fn a_node_with_other_identity_at_a_known_address_is_told_of() {
    let mut world = World::new(2, |_| small());
    let now = world.now;
    let _ = world.nodes[0].engine.dial(endpoint(1), Some(peer(9)), TOLD, now);
    world.run(Duration::from_secs(1));
    let replaced = DepartureCause::Replaced { endpoint: endpoint(1), by: peer(1) };
    assert!(
        world.nodes[0].engine.departures().any(|departure| departure.peer == peer(9) && departure.cause == replaced)
    );
}

#[test]
fn an_exclusive_node_dials_its_own_only_and_lets_nobody_else_in_when_asked_so() {
    let mut world = World::new(12, |_| small());
    let now = world.now;
    world.nodes[0].engine.add_node(endpoint(1), Some(peer(1)), now);
    world.run(MINUTE);
    assert!(world.held(0, SlotClass::Outbound) > 0 && world.held(0, SlotClass::Inbound) > 0);
    let now = world.now;
    world.nodes[0].engine.reconfigure(Config { mode: Mode::Exclusive, ..small() }, now).unwrap();
    world.run(MINUTE);
    assert_eq!((world.held(0, SlotClass::Outbound), world.held(0, SlotClass::Manual)), (0, 1));
    assert!(world.held(0, SlotClass::Inbound) > 0, "others may come");
    let now = world.now;
    world.nodes[0].engine.reconfigure(Config { mode: Mode::ExclusiveIn, ..small() }, now).unwrap();
    world.run(MINUTE * 10);
    assert_eq!(world.nodes[0].engine.peers().map(|view| view.peer).collect::<Vec<_>>(), [peer(1)]);
}

#[test]
fn lists_are_obeyed_at_run_time_and_named_peers_are_always_allowed() {
    let mut world = World::new(6, |_| small());
    world.run(MINUTE);
    assert!(world.is_linked(0, 2));
    let now = world.now;
    let deny = vec!["20.2.0.0/16".parse().unwrap()];
    world.nodes[0].engine.reconfigure(Config { deny, ..small() }, now).unwrap();
    world.run(MINUTE * 10);
    assert!(!world.is_linked(0, 2) && world.is_linked(0, 3));
    let now = world.now;
    world.nodes[0].engine.add_node(endpoint(4), None, now);
    let allow = vec!["20.3.0.0/16".parse().unwrap()];
    world.nodes[0].engine.reconfigure(Config { allow, ..small() }, now).unwrap();
    world.run(MINUTE * 10);
    let peers: Vec<_> = (1..6).filter(|other| world.is_linked(0, *other)).collect();
    assert_eq!(peers, [3, 4]);
}

#[test]
fn quiet_peers_come_when_the_others_are_there() {
    let mut world = World::new(30, |_| Config { quiet_target: 2, ..still() });
    world.run(MINUTE * 10);
    assert!((0..30).all(|node| world.held(node, SlotClass::Quiet) == 2));
    let (endpoint, anchor) = world.nodes[0].engine.anchors()[0].clone();
    assert_eq!(world.nodes[0].engine.class_of(&anchor), Some(SlotClass::Quiet));
    assert!(world.nodes.iter().any(|node| node.endpoint == endpoint));
    assert_eq!(world.nodes[0].engine.anchors().len(), 2);
}

#[test]
fn the_living_find_each_other_when_most_are_gone() {
    let mut world = World::new(40, |_| small());
    world.run(MINUTE * 5);
    (0..24).for_each(|node| world.kill(node));
    world.run(MINUTE * 5);
    assert!((24..40).all(|node| world.held(node, SlotClass::Outbound) == 4));
}
