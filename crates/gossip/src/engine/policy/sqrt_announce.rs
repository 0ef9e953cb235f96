//! `sqrt_announce`: the body to the square root of the peers, the id to the rest. Iron Fish's rule since 2022.

use bruit_core::Timestamp;

use super::super::Engine;

impl Engine {
    pub(super) fn spread_by_sqrt(&mut self, index: u32, now: Timestamp) {
        let Some(item) = self.held.get(index) else { return };
        let (may_push, choice) = (!item.is_at_limit(), item.topic.choice);
        self.choose_for(index);
        let all = self.targets.clone();
        if may_push {
            self.keep_with_specials(self.peers.len().isqrt().max(1), choice);
            self.push_to_targets(index);
        }
        self.announce_to(index, &all, now);
    }
}
