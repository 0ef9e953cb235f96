use super::*;

const C: Slot = Slot::new(2, 0);

fn hedged() -> CallOptions<Slot> {
    CallOptions { hedge: Some(true), ..repeatable() }
}

/// An engine that knows that answers take 10 ms.
fn experienced(peers: &[Slot]) -> Engine {
    let mut engine = with_peers(Config::default(), peers);
    for n in 0..32 {
        call(&mut engine, repeatable(), ms(n * 10));
        let (peer, number) = asked(&mut engine);
        respond(&mut engine, peer, number, Ok(payload("v")), ms(n * 10 + 10));
        outputs(&mut engine);
    }
    engine
}

#[test]
fn a_slow_peer_is_followed_by_a_second_and_the_loser_is_taken_back() {
    for first_wins in [false, true] {
        let mut engine = experienced(&[A, B]);
        let id = call(&mut engine, hedged(), ms(1_000));
        let (first, one) = asked(&mut engine);
        let slow_at = engine.next_timeout().unwrap();
        assert!((ms(1_010)..ms(1_014)).contains(&slow_at), "{slow_at:?}");
        engine.handle_timeout(slow_at);
        let (second, two) = asked(&mut engine);
        assert_eq!((second, engine.stats().hedged), (other(first), 1));

        let (winner, number, loser, taken_back) =
            if first_wins { (first, one, second, two) } else { (second, two, first, one) };
        respond(&mut engine, winner, number, Ok(payload("v")), ms(1_020));
        let after = outputs(&mut engine);
        let [
            Output::Event(Event::Conduct { .. }),
            Output::Event(Event::Done { call: done, result: Ok(answer), tries: 2 }),
            Output::Send { to, message: RpcMessage::Cancel(cancelled), lane: Lane::Calls, .. },
        ] = &after[..]
        else {
            panic!("{after:?}");
        };
        assert_eq!((*done, answer.from, *to, *cancelled), (id, winner, loser, taken_back));

        respond(&mut engine, loser, taken_back, Ok(payload("late")), ms(1_021));
        assert_eq!((outputs(&mut engine), engine.stats().late), (vec![], 1));
        assert_eq!(engine.next_timeout(), None);
    }
}

#[test]
fn a_second_peer_that_fails_is_replaced_while_the_first_is_slow() {
    let mut engine = experienced(&[A, B, C]);
    call(&mut engine, hedged(), ms(1_000));
    let (first, _) = asked(&mut engine);
    let slow_at = engine.next_timeout().unwrap();
    engine.handle_timeout(slow_at);
    let (second, two) = asked(&mut engine);
    respond(&mut engine, second, two, Err(Refusal::cannot_satisfy("")), ms(1_015));
    let after = outputs(&mut engine);
    let [Output::Event(Event::Conduct { peer, .. }), Output::Send { to: third, .. }] = &after[..] else {
        panic!("{after:?}");
    };
    assert_eq!(*peer, second);
    assert!(*third != first && *third != second);
}

#[test]
fn an_answer_that_is_judged_false_leaves_the_other_its_chance() {
    let mut engine = experienced(&[A, B]);
    let id = call(&mut engine, CallOptions { validate: true, tries_max: Some(2), ..hedged() }, ms(1_000));
    let (first, one) = asked(&mut engine);
    let slow_at = engine.next_timeout().unwrap();
    engine.handle_timeout(slow_at);
    let (second, two) = asked(&mut engine);
    respond(&mut engine, second, two, Ok(payload("lie")), ms(1_020));
    respond(&mut engine, first, one, Ok(payload("truth")), ms(1_021));
    let judged = |from, text| event(Event::Answered { call: id, from, payload: payload(text) });
    assert_eq!(outputs(&mut engine), [judged(second, "lie")]);
    engine.verdict(id, Verdict::Invalid, ms(1_022)).unwrap();
    assert_eq!(outputs(&mut engine), [conduct(second, Conduct::AnsweredFalsely), judged(first, "truth")]);
    engine.verdict(id, Verdict::Good, ms(1_023)).unwrap();
    let after = outputs(&mut engine);
    assert!(matches!(&after[..], [_, Output::Event(Event::Done { result: Ok(_), tries: 2, .. })]), "{after:?}");
}

#[test]
fn what_must_not_run_twice_is_never_hedged() {
    let mut engine = experienced(&[A, B]);
    call(&mut engine, CallOptions { is_idempotent: Some(false), ..hedged() }, ms(1_000));
    asked(&mut engine);
    assert_eq!(engine.next_timeout(), Some(ms(11_000)));
}

#[test]
fn the_preferred_class_is_asked_first_while_one_of_it_is_fit() {
    let special = Class(1);
    for seed in 0..20 {
        let mut engine = Engine::new(Config::default().validate().unwrap(), Seed::from_number(seed));
        for slot in [A, B, C] {
            engine.peer_connected(slot, ms(0));
            engine.message_received(slot, RpcMessage::Methods(vec![get()]), ms(0));
        }
        engine.set_class(C, special, ms(0));
        outputs(&mut engine);
        call(&mut engine, CallOptions { prefer: Some(special), ..repeatable() }, ms(0));
        let (first, number) = asked(&mut engine);
        assert_eq!(first, C);
        engine.message_received(
            C,
            RpcMessage::Response(Response { number, result: Err(Refusal::cannot_satisfy("")), chunks: 0 }),
            ms(1),
        );
        let after = outputs(&mut engine);
        assert!(matches!(&after[..], [_, Output::Send { to: A | B, .. }]), "{after:?}");
    }
}
