#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use bytes::Bytes;

use super::*;
use crate::{
    Answer, AnswerError, CallError, CallOptions, CallStateError, Config, EndCause, Refusal, RefusalKind, Request,
    Response, StartError, Tried, Verdict,
};

mod hedging;
mod joining;
mod limits;
mod serving;
mod streams;
mod unread;
mod waiting;

const A: Slot = Slot::new(0, 0);
const B: Slot = Slot::new(1, 0);

fn ms(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

fn name(text: &str) -> MethodName {
    MethodName::new(text).unwrap()
}

fn get() -> MethodName {
    name("get")
}

fn payload(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn number(n: u64) -> NonZeroU64 {
    NonZeroU64::new(n).unwrap()
}

fn engine(config: Config) -> Engine {
    Engine::new(config.validate().unwrap(), Seed::from_number(1))
}

/// An engine connected to peers that all serve `get`.
fn with_peers(config: Config, peers: &[Slot]) -> Engine {
    let mut engine = engine(config);
    for slot in peers {
        engine.peer_connected(*slot, ms(0));
        engine.message_received(*slot, RpcMessage::Methods(vec![get()]), ms(0));
    }
    outputs(&mut engine);
    engine
}

fn outputs(engine: &mut Engine) -> Vec<Output> {
    std::iter::from_fn(|| engine.poll_output()).collect()
}

fn event(event: Event<Slot>) -> Output {
    Output::Event(event)
}

fn conduct(peer: Slot, conduct: Conduct) -> Output {
    event(Event::Conduct { peer, conduct })
}

/// The only output, which must be a request: to whom, and its number.
fn asked(engine: &mut Engine) -> (Slot, NonZeroU64) {
    let outputs = outputs(engine);
    let [Output::Send { to, message: RpcMessage::Request(Request { number: Some(number), .. }), .. }] = &outputs[..]
    else {
        panic!("one request expected: {outputs:?}");
    };
    (*to, *number)
}

fn respond(engine: &mut Engine, from: Slot, number: NonZeroU64, result: Result<Bytes, Refusal>, now: Timestamp) {
    engine.message_received(from, RpcMessage::Response(Response { number, result, chunks: 0 }), now);
}

fn call(engine: &mut Engine, options: CallOptions<Slot>, now: Timestamp) -> CallId {
    engine.call(&get(), payload("key"), options, now).unwrap()
}

fn repeatable() -> CallOptions<Slot> {
    CallOptions::idempotent()
}

fn tried(peer: Slot, failure: Failure, millis: u64) -> Tried<Slot> {
    Tried { peer, failure, elapsed: Duration::from_millis(millis) }
}

fn failed(call: CallId, cause: EndCause, tried: Vec<Tried<Slot>>) -> Output {
    let tries = tried.len() as u32;
    event(Event::Done { call, result: Err(CallError { method: get(), cause, tried }), tries })
}

fn other(slot: Slot) -> Slot {
    if slot == A { B } else { A }
}

#[test]
fn a_global_call_asks_a_peer_and_ends_with_its_answer() {
    let mut engine = with_peers(Config::default(), &[A]);
    let id = call(&mut engine, repeatable(), ms(0));
    let request = Request {
        number: Some(number(1)),
        method: get(),
        timeout: Some(Duration::from_secs(10)),
        stream_credit: 0,
        payload: payload("key"),
    };
    let send =
        Output::Send { to: A, message: RpcMessage::Request(request), lane: Lane::Calls, expires: Some(ms(10_000)) };
    assert_eq!(outputs(&mut engine), [send]);
    assert_eq!(engine.next_timeout(), Some(ms(10_000)));

    respond(&mut engine, A, number(1), Ok(payload("value")), ms(40));
    let elapsed = Duration::from_millis(40);
    let answer = Answer { from: A, payload: payload("value"), elapsed };
    assert_eq!(
        outputs(&mut engine),
        [conduct(A, Conduct::Answered { elapsed }), event(Event::Done { call: id, result: Ok(answer), tries: 1 })]
    );
    assert_eq!((engine.next_timeout(), engine.calls_pending()), (None, 0));
    assert_eq!(engine.stats(), Stats { calls: 1, ok: 1, tries: 1, ..Stats::default() });
}

#[test]
fn who_cannot_satisfy_or_is_silent_is_followed_by_the_next() {
    let mut engine = with_peers(Config::default(), &[A, B]);
    let id = call(&mut engine, repeatable(), ms(0));
    let (first, n) = asked(&mut engine);
    let refusal = Refusal::cannot_satisfy("unknown");
    respond(&mut engine, first, n, Err(refusal.clone()), ms(5));
    let second = other(first);
    let mut after = outputs(&mut engine);
    assert_eq!(after.remove(0), conduct(first, Conduct::CouldNotSatisfy));
    assert!(matches!(&after[..], [Output::Send { to, .. }] if *to == second), "{after:?}");
    engine.handle_timeout(ms(10_004));
    assert_eq!(outputs(&mut engine), []);
    engine.handle_timeout(ms(10_005));
    let tries = vec![tried(first, Failure::Refused(refusal), 5), tried(second, Failure::TimedOut, 10_000)];
    assert_eq!(outputs(&mut engine), [conduct(second, Conduct::TimedOut), failed(id, EndCause::Exhausted, tries)]);
    assert_eq!(engine.stats(), Stats { calls: 1, failed: 1, tries: 2, retried: 1, ..Stats::default() });
}

#[test]
fn what_may_have_run_is_not_repeated_but_what_surely_did_not_is() {
    for (failure, is_repeated) in [
        (RefusalKind::NoSuchMethod, true),
        (RefusalKind::Overloaded, true),
        (RefusalKind::CannotSatisfy, true),
        (RefusalKind::BadRequest, true),
        (RefusalKind::Failed, false),
    ] {
        let mut engine = with_peers(Config::default(), &[A, B]);
        call(&mut engine, CallOptions::default(), ms(0));
        let (first, n) = asked(&mut engine);
        respond(&mut engine, first, n, Err(Refusal::new(failure, "")), ms(5));
        let after = outputs(&mut engine);
        let sends = after.iter().any(|output| matches!(output, Output::Send { to, .. } if *to == other(first)));
        assert_eq!(sends, is_repeated, "{failure:?}: {after:?}");
    }
    let mut engine = with_peers(Config::default(), &[A, B]);
    let id = call(&mut engine, CallOptions::default(), ms(0));
    let (first, _) = asked(&mut engine);
    engine.peer_disconnected(first, ms(3));
    let expected = failed(id, EndCause::NotRepeatable, vec![tried(first, Failure::Lost, 3)]);
    assert_eq!(outputs(&mut engine), [expected]);
}

#[test]
fn a_call_ends_at_its_deadline_and_a_short_last_try_is_not_held_against_the_peer() {
    let mut engine = with_peers(Config::default(), &[A, B]);
    let options = CallOptions {
        deadline: Some(Duration::from_millis(1_500)),
        try_timeout: Some(Duration::from_secs(1)),
        ..repeatable()
    };
    let id = call(&mut engine, options, ms(0));
    let (first, _) = asked(&mut engine);
    engine.handle_timeout(ms(1_000));
    let after = outputs(&mut engine);
    assert_eq!(after[0], conduct(first, Conduct::TimedOut));
    let Output::Send { expires, .. } = after[1] else { panic!("{after:?}") };
    assert_eq!((expires, after.len()), (Some(ms(1_500)), 2));
    engine.handle_timeout(ms(1_500));
    let tries = vec![tried(first, Failure::TimedOut, 1_000), tried(other(first), Failure::TimedOut, 500)];
    assert_eq!(outputs(&mut engine), [failed(id, EndCause::OutOfTime, tries)]);
}

#[test]
fn peers_that_told_nothing_are_asked_only_when_nobody_else_is_left() {
    let mut engine = with_peers(Config::default(), &[A]);
    engine.peer_connected(B, ms(0));
    outputs(&mut engine);
    assert_eq!(engine.explain(&get(), ms(0)).len(), 1);
    call(&mut engine, repeatable(), ms(0));
    let (first, n) = asked(&mut engine);
    assert_eq!(first, A);
    respond(&mut engine, A, n, Err(Refusal::new(RefusalKind::NoSuchMethod, "")), ms(1));
    assert_eq!(asked(&mut engine).0, B);
    engine.message_received(B, RpcMessage::Methods(vec![name("put")]), ms(2));
    assert_eq!(outputs(&mut engine), [event(Event::Told { peer: B, methods: vec![name("put")] })]);
    let id = call(&mut engine, repeatable(), ms(2));
    assert_eq!(outputs(&mut engine), [failed(id, EndCause::NoPeer, vec![])]);
    assert_eq!(engine.call_peer(B, &get(), Bytes::new(), repeatable(), ms(2)), Err(StartError::NotServed));
    assert_eq!(engine.peers_serving(&name("put")).collect::<Vec<_>>(), [B]);
}

#[test]
fn a_call_waits_for_peers_that_are_expected_and_no_longer() {
    let mut engine = engine(Config::default());
    engine.peer_expected(ms(0));
    let id = call(&mut engine, repeatable(), ms(1));
    assert_eq!(outputs(&mut engine), []);
    engine.peer_connected(A, ms(5));
    let requests = |output: &Output| matches!(output, Output::Send { message: RpcMessage::Request(_), to: A, .. });
    assert_eq!(outputs(&mut engine).iter().filter(|output| requests(output)).count(), 1);
    engine.cancel(id, ms(7)).unwrap();
    engine.peer_disconnected(A, ms(8));
    outputs(&mut engine);

    let by_time = call(&mut engine, repeatable(), ms(1_999));
    assert_eq!(outputs(&mut engine), []);
    engine.handle_timeout(ms(2_000));
    assert_eq!(outputs(&mut engine), [failed(by_time, EndCause::NoPeer, vec![])]);
    let too_late = call(&mut engine, repeatable(), ms(2_000));
    assert_eq!(outputs(&mut engine), [failed(too_late, EndCause::NoPeer, vec![])]);

    engine.peer_expected(ms(3_000));
    let given_up = call(&mut engine, repeatable(), ms(3_000));
    assert_eq!(outputs(&mut engine), []);
    engine.nobody_expected(ms(3_001));
    assert_eq!(outputs(&mut engine), [failed(given_up, EndCause::NoPeer, vec![])]);
}

#[test]
fn a_pinned_peer_is_first_and_an_excluded_one_never() {
    for pin in [A, B] {
        let mut engine = with_peers(Config::default(), &[A, B]);
        call(&mut engine, CallOptions { pin: Some(pin), ..repeatable() }, ms(0));
        assert_eq!(asked(&mut engine).0, pin);
        let id = call(&mut engine, CallOptions { exclude: vec![pin], ..repeatable() }, ms(0));
        let (first, n) = asked(&mut engine);
        assert_eq!(first, other(pin));
        let refusal = Refusal::new(RefusalKind::Overloaded, "");
        respond(&mut engine, first, n, Err(refusal.clone()), ms(0));
        let tries = vec![tried(first, Failure::Refused(refusal), 0)];
        assert_eq!(outputs(&mut engine), [failed(id, EndCause::Exhausted, tries)]);
    }
}

#[test]
fn answers_are_judged_where_the_caller_wants_it() {
    let mut engine = with_peers(Config::default(), &[A, B]);
    let id = call(&mut engine, CallOptions { validate: true, ..repeatable() }, ms(0));
    assert_eq!(engine.verdict(id, Verdict::Good, ms(0)), Err(CallStateError::NotAnswered));
    let (first, n) = asked(&mut engine);
    respond(&mut engine, first, n, Ok(payload("lie")), ms(10));
    assert_eq!(outputs(&mut engine), [event(Event::Answered { call: id, from: first, payload: payload("lie") })]);
    assert_eq!(engine.next_timeout(), Some(ms(30_000)));
    engine.verdict(id, Verdict::Invalid, ms(12)).unwrap();
    let after = outputs(&mut engine);
    assert_eq!(after[0], conduct(first, Conduct::AnsweredFalsely));
    let Output::Send { to: second, .. } = after[1] else { panic!("{after:?}") };
    assert_eq!((second, after.len()), (other(first), 2));
    respond(&mut engine, second, number(2), Ok(payload("truth")), ms(20));
    outputs(&mut engine);
    assert!(engine.remembers(first) && engine.remembers(second));
    engine.verdict(id, Verdict::Good, ms(25)).unwrap();
    let elapsed = Duration::from_millis(8);
    let answer = Answer { from: second, payload: payload("truth"), elapsed };
    assert_eq!(
        outputs(&mut engine),
        [conduct(second, Conduct::Answered { elapsed }), event(Event::Done { call: id, result: Ok(answer), tries: 2 })]
    );
    assert!(!engine.remembers(first));
    assert_eq!(engine.verdict(id, Verdict::Good, ms(25)), Err(CallStateError::Ended));
    let chances: Vec<f64> = engine.explain(&get(), ms(25)).iter().map(|candidate| candidate.chance).collect();
    assert!(chances[first.index()] < 0.2, "{chances:?}");
}

#[test]
fn a_call_without_verdict_ends_at_its_deadline() {
    let mut engine = with_peers(Config::default(), &[A]);
    let id = call(&mut engine, CallOptions { validate: true, ..repeatable() }, ms(0));
    let (_, n) = asked(&mut engine);
    respond(&mut engine, A, n, Ok(payload("?")), ms(10));
    outputs(&mut engine);
    engine.handle_timeout(ms(30_000));
    assert_eq!(outputs(&mut engine), [failed(id, EndCause::OutOfTime, vec![tried(A, Failure::GivenUp, 10)])]);
}

#[test]
fn late_doubled_and_invented_answers_resolve_nothing() {
    let mut engine = with_peers(Config::default(), &[A, B]);
    call(&mut engine, CallOptions { pin: Some(A), ..repeatable() }, ms(0));
    asked(&mut engine);
    engine.handle_timeout(ms(10_000));
    let after = outputs(&mut engine);
    assert!(matches!(after[1], Output::Send { to: B, .. }), "{after:?}");
    respond(&mut engine, A, number(1), Ok(payload("late")), ms(10_001));
    assert_eq!((outputs(&mut engine), engine.stats().late), (vec![], 1));
    for (from, n) in [(A, 1), (A, 2), (B, 1), (B, 9)] {
        respond(&mut engine, from, number(n), Ok(payload("invented")), ms(10_002));
        assert_eq!(outputs(&mut engine), [conduct(from, Conduct::BrokeProtocol)], "{from:?} {n}");
    }
    assert_eq!(engine.stats().unasked, 4);
    engine.peer_disconnected(A, ms(10_003));
    let again = Slot::new(0, 1);
    engine.peer_connected(again, ms(10_003));
    outputs(&mut engine);
    respond(&mut engine, again, number(1), Ok(payload("of an earlier connection")), ms(10_004));
    respond(&mut engine, A, number(1), Ok(payload("from a stale slot")), ms(10_004));
    assert_eq!((outputs(&mut engine), engine.stats().late), (vec![], 2));
    assert_eq!(engine.calls_pending(), 1);
}

#[test]
fn a_peer_that_returns_is_not_asked_again_in_the_same_call() {
    let mut engine = with_peers(Config::default(), &[A]);
    engine.peer_connected(B, ms(0));
    outputs(&mut engine);
    let id = call(&mut engine, repeatable(), ms(0));
    asked(&mut engine);
    engine.peer_disconnected(A, ms(1));
    assert_eq!(asked(&mut engine).0, B);
    assert!(engine.remembers(A));
    let again = Slot::new(0, 1);
    engine.peer_connected(again, ms(2));
    engine.peer_returned(A, again, ms(2));
    engine.message_received(again, RpcMessage::Methods(vec![get()]), ms(2));
    outputs(&mut engine);
    engine.peer_disconnected(B, ms(3));
    let tries = vec![tried(A, Failure::Lost, 1), tried(B, Failure::Lost, 2)];
    assert_eq!(outputs(&mut engine), [failed(id, EndCause::Exhausted, tries)]);
}

#[test]
fn calls_wait_for_a_place_and_get_it_in_their_order() {
    let config = Config { pending_per_peer_max: 1, calls_max: 3, ..Config::default() };
    let mut engine = with_peers(config, &[A]);
    call(&mut engine, repeatable(), ms(0));
    let (_, n) = asked(&mut engine);
    let second = call(&mut engine, repeatable(), ms(1));
    let third = engine.call_peer(A, &get(), payload("key"), repeatable(), ms(2)).unwrap();
    assert_eq!(outputs(&mut engine), []);
    assert_eq!(engine.call(&get(), Bytes::new(), repeatable(), ms(2)), Err(StartError::TooManyCalls { max: 3 }));
    respond(&mut engine, A, n, Ok(payload("value")), ms(5));
    let after = outputs(&mut engine);
    assert!(matches!(after[2], Output::Send { to: A, .. }) && after.len() == 3, "{after:?}");
    engine.cancel(second, ms(6)).unwrap();
    let after = outputs(&mut engine);
    let cancel = Output::Send { to: A, message: RpcMessage::Cancel(number(2)), lane: Lane::Calls, expires: None };
    assert_eq!(after[..2], [failed(second, EndCause::Cancelled, vec![tried(A, Failure::GivenUp, 1)]), cancel]);
    assert!(matches!(after[2], Output::Send { to: A, .. }) && after.len() == 3, "{after:?}");
    assert_eq!(engine.cancel(second, ms(6)), Err(CallStateError::Ended));
    let waiting = call(&mut engine, repeatable(), ms(7));
    engine.peer_disconnected(A, ms(8));
    assert_eq!(
        outputs(&mut engine),
        [
            failed(third, EndCause::Exhausted, vec![tried(A, Failure::Lost, 2)]),
            failed(waiting, EndCause::NoPeer, vec![])
        ]
    );
}

#[test]
fn a_full_link_means_not_sent_and_the_peer_rests_until_it_is_writable() {
    let mut engine = with_peers(Config::default(), &[A]);
    let id = engine.call_peer(A, &get(), payload("key"), CallOptions::default(), ms(0)).unwrap();
    let [Output::Send { message, .. }] = &outputs(&mut engine)[..] else { panic!("one request") };
    engine.message_not_sent(A, message, Lane::Calls, ms(0));
    assert_eq!(outputs(&mut engine), [failed(id, EndCause::Exhausted, vec![tried(A, Failure::NotSent, 0)])]);
    call(&mut engine, repeatable(), ms(1));
    assert_eq!(outputs(&mut engine), []);
    engine.peer_writable(A, Lane::Calls, ms(2));
    assert_eq!(asked(&mut engine).0, A);

    engine.register(Method::new("echo").unwrap(), ms(3)).unwrap();
    let [Output::Send { message, .. }] = &outputs(&mut engine)[..] else { panic!("one list") };
    engine.message_not_sent(A, message, Lane::Calls, ms(3));
    engine.peer_writable(A, Lane::Calls, ms(4));
    let list = RpcMessage::Methods(vec![name("echo")]);
    assert_eq!(outputs(&mut engine), [Output::Send { to: A, message: list, lane: Lane::Calls, expires: None }]);
    engine.peer_writable(A, Lane::Calls, ms(5));
    assert_eq!(outputs(&mut engine), []);
}

#[test]
fn sending_waits_for_nothing_and_says_when_it_did_not_leave() {
    let mut engine = with_peers(Config::default(), &[A]);
    assert_eq!(engine.send(B, &get(), Bytes::new(), ms(0)), Err(StartError::NotConnected));
    assert_eq!(engine.send(A, &name("put"), Bytes::new(), ms(0)), Err(StartError::NotServed));
    engine.send(A, &get(), payload("x"), ms(0)).unwrap();
    let request = Request { number: None, method: get(), timeout: None, stream_credit: 0, payload: payload("x") };
    let message = RpcMessage::Request(request);
    let expires = Some(ms(10_000));
    assert_eq!(outputs(&mut engine), [Output::Send { to: A, message: message.clone(), lane: Lane::Calls, expires }]);
    engine.message_not_sent(A, &message, Lane::Calls, ms(0));
    assert_eq!(outputs(&mut engine), [event(Event::NotSent { to: A, method: get() })]);
    assert_eq!(engine.stats(), Stats { sent: 1, not_sent: 1, ..Stats::default() });
}

#[test]
fn limits_on_bytes_hold_at_the_limit() {
    let mut engine = with_peers(Config { calls_bytes_max: 5, ..Config::default() }, &[A]);
    let request = |bytes: &'static [u8]| Bytes::from_static(bytes);
    engine.call(&get(), request(b"12345"), repeatable(), ms(0)).unwrap();
    assert_eq!(engine.call(&get(), request(b"6"), repeatable(), ms(0)), Err(StartError::TooManyBytes { max: 5 }));
    respond(&mut engine, A, number(1), Ok(Bytes::new()), ms(1));
    engine.call(&get(), request(b"6"), repeatable(), ms(1)).unwrap();

    let max = bruit_wire::limits::PAYLOAD_BYTES_MAX;
    let error = engine.call(&get(), vec![0; max + 1].into(), repeatable(), ms(1));
    assert_eq!(error, Err(StartError::TooLarge { bytes: max + 1, max }));
}

#[test]
fn a_large_request_and_its_cancellation_take_the_bulk_lane() {
    let mut engine = with_peers(Config::default(), &[A]);
    let large = vec![0; Lane::BULK_ABOVE + 1];
    let id = engine.call(&get(), large.into(), repeatable(), ms(0)).unwrap();
    engine.cancel(id, ms(0)).unwrap();
    let lanes: Vec<Lane> = outputs(&mut engine)
        .into_iter()
        .filter_map(|output| match output {
            Output::Send { lane, .. } => Some(lane),
            Output::Event(_) | Output::Pause { .. } | Output::Resume { .. } => None,
        })
        .collect();
    assert_eq!(lanes, [Lane::Bulk, Lane::Bulk]);
}

#[test]
fn an_answer_larger_than_the_method_allows_is_false() {
    let mut engine = with_peers(Config::default(), &[A]);
    engine.register(Method { response_bytes_max: 2, ..Method::idempotent("get").unwrap() }, ms(0)).unwrap();
    outputs(&mut engine);
    let id = call(&mut engine, CallOptions::default(), ms(0));
    let (_, n) = asked(&mut engine);
    respond(&mut engine, A, n, Ok(payload("333")), ms(1));
    let expected = failed(id, EndCause::Exhausted, vec![tried(A, Failure::Invalid, 1)]);
    assert_eq!(outputs(&mut engine), [conduct(A, Conduct::AnsweredFalsely), expected]);
}

#[test]
fn quality_moves_choice_and_all_at_zero_is_still_a_choice() {
    let mut engine = with_peers(Config::default(), &[A, B]);
    engine.set_quality(A, 0.0);
    engine.set_quality(A, f32::NAN);
    engine.set_quality(B, 7.0);
    let candidates = engine.explain(&get(), ms(0));
    assert_eq!((candidates[0].quality, candidates[1].quality), (0.0, 1.0));
    assert_eq!(candidates[0].chance, Config::default().floor / 2.0);
    engine.set_quality(B, -1.0);
    let even: Vec<f64> = engine.explain(&get(), ms(0)).iter().map(|candidate| candidate.chance).collect();
    assert_eq!(even, [0.5, 0.5]);
    call(&mut engine, repeatable(), ms(0));
    asked(&mut engine);
}

#[test]
fn a_request_says_no_more_than_the_wire_carries() {
    let mut engine = with_peers(Config::default(), &[A]);
    let options = CallOptions { deadline: Some(Duration::from_micros(1_999)), ..repeatable() };
    let now = Timestamp::from_micros(7);
    call(&mut engine, options, now);
    let sent = outputs(&mut engine);
    let [Output::Send { message: RpcMessage::Request(request), .. }] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(request.timeout, Some(Duration::from_millis(1)));
}
