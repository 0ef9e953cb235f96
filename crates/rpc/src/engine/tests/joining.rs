use super::*;

fn joined() -> CallOptions<Slot> {
    CallOptions { join: true, ..repeatable() }
}

fn done(call: CallId, from: Slot, text: &'static str, millis: u64) -> Output {
    let answer = Answer { from, payload: payload(text), elapsed: Duration::from_millis(millis) };
    event(Event::Done { call, result: Ok(answer), tries: 1 })
}

fn cancelled(call: CallId, tried: Vec<Tried<Slot>>, cause: EndCause) -> Output {
    failed(call, cause, tried)
}

#[test]
fn equal_calls_are_asked_once_and_answered_to_all() {
    let mut engine = with_peers(Config::default(), &[A, B]);
    let first = call(&mut engine, joined(), ms(0));
    let (peer, number) = asked(&mut engine);
    let second = call(&mut engine, joined(), ms(1));
    let third = call(&mut engine, joined(), ms(2));
    assert_eq!((outputs(&mut engine), engine.calls_pending(), engine.stats().joined), (vec![], 3, 2));
    engine.call(&get(), payload("other"), joined(), ms(2)).unwrap();
    call(&mut engine, repeatable(), ms(2));
    assert_eq!(outputs(&mut engine).len(), 2, "what is not equal or not to be joined is asked");

    respond(&mut engine, peer, number, Ok(payload("v")), ms(5));
    let after = outputs(&mut engine);
    assert_eq!(after[1..], [done(second, peer, "v", 5), done(third, peer, "v", 5), done(first, peer, "v", 5)]);
    let next = call(&mut engine, joined(), ms(6));
    asked(&mut engine);
    assert!(next > third, "an answer that is there is not kept");
}

#[test]
fn a_call_taken_back_leaves_its_request_to_who_shares_it() {
    let mut engine = with_peers(Config::default(), &[A]);
    let first = call(&mut engine, joined(), ms(0));
    let (_, number) = asked(&mut engine);
    let second = call(&mut engine, joined(), ms(1));
    let third = call(&mut engine, joined(), ms(1));
    engine.cancel(first, ms(2)).unwrap();
    assert_eq!(outputs(&mut engine), [cancelled(first, vec![], EndCause::Cancelled)]);
    engine.cancel(third, ms(2)).unwrap();
    assert_eq!(outputs(&mut engine), [cancelled(third, vec![], EndCause::Cancelled)]);
    respond(&mut engine, A, number, Ok(payload("v")), ms(3));
    assert_eq!(outputs(&mut engine)[1..], [done(second, A, "v", 3)]);
    assert_eq!((engine.calls_pending(), engine.next_timeout()), (0, None));
    assert_eq!(engine.cancel(first, ms(4)), Err(CallStateError::Ended));
}

#[test]
fn each_has_its_own_deadline() {
    let mut engine = with_peers(Config::default(), &[A]);
    let within = |millis| CallOptions { deadline: Some(Duration::from_millis(millis)), ..joined() };
    let first = call(&mut engine, within(20), ms(0));
    let (_, number) = asked(&mut engine);
    let second = call(&mut engine, within(10), ms(0));
    let third = call(&mut engine, within(1_000), ms(0));
    engine.handle_timeout(ms(10));
    assert_eq!(outputs(&mut engine), [cancelled(second, vec![], EndCause::OutOfTime)]);
    engine.handle_timeout(ms(20));
    let timed_out = vec![tried(A, Failure::TimedOut, 20)];
    let after = outputs(&mut engine);
    assert_eq!(after[..1], [cancelled(first, timed_out.clone(), EndCause::OutOfTime)]);
    let exhausted = event(Event::Done {
        call: third,
        result: Err(CallError { method: get(), cause: EndCause::Exhausted, tried: timed_out }),
        tries: 1,
    });
    assert_eq!(after[1..], [exhausted], "nobody else is there to be asked");
    respond(&mut engine, A, number, Ok(payload("v")), ms(30));
    assert_eq!((outputs(&mut engine), engine.stats().late), (vec![], 1));
}

#[test]
fn the_first_judge_judges_for_all() {
    let mut engine = with_peers(Config::default(), &[A]);
    let first = call(&mut engine, CallOptions { validate: true, ..joined() }, ms(0));
    let (_, number) = asked(&mut engine);
    let second = call(&mut engine, CallOptions { validate: true, ..joined() }, ms(0));
    respond(&mut engine, A, number, Ok(payload("v")), ms(1));
    outputs(&mut engine);
    assert_eq!(engine.verdict(second, Verdict::Good, ms(1)), Err(CallStateError::Ended));
    engine.cancel(first, ms(2)).unwrap();
    let judged = event(Event::Answered { call: second, from: A, payload: payload("v") });
    assert_eq!(outputs(&mut engine)[1..], [judged], "the next one judges when the first is gone");
    engine.verdict(second, Verdict::Good, ms(3)).unwrap();
    assert_eq!(outputs(&mut engine)[1..], [done(second, A, "v", 1)]);
}

#[test]
fn fault_who_judges_is_given_no_answer_that_nobody_judged() {
    let judging = || CallOptions { validate: true, ..joined() };
    let mut engine = with_peers(Config::default(), &[A]);
    let plain = call(&mut engine, joined(), ms(0));
    let (_, first) = asked(&mut engine);
    let judge = call(&mut engine, judging(), ms(0));
    let (_, second) = asked(&mut engine);
    let follows = [call(&mut engine, joined(), ms(0)), call(&mut engine, judging(), ms(0))];
    assert_eq!((outputs(&mut engine), engine.stats().joined), (vec![], 2), "they share what is judged");
    respond(&mut engine, A, first, Ok(payload("v")), ms(1));
    assert_eq!(outputs(&mut engine)[1..], [done(plain, A, "v", 1)]);
    engine.cancel(judge, ms(2)).unwrap();
    outputs(&mut engine);
    respond(&mut engine, A, second, Ok(payload("v")), ms(3));
    let judged = event(Event::Answered { call: follows[1], from: A, payload: payload("v") });
    assert_eq!(outputs(&mut engine), [judged], "who judges goes on before who does not");
    engine.verdict(follows[1], Verdict::Good, ms(4)).unwrap();
    assert_eq!(outputs(&mut engine)[1..], [done(follows[0], A, "v", 3), done(follows[1], A, "v", 3)]);
}
