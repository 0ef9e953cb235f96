//! Peers that ask for streamed answers and do not read them.

use super::{
    streams::{bulk, config},
    *,
};
use crate::{Chunk, ChunkError};

const PLACES: usize = 3;

fn stream_request(n: u64, timeout: Option<u64>) -> RpcMessage {
    let timeout = timeout.map(Duration::from_millis);
    let (number, stream_credit) = (Some(number(n)), u32::MAX);
    RpcMessage::Request(Request { number, method: get(), timeout, stream_credit, payload: Bytes::new() })
}

/// Asks for a streamed answer; `None` where it is refused.
fn ask_for(engine: &mut Engine, from: Slot, n: u64) -> Option<Ticket> {
    engine.message_received(from, stream_request(n, Some(60_000)), ms(1));
    outputs(engine).into_iter().find_map(|output| match output {
        Output::Event(Event::Request { ticket, .. }) => Some(ticket),
        Output::Event(_) | Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } => None,
    })
}

/// A server whose link to A takes nothing in bulk, with an end that it did not take.
fn unread() -> (Engine, Output) {
    let mut engine = with_peers(Config { serving_per_peer_max: PLACES, ..config() }, &[A, B]);
    engine.register(Method { timeout: Duration::from_secs(2), ..Method::idempotent("get").unwrap() }, ms(0)).unwrap();
    outputs(&mut engine);
    let ticket = ask_for(&mut engine, A, 1).unwrap();
    engine.answer(ticket, Ok(payload("1")), ms(1)).unwrap();
    let end = engine.poll_output().unwrap();
    let Output::Send { message, lane: Lane::Bulk, .. } = &end else { panic!("{end:?}") };
    engine.message_not_sent(A, message, Lane::Bulk, ms(1));
    assert_eq!((outputs(&mut engine), engine.serving()), (vec![], 1));
    (engine, end)
}

#[test]
fn fault_a_peer_that_does_not_read_fills_its_own_places_only() {
    let (mut engine, first) = unread();
    for n in 2..1_000 {
        match ask_for(&mut engine, A, n) {
            Some(ticket) => engine.answer(ticket, Ok(payload("end")), ms(1)).unwrap(),
            None => assert!(n > PLACES as u64),
        }
    }
    assert_eq!((engine.serving(), engine.stats().served, outputs(&mut engine)), (PLACES, 3, vec![]));
    let ticket = ask_for(&mut engine, B, 1).expect("others are served");
    engine.answer(ticket, Ok(Bytes::new()), ms(1)).unwrap();
    assert!(matches!(&outputs(&mut engine)[..], [Output::Send { to: B, .. }]));

    engine.peer_writable(A, Lane::Bulk, ms(2));
    let mut ends = outputs(&mut engine);
    ends.retain(|output| !matches!(output, Output::Resume { .. }));
    let second = RpcMessage::Response(Response { number: number(2), result: Ok(payload("end")), chunks: 0 });
    assert_eq!((&ends[0], &ends[1], ends.len()), (&first, &bulk(A, second), PLACES));
    assert_eq!(engine.serving(), 0);
    assert!(ask_for(&mut engine, A, 5_000).is_some());
}

#[test]
fn what_is_refused_again_keeps_its_order_and_its_place() {
    let (mut engine, first) = unread();
    let ticket = ask_for(&mut engine, A, 2).unwrap();
    engine.answer(ticket, Ok(payload("2")), ms(1)).unwrap();
    for _ in 0..3 {
        engine.peer_writable(A, Lane::Bulk, ms(2));
        let Some(Output::Send { message, .. }) = engine.poll_output() else { panic!("an end") };
        assert_eq!(bulk(A, message.clone()), first);
        engine.message_not_sent(A, &message, Lane::Bulk, ms(2));
        assert_eq!((outputs(&mut engine), engine.serving()), (vec![], 2));
    }
    engine.peer_writable(A, Lane::Bulk, ms(3));
    let ends = outputs(&mut engine);
    assert_eq!((&ends[0], ends.len(), engine.serving()), (&first, 2, 0));
}

#[test]
fn an_end_that_nobody_waits_for_frees_its_place() {
    let (mut engine, _) = unread();
    engine.message_received(A, RpcMessage::Cancel(number(1)), ms(2));
    engine.peer_writable(A, Lane::Bulk, ms(2));
    assert_eq!((outputs(&mut engine), engine.serving(), engine.next_timeout()), (vec![], 0, None), "taken back");

    let (mut engine, _) = unread();
    engine.handle_timeout(ms(2_001));
    engine.peer_writable(A, Lane::Bulk, ms(2_002));
    assert_eq!((outputs(&mut engine), engine.serving(), engine.stats().expired), (vec![], 0, 0), "too old");

    let (mut engine, _) = unread();
    engine.peer_disconnected(A, ms(2));
    assert_eq!((outputs(&mut engine), engine.serving(), engine.next_timeout()), (vec![], 0, None), "gone");
}

#[test]
fn a_stream_whose_time_is_over_ends_without_what_was_not_taken_of_it() {
    let (mut engine, first) = unread();
    engine.peer_writable(A, Lane::Bulk, ms(1));
    assert_eq!(outputs(&mut engine), [first]);
    let ticket = ask_for(&mut engine, A, 2).unwrap();
    engine.send_chunk(ticket, payload("part"), ms(1)).unwrap();
    let Some(Output::Send { message, .. }) = engine.poll_output() else { panic!("a part") };
    assert!(matches!(&message, RpcMessage::Chunk(Chunk { index: 0, .. })));
    engine.message_not_sent(A, &message, Lane::Bulk, ms(1));
    assert_eq!(engine.send_chunk(ticket, payload("part"), ms(1)), Err(ChunkError::NoRoom));
    engine.handle_timeout(ms(2_001));
    assert_eq!(outputs(&mut engine), [event(Event::Cancelled { ticket, cause: CancelCause::OutOfTime })]);
    assert_eq!((engine.serving(), engine.answer(ticket, Ok(Bytes::new()), ms(2_001))), (1, Err(AnswerError::Stale)));
    engine.peer_writable(A, Lane::Bulk, ms(2_002));
    let after = outputs(&mut engine);
    let [Output::Send { message: RpcMessage::Response(response), .. }] = &after[..] else { panic!("{after:?}") };
    assert_eq!(response.result, Err(Refusal::new(RefusalKind::Failed, "out of time")));
    assert_eq!(engine.serving(), 0);
}

#[test]
fn a_large_answer_that_the_link_did_not_take_is_sent_when_it_has_room() {
    let mut engine = with_peers(Config { serving_per_peer_max: PLACES, ..config() }, &[A]);
    engine.register(Method::idempotent("get").unwrap(), ms(0)).unwrap();
    outputs(&mut engine);
    let request =
        Request { number: Some(number(1)), method: get(), timeout: None, stream_credit: 0, payload: Bytes::new() };
    engine.message_received(A, RpcMessage::Request(request), ms(1));
    let [Output::Event(Event::Request { ticket, .. })] = &outputs(&mut engine)[..] else { panic!("one request") };
    engine.answer(*ticket, Ok(vec![7; 100_000].into()), ms(2)).unwrap();
    let answer = engine.poll_output().unwrap();
    let Output::Send { to: A, message, lane: Lane::Bulk, .. } = &answer else { panic!("{answer:?}") };
    engine.message_not_sent(A, message, Lane::Bulk, ms(2));
    assert_eq!((outputs(&mut engine), engine.serving()), (vec![], 1));
    engine.peer_writable(A, Lane::Bulk, ms(3));
    assert_eq!((outputs(&mut engine), engine.serving()), (vec![answer], 0));
}

#[test]
fn fault_credit_keeps_no_place_that_has_ended() {
    let (mut engine, _) = unread();
    let due = engine.next_timeout();
    for n in 1..100 {
        let credit = crate::Credit { number: number(1), bytes: 1 };
        engine.message_received(A, RpcMessage::Credit(credit), ms(1 + n));
    }
    assert_eq!(engine.next_timeout(), due);
    engine.handle_timeout(due.unwrap());
    assert_eq!(engine.serving(), 0);
}

#[test]
fn fault_credit_keeps_no_place_for_more_than_a_day() {
    let mut engine = with_peers(config(), &[A]);
    engine.register(Method { timeout: Duration::from_secs(3_600), ..Method::new("get").unwrap() }, ms(0)).unwrap();
    outputs(&mut engine);
    engine.message_received(A, stream_request(1, None), ms(0));
    for hour in 0..23 {
        let credit = crate::Credit { number: number(1), bytes: 1 };
        engine.message_received(A, RpcMessage::Credit(credit), ms((hour * 3_600 + 3_599) * 1_000));
        engine.handle_timeout(ms((hour * 3_600 + 3_599) * 1_000));
    }
    assert_eq!(engine.serving(), 1);
    engine.message_received(A, RpcMessage::Credit(crate::Credit { number: number(1), bytes: 1 }), ms(86_399_000));
    assert_eq!(engine.next_timeout(), Some(ms(86_400_000)));
}
