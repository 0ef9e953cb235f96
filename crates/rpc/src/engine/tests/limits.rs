use super::*;
use crate::Rate;

fn request(n: u64, method: &str) -> RpcMessage {
    RpcMessage::Request(Request {
        number: NonZeroU64::new(n),
        method: name(method),
        timeout: None,
        stream_credit: 0,
        payload: Bytes::new(),
    })
}

fn server(config: Config, methods: &[Method]) -> Engine {
    let mut engine = with_peers(config, &[A, B]);
    methods.iter().for_each(|method| engine.register(method.clone(), ms(0)).unwrap());
    outputs(&mut engine);
    engine
}

fn is_refused(engine: &mut Engine, expected: RefusalKind) -> bool {
    let outputs = outputs(engine);
    let [Output::Send { message: RpcMessage::Response(Response { result: Err(refusal), .. }), .. }] = &outputs[..]
    else {
        return false;
    };
    refusal.kind == expected
}

#[test]
fn fault_a_flood_of_requests_is_refused_cheaply_and_leaves_others_their_share() {
    let costly = Method { cost: 10, ..Method::idempotent("get").unwrap() };
    let free = Method { cost: 0, ..Method::idempotent("free").unwrap() };
    let config = Config { cost_per_second: 100.0, cost_burst: 50, ..Config::default() };
    let mut engine = server(config, &[costly, free]);
    for n in 1..=1_000 {
        engine.message_received(A, request(n, "get"), ms(0));
        assert_eq!(is_refused(&mut engine, RefusalKind::Overloaded), n > 5, "request {n}");
    }
    assert_eq!((engine.stats().served, engine.stats().refused), (5, 995));
    outputs(&mut engine);
    engine.message_received(B, request(1, "get"), ms(0));
    engine.message_received(A, request(2_000, "free"), ms(0));
    engine.message_received(A, request(2_001, "get"), ms(100));
    assert_eq!(engine.stats().served, 8, "another peer, what is free, and what a tenth of a second brought");
}

#[test]
fn fault_one_method_has_a_limit_of_its_own() {
    let rate = Some(Rate { per_second: 1.0, burst: 2 });
    let rare = Method { rate, ..Method::idempotent("rare").unwrap() };
    let mut engine = server(Config::default(), &[rare, Method::idempotent("get").unwrap()]);
    for n in 1..=3 {
        engine.message_received(A, request(n, "rare"), ms(0));
    }
    engine.message_received(A, request(4, "get"), ms(0));
    engine.message_received(B, request(1, "rare"), ms(0));
    assert_eq!((engine.stats().served, engine.stats().refused), (4, 1));
    engine.message_received(A, request(5, "rare"), ms(1_001));
    assert_eq!(engine.stats().served, 5);
}

#[test]
fn who_may_not_ask_is_refused_and_not_told_of_the_method() {
    let special = Class(3);
    let secret = Method { askers: Askers::Class(special), ..Method::idempotent("secret").unwrap() };
    let linked = Method { askers: Askers::Linked, ..Method::idempotent("linked").unwrap() };
    let mut engine = server(Config::default(), &[secret, linked]);
    engine.message_received(A, request(1, "secret"), ms(0));
    assert!(is_refused(&mut engine, RefusalKind::NotAllowed));
    engine.set_class(A, special, ms(0));
    let told = RpcMessage::Methods(vec![name("linked"), name("secret")]);
    assert_eq!(
        outputs(&mut engine),
        [Output::Send { to: A, message: told, lane: Lane::Calls, expires: None }],
        "only who is concerned is told"
    );
    engine.message_received(A, request(1, "secret"), ms(0));
    assert!(matches!(outputs(&mut engine)[..], [Output::Event(Event::Request { .. })]));
    let client = Slot::new(9, 0);
    engine.client_connected(client, ms(0));
    engine.message_received(client, request(1, "linked"), ms(0));
    assert!(is_refused(&mut engine, RefusalKind::NotAllowed));
}

#[test]
fn fault_a_peer_with_all_its_places_taken_is_not_read_until_some_are_free() {
    let config = Config { serving_per_peer_max: 4, ..Config::default() };
    let mut engine = server(config, &[Method::idempotent("get").unwrap()]);
    let mut tickets = Vec::new();
    let mut pauses = 0;
    for n in 1..=4 {
        engine.message_received(A, request(n, "get"), ms(0));
        for output in outputs(&mut engine) {
            match output {
                Output::Event(Event::Request { ticket, .. }) => tickets.push(ticket),
                Output::Pause { from: A } => pauses += 1,
                other @ (Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_)) => {
                    panic!("{other:?}")
                }
            }
        }
    }
    assert_eq!((tickets.len(), pauses), (4, 1));
    engine.message_received(A, request(5, "get"), ms(0));
    assert!(is_refused(&mut engine, RefusalKind::Overloaded), "what had been read already");
    engine.answer(tickets[0], Ok(Bytes::new()), ms(1)).unwrap();
    assert!(matches!(outputs(&mut engine)[..], [Output::Resume { from: A }, Output::Send { to: A, .. }]));
}

#[test]
fn who_owes_an_answer_is_read_although_its_places_are_taken() {
    let config = Config { serving_per_peer_max: 1, ..Config::default() };
    let mut engine = server(config, &[Method::idempotent("get").unwrap()]);
    engine.message_received(A, request(1, "get"), ms(0));
    assert!(matches!(outputs(&mut engine)[..], [Output::Pause { from: A }, _]));
    engine.call_peer(A, &get(), Bytes::new(), repeatable(), ms(1)).unwrap();
    assert!(matches!(outputs(&mut engine)[..], [Output::Resume { from: A }, Output::Send { to: A, .. }]));
    engine.call_peer(B, &get(), Bytes::new(), repeatable(), ms(1)).unwrap();
    outputs(&mut engine);
    engine.message_received(B, request(1, "get"), ms(2));
    assert!(matches!(outputs(&mut engine)[..], [Output::Event(Event::Request { .. })]));
}

#[test]
fn shutting_down_refuses_politely_and_lets_end_what_is_under_way() {
    let mut engine = server(Config::default(), &[Method::idempotent("get").unwrap()]);
    engine.message_received(A, request(1, "get"), ms(0));
    let after = outputs(&mut engine);
    let [Output::Event(Event::Request { ticket, .. })] = &after[..] else { panic!("{after:?}") };
    let id = call(&mut engine, repeatable(), ms(0));
    let (peer, number) = asked(&mut engine);
    engine.shut_down(ms(1));
    let nothing = |to| Output::Send { to, message: RpcMessage::Methods(vec![]), lane: Lane::Calls, expires: None };
    assert_eq!(outputs(&mut engine), [nothing(A), nothing(B)]);
    engine.message_received(B, request(1, "get"), ms(1));
    assert!(is_refused(&mut engine, RefusalKind::Overloaded));
    let refused = engine.call(&get(), Bytes::new(), repeatable(), ms(1));
    assert_eq!(refused, Err(StartError::ShuttingDown));
    respond(&mut engine, peer, number, Ok(Bytes::new()), ms(2));
    assert!(matches!(&outputs(&mut engine)[..], [_, Output::Event(Event::Done { call, .. })] if *call == id));
    engine.answer(*ticket, Ok(Bytes::new()), ms(3)).unwrap();
    let after = outputs(&mut engine);
    assert!(matches!(&after[..], [Output::Event(Event::Drained), Output::Send { .. }]), "{after:?}");
}
