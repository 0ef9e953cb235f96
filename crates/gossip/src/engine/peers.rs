use std::collections::BTreeSet;

use bruit_core::{Slot, SlotMap};

use super::held::Load;
use crate::Topic;

/// The connected peers: what they want, and how much of theirs awaits a verdict.
#[derive(Debug, Default)]
pub(super) struct Peers {
    slots: SlotMap<Peer>,
}

#[derive(Debug, Default)]
pub(super) struct Peer {
    /// What it wants.
    pub(super) topics: BTreeSet<Topic>,
    /// What it was told that this node wants.
    pub(super) told: BTreeSet<Topic>,
    pub(super) pending: Load,
    pub(super) is_paused: bool,
}

impl Peers {
    pub(super) fn insert(&mut self, slot: Slot) {
        self.slots.insert(slot, Peer::default());
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<Peer> {
        self.slots.remove(slot)
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
