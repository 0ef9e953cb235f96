//! `neighbour_cast`: not to peers that the sender reaches itself. Iron Fish's earlier rule, sharpened.
//!
//! Nodes tell their peers who their peers are. The origin sends to all. Whoever has it from the origin passes it to a peer
//! that the origin does not reach, unless another common neighbour is designated for that by a hash; its copy carries the list
//! of whom the origin reaches. Who has it from there passes it to peers that neither the origin nor anybody on that list
//! reaches, if the hash is among the two least. Everybody later, and whoever had to ask, tells ids only. One step after
//! holding an item all tell its id to every peer not known to have it: lists save copies, and never decide who gets an item.
//!
//! # Security
//! Whether two nodes are neighbours is taken from the list of whoever would get the copy. Who claims neighbours that it has
//! not is passed over, and asks for the item later; nobody else is.

use std::time::Duration;

use bruit_core::{Slot, Timestamp};

use super::super::{Engine, timers::Deadline};
use crate::{ControlMessage, Finished, Hop, HopKind, ItemId, NeighbourCast, Policy, ShortId};

/// How soon after the first change lists are told: when a node starts, many peers come together.
const TELL_AFTER: Duration = Duration::from_millis(10);
/// After how long they may be told again at first; each time twice as long, up to what is configured.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How many holders of a later hop may pass an item to one peer.
const DESIGNATED_LATER: usize = 2;

/// When this node's own list is told.
#[derive(Debug, Default)]
pub(in crate::engine) struct Lists {
    next: Option<Timestamp>,
    /// Before this moment it is not told again.
    rest_until: Timestamp,
    rest: Duration,
}

/// The names of a peer's neighbours, as it claims, in order.
#[derive(Debug)]
pub(super) struct NamedNeighbours(Box<[ShortId]>);

impl NamedNeighbours {
    fn new(list: &[ShortId]) -> Self {
        let mut names: Vec<ShortId> = list.to_vec();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }

    fn contains(&self, name: ShortId) -> bool {
        self.0.binary_search(&name).is_ok()
    }
}

impl Engine {
    pub(super) fn spread_by_neighbour_cast(&mut self, index: u32, settings: &NeighbourCast, now: Timestamp) {
        let Some(item) = self.held.get(index) else { return };
        let (from, hop, is_at_limit) = (item.from, item.message.hop().clone(), item.is_at_limit());
        match from {
            None => {
                self.choose_for(index);
                self.push_to_targets(index);
            }
            Some(from) if hop.kind == HopKind::Push && !is_at_limit => match hop.round {
                1 => self.cast_beyond(index, from),
                2 => self.cast_beyond_cover(index, &hop),
                _ => {}
            },
            Some(_) => {}
        }
        self.set_due(index, now.after(settings.step));
    }

    /// Whoever is not known to have it by now is told its id.
    pub(super) fn neighbour_cast_due(&mut self, index: u32, now: Timestamp) {
        self.choose_for(index);
        let targets = std::mem::take(&mut self.targets);
        self.announce_to(index, &targets, now);
        self.finish(index, Finished::Pushed, now);
    }

    /// To peers that the origin does not reach, if this node is designated among those that both reach.
    fn cast_beyond(&mut self, index: u32, origin: Slot) {
        let Some(id) = self.held.get(index).map(|item| item.message.id()) else { return };
        let Some((origin_name, of_origin)) = self.name_and_list(origin) else { return };
        let cover = [origin_name].into_iter().chain(of_origin.iter().copied());
        let cover = ShortId::join(cover.take(bruit_wire::limits::NEIGHBOURS_MAX));
        let of_origin = NamedNeighbours(of_origin);
        self.choose_for(index);
        let mut targets = std::mem::take(&mut self.targets);
        targets.retain(|slot| {
            let Some((name, list)) = self.list_of(*slot) else { return false };
            let common = list.0.iter().copied().filter(|other| of_origin.contains(*other));
            !list.contains(origin_name) && self.ranks_below(id, name, common, 1)
        });
        self.cast(index, targets, Some(cover));
    }

    /// To peers that nobody reaches whom the origin or its neighbours cover.
    fn cast_beyond_cover(&mut self, index: u32, hop: &Hop) {
        let Some(id) = self.held.get(index).map(|item| item.message.id()) else { return };
        let covered: Vec<ShortId> = hop.covered().collect();
        let covered = NamedNeighbours::new(&covered);
        if covered.0.is_empty() {
            return;
        }
        self.choose_for(index);
        let mut targets = std::mem::take(&mut self.targets);
        targets.retain(|slot| {
            let Some((name, list)) = self.list_of(*slot) else { return false };
            let is_reached = list.0.iter().any(|other| covered.contains(*other));
            !is_reached && self.ranks_below(id, name, list.0.iter().copied(), DESIGNATED_LATER)
        });
        self.cast(index, targets, None);
    }

    fn cast(&mut self, index: u32, targets: Vec<Slot>, cover: Option<bytes::Bytes>) {
        if let Some(item) = self.held.get_mut(index) {
            item.onward.cover = cover.unwrap_or_default();
        }
        self.targets = targets;
        self.push_to_targets(index);
    }

    /// Whether fewer than `places` of some nodes rank before this one.
    fn ranks_below(&self, id: ItemId, target: ShortId, others: impl Iterator<Item = ShortId>, places: usize) -> bool {
        let rank = |name: ShortId| (rank(&id, target, name), name);
        let own = rank(self.short_id);
        others.filter(|other| rank(*other) < own).take(places).count() < places
    }

    fn list_of(&self, slot: Slot) -> Option<(ShortId, &NamedNeighbours)> {
        let peer = self.peers.get(slot)?;
        Some((peer.traits.short_id, peer.rooms.neighbours.as_ref()?))
    }

    fn name_and_list(&self, slot: Slot) -> Option<(ShortId, Box<[ShortId]>)> {
        self.list_of(slot).map(|(name, list)| (name, list.0.clone()))
    }

    /// A peer told who its neighbours are.
    pub(super) fn list_received(&mut self, from: Slot, message: &ControlMessage) {
        let Some(list) = &message.neighbours else { return };
        if self.list_settings().is_none() {
            return;
        }
        if let Some(peer) = self.peers.get_mut(from) {
            peer.rooms.neighbours = Some(NamedNeighbours::new(list));
        }
    }

    /// A peer came, went, or got its name.
    pub(in crate::engine) fn list_changed(&mut self, now: Timestamp) {
        if self.list_settings().is_none() || self.rooms.lists.next.is_some() {
            return;
        }
        let at = now.after(TELL_AFTER).max(self.rooms.lists.rest_until);
        self.rooms.lists.next = Some(at);
        self.timers.replace(None, Some(at), Deadline::Lists);
    }

    /// It is time to tell all peers who the others are.
    pub(in crate::engine) fn lists_due(&mut self, now: Timestamp) {
        self.rooms.lists.next = None;
        let Some(settings) = self.list_settings() else { return };
        let rest = self.rooms.lists.rest.saturating_mul(2).max(TELL_AGAIN_AFTER).min(settings.lists_every);
        (self.rooms.lists.rest, self.rooms.lists.rest_until) = (rest, now.after(rest));
        let names = self.peers.iter().map(|(_, peer)| peer.traits.short_id);
        let list: Vec<ShortId> = names.take(bruit_wire::limits::NEIGHBOURS_MAX).collect();
        let all: Vec<Slot> = self.peers.iter().map(|(slot, _)| slot).collect();
        for to in all {
            let neighbours = Some(list.clone());
            self.send_control(to, ControlMessage { neighbours, ..ControlMessage::default() });
        }
    }

    /// The settings, if any topic is spread this way.
    fn list_settings(&self) -> Option<NeighbourCast> {
        self.config.topics.values().chain(&self.config.other_topics).find_map(|topic| {
            let Policy::NeighbourCast(settings) = topic.policy else { return None };
            Some(settings)
        })
    }
}

/// What all nodes compute alike, and nobody can make come out the same way for every item.
fn rank(id: &ItemId, target: ShortId, node: ShortId) -> u64 {
    let number = |name: ShortId| name.as_bytes().iter().fold(0, |sum: u64, byte| (sum << 8) | u64::from(*byte));
    let (words, _) = id.as_bytes().as_chunks();
    let salt = words.first().map_or(0, |word| u64::from_le_bytes(*word));
    // The finishing steps of splitmix64 (Steele, Lea, Flood 2014).
    let mixed = salt ^ ((number(target) << 24) | number(node)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
