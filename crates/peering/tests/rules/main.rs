//! Rules that only show over several connections and dials, one by one.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod crossing;

use std::{collections::VecDeque, time::Duration};

use bruit_core::{Endpoint, NetGroup, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{
    Config, DialFailure, DialOutcome, Engine, Event, Goodbye, GoodbyeReason, Hello, HelloFailure, KnownPeer, Origin,
    Output, SlotClass, Standing,
};
use libp2p_identity::Keypair;

const TOLD: Standing = Standing::Told(NetGroup::V4(1));
const T: Timestamp = Timestamp::from_secs(1_000);
const MINUTE: Duration = Duration::from_secs(60);

fn peer(number: u8) -> PeerId {
    Keypair::ed25519_from_bytes([number; 32]).unwrap().public().to_peer_id()
}

fn at(number: u8) -> Endpoint {
    Endpoint::tcp([8, 8, number, 1].into(), 4_001)
}

fn engine(local: PeerId) -> Engine<u32> {
    engine_with(Config { dials_per_ip_per_hour: 100, ..Config::default() }, local)
}

fn engine_with(config: Config, local: PeerId) -> Engine<u32> {
    let valid = config.validate(NetworkId::new("test").unwrap(), "test").unwrap();
    Engine::new(valid, local, Seed::from_number(1))
}

fn hello(listen: &[Endpoint]) -> Hello {
    Hello { network: "test".into(), listen: listen.to_vec(), ..Hello::default() }
}

fn outputs(engine: &mut Engine<u32>) -> VecDeque<Output<u32>> {
    std::iter::from_fn(|| engine.poll_output()).collect()
}

fn closed(outputs: &VecDeque<Output<u32>>) -> Vec<u32> {
    let closes = outputs.iter().filter_map(|output| match output {
        Output::Close { connection, .. } => Some(*connection),
        Output::Dial { .. }
        | Output::SendHello { .. }
        | Output::SendPing { .. }
        | Output::SendGoodbye { .. }
        | Output::Event(_) => None,
    });
    closes.collect()
}

fn hellos(outputs: &VecDeque<Output<u32>>) -> usize {
    outputs.iter().filter(|output| matches!(output, Output::SendHello { .. })).count()
}

fn goodbyes(outputs: &VecDeque<Output<u32>>) -> usize {
    outputs.iter().filter(|output| matches!(output, Output::SendGoodbye { .. })).count()
}

fn succeeded(outputs: &VecDeque<Output<u32>>) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Event(Event::DialSucceeded { .. })))
}

#[test]
fn fault_who_hangs_up_before_the_hello_is_not_dialled_again_at_once() {
    let mut engine = engine(peer(1));
    let mut delays = Vec::new();
    let mut now = T;
    for connection in 0..4 {
        assert_eq!(engine.dial(at(2), Some(peer(2)), TOLD, now), DialOutcome::Started);
        engine.connection_established(connection, peer(2), Origin::Dialled(at(2)), now);
        engine.connection_closed(connection, peer(2), now);
        let outputs = outputs(&mut engine);
        assert!(!succeeded(&outputs), "{outputs:?}");
        let failed = Event::DialFailed { endpoint: at(2), peer: Some(peer(2)), reason: DialFailure::HungUp };
        assert!(outputs.contains(&Output::Event(failed)), "{outputs:?}");
        assert_eq!(engine.dial(at(2), Some(peer(2)), TOLD, now), DialOutcome::BackingOff);
        let began = now;
        while engine.dial(at(2), Some(peer(2)), TOLD, now) == DialOutcome::BackingOff {
            now = now.after(Duration::from_millis(100));
        }
        delays.push(now.since(began));
        engine.dial_failed(&at(2), DialFailure::Denied, now);
        while engine.poll_output().is_some() {}
        now = now.after(MINUTE * 10);
    }
    assert!(delays.is_sorted() && delays[3] > delays[0] * 2, "{delays:?}");
}

#[test]
fn a_manual_peer_that_hangs_up_is_not_hammered() {
    let mut engine = engine(peer(1));
    engine.add_node(at(2), None, T);
    engine.connection_established(1, peer(2), Origin::Dialled(at(2)), T);
    engine.connection_closed(1, peer(2), T);
    outputs(&mut engine);
    engine.handle_timeout(T);
    assert!(engine.dials().next().is_none());
    engine.handle_timeout(T.after(MINUTE));
    assert_eq!(engine.dials().count(), 1);
}

#[test]
fn a_dial_has_succeeded_when_the_hello_is_answered() {
    let mut engine = engine(peer(1));
    assert_eq!(engine.dial(at(2), None, TOLD, T), DialOutcome::Started);
    engine.connection_established(1, peer(2), Origin::Dialled(at(2)), T);
    assert!(!succeeded(&outputs(&mut engine)));
    engine.hello_answered(peer(2), hello(&[]), T);
    assert!(succeeded(&outputs(&mut engine)));

    assert_eq!(engine.dial(at(3), None, TOLD, T), DialOutcome::Started);
    engine.connection_established(2, peer(3), Origin::Dialled(at(3)), T);
    let full = Hello { refused: Some(Goodbye::because(GoodbyeReason::Full)), ..hello(&[]) };
    engine.hello_answered(peer(3), full, T);
    assert!(succeeded(&outputs(&mut engine)), "a full node was reached all the same");

    assert_eq!(engine.dial(at(4), None, TOLD, T), DialOutcome::Started);
    engine.connection_established(3, peer(4), Origin::Dialled(at(4)), T);
    engine.hello_failed(peer(4), HelloFailure::Unsupported, T);
    assert!(!succeeded(&outputs(&mut engine)), "a stranger is nobody's success");
}

#[test]
fn a_peer_lost_is_not_dialled_again_in_the_same_moment() {
    let mut engine = engine(peer(1));
    assert_eq!(engine.dial(at(2), None, TOLD, T), DialOutcome::Started);
    engine.connection_established(1, peer(2), Origin::Dialled(at(2)), T);
    engine.hello_answered(peer(2), hello(&[]), T);
    engine.connection_closed(1, peer(2), T);
    assert_eq!(engine.dial(at(2), Some(peer(2)), TOLD, T), DialOutcome::BackingOff);
    assert_eq!(engine.dial(at(2), Some(peer(2)), TOLD, T.after(Duration::from_secs(2))), DialOutcome::Started);
}

#[test]
fn a_short_stay_away_does_not_end_a_longer_one() {
    let mut engine = engine(peer(1));
    assert_eq!(engine.dial(at(2), None, TOLD, T), DialOutcome::Started);
    engine.connection_established(1, peer(2), Origin::Dialled(at(2)), T);
    let goodbye = Goodbye { stay_away: MINUTE, ..Goodbye::because(GoodbyeReason::Full) };
    engine.hello_answered(peer(2), Hello { refused: Some(goodbye), ..hello(&[]) }, T);
    engine.goodbye_received(peer(2), Goodbye::because(GoodbyeReason::Requested), T);
    engine.connection_closed(1, peer(2), T);
    assert_eq!(engine.dial(at(2), None, TOLD, T.after(MINUTE / 2)), DialOutcome::BackingOff);
}

#[test]
fn nobody_gets_a_slot_from_a_node_that_stops() {
    let mut engine = engine(peer(1));
    assert_eq!(engine.dial(at(2), None, TOLD, T), DialOutcome::Started);
    engine.stop(T);
    outputs(&mut engine);
    assert!(!engine.accepts_inbound(&at(3), std::iter::empty()));
    engine.connection_established(1, peer(2), Origin::Dialled(at(2)), T);
    let said = outputs(&mut engine);
    assert_eq!((hellos(&said), goodbyes(&said)), (0, 1), "{said:?}");
    engine.goodbye_ended(peer(2));
    assert_eq!(closed(&outputs(&mut engine)), [1]);
}

#[test]
fn a_second_hello_on_the_same_connection_changes_nothing() {
    let mut engine = engine(peer(1));
    engine.connection_established(1, peer(2), Origin::Accepted(at(2)), T);
    engine.hello_received(peer(2), hello(&[at(2)]), T);
    outputs(&mut engine);
    assert_eq!(engine.hello_received(peer(2), hello(&[at(3)]), T.after(MINUTE)).unwrap().refused, None);
    assert_eq!(outputs(&mut engine), []);
}

#[test]
fn fault_a_peer_that_resets_every_hello_is_not_greeted_for_ever() {
    let mut engine = engine(peer(1));
    assert_eq!(engine.dial(at(2), None, TOLD, T), DialOutcome::Started);
    engine.connection_established(1, peer(2), Origin::Dialled(at(2)), T);
    let mut said = hellos(&outputs(&mut engine));
    for _ in 0..100 {
        engine.hello_failed(peer(2), HelloFailure::Lost, T);
        said += hellos(&outputs(&mut engine));
    }
    assert_eq!(said, 3);
}

#[test]
fn a_manual_peer_with_a_new_identity_is_found_again() {
    let mut engine = engine(peer(1));
    engine.add_node(at(2), None, T);
    engine.add_node(at(3), Some(peer(3)), T);
    engine.dial_failed(&at(3), DialFailure::WrongIdentity { found: peer(9) }, T);
    engine.connection_established(1, peer(2), Origin::Dialled(at(2)), T);
    engine.hello_answered(peer(2), hello(&[]), T);
    engine.connection_closed(1, peer(2), T);
    outputs(&mut engine);
    let mut now = T.after(MINUTE);
    let mut dialled = |engine: &mut Engine<u32>| {
        engine.handle_timeout(now);
        let dials = outputs(engine).into_iter().filter_map(|output| match output {
            Output::Dial { endpoint, peer } => Some((endpoint, peer)),
            Output::SendHello { .. }
            | Output::SendPing { .. }
            | Output::SendGoodbye { .. }
            | Output::Close { .. }
            | Output::Event(_) => None,
        });
        let dials: Vec<_> = dials.collect();
        for (endpoint, _) in &dials {
            engine.dial_failed(endpoint, DialFailure::WrongIdentity { found: peer(9) }, now);
        }
        now = now.after(MINUTE);
        dials
    };
    assert!(dialled(&mut engine).contains(&(at(2), Some(peer(2)))));
    assert!(dialled(&mut engine).contains(&(at(2), None)), "whoever lives there now is welcome");
    assert!(dialled(&mut engine).contains(&(at(3), Some(peer(3)))), "whom the operator named is not exchanged");
}

#[test]
fn fault_goodbyes_said_over_and_over_are_one_departure() {
    let mut engine = engine(peer(1));
    engine.connection_established(1, peer(2), Origin::Accepted(at(2)), T);
    for _ in 0..10 {
        engine.goodbye_received(peer(2), Goodbye::because(GoodbyeReason::Requested), T);
        engine.hello_received(peer(2), Hello { network: "other".into(), ..hello(&[]) }, T);
    }
    assert_eq!(engine.departures().count(), 1);
}

#[test]
fn a_refusal_does_not_name_a_peer_that_claims_to_live_where_a_manual_one_does() {
    let valid = Config { inbound_max: 2, inbound_eviction: false, ..Config::default() }
        .validate(NetworkId::new("test").unwrap(), "test");
    let mut engine = Engine::new(valid.unwrap(), peer(1), Seed::from_number(1));
    engine.add_node(at(2), None, T);
    for number in [2, 3] {
        engine.connection_established(number.into(), peer(number), Origin::Accepted(at(number + 10)), T);
        engine.hello_received(peer(number), hello(&[at(number), at(number + 20)]), T);
    }
    engine.connection_established(4, peer(4), Origin::Accepted(at(4)), T);
    let refused = engine.hello_received(peer(4), hello(&[]), T).unwrap().refused.unwrap();
    assert_eq!(refused.alternatives.iter().map(|known| known.peer).collect::<Vec<_>>(), [peer(3)]);
}

#[test]
fn fault_who_only_came_is_named_by_a_refusal_when_too_few_were_found_where_they_listen() {
    let named = |found: u8, came: u8| {
        let config = Config { inbound_max: (found + came).into(), inbound_eviction: false, ..Config::default() };
        let valid = config.validate(NetworkId::new("test").unwrap(), "test").unwrap();
        let mut engine = Engine::new(valid, peer(200), Seed::from_number(1));
        for number in 1..=found + came {
            // Who comes says that it listens at two places.
            engine.connection_established(number.into(), peer(number), Origin::Accepted(at(number + 100)), T);
            engine.hello_received(peer(number), hello(&[at(number), at(number + 50)]), T);
        }
        (1..=found).for_each(|number| engine.found(peer(number), at(number)));
        engine.connection_established(99, peer(99), Origin::Accepted(at(99)), T);
        let refused = engine.hello_received(peer(99), hello(&[]), T).unwrap().refused.unwrap();
        let by = |places: usize| refused.alternatives.iter().filter(|known| known.endpoints.len() == places).count();
        assert!(
            refused.alternatives.iter().take(by(1)).all(|known| known.endpoints.len() == 1),
            "the found come first"
        );
        [by(1), by(2)]
    };
    assert_eq!(named(20, 10), [8, 0]);
    assert_eq!(named(8, 20), [8, 0]);
    assert_eq!(named(3, 20), [3, 5]);
    assert_eq!(named(0, 2), [0, 2]);
}

#[test]
fn who_was_refused_leaves_with_what_it_was_told_and_keeps_no_place_from_others() {
    let mut engine = engine(peer(1));
    engine.connection_established(2, peer(2), Origin::Dialled(at(2)), T);
    engine.connection_established(3, peer(3), Origin::Dialled(at(3)), T);
    engine.connection_established(4, peer(4), Origin::Accepted(at(4)), T);
    let refused = Some(Goodbye::because(GoodbyeReason::Full));
    engine.hello_answered(peer(2), Hello { refused, ..hello(&[]) }, T);
    engine.hello_answered(peer(3), hello(&[]), T);
    engine.hello_received(peer(4), Hello { network: "other".into(), ..hello(&[]) }, T);
    outputs(&mut engine);
    [2, 3, 4].into_iter().for_each(|number| engine.addresses_told(peer(number)));
    assert_eq!(closed(&outputs(&mut engine)), [2], "one stays, and one did not have to be asked");
}

#[test]
fn who_loses_a_slot_to_another_one_hears_of_others_and_only_whom_we_dialled_tells() {
    let mut engine = engine(peer(1));
    let named = vec![KnownPeer { peer: peer(9), endpoints: vec![at(9)], last_seen: None }];
    let told = |engine: &mut Engine<u32>, reason| {
        let goodbye = Goodbye { alternatives: named.clone(), ..Goodbye::because(reason) };
        engine.goodbye_received(peer(2), goodbye, T);
        let told = outputs(engine).into_iter().find_map(|output| match output {
            Output::Event(Event::Refused { remote, alternatives, .. }) => Some((remote, alternatives)),
            Output::Event(_)
            | Output::Close { .. }
            | Output::Dial { .. }
            | Output::SendHello { .. }
            | Output::SendPing { .. }
            | Output::SendGoodbye { .. } => None,
        });
        engine.connection_closed(1, peer(2), T);
        told
    };
    for (origin, reason, expected) in [
        (Origin::Dialled(at(2)), GoodbyeReason::Full, Some((at(2), named.clone()))),
        (Origin::Dialled(at(2)), GoodbyeReason::Requested, None),
        (Origin::Accepted(at(2)), GoodbyeReason::Full, None),
    ] {
        engine.connection_established(1, peer(2), origin.clone(), T);
        match origin {
            Origin::Dialled(_) => engine.hello_answered(peer(2), hello(&[]), T),
            Origin::Accepted(_) => _ = engine.hello_received(peer(2), hello(&[]), T),
        }
        assert!(engine.is_held(&peer(2)));
        assert_eq!(told(&mut engine, reason), expected, "{origin:?}");
    }
}

/// Whether one more may connect from an address while so many handshakes from others are under way.
fn lets_in(engine: &Engine<u32>, from: [u8; 4], pending: &[[u8; 4]]) -> bool {
    let pending: Vec<_> = pending.iter().map(|ip| Endpoint::tcp((*ip).into(), 50_000)).collect();
    engine.accepts_inbound(&Endpoint::tcp(from.into(), 50_001), pending.iter())
}

#[test]
fn fault_one_host_or_group_that_goes_silent_keeps_no_newcomer_out() {
    let mut engine = engine(peer(1));
    assert!(lets_in(&engine, [8, 8, 1, 1], &[[8, 8, 1, 1]; 7]));
    assert!(!lets_in(&engine, [8, 8, 1, 1], &[[8, 8, 1, 1]; 8]));
    assert!(lets_in(&engine, [8, 8, 1, 2], &[[8, 8, 1, 1]; 8]));

    let group = |count: u8| (0..count).map(|host| [8, 8, host, 1]).collect::<Vec<_>>();
    // 28 are an eighth of the 228 places that are free beside them.
    assert!(lets_in(&engine, [8, 8, 99, 1], &group(27)));
    assert!(!lets_in(&engine, [8, 8, 99, 1], &group(28)));
    assert!(lets_in(&engine, [9, 9, 9, 9], &group(28)));

    // A connection that says no hello counts as its handshake did, and one that said it no more.
    for number in 0..8 {
        let from = Endpoint::tcp([8, 8, 1, 1].into(), 50_000);
        engine.connection_established(number.into(), peer(number + 10), Origin::Accepted(from), T);
    }
    assert!(!lets_in(&engine, [8, 8, 1, 1], &[]));
    engine.hello_received(peer(10), hello(&[at(10)]), T);
    assert!(lets_in(&engine, [8, 8, 1, 1], &[]));
}

#[test]
fn everybody_on_loopback_may_start_at_once_up_to_the_limit_of_all() {
    let engine = engine(peer(1));
    assert!(lets_in(&engine, [127, 0, 0, 1], &[[127, 0, 0, 1]; 255]));
    assert!(!lets_in(&engine, [127, 0, 0, 1], &[[127, 0, 0, 1]; 256]));
}

#[test]
fn a_host_with_many_ipv6_addresses_is_one_host_to_those_who_let_in() {
    let engine = engine(peer(1));
    let from = |net: u16, last: u16| {
        Endpoint::tcp(std::net::Ipv6Addr::new(0x2a00, 0x1450, 1, net, 0, 0, 0, last).into(), 4_001)
    };
    let max = u16::try_from(engine.settings().strangers_per_ip_max).unwrap();
    let pending: Vec<_> = (1..=max).map(|last| from(2, last)).collect();
    assert!(engine.accepts_inbound(&from(2, 99), pending.iter().skip(1)));
    assert!(!engine.accepts_inbound(&from(2, 99), pending.iter()));
    assert!(engine.accepts_inbound(&from(3, 99), pending.iter()));
}

#[test]
fn hellos_name_no_address_that_the_peer_could_not_dial() {
    let mut engine = engine(peer(1));
    let named = |ip: [u8; 4]| Endpoint::tcp(ip.into(), 1);
    let all = [named([8, 8, 1, 1]), named([192, 168, 0, 2]), named([127, 0, 0, 1])];
    engine.presented(all.to_vec(), Vec::new());
    for (number, (from, count)) in (2..).zip([([9, 9, 9, 9], 1), ([192, 168, 0, 3], 2), ([127, 0, 0, 1], 3)]) {
        engine.connection_established(u32::from(number), peer(number), Origin::Dialled(named(from)), T);
        let told = outputs(&mut engine).into_iter().find_map(|output| match output {
            Output::SendHello { hello, .. } => Some(hello.listen),
            Output::Dial { .. }
            | Output::SendPing { .. }
            | Output::SendGoodbye { .. }
            | Output::Close { .. }
            | Output::Event(_) => None,
        });
        assert_eq!(told.unwrap(), all[..count], "to {from:?}");
    }
}

/// An engine with one held peer of each class that a peer can have by itself: 2 came, 3 was dialled.
fn engine_with_two(local: PeerId) -> Engine<u32> {
    let mut engine = engine(local);
    engine.connection_established(2, peer(2), Origin::Accepted(at(2)), T);
    engine.hello_received(peer(2), hello(&[at(2)]), T);
    assert_eq!(engine.dial(at(3), None, TOLD, T), DialOutcome::Started);
    engine.connection_established(3, peer(3), Origin::Dialled(at(3)), T);
    engine.hello_answered(peer(3), hello(&[]), T);
    outputs(&mut engine);
    engine
}

fn named(outputs: &VecDeque<Output<u32>>) -> Vec<PeerId> {
    let named = outputs.iter().filter_map(|output| match output {
        Output::Event(Event::Named { peer }) => Some(*peer),
        Output::Dial { .. }
        | Output::SendHello { .. }
        | Output::SendPing { .. }
        | Output::SendGoodbye { .. }
        | Output::Close { .. }
        | Output::Event(_) => None,
    });
    named.collect()
}

#[test]
fn a_peer_that_is_named_while_it_is_connected_is_manual_from_then_on() {
    let mut engine = engine_with_two(peer(1));
    assert!(engine.add_node(at(2), Some(peer(2)), T));
    assert!(engine.add_node(at(3), None, T), "where it was dialled is who it is");
    let said = outputs(&mut engine);
    assert_eq!(named(&said), [peer(2), peer(3)]);
    assert!(!said.iter().any(|output| matches!(output, Output::Dial { .. })), "{said:?}");
    assert_eq!(engine.class_of(&peer(2)), Some(SlotClass::Manual));
    assert_eq!(engine.class_of(&peer(3)), Some(SlotClass::Manual));

    let later = T.after(MINUTE);
    for (connection, number) in [(2, 2), (3, 3)] {
        engine.connection_closed(connection, peer(number), later);
    }
    engine.handle_timeout(later.after(MINUTE));
    let mut dials: Vec<_> = engine.dials().map(|(endpoint, _)| endpoint.clone()).collect();
    dials.sort();
    assert_eq!(dials, [at(2), at(3)], "it is dialled when it is lost");
}

#[test]
fn fault_an_answer_kept_back_until_the_next_ping_makes_nobody_near() {
    let mut engine = engine(peer(1));
    engine.connection_established(1, peer(2), Origin::Accepted(at(2)), T);
    engine.hello_received(peer(2), hello(&[at(2)]), T);
    let mut now = T;
    let mut ping = |engine: &mut Engine<u32>| loop {
        now = engine.next_timeout().unwrap().max(now);
        engine.handle_timeout(now);
        let number = outputs(engine).into_iter().find_map(|output| match output {
            Output::SendPing { number, .. } => Some(number),
            Output::Dial { .. }
            | Output::SendHello { .. }
            | Output::SendGoodbye { .. }
            | Output::Close { .. }
            | Output::Event(_) => None,
        });
        if let Some(number) = number {
            return (number, now);
        }
    };
    let latency = |engine: &Engine<u32>| engine.peers().next().unwrap().latency;
    let (first, _) = ping(&mut engine);
    let (second, sent) = ping(&mut engine);
    engine.pong_received(peer(2), first, sent.after(Duration::from_millis(1)));
    assert_eq!(latency(&engine), None);
    engine.pong_received(peer(2), second, sent.after(Duration::from_millis(80)));
    assert_eq!(latency(&engine), Some(Duration::from_millis(80)));
    engine.pong_received(peer(2), second, sent.after(Duration::from_millis(81)));
    let (third, sent) = ping(&mut engine);
    engine.pong_received(peer(2), third, sent.after(Duration::from_millis(70)));
    assert_eq!(latency(&engine), Some(Duration::from_millis(70)), "and one missed answer costs nothing");
}
