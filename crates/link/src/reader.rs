#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bruit_wire::{FrameError, Prefix, read_prefix};
use bytes::{Buf, Bytes};
use futures::AsyncRead;

use crate::pool::{Buffer, Pool};

const READ_BYTES: usize = 16 * 1024;
/// Longer frames have memory of their own.
const SHARED_FRAME_MAX: usize = 4 * 1024;

/// How much one batch holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) frame_max: usize,
    pub(crate) frames: usize,
    /// No frame is added once there are so many bytes.
    pub(crate) bytes: usize,
}

/// What a lane brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Frames, at least one.
    Batch(Vec<Bytes>),
    /// The stream is over.
    Ended,
    /// A prefix breaks the rules.
    Broken(FrameError),
}

/// Memory that the readers of one connection use in turn.
#[derive(Debug)]
pub(crate) struct Scratch {
    spare: Option<ReadBuffer>,
    pool: Pool,
}

/// Takes the frames of one stream apart.
///
/// # Security
/// A frame that is announced too long is refused before memory is taken for it. At most one read buffer and one frame are held.
#[derive(Debug)]
pub(crate) struct LaneReader<S> {
    stream: S,
    /// Bytes that were read and not yet taken apart; given back when there are none.
    buffer: Option<ReadBuffer>,
    /// A long frame that has not wholly arrived.
    long: Option<(Buffer, usize)>,
    end: Option<Read>,
}

#[derive(Debug)]
struct ReadBuffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Scratch {
    pub(crate) fn new(pool: Pool) -> Self {
        Self { spare: None, pool }
    }

    fn take(&mut self) -> ReadBuffer {
        self.spare.take().unwrap_or_else(|| ReadBuffer { bytes: vec![0; READ_BYTES].into(), start: 0, end: 0 })
    }
}

impl<S: AsyncRead + Unpin> LaneReader<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: None, long: None, end: None }
    }

    /// Reads until a batch is full or there is nothing more to read.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, limits: BatchLimits, scratch: &mut Scratch) -> Poll<Read> {
        let mut batch = Batch { frames: Vec::new(), bytes: 0, limits };
        while self.end.is_none() && !batch.is_full() {
            if let Err(error) = self.take_apart(&mut batch, scratch) {
                self.end = Some(Read::Broken(error));
            } else if !batch.is_full() && !self.read(cx, &mut batch, scratch) {
                break;
            }
        }
        if self.buffer.as_ref().is_some_and(|buffer| buffer.unread().is_empty()) {
            scratch.spare = self.buffer.take();
        }
        if !batch.frames.is_empty() {
            return Poll::Ready(Read::Batch(batch.frames));
        }
        self.end.clone().map_or(Poll::Pending, Poll::Ready)
    }

    /// Reads once; false when there is nothing to read now.
    fn read(&mut self, cx: &mut Context<'_>, batch: &mut Batch, scratch: &mut Scratch) -> bool {
        let room = match &mut self.long {
            Some((frame, filled)) => frame.as_mut().get_mut(*filled..).unwrap_or_default(),
            None => self.buffer.get_or_insert_with(|| scratch.take()).room(),
        };
        match Pin::new(&mut self.stream).poll_read(cx, room) {
            Poll::Pending => return false,
            Poll::Ready(Ok(0) | Err(_)) => self.end = Some(Read::Ended),
            Poll::Ready(Ok(count)) => self.arrived(count, batch),
        }
        true
    }

    fn arrived(&mut self, count: usize, batch: &mut Batch) {
        if let Some((frame, filled)) = self.long.take() {
            let filled = filled.saturating_add(count);
            if filled < frame.as_ref().len() {
                self.long = Some((frame, filled));
            } else {
                batch.push(frame.freeze());
            }
        } else if let Some(buffer) = &mut self.buffer {
            buffer.end = buffer.end.saturating_add(count);
        }
    }

    /// Moves frames from the buffer into the batch.
    fn take_apart(&mut self, batch: &mut Batch, scratch: &Scratch) -> Result<(), FrameError> {
        let Some(buffer) = &mut self.buffer else { return Ok(()) };
        while self.long.is_none() && !batch.is_full() {
            buffer.take_run(batch)?;
            if batch.is_full() {
                return Ok(());
            }
            let Some(prefix) = read_prefix(buffer.unread(), batch.limits.frame_max)? else { return Ok(()) };
            if prefix.frame_len <= SHARED_FRAME_MAX {
                return Ok(());
            }
            buffer.advance(prefix.prefix_len);
            let (here, _) = split_at_most(buffer.unread(), prefix.frame_len);
            let count = here.len();
            if count == prefix.frame_len {
                batch.push(Bytes::copy_from_slice(here));
            } else {
                let mut frame = scratch.pool.take(prefix.frame_len);
                if let Some(start) = frame.as_mut().get_mut(..count) {
                    start.copy_from_slice(here);
                }
                self.long = Some((frame, count));
            }
            buffer.advance(count);
        }
        Ok(())
    }
}

impl ReadBuffer {
    fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Where more can be read to. What is unread is less than a short frame and its prefix, so there is always room.
    fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Copies the short frames at the start that are wholly there into one allocation.
    fn take_run(&mut self, batch: &mut Batch) -> Result<(), FrameError> {
        let mut run_len = 0_usize;
        let mut count = 0_usize;
        let mut bytes = batch.bytes;
        let mut error = None;
        let mut rest = self.unread();
        while batch.has_room(count, bytes) {
            match short_frame(rest, batch.limits.frame_max) {
                Ok(Some((prefix, after))) => {
                    rest = after;
                    run_len = run_len.saturating_add(prefix.prefix_len).saturating_add(prefix.frame_len);
                    bytes = bytes.saturating_add(prefix.frame_len);
                    count = count.saturating_add(1);
                }
                Ok(None) => break,
                Err(broken) => {
                    error = Some(broken);
                    break;
                }
            }
        }
        if count > 0 {
            let mut run = Bytes::copy_from_slice(split_at_most(self.unread(), run_len).0);
            self.advance(run_len);
            batch.frames.reserve(count);
            while let Ok(Some(prefix)) = read_prefix(&run, batch.limits.frame_max) {
                run.advance(prefix.prefix_len);
                batch.push(run.split_to(prefix.frame_len));
            }
        }
        error.map_or(Ok(()), Err)
    }
}

struct Batch {
    frames: Vec<Bytes>,
    bytes: usize,
    limits: BatchLimits,
}

impl Batch {
    fn push(&mut self, frame: Bytes) {
        self.bytes = self.bytes.saturating_add(frame.len());
        self.frames.push(frame);
    }

    fn is_full(&self) -> bool {
        !self.has_room(0, self.bytes)
    }

    fn has_room(&self, more_frames: usize, bytes: usize) -> bool {
        self.frames.len().saturating_add(more_frames) < self.limits.frames && bytes < self.limits.bytes
    }
}

/// The prefix of a short frame that is wholly there, and what follows the frame.
fn short_frame(bytes: &[u8], frame_max: usize) -> Result<Option<(Prefix, &[u8])>, FrameError> {
    let Some(prefix) = read_prefix(bytes, frame_max)? else { return Ok(None) };
    let after = bytes.get(prefix.prefix_len.saturating_add(prefix.frame_len)..);
    Ok(after.filter(|_| prefix.frame_len <= SHARED_FRAME_MAX).map(|after| (prefix, after)))
}

fn split_at_most(bytes: &[u8], count: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(count).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests;
