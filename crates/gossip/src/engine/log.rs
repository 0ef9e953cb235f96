//! The newest steps of all items, for who asks what became of one.

use std::collections::VecDeque;

use bruit_core::{Slot, Timestamp};

use super::{
    Engine,
    held::Stage,
    seen::{Known, State},
};
use crate::{Explanation, ItemId, Standing, Step, Why};

/// The newest steps of all items together.
///
/// # Security
/// Who floods items flushes the steps of others. Nothing is decided by them: they are for people to read.
#[derive(Debug, Default)]
pub(super) struct Log {
    steps: VecDeque<Entry>,
    steps_max: usize,
    now: Timestamp,
}

/// A step, and the first bytes of its item's id: those that share them are taken for one, at the worst for a reader's confusion.
#[derive(Debug)]
struct Entry {
    item: u64,
    at: Timestamp,
    step: Step<Slot>,
}

fn key(id: &ItemId) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl Log {
    pub(super) fn new(steps_max: usize) -> Self {
        Self { steps_max, ..Self::default() }
    }

    fn push(&mut self, id: &ItemId, step: Step<Slot>) {
        if self.steps_max == 0 {
            return;
        }
        if self.steps.len() >= self.steps_max {
            self.steps.pop_front();
        }
        self.steps.push_back(Entry { item: key(id), at: self.now, step });
    }

    fn of(&self, id: &ItemId) -> Vec<(Timestamp, Step<Slot>)> {
        let item = key(id);
        self.steps.iter().filter(|entry| entry.item == item).map(|entry| (entry.at, entry.step)).collect()
    }
}

impl Engine {
    /// What is known of an item: who brought it first, to whom it went and why. `None` if nothing is.
    pub fn explain(&self, id: &ItemId) -> Option<Explanation<Slot>> {
        let steps = self.log.of(id);
        let held = self.held_index(id).and_then(|index| self.held.get(index));
        let standing = match (held, self.seen.get(id)) {
            (Some(item), _) => match item.stage {
                Stage::Pending => Standing::Pending,
                Stage::Withheld => Standing::Withheld,
                Stage::AtLimit => Standing::AtLimit,
                Stage::Spreading => Standing::Spreading,
            },
            (None, Some(Known { state: State::Rejected, .. })) => Standing::Rejected,
            (None, Some(Known { state: State::Done | State::Held(_), .. })) => Standing::Done,
            (None, None) if self.fetches.index_of(id).is_some() => Standing::LookedFor,
            (None, None) if steps.is_empty() => return None,
            (None, None) => Standing::Unknown,
        };
        Some(Explanation {
            standing,
            policy: held.map(|item| item.policy),
            tally: held.map(super::held::HeldItem::tally_now),
            steps,
        })
    }

    /// What happens from now on happens at this moment.
    pub(super) const fn log_at(&mut self, now: Timestamp) {
        self.log.now = now;
    }

    pub(super) fn log(&mut self, id: &ItemId, step: Step<Slot>) {
        self.log.push(id, step);
    }

    pub(super) fn log_push(&mut self, id: &ItemId, to: Slot, round: u32, why: Why) {
        if self.log.steps_max == 0 {
            return;
        }
        let is_special = || self.peers.get(to).is_some_and(|peer| peer.traits.is_special);
        let why = if why == Why::Drawn && is_special() { Why::Special } else { why };
        self.log.push(id, Step::Pushed { to, round, why });
    }
}

#[cfg(test)]
mod tests;
