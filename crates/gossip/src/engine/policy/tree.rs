//! `tree`: one spanning tree for each root, bodies along it, ids beside it.
//!
//! A node that publishes for the first time sends the id ahead of the body on every link, and every node takes the sender of the
//! first id as its parent: a tree of shortest ways. Meanwhile the body goes along the tree of the nearest root, or to whoever
//! adopted this one. From the second item on it goes along the own tree. Ids tell everybody else; who gets an id and not the
//! body asks, and after two misses in a row it takes who answered for its new parent.

use std::time::Duration;

use bruit_core::{Slot, Timestamp};

use super::{
    super::{Engine, announcements::Telling, fetches::Fetch, held::Stage, known_by::KnownBy},
    HeardOf, LAG_MOST,
};
use crate::{Announced, Carry, ControlMessage, Hop, HopKind, ItemId, Policy, RootTag};

mod announcers;
mod trees;

pub(in crate::engine) use announcers::Announcers;
pub(in crate::engine) use trees::Trees;
use trees::{Tree, Way};

/// The least time that a body gets to follow its id: on own trees nothing came later (1,000 nodes, calm).
const GAP_LEAST: Duration = Duration::from_millis(3);
/// The most that it gets on a tree of who published it: under loss every millisecond more is one more at p99.
const GAP_MOST: Duration = Duration::from_millis(6);
/// The least that it gets there while this node is busy and lacks hardly anything: bodies wait for their turn then, and one asked for
/// in vain takes the turn of another.
const GAP_CALM: Duration = Duration::from_millis(250);
/// The least time that an answer gets.
const ANSWER_LEAST: Duration = Duration::from_millis(20);
/// After how many misses in a row a parent is changed: one may be chance, and whoever answered is farther than the parent.
const MISSES_MAX: u32 = 2;
/// To how many peers an item goes that must not grow a tree, where there is none.
const UNNAMED_FAN_OUT: usize = 16;
/// For how long nothing else is sent ahead of its body after an id that makes the own tree grow: nobody may have adopted this node
/// before that. A guess: twice the way there and back around the world.
const GROWING: Duration = Duration::from_millis(500);
/// How many ids a peer may send ahead of their bodies beyond those that came.
const AHEAD_MAX: u32 = 64;

impl Engine {
    /// An item was published here or accepted.
    pub(super) fn spread_on_tree(&mut self, index: u32, now: Timestamp) {
        let Some(item) = self.held.get(index) else { return };
        let (from, hop, trees_max) = (item.from, item.message.hop().clone(), trees_max(&item.policy));
        let is_first_word = item.heard.is_none();
        if from.is_some() {
            self.came_while_watched(index, now);
        }
        let way = hop.root.and_then(Way::of).filter(|_| from.is_some());
        match (from, way) {
            (Some(from), Some(way)) => {
                self.came_on_tree(from, way, hop.kind, trees_max, now);
                if is_first_word && !way.is_foreign && hop.kind == HopKind::Push {
                    self.pushed_on_own_tree(from, way.root, hop.round, Duration::ZERO);
                }
                self.lead_along(index, way, Some(from), now);
            }
            (_, None) | (None, _) => self.root_item(index, trees_max, now),
        }
    }

    /// This node is the root: of an item of its own, or of one that came on no tree.
    fn root_item(&mut self, index: u32, trees_max: u32, now: Timestamp) {
        if self.held.get(index).is_some_and(|item| item.topic.policy.is_private()) {
            return self.lead_unnamed(index, now);
        }
        let Some(own) = self.rooms.tree.own else { return };
        let is_known = !self.rooms.tree.get_or_make(own, trees_max, now).children.is_empty();
        if is_known {
            self.lead_along(index, Way { root: own, is_foreign: false }, None, now);
            return;
        }
        let nearest = self.rooms.tree.nearest();
        let tree = self.rooms.tree.get_or_make(own, trees_max, now);
        if tree.grows_since.is_some_and(|since| now.since(since) < GROWING) {
            // One id at a time makes it grow: with many, each would turn over what the one before has built.
            let way = nearest.map_or(Way { root: own, is_foreign: false }, |root| Way { root, is_foreign: true });
            return self.lead_along(index, way, None, now);
        }
        tree.grows_since = Some(now);
        self.send_ahead(index, Way { root: own, is_foreign: nearest.is_some() }, now);
        match nearest {
            Some(root) => self.lead_along(index, Way { root, is_foreign: true }, None, now),
            None => {
                self.set_way(index, Way { root: own, is_foreign: false });
                let id = self.held.get(index).map(|item| item.message.id());
                self.rooms.tree.get_or_make(own, trees_max, now).last = id;
            }
        }
    }

    /// Spreads an item with a private beginning: on the tree of somebody else, because a tag names its root to everybody.
    fn lead_unnamed(&mut self, index: u32, now: Timestamp) {
        if let Some(root) = self.rooms.tree.nearest() {
            return self.lead_along(index, Way { root, is_foreign: true }, None, now);
        }
        self.choose_for(index);
        let all = self.targets.clone();
        self.keep_some(UNNAMED_FAN_OUT);
        self.push_to_targets(index);
        self.announce_to(index, &all, now);
    }

    /// Says on all links that an item is coming, so that a tree grows.
    fn send_ahead(&mut self, index: u32, way: Way, now: Timestamp) {
        self.choose_for(index);
        let to: KnownBy = self.targets.iter().copied().collect();
        let Some(item) = self.held.get_mut(index) else { return };
        item.told.insert_all(&to);
        item.tally.announced = item.tally.announced.saturating_add(to.len());
        let announced = Announced { id: item.message.id(), round: item.onward.round, root: way.tag() };
        let topic = item.message.item().topic.clone();
        self.tell(Telling { topic, announced, is_ahead: true, is_precaution: false, to }, now);
    }

    fn set_way(&mut self, index: u32, way: Way) {
        if let Some(item) = self.held.get_mut(index) {
            item.onward.root = way.tag();
        }
    }

    /// Pushes an item along a tree, and tells all others.
    fn lead_along(&mut self, index: u32, way: Way, from: Option<Slot>, now: Timestamp) {
        self.set_way(index, way);
        self.choose_for(index);
        let all = std::mem::take(&mut self.targets);
        let Some(item) = self.held.get(index) else { return };
        let rounds_max = rounds_max(&item.policy, way.is_foreign);
        let id = item.message.id();
        if item.onward.round <= rounds_max
            && let Some(tree) = self.rooms.tree.get_mut(way.root)
        {
            if !way.is_foreign {
                tree.last = Some(id);
            }
            let (parent, children) = (tree.parent, tree.children.clone());
            let up = parent.filter(|parent| way.is_foreign && Some(*parent) != from);
            let links = all.iter().filter(|slot| up == Some(**slot) || children.contains(**slot));
            links.for_each(|to| self.push_to(index, *to));
        }
        self.announce_to(index, &all, now);
        self.targets = all;
    }

    /// The first copy of an item came, from a peer, along a tree or because it was asked for.
    fn came_on_tree(&mut self, from: Slot, way: Way, kind: HopKind, trees_max: u32, now: Timestamp) {
        let tree = self.rooms.tree.get_or_make(way.root, trees_max, now);
        if kind != HopKind::Answer {
            tree.misses = 0;
            if tree.parent.is_none() && !way.is_foreign && !tree.children.contains(from) {
                tree.take_parent(from);
            }
            return;
        }
        tree.misses = tree.misses.saturating_add(1);
        if tree.parent == Some(from) {
            // It did not push what it has: it may never have heard that it is the parent.
            self.say_adopt(from, way.root);
            return;
        }
        if tree.parent.is_some() && tree.misses < MISSES_MAX {
            return;
        }
        tree.misses = 0;
        tree.children.remove(from);
        let old = tree.take_parent(from);
        self.stats.trees_mended += 1;
        self.say_adopt(from, way.root);
        old.into_iter().for_each(|old| self.say_drop(old, way.root));
    }

    /// Another copy of a held item came: if its sender is no part of the tree, it should know.
    pub(in crate::engine) fn tree_copy_again(&mut self, index: u32, from: Slot, hop: &Hop, now: Timestamp) {
        let Some(way) = hop.root.and_then(Way::of).filter(|_| hop.kind == HopKind::Push) else { return };
        let first = self.held.get(index).filter(|item| item.message.hop().kind == HopKind::Answer);
        let heard = first.and_then(|item| item.heard);
        let tree = self.rooms.tree.get_mut(way.root);
        let tree = tree.filter(|tree| if way.is_foreign { tree.is_link(from) } else { tree.parent == Some(from) });
        let Some(tree) = tree else { return self.say_drop(from, way.root) };
        let (Some(heard), Some(peer)) = (heard, self.peers.get_mut(from)) else { return };
        let gap = now.since(heard);
        if !way.is_foreign && tree.came_by_itself(hop.round) {
            peer.rooms.pushed_after(gap);
        }
        if gap < LAG_MOST && !peer.rooms.lags_too_much() {
            // It was no miss: where all are busy, a body may need longer than its id.
            tree.misses = 0;
        }
    }

    /// An id whose item is not here was announced: ahead, and the tree grows; or by who has it, and it may be asked for.
    pub(super) fn tree_fetch_heard(&mut self, fetch: u32, policy: &Policy, heard: &HeardOf<'_>, now: Timestamp) {
        self.tree_id_heard(policy, heard, now);
        let Some(state) = self.fetches.get_mut(fetch) else { return };
        let way = heard.announced.root.and_then(Way::of);
        let trees = &self.rooms.tree;
        let tree = way.and_then(|way| trees.get(way.root));
        let parent = tree.and_then(|tree| tree.parent).and_then(|parent| self.peers.get(parent));
        let lag = parent.and_then(|parent| parent.rooms.lag()).unwrap_or_default();
        state.is_learning |= tree.is_some_and(|tree| tree.learned_from == Some(heard.announced.id));
        state.timing.per_source = trees.answer.bound(ANSWER_LEAST);
        let wait = match way {
            Some(Way { is_foreign: false, .. }) if !state.is_learning => {
                let usual = trees.own_gap.bound(GAP_LEAST).min(GAP_MOST).max(lag);
                if self.rooms.announcers.is_calm(heard.topic) { usual.max(GAP_CALM) } else { usual }
            }
            Some(_) if heard.is_ahead => trees.foreign_gap.bound(GAP_LEAST).saturating_mul(2),
            Some(_) => trees.foreign_gap.bound(GAP_LEAST),
            None => GAP_LEAST,
        };
        let is_first_holder = !heard.is_ahead && state.holder_heard == Some(now);
        if state.asked.is_none() && (heard.is_first || is_first_holder) {
            self.set_next(fetch, Some(now.after(wait.min(LAG_MOST))));
        }
    }

    /// An id was announced on a tree. If it runs ahead of its body and its sender is the first or nearer, that is the parent
    /// now, and the id is passed on.
    pub(super) fn tree_id_heard(&mut self, policy: &Policy, heard: &HeardOf<'_>, now: Timestamp) {
        let Some(way) = heard.announced.root.and_then(Way::of).filter(|_| heard.is_ahead) else { return };
        let Announced { id, round, .. } = *heard.announced;
        let rounds = policy.rounds();
        if round == 0 || round > rounds || Some(way.root) == self.rooms.tree.own {
            return;
        }
        let is_first = !self.has_run_ahead(&id);
        let is_way_out = |tree: &Tree| tree.learned_from == Some(id) && tree.round >= rounds && round < rounds;
        let may_grow = match is_first {
            true => self.may_run_ahead(heard.from, &id),
            false => self.rooms.tree.get(way.root).is_some_and(is_way_out),
        };
        if !may_grow {
            return;
        }
        let tree = self.rooms.tree.get_or_make(way.root, trees_max(policy), now);
        if is_first {
            tree.children = KnownBy::default();
        }
        tree.children.remove(heard.from);
        (tree.round, tree.learned_from) = (round, Some(id));
        let old = tree.take_parent(heard.from);
        if old != Some(heard.from) {
            self.say_adopt(heard.from, way.root);
            old.into_iter().for_each(|old| self.say_drop(old, way.root));
        }
        if round < rounds {
            self.pass_ahead(heard, now);
        }
    }

    /// Whether an id has made a tree grow here already, on whatever tree: it does so once.
    fn has_run_ahead(&self, id: &ItemId) -> bool {
        let held = self.held_index(id).and_then(|index| self.held.get(index));
        let fetch = || self.fetches.index_of(id).and_then(|index| self.fetches.get(index));
        held.map_or_else(|| fetch().is_none_or(|fetch| fetch.ahead_by.is_some()), |item| item.has_run_ahead)
    }

    /// Whether an id of a peer may be passed on ahead of its body, which is noted: the peer pays until the body comes.
    fn may_run_ahead(&mut self, from: Slot, id: &ItemId) -> bool {
        let held = self.held_index(id);
        let Some(peer) = self.peers.get_mut(from).filter(|peer| peer.rooms.ahead < AHEAD_MAX) else { return false };
        if let Some(item) = held.and_then(|index| self.held.get_mut(index)) {
            item.has_run_ahead = true;
        } else if let Some(fetch) = self.fetches.index_of(id).and_then(|index| self.fetches.get_mut(index)) {
            peer.rooms.ahead = peer.rooms.ahead.saturating_add(1);
            fetch.ahead_by = Some(from);
        }
        true
    }

    /// Passes an id on ahead of its body.
    fn pass_ahead(&mut self, heard: &HeardOf<'_>, now: Timestamp) {
        let HeardOf { from, topic, announced, .. } = *heard;
        let carry = self.config.topic(topic).map_or(Carry::Subscribers, |config| config.carry);
        let held = self.held_index(&announced.id);
        let fetch = self.fetches.index_of(&announced.id);
        let mut aware = match (held, fetch.and_then(|index| self.fetches.get(index))) {
            (Some(index), _) => self.held.get(index).map(|item| item.brought.clone()).unwrap_or_default(),
            (None, Some(fetch)) => fetch.sources.iter().map(|source| source.slot).collect(),
            (None, None) => return,
        };
        aware.insert(from);
        self.choose_all(topic, carry, &aware);
        let to: KnownBy = self.targets.iter().copied().collect();
        if let Some(item) = held.and_then(|index| self.held.get_mut(index)) {
            // Who got it or asked for it may not ask again.
            let mut news = to.clone();
            news.remove_all(&item.known_by);
            news.remove_all(&item.wanted_by);
            item.told.insert_all(&news);
        } else if let Some(fetch) = fetch.and_then(|index| self.fetches.get_mut(index)) {
            fetch.told.insert_all(&to);
        }
        let announced = Announced { round: announced.round.saturating_add(1), ..*announced };
        self.tell(Telling { topic: topic.clone(), announced, is_ahead: true, is_precaution: false, to }, now);
    }

    /// An item that was looked for came.
    pub(in crate::engine) fn tree_fetch_ended(&mut self, fetch: &Fetch, from: Slot, hop: &Hop, now: Timestamp) {
        let Some(way) = hop.root.and_then(Way::of) else { return };
        if hop.kind == HopKind::Answer {
            let source = fetch.sources.iter().find(|source| source.slot == from);
            if let Some(at) = source.and_then(|source| source.asked_at) {
                let elapsed = now.since(at);
                self.rooms.tree.answer.learn(elapsed);
                if let Some(peer) = self.peers.get_mut(from) {
                    peer.rooms.answered_in(elapsed);
                }
            }
            return;
        }
        let Some(holder_heard) = fetch.holder_heard else { return };
        let gap = now.since(holder_heard);
        match way.is_foreign || fetch.is_learning {
            true => self.rooms.tree.foreign_gap.learn(gap),
            false => {
                self.rooms.tree.own_gap.learn(gap);
                self.pushed_on_own_tree(from, way.root, hop.round, gap);
            }
        }
    }

    /// A copy came along the tree of who published it, so long after its id. One that had to be asked for on its way here began
    /// at another round, and says nothing of who pushed it on.
    fn pushed_on_own_tree(&mut self, from: Slot, root: RootTag, round: u32, gap: Duration) {
        let tree = self.rooms.tree.get_mut(root).filter(|tree| tree.parent == Some(from));
        if tree.is_some_and(|tree| tree.came_by_itself(round)) {
            self.peers.get_mut(from).into_iter().for_each(|peer| peer.rooms.pushed_after(gap));
        }
    }

    /// A peer said on which trees this node is its parent, or is no longer.
    pub(super) fn tree_control_received(&mut self, from: Slot, message: &ControlMessage) {
        for root in message.drop.iter().copied() {
            if let Some(tree) = self.rooms.tree.get_mut(root) {
                tree.children.remove(from);
            }
        }
        for root in message.adopt.iter().copied() {
            let is_own = Some(root) == self.rooms.tree.own;
            let Some(tree) = self.rooms.tree.get_mut(root) else { continue };
            if tree.parent == Some(from) && !is_own {
                tree.parent = None;
            }
            tree.children.insert(from);
            self.push_to_adopter(root, from);
        }
    }

    /// Sends a new child what is on its way along its tree already and went nowhere before.
    fn push_to_adopter(&mut self, root: RootTag, child: Slot) {
        let last = self.rooms.tree.get(root).and_then(|tree| tree.last);
        let Some(index) = last.and_then(|id| self.held_index(&id)) else { return };
        let Some(item) = self.held.get(index) else { return };
        let is_due = item.stage == Stage::Spreading && item.onward.root == Some(root) && !item.known_by.contains(child);
        if is_due && item.onward.round <= rounds_max(&item.policy, false) {
            self.push_to(index, child);
        }
    }

    fn say_adopt(&mut self, to: Slot, root: RootTag) {
        self.send_control(to, ControlMessage { adopt: vec![root], ..ControlMessage::default() });
    }

    fn say_drop(&mut self, to: Slot, root: RootTag) {
        self.stats.trees_pruned += 1;
        self.send_control(to, ControlMessage { drop: vec![root], ..ControlMessage::default() });
    }
}

fn trees_max(policy: &Policy) -> u32 {
    match policy {
        Policy::Tree(settings) => settings.trees_max,
        Policy::Fanout { .. }
        | Policy::All { .. }
        | Policy::One { .. }
        | Policy::Flood { .. }
        | Policy::SqrtAnnounce(_)
        | Policy::Infection(_)
        | Policy::NeighbourCast(_)
        | Policy::Diffusion { .. }
        | Policy::Proxy(_)
        | Policy::Dandelion(_) => crate::Tree::default().trees_max,
    }
}

/// Up to the root and down again is twice as far as down.
fn rounds_max(policy: &Policy, is_foreign: bool) -> u32 {
    policy.rounds().saturating_mul(1 + u32::from(is_foreign))
}

#[cfg(test)]
mod tests;
