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
    super::{Engine, held::Lack, known_by::KnownBy, timers::Deadline},
    LAG_MOST, keep_random,
};
use super::trees::Way;
use crate::{ControlMessage, Hop, HopKind, Policy, Topic};

/// How many peers announce to a busy node. By its request four ids a node reach everybody, also with a tenth of the nodes crashed.
const ANNOUNCERS: usize = 4;
/// How often a node looks whether it is busy, and whether it lacks anything.
const SPAN: Duration = Duration::from_secs(1);
/// How many items in a span make a node busy. Below, ids cost next to nothing.
const BUSY: u32 = 20;
/// With fewer it is busy no longer.
const BUSY_AT_LEAST: u32 = 10;
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

/// What is to be said to each peer at the end of a span.
type Said = BTreeMap<Slot, ControlMessage>;

/// How the items of one topic come.
#[derive(Debug, Default)]
struct Watch {
    items: u32,
    /// How many of them had to be asked for, and were under way from nobody else.
    lacked: u32,
    calm_spans: u32,
    /// The number of this span.
    span: u32,
    /// How many spans ago somebody last took the turn of another.
    since_turn: u32,
    /// Who was asked not to announce.
    spared: BTreeSet<Slot>,
}

/// How a span was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// Calm, as those before it.
    Settled,
    /// Many items came, and nearly all by themselves.
    Calm,
    /// Few came, or too many had to be asked for.
    Other,
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

    /// A span is over. Says whether many items came in it, and nearly all by themselves.
    fn span_over(&mut self) -> Span {
        let busy = if self.is_settled() { BUSY_AT_LEAST } else { BUSY };
        let is_calm = self.items >= busy && self.lacked.saturating_mul(LACKING_ONE_IN) <= self.items;
        (self.items, self.lacked) = (0, 0);
        self.span = self.span.wrapping_add(1);
        self.calm_spans = if is_calm { self.calm_spans.saturating_add(1) } else { 0 };
        match (is_calm, self.is_settled()) {
            (true, true) => Span::Settled,
            (true, false) => Span::Calm,
            (false, _) => Span::Other,
        }
    }
}

impl Engine {
    /// The first copy of an item came from a peer.
    pub(super) fn came_while_watched(&mut self, index: u32, now: Timestamp) {
        let Some(item) = self.held.get_mut(index) else { return };
        let topic = &item.message.item().topic;
        let announcers = &mut self.rooms.announcers;
        if let Some(watch) = announcers.watches.get_mut(topic) {
            watch.items = watch.items.saturating_add(1);
            if item.lack == Lack::AskedFor {
                watch.lacked = watch.lacked.saturating_add(1);
                item.lack = Lack::Counted { span: watch.span };
            }
            return;
        }
        if announcers.watches.len() < self.config.subscriptions_max {
            announcers.watches.insert(topic.clone(), Watch { items: 1, ..Watch::default() });
            if announcers.next.is_none() {
                self.watch_until(now.after(SPAN));
            }
        }
    }

    /// Another copy of a held item came: if its tree brought it in time, it was asked for in vain, and not lacking.
    ///
    /// # Security
    /// Once for each item, and of those to whom this node listens on the tree, so that nobody else hides what is lacking.
    pub(in crate::engine) fn pushed_after_all(&mut self, index: u32, from: Slot, hop: &Hop, now: Timestamp) {
        let Some(way) = hop.root.and_then(Way::of).filter(|_| hop.kind == HopKind::Push) else { return };
        if self.held.get(index).is_none_or(|item| item.lack == Lack::None) {
            return;
        }
        let is_link = self.rooms.tree.get(way.root).is_some_and(|tree| tree.is_link(from));
        let Some(item) = self.held.get_mut(index).filter(|_| is_link) else { return };
        if item.heard.is_none_or(|heard| now.since(heard) >= LAG_MOST) {
            return;
        }
        match item.lack {
            Lack::None | Lack::UnderWay => {}
            Lack::AskedFor => item.lack = Lack::UnderWay,
            Lack::Counted { span } => {
                item.lack = Lack::UnderWay;
                let watch = self.rooms.announcers.watches.get_mut(&item.message.item().topic);
                let watch = watch.filter(|watch| watch.span == span);
                watch.into_iter().for_each(|watch| watch.lacked = watch.lacked.saturating_sub(1));
            }
        }
    }

    fn watch_until(&mut self, at: Timestamp) {
        let old = self.rooms.announcers.next.replace(at);
        self.timers.replace(old, Some(at), Deadline::Announcers);
    }

    /// A span is over.
    pub(in crate::engine) fn announcers_due(&mut self, now: Timestamp) {
        self.rooms.announcers.next = None;
        let mut said = Said::new();
        for (topic, mut watch) in std::mem::take(&mut self.rooms.announcers.watches) {
            let had_items = watch.items > 0;
            match watch.span_over() {
                Span::Settled => self.choose_announcers(&topic, &mut watch, &mut said),
                Span::Calm => {}
                Span::Other => self.let_all_announce(&topic, &mut watch, &mut said),
            }
            if had_items || !watch.spared.is_empty() {
                self.rooms.announcers.watches.insert(topic, watch);
            }
        }
        if !self.rooms.announcers.watches.is_empty() {
            self.watch_until(now.after(SPAN));
        }
        said.into_iter().for_each(|(slot, message)| self.send_control(slot, message));
    }

    /// Sees to it that as many peers announce as there should be, and that they take turns.
    fn choose_announcers(&mut self, topic: &Topic, watch: &mut Watch, said: &mut Said) {
        let Some(carry) = self.config.topic(topic).map(|config| config.carry) else { return };
        self.choose_all(topic, carry, &KnownBy::default());
        let (spared, mut chosen): (Vec<Slot>, Vec<Slot>) =
            self.targets.iter().copied().partition(|slot| watch.spared.contains(slot));
        watch.since_turn = watch.since_turn.saturating_add(1);
        let is_turn = watch.since_turn >= TURN_SPANS && chosen.len() >= ANNOUNCERS;
        let lacking = ANNOUNCERS.saturating_sub(chosen.len()).max(usize::from(is_turn));
        let fresh = self.draw_outbound_first(spared, lacking);
        if is_turn && !fresh.is_empty() {
            watch.since_turn = 0;
        }
        for slot in fresh.iter().copied() {
            watch.spared.remove(&slot);
            say_choose(said, slot, topic, true);
        }
        // Who has just come has its turn before it.
        let kept = self.draw_outbound_first(chosen.clone(), ANNOUNCERS.saturating_sub(fresh.len()));
        chosen.retain(|slot| !kept.contains(slot));
        for slot in chosen {
            watch.spared.insert(slot);
            said.entry(slot).or_default().unchoose.push(topic.clone());
        }
    }

    /// Too much is lacking, or there is nothing to spare any more.
    fn let_all_announce(&mut self, topic: &Topic, watch: &mut Watch, said: &mut Said) {
        let spared: Vec<Slot> = std::mem::take(&mut watch.spared).into_iter().collect();
        let asked = self.draw_outbound_first(spared.clone(), PULLS);
        spared.into_iter().for_each(|slot| say_choose(said, slot, topic, asked.contains(&slot)));
    }

    /// Some of the peers by chance: those that this node dialled, and only where these are too few others.
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

    /// A full outbox did not take what was said to a peer: it is as before, and is asked again after the next span.
    pub(in crate::engine) fn not_taken(&mut self, slot: Slot, message: &ControlMessage, now: Timestamp) {
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
    pub(in crate::engine) fn ask_again(&mut self, slot: Slot) {
        let watches = &mut self.rooms.announcers.watches;
        watches.values_mut().for_each(|watch| _ = watch.spared.remove(&slot));
        let topics = self.config.topics.keys().chain(&self.subscriptions);
        let is_tree = |topic: &&Topic| {
            let policy = self.config.topic(topic).map(|config| config.policy.public());
            matches!(policy, Some(Policy::Tree(_)))
        };
        let choose: BTreeSet<Topic> = topics.filter(is_tree).cloned().collect();
        let choose: Vec<Topic> = choose.into_iter().take(bruit_wire::limits::SUBSCRIPTIONS_MAX as usize).collect();
        if !choose.is_empty() {
            self.send_control(slot, ControlMessage { choose, ..ControlMessage::default() });
        }
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

fn say_choose(said: &mut Said, slot: Slot, topic: &Topic, and_pull: bool) {
    let message = said.entry(slot).or_default();
    message.choose.push(topic.clone());
    if and_pull {
        message.pull.push(topic.clone());
    }
}

#[cfg(test)]
mod tests;
