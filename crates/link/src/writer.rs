use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bruit_core::Slot;
use bruit_wire::pb;
use bytes::{Buf, Bytes};
use futures::AsyncWrite;

use crate::{
    frame::{Frame, Tally},
    shared::{Shared, Wanted},
};

/// One write: what yamux makes one frame of, and Noise one message.
const WRITE_BYTES: usize = 16 * 1024;

/// Puts the frames of one lane into writes of exactly 16 KiB, cutting them anywhere, as long as there are enough.
#[derive(Debug)]
pub(crate) struct LaneWriter<S> {
    stream: S,
    slot: Slot,
    lane: usize,
    buffer: Vec<u8>,
    written: usize,
    /// Where in the buffer frames end, and how long each is.
    ends: VecDeque<(usize, usize)>,
    /// The frame that is partly in the buffer or written.
    current: Option<Current>,
    taken: VecDeque<Frame>,
    /// Wholly written since the outbox was told.
    sent: Tally,
    is_flushed: bool,
}

#[derive(Debug)]
struct Current {
    len: usize,
    head: Bytes,
    body: Bytes,
}

/// Why a writer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The owner has to be told something about the outbox.
    pub(crate) has_news: bool,
}

impl<S: AsyncWrite + Unpin> LaneWriter<S> {
    /// Makes a writer whose first frame opens the lane.
    pub(crate) fn new(stream: S, slot: Slot, lane: usize) -> Self {
        let open = bruit_wire::frame(&pb::LaneOpen { lane: lane as u32 });
        Self {
            stream,
            slot,
            lane,
            buffer: open.to_vec(),
            written: 0,
            ends: VecDeque::new(),
            current: None,
            taken: VecDeque::new(),
            sent: Tally::default(),
            is_flushed: false,
        }
    }

    /// Writes until the outbox is empty or the stream takes no more; fails when the stream has ended.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Result<Waiting, io::Error> {
        let mut has_news = false;
        let result = loop {
            match self.poll_write(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Err(error),
                Poll::Pending => break Ok(()),
            }
            self.fill(shared, &mut has_news);
            if self.buffer.is_empty() && self.current.is_none() {
                break self.flush(cx);
            }
        };
        if !self.sent.is_empty() {
            shared.settle(self.slot, self.lane, std::mem::take(&mut self.sent));
        }
        result.map(|()| Waiting { has_news })
    }

    /// Writes the buffer, then what can be written of a long body without copying it.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.buffer[self.written..]))?;
            self.written += wrote(count)?;
            self.is_flushed = false;
            while let Some((end, len)) = self.ends.front()
                && *end <= self.written
            {
                self.sent.count(*len);
                self.ends.pop_front();
            }
        }
        self.buffer.clear();
        self.written = 0;
        while let Some(current) = &mut self.current
            && current.head.is_empty()
            && current.body.len() >= WRITE_BYTES
        {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &current.body[..WRITE_BYTES]))?;
            current.body.advance(wrote(count)?);
            self.is_flushed = false;
            if current.body.is_empty() {
                self.sent.count(current.len);
                self.current = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn fill(&mut self, shared: &Shared, has_news: &mut bool) {
        self.copy_current();
        let room = WRITE_BYTES - self.buffer.len();
        if room == 0 || self.current.is_some() {
            return;
        }
        let wanted = Wanted { bytes: room, sent: std::mem::take(&mut self.sent), is_idle: self.buffer.is_empty() };
        *has_news |= shared.take(self.slot, self.lane, wanted, &mut self.taken);
        while let Some(frame) = self.taken.pop_front() {
            let len = frame.len();
            self.current = Some(Current { len, head: frame.head, body: frame.body.unwrap_or_default() });
            self.copy_current();
        }
    }

    /// Copies what fits of the current frame.
    fn copy_current(&mut self) {
        let Some(current) = &mut self.current else { return };
        for part in [&mut current.head, &mut current.body] {
            let count = part.len().min(WRITE_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(&part[..count]);
            part.advance(count);
        }
        if current.head.is_empty() && current.body.is_empty() {
            self.ends.push_back((self.buffer.len(), current.len));
            self.current = None;
        }
    }

    /// Multiplexers that keep writes to themselves let go of them; what yamux says here means nothing.
    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_flushed {
            return Ok(());
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(result) => {
                self.is_flushed = true;
                result
            }
            Poll::Pending => Ok(()),
        }
    }
}

fn wrote(count: usize) -> io::Result<usize> {
    if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
}

#[cfg(test)]
mod tests;
