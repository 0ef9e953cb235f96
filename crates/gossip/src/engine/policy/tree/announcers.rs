//! Who announces to this node while it is busy: not all of its peers, but some that it chose.
//!
//! On a tree that carries, ids are a precaution: each tells a node what it has already, and at a thousand items a second they cost
//! more than the items. So a node that gets many items of a topic, and lacks hardly any, asks all peers but a few not to announce
//! (`unchoose`), and asks them again (`choose`) as soon as it lacks more or gets less. The few take turns, and whoever takes its turn
//! tells what this node missed (`pull`): what all of them keep back comes later and not never.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bruit_core::{Slot, Timestamp};

use super::super::{
    super::{Engine, known_by::KnownBy, timers::Deadline},
    keep_random,
};
use crate::{ControlMessage, HopKind, Policy, Topic};

/// How many peers announce to a busy node. By its request four ids a node reach everybody, also with a tenth of the nodes crashed.
const ANNOUNCERS: usize = 4;
/// How often a node looks whether it is busy, and whether it lacks anything.
const SPAN: Duration = Duration::from_secs(1);
/// How many items in a span make a node busy. Below, ids cost next to nothing.
const BUSY: u32 = 20;
/// How few let it be busy no longer.
const BUSY_NO_MORE: u32 = 10;
/// It lacks too much when more than one in so many items did not come by itself.
const LACKING_ONE_IN: u32 = 50;
/// After how many spans without that it asks for fewer ids.
const CALM_SPANS: u32 = 2;
/// After how many spans another peer takes the turn of one that announces.
const TURN_SPANS: u32 = 16;
/// How many peers are asked for what was missed when all may announce again.
const PULLS: usize = 3;

/// Who announces to this node, and who wants no announcements of it.
#[derive(Debug, Default)]
pub(in crate::engine) struct Announcers {
    /// The topics of which something came lately.
    watches: BTreeMap<Topic, Watch>,
    /// Which peers asked not to be told.
    declined_by: BTreeMap<Topic, KnownBy>,
    next: Option<Timestamp>,
}

/// How the items of one topic come.
#[derive(Debug, Default)]
struct Watch {
    items: u32,
    /// How many of them had to be asked for, and were under way from nobody else.
    lacked: u32,
    calm_spans: u32,
    spans: u32,
    /// Who was asked not to announce.
    spared: BTreeSet<Slot>,
}

impl Announcers {
    /// Who wants no precautions of a topic.
    pub(in crate::engine) fn declined_by(&self, topic: &Topic) -> Option<&KnownBy> {
        self.declined_by.get(topic)
    }

    /// Whether many items of a topic come, and nearly all by themselves, so that some peers are enough to announce them.
    pub(super) fn is_calm(&self, topic: &Topic) -> bool {
        self.watches.get(topic).is_some_and(Watch::is_settled)
    }

    pub(in crate::engine) fn peer_disconnected(&mut self, slot: Slot) {
        self.watches.values_mut().for_each(|watch| _ = watch.spared.remove(&slot));
        self.declined_by.retain(|_, row| {
            row.remove(slot);
            !row.is_empty()
        });
    }

    fn declines(&mut self, slot: Slot, topic: &Topic, does: bool) {
        match (self.declined_by.get_mut(topic), does) {
            (Some(row), true) => row.insert(slot),
            (Some(row), false) => {
                row.remove(slot);
                if row.is_empty() {
                    self.declined_by.remove(topic);
                }
            }
            (None, true) => _ = self.declined_by.insert(topic.clone(), KnownBy::of(slot)),
            (None, false) => {}
        }
    }
}

impl Watch {
    /// Whether it has been calm for long enough.
    const fn is_settled(&self) -> bool {
        self.calm_spans >= CALM_SPANS
    }

    /// Whether many items came in the span that is over, and nearly all by themselves.
    fn is_calm(&mut self) -> bool {
        let busy = if self.is_settled() { BUSY_NO_MORE } else { BUSY };
        let is_calm = self.items >= busy && self.lacked.saturating_mul(LACKING_ONE_IN) <= self.items;
        (self.items, self.lacked) = (0, 0);
        self.calm_spans = if is_calm { self.calm_spans.saturating_add(1) } else { 0 };
        is_calm
    }
}

impl Engine {
    /// The first copy of an item came from a peer.
    pub(super) fn came_while_watched(&mut self, index: u32, kind: HopKind, now: Timestamp) {
        let Some(item) = self.held.get(index) else { return };
        let topic = &item.message.item().topic;
        let announcers = &mut self.rooms.announcers;
        if let Some(watch) = announcers.watches.get_mut(topic) {
            watch.items = watch.items.saturating_add(1);
            watch.lacked = watch.lacked.saturating_add(u32::from(kind == HopKind::Answer));
            return;
        }
        if announcers.watches.len() < self.config.subscriptions_max {
            announcers.watches.insert(topic.clone(), Watch { items: 1, ..Watch::default() });
            if announcers.next.is_none() {
                self.watch_until(now.after(SPAN));
            }
        }
    }

    /// An item that had to be asked for was under way all the same.
    pub(super) fn was_under_way(&mut self, index: u32) {
        let Some(item) = self.held.get(index) else { return };
        let watch = self.rooms.announcers.watches.get_mut(&item.message.item().topic);
        watch.into_iter().for_each(|watch| watch.lacked = watch.lacked.saturating_sub(1));
    }

    fn watch_until(&mut self, at: Timestamp) {
        let old = self.rooms.announcers.next.replace(at);
        self.timers.replace(old, Some(at), Deadline::Announcers);
    }

    /// A span is over.
    pub(in crate::engine) fn announcers_due(&mut self, now: Timestamp) {
        self.rooms.announcers.next = None;
        for (topic, mut watch) in std::mem::take(&mut self.rooms.announcers.watches) {
            let had_items = watch.items > 0;
            if watch.is_calm() {
                if watch.is_settled() {
                    self.choose_announcers(&topic, &mut watch);
                }
            } else {
                self.let_all_announce(&topic, &mut watch);
            }
            if had_items || !watch.spared.is_empty() {
                self.rooms.announcers.watches.insert(topic, watch);
            }
        }
        if !self.rooms.announcers.watches.is_empty() {
            self.watch_until(now.after(SPAN));
        }
    }

    /// Sees to it that as many peers announce as there should be, and that they take turns.
    fn choose_announcers(&mut self, topic: &Topic, watch: &mut Watch) {
        let Some(carry) = self.config.topic(topic).map(|config| config.carry) else { return };
        self.choose_all(topic, carry, &KnownBy::default());
        let (spared, mut chosen): (Vec<Slot>, Vec<Slot>) =
            self.targets.iter().copied().partition(|slot| watch.spared.contains(slot));
        watch.spans = watch.spans.saturating_add(1);
        let is_turn = watch.spans.is_multiple_of(TURN_SPANS) && chosen.len() == ANNOUNCERS;
        let lacking = ANNOUNCERS.saturating_sub(chosen.len()).max(usize::from(is_turn));
        let fresh = self.draw_outbound_first(spared, lacking);
        for slot in fresh.iter().copied() {
            watch.spared.remove(&slot);
            self.ask_to_announce(slot, topic, true);
        }
        // Who has just come has its turn before it.
        let kept = self.draw_outbound_first(chosen.clone(), ANNOUNCERS.saturating_sub(fresh.len()));
        chosen.retain(|slot| !kept.contains(slot));
        for slot in chosen {
            watch.spared.insert(slot);
            self.send_control(slot, ControlMessage { unchoose: vec![topic.clone()], ..ControlMessage::default() });
        }
    }

    /// Too much is lacking, or there is nothing to spare any more.
    fn let_all_announce(&mut self, topic: &Topic, watch: &mut Watch) {
        let spared: Vec<Slot> = std::mem::take(&mut watch.spared).into_iter().collect();
        let asked = self.draw_outbound_first(spared.clone(), PULLS);
        for slot in spared {
            self.ask_to_announce(slot, topic, asked.contains(&slot));
        }
    }

    /// Some of the peers by chance, as many as there are of those that this node dialled.
    ///
    /// # Security
    /// Whoever wants to be chosen can dial a node often, but cannot make it dial.
    fn draw_outbound_first(&mut self, slots: Vec<Slot>, count: usize) -> Vec<Slot> {
        let is_outbound = |slot: &Slot| self.peers.get(*slot).is_some_and(|peer| peer.traits.is_outbound);
        let (mut drawn, mut others): (Vec<Slot>, Vec<Slot>) = slots.into_iter().partition(is_outbound);
        keep_random(&mut drawn, count, &mut self.rng);
        keep_random(&mut others, count.saturating_sub(drawn.len()), &mut self.rng);
        drawn.append(&mut others);
        drawn
    }

    fn ask_to_announce(&mut self, slot: Slot, topic: &Topic, and_what_was_missed: bool) {
        let choose = vec![topic.clone()];
        let pull = if and_what_was_missed { choose.clone() } else { Vec::new() };
        self.send_control(slot, ControlMessage { choose, pull, ..ControlMessage::default() });
    }

    /// A full outbox did not take what was said to a peer: it is as before, and is asked again after the next span.
    pub(in crate::engine) fn was_not_asked(&mut self, slot: Slot, message: &ControlMessage, now: Timestamp) {
        let announcers = &mut self.rooms.announcers;
        for topic in &message.unchoose {
            announcers.watches.get_mut(topic).into_iter().for_each(|watch| _ = watch.spared.remove(&slot));
        }
        for topic in &message.choose {
            announcers.watches.entry(topic.clone()).or_default().spared.insert(slot);
        }
        if !announcers.watches.is_empty() && announcers.next.is_none() {
            self.watch_until(now.after(SPAN));
        }
    }

    /// Something that was said to a peer may not have arrived: it may announce until it is asked not to, once more.
    pub(in crate::engine) fn may_not_have_heard(&mut self, slot: Slot) {
        let watches = &mut self.rooms.announcers.watches;
        let watched = watches.iter_mut().filter(|(_, watch)| !watch.spared.is_empty());
        let topics: Vec<Topic> = watched
            .map(|(topic, watch)| {
                watch.spared.remove(&slot);
                topic.clone()
            })
            .collect();
        topics.into_iter().for_each(|topic| self.ask_to_announce(slot, &topic, false));
    }

    /// A peer asked to be told of topics, or not to be. Says of which it declined announcements until now, and since when.
    pub(in crate::engine) fn announcements_declined(
        &mut self,
        from: Slot,
        message: &ControlMessage,
        now: Timestamp,
    ) -> BTreeMap<Topic, Timestamp> {
        for topic in &message.unchoose {
            let is_ours = self.subscriptions.contains(topic) || self.config.topics.contains_key(topic);
            let policy = self.config.topic(topic).map(|config| config.policy.public());
            if is_ours && matches!(policy, Some(Policy::Tree(_))) && self.peers.contains(from) {
                self.rooms.announcers.declines(from, topic, true);
                let wishes = self.peers.get_mut(from).map(|peer| peer.rooms.wishes.get_or_insert_default());
                wishes.into_iter().for_each(|wishes| _ = wishes.declined.entry(topic.clone()).or_insert(now));
            }
        }
        let mut declined = BTreeMap::new();
        for topic in &message.choose {
            self.rooms.announcers.declines(from, topic, false);
            let wishes = self.peers.get_mut(from).and_then(|peer| peer.rooms.wishes.as_mut());
            let since = wishes.and_then(|wishes| wishes.declined.remove(topic));
            since.into_iter().for_each(|since| _ = declined.insert(topic.clone(), since));
        }
        declined
    }
}

#[cfg(test)]
mod tests;
