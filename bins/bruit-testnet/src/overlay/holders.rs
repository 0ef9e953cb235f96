//! Which nodes subscribe, so that all others can fetch from them.
//!
//! Holders must be connected among themselves, or a topic that only subscribers carry would not reach all of them, and every
//! other node must have some of them as neighbours, or its calls could find nobody. The search grows a connected set
//! greedily, then swaps members while that helps, and starts anew from another node until its effort is spent. It can miss
//! a set in a graph that has one; it never returns a set that does not hold.

use std::collections::BTreeSet;

use bruit_core::Seed;
use rand::{Rng, seq::IteratorRandom};

use crate::overlay::Overlay;

/// How many sets the search looks at before it gives up: at most some seconds for 254 nodes in a debug build.
const EFFORT_MAX: u32 = 200_000;
/// How often it starts anew: in a small graph all starts are soon known.
const RESTARTS_MAX: u32 = 100;

/// What the holders shall be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// How many of them.
    pub(crate) holders: usize,
    /// How many of them each other node has as neighbours at least.
    pub(crate) neighbours_min: usize,
}

/// Chooses the holders, none of them barred; `None` if no set was found that holds.
pub(crate) fn choose_holders(
    overlay: &Overlay,
    wanted: Wanted,
    barred: &BTreeSet<usize>,
    seed: &Seed,
) -> Option<BTreeSet<usize>> {
    let mut search = Search { overlay, wanted, barred, rng: seed.rng(), effort: 0 };
    if wanted.holders == 0 || wanted.holders > overlay.nodes() {
        return None;
    }
    for _ in 0..RESTARTS_MAX {
        if let Some(grown) = search.grow()
            && let Some(holders) = search.swap(grown)
        {
            return Some(holders);
        }
        if search.effort >= EFFORT_MAX {
            return None;
        }
    }
    None
}

/// Chooses the holder to freeze: the one that most fetchers know, those to spare last; `None` if a fetcher has no other.
pub(crate) fn choose_frozen(overlay: &Overlay, holders: &BTreeSet<usize>, spare: &BTreeSet<usize>) -> Option<usize> {
    let fetchers = |node: usize| overlay.neighbours(node).difference(holders).count();
    let has_another = |fetcher: usize| overlay.neighbours(fetcher).intersection(holders).count() > 1;
    let can_go = |node: &usize| overlay.neighbours(*node).difference(holders).all(|fetcher| has_another(*fetcher));
    let candidates = holders.iter().copied().filter(can_go).filter(|node| fetchers(*node) > 0);
    candidates.max_by_key(|node| (!spare.contains(node), fetchers(*node), std::cmp::Reverse(*node)))
}

struct Search<'o, R> {
    overlay: &'o Overlay,
    wanted: Wanted,
    barred: &'o BTreeSet<usize>,
    rng: R,
    effort: u32,
}

impl<'o, R: Rng> Search<'o, R> {
    /// Grows a connected set of the wanted size from one node, each step by the neighbour that leaves the least lacking.
    fn grow(&mut self) -> Option<Candidate<'o>> {
        self.effort += 1;
        let nodes = (0..self.overlay.nodes()).filter(|node| !self.barred.contains(node));
        let start = nodes.choose(&mut self.rng)?;
        let mut set = Candidate::new(self.overlay, self.wanted.neighbours_min);
        set.add(start);
        while set.members.len() < self.wanted.holders {
            let mut best = Vec::new();
            let mut least = usize::MAX;
            for next in set.border().difference(self.barred).copied() {
                let lacking = set.with(next);
                if lacking < least {
                    least = lacking;
                    best.clear();
                }
                if lacking == least {
                    best.push(next);
                }
                self.effort += 1;
            }
            set.add(best.into_iter().choose(&mut self.rng)?);
        }
        Some(set)
    }

    /// Exchanges one member for one other node as long as that leaves less lacking; `None` if something is lacking at the end.
    fn swap(&mut self, mut set: Candidate<'o>) -> Option<BTreeSet<usize>> {
        while set.lacking > 0 {
            let (out, other) = self.best_swap(&mut set)?;
            set.remove(out);
            set.add(other);
        }
        Some(set.members)
    }

    fn best_swap(&mut self, set: &mut Candidate<'o>) -> Option<(usize, usize)> {
        let mut least = set.lacking;
        let mut better = None;
        let others: Vec<usize> = (0..self.overlay.nodes())
            .filter(|node| !set.members.contains(node) && !self.barred.contains(node))
            .collect();
        for out in set.members.clone() {
            set.remove(out);
            for other in &others {
                self.effort += 1;
                if set.with(*other) < least && set.is_connected_with(*other) {
                    least = set.with(*other);
                    better = Some((out, *other));
                }
            }
            set.add(out);
            if self.effort >= EFFORT_MAX {
                return None;
            }
        }
        better
    }
}

/// A set of nodes, and what the nodes outside it lack.
struct Candidate<'o> {
    overlay: &'o Overlay,
    neighbours_min: usize,
    members: BTreeSet<usize>,
    /// How many members each node has as neighbours.
    known: Vec<usize>,
    /// How many more members the nodes outside should have as neighbours, in all.
    lacking: usize,
}

impl<'o> Candidate<'o> {
    fn new(overlay: &'o Overlay, neighbours_min: usize) -> Self {
        let nodes = overlay.nodes();
        let known = vec![0; nodes];
        Self { overlay, neighbours_min, members: BTreeSet::new(), known, lacking: nodes * neighbours_min }
    }

    fn add(&mut self, node: usize) {
        self.lacking = self.with(node);
        self.members.insert(node);
        for next in self.overlay.neighbours(node) {
            self.known[*next] += 1;
        }
    }

    fn remove(&mut self, node: usize) {
        self.members.remove(&node);
        for next in self.overlay.neighbours(node) {
            self.known[*next] -= 1;
        }
        self.lacking += self.relief(node);
    }

    /// What would be lacking if a node outside were a member.
    fn with(&self, node: usize) -> usize {
        self.lacking - self.relief(node)
    }

    /// What is lacking less because a node is a member: its own part, and one for each neighbour outside that needs it.
    fn relief(&self, node: usize) -> usize {
        let needs = |next: &&usize| self.known[**next] < self.neighbours_min && !self.members.contains(next);
        self.neighbours_min.saturating_sub(self.known[node])
            + self.overlay.neighbours(node).iter().filter(needs).count()
    }

    fn border(&self) -> BTreeSet<usize> {
        let around = self.members.iter().flat_map(|node| self.overlay.neighbours(*node)).copied();
        around.filter(|next| !self.members.contains(next)).collect()
    }

    fn is_connected_with(&self, node: usize) -> bool {
        let mut members = self.members.clone();
        members.insert(node);
        self.overlay.are_connected(&members)
    }
}

#[cfg(test)]
mod tests;
