use super::*;

#[test]
fn a_hello_may_take_so_long() {
    let is_given_up = |now| {
        let mut engine = engine(quiet());
        engine.connection_established(1, peer(1), Origin::Accepted(at(1)), T);
        let silent = Event::Stranger { peer: peer(1), endpoint: None, reason: Strangeness::Silent };
        later(&mut engine, now).contains(&Output::Event(silent))
    };
    assert_eq!(around(T.after(SECOND * 10)).map(is_given_up), [false, true, true]);
}

#[test]
fn a_peer_whose_answers_are_lost_is_greeted_so_often() {
    let greeted = |lost: usize| {
        let mut engine = engine(Config { outbound_target: 1, ..quiet() });
        assert_eq!(dial(&mut engine, 1, T), DialOutcome::Started);
        engine.connection_established(1, peer(1), Origin::Dialled(at(1)), T);
        (0..lost).for_each(|_| engine.hello_failed(peer(1), HelloFailure::Lost, T));
        outputs(&mut engine).iter().filter(|output| matches!(output, Output::SendHello { .. })).count()
    };
    assert_eq!([1, 2, 3].map(greeted), [2, 3, 3]);
}

#[test]
fn a_refused_peer_stays_so_long_and_is_told_to_stay_away_so_long() {
    let refused = |stay_away| {
        let mut engine = engine(Config { inbound_max: 0, stay_away, ..quiet() });
        assert!(!came(&mut engine, 1, T));
        outputs(&mut engine);
        engine
    };
    let close = Output::Close { peer: peer(1), connection: 1 };
    let is_closed = |now| later(&mut refused(MINUTE), now).contains(&close);
    assert_eq!(around(T.after(SECOND * 2)).map(is_closed), [false, true, true]);
    for secs in [299, 300, 301] {
        let stay_away = Duration::from_secs(secs);
        let answer = refused(stay_away).hello_received(peer(1), hello(1), T).unwrap();
        assert_eq!(answer.refused.unwrap().stay_away, stay_away);
    }
}

/// The number of the ping that is sent by then.
fn ping(outputs: &[Output<u32>]) -> Option<u64> {
    outputs.iter().find_map(|output| if let Output::SendPing { number, .. } = output { Some(*number) } else { None })
}

/// An engine whose only peer is asked for the first time whether it is there, and when.
fn pinged(config: Config, seed: u64) -> (Engine<u32>, u64, Timestamp) {
    let mut engine = seeded(config, seed);
    assert!(came(&mut engine, 1, T));
    outputs(&mut engine);
    let due = engine.next_timeout().unwrap();
    let number = ping(&later(&mut engine, due)).unwrap();
    (engine, number, due)
}

#[test]
fn a_peer_is_asked_after_so_much_silence_whether_it_is_there() {
    let is_asked = |micros: u64| {
        let (mut engine, number, now) = pinged(quiet(), 1);
        engine.pong_received(peer(1), number, now);
        ping(&later(&mut engine, now.after(Duration::from_micros(micros)))).is_some()
    };
    assert_eq!([14_999_999, 15_000_000, 15_000_001].map(is_asked), [false, true, true]);
    for seed in 0..200 {
        let (_, _, first) = pinged(quiet(), seed);
        assert!((SECOND * 15 / 2..=SECOND * 15).contains(&first.since(T)), "the first time comes sooner");
    }
}

#[test]
fn an_answer_may_take_so_long() {
    let is_asked_again = |micros: u64| {
        let (mut engine, _, now) = pinged(quiet(), 1);
        ping(&later(&mut engine, now.after(Duration::from_micros(micros)))).is_some()
    };
    assert_eq!([9_999_999, 10_000_000, 10_000_001].map(is_asked_again), [false, true, true]);
}

#[test]
fn so_many_answers_are_missed_until_a_peer_is_given_up() {
    for pings_missed_max in [1, 2, 3] {
        let (mut engine, _, mut now) = pinged(Config { pings_missed_max, ..quiet() }, 1);
        let mut pings = 1;
        while engine.is_held(&peer(1)) {
            now = now.after(SECOND * 10);
            pings += u32::from(ping(&later(&mut engine, now)).is_some());
        }
        assert_eq!(pings, pings_missed_max);
    }
}

#[test]
fn feelers_are_wanted_at_their_interval_a_quarter_more_or_less() {
    for secs in [119, 120, 121] {
        let feeler_interval = Duration::from_secs(secs);
        assert_a_quarter_around(feeler_interval, |seed| {
            let mut engine = with_outbound(Config { outbound_target: 1, feeler_interval, ..quiet() }, 1, seed);
            engine.handle_timeout(T);
            outputs(&mut engine);
            when(&mut engine, |output| *output == Output::Event(Event::FeelerWanted)).since(T)
        });
    }
}

#[test]
fn outbound_peers_are_exchanged_at_their_interval_so_many_at_a_time() {
    let config = Config { outbound_target: 8, ..quiet() };
    for secs in [7, 8, 9] {
        let rotation_interval = Duration::from_secs(secs);
        assert_a_quarter_around(rotation_interval, |seed| {
            let mut engine = with_outbound(Config { rotation_interval, ..config.clone() }, 8, seed);
            when(&mut engine, |output| matches!(output, Output::SendGoodbye { .. })).since(T)
        });
    }
    for rotation_drops in [1, 2, 3] {
        let mut engine = with_outbound(Config { rotation_interval: SECOND, rotation_drops, ..config.clone() }, 8, 1);
        engine.handle_timeout(T);
        let said = later(&mut engine, T.after(SECOND * 2));
        assert_eq!(goodbyes(&said), vec![&Goodbye::because(GoodbyeReason::Rotated); rotation_drops]);
    }
}

#[test]
fn who_was_exchanged_is_not_dialled_for_a_while() {
    let exchanged_at = T.after(SECOND * 2);
    let outcome = |now| {
        let config = Config { outbound_target: 1, rotation_interval: SECOND, rotation_drops: 1, ..quiet() };
        let mut engine = with_outbound(config, 1, 1);
        engine.handle_timeout(T);
        assert_eq!(goodbyes(&later(&mut engine, exchanged_at)).len(), 1);
        engine.connection_closed(1, peer(1), exchanged_at);
        dial(&mut engine, 1, now)
    };
    let outcomes = [DialOutcome::BackingOff, DialOutcome::Started, DialOutcome::Started];
    assert_eq!(around(exchanged_at.after(MINUTE * 5)).map(outcome), outcomes);
}

#[test]
fn fault_a_peer_that_said_no_hello_is_tried_again_soon_and_one_of_another_network_is_not() {
    let tried_again = |failure: HelloFailure, after: Duration| {
        let mut engine = engine(Config { outbound_target: 1, ..quiet() });
        assert_eq!(dial(&mut engine, 1, T), DialOutcome::Started);
        engine.connection_established(1, peer(1), Origin::Dialled(at(1)), T);
        engine.hello_failed(peer(1), failure, T);
        engine.connection_closed(1, peer(1), T);
        outputs(&mut engine);
        dial(&mut engine, 1, T.after(after))
    };
    assert_eq!(tried_again(HelloFailure::TimedOut, SECOND / 10), DialOutcome::BackingOff);
    assert_eq!(tried_again(HelloFailure::TimedOut, MINUTE), DialOutcome::Started);
    assert_eq!(tried_again(HelloFailure::Unsupported, MINUTE), DialOutcome::BackingOff);
}
