//! `proxy`: an own item goes to one outbound peer, which spreads it as if it were its own.
//!
//! If it does not come back in time, this node spreads it after all.

use std::time::Duration;

use bruit_core::{Slot, Timestamp};

use super::{
    super::{
        Engine,
        held::{HeldItem, Load, Stage},
        timers::Deadline,
    },
    ItemRoom,
    chance::exponential,
    keep_random,
};
use crate::{Hop, Policy, Proxy};

impl Engine {
    /// Own items come here only.
    pub(super) fn spread_by_proxy(&mut self, index: u32, settings: &Proxy, now: Timestamp) {
        self.choose_for(index);
        self.keep_outbound();
        keep_random(&mut self.targets, 1, &mut self.rng);
        let Some(proxy) = self.targets.first().copied() else { return self.go_public(index, 1, now) };
        let embargo = exponential(settings.embargo, &mut self.rng);
        self.set_due(index, now.after(embargo));
        self.push_to(index, proxy);
    }

    /// Keeps those of the targets that this node has dialled: whom an attacker cannot choose.
    pub(super) fn keep_outbound(&mut self) {
        let peers = &self.peers;
        let is_outbound = |slot: Slot| peers.get(slot).is_some_and(|peer| peer.traits.is_outbound);
        self.targets.retain(|slot| is_outbound(*slot));
    }

    /// The private beginning of an item is over: from now on it spreads by the inner policy.
    pub(super) fn go_public(&mut self, index: u32, round: u32, now: Timestamp) {
        let Some(policy) = self.held.get(index).map(|item| item.policy.public()) else { return };
        self.spread_openly(index, policy, round, now);
    }

    /// A copy of a secret item came that others may have too: it is relayed as if it were new, on a round that leaves it at
    /// least half of its way.
    ///
    /// # Security
    /// The round is nobody's signed word: a copy on its last one must not end the embargo of an item that goes nowhere. The
    /// first round would tell spies who had the item before.
    pub(in crate::engine) fn seen_in_public(&mut self, index: u32, round: u32, now: Timestamp) {
        let Some(policy) = self.held.get(index).map(|item| item.policy.public()) else { return };
        let latest = (policy.rounds() / 2).max(1);
        self.spread_openly(index, policy, round.saturating_add(1).min(latest), now);
    }

    fn spread_openly(&mut self, index: u32, policy: Policy, round: u32, now: Timestamp) {
        let Some(item) = self.held.spread_by(index, policy) else { return };
        item.onward = Hop::on_round(round);
        self.timers.replace(item.due.take(), None, Deadline::Item(index));
        let (from, room, load) = (item.from, std::mem::take(&mut item.room), Load::of(&item.message));
        self.discharge_stem(from, &room, load);
        self.spread(index, now);
    }

    /// An item must go, but nobody else may have it yet: it is pushed to everybody while it is here.
    pub(in crate::engine) fn reveal(&mut self, index: u32, now: Timestamp) {
        let is_secret = |item: &HeldItem| item.stage == Stage::Spreading && item.policy.is_private();
        if self.held.get(index).is_some_and(is_secret) {
            self.spread_openly(index, Policy::Flood { delay: Duration::ZERO }, 1, now);
        }
    }

    /// An item is held no more.
    pub(in crate::engine) fn left_stem(&mut self, item: &HeldItem) {
        self.discharge_stem(item.from, &item.room, Load::of(&item.message));
    }

    fn discharge_stem(&mut self, from: Option<Slot>, room: &ItemRoom, load: Load) {
        if !matches!(room, ItemRoom::Stem) {
            return;
        }
        if let Some(peer) = from.and_then(|from| self.peers.get_mut(from)) {
            peer.rooms.stems.subtract(load);
        }
    }
}

#[cfg(test)]
mod tests;
