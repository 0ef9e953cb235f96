//! The trees that a node is part of, one for each root, and how late things are on them.

use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Slot, Timestamp};

use super::super::super::known_by::KnownBy;
use crate::{ItemId, RootTag};

/// The bit of a tag on the wire that says: this copy was not published by the root.
const FOREIGN: u64 = 1;

/// A tree on the wire: its root, and whether the root itself published what travels on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Way {
    pub(super) root: RootTag,
    /// Somebody else than the root uses it, in both directions.
    pub(super) is_foreign: bool,
}

/// One tree as one node sees it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Who sends this node what the root publishes.
    pub(super) parent: Option<Slot>,
    pub(super) children: KnownBy,
    /// On which round this node gets what the root publishes.
    pub(super) round: u32,
    /// How often in a row what somebody else published had to be asked for.
    pub(super) misses: u32,
    /// The item whose id made it grow last.
    pub(super) learned_from: Option<ItemId>,
    /// The last item that its root published, as far as this node has relayed it.
    pub(super) last: Option<ItemId>,
    /// When this node, as its root, last sent an id ahead.
    pub(super) grows_since: Option<Timestamp>,
    usual: Usual,
    used: Timestamp,
}

/// On which round a parent's copies come if nobody on their way had to ask.
#[derive(Debug, Default)]
struct Usual {
    round: u32,
    /// How many came on a smaller one in a row.
    shorter: u32,
}

/// After so many copies in a row on a smaller round, the way has become shorter.
const SHORTER_MAX: u32 = 8;

/// All trees, and what is learned from how items came.
#[derive(Debug)]
pub(in crate::engine) struct Trees {
    /// The tree of which this node is the root.
    pub(super) own: Option<RootTag>,
    trees: BTreeMap<RootTag, Tree>,
    /// How long after an id its body comes by itself, on trees of who published it.
    pub(super) own_gap: Lateness,
    /// The same on trees of others.
    pub(super) foreign_gap: Lateness,
    /// How long an answer takes.
    pub(super) answer: Lateness,
}

/// The mean of how late something was, and how far that lies apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lateness {
    mean: u64,
    deviation: u64,
}

impl Way {
    pub(super) const fn of(tag: RootTag) -> Option<Self> {
        match RootTag::new(tag.number() & !FOREIGN) {
            Some(root) => Some(Self { root, is_foreign: tag.number() & FOREIGN != 0 }),
            None => None,
        }
    }

    pub(super) const fn tag(self) -> Option<RootTag> {
        match self.is_foreign {
            true => RootTag::new(self.root.number() | FOREIGN),
            false => Some(self.root),
        }
    }
}

impl Tree {
    /// Whether a copy from a peer, or to it, follows this tree.
    pub(super) fn is_link(&self, slot: Slot) -> bool {
        self.parent == Some(slot) || self.children.contains(slot)
    }

    /// Takes another parent; returns the old one.
    pub(super) fn take_parent(&mut self, parent: Slot) -> Option<Slot> {
        let old = self.parent.replace(parent);
        if old != Some(parent) {
            self.usual = Usual::default();
        }
        old
    }

    /// Whether a copy that the parent pushed came all the way by itself: one that somebody had to ask for began anew at round 1.
    pub(super) const fn came_by_itself(&mut self, round: u32) -> bool {
        let Usual { round: usual, shorter } = self.usual;
        let is_usual = round >= usual || shorter >= SHORTER_MAX;
        self.usual = if is_usual {
            Usual { round, shorter: 0 }
        } else {
            Usual { round: usual, shorter: shorter.saturating_add(1) }
        };
        is_usual
    }

    fn has_links(&self) -> bool {
        self.parent.is_some() || !self.children.is_empty()
    }
}

impl Trees {
    /// Takes the name of the own tree from 64 bits of chance: 56 of them, so that it is short on the wire.
    pub(in crate::engine) fn new(chance: u64) -> Self {
        Self {
            own: RootTag::new(((chance >> 8) | 2) & !FOREIGN),
            trees: BTreeMap::new(),
            own_gap: Lateness { mean: 0, deviation: 0 },
            foreign_gap: Lateness { mean: 40_000, deviation: 10_000 },
            answer: Lateness { mean: 50_000, deviation: 10_000 },
        }
    }

    pub(super) fn get(&self, root: RootTag) -> Option<&Tree> {
        self.trees.get(&root)
    }

    pub(super) fn get_mut(&mut self, root: RootTag) -> Option<&mut Tree> {
        self.trees.get_mut(&root)
    }

    /// A tree, made if there is none; the one that was used longest ago makes room for it.
    pub(super) fn get_or_make(&mut self, root: RootTag, trees_max: u32, now: Timestamp) -> &mut Tree {
        if !self.trees.contains_key(&root) && self.trees.len() >= trees_max as usize {
            let own = self.own;
            let others = self.trees.iter().filter(|(root, _)| Some(**root) != own);
            let oldest = others.min_by_key(|(_, tree)| tree.used).map(|(root, _)| *root);
            oldest.into_iter().for_each(|root| _ = self.trees.remove(&root));
        }
        let tree = self.trees.entry(root).or_default();
        tree.used = now;
        tree
    }

    /// The tree of somebody else whose root is nearest.
    pub(super) fn nearest(&self) -> Option<RootTag> {
        let foreign = self.trees.iter().filter(|(root, tree)| Some(**root) != self.own && tree.has_links());
        foreign.min_by_key(|(root, tree)| (tree.round, **root)).map(|(root, _)| *root)
    }

    pub(in crate::engine) fn peer_disconnected(&mut self, slot: Slot) {
        for tree in self.trees.values_mut() {
            tree.parent = tree.parent.filter(|parent| *parent != slot);
            tree.children.remove(slot);
        }
    }
}

impl Lateness {
    /// Takes a sample in, as TCP does: an eighth of the difference, a quarter of its distance.
    pub(super) fn learn(&mut self, sample: Duration) {
        let sample = u64::try_from(sample.as_micros()).unwrap_or(u64::MAX).min(10_000_000);
        let distance = sample.abs_diff(self.mean);
        self.mean = (self.mean * 7 + sample) / 8;
        self.deviation = (self.deviation * 3 + distance) / 4;
    }

    /// By when all but few are there.
    pub(super) fn bound(&self, least: Duration) -> Duration {
        Duration::from_micros(self.mean.saturating_add(self.deviation.saturating_mul(4))).max(least)
    }
}
