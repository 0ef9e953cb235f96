//! Ids that wait to be announced, so that an announcement is no packet of its own under load.

use std::time::Duration;

use bruit_core::{Slot, Timestamp};

use super::{Engine, Message, Output, known_by::KnownBy, timers::Deadline};
use crate::{Announced, Announcement, Topic};

/// For how long ids are gathered when little is announced: own trees bear 5 ms a hop (p99 1.03), and 10 ms hardly.
const GATHER_FOR: Duration = Duration::from_millis(5);
/// For how long at most.
const GATHER_FOR_MAX: Duration = Duration::from_millis(60);
/// How many ids make a packet worth its price: a packet costs what five of them do.
const GATHER: u64 = 6;
/// For how long ids are gathered at most while nobody lacks anything: then they are a precaution, not how items come.
const GATHER_FOR_CALM: Duration = Duration::from_millis(250);
/// How many ids make a packet then.
const GATHER_CALM: u64 = 64;
/// It is calm while fewer than one in so many items is asked for.
const CALM_ONE_IN: u64 = 50;
/// Below so many ids a second, their packets cost next to nothing.
const QUIET_PER_SECOND: u64 = 20;
/// How many ids wait at most.
const WAITING_MAX: usize = 256;
/// The span over which the rate is measured.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// An id to be announced.
#[derive(Debug)]
struct Waiting {
    topic: Topic,
    announced: Announced,
    is_ahead: bool,
    to: KnownBy,
}

/// What waits to be announced, and how much was of late.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    waiting: Vec<Waiting>,
    flush_at: Option<Timestamp>,
    last_flush: Timestamp,
    span_start: Timestamp,
    in_span: u64,
    per_second: u64,
    wants_in_span: u64,
    wants_per_second: u64,
}

/// What is announced, to whom, and how urgent it is.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) topic: Topic,
    pub(super) announced: Announced,
    /// The body is not here yet: the faster the id is, the better the tree that it leaves.
    pub(super) is_ahead: bool,
    /// The body comes by another way, if all goes well.
    pub(super) is_precaution: bool,
    pub(super) to: KnownBy,
}

impl Announcements {
    fn measure(&mut self, now: Timestamp) {
        let span = now.since(self.span_start);
        if span >= RATE_SPAN {
            let is_recent = span < 2 * RATE_SPAN;
            self.per_second = if is_recent { self.in_span } else { 0 };
            self.wants_per_second = if is_recent { self.wants_in_span } else { 0 };
            (self.in_span, self.wants_in_span) = (0, 0);
            self.span_start = now;
        }
    }

    /// For how long an id waits for others.
    fn gather_for(&self, is_ahead: bool, is_precaution: bool) -> Duration {
        if is_ahead || self.is_quiet() {
            return GATHER_FOR;
        }
        let (ids, most) =
            if is_precaution && self.is_calm() { (GATHER_CALM, GATHER_FOR_CALM) } else { (GATHER, GATHER_FOR_MAX) };
        let micros = (1_000_000 * ids).checked_div(self.per_second.max(self.in_span)).unwrap_or(0);
        Duration::from_micros(micros).clamp(GATHER_FOR, most)
    }

    /// Whether so little is announced that its packets cost nothing.
    fn is_quiet(&self) -> bool {
        self.per_second.max(self.in_span) < QUIET_PER_SECOND
    }

    /// Whether hardly anybody lacks anything.
    fn is_calm(&self) -> bool {
        let wants = self.wants_per_second.max(self.wants_in_span);
        wants.saturating_mul(CALM_ONE_IN) <= self.per_second.max(self.in_span)
    }

    /// A peer asked for what was announced to it: it lacked it.
    pub(super) fn want_received(&mut self, now: Timestamp) {
        self.measure(now);
        self.wants_in_span = self.wants_in_span.saturating_add(1);
    }

    pub(super) fn peer_disconnected(&mut self, slot: Slot) {
        self.waiting.iter_mut().for_each(|waiting| waiting.to.remove(slot));
    }
}

impl Engine {
    /// Announces an id to peers: at once if nothing was announced of late, else gathered with others, or with the next item
    /// that goes to a peer.
    pub(super) fn tell(&mut self, telling: Telling, now: Timestamp) {
        let Telling { topic, announced, is_ahead, is_precaution, to } = telling;
        if to.is_empty() {
            return;
        }
        self.stats.ids_announced += u64::from(to.len());
        let announcements = &mut self.announcements;
        announcements.measure(now);
        announcements.in_span = announcements.in_span.saturating_add(1);
        announcements.waiting.push(Waiting { topic, announced, is_ahead, to });
        let is_quiet = now.since(announcements.last_flush) >= GATHER_FOR && announcements.is_quiet();
        if announcements.waiting.len() >= WAITING_MAX || (is_quiet && announcements.waiting.len() == 1) {
            self.flush_announcements(now);
            return;
        }
        let at = now.after(announcements.gather_for(is_ahead, is_precaution));
        let sooner = announcements.flush_at.map_or(at, |flush_at| flush_at.min(at));
        self.flush_at(sooner);
    }

    fn flush_at(&mut self, at: Timestamp) {
        let old = self.announcements.flush_at.replace(at);
        self.timers.replace(old, Some(at), Deadline::Announcements);
    }

    /// Announces all that waits.
    pub(super) fn flush_announcements(&mut self, now: Timestamp) {
        self.timers.replace(self.announcements.flush_at.take(), None, Deadline::Announcements);
        self.announcements.last_flush = now;
        let mut waiting = std::mem::take(&mut self.announcements.waiting);
        let mut all = KnownBy::default();
        for entry in &mut waiting {
            self.spare_who_knows(entry);
            all.insert_all(&entry.to);
        }
        let peers: Vec<Slot> = self.peers.iter().map(|(slot, _)| slot).filter(|slot| all.contains(*slot)).collect();
        for to in peers {
            self.announce_waiting(&mut waiting, to);
        }
    }

    /// Announces what waits for a peer, to which an item is going anyway.
    pub(super) fn flush_announcements_to(&mut self, to: Slot) {
        if self.announcements.waiting.iter().all(|entry| !entry.to.contains(to)) {
            return;
        }
        let mut waiting = std::mem::take(&mut self.announcements.waiting);
        for entry in waiting.iter_mut().filter(|entry| entry.to.contains(to)) {
            self.spare_who_knows(entry);
        }
        self.announce_waiting(&mut waiting, to);
        self.announcements.waiting = waiting;
    }

    /// Who has an item by now needs not be told of it.
    fn spare_who_knows(&self, entry: &mut Waiting) {
        if let Some(item) = self.held_index(&entry.announced.id).and_then(|index| self.held.get(index)) {
            // An id that runs ahead makes a tree grow, also where the body went along another one.
            if !entry.is_ahead {
                entry.to.remove_all(&item.known_by);
            }
        } else if let Some(fetch) = self.fetches.index_of(&entry.announced.id).and_then(|index| self.fetches.get(index))
        {
            fetch.sources.iter().for_each(|source| entry.to.remove(source.slot));
        }
    }

    fn announce_waiting(&mut self, waiting: &mut [Waiting], to: Slot) {
        let mut messages: Vec<Announcement> = Vec::new();
        for entry in waiting.iter_mut().filter(|entry| entry.to.contains(to)) {
            entry.to.remove(to);
            let same = |message: &&mut Announcement| {
                message.topic == entry.topic && message.is_ahead == entry.is_ahead && message.items.len() < WAITING_MAX
            };
            match messages.iter_mut().rev().find(same) {
                Some(message) => message.items.push(entry.announced),
                None => messages.push(Announcement {
                    topic: entry.topic.clone(),
                    items: vec![entry.announced],
                    is_ahead: entry.is_ahead,
                }),
            }
        }
        for message in messages {
            self.stats.announcements_sent += 1;
            let priority = self.config.topic(&message.topic).map(|topic| topic.priority).unwrap_or_default();
            self.outputs.push_back(Output::Send { to, message: Message::Announce(Box::new(message)), priority });
        }
    }
}
