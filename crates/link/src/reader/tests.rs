#![allow(clippy::arithmetic_side_effects, reason = "the numbers are the test's own")]

use std::{collections::VecDeque, io};

use futures::task::noop_waker_ref;
use proptest::prelude::*;

use super::*;

const FRAME_MAX: usize = 100_000;
const LIMITS: BatchLimits = BatchLimits { frame_max: FRAME_MAX, frames: 64, bytes: 64 * 1024 };

/// A stream that gives as much at a time as it is told.
#[derive(Debug, Default)]
struct Wire {
    bytes: VecDeque<u8>,
    /// What each call gives; 0 for nothing now. Everything, when there are no more.
    gives: VecDeque<usize>,
    is_over: bool,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        assert!(!room.is_empty(), "a read without room would look like the end");
        let most = self.gives.pop_front().unwrap_or(usize::MAX);
        let count = room.len().min(most).min(self.bytes.len());
        if count == 0 {
            return if self.is_over && most > 0 { Poll::Ready(Ok(0)) } else { Poll::Pending };
        }
        for (place, byte) in room.iter_mut().zip(self.bytes.drain(..count)) {
            *place = byte;
        }
        Poll::Ready(Ok(count))
    }
}

fn frame(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 5 + number) as u8).collect()
}

fn put(bytes: &mut VecDeque<u8>, frame: &[u8]) {
    let mut rest = frame.len();
    while rest >= 0x80 {
        bytes.push_back(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push_back(rest as u8);
    bytes.extend(frame);
}

fn poll(reader: &mut LaneReader<Wire>, scratch: &mut Scratch) -> Poll<Read> {
    reader.poll(&mut Context::from_waker(noop_waker_ref()), LIMITS, scratch)
}

fn reader(frames: &[Vec<u8>]) -> LaneReader<Wire> {
    let mut wire = Wire { is_over: true, ..Wire::default() };
    frames.iter().for_each(|frame| put(&mut wire.bytes, frame));
    LaneReader::new(wire)
}

fn scratch() -> Scratch {
    Scratch::new(Pool::default())
}

#[test]
fn batches_end_at_64_frames_or_64_kib() {
    let frames: Vec<_> = (0..200).map(|n| frame(n, 10)).chain((0..3).map(|n| frame(n, 50_000))).collect();
    let (mut reader, mut scratch) = (reader(&frames), scratch());
    let mut sizes = Vec::new();
    while let Poll::Ready(Read::Batch(batch)) = poll(&mut reader, &mut scratch) {
        sizes.push(batch.len());
    }
    assert_eq!(sizes, [64, 64, 64, 10, 1]);
    assert_eq!(poll(&mut reader, &mut scratch), Poll::Ready(Read::Ended));
}

#[test]
fn a_prefix_above_the_limit_is_refused_before_memory_is_taken() {
    let mut reader = reader(&[frame(1, 7), frame(2, FRAME_MAX)]);
    put(&mut reader.stream.bytes, &frame(3, FRAME_MAX + 1));
    let mut scratch = scratch();
    assert_eq!(
        poll(&mut reader, &mut scratch),
        Poll::Ready(Read::Batch(vec![frame(1, 7).into(), frame(2, FRAME_MAX).into()]))
    );
    let broken = Read::Broken(FrameError::TooLong { len: FRAME_MAX as u64 + 1, max: FRAME_MAX });
    assert_eq!(poll(&mut reader, &mut scratch), Poll::Ready(broken));
    assert!(reader.long.is_none());
}

#[test]
fn garbage_in_place_of_a_prefix_ends_the_stream_after_what_was_good() {
    let mut reader = reader(&[frame(1, 7)]);
    reader.stream.bytes.extend([0xff; 20]);
    let mut scratch = scratch();
    assert_eq!(poll(&mut reader, &mut scratch), Poll::Ready(Read::Batch(vec![frame(1, 7).into()])));
    for _ in 0..2 {
        assert_eq!(poll(&mut reader, &mut scratch), Poll::Ready(Read::Broken(FrameError::BadPrefix)));
    }
}

#[test]
fn a_stream_that_ends_within_a_frame_gives_nothing_of_it() {
    for cut in [1, 2, 3_000, 4_999] {
        let mut reader = reader(&[frame(1, 5_000)]);
        reader.stream.bytes.truncate(cut);
        assert_eq!(poll(&mut reader, &mut scratch()), Poll::Ready(Read::Ended));
    }
}

#[test]
fn an_idle_reader_holds_no_buffer() {
    let (mut reader, mut scratch) = (reader(&[frame(1, 7)]), scratch());
    reader.stream.is_over = false;
    assert!(poll(&mut reader, &mut scratch).is_ready());
    assert!(poll(&mut reader, &mut scratch).is_pending());
    assert!(reader.buffer.is_none() && scratch.spare.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the stream is cut, the frames are those that were put in, and their memory is not much more than theirs.
    #[test]
    fn any_cut_of_the_stream_gives_the_same_frames(
        lens in proptest::collection::vec(
            prop_oneof![6 => 0..300_usize, 2 => 4_090..4_110_usize, 1 => 16_370..16_400_usize, 1 => 0..FRAME_MAX],
            0..200
        ),
        gives in proptest::collection::vec(prop_oneof![Just(0_usize), 1..10_usize, 1..20_000_usize], 0..300),
    ) {
        let frames: Vec<_> = lens.iter().enumerate().map(|(number, len)| frame(number, *len)).collect();
        let (mut reader, mut scratch) = (reader(&frames), scratch());
        reader.stream.gives = gives.into();
        let mut arrived = Vec::new();
        loop {
            match poll(&mut reader, &mut scratch) {
                Poll::Pending => {}
                Poll::Ready(Read::Batch(batch)) => {
                    prop_assert!(!batch.is_empty() && batch.len() <= LIMITS.frames);
                    prop_assert!(batch.iter().rev().skip(1).map(Bytes::len).sum::<usize>() < LIMITS.bytes);
                    arrived.extend(batch.into_iter().map(Vec::from));
                }
                Poll::Ready(Read::Ended) => break,
                Poll::Ready(Read::Broken(error)) => prop_assert!(false, "{error}"),
            }
        }
        prop_assert_eq!(arrived, frames);
    }
}
