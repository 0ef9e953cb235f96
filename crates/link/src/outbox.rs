use std::collections::{BTreeMap, VecDeque};

use bruit_core::Timestamp;

use crate::{
    config::Config,
    frame::{Frame, Priority, Tally},
    room::Room,
};

/// What waits to be sent to one peer, on all lanes together: a limit in bytes, priorities, expiry and replacement.
///
/// Times are on the clock of whoever calls; nothing here reads one.
#[derive(Debug)]
pub(crate) struct Outbox {
    lanes: Vec<Lane>,
    bytes: usize,
    bytes_max: usize,
    /// How much of it only the first lane may use.
    reserved: usize,
    /// How much may wait however little room all have together: one frame.
    assured: usize,
    room: Room,
    /// No queued frame expires before this moment.
    earliest_expiry: Timestamp,
    news: News,
}

/// How much of what is reserved for the first lane it may use however little room all have together: one in so many parts. 8: a guess.
const FIRST_LANE_ONE_IN: usize = 8;

/// What the owner has to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The lanes that take frames again after a refusal, one bit each.
    pub(crate) writable: u8,
    /// Frames that will not be sent.
    pub(crate) lost: Tally,
}

impl News {
    pub(crate) const fn is_empty(&self) -> bool {
        self.writable == 0 && self.lost.is_empty()
    }
}

#[derive(Debug, Default)]
struct Lane {
    bytes: usize,
    refused: bool,
    queues: [Queue; 3],
    keys: BTreeMap<u64, Place>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    /// The number of the first frame; the others count on.
    first: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    priority: Priority,
    number: u64,
}

impl Outbox {
    pub(crate) fn new(lanes: usize, config: &Config, room: Room) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            bytes: 0,
            bytes_max: config.outbox_bytes_max,
            reserved: config.first_lane_reserved,
            assured: config.outbox_bytes_min() - config.first_lane_reserved,
            room,
            earliest_expiry: Timestamp::MAX,
            news: News::default(),
        }
    }

    /// Queues a frame and returns how many it replaced, or gives it back when there is no room.
    /// The clock is read only if there is none.
    pub(crate) fn push(&mut self, frame: Frame, now: impl FnOnce() -> Timestamp) -> Result<u32, Frame> {
        if !self.has_room(&frame) && self.earliest_expiry < Timestamp::MAX {
            self.expire(now());
        }
        if !self.has_room(&frame) {
            self.lanes[frame.lane as usize].refused = true;
            return Err(frame);
        }
        self.add_bytes(frame.cost());
        if let Some(expires) = frame.expires {
            self.earliest_expiry = self.earliest_expiry.min(expires);
        }
        let lane = &mut self.lanes[frame.lane as usize];
        lane.bytes += frame.cost();
        let Some(old) = lane.replace(frame) else { return Ok(0) };
        lane.bytes -= old.cost();
        self.remove_bytes(old.cost());
        Ok(1)
    }

    fn add_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.room.add(bytes);
    }

    fn remove_bytes(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.room.remove(bytes);
    }

    /// Moves frames of a lane out, in order of priority, until they have `bytes_wanted` bytes or there is no more; expired
    /// ones are lost. The clock is read only if something can expire. Returns what was taken.
    pub(crate) fn take(
        &mut self,
        lane: usize,
        bytes_wanted: usize,
        taken: &mut VecDeque<Frame>,
        now: impl FnOnce() -> Timestamp,
    ) -> Tally {
        let now = if self.earliest_expiry < Timestamp::MAX { now() } else { Timestamp::default() };
        let mut tally = Tally::default();
        let mut missing = bytes_wanted;
        while missing > 0
            && let Some(frame) = self.lanes[lane].pop()
        {
            self.remove_bytes(frame.cost());
            self.lanes[lane].bytes -= frame.cost();
            if is_expired(&frame, now) {
                self.news.lost.count(frame.len());
                continue;
            }
            missing = missing.saturating_sub(frame.len());
            tally.count(frame.len());
            taken.push_back(frame);
        }
        self.note_room();
        tally
    }

    /// Counts frames as lost that were taken and will not be sent.
    pub(crate) fn lose(&mut self, taken: Tally) {
        self.news.lost.add(taken);
    }

    /// Drops everything and returns how much was lost in all, and not yet told.
    pub(crate) fn clear(&mut self) -> Tally {
        let mut lost = self.news.lost;
        for lane in &mut self.lanes {
            while let Some(frame) = lane.pop() {
                lost.count(frame.len());
            }
            *lane = Lane::default();
        }
        self.remove_bytes(self.bytes);
        (self.earliest_expiry, self.news) = (Timestamp::MAX, News::default());
        lost
    }

    pub(crate) fn is_empty(&self, lane: usize) -> bool {
        self.lanes[lane].queues.iter().all(|queue| queue.frames.is_empty())
    }

    pub(crate) const fn news(&self) -> &News {
        &self.news
    }

    pub(crate) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    fn has_room(&self, frame: &Frame) -> bool {
        let freed = self.lanes[frame.lane as usize].replaced_by(frame).map_or(0, Frame::cost);
        let kept = if frame.lane == 0 { 0 } else { self.reserved };
        let bytes = self.bytes - freed + frame.cost();
        let assured = if frame.lane == 0 { self.assured + self.reserved / FIRST_LANE_ONE_IN } else { self.assured };
        bytes <= self.bytes_max - kept && (bytes <= assured || bytes <= self.room.share())
    }

    fn expire(&mut self, now: Timestamp) {
        if now < self.earliest_expiry {
            return;
        }
        self.earliest_expiry = Timestamp::MAX;
        for lane in &mut self.lanes {
            let expired = lane.expire(now, &mut self.earliest_expiry);
            let bytes = expired.iter().map(Frame::cost).sum::<usize>();
            lane.bytes -= bytes;
            self.bytes -= bytes;
            self.room.remove(bytes);
            expired.iter().for_each(|frame| self.news.lost.count(frame.len()));
        }
        self.note_room();
    }

    fn note_room(&mut self) {
        if self.bytes == 0 {
            self.earliest_expiry = Timestamp::MAX;
        }
        let is_half_empty = self.bytes < self.bytes_max / 2;
        for (number, lane) in self.lanes.iter_mut().enumerate().filter(|(_, lane)| lane.refused) {
            if is_half_empty || (number == 0 && lane.bytes < self.reserved / 2) {
                lane.refused = false;
                self.news.writable |= 1 << number;
            }
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.room.remove(self.bytes);
    }
}

impl Lane {
    fn replaced_by(&self, frame: &Frame) -> Option<&Frame> {
        let place = self.keys.get(&frame.replace_key?)?;
        let queue = &self.queues[place.priority as usize];
        queue.frames.get(queue.index(place.number))
    }

    /// Puts a frame in the place of the one it replaces, which is returned, or behind those of its priority.
    fn replace(&mut self, mut frame: Frame) -> Option<Frame> {
        if let Some(key) = frame.replace_key
            && let Some(place) = self.keys.get(&key)
        {
            let queue = &mut self.queues[place.priority as usize];
            let index = queue.index(place.number);
            frame.priority = place.priority;
            return queue.frames.get_mut(index).map(|old| std::mem::replace(old, frame));
        }
        let priority = frame.priority;
        let queue = &mut self.queues[priority as usize];
        if let Some(key) = frame.replace_key {
            self.keys.insert(key, Place { priority, number: queue.first + queue.frames.len() as u64 });
        }
        queue.frames.push_back(frame);
        None
    }

    fn pop(&mut self) -> Option<Frame> {
        let queue = self.queues.iter_mut().find(|queue| !queue.frames.is_empty())?;
        let frame = queue.frames.pop_front()?;
        queue.first += 1;
        if let Some(key) = frame.replace_key {
            self.keys.remove(&key);
        }
        Some(frame)
    }

    fn expire(&mut self, now: Timestamp, earliest_expiry: &mut Timestamp) -> Vec<Frame> {
        let mut expired = Vec::new();
        self.keys.clear();
        for queue in &mut self.queues {
            let queued = std::mem::take(&mut queue.frames);
            for frame in queued {
                if is_expired(&frame, now) {
                    expired.push(frame);
                    continue;
                }
                *earliest_expiry = (*earliest_expiry).min(frame.expires.unwrap_or(Timestamp::MAX));
                if let Some(key) = frame.replace_key {
                    let place = Place { priority: frame.priority, number: queue.first + queue.frames.len() as u64 };
                    self.keys.insert(key, place);
                }
                queue.frames.push_back(frame);
            }
        }
        expired
    }
}

impl Queue {
    const fn index(&self, number: u64) -> usize {
        (number - self.first) as usize
    }
}

fn is_expired(frame: &Frame, now: Timestamp) -> bool {
    frame.expires.is_some_and(|expires| expires <= now)
}

#[cfg(test)]
mod tests;
