//! Whom to propose to peering: from groups that no outbound peer is in, few that go back to one teller; first those that are known
//! long, then, among equals, whom few others hold.
//!
//! It decides the order only: what is known and how good it is says the book, how many are wanted says peering.

use std::collections::BTreeMap;

use bruit_address_book::{AddressBook, Candidate, Choice, Table, Wanted};
use bruit_core::{NetGroup, PeerId, Timestamp};

use crate::{Lineage, Root};

/// How many endpoints of equal standing are compared by how rare they are. Two: who makes himself look rare at most doubles his
/// chance.
const COMPARED: usize = 2;
/// One slot in so many is left to the unproven and the rare; until all others are taken, peers that were reached before come first.
/// 8: a guess, as much as one teller may have.
const UNPROVEN_ONE_IN: usize = 8;
/// How many of those are compared by how long they are known. 4: a guess; who came to own half of them is one in sixteen of the
/// chosen, and nobody is asked by everybody.
const COMPARED_BY_AGE: usize = 4;
/// Of how many outbound peers one may go back to one teller while others can be chosen or asked. 8: a guess; half of many seeds may
/// lie, and still one in 256 newcomers only asks none but liars.
const PER_ROOT: usize = 8;

/// One search for candidates.
#[derive(Clone, Debug)]
pub struct Choosing<'a> {
    lineage: &'a Lineage,
    /// How many outbound peers, and dials, each group has, all names together.
    taken: BTreeMap<NetGroup, usize>,
    /// How many go back to each root.
    rooted: BTreeMap<Root, usize>,
    target: usize,
    /// How many peers are kept at most; a few more than the target.
    most: usize,
    /// How many of those are dials that seem to lead nowhere: they keep their groups, but no slots.
    unanswered: usize,
    /// How many a root may have now, and at most.
    root_max: usize,
    root_last: usize,
    /// How many a group may have once no other group is left; known when that is so.
    share: Option<Share>,
}

/// An outbound peer, or a dial.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// The part of the internet it is in.
    pub group: NetGroup,
    /// Where what is known of it comes from in the end.
    pub root: Root,
}

#[derive(Clone, Debug)]
struct Share {
    each: usize,
    /// How many may be dialled by names.
    of_names: usize,
    /// A group that most of the book is of, although there are others.
    overgrown: Option<NetGroup>,
}

impl<'a> Choosing<'a> {
    /// Begins a search for a node that wants `target` outbound peers and has some, or dials them.
    ///
    /// While `may_ask` somebody else what he knows, no more than an eighth of the peers go back to one teller; after that more only
    /// as far as there are no others.
    pub fn new(target: usize, may_ask: bool, lineage: &'a Lineage, held: impl IntoIterator<Item = Held>) -> Self {
        let root_max = target.div_ceil(PER_ROOT).max(1);
        let root_last = if may_ask { root_max } else { usize::MAX };
        let (taken, rooted) = Default::default();
        let mut choosing =
            Self { lineage, taken, rooted, target, most: target, unanswered: 0, root_max, root_last, share: None };
        held.into_iter().for_each(|held| choosing.takes(held));
        choosing
    }

    /// So many peers are kept at most, if more than the target, and so many of those that are held are dials that seem to lead nowhere.
    pub const fn filling(mut self, most: usize, unanswered: usize) -> Self {
        (self.most, self.unanswered) = (most, unanswered);
        self
    }

    /// The next endpoint to propose; `None` when there is none.
    ///
    /// `may_dial` says whom peering would dial now, `holders` how many peers are known to hold a peer.
    pub fn next(
        &mut self,
        book: &mut AddressBook,
        may_dial: impl Fn(&Candidate<'_>) -> bool,
        holders: impl Fn(&PeerId) -> usize,
        now: Timestamp,
    ) -> Option<Choice> {
        loop {
            if let Some(choice) = self.best(book, &may_dial, &holders, now) {
                return Some(choice);
            }
            let is_last = self.root_max >= self.root_last.min(self.most_rooted());
            if self.share.is_none() {
                self.share = Some(self.share_of(book, is_last));
            } else if is_last {
                return None;
            } else {
                (self.root_max, self.share) = (self.root_max.saturating_mul(2), None);
            }
        }
    }

    /// A root cannot be refused for more than this.
    fn most_rooted(&self) -> usize {
        self.rooted.values().max().map_or(0, |most| most.saturating_add(1))
    }

    /// Peering dials what was proposed.
    pub fn started(&mut self, choice: &Choice) {
        self.takes(Held { group: choice.group, root: self.lineage.root_of(choice.source) });
    }

    /// One more is held.
    pub(crate) fn takes(&mut self, Held { group, root }: Held) {
        *self.taken.entry(group.names_as_one()).or_default() += 1;
        *self.rooted.entry(root).or_default() += 1;
    }

    /// Whether somebody may be dialled beside those that are held, while others can still be asked.
    pub(crate) fn admits(&self, Held { group, root }: Held) -> bool {
        self.has_room(group) && self.root_has_room(root)
    }

    fn best(
        &self,
        book: &mut AddressBook,
        may_dial: &impl Fn(&Candidate<'_>) -> bool,
        holders: &impl Fn(&PeerId) -> usize,
        now: Timestamp,
    ) -> Option<Choice> {
        let eligible = |candidate: &Candidate<'_>| {
            self.has_room(candidate.group)
                && self.root_has_room(self.lineage.root_of(candidate.source))
                && may_dial(candidate)
        };
        if self.is_settling() {
            let reached = (0..COMPARED_BY_AGE).map_while(|_| book.select(Wanted::Only(Table::Tried), eligible, now));
            if let Some(oldest) = reached.min_by_key(|choice| choice.first_seen) {
                return Some(oldest);
            }
        }
        let first = book.select(Wanted::Any, eligible, now)?;
        // Only within one table: whom nobody holds because nobody ever reached him is not rare, but unproven.
        let equals = Wanted::Only(first.table);
        let count = |choice: &Choice| choice.peer.map_or(0, |peer| holders(&peer));
        if first.table == Table::New || count(&first) == 0 {
            return Some(first);
        }
        let others: Vec<_> = (1..COMPARED).filter_map(|_| book.select(equals, eligible, now)).collect();
        std::iter::once(first).chain(others).min_by_key(count)
    }

    /// Whether so few slots are taken that the proven come first, as after a restart.
    fn is_settling(&self) -> bool {
        let all: usize = self.taken.values().sum();
        all.saturating_sub(self.unanswered) < self.most.saturating_sub(self.most.div_ceil(UNPROVEN_ONE_IN))
    }

    fn root_has_room(&self, root: Root) -> bool {
        self.rooted.get(&root).is_none_or(|held| *held < self.root_max)
    }

    fn has_room(&self, group: NetGroup) -> bool {
        let group = group.names_as_one();
        let taken = self.taken.get(&group).copied().unwrap_or_default();
        match &self.share {
            None => taken == 0,
            Some(share) if share.overgrown == Some(group) => taken == 0,
            Some(share) if matches!(group, NetGroup::Name(_)) => taken < share.of_names,
            Some(share) => taken < share.each,
        }
    }

    /// With fewer groups than outbound slots they are shared out evenly; a group that most of the book is of gets one all the
    /// same, unless it is the only one. Names are one, and never too many: in some networks hardly anybody has anything else. They
    /// come last, and share with those groups only that are held or dialled then, since whoever likes invents addresses.
    fn share_of(&self, book: &AddressBook, is_last: bool) -> Share {
        let mut groups: BTreeMap<NetGroup, usize> = BTreeMap::new();
        for (group, count) in book.counts().groups {
            *groups.entry(group.names_as_one()).or_default() += count;
        }
        let all: usize = groups.values().sum();
        let addresses = groups.iter().filter(|(group, _)| !matches!(group, NetGroup::Name(_)));
        let largest = addresses.max_by_key(|(_, count)| **count);
        let overgrown = largest.filter(|(_, count)| groups.len() > 1 && **count > all / 4 * 3).map(|(group, _)| *group);
        let others = groups.len() - usize::from(overgrown.is_some());
        let held = self.taken.keys().filter(|group| !matches!(group, NetGroup::Name(_))).count();
        let of_names = if is_last { self.target.div_ceil(held + 1).max(1) } else { 1 };
        Share { each: self.target.div_ceil(others.max(1)).max(1), of_names, overgrown }
    }
}

#[cfg(test)]
mod tests;
