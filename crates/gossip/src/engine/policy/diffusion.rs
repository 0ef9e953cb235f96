//! `diffusion`: to every peer after a delay of its own, so that the order of arrival says little about who began.
//!
//! Bitcoin's rule since 2015: exponential delays, and one timer for all inbound peers, so that somebody who connects many
//! times does not draw many times.

use std::time::Duration;

use bruit_core::{Slot, Timestamp};

use super::{super::Engine, ItemRoom, chance::exponential};
use crate::Finished;

/// How much longer inbound peers wait on average, in tenths: Bitcoin's 5 s against 2 s.
const INBOUND_TENTHS: u32 = 25;

impl Engine {
    pub(super) fn spread_by_diffusion(&mut self, index: u32, mean: Duration, now: Timestamp) {
        self.choose_for(index);
        let mut waiting: Vec<(Timestamp, Slot)> = Vec::with_capacity(self.targets.len());
        for slot in std::mem::take(&mut self.targets) {
            let is_outbound = self.peers.get(slot).is_some_and(|peer| peer.traits.is_outbound);
            let at = if is_outbound { now.after(exponential(mean, &mut self.rng)) } else { self.inbound_at(mean, now) };
            waiting.push((at, slot));
        }
        // The next one is at the end.
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(item) = self.held.get_mut(index) {
            item.room = ItemRoom::Diffusion(waiting);
        }
        self.diffusion_due(index, now);
    }

    pub(super) fn diffusion_due(&mut self, index: u32, now: Timestamp) {
        while let Some(item) = self.held.get_mut(index) {
            let ItemRoom::Diffusion(waiting) = &mut item.room else { return };
            match waiting.last().copied() {
                None => return self.finish(index, Finished::Pushed, now),
                Some((at, _)) if at > now => return self.set_due(index, at),
                Some((_, slot)) => {
                    waiting.pop();
                    if !item.known_by.contains(slot) && self.peers.contains(slot) {
                        self.push_to(index, slot);
                    }
                }
            }
        }
    }

    /// When inbound peers are sent what waits for them. It is drawn anew only when it has passed: the moments are those of
    /// one Poisson process.
    fn inbound_at(&mut self, mean: Duration, now: Timestamp) -> Timestamp {
        if self.rooms.inbound_at <= now {
            let mean = mean.saturating_mul(INBOUND_TENTHS) / 10;
            self.rooms.inbound_at = now.after(exponential(mean, &mut self.rng));
        }
        self.rooms.inbound_at
    }
}

#[cfg(test)]
mod tests;
