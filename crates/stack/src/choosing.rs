//! Whom to propose to peering: from groups that no outbound peer is in, and among equals whom few others hold.
//!
//! It decides the order only: what is known and how good it is says the book, how many are wanted says peering.

use std::collections::BTreeMap;

use bruit_address_book::{AddressBook, Candidate, Choice, Table, Wanted};
use bruit_core::{Endpoint, NetGroup, PeerId, Timestamp};

/// How many endpoints of equal standing are compared by how rare they are. Two: who makes himself look rare at most doubles his
/// chance.
const COMPARED: usize = 2;
/// How many endpoints that peering refused are remembered while candidates are sought.
const REFUSED_MIN: usize = 16;

/// One search for candidates.
#[derive(Clone, Debug)]
pub struct Choosing {
    /// How many outbound peers, and dials, each group has.
    taken: BTreeMap<NetGroup, usize>,
    target: usize,
    refused: Vec<Endpoint>,
    /// How many a group may have once no other group is left; known when that is so.
    share: Option<Share>,
}

#[derive(Clone, Debug)]
struct Share {
    each: usize,
    /// A group that most of the book is of, although there are others.
    overgrown: Option<NetGroup>,
}

impl Choosing {
    /// Begins a search for a node that wants `target` outbound peers and has some, or dials them, in these groups.
    pub fn new(target: usize, taken: impl IntoIterator<Item = NetGroup>) -> Self {
        let mut counts: BTreeMap<NetGroup, usize> = BTreeMap::new();
        taken.into_iter().for_each(|group| *counts.entry(group).or_default() += 1);
        Self { taken: counts, target, refused: Vec::new(), share: None }
    }

    /// The next endpoint to propose; `None` when there is none, or too many were refused.
    ///
    /// `holders` says how many peers are known to hold a peer.
    pub fn next(
        &mut self,
        book: &mut AddressBook,
        is_connected: impl Fn(&PeerId) -> bool,
        holders: impl Fn(&PeerId) -> usize,
        now: Timestamp,
    ) -> Option<Choice> {
        if self.refused.len() >= REFUSED_MIN.max(self.target) {
            return None;
        }
        if self.share.is_none() {
            if let Some(choice) = self.rarest(book, &is_connected, &holders, now) {
                return Some(choice);
            }
            self.share = Some(self.share_of(book));
        }
        self.rarest(book, &is_connected, &holders, now)
    }

    /// Peering dials what was proposed.
    pub fn started(&mut self, choice: &Choice) {
        *self.taken.entry(choice.group).or_default() += 1;
    }

    /// Peering does not dial what was proposed now.
    pub fn refused(&mut self, choice: Choice) {
        self.refused.push(choice.endpoint);
    }

    fn rarest(
        &self,
        book: &mut AddressBook,
        is_connected: &impl Fn(&PeerId) -> bool,
        holders: &impl Fn(&PeerId) -> usize,
        now: Timestamp,
    ) -> Option<Choice> {
        let eligible = |candidate: &Candidate<'_>| {
            self.has_room(candidate.group)
                && candidate.peer.is_none_or(|peer| !is_connected(peer))
                && !self.refused.contains(candidate.endpoint)
        };
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

    fn has_room(&self, group: NetGroup) -> bool {
        let taken = self.taken.get(&group).copied().unwrap_or_default();
        match &self.share {
            None => taken == 0,
            Some(share) if share.overgrown == Some(group) => taken == 0,
            Some(share) => taken < share.each,
        }
    }

    /// With fewer groups than outbound slots they are shared out evenly; a group that most of the book is of gets one all the
    /// same, unless it is the only one.
    fn share_of(&self, book: &AddressBook) -> Share {
        let groups = book.counts().groups;
        let all: usize = groups.values().sum();
        let largest = groups.iter().max_by_key(|(_, count)| **count);
        let overgrown = largest.filter(|(_, count)| groups.len() > 1 && **count > all / 4 * 3).map(|(group, _)| *group);
        let others = groups.len() - usize::from(overgrown.is_some());
        Share { each: self.target.div_ceil(others.max(1)).max(1), overgrown }
    }
}

#[cfg(test)]
mod tests {
    use bruit_address_book::{Config, Hearsay, Seed, Source};
    use libp2p_identity::Keypair;
    use proptest::prelude::*;

    use super::*;

    const T: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn peer(number: u32) -> PeerId {
        let mut bytes = [3; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Keypair::ed25519_from_bytes(bytes).unwrap().public().to_peer_id()
    }

    /// A book of endpoints `a.b.x.y`, each told by its own group.
    fn book(endpoints: impl Iterator<Item = [u8; 4]>) -> AddressBook {
        let mut book = AddressBook::new(Config::default().validate().unwrap(), Seed::from_number(1));
        for ip in endpoints {
            let endpoint = Endpoint::tcp(ip.into(), 4_001);
            let source = Source::Peer { peer: peer(0), group: NetGroup::V4(u16::from_be_bytes([ip[2], ip[3]])) };
            book.heard(Hearsay { peer: None, endpoint, last_seen: None, source }, T);
        }
        book
    }

    fn chosen(book: &mut AddressBook, target: usize) -> Vec<NetGroup> {
        let mut choosing = Choosing::new(target, []);
        let mut groups = Vec::new();
        while groups.len() < target {
            let Some(choice) = choosing.next(book, |_| false, |_| 0, T) else { break };
            choosing.started(&choice);
            groups.push(choice.group);
            choosing.refused.push(choice.endpoint);
            choosing.refused.drain(..choosing.refused.len().saturating_sub(8));
        }
        groups
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn from_a_book_full_of_one_group_at_most_one_is_of_it(others in 2_u8..60, target in 8_usize..40) {
            let flood = (0..u16::from(others) * 9).map(|number| {
                let [a, b] = number.to_be_bytes();
                [66, 66, a, b]
            });
            let mut book = book((0..others).map(|number| [20, number, 1, 1]).chain(flood));
            let groups = chosen(&mut book, target);
            let of_flood = groups.iter().filter(|group| **group == NetGroup::V4(66 * 256 + 66)).count();
            prop_assert!(of_flood <= 1, "{} of {}", of_flood, groups.len());
            prop_assert!(groups.len() >= usize::from(others).min(target) / 2);
        }
    }

    #[test]
    fn groups_are_distinct_while_there_are_any_and_shared_out_evenly_after_that() {
        let mut many = book((0..60).map(|number| [20, number, 1, 1]));
        let groups = chosen(&mut many, 32);
        assert_eq!(groups.iter().collect::<std::collections::BTreeSet<_>>().len(), 32);
        let mut few = book((0..80).map(|number| [20, number % 4, 1, number]));
        let groups = chosen(&mut few, 8);
        let mut counts: BTreeMap<NetGroup, usize> = BTreeMap::new();
        groups.iter().for_each(|group| *counts.entry(*group).or_default() += 1);
        assert_eq!(counts.values().copied().collect::<Vec<_>>(), [2, 2, 2, 2]);
        let mut one = book((0..80).map(|number| [20, 1, 1, number]));
        assert_eq!(chosen(&mut one, 8).len(), 8, "who has one group only lives with it");
    }

    #[test]
    fn among_equals_whom_few_hold_comes_first_but_not_always() {
        let mut book = book(std::iter::empty());
        for number in 0..40_u8 {
            let endpoint = Endpoint::tcp([20, number, 1, 1].into(), 4_001);
            book.dial_succeeded(&endpoint, peer(number.into()), T);
        }
        let holders = |of: &PeerId| if (0..20).any(|number| peer(number) == *of) { 9 } else { 1 };
        let rare = (0..400).filter(|_| {
            let choice = Choosing::new(8, []).next(&mut book, |_| false, holders, T).unwrap();
            holders(&choice.peer.unwrap()) == 1
        });
        // Three of four: the better of two.
        let rare = rare.count();
        assert!((260..340).contains(&rare), "{rare} of 400");
    }
}
