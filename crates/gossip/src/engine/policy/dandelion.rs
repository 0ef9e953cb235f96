//! `dandelion`: a stem of single relays, then another policy. Dandelion++ (Fanti and others, 2018).
//!
//! For an epoch a node has one or two relays among its outbound peers, each inbound peer's items (and its own) always take
//! the same one, and a coin has decided whether it passes stems on or ends them. Own items are always stemmed. Whoever has an
//! item on its stem spreads it after an embargo if it has not come back by then: a stem that leads nowhere only costs time.
//!
//! What is on its stem is announced to nobody, and served to nobody.

use std::collections::BTreeMap;

use bruit_core::{Slot, Timestamp};
use rand::RngExt;

use super::{
    super::{Engine, held::Load},
    ItemRoom,
    chance::exponential,
    keep_random,
};
use crate::{Dandelion, Hop, HopKind};

/// The part of what may be served that the stems of one peer may use.
const STEM_PART: usize = 8;

/// What a node does with stems for an epoch. All topics share it, so that they do not tell more together than alone.
#[derive(Debug, Default)]
pub(in crate::engine) struct Stems {
    until: Timestamp,
    ends_stems: bool,
    relays: Vec<Slot>,
    /// Which relay the items of an inbound peer take; own ones stand under `None`.
    ways: BTreeMap<Option<Slot>, Slot>,
    fixed: Option<Slot>,
}

impl Stems {
    pub(in crate::engine) fn peer_gone(&mut self, slot: Slot) {
        self.relays.retain(|relay| *relay != slot);
        self.ways.retain(|from, relay| *from != Some(slot) && *relay != slot);
    }

    /// The way of a peer's items: the relay with fewest ways so far, so that relays share the inbound peers evenly.
    fn way_of(&mut self, from: Option<Slot>, draw: u32) -> Option<Slot> {
        if let Some(relay) = self.ways.get(&from) {
            return Some(*relay);
        }
        let ways = |relay: &Slot| self.ways.values().filter(|used| *used == relay).count();
        let fewest = self.relays.iter().map(ways).min()?;
        let free: Vec<Slot> = self.relays.iter().copied().filter(|relay| ways(relay) == fewest).collect();
        let relay = free.get(draw as usize % free.len().max(1)).copied()?;
        self.ways.insert(from, relay);
        Some(relay)
    }
}

impl Engine {
    /// Has all stems lead on to one peer, or to those drawn by chance again. For tests of networks, which want to know where
    /// a stem goes.
    pub const fn fix_stem_relay(&mut self, relay: Option<Slot>) {
        self.rooms.stems.fixed = relay;
    }

    /// Own items and those on their stem come here only.
    pub(super) fn spread_by_dandelion(&mut self, index: u32, settings: &Dandelion, now: Timestamp) {
        let Some(from) = self.held.get(index).map(|item| item.from) else { return };
        self.renew_epoch(settings, now);
        let is_transit = from.is_some();
        if is_transit && (self.rooms.stems.ends_stems || !self.charge_stem(index, from, settings)) {
            return self.go_public(index, 1, now);
        }
        if let Some(item) = self.held.get_mut(index) {
            item.room = ItemRoom::Stem;
            item.onward = Hop { kind: HopKind::Stem, ..Hop::on_round(1) };
        }
        let Some(relay) = self.relay_for(index, from) else { return self.go_public(index, 1, now) };
        let embargo = exponential(settings.embargo, &mut self.rng);
        self.set_due(index, now.after(embargo));
        self.push_to(index, relay);
    }

    fn renew_epoch(&mut self, settings: &Dandelion, now: Timestamp) {
        if self.rooms.stems.until <= now {
            let until = now.after(exponential(settings.epoch, &mut self.rng));
            let ends_stems = self.rng.random_bool(settings.fluff.clamp(0.0, 1.0));
            let fixed = self.rooms.stems.fixed;
            self.rooms.stems = Stems { until, ends_stems, fixed, ..Stems::default() };
        }
        // Who is gone is replaced; whoever stays keeps its ways.
        let lacking = (settings.relays as usize).saturating_sub(self.rooms.stems.relays.len());
        if lacking > 0 {
            let relays = &self.rooms.stems.relays;
            let is_candidate = |slot: &Slot| !relays.contains(slot);
            let outbound = self.peers.iter().filter(|(_, peer)| peer.traits.is_outbound).map(|(slot, _)| slot);
            let mut candidates: Vec<Slot> = outbound.filter(is_candidate).collect();
            keep_random(&mut candidates, lacking, &mut self.rng);
            self.rooms.stems.relays.append(&mut candidates);
        }
    }

    /// `false` when too much of a peer is on its stem here. Its first item always has room.
    fn charge_stem(&mut self, index: u32, from: Option<Slot>, settings: &Dandelion) -> bool {
        let Some(load) = self.held.get(index).map(|item| Load::of(&item.message)) else { return false };
        let bytes_max = self.config.serve_bytes_max / STEM_PART;
        let Some(peer) = from.and_then(|from| self.peers.get_mut(from)) else { return false };
        let mut stems = peer.rooms.stems;
        stems.add(load);
        let has_room = stems.items == 1 || stems.items <= settings.stem_items_max as usize && stems.bytes <= bytes_max;
        if has_room {
            peer.rooms.stems = stems;
        }
        has_room
    }

    /// Where a stem leads on; `None` if there is nobody, or the item was there.
    fn relay_for(&mut self, index: u32, from: Option<Slot>) -> Option<Slot> {
        let draw = self.rng.random();
        let stems = &mut self.rooms.stems;
        let relay = stems.fixed.or_else(|| stems.way_of(from, draw))?;
        self.choose_for(index);
        self.targets.contains(&relay).then_some(relay)
    }
}

#[cfg(test)]
mod tests;
