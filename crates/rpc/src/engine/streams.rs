//! Answers in chunks: what may be under way, who takes how much, and when one stands still.
//!
//! A chunk counts its bytes and some more. The asker grants what it has room for, and grants more as its reader takes chunks;
//! so a slow reader holds up its own stream, and nothing grows on either side.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::VecDeque, time::Duration};

use bruit_core::{Conduct, Slot, Timestamp};
use bruit_wire::limits::PAYLOAD_BYTES_MAX;
use bytes::Bytes;

use super::{Engine, Output};
use crate::{
    config::{Config, LONGEST},
    event::{Event, Failure, Ticket, Tried},
    message::{Chunk, Credit, Lane, RpcMessage},
    options::ChunkError,
};

/// The asker's side of a streamed answer.
pub(super) struct InStream {
    /// What the other side may still send.
    credit: u64,
    /// What was taken and is not granted again yet.
    taken: u64,
    /// The costs of the chunks that the reader has not taken.
    untaken: VecDeque<u64>,
    next_index: u32,
    bytes_left: u64,
    idle_timeout: Duration,
    first_after: Option<Duration>,
    /// Since when the reader waits for the other side, after the first chunk.
    waits_since: Option<Timestamp>,
}

/// What became of taking a chunk.
pub(super) enum Taken {
    /// There was none.
    Nothing,
    /// There was one.
    Chunk { credit: Option<u32>, stands_still_at: Option<Timestamp> },
}

enum Received {
    Kept,
    Missing,
    Unfair,
    Endless,
}

impl InStream {
    pub(super) fn new(config: &Config, idle_timeout: Option<Duration>, bytes_max: Option<u64>) -> Self {
        Self {
            credit: config.stream_window.into(),
            taken: 0,
            untaken: VecDeque::new(),
            next_index: 0,
            bytes_left: bytes_max.unwrap_or(config.stream_bytes_max),
            idle_timeout: idle_timeout.unwrap_or(config.idle_timeout).min(LONGEST),
            first_after: None,
            waits_since: None,
        }
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.next_index > 0
    }

    /// How many chunks came.
    pub(super) const fn received(&self) -> u32 {
        self.next_index
    }

    pub(super) const fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    pub(super) const fn first_after(&self) -> Option<Duration> {
        self.first_after
    }

    /// For how long the reader has waited for the other side; `None` before the first chunk.
    pub(super) fn waited(&self, now: Timestamp) -> Option<Duration> {
        self.has_begun().then(|| self.waits_since.map_or(Duration::ZERO, |since| now.since(since)))
    }

    /// What is granted with the request.
    pub(super) fn window(&self) -> u32 {
        u32::try_from(self.credit).unwrap_or(u32::MAX)
    }

    fn receive(&mut self, chunk: &Chunk, elapsed: Duration) -> Received {
        if chunk.index != self.next_index {
            return Received::Missing;
        }
        let cost = Chunk::cost(chunk.payload.len());
        let Some(credit) = self.credit.checked_sub(cost) else { return Received::Unfair };
        let Some(bytes_left) = self.bytes_left.checked_sub(cost) else { return Received::Endless };
        (self.credit, self.bytes_left) = (credit, bytes_left);
        self.next_index = self.next_index.saturating_add(1);
        self.untaken.push_back(cost);
        self.first_after.get_or_insert(elapsed);
        self.waits_since = None;
        Received::Kept
    }

    pub(super) fn take(&mut self, config: &Config, now: Timestamp) -> Taken {
        let Some(cost) = self.untaken.pop_front() else { return Taken::Nothing };
        self.taken = self.taken.saturating_add(cost);
        // Half a window at a time: the other half is under way meanwhile.
        let is_due = self.taken >= u64::from(config.stream_window / 2) || self.untaken.is_empty();
        let credit = is_due.then(|| std::mem::take(&mut self.taken)).filter(|credit| *credit > 0);
        self.credit = self.credit.saturating_add(credit.unwrap_or(0));
        self.waits_since = self.untaken.is_empty().then_some(now);
        let stands_still_at = self.untaken.is_empty().then(|| now.after(self.idle_timeout));
        Taken::Chunk { credit: credit.map(|credit| u32::try_from(credit).unwrap_or(u32::MAX)), stands_still_at }
    }
}

/// The answerer's side of a streamed answer.
pub(super) struct OutStream {
    credit: u64,
    next_index: u32,
    /// A chunk was refused for want of room.
    is_refused: bool,
}

impl OutStream {
    pub(super) fn new(credit: u32) -> Self {
        Self { credit: credit.into(), next_index: 0, is_refused: false }
    }

    /// How many chunks were sent.
    pub(super) const fn sent(&self) -> u32 {
        self.next_index
    }

    /// How many bytes a chunk may have.
    fn room(&self) -> usize {
        let bytes = self.credit.saturating_sub(Chunk::OVERHEAD.into());
        usize::try_from(bytes).unwrap_or(usize::MAX).min(PAYLOAD_BYTES_MAX)
    }
}

impl Engine {
    /// Sends a part of an answer, if it is wanted in parts; [`answer`](Self::answer) ends it.
    pub fn send_chunk(&mut self, ticket: Ticket, payload: Bytes, now: Timestamp) -> Result<(), ChunkError> {
        let place = self.serving.place_mut(ticket).filter(|place| place.takes_chunks()).ok_or(ChunkError::Stale)?;
        let (Some(number), Some(stream)) = (place.number, &mut place.stream) else { return Err(ChunkError::NotWanted) };
        let bytes = payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(ChunkError::TooLarge { bytes, max: PAYLOAD_BYTES_MAX });
        }
        let to = place.from;
        let peer = self.peers.get(to).ok_or(ChunkError::Stale)?;
        let is_blocked = peer.is_lane_full(Lane::Bulk);
        let Some(credit) = stream.credit.checked_sub(Chunk::cost(bytes)).filter(|_| !is_blocked) else {
            stream.is_refused = true;
            return Err(ChunkError::NoRoom);
        };
        stream.credit = credit;
        let index = stream.next_index;
        stream.next_index = index.saturating_add(1);
        let message = RpcMessage::Chunk(Chunk { number, index, payload });
        self.postpone(ticket, now);
        self.send_in_order(to, message);
        Ok(())
    }

    /// How many bytes a chunk of an answer may have now; 0 where none is wanted.
    pub fn room(&self, ticket: Ticket) -> usize {
        let Some(place) = self.serving.place(ticket).filter(|place| place.takes_chunks()) else { return 0 };
        let is_free = |slot| self.peers.get(slot).is_some_and(|peer| !peer.is_lane_full(Lane::Bulk));
        place.stream.as_ref().filter(|_| is_free(place.from)).map_or(0, OutStream::room)
    }

    pub(super) fn credit_received(&mut self, from: Slot, credit: Credit, now: Timestamp) {
        // One for a request that is not here was on its way when the answer ended.
        let Some(ticket) = self.peers.get(from).and_then(|peer| peer.asking.get(&credit.number)).copied() else {
            return;
        };
        let Some(stream) = self.serving.place_mut(ticket).and_then(|place| place.stream.as_mut()) else {
            self.conduct(from, Conduct::BrokeProtocol);
            return;
        };
        stream.credit = stream.credit.saturating_add(credit.bytes.into());
        if !self.serving.has_ended(ticket) {
            self.postpone(ticket, now);
        }
        self.tell_room(ticket);
    }

    /// Sends a part of a streamed answer, or its end, behind what waits for the link already.
    pub(super) fn send_in_order(&mut self, to: Slot, message: RpcMessage) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        peer.unsent.push_back(message);
        if !peer.is_lane_full(Lane::Bulk) {
            self.streaming.insert(to);
        }
    }

    /// What is next of all streamed answers. One is handed out at a time, so that what is refused is still the first.
    pub(super) fn poll_streams(&mut self) -> Option<Output> {
        while let Some(to) = self.streaming.first().copied() {
            let peer = self.peers.get_mut(to);
            let Some((peer, message)) = peer.and_then(|peer| peer.unsent.pop_front().map(|message| (peer, message)))
            else {
                self.streaming.remove(&to);
                continue;
            };
            if let RpcMessage::Response(response) = &message {
                self.serving.leaving = peer.asking.get(&response.number).copied();
            }
            return Some(Output::Send { to, message, lane: Lane::Bulk, expires: None });
        }
        None
    }

    /// The link did not take a message of a streamed answer: it stays the first.
    pub(super) fn stream_not_sent(&mut self, to: Slot, message: &RpcMessage) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        let is_end = |number| peer.asking.get(&number).is_some_and(|ticket| self.serving.has_ended(*ticket));
        let is_kept = match message {
            RpcMessage::Chunk(chunk) => peer.asking.contains_key(&chunk.number),
            RpcMessage::Response(response) => is_end(response.number),
            RpcMessage::Request(_) | RpcMessage::Cancel(_) | RpcMessage::Methods(_) | RpcMessage::Credit(_) => false,
        };
        if is_kept {
            self.serving.leaving = None;
            peer.unsent.push_front(message.clone());
        }
    }

    /// Lets the streams of a peer go on, behind what the link had not taken.
    pub(super) fn resume_streams(&mut self, to: Slot) {
        let Some(peer) = self.peers.get_mut(to) else { return };
        self.streaming.insert(to);
        let tickets: Vec<Ticket> = peer.asking.values().copied().collect();
        tickets.into_iter().for_each(|ticket| self.tell_room(ticket));
    }

    fn tell_room(&mut self, ticket: Ticket) {
        let bytes = self.room(ticket);
        let Some(stream) = self.serving.place_mut(ticket).and_then(|place| place.stream.as_mut()) else { return };
        if bytes > 0 && std::mem::take(&mut stream.is_refused) {
            self.emit(Event::Room { ticket, bytes });
        }
    }

    pub(super) fn chunk_received(&mut self, from: Slot, chunk: Chunk, now: Timestamp) {
        let Some(peer) = self.peers.get(from) else { return };
        let Some(id) = peer.asked.get(&chunk.number).copied() else {
            if peer.is_late(chunk.number) {
                self.stats.late = self.stats.late.saturating_add(1);
            } else {
                self.stats.unasked = self.stats.unasked.saturating_add(1);
                self.conduct(from, Conduct::BrokeProtocol);
            }
            return;
        };
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        let deadline = call.deadline;
        let Some(ask) = call.asks.iter_mut().find(|ask| ask.number == chunk.number) else { return };
        let elapsed = now.since(ask.since);
        let received = match &mut call.stream {
            Some(stream) => stream.receive(&chunk, elapsed),
            None => Received::Unfair,
        };
        let failure = match received {
            Received::Kept => {
                // While the reader has something to take, it is not the other side that stands still.
                ask.until = deadline;
                self.give_up_others(id, &chunk, now);
                self.rewake(id);
                self.emit(Event::Chunk { call: id, from, payload: chunk.payload });
                return;
            }
            Received::Missing => Failure::Incomplete,
            Received::Endless => Failure::Invalid,
            Received::Unfair => {
                self.conduct(from, Conduct::BrokeProtocol);
                Failure::Invalid
            }
        };
        if let Some(ask) = self.take_ask(id, chunk.number)
            && let Some(call) = self.calls.calls.get(&id)
        {
            let lane = call.lane();
            self.try_failed(id, Tried { peer: from, failure, elapsed }, now);
            self.withdraw(&[ask], lane, now);
        }
    }
}
