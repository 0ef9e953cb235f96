use super::*;
use crate::{Chunk, ChunkError, Credit};

const PART: usize = 100_000;
const COST: u32 = PART as u32 + Chunk::OVERHEAD;

pub(super) fn config() -> Config {
    Config { stream_window: 6 * COST, idle_timeout: Duration::from_secs(1), ..Config::default() }
}

fn streamed() -> CallOptions<Slot> {
    CallOptions { stream: true, ..repeatable() }
}

fn chunk(number: NonZeroU64, index: u32) -> RpcMessage {
    RpcMessage::Chunk(Chunk { number, index, payload: vec![index as u8; PART].into() })
}

pub(super) fn bulk(to: Slot, message: RpcMessage) -> Output {
    Output::Send { to, message, lane: Lane::Bulk, expires: None }
}

fn credit(number: NonZeroU64, bytes: u32) -> Output {
    Output::Send { to: A, message: RpcMessage::Credit(Credit { number, bytes }), lane: Lane::Calls, expires: None }
}

/// A call of a streamed answer, and its request's number.
fn asking(options: CallOptions<Slot>) -> (Engine, CallId, NonZeroU64) {
    let mut engine = with_peers(config(), &[A]);
    let id = call(&mut engine, options, ms(0));
    let (_, number) = asked(&mut engine);
    (engine, id, number)
}

/// A server that is asked for a stream of so much credit.
fn asked_for(stream_credit: u32) -> (Engine, Ticket) {
    let mut engine = with_peers(config(), &[A]);
    engine.register(Method::idempotent("get").unwrap(), ms(0)).unwrap();
    outputs(&mut engine);
    let timeout = Some(Duration::from_secs(60));
    let request = Request { number: Some(number(1)), method: get(), timeout, stream_credit, payload: Bytes::new() };
    engine.message_received(A, RpcMessage::Request(request), ms(0));
    let after = outputs(&mut engine);
    let [Output::Event(Event::Request { ticket, wants_stream: true, .. })] = &after[..] else { panic!("{after:?}") };
    (engine, *ticket)
}

#[test]
fn chunks_come_in_order_and_credit_follows_what_the_reader_takes() {
    let (mut engine, id, n) = asking(streamed());
    for index in 0..4 {
        engine.message_received(A, chunk(n, index), ms(u64::from(index)));
    }
    let parts = outputs(&mut engine);
    assert_eq!(parts.len(), 4);
    assert_eq!(parts[3], event(Event::Chunk { call: id, from: A, payload: vec![3; PART].into() }));
    engine.chunk_taken(id, ms(5)).unwrap();
    engine.chunk_taken(id, ms(5)).unwrap();
    assert_eq!(outputs(&mut engine), []);
    engine.chunk_taken(id, ms(5)).unwrap();
    assert_eq!(outputs(&mut engine), [credit(n, 3 * COST)]);
    engine.chunk_taken(id, ms(5)).unwrap();
    assert_eq!(outputs(&mut engine), [credit(n, COST)], "nothing is left to be taken");
    assert_eq!(engine.chunk_taken(id, ms(5)), Err(CallStateError::NotAnswered));
    let end = Response { number: n, result: Ok(payload("end")), chunks: 4 };
    engine.message_received(A, RpcMessage::Response(end), ms(9));
    let answer = Answer { from: A, payload: payload("end"), elapsed: Duration::from_millis(9) };
    let good = conduct(A, Conduct::Answered { elapsed: Duration::ZERO });
    assert_eq!(outputs(&mut engine), [good, event(Event::Done { call: id, result: Ok(answer), tries: 1 })]);
    assert_eq!(engine.next_timeout(), None);
}

#[test]
fn a_reader_that_is_slow_is_not_held_against_the_sender_but_standing_still_is() {
    let (mut engine, id, n) = asking(CallOptions { deadline: Some(Duration::from_secs(20)), ..streamed() });
    engine.message_received(A, chunk(n, 0), ms(10));
    outputs(&mut engine);
    assert_eq!(engine.next_timeout(), Some(ms(20_000)), "the reader has something to take");
    engine.chunk_taken(id, ms(5_000)).unwrap();
    outputs(&mut engine);
    assert_eq!(engine.next_timeout(), Some(ms(6_000)));
    engine.handle_timeout(ms(6_000));
    let broken = failed(id, EndCause::BrokenOff, vec![tried(A, Failure::TimedOut, 6_000)]);
    assert_eq!(outputs(&mut engine), [conduct(A, Conduct::TimedOut), broken]);
}

#[test]
fn a_stream_that_fails_before_its_first_chunk_is_asked_of_the_next() {
    let mut engine = with_peers(config(), &[A, B]);
    call(&mut engine, streamed(), ms(0));
    let (first, n) = asked(&mut engine);
    respond(&mut engine, first, n, Err(Refusal::cannot_satisfy("")), ms(1));
    let after = outputs(&mut engine);
    assert!(matches!(&after[..], [_, Output::Send { to, .. }] if *to == other(first)), "{after:?}");
}

#[test]
fn fault_more_than_was_granted_a_missing_part_and_an_endless_answer_end_the_call() {
    let take_back = |n| Output::Send { to: A, message: RpcMessage::Cancel(n), lane: Lane::Calls, expires: None };
    let (mut engine, id, n) = asking(streamed());
    (0..6).for_each(|index| engine.message_received(A, chunk(n, index), ms(1)));
    assert_eq!(outputs(&mut engine).len(), 6);
    engine.message_received(A, chunk(n, 6), ms(1));
    let broken = |failure| failed(id, EndCause::BrokenOff, vec![tried(A, failure, 1)]);
    let unfair = [conduct(A, Conduct::BrokeProtocol), conduct(A, Conduct::AnsweredFalsely)];
    let mut expected = unfair.to_vec();
    expected.extend([broken(Failure::Invalid), take_back(n)]);
    assert_eq!(outputs(&mut engine), expected);
    engine.message_received(A, chunk(n, 7), ms(2));
    assert_eq!((outputs(&mut engine), engine.stats().late), (vec![], 1));

    let (mut engine, _, n) = asking(streamed());
    engine.message_received(A, chunk(n, 0), ms(1));
    engine.message_received(A, chunk(n, 2), ms(1));
    assert_eq!(outputs(&mut engine)[1..], [broken(Failure::Incomplete), take_back(n)]);

    let (mut engine, _, n) = asking(CallOptions { stream_bytes_max: Some(u64::from(COST)), ..streamed() });
    engine.message_received(A, chunk(n, 0), ms(1));
    engine.message_received(A, chunk(n, 1), ms(1));
    let endless = [conduct(A, Conduct::AnsweredFalsely), broken(Failure::Invalid), take_back(n)];
    assert_eq!(outputs(&mut engine)[1..], endless);
}

#[test]
fn fault_chunks_nobody_asked_for_are_held_against_the_peer() {
    let (mut engine, _, n) = asking(repeatable());
    engine.message_received(A, chunk(n, 0), ms(1));
    assert_eq!(outputs(&mut engine)[0], conduct(A, Conduct::BrokeProtocol), "the answer was wanted in one piece");
    engine.message_received(A, chunk(number(99), 0), ms(1));
    assert_eq!(outputs(&mut engine), [conduct(A, Conduct::BrokeProtocol)]);
    engine.message_received(A, RpcMessage::Credit(Credit { number: number(99), bytes: 1 }), ms(1));
    assert_eq!(outputs(&mut engine), [], "it may have crossed the end of an answer");
}

#[test]
fn fault_a_slow_reader_stops_the_sender_and_costs_no_memory() {
    let (mut engine, ticket) = asked_for(2 * COST);
    let part = || Bytes::from(vec![1; PART]);
    let sent = |index| bulk(A, RpcMessage::Chunk(Chunk { number: number(1), index, payload: part() }));
    assert_eq!(engine.send_chunk(ticket, part(), ms(1)), Ok(()));
    assert_eq!(engine.send_chunk(ticket, part(), ms(1)), Ok(()));
    assert_eq!(outputs(&mut engine), [sent(0), sent(1)]);
    for _ in 0..1_000 {
        assert_eq!(engine.send_chunk(ticket, part(), ms(1)), Err(ChunkError::NoRoom));
    }
    assert_eq!((outputs(&mut engine), engine.room(ticket)), (vec![], 0));
    engine.message_received(A, RpcMessage::Credit(Credit { number: number(1), bytes: COST }), ms(5_000));
    assert_eq!(outputs(&mut engine), [event(Event::Room { ticket, bytes: PART })]);
    assert_eq!(engine.next_timeout(), Some(ms(15_000)), "as long as the reader takes some, the time begins anew");
    assert_eq!(engine.send_chunk(ticket, part(), ms(5_000)), Ok(()));
    engine.answer(ticket, Ok(Bytes::new()), ms(5_001)).unwrap();
    let end = RpcMessage::Response(Response { number: number(1), result: Ok(Bytes::new()), chunks: 3 });
    assert_eq!(outputs(&mut engine), [sent(2), bulk(A, end)]);
    assert_eq!(engine.send_chunk(ticket, part(), ms(5_002)), Err(ChunkError::Stale));
}

#[test]
fn what_a_full_link_did_not_take_is_sent_in_order_when_it_takes_again() {
    let (mut engine, ticket) = asked_for(10 * COST);
    engine.send_chunk(ticket, payload("one"), ms(1)).unwrap();
    let first = outputs(&mut engine);
    let [Output::Send { message, .. }] = &first[..] else { panic!("{first:?}") };
    engine.message_not_sent(A, message, Lane::Bulk, ms(1));
    assert_eq!(engine.send_chunk(ticket, payload("two"), ms(1)), Err(ChunkError::NoRoom));
    engine.answer(ticket, Ok(Bytes::new()), ms(2)).unwrap();
    assert_eq!(outputs(&mut engine), []);
    call(&mut engine, repeatable(), ms(2));
    asked(&mut engine);
    engine.peer_writable(A, Lane::Bulk, ms(3));
    let end = RpcMessage::Response(Response { number: number(1), result: Ok(Bytes::new()), chunks: 1 });
    assert_eq!(outputs(&mut engine), [first[0].clone(), bulk(A, end)]);
}

#[test]
fn an_answer_in_one_piece_is_not_sent_in_chunks() {
    let mut engine = with_peers(config(), &[A]);
    engine.register(Method::idempotent("get").unwrap(), ms(0)).unwrap();
    outputs(&mut engine);
    let request =
        Request { number: Some(number(1)), method: get(), timeout: None, stream_credit: 0, payload: Bytes::new() };
    engine.message_received(A, RpcMessage::Request(request), ms(0));
    let after = outputs(&mut engine);
    let [Output::Event(Event::Request { ticket, wants_stream: false, .. })] = &after[..] else { panic!("{after:?}") };
    assert_eq!(
        (engine.send_chunk(*ticket, Bytes::new(), ms(0)), engine.room(*ticket)),
        (Err(ChunkError::NotWanted), 0)
    );
}

#[test]
fn fault_a_last_part_that_was_lost_is_noticed_by_the_end() {
    let end = |number, chunks| RpcMessage::Response(Response { number, result: Ok(Bytes::new()), chunks });
    let (mut engine, id, n) = asking(streamed());
    engine.message_received(A, chunk(n, 0), ms(1));
    outputs(&mut engine);
    engine.message_received(A, end(n, 2), ms(2));
    assert_eq!(outputs(&mut engine), [failed(id, EndCause::BrokenOff, vec![tried(A, Failure::Incomplete, 2)])]);

    let mut engine = with_peers(config(), &[A, B]);
    call(&mut engine, streamed(), ms(0));
    let (first, n) = asked(&mut engine);
    engine.message_received(first, end(n, 1), ms(1));
    assert_eq!(asked(&mut engine).0, other(first), "nothing was seen of it: the next is asked");
}

#[test]
fn a_stream_that_goes_on_until_the_deadline_is_not_held_against_its_sender() {
    for reads_all in [true, false] {
        let (mut engine, id, n) = asking(CallOptions { deadline: Some(Duration::from_secs(3)), ..streamed() });
        for second in 0..3 {
            engine.message_received(A, chunk(n, second), ms(u64::from(second) * 900));
            if reads_all {
                engine.chunk_taken(id, ms(u64::from(second) * 900 + 400)).unwrap();
            }
        }
        outputs(&mut engine);
        engine.handle_timeout(ms(3_000));
        let broken = failed(id, EndCause::BrokenOff, vec![tried(A, Failure::TimedOut, 3_000)]);
        assert_eq!(outputs(&mut engine), [broken]);
    }
}
