//! Both sides dial at once, or a peer comes back beside a dead connection.

use super::*;

/// Two peers, the first of which decides which of two connections stays.
fn ordered() -> (PeerId, PeerId) {
    let (a, b) = (peer(1), peer(2));
    if a < b { (a, b) } else { (b, a) }
}

#[test]
fn fault_connections_that_cross_give_nobody_a_slot_beyond_the_limit() {
    let (peer, local) = ordered();
    let turned_away = |outputs: &VecDeque<Output<u32>>| {
        outputs.iter().any(
            |output| matches!(output, Output::SendGoodbye { goodbye, .. } if goodbye.reason == GoodbyeReason::Full),
        )
    };
    for (inbound_max, is_kept) in [(1, true), (0, false)] {
        let with = || {
            let config = Config { inbound_max, inbound_eviction: false, ..Config::default() };
            engine_with(config, local)
        };
        // It came while it was dialled, and answers the hello.
        let mut crossed = with();
        crossed.connection_established(1, peer, Origin::Accepted(at(9)), T);
        crossed.connection_established(2, peer, Origin::Dialled(at(2)), T);
        crossed.hello_answered(peer, hello(&[]), T);
        // The dial made it a peer, and only the connection by which it came is left.
        let mut left = with();
        left.connection_established(1, peer, Origin::Dialled(at(2)), T);
        left.hello_answered(peer, hello(&[]), T);
        left.connection_established(2, peer, Origin::Accepted(at(9)), T);
        left.connection_closed(1, peer, T);
        for engine in [&mut crossed, &mut left] {
            assert_eq!(engine.held(SlotClass::Inbound), inbound_max);
            assert_eq!(turned_away(&outputs(engine)), !is_kept);
        }
    }
}

#[test]
fn fault_who_comes_while_it_is_dialled_gets_no_outbound_slot_beyond_the_limit() {
    let (other, local) = ordered();
    for outbound_target in [1, 2] {
        let config = Config { outbound_target, ..Config::default() };
        let mut engine = engine_with(config, local);
        engine.connection_established(1, peer(9), Origin::Dialled(at(9)), T);
        engine.hello_answered(peer(9), hello(&[]), T);
        // It has an inbound slot, answers the dial, and ends the connection by which it came.
        engine.connection_established(2, other, Origin::Accepted(at(3)), T);
        assert!(engine.hello_received(other, hello(&[]), T).unwrap().refused.is_none());
        engine.connection_established(3, other, Origin::Dialled(at(4)), T);
        engine.connection_closed(2, other, T);
        assert_eq!(engine.held(SlotClass::Outbound), outbound_target);
    }
}

#[test]
fn fault_who_is_turned_away_when_connections_cross_was_found_and_has_our_goodbye_first() {
    let (other, local) = ordered();
    let config = Config { inbound_max: 0, ..Config::default() };
    let mut engine = engine_with(config, local);
    engine.connection_established(1, other, Origin::Accepted(at(9)), T);
    engine.connection_established(2, other, Origin::Dialled(at(2)), T);
    engine.hello_answered(other, hello(&[]), T);
    engine.addresses_told(other);
    let outputs = outputs(&mut engine);
    let found = Event::DialSucceeded { endpoint: at(2), peer: other };
    assert!(outputs.contains(&Output::Event(found)), "{outputs:?}");
    assert_eq!(closed(&outputs), Vec::<u32>::new());
}

#[test]
fn fault_a_peer_that_leaves_cannot_stay_by_a_new_connection() {
    let (other, local) = ordered();
    let mut engine = engine(local);
    engine.connection_established(1, other, Origin::Accepted(at(2)), T);
    engine.say_goodbye(other, GoodbyeReason::Requested, T);
    engine.handle_timeout(T.after(MINUTE));
    assert_eq!(closed(&outputs(&mut engine)), [1]);
    // The first one takes its time to close, and another comes meanwhile.
    engine.connection_established(2, other, Origin::Accepted(at(2)), T.after(MINUTE));
    assert_eq!(closed(&outputs(&mut engine)), [2]);
}

#[test]
fn fault_nobody_holds_more_than_two_connections() {
    let (other, local) = ordered();
    let mut engine = engine(local);
    for connection in 1..=4 {
        engine.connection_established(connection, other, Origin::Accepted(at(2)), T);
    }
    assert_eq!(closed(&outputs(&mut engine)), [3, 4]);
}

#[test]
fn a_peer_that_lost_us_and_comes_back_takes_the_place_of_its_dead_connection() {
    let (first, second) = ordered();
    for (local, other) in [(first, second), (second, first)] {
        let mut engine = engine(local);
        engine.connection_established(1, other, Origin::Accepted(at(2)), T);
        engine.hello_received(other, hello(&[at(2)]), T);
        outputs(&mut engine);
        let later = T.after(MINUTE);
        engine.connection_established(2, other, Origin::Accepted(at(3)), later);
        assert_eq!(closed(&outputs(&mut engine)), [0_u32; 0]);
        let answer = engine.hello_received(other, hello(&[at(3)]), later).unwrap();
        assert_eq!(answer.refused, None);
        let outputs = outputs(&mut engine);
        assert_eq!(closed(&outputs), [1]);
        let events: Vec<_> = outputs.into_iter().filter(|output| matches!(output, Output::Event(_))).collect();
        let [Output::Event(Event::PeerDown { .. }), Output::Event(Event::PeerUp { hello, remote, .. }), ..] =
            &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((&hello.listen[..], remote), (&[at(3)][..], &at(3)));
        engine.connection_closed(1, other, later);
        assert!(engine.is_held(&other));
        assert_eq!(engine.held(SlotClass::Inbound), 1);
    }
}

#[test]
fn a_peer_that_turns_out_to_live_where_a_manual_one_was_named_is_that_one() {
    let (first, second) = ordered();
    for (local, other) in [(first, second), (second, first)] {
        let mut engine = engine(local);
        engine.connection_established(1, other, Origin::Accepted(at(9)), T);
        engine.hello_received(other, hello(&[at(9)]), T);
        engine.add_node(at(4), None, T.after(MINUTE));
        assert_eq!(named(&outputs(&mut engine)), []);
        let now = T.after(MINUTE);
        engine.connection_established(2, other, Origin::Dialled(at(4)), now);
        let said = outputs(&mut engine);
        assert_eq!(named(&said), [other]);
        assert!(succeeded(&said), "{said:?}");
        assert_eq!(engine.class_of(&other), Some(SlotClass::Manual));
        assert_eq!(engine.manual().next(), Some((&at(4), Some(other))));
        for connection in closed(&said) {
            engine.connection_closed(connection, other, now);
        }
        engine.handle_timeout(now);
        assert_eq!(engine.dials().count(), 0, "nobody is dialled over and over");
    }
}

#[test]
fn fault_a_manual_address_that_leads_to_somebody_who_is_still_greeting_is_not_hammered() {
    let (local, other) = ordered();
    let mut engine = engine(local);
    engine.connection_established(1, other, Origin::Accepted(at(9)), T);
    engine.add_node(at(4), None, T);
    engine.connection_established(2, other, Origin::Dialled(at(4)), T);
    assert_eq!(closed(&outputs(&mut engine)), [2]);
    engine.connection_closed(2, other, T);
    engine.handle_timeout(T);
    assert_eq!(engine.dials().count(), 0);
    engine.handle_timeout(T.after(MINUTE / 4));
}
