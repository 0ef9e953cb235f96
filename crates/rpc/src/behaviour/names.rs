use std::collections::VecDeque;

use bruit_core::{PeerId, Slot, SlotMap};

/// Who has which slot, and who had one that a call under way still remembers.
#[derive(Default)]
pub(super) struct Names {
    current: SlotMap<PeerId>,
    departed: VecDeque<(Slot, PeerId)>,
}

impl Names {
    pub(super) fn arrive(&mut self, slot: Slot, peer: PeerId) {
        self.current.insert(slot, peer);
    }

    /// Moves a name to those that are kept only as long as somebody remembers them.
    pub(super) fn depart(&mut self, slot: Slot) {
        if let Some(peer) = self.current.remove(slot) {
            self.departed.push_back((slot, peer));
        }
    }

    pub(super) fn forget_unless(&mut self, is_remembered: impl Fn(Slot) -> bool) {
        self.departed.retain(|(slot, _)| is_remembered(*slot));
    }

    pub(super) fn of(&self, slot: Slot) -> Option<PeerId> {
        let departed = || self.departed.iter().find(|(of, _)| *of == slot).map(|(_, peer)| peer);
        self.current.get(slot).or_else(departed).copied()
    }

    /// The slots that a peer had before.
    pub(super) fn earlier(&self, peer: PeerId) -> Vec<Slot> {
        self.departed.iter().filter(|(_, of)| *of == peer).map(|(slot, _)| *slot).collect()
    }
}
