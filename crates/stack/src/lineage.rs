//! Where what is known comes from in the end: whom a liar names, and whom those name, all go back to the liar.
//!
//! The book says which part of the internet first told of an endpoint. Here stands how this node came to know that part: by the
//! word of another one, as a seed, or because it came by itself.

use std::collections::BTreeMap;

use bruit_core::{BoundedQueue, Endpoint, NetGroup};

/// How many groups are remembered. 4,096: a guess; more than a node is connected to in a day.
const GROUPS_MAX: usize = 4_096;
/// Of how many that were dialled because a full node named them it is remembered. 64: a guess; more than are dialled at once.
const NOMINEES_MAX: usize = 64;

/// Where what is known of an endpoint comes from in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// A seed, or somebody known since an earlier start, in this group.
    Group(NetGroup),
    /// Anybody who came by himself: whoever has many addresses can come from many groups, so that all are one root.
    Uninvited,
}

/// From what root each group of tellers is known.
///
/// # Security
/// Of a group the first root holds while the node runs, so that nobody becomes a root of his own by coming once more. When there
/// is no room left, strangers count as uninvited.
#[derive(Clone, Debug)]
pub struct Lineage {
    roots: BTreeMap<NetGroup, Root>,
    /// Whom full nodes named, and in what group the one that did is.
    nominees: BoundedQueue<(Endpoint, NetGroup)>,
}

impl Default for Lineage {
    fn default() -> Self {
        Self { roots: BTreeMap::new(), nominees: BoundedQueue::new(NOMINEES_MAX) }
    }
}

impl Lineage {
    /// The root of what a group told.
    pub fn root_of(&self, source: NetGroup) -> Root {
        let is_full = self.roots.len() >= GROUPS_MAX;
        let unknown = if is_full { Root::Uninvited } else { Root::Group(source) };
        self.roots.get(&source).copied().unwrap_or(unknown)
    }

    /// Somebody of a group was dialled, first told of by a source; `None` for whom nobody told of.
    pub(crate) fn dialled(&mut self, group: NetGroup, source: Option<NetGroup>) {
        let root = self.root_of(source.unwrap_or(group));
        self.keep(group, root);
    }

    /// Somebody of a group came by himself.
    pub(crate) fn came(&mut self, group: NetGroup) {
        self.keep(group, Root::Uninvited);
    }

    /// An endpoint is dialled because a full node of a group named it.
    pub(crate) fn nominated(&mut self, endpoint: Endpoint, by: NetGroup) {
        self.nominees.push_over_oldest((endpoint, by));
    }

    /// In what group the full node was that named an endpoint, if it was dialled for that not long ago.
    pub(crate) fn nominator_of(&self, endpoint: &Endpoint) -> Option<NetGroup> {
        self.nominees.iter().find(|(nominee, _)| nominee == endpoint).map(|(_, by)| *by)
    }

    fn keep(&mut self, group: NetGroup, root: Root) {
        if self.roots.len() < GROUPS_MAX {
            self.roots.entry(group).or_insert(root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: NetGroup = NetGroup::V4(1);

    #[test]
    fn fault_whom_a_liar_names_and_whom_those_name_are_of_one_root() {
        let mut lineage = Lineage::default();
        lineage.dialled(SEED, None);
        lineage.dialled(NetGroup::V4(2), Some(SEED));
        lineage.dialled(NetGroup::V4(3), Some(NetGroup::V4(2)));
        // A peer that says it listens elsewhere is the source of that itself.
        lineage.dialled(NetGroup::V4(3), Some(NetGroup::V4(3)));
        assert_eq!([1, 2, 3].map(|group| lineage.root_of(NetGroup::V4(group))), [Root::Group(SEED); 3]);
        lineage.came(NetGroup::V4(3));
        assert_eq!(lineage.root_of(NetGroup::V4(3)), Root::Group(SEED));
    }

    #[test]
    fn fault_who_comes_by_himself_from_many_groups_is_one_root() {
        let mut lineage = Lineage::default();
        (10..20).for_each(|group| lineage.came(NetGroup::V4(group)));
        lineage.dialled(NetGroup::V4(10), Some(NetGroup::V4(10)));
        lineage.dialled(NetGroup::V4(30), Some(NetGroup::V4(11)));
        assert_eq!([10, 19, 30].map(|group| lineage.root_of(NetGroup::V4(group))), [Root::Uninvited; 3]);
    }

    #[test]
    fn so_many_nominees_are_remembered() {
        let mut lineage = Lineage::default();
        let at = |port: usize| Endpoint::tcp([9, 9, 9, 9].into(), u16::try_from(port).unwrap());
        (0..NOMINEES_MAX).for_each(|port| lineage.nominated(at(port), SEED));
        assert_eq!([0, NOMINEES_MAX].map(|port| lineage.nominator_of(&at(port))), [Some(SEED), None]);
        lineage.nominated(at(NOMINEES_MAX), SEED);
        assert_eq!([0, 1, NOMINEES_MAX].map(|port| lineage.nominator_of(&at(port))), [None, Some(SEED), Some(SEED)]);
    }

    #[test]
    fn so_many_groups_are_remembered_and_strangers_are_uninvited_beyond() {
        let mut lineage = Lineage::default();
        let v6 = |number: usize| NetGroup::V6(u32::try_from(number).unwrap());
        for number in 0..GROUPS_MAX {
            assert_eq!(lineage.root_of(v6(GROUPS_MAX)), Root::Group(v6(GROUPS_MAX)));
            lineage.dialled(v6(number), None);
        }
        lineage.dialled(v6(GROUPS_MAX), None);
        assert_eq!((lineage.roots.len(), lineage.root_of(v6(GROUPS_MAX))), (GROUPS_MAX, Root::Uninvited));
        assert_eq!(lineage.root_of(v6(7)), Root::Group(v6(7)));
    }
}
