use super::*;

fn request(number: Option<u64>, method: &str, timeout: Option<u64>) -> RpcMessage {
    RpcMessage::Request(Request {
        number: number.and_then(NonZeroU64::new),
        method: name(method),
        timeout: timeout.map(Duration::from_millis),
        stream_credit: 0,
        payload: payload("key"),
    })
}

fn server(config: Config) -> Engine {
    let mut engine = engine(config);
    let method = Method {
        request_bytes_max: 4,
        response_bytes_max: 5,
        timeout: Duration::from_secs(2),
        ..Method::idempotent("get").unwrap()
    };
    engine.register(method, ms(0)).unwrap();
    engine.peer_connected(A, ms(0));
    let list = RpcMessage::Methods(vec![get()]);
    assert_eq!(outputs(&mut engine), [Output::Send { to: A, message: list, lane: Lane::Calls, expires: None }]);
    engine
}

fn response(n: u64, result: Result<Bytes, Refusal>, expires: Option<Timestamp>) -> Output {
    let message = RpcMessage::Response(Response { number: number(n), result, chunks: 0 });
    Output::Send { to: A, message, lane: Lane::Calls, expires }
}

fn refused(n: u64, kind: RefusalKind, reason: &str) -> Output {
    response(n, Err(Refusal::new(kind, reason)), None)
}

/// All outputs but those that say when to read.
fn messages(engine: &mut Engine) -> Vec<Output> {
    let mut outputs = outputs(engine);
    outputs.retain(|output| !matches!(output, Output::Pause { .. } | Output::Resume { .. }));
    outputs
}

/// The only output besides a pause, which must be a request: its ticket.
fn ticket(engine: &mut Engine) -> Ticket {
    let outputs = messages(engine);
    let [Output::Event(Event::Request { ticket, .. })] = &outputs[..] else {
        panic!("one request expected: {outputs:?}");
    };
    *ticket
}

#[test]
fn a_request_is_passed_on_and_answered_once() {
    let mut engine = server(Config::default());
    engine.message_received(A, request(Some(7), "get", Some(1_000)), ms(0));
    let expected = Event::Request {
        from: A,
        method: get(),
        payload: payload("key"),
        ticket: Ticket(1),
        time_left: Duration::from_secs(1),
        wants_answer: true,
        wants_stream: false,
    };
    assert_eq!(outputs(&mut engine), [event(expected)]);
    assert_eq!((engine.serving(), engine.next_timeout()), (1, Some(ms(1_000))));
    engine.answer(Ticket(1), Ok(payload("value")), ms(5)).unwrap();
    assert_eq!(outputs(&mut engine), [response(7, Ok(payload("value")), Some(ms(1_000)))]);
    assert_eq!(engine.answer(Ticket(1), Ok(payload("again")), ms(5)), Err(AnswerError::Stale));
    assert_eq!((engine.serving(), engine.next_timeout(), outputs(&mut engine)), (0, None, vec![]));
    assert_eq!(engine.stats(), Stats { served: 1, ..Stats::default() });
}

#[test]
fn what_cannot_be_served_is_refused_without_an_event() {
    let mut engine = server(Config::default());
    engine.message_received(A, request(Some(1), "put", None), ms(0));
    assert_eq!(outputs(&mut engine), [refused(1, RefusalKind::NoSuchMethod, "")]);
    let large =
        Request { number: Some(number(2)), method: get(), timeout: None, stream_credit: 0, payload: payload("12345") };
    engine.message_received(A, RpcMessage::Request(large), ms(0));
    assert_eq!(
        outputs(&mut engine),
        [refused(2, RefusalKind::BadRequest, "the request is larger than the method allows")]
    );
    engine.message_received(A, request(None, "put", None), ms(0));
    assert_eq!(outputs(&mut engine), []);
    assert_eq!(engine.stats(), Stats { refused: 3, ..Stats::default() });
    engine.unregister(&get(), ms(0));
    outputs(&mut engine);
    engine.message_received(A, request(Some(3), "get", None), ms(0));
    assert_eq!(outputs(&mut engine), [refused(3, RefusalKind::NoSuchMethod, "")]);
}

#[test]
fn too_large_an_answer_is_a_failure() {
    let mut engine = server(Config::default());
    engine.message_received(A, request(Some(1), "get", None), ms(0));
    let ticket = ticket(&mut engine);
    let error = AnswerError::TooLarge { bytes: 6, max: 5 };
    assert_eq!(engine.answer(ticket, Ok(payload("123456")), ms(0)), Err(error));
    assert_eq!(outputs(&mut engine), [refused(1, RefusalKind::Failed, "the answer is larger than the method allows")]);
}

#[test]
fn places_are_limited_per_peer_in_all_and_in_bytes() {
    let limits = [
        Config { serving_per_peer_max: 2, ..Config::default() },
        Config { serving_max: 2, ..Config::default() },
        Config { serving_bytes_max: 6, ..Config::default() },
    ];
    for config in limits {
        let mut engine = server(config);
        engine.message_received(A, request(Some(1), "get", None), ms(0));
        let first = ticket(&mut engine);
        engine.message_received(A, request(None, "get", None), ms(0));
        ticket(&mut engine);
        engine.message_received(A, request(Some(3), "get", None), ms(0));
        assert_eq!(messages(&mut engine), [refused(3, RefusalKind::Overloaded, "")]);
        engine.answer(first, Err(Refusal::cannot_satisfy("")), ms(1)).unwrap();
        assert_eq!(messages(&mut engine), [refused(1, RefusalKind::CannotSatisfy, "")]);
        engine.message_received(A, request(Some(3), "get", None), ms(1));
        ticket(&mut engine);
    }
}

#[test]
fn a_request_taken_back_keeps_its_place_until_let_go() {
    let mut engine = server(Config { serving_max: 1, ..Config::default() });
    engine.message_received(A, request(Some(1), "get", None), ms(0));
    let ticket = ticket(&mut engine);
    engine.message_received(A, RpcMessage::Cancel(number(9)), ms(1));
    assert_eq!(outputs(&mut engine), []);
    engine.message_received(A, RpcMessage::Cancel(number(1)), ms(1));
    assert_eq!(outputs(&mut engine), [event(Event::Cancelled { ticket, cause: CancelCause::TakenBack })]);
    engine.message_received(A, request(Some(1), "get", None), ms(2));
    assert_eq!(outputs(&mut engine), [refused(1, RefusalKind::Overloaded, "")]);
    assert_eq!(engine.answer(ticket, Ok(Bytes::new()), ms(3)), Err(AnswerError::Stale));
    assert_eq!((engine.serving(), outputs(&mut engine)), (0, vec![]));
}

#[test]
fn a_disconnected_peer_leaves_stale_tickets() {
    let mut engine = server(Config::default());
    engine.message_received(A, request(Some(1), "get", None), ms(0));
    let ticket = ticket(&mut engine);
    engine.peer_disconnected(A, ms(1));
    assert_eq!(outputs(&mut engine), [event(Event::Cancelled { ticket, cause: CancelCause::Disconnected })]);
    engine.peer_connected(Slot::new(0, 1), ms(1));
    outputs(&mut engine);
    assert_eq!(engine.answer(ticket, Ok(Bytes::new()), ms(2)), Err(AnswerError::Stale));
    assert_eq!(outputs(&mut engine), []);
}

#[test]
fn time_over_frees_the_place_and_tells_who_still_waits() {
    for (waits, is_told) in [(Some(1_000), false), (Some(2_000), false), (Some(2_001), true), (None, true)] {
        let mut engine = server(Config::default());
        engine.message_received(A, request(Some(1), "get", waits), ms(0));
        let ticket = ticket(&mut engine);
        engine.handle_timeout(ms(2_000));
        let mut after = outputs(&mut engine);
        let cancelled = event(Event::Cancelled { ticket, cause: CancelCause::OutOfTime });
        assert_eq!(after.pop(), Some(cancelled), "{waits:?}");
        let told = response(1, Err(Refusal::new(RefusalKind::Failed, "out of time")), waits.map(ms));
        assert_eq!(after, if is_told { vec![told] } else { vec![] });
        assert_eq!((engine.serving(), engine.stats().expired), (0, 1));
        assert_eq!(engine.answer(ticket, Ok(Bytes::new()), ms(2_000)), Err(AnswerError::Stale));
    }
}

#[test]
fn one_way_requests_hold_a_place_and_get_no_answer() {
    let mut engine = server(Config::default());
    engine.message_received(A, request(None, "get", None), ms(0));
    let after = outputs(&mut engine);
    let [Output::Event(Event::Request { ticket, wants_answer: false, .. })] = &after[..] else {
        panic!("{after:?}");
    };
    engine.answer(*ticket, Ok(payload("123456")), ms(0)).unwrap();
    assert_eq!((engine.serving(), outputs(&mut engine)), (0, vec![]));
}

#[test]
fn fault_a_number_used_twice_and_garbage_are_held_against_the_peer() {
    let mut engine = server(Config::default());
    engine.message_received(A, request(Some(1), "get", None), ms(0));
    ticket(&mut engine);
    engine.message_received(A, request(Some(1), "get", None), ms(0));
    assert_eq!(outputs(&mut engine), [conduct(A, Conduct::BrokeProtocol)]);
    engine.garbage_received(A, ms(0));
    assert_eq!(outputs(&mut engine), [conduct(A, Conduct::BrokeProtocol)]);
    engine.message_received(A, RpcMessage::Methods(vec![get(); METHODS_MAX as usize + 1]), ms(0));
    assert_eq!(outputs(&mut engine), [conduct(A, Conduct::BrokeProtocol)]);
    assert_eq!((engine.serving(), engine.stats().garbage), (1, 1));
}

#[test]
fn a_client_is_served_and_never_asked() {
    let mut engine = server(Config::default());
    engine.client_connected(B, ms(0));
    engine.message_received(B, request(Some(1), "get", None), ms(0));
    ticket(&mut engine);
    assert_eq!(engine.explain(&get(), ms(0)).len(), 1);
    let options = CallOptions { pin: Some(B), exclude: vec![A], ..repeatable() };
    let id = call(&mut engine, options, ms(0));
    assert_eq!(outputs(&mut engine), [failed(id, EndCause::NoPeer, vec![])]);
    assert_eq!(engine.send(B, &get(), Bytes::new(), ms(0)), Err(StartError::NotConnected));
    engine.register(Method::new("put").unwrap(), ms(0)).unwrap();
    let after = outputs(&mut engine);
    assert!(matches!(&after[..], [Output::Send { to: A, .. }]), "{after:?}");
}

#[test]
fn methods_are_limited_and_replaced_under_their_name() {
    let mut engine = server(Config { methods_max: 1, ..Config::default() });
    let error = engine.register(Method::new("put").unwrap(), ms(0));
    assert_eq!(error, Err(RegisterError::TooMany { max: 1 }));
    engine.register(Method::new("get").unwrap(), ms(0)).unwrap();
    assert_eq!(outputs(&mut engine), []);
}
