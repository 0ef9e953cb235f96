use bruit_core::{Clock, Timestamp};
use futures::task::noop_waker_ref;
use libp2p_swarm::ConnectionId;
use proptest::prelude::*;

use super::*;
use crate::outbox::Outbox;
use crate::{Config, room::Room};

/// A stream that takes as much at a time as it is told, and fails when it is told to.
#[derive(Debug, Default)]
struct Wire {
    /// What each call takes; 0 for nothing now. Everything, when there are no more.
    takes: VecDeque<usize>,
    fails: bool,
    bytes: Vec<u8>,
    writes: Vec<usize>,
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = match self.takes.pop_front() {
            Some(0) => return Poll::Pending,
            Some(most) => bytes.len().min(most),
            None if self.fails => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            None => bytes.len(),
        };
        self.bytes.extend_from_slice(&bytes[..count]);
        self.writes.push(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const NOW: Timestamp = Timestamp::from_secs(1);
const OPEN_LEN: usize = 3;

fn shared() -> Shared {
    let config = Config { outbox_bytes_max: usize::MAX / 2, ..Config::default() };
    let shared = Shared::new(Outbox::new(2, &config, Room::new(usize::MAX)), Clock::start());
    shared.set_writer(Some(ConnectionId::new_unchecked(1)));
    shared
}

fn slot() -> Slot {
    Slot::new(0, 0)
}

fn frame(number: usize, head: usize, body: usize) -> Frame {
    let byte = |n| (n * 7 + number) as u8;
    Frame { body: Some((0..body).map(byte).collect()), ..Frame::new(1, (0..head).map(byte).collect()) }
}

fn bytes(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = bruit_wire::frame(&pb::LaneOpen { lane: 1 }).to_vec();
    for frame in frames {
        bytes.extend_from_slice(&frame.head);
        bytes.extend_from_slice(frame.body.as_ref().unwrap());
    }
    bytes
}

fn poll(writer: &mut LaneWriter<Wire>, shared: &Shared) -> io::Result<Waiting> {
    writer.poll(&mut Context::from_waker(noop_waker_ref()), shared)
}

#[test]
fn as_long_as_there_is_enough_every_write_has_16_kib() {
    let shared = shared();
    let mut frames: Vec<Frame> = (0..1_000).map(|n| frame(n, 20, 236)).collect();
    frames.extend((0..10).map(|n| frame(n, 40, 65_536)));
    frames.extend((0..100).map(|n| frame(n, 40, 4_096)));
    frames.iter().for_each(|frame| assert_eq!(shared.push(frame.clone(), NOW).result, Ok(0)));
    let mut writer = LaneWriter::new(Wire::default(), slot(), 1);
    assert!(!poll(&mut writer, &shared).unwrap().has_news);

    assert_eq!(writer.stream.bytes, bytes(&frames));
    let writes = &writer.stream.writes;
    assert_eq!(writes[0], OPEN_LEN);
    assert!(writes[1..writes.len() - 1].iter().all(|count| *count == WRITE_BYTES), "{writes:?}");
    assert_eq!(shared.sent(1).frames, 1_110);
    assert!(writer.buffer.capacity() <= WRITE_BYTES);
    assert_eq!(shared.clear(), Tally::default());
}

#[test]
fn nothing_is_taken_for_a_slot_that_is_no_longer_the_peers() {
    let shared = shared();
    let mut writer = LaneWriter::new(Wire::default(), slot(), 1);
    assert_eq!(shared.dismiss(Slot::new(0, 1)), Tally::default());
    assert_eq!(shared.push(frame(0, 1, 1), NOW).result, Ok(0));
    assert!(!poll(&mut writer, &shared).unwrap().has_news);
    assert_eq!(writer.stream.bytes.len(), OPEN_LEN);
    assert_eq!(shared.clear().frames, 1);
}

fn sizes() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let body =
        prop_oneof![5 => 0..300_usize, 2 => 4_000..5_000_usize, 1 => 16_000..17_000_usize, 1 => 0..100_000_usize];
    proptest::collection::vec((1..60_usize, body), 1..80)
}

fn takes() -> impl Strategy<Value = Vec<usize>> {
    let take = prop_oneof![1 => Just(0_usize), 2 => 1..100_usize, 4 => 1..20_000_usize];
    proptest::collection::vec(take, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the stream takes them, the bytes are those of the frames in order.
    #[test]
    fn cutting_anywhere_reproduces_the_frames(sizes in sizes(), takes in takes(), at_once in 1..20_usize) {
        let shared = shared();
        let frames: Vec<Frame> =
            sizes.iter().enumerate().map(|(number, (head, body))| frame(number, *head, *body)).collect();
        let mut writer = LaneWriter::new(Wire { takes: takes.into(), ..Wire::default() }, slot(), 1);
        for some in frames.chunks(at_once) {
            some.iter().for_each(|frame| assert_eq!(shared.push(frame.clone(), NOW).result, Ok(0)));
            prop_assert!(poll(&mut writer, &shared).is_ok());
        }
        while !writer.stream.takes.is_empty() {
            prop_assert!(poll(&mut writer, &shared).is_ok());
            writer.stream.takes.pop_front();
        }
        prop_assert!(poll(&mut writer, &shared).is_ok());
        prop_assert_eq!(&writer.stream.bytes, &bytes(&frames));
        prop_assert!(writer.stream.writes.iter().all(|count| *count <= WRITE_BYTES));
        prop_assert_eq!(shared.sent(1).frames, frames.len() as u64);
        prop_assert_eq!(shared.clear(), Tally::default());
    }

    /// When the stream ends, what is wholly written is sent and all else is lost: together what was pushed.
    #[test]
    fn what_a_broken_stream_took_whole_is_sent_and_the_rest_lost(sizes in sizes(), takes in takes()) {
        let shared = shared();
        let frames: Vec<Frame> =
            sizes.iter().enumerate().map(|(number, (head, body))| frame(number, *head, *body)).collect();
        frames.iter().for_each(|frame| assert_eq!(shared.push(frame.clone(), NOW).result, Ok(0)));
        let mut writer = LaneWriter::new(Wire { takes: takes.into(), fails: true, ..Wire::default() }, slot(), 1);
        let len = bytes(&frames).len();
        while poll(&mut writer, &shared).is_ok() && writer.stream.bytes.len() < len {}
        shared.lane_ended(slot(), 1);

        let mut end = OPEN_LEN;
        let whole = frames.iter().filter(|frame| {
            end += frame.len();
            end <= writer.stream.bytes.len()
        });
        let sent = shared.sent(1);
        prop_assert_eq!(sent.frames, whole.count() as u64);
        prop_assert_eq!(sent.frames + shared.clear().frames, frames.len() as u64);
    }
}
