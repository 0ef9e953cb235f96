use super::*;

/// An engine whose only peer has a slot.
fn holding() -> Engine<u32> {
    let mut engine = engine(quiet());
    assert!(came(&mut engine, 1, T));
    outputs(&mut engine);
    engine
}

/// How many of so many requests that the peer sends at once are heard.
fn heard(engine: &mut Engine<u32>, count: usize, now: Timestamp) -> usize {
    (0..count).filter(|_| engine.request_received(peer(1), now) == Hearing::Heard).count()
}

#[test]
fn so_many_requests_of_a_peer_are_heard_at_once() {
    assert_eq!([7, 8, 9].map(|count| heard(&mut holding(), count, T)), [7, 8, 8]);
    let mut engine = holding();
    heard(&mut engine, 8, T);
    engine.connection_established(9, peer(1), Origin::Accepted(at(1)), T);
    assert_eq!(heard(&mut engine, 1, T), 0, "a second connection brings no second burst");
    assert!(came(&mut engine, 2, T));
    assert_eq!(engine.request_received(peer(2), T), Hearing::Heard, "others have their own");
    assert_eq!(engine.request_received(peer(3), T), Hearing::Ignored, "who is not connected is not heard");
}

#[test]
fn after_a_burst_a_request_is_heard_again_after_its_time() {
    let is_heard = |now| {
        let mut engine = holding();
        assert_eq!(heard(&mut engine, 8, T), 8);
        heard(&mut engine, 1, now)
    };
    assert_eq!(around(T.after(SECOND * 2)).map(is_heard), [0, 1, 1]);
    let mut engine = holding();
    heard(&mut engine, 8, T);
    assert_eq!(heard(&mut engine, 9, T.after(HOUR)), 8, "a silence brings no more than a burst");
}

#[test]
fn fault_a_peer_is_sent_away_after_so_many_requests_in_vain() {
    let misconduct = Output::Event(Event::Misconduct { peer: peer(1) });
    let goodbye = Output::SendGoodbye { peer: peer(1), goodbye: Goodbye::because(GoodbyeReason::Misconduct) };
    let down = Output::Event(Event::PeerDown { peer: peer(1) });
    let gone = vec![misconduct, goodbye, down];
    for (in_vain, said) in [(63, Vec::new()), (64, gone.clone()), (65, gone.clone())] {
        let mut engine = holding();
        assert_eq!(heard(&mut engine, 8 + in_vain, T), 8);
        assert_eq!(outputs(&mut engine), said, "after {in_vain}");
    }
    let mut manual = holding();
    assert!(manual.add_node(at(1), Some(peer(1)), T));
    outputs(&mut manual);
    heard(&mut manual, 72, T);
    assert_eq!(outputs(&mut manual), gone, "manual peers are no exception");
}

#[test]
fn fault_a_peer_that_never_pauses_is_told_of_once_in_a_while_and_heard_no_more() {
    let mut engine = holding();
    let burst = heard(&mut engine, 72, T);
    let told = |engine: &mut Engine<u32>| {
        let said = outputs(engine).into_iter();
        said.filter(|output| matches!(output, Output::Event(Event::Misconduct { .. }))).count()
    };
    assert_eq!((burst, told(&mut engine)), (8, 1));
    for half_second in 1..=40 {
        assert_eq!(heard(&mut engine, 100, T.after(SECOND / 2 * half_second)), 0);
    }
    assert_eq!(told(&mut engine), 10);
}

#[test]
fn who_says_no_more_than_the_protocol_asks_is_always_heard() {
    let mut engine = holding();
    let mut now = T;
    // The answers to two hellos were lost, and one went by a second connection; the peer's clock is fast.
    let pause = Duration::from_secs(5).mul_f64(0.98);
    assert_eq!(heard(&mut engine, 4, now), 4);
    for number in 1..=20_000 {
        now = now.after(pause);
        assert_eq!(heard(&mut engine, 1, now), 1);
        if number % 20 == 1 {
            now = now.after(8 * pause);
            assert_eq!(heard(&mut engine, 8, now), 8, "what a slow link has held back comes at once");
        }
    }
    assert_eq!(heard(&mut engine, 5, now), 5, "it loses its connection, greets anew and leaves");
    assert_eq!(outputs(&mut engine), []);
}
