use std::{collections::BTreeSet, time::Duration};

use bruit_core::{Slot, Timestamp};

use super::known_by::KnownBy;
use crate::{ItemMessage, TopicConfig, ValidConfig};

/// What is charged for an item besides its body, in bytes.
const OVERHEAD_BYTES: usize = 256;

/// An item whose body is kept, because something may still happen to it.
#[derive(Debug)]
pub(super) struct HeldItem {
    /// The copy with the lowest round so far.
    pub(super) message: ItemMessage,
    pub(super) from: Slot,
    pub(super) known_by: KnownBy,
    pub(super) topic: TopicConfig,
    pub(super) stage: Stage,
    pub(super) until: Timestamp,
}

/// What an item is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// A verdict.
    Pending,
    /// A copy with rounds left.
    AtLimit,
}

/// The items that are held, with one deadline each, limited in count and bytes.
#[derive(Debug)]
pub(super) struct Held {
    items: Vec<Option<HeldItem>>,
    free: Vec<u32>,
    deadlines: BTreeSet<(Timestamp, u32)>,
    pending: Load,
    at_limit: BTreeSet<(Timestamp, u32)>,
    at_limit_bytes: usize,
    verdict_timeout: Duration,
    held_for: Duration,
    held_bytes_max: usize,
    held_items_max: usize,
}

/// How much awaits a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

impl Load {
    pub(super) fn of(message: &ItemMessage) -> Self {
        Self { items: 1, bytes: bytes_of(message) }
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.items = self.items.saturating_add(other.items);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    pub(super) const fn subtract(&mut self, other: Self) {
        self.items = self.items.saturating_sub(other.items);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    /// Whether this is more than one `part`-th of what the configuration allows.
    pub(super) fn exceeds(&self, part: usize, config: &ValidConfig) -> bool {
        self.items > config.pending_items_max / part || self.bytes > config.pending_bytes_max / part
    }
}

fn bytes_of(message: &ItemMessage) -> usize {
    message.body_len().saturating_add(OVERHEAD_BYTES)
}

impl Held {
    pub(super) fn new(config: &ValidConfig) -> Self {
        Self {
            items: Vec::new(),
            free: Vec::new(),
            deadlines: BTreeSet::new(),
            pending: Load::default(),
            at_limit: BTreeSet::new(),
            at_limit_bytes: 0,
            verdict_timeout: config.verdict_timeout,
            held_for: config.held_for,
            held_bytes_max: config.held_bytes_max,
            held_items_max: config.pending_items_max,
        }
    }

    pub(super) const fn pending(&self) -> Load {
        self.pending
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut HeldItem> {
        self.items.get_mut(index as usize)?.as_mut()
    }

    /// Until when an item is held that comes to a stage now.
    pub(super) fn until(&self, stage: Stage, now: Timestamp) -> Timestamp {
        now.after(match stage {
            Stage::Pending => self.verdict_timeout,
            Stage::AtLimit => self.held_for,
        })
    }

    /// Holds an item, and says under which number.
    pub(super) fn insert(&mut self, item: HeldItem) -> u32 {
        let index = self.free.pop().unwrap_or(self.items.len() as u32);
        match item.stage {
            Stage::Pending => self.pending.add(Load::of(&item.message)),
            Stage::AtLimit => {
                self.at_limit.insert((item.until, index));
                self.at_limit_bytes += bytes_of(&item.message);
            }
        }
        self.deadlines.insert((item.until, index));
        match self.items.get_mut(index as usize) {
            Some(place) => *place = Some(item),
            None => self.items.push(Some(item)),
        }
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<HeldItem> {
        let item = self.items.get_mut(index as usize)?.take()?;
        self.free.push(index);
        self.deadlines.remove(&(item.until, index));
        match item.stage {
            Stage::Pending => self.pending.subtract(Load::of(&item.message)),
            Stage::AtLimit => {
                self.at_limit.remove(&(item.until, index));
                self.at_limit_bytes -= bytes_of(&item.message);
            }
        }
        Some(item)
    }

    /// Takes out the oldest item of those at their limit, as long as these are too many.
    pub(super) fn remove_excess(&mut self) -> Option<HeldItem> {
        if self.at_limit_bytes <= self.held_bytes_max && self.at_limit.len() <= self.held_items_max {
            return None;
        }
        let (_, index) = *self.at_limit.first()?;
        self.remove(index)
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// Takes out an item whose time has come.
    pub(super) fn remove_due(&mut self, now: Timestamp) -> Option<HeldItem> {
        let (_, index) = *self.deadlines.first().filter(|(until, _)| *until <= now)?;
        self.remove(index)
    }

    pub(super) fn peer_disconnected(&mut self, slot: Slot) {
        self.items.iter_mut().flatten().for_each(|item| item.known_by.remove(slot));
    }
}
