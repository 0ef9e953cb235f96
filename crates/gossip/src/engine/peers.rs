use std::{
    collections::BTreeSet,
    ops::{Deref, DerefMut},
};

use bruit_core::{Slot, SlotMap};

use super::{held::Load, policy::PeerRooms, rates::Allowance};
use crate::{ShortId, Topic};

/// The connected peers: what they want, and how much of theirs awaits a verdict.
#[derive(Debug, Default)]
pub(super) struct Peers {
    slots: SlotMap<Peer>,
    /// How many of them the operator named.
    specials: usize,
}

/// A connected peer. Of most peers nothing but their traits is known, so the rest has its room when it is first changed.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) traits: PeerTraits,
    dealings: Option<Box<Dealings>>,
}

/// What a peer said, and what it did lately.
#[derive(Debug, Default)]
pub(super) struct Dealings {
    /// What it wants.
    pub(super) topics: BTreeSet<Topic>,
    /// What it was told that this node wants.
    pub(super) told: BTreeSet<Topic>,
    pub(super) pending: Load,
    pub(super) is_paused: bool,
    pub(super) allowance: Allowance,
    /// How many ids it was the first to announce whose items are not here yet.
    pub(super) first_heard: u32,
    /// How many items it was asked for and has not sent yet.
    pub(super) wants: u32,
    /// What policies remember of it.
    pub(super) rooms: PeerRooms,
}

/// The dealings with a peer with which there were none.
static NONE: Dealings = Dealings {
    topics: BTreeSet::new(),
    told: BTreeSet::new(),
    pending: Load { items: 0, bytes: 0 },
    is_paused: false,
    allowance: Allowance::new(),
    first_heard: 0,
    wants: 0,
    rooms: PeerRooms::new(),
};

/// What a node knows of a peer besides what gossip tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTraits {
    /// What others call it in their lists of neighbours.
    pub short_id: ShortId,
    /// This node dialled it.
    pub is_outbound: bool,
    /// The operator named it: what is pushed to some is pushed to it too.
    pub is_special: bool,
    /// Which half of a mixed choice it belongs to.
    pub class: PeerClass,
}

/// Which half of a mixed choice a peer belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeerClass {
    /// The other one.
    #[default]
    Ordinary,
    /// Those that the network cannot do without, such as validators.
    Validator,
}

impl Deref for Peer {
    type Target = Dealings;

    fn deref(&self) -> &Dealings {
        self.dealings.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Dealings {
        self.dealings.get_or_insert_default()
    }
}

impl Peers {
    pub(super) fn reserve(&mut self, count: usize) {
        self.slots.reserve(count);
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        if let Some((_, before)) = self.slots.insert(slot, Peer::default()) {
            self.specials -= usize::from(before.traits.is_special);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Peer> {
        let peer = self.slots.remove(slot)?;
        self.specials -= usize::from(peer.traits.is_special);
        Some(peer)
    }

    /// Replaces what is known of a peer; false if it is not there.
    pub(super) fn describe(&mut self, slot: Slot, traits: PeerTraits) -> bool {
        let Some(peer) = self.slots.get_mut(slot) else { return false };
        self.specials += usize::from(traits.is_special);
        self.specials -= usize::from(peer.traits.is_special);
        peer.traits = traits;
        true
    }

    /// Whether the operator named any of them.
    pub(super) const fn has_specials(&self) -> bool {
        self.specials > 0
    }

    /// Who holds the index of a slot now.
    pub(super) fn holder_of(&self, slot: Slot) -> Option<Slot> {
        self.slots.at_index(slot.index()).map(|(holder, _)| holder)
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        self.slots.contains(slot)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Peer> {
        self.slots.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Peer> {
        self.slots.get_mut(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Peer)> {
        self.slots.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn charge(&mut self, slot: Slot, load: Load) {
        if let Some(peer) = self.slots.get_mut(slot) {
            peer.pending.add(load);
        }
    }

    pub(super) fn discharge(&mut self, slot: Slot, load: Load) {
        if let Some(peer) = self.slots.get_mut(slot) {
            peer.pending.subtract(load);
        }
    }

    /// Whether a peer is not read because of its rate.
    pub(super) fn rests(&self, slot: Slot) -> bool {
        self.slots.get(slot).is_some_and(|peer| peer.allowance.rests())
    }

    /// Marks the peer with most bytes awaiting a verdict as paused. Nobody else is paused while that one already is.
    pub(super) fn pause_greediest(&mut self) -> Option<Slot> {
        let (slot, peer) = self.slots.iter_mut().max_by_key(|(slot, peer)| (peer.pending.bytes, *slot))?;
        if peer.is_paused || peer.pending.items == 0 {
            return None;
        }
        peer.is_paused = true;
        Some(slot)
    }

    /// Marks a paused peer as paused no longer.
    pub(super) fn resume_one(&mut self) -> Option<Slot> {
        let (slot, peer) = self.slots.iter_mut().find(|(_, peer)| peer.is_paused)?;
        peer.is_paused = false;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_the_operator_named_are_counted_once_and_while_they_are_there() {
        let [a, b] = [Slot::new(0, 0), Slot::new(1, 0)];
        let (special, other) = (PeerTraits { is_special: true, ..PeerTraits::default() }, PeerTraits::default());
        let mut peers = Peers::default();
        assert!(!peers.describe(a, special) && !peers.has_specials());
        [a, b].into_iter().for_each(|slot| peers.insert(slot));
        assert!(!peers.has_specials());
        assert!(peers.describe(a, special) && peers.describe(a, special) && peers.describe(b, special));
        assert!(peers.describe(a, other) && peers.has_specials());
        assert!(peers.remove(b).is_some() && peers.remove(b).is_none() && !peers.has_specials());
        assert!(peers.describe(a, special));
        peers.insert(Slot::new(0, 1));
        assert!(!peers.has_specials());
    }
}
