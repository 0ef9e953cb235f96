//! Ids that peers announced and whose items are not here yet: who has them, who was asked, who is asked next.

use std::time::Duration;

use bruit_core::{LookupMap, Slot, Timestamp};

use super::{known_by::KnownBy, policy::HeardOf, slab::Slab};
use crate::ItemId;

/// How many sources of one id are remembered: Iron Fish asks five in turn, trees rarely two.
const SOURCES_MAX: usize = 16;

/// When who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// How long the body may take to come by itself after its id was heard.
    pub(super) wait: Duration,
    /// After how long the next source is asked; a policy may learn it.
    pub(super) per_source: Duration,
    /// After how long who said that it has the item, and was asked, is blamed: never what was learned from others' answers.
    pub(super) blame: Duration,
}

/// An id that is known, and its item not.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) id: ItemId,
    pub(super) timing: Timing,
    /// When it was first heard of.
    pub(super) heard: Timestamp,
    /// Who announced it, in the order of hearing.
    pub(super) sources: Vec<Source>,
    /// Who was asked last and may still answer, and when.
    pub(super) asked: Option<(Slot, Timestamp)>,
    /// When the next source is asked.
    pub(super) next: Option<Timestamp>,
    /// When somebody first said that it has the item.
    pub(super) holder_heard: Option<Timestamp>,
    /// A tree grew by this id: its body may be slower than on a tree that is there.
    pub(super) is_learning: bool,
    /// By whom the id was sent ahead, if it was passed on.
    pub(super) ahead_by: Option<Slot>,
    /// To whom the id was told ahead of the body.
    pub(super) told: KnownBy,
    /// Who asked for it meanwhile.
    pub(super) wanted_by: KnownBy,
}

/// Somebody who announced an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) slot: Slot,
    /// It has the item, and does not only expect it.
    pub(super) holds: bool,
    /// When it was asked.
    pub(super) asked_at: Option<Timestamp>,
    /// Since when it owes the item: it said that it has it, was asked, and has not answered.
    pub(super) owes_since: Option<Timestamp>,
}

/// All fetches, at most `fetches_max`.
///
/// # Security
/// A peer pays for the ids that nobody else announced: it may be the first source of a limited number at a time.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    fetches: Slab<Fetch>,
    by_id: LookupMap<ItemId, u32>,
}

/// What became of another announcement of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeardAgain {
    /// There is one more source.
    Added,
    /// The sender said it before, or there are sources enough.
    Ignored,
}

impl Fetches {
    pub(super) fn len(&self) -> usize {
        self.fetches.len()
    }

    pub(super) fn index_of(&self, id: &ItemId) -> Option<u32> {
        if self.fetches.is_empty() {
            return None;
        }
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Fetch> {
        self.fetches.get(index)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Fetch> {
        self.fetches.get_mut(index)
    }

    /// Remembers another source of an id that is remembered.
    pub(super) fn heard_again(&mut self, index: u32, heard: &HeardOf<'_>, now: Timestamp) -> HeardAgain {
        let Some(fetch) = self.fetches.get_mut(index) else { return HeardAgain::Ignored };
        if !heard.is_ahead {
            fetch.holder_heard.get_or_insert(now);
        }
        if let Some(source) = fetch.sources.iter_mut().find(|source| source.slot == heard.from) {
            let is_news = !heard.is_ahead && !source.holds;
            source.holds |= is_news;
            return if is_news { HeardAgain::Added } else { HeardAgain::Ignored };
        }
        if fetch.sources.len() >= SOURCES_MAX {
            return HeardAgain::Ignored;
        }
        fetch.sources.push(Source::new(heard));
        HeardAgain::Added
    }

    /// Remembers a new id.
    pub(super) fn insert(&mut self, timing: Timing, heard: &HeardOf<'_>, now: Timestamp) -> u32 {
        let id = heard.announced.id;
        let index = self.fetches.insert(Fetch {
            id,
            timing,
            heard: now,
            sources: vec![Source::new(heard)],
            holder_heard: (!heard.is_ahead).then_some(now),
            is_learning: false,
            ahead_by: None,
            asked: None,
            next: None,
            told: KnownBy::default(),
            wanted_by: KnownBy::default(),
        });
        self.by_id.insert(id, index);
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Fetch> {
        let fetch = self.fetches.remove(index)?;
        self.by_id.remove(&fetch.id);
        Some(fetch)
    }

    /// The fetches of which a peer is a source, or in which it has a part.
    pub(super) fn sourced_by(&self, slot: Slot) -> Vec<u32> {
        let has_part = |fetch: &Fetch| {
            fetch.sources.iter().any(|source| source.slot == slot)
                || fetch.told.contains(slot)
                || fetch.wanted_by.contains(slot)
        };
        self.fetches.iter().filter(|(_, fetch)| has_part(fetch)).map(|(index, _)| index).collect()
    }
}

impl Fetch {
    /// Whether all that announced it were asked, and none of them may still answer.
    pub(super) fn has_run_out(&self) -> bool {
        self.asked.is_none() && self.sources.iter().all(|source| source.asked_at.is_some())
    }
}

impl Source {
    const fn new(heard: &HeardOf<'_>) -> Self {
        Self { slot: heard.from, holds: !heard.is_ahead, asked_at: None, owes_since: None }
    }
}
