//! `infection`: announce to a few, learn who had it, and try one more for each that had. Casper's rule.
//!
//! Four messages: an announcement (`Announce`), "already held" (`have`), "get it" (`want`) and the item. A node stops when
//! enough peers got the item from it, when enough had it already, or when enough were tried.
//!
//! In the adaptive mode nobody answers. Each node asks some peers, drawn by chance, to announce to it; who gets an item
//! announces it to those who asked, and its origin to everybody. So each node is told by as many as it asked, no more and no
//! less, which reaches everybody with a fraction of the ids. Who missed it all the same pulls.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bruit_core::{Slot, Timestamp};

use super::{
    super::{Engine, timers::Deadline},
    ItemRoom, keep_random,
};
use crate::{Carry, ControlMessage, Finished, Infection, ItemId, Policy, Topic};

/// How soon after a change of peers new ones are asked.
const CHOOSE_AFTER: Duration = Duration::from_millis(10);
/// How often this node asks for what it may have missed after somebody left.
const PULLS: u32 = 3;
/// How many items of the newest that are held a peer is told at once.
const PULLED_MAX: usize = 4_096;
/// How often a peer is told all there is.
const PULL_EVERY: Duration = Duration::from_secs(1);

/// How the peers that an item was announced to have answered.
#[derive(Debug, Default)]
pub(in crate::engine) struct Attempts {
    /// Who has not answered yet, and until when it may.
    under_way: Vec<(Slot, Timestamp)>,
    tried: Vec<Slot>,
    infected: u32,
    already: u32,
}

/// Whom this node has asked to announce to it; for topics in the adaptive mode.
#[derive(Debug, Default)]
pub(in crate::engine) struct Choosing {
    chosen: BTreeSet<(Topic, Slot)>,
    next: Option<Timestamp>,
    /// How often it asks for what it may have missed.
    pulls_left: u32,
}

/// What a peer asked of this node.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    topics: BTreeSet<Topic>,
    /// Of what it wants no precautions, and since when.
    pub(super) declined: BTreeMap<Topic, Timestamp>,
    pulled: Timestamp,
}

impl Engine {
    pub(super) fn spread_by_infection(&mut self, index: u32, settings: &Infection, now: Timestamp) {
        if settings.adaptive > 0 {
            return self.tell_who_asked(index, now);
        }
        if let Some(item) = self.held.get_mut(index) {
            item.room = ItemRoom::Infection(Attempts::default());
        }
        self.try_more(index, settings, now);
    }

    /// Whoever has not answered in time does not count any more.
    pub(super) fn infection_due(&mut self, index: u32, settings: &Infection, now: Timestamp) {
        if let Some(attempts) = self.attempts_of(index) {
            attempts.under_way.retain(|(_, until)| *until > now);
            self.try_more(index, settings, now);
        }
    }

    pub(super) fn infected(&mut self, index: u32, to: Slot, settings: &Infection, now: Timestamp) {
        if let Some(attempts) = self.answered(index, to) {
            attempts.infected = attempts.infected.saturating_add(1);
            self.try_more(index, settings, now);
        }
    }

    pub(super) fn had_it(&mut self, index: u32, from: Slot, settings: &Infection, now: Timestamp) {
        if let Some(attempts) = self.answered(index, from) {
            attempts.already = attempts.already.saturating_add(1);
            self.try_more(index, settings, now);
        }
    }

    /// Announces to as many more as are needed for the target, unless a limit is reached.
    fn try_more(&mut self, index: u32, settings: &Infection, now: Timestamp) {
        let Some(attempts) = self.attempts_of(index) else { return };
        let under_way = attempts.under_way.len() as u32;
        let tried = attempts.tried.len() as u32;
        let tried_before: BTreeSet<Slot> = attempts.tried.iter().copied().collect();
        if attempts.infected >= settings.target {
            return self.stop_infecting(index, Finished::TargetReached, now);
        }
        if attempts.already >= settings.saturation {
            return self.stop_infecting(index, Finished::Saturated, now);
        }
        let wished = settings.target.saturating_sub(attempts.infected.saturating_add(under_way));
        let allowed = settings.attempts_max.saturating_sub(tried);
        if allowed == 0 && under_way == 0 {
            return self.stop_infecting(index, Finished::AttemptsSpent, now);
        }
        self.choose_for(index);
        self.targets.retain(|slot| !tried_before.contains(slot));
        let choice = self.held.get(index).map(|item| item.topic.choice).unwrap_or_default();
        self.keep_chosen(wished.min(allowed) as usize, choice);
        let targets = std::mem::take(&mut self.targets);
        if targets.is_empty() && under_way == 0 {
            return self.stop_infecting(index, Finished::NobodyLeft, now);
        }
        let until = now.after(settings.timeout);
        let Some(attempts) = self.attempts_of(index) else { return };
        attempts.under_way.extend(targets.iter().map(|slot| (*slot, until)));
        attempts.tried.extend(&targets);
        let next = attempts.under_way.iter().map(|(_, until)| *until).min();
        next.into_iter().for_each(|at| self.set_due(index, at));
        self.announce_to(index, &targets, now);
    }

    fn stop_infecting(&mut self, index: u32, why: Finished, now: Timestamp) {
        if let Some(item) = self.held.get_mut(index) {
            item.room = ItemRoom::Empty;
        }
        self.finish(index, why, now);
    }

    fn attempts_of(&mut self, index: u32) -> Option<&mut Attempts> {
        match &mut self.held.get_mut(index)?.room {
            ItemRoom::Infection(attempts) => Some(attempts),
            ItemRoom::Empty | ItemRoom::Stem | ItemRoom::Diffusion(_) => None,
        }
    }

    /// The attempts at an item, if an answer of this peer was awaited.
    fn answered(&mut self, index: u32, peer: Slot) -> Option<&mut Attempts> {
        let attempts = self.attempts_of(index)?;
        let place = attempts.under_way.iter().position(|(slot, _)| *slot == peer)?;
        attempts.under_way.swap_remove(place);
        Some(attempts)
    }

    /// Says to whoever announced an id that it is here, or on its way, with the other ids of its announcement.
    pub(in crate::engine) fn have_soon(&mut self, id: ItemId, settings: &Infection) {
        if settings.adaptive == 0 {
            self.having.push(id);
        }
    }

    pub(in crate::engine) fn send_haves(&mut self, to: Slot) {
        if self.having.is_empty() {
            return;
        }
        let having = std::mem::take(&mut self.having);
        for have in having.chunks(bruit_wire::limits::WANTED_MAX) {
            self.send_control(to, ControlMessage { have: have.to_vec(), ..ControlMessage::default() });
        }
    }

    /// The adaptive mode: the origin tells everybody, everybody else those who asked.
    fn tell_who_asked(&mut self, index: u32, now: Timestamp) {
        let Some(item) = self.held.get(index) else { return };
        let (topic, is_own) = (item.message.item().topic.clone(), item.from.is_none());
        self.choose_for(index);
        let mut targets = std::mem::take(&mut self.targets);
        let asked = |slot: &Slot| {
            let wishes = self.peers.get(*slot).and_then(|peer| peer.rooms.wishes.as_ref());
            wishes.is_some_and(|wishes| wishes.topics.contains(&topic))
        };
        targets.retain(|slot| is_own || asked(slot));
        self.announce_to(index, &targets, now);
        self.finish(index, Finished::NobodyLeft, now);
    }

    pub(super) fn choices_received(&mut self, from: Slot, message: &ControlMessage, now: Timestamp) {
        if message.choose.is_empty() && message.unchoose.is_empty() && message.pull.is_empty() {
            return;
        }
        let declined = self.announcements_declined(from, message, now);
        let topics_max = self.config.subscriptions_max;
        let Some(peer) = self.peers.get_mut(from) else { return };
        let wishes = peer.rooms.wishes.get_or_insert_default();
        message.unchoose.iter().for_each(|topic| _ = wishes.topics.remove(topic));
        for topic in &message.choose {
            if wishes.topics.len() < topics_max {
                wishes.topics.insert(topic.clone());
            }
        }
        if !message.pull.is_empty() && now.since(wishes.pulled) >= PULL_EVERY {
            wishes.pulled = now;
            self.tell_all_there_is(from, &message.pull, &declined, now);
        }
    }

    /// Announces to a peer, which asked for it, what is held of some topics and it is not known to have: the newest, and on trees
    /// what came while it declined announcements.
    ///
    /// # Security
    /// On trees nobody else has missed anything. Whoever has just connected would get all that is held by asking for it.
    fn tell_all_there_is(&mut self, to: Slot, topics: &[Topic], declined: &BTreeMap<Topic, Timestamp>, now: Timestamp) {
        let serve_for = self.config.serve_for;
        for index in self.held.newest_spreading(PULLED_MAX) {
            let Some(item) = self.held.get(index) else { continue };
            let topic = &item.message.item().topic;
            let has_missed = || declined.get(topic).is_some_and(|since| item.until >= since.after(serve_for));
            let is_told =
                matches!(item.policy, Policy::Infection(_)) || matches!(item.policy, Policy::Tree(_)) && has_missed();
            let is_carried = item.topic.carry == Carry::Everybody
                || self.peers.get(to).is_some_and(|peer| peer.topics.contains(topic));
            let is_meant = is_told && is_carried && topics.contains(topic);
            if is_meant && !item.told.contains(to) {
                self.announce_to(index, &[to], now);
            }
        }
    }

    /// A peer went. What it would have told of may be missed.
    pub(in crate::engine) fn peer_gone(&mut self, slot: Slot, now: Timestamp) {
        self.rooms.choosing.chosen.retain(|(_, chosen)| *chosen != slot);
        self.rooms.choosing.pulls_left = PULLS;
        self.peer_came(now);
    }

    pub(in crate::engine) fn peer_came(&mut self, now: Timestamp) {
        if self.adaptive_topics().next().is_some() {
            self.choose_by(now.after(CHOOSE_AFTER));
        }
    }

    fn choose_by(&mut self, at: Timestamp) {
        let old = self.rooms.choosing.next;
        let sooner = old.map_or(at, |next| next.min(at));
        self.rooms.choosing.next = Some(sooner);
        self.timers.replace(old, Some(sooner), Deadline::Choosing);
    }

    /// Asks as many peers as are lacking to announce to this node, and now and then one for what was missed.
    pub(in crate::engine) fn choosing_due(&mut self, now: Timestamp) {
        self.rooms.choosing.next = None;
        let topics: Vec<(Topic, Carry, Infection)> = self.adaptive_topics().collect();
        let is_time_to_pull = self.rooms.choosing.pulls_left > 0;
        self.rooms.choosing.pulls_left = self.rooms.choosing.pulls_left.saturating_sub(1);
        let mut next: Option<Timestamp> = None;
        for (topic, carry, settings) in topics {
            self.choose_all(&topic, carry, &super::super::known_by::KnownBy::default());
            let all = self.targets.clone();
            let chosen = &self.rooms.choosing.chosen;
            let is_chosen = |slot: &Slot| chosen.contains(&(topic.clone(), *slot));
            let lacking =
                (settings.adaptive as usize).saturating_sub(all.iter().filter(|slot| is_chosen(slot)).count());
            let mut more: Vec<Slot> = all.iter().copied().filter(|slot| !is_chosen(slot)).collect();
            keep_random(&mut more, lacking, &mut self.rng);
            let is_content = more.len() == lacking && self.rooms.choosing.pulls_left == 0;
            for slot in more {
                self.rooms.choosing.chosen.insert((topic.clone(), slot));
                self.send_control(slot, ControlMessage { choose: vec![topic.clone()], ..ControlMessage::default() });
            }
            let mut asked = all;
            keep_random(&mut asked, usize::from(is_time_to_pull), &mut self.rng);
            if is_time_to_pull && let Some(slot) = asked.first() {
                self.send_control(*slot, ControlMessage { pull: vec![topic], ..ControlMessage::default() });
            }
            if !is_content {
                let at = now.after(settings.timeout);
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next.into_iter().for_each(|at| self.choose_by(at));
    }

    /// The topics in the adaptive mode that this node takes.
    fn adaptive_topics(&self) -> impl Iterator<Item = (Topic, Carry, Infection)> {
        let named = self.config.topics.iter();
        let carried =
            named.filter(|(topic, config)| config.carry == Carry::Everybody || self.subscriptions.contains(*topic));
        let others = self.subscriptions.iter().filter(|topic| !self.config.topics.contains_key(*topic));
        let others = others.filter_map(|topic| Some((topic, self.config.topic(topic)?)));
        carried.chain(others).filter_map(|(topic, config)| {
            let Policy::Infection(settings) = config.policy else { return None };
            (settings.adaptive > 0).then(|| (topic.clone(), config.carry, settings))
        })
    }
}

#[cfg(test)]
mod tests;
