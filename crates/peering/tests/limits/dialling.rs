use super::*;

/// How many of so many visits to peers in parts of the internet of their own begin.
fn visits(engine: &mut Engine<u32>, numbers: std::ops::RangeInclusive<u16>, now: Timestamp) -> usize {
    numbers.filter(|number| engine.visit(at(*number), None, TOLD, now) == DialOutcome::Started).count()
}

#[test]
fn so_many_dials_are_under_way() {
    let begun = |count| visits(&mut engine(Config { dials_burst: 1_000, ..quiet() }), 1..=count, T);
    assert_eq!([79, 80, 81].map(begun), [79, 80, 80]);
}

#[test]
fn so_many_dials_begin_at_once_and_so_many_a_second() {
    let config = Config { dials_max: 1_000, ..quiet() };
    let at_once = |count| visits(&mut engine(config.clone()), 1..=count, T);
    assert_eq!([39, 40, 41].map(at_once), [39, 40, 40]);
    for dials_per_second in [9, 10, 11] {
        let mut engine = engine(Config { dials_per_second, ..config.clone() });
        visits(&mut engine, 1..=100, T);
        let in_a_second = visits(&mut engine, 101..=200, T.after(SECOND));
        assert_eq!(in_a_second as u32, dials_per_second);
    }
}

/// So many as may be held are dialled at once, and nobody answers.
fn in_vain(dial_patience: Duration) -> Engine<u32> {
    let mut engine = engine(Config { outbound_target: 8, dial_patience, ..quiet() });
    let outcomes = |engine: &mut Engine<u32>| (1..=10).map(|number| dial(engine, number, T)).collect::<Vec<_>>();
    assert_eq!(outcomes(&mut engine)[8..], [DialOutcome::Started, DialOutcome::Enough]);
    outputs(&mut engine);
    engine
}

/// The same, but one of them answers at once.
fn all_but_one_in_vain(dial_patience: Duration) -> Engine<u32> {
    let mut engine = in_vain(dial_patience);
    assert_eq!(answered(&mut engine, 1, T), Intent::Stay);
    later(&mut engine, T);
    engine
}

/// Dials hold up others so long, and so many begin then.
fn assert_held_up(engine: impl Fn() -> Engine<u32>, patience: Duration, begun: usize) {
    let wanted = |now| {
        let is_wanted = |output: &Output<u32>| matches!(output, Output::Event(Event::CandidatesWanted { count }) if *count == begun);
        later(&mut engine(), now).iter().any(is_wanted)
    };
    assert_eq!(around(T.after(patience)).map(wanted), [false, true, true]);
    let mut engine = engine();
    // What is due since the beginning of time.
    later(&mut engine, T);
    let mut timeouts = std::iter::from_fn(|| {
        let next = engine.next_timeout()?;
        engine.handle_timeout(next);
        Some(next)
    });
    assert_eq!(timeouts.find(|at| *at >= T.after(patience)), Some(T.after(patience)));
}

#[test]
fn fault_dials_without_an_answer_hold_up_others_so_long() {
    for patience in [SECOND * 2, SECOND * 2 + MICRO, SECOND * 3] {
        assert_held_up(|| all_but_one_in_vain(patience), patience, 8);
    }
}

#[test]
fn where_all_dials_are_silent_they_hold_up_others_three_times_as_long() {
    for patience in [SECOND * 2, SECOND * 2 + MICRO, SECOND * 3] {
        assert_held_up(|| in_vain(patience), patience * 3, 9);
    }
}

#[test]
fn dials_may_take_twice_as_long_as_the_last_that_was_answered() {
    let late_after = |took| {
        let mut engine = in_vain(SECOND * 2);
        answered(&mut engine, 1, T.after(took));
        let is_late = |waited: &Duration| {
            engine.handle_timeout(T.after(*waited));
            engine.unanswered() == 8
        };
        (1..=10_000).map(Duration::from_millis).filter(|waited| *waited >= took).find(is_late)
    };
    let millis = |millis| Some(Duration::from_millis(millis));
    let late = [999, 1_000, 1_001, 1_500, 2_999, 3_000, 3_001].map(Duration::from_millis).map(late_after);
    assert_eq!(late, [2_000, 2_000, 2_002, 3_000, 5_998, 6_000, 6_000].map(millis));
}

#[test]
fn a_dial_is_late_only_where_one_that_began_no_earlier_was_answered() {
    let mut engine = all_but_one_in_vain(SECOND * 2);
    let again = T.after(SECOND * 2);
    later(&mut engine, again);
    (11..=18).for_each(|number| assert_eq!(dial(&mut engine, number, again), DialOutcome::Started));
    outputs(&mut engine);
    assert_eq!(engine.unanswered(), 8);
    later(&mut engine, again.after(SECOND * 6 - MICRO));
    assert_eq!(engine.unanswered(), 8, "of the second eight nobody has answered");
    later(&mut engine, again.after(SECOND * 6));
    assert_eq!(engine.unanswered(), 16);
}

#[test]
fn fault_who_answers_late_stays_where_there_is_a_place() {
    let mut engine = engine(Config { outbound_target: 8, dials_burst: 1_000, ..quiet() });
    (1..=9).for_each(|number| assert_eq!(dial(&mut engine, number, T), DialOutcome::Started));
    let late = T.after(SECOND * 6);
    later(&mut engine, late);
    (10..=18).for_each(|number| assert_eq!(dial(&mut engine, number, late), DialOutcome::Started));
    let intents: Vec<_> = (1..=18).map(|number| answered(&mut engine, number, late)).collect();
    assert_eq!(intents[..9], [Intent::Stay; 9], "who is only being dialled has no place");
    assert_eq!(intents[9..], [Intent::Visit; 9]);
    assert_eq!(engine.held(SlotClass::Outbound), 9);
}

#[test]
fn one_ip_is_dialled_in_vain_so_often_in_an_hour() {
    let visit_as = |engine: &mut Engine<u32>, port, standing, now| {
        engine.visit(Endpoint::tcp([20, 1, 0, 1].into(), port), None, standing, now) == DialOutcome::Started
    };
    let told = |by| Standing::Told(NetGroup::V4(by));
    let visit = |engine: &mut Engine<u32>, port: u16, now| visit_as(engine, port, told(port), now);
    let begun = |count: u16| {
        let mut engine = engine(quiet());
        (1..=count).filter(|number| visit(&mut engine, 4_000 + number, T)).count()
    };
    assert_eq!([2, 3, 4].map(begun), [2, 3, 3]);
    let of_one_teller = |config: &Config| {
        let mut engine = engine(config.clone());
        (1..=9).filter(|number| visit_as(&mut engine, 4_000 + number, told(1), T)).count()
    };
    let settings = [1, 2, 3, 4, 5].map(|dials_per_ip_per_hour| Config { dials_per_ip_per_hour, ..quiet() });
    assert_eq!(settings.each_ref().map(of_one_teller), [1, 1, 2, 2, 3]);
    let is_begun_again = |now| {
        let mut engine = engine(quiet());
        (1..=3).for_each(|number| assert!(visit(&mut engine, 4_000 + number, T)));
        visit(&mut engine, 5_000, now)
    };
    assert_eq!(around(T.after(HOUR)).map(is_begun_again), [false, true, true]);
}

/// When candidates are wanted, from now on and while nothing changes.
fn looks(config: Config, count: usize) -> Vec<Duration> {
    let mut engine = engine(Config { outbound_target: 1, ..config });
    let mut now = T;
    let mut looks = Vec::new();
    while looks.len() < count {
        let is_look = |output: &Output<u32>| matches!(output, Output::Event(Event::CandidatesWanted { .. }));
        if later(&mut engine, now).iter().any(is_look) {
            looks.push(now);
        }
        now = engine.next_timeout().unwrap().max(now.after(MICRO));
    }
    looks.windows(2).map(|pair| pair[1].since(pair[0])).collect()
}

#[test]
fn looks_for_somebody_to_dial_come_between_the_shortest_and_the_longest_time() {
    let millis = |millis: [u64; 5]| millis.map(Duration::from_millis).to_vec();
    for min in [249, 250, 251] {
        let config = Config { refill_interval_min: Duration::from_millis(min), ..quiet() };
        assert_eq!(looks(config, 6), millis([min, 2 * min, 4 * min, (8 * min).min(2_000), 2_000]));
    }
    for max in [1_999, 2_000, 2_001] {
        let config = Config { refill_interval_max: Duration::from_millis(max), ..quiet() };
        assert_eq!(looks(config, 6), millis([250, 500, 1_000, max.min(2_000), max]));
    }
}

#[test]
fn a_dial_that_was_sent_away_waits_as_long_as_it_is_told_up_to_a_limit() {
    let away = |told: Duration, now| {
        let mut engine = with_outbound(Config { outbound_target: 2, ..quiet() }, 1, 1);
        let goodbye = Goodbye { stay_away: told, ..Goodbye::because(GoodbyeReason::Requested) };
        engine.goodbye_received(peer(1), goodbye, T);
        engine.connection_closed(1, peer(1), T);
        dial(&mut engine, 1, now)
    };
    let outcomes = [DialOutcome::BackingOff, DialOutcome::Started, DialOutcome::Started];
    for told in [HOUR - SECOND, HOUR, HOUR + SECOND, HOUR * 24] {
        assert_eq!(around(T.after(told.min(HOUR))).map(|now| away(told, now)), outcomes, "{told:?}");
    }
}

#[test]
fn fault_the_history_shows_how_long_a_node_stays_away_in_truth() {
    let goodbye = |told| Goodbye { stay_away: told, ..Goodbye::because(GoodbyeReason::Full) };
    let shown = |engine: Engine<u32>| {
        let causes = engine.departures().map(|departure| departure.cause.clone());
        let spans = causes.map(|cause| {
            let DepartureCause::Received(goodbye) = cause else { panic!("{cause:?}") };
            goodbye.stay_away
        });
        spans.collect::<Vec<_>>()
    };
    for told in [HOUR - SECOND, HOUR, HOUR + SECOND, SECOND * u32::MAX] {
        let mut kept = with_outbound(Config { outbound_target: 2, ..quiet() }, 1, 1);
        kept.goodbye_received(peer(1), goodbye(told), T);
        let mut refused = engine(Config { outbound_target: 2, ..quiet() });
        assert_eq!(dial(&mut refused, 1, T), DialOutcome::Started);
        refused.connection_established(1, peer(1), Origin::Dialled(at(1)), T);
        refused.hello_answered(peer(1), Hello { refused: Some(goodbye(told)), ..hello(1) }, T);
        assert_eq!([kept, refused].map(shown), [[told.min(HOUR)], [told.min(HOUR)]]);

        let mut named = engine(quiet());
        named.add_node(at(1), Some(peer(1)), T);
        named.handle_timeout(T);
        answered(&mut named, 1, T);
        let mut came_by_itself = engine(quiet());
        assert!(came(&mut came_by_itself, 1, T));
        let spans = [named, came_by_itself].map(|mut engine| {
            engine.goodbye_received(peer(1), goodbye(told), T);
            shown(engine)
        });
        assert_eq!(
            spans,
            [[40 * SECOND], [Duration::ZERO]],
            "who is named is never left for long, who came not dialled"
        );
    }
}

#[test]
fn a_peer_lost_is_dialled_again_after_the_first_delay() {
    let lost = |now| {
        let mut engine = with_outbound(Config { outbound_target: 2, ..quiet() }, 1, 1);
        engine.connection_closed(1, peer(1), T);
        dial(&mut engine, 1, now)
    };
    let outcomes = [DialOutcome::BackingOff, DialOutcome::Started, DialOutcome::Started];
    assert_eq!(around(T.after(SECOND)).map(lost), outcomes);
}
