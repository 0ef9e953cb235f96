//! Calls that wait, and for whom.

use super::*;

fn one_at_a_time() -> Config {
    Config { pending_per_peer_max: 1, tries_max: 5, try_timeout: Duration::from_secs(2), ..Config::default() }
}

/// A and B, of whom B was silent for its whole time and rests.
fn with_b_at_rest() -> Engine {
    let mut engine = with_peers(one_at_a_time(), &[A, B]);
    let options = CallOptions { try_timeout: Some(Duration::from_millis(10)), pin: Some(B), ..repeatable() };
    let id = call(&mut engine, options, ms(0));
    assert_eq!(asked(&mut engine).0, B);
    engine.handle_timeout(ms(10));
    engine.cancel(id, ms(10)).unwrap();
    outputs(&mut engine);
    let rests: Vec<bool> =
        engine.explain(&get(), ms(10)).iter().map(|known| known.rests_for > Duration::ZERO).collect();
    assert_eq!(rests, [false, true]);
    engine
}

fn requests(engine: &mut Engine) -> Vec<(Slot, NonZeroU64)> {
    let request = |output| match output {
        Output::Send { to, message: RpcMessage::Request(request), .. } => Some((to, request.number?)),
        Output::Send { .. } | Output::Event(_) | Output::Pause { .. } | Output::Resume { .. } => None,
    };
    outputs(engine).into_iter().filter_map(request).collect()
}

#[test]
fn what_the_good_have_no_place_for_waits_for_them_and_does_not_go_to_who_rests() {
    let mut engine = with_b_at_rest();
    call(&mut engine, CallOptions { pin: Some(A), ..repeatable() }, ms(11));
    let mut open = requests(&mut engine);
    call(&mut engine, repeatable(), ms(12));
    call(&mut engine, repeatable(), ms(12));
    for answered in 0..3 {
        let [(A, n)] = open[..] else { panic!("A alone is asked: {open:?}") };
        respond(&mut engine, A, n, Ok(payload("value")), ms(12 + answered));
        open = requests(&mut engine);
    }
    assert_eq!((open, engine.stats().ok, engine.calls_pending()), (vec![], 3, 0));
}

#[test]
fn when_the_last_good_one_goes_to_rest_or_leaves_those_at_rest_are_asked() {
    for leaves in [true, false] {
        let mut engine = with_b_at_rest();
        let pinned = CallOptions { pin: Some(A), ..repeatable() };
        call(&mut engine, pinned, ms(11));
        assert_eq!(requests(&mut engine).len(), 1);
        call(&mut engine, CallOptions { deadline: Some(Duration::from_secs(60)), ..repeatable() }, ms(12));
        assert_eq!(requests(&mut engine), [], "it waits for A");
        if leaves {
            engine.peer_disconnected(A, ms(13));
        } else {
            engine.handle_timeout(ms(2_011));
        }
        let asked: Vec<Slot> = requests(&mut engine).into_iter().map(|(to, _)| to).collect();
        assert!(asked.contains(&B), "{asked:?}");
    }
}

#[test]
fn a_request_that_the_link_does_not_take_is_no_try() {
    let mut engine = with_peers(one_at_a_time(), &[A]);
    let id = call(&mut engine, CallOptions { tries_max: Some(1), ..CallOptions::default() }, ms(0));
    let [Output::Send { to: A, message, .. }] = &outputs(&mut engine)[..] else { panic!("one request") };
    engine.message_not_sent(A, message, Lane::Calls, ms(0));
    assert_eq!((outputs(&mut engine), engine.stats().tries, engine.calls_pending()), (vec![], 0, 1));
    engine.peer_writable(A, Lane::Calls, ms(1));
    let (to, n) = asked(&mut engine);
    respond(&mut engine, to, n, Ok(payload("value")), ms(2));
    let answer = Answer { from: A, payload: payload("value"), elapsed: Duration::from_millis(1) };
    assert!(outputs(&mut engine).contains(&event(Event::Done { call: id, result: Ok(answer), tries: 1 })));
}

#[test]
fn a_request_that_one_link_does_not_take_goes_to_another_at_once() {
    let mut engine = with_peers(one_at_a_time(), &[A, B]);
    call(&mut engine, CallOptions { tries_max: Some(1), ..repeatable() }, ms(0));
    let sent = outputs(&mut engine);
    let [Output::Send { to, message, .. }] = &sent[..] else { panic!("{sent:?}") };
    engine.message_not_sent(*to, message, Lane::Calls, ms(0));
    assert_eq!(asked(&mut engine).0, other(*to));
}

#[test]
fn who_answers_well_after_a_rest_is_asked_by_those_who_wait() {
    let mut engine = with_b_at_rest();
    let rested = 3_600_000;
    call(&mut engine, CallOptions { pin: Some(A), ..repeatable() }, ms(rested));
    let judged = call(&mut engine, CallOptions { pin: Some(B), validate: true, ..repeatable() }, ms(rested));
    let open = requests(&mut engine);
    let [(A, _), (B, n)] = open[..] else { panic!("{open:?}") };
    respond(&mut engine, B, n, Ok(payload("value")), ms(rested + 1));
    call(&mut engine, CallOptions { exclude: vec![], ..repeatable() }, ms(rested + 2));
    let waits = requests(&mut engine).is_empty();
    engine.verdict(judged, Verdict::Good, ms(rested + 3)).unwrap();
    let asked: Vec<Slot> = requests(&mut engine).into_iter().map(|(to, _)| to).collect();
    assert_eq!((waits, asked), (true, vec![B]));
}
