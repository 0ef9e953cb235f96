//! What every policy can do with a held item: choose, push, announce, wait, answer, finish.

use bruit_core::{Slot, Timestamp};

use super::{
    Engine, Message, Output,
    announcements::Telling,
    known_by::KnownBy,
    outcome::{Finished, Tally},
    seen::{Known, State},
    timers::Deadline,
};
use crate::{Announced, Event, Hop, HopKind, ItemId, Policy, Step, Why};

impl Engine {
    /// The number of an item that is held.
    pub(super) fn held_index(&self, id: &ItemId) -> Option<u32> {
        match self.seen.get(id) {
            Some(Known { state: State::Held(index), .. }) => Some(index),
            Some(Known { state: State::Done | State::Rejected, .. }) | None => None,
        }
    }

    /// All peers that want a held item and are not known to have it, into `targets`, in the order of slots.
    pub(super) fn choose_for(&mut self, index: u32) {
        self.targets.clear();
        let Some(item) = self.held.get(index) else { return };
        let (topic, carry, known_by) = (item.message.item().topic.clone(), item.topic.carry, item.known_by.clone());
        self.choose_all(&topic, carry, &known_by);
    }

    /// Pushes a held item to all targets.
    pub(super) fn push_to_targets(&mut self, index: u32) {
        let targets = std::mem::take(&mut self.targets);
        targets.iter().for_each(|to| self.push_to(index, *to));
        self.targets = targets;
    }

    /// Pushes a held item to a peer, which is known to have it from now on.
    pub(super) fn push_to(&mut self, index: u32, to: Slot) {
        let Some(item) = self.held.get_mut(index) else { return };
        item.known_by.insert(to);
        item.tally.pushes = item.tally.pushes.saturating_add(1);
        let (hop, pushes) = (item.onward.clone(), u64::from(item.tally.pushes));
        let (id, why) = (item.message.id(), Why::of(&item.policy));
        self.log_push(&id, to, hop.round, why);
        self.stats.pushes += 1;
        self.stats.pushes_per_item_max = self.stats.pushes_per_item_max.max(pushes);
        self.send_copy(index, to, hop);
    }

    /// Announces a held item to those of some peers that are not known to have it.
    pub(super) fn announce_to(&mut self, index: u32, peers: &[Slot], now: Timestamp) {
        let Some(item) = self.held.get_mut(index) else { return };
        let mut to = KnownBy::default();
        peers.iter().filter(|slot| !item.known_by.contains(**slot)).for_each(|slot| to.insert(*slot));
        let topic = item.message.item().topic.clone();
        let is_precaution = matches!(item.policy, Policy::Tree(_));
        if is_precaution && let Some(declined_by) = self.rooms.announcers.declined_by(&topic) {
            to.remove_all(declined_by);
        }
        item.told.insert_all(&to);
        item.tally.announced = item.tally.announced.saturating_add(to.len());
        let (round, root) = (item.onward.round, item.onward.root);
        let announced = Announced { id: item.message.id(), round, root };
        if !to.is_empty() {
            self.log(&announced.id, Step::Announced { peers: to.len() });
        }
        self.tell(Telling { topic, announced, is_ahead: false, is_precaution, to }, now);
    }

    /// Has [`item_due`](Self::item_due) called at a moment, in the place of an earlier one.
    pub(super) fn set_due(&mut self, index: u32, at: Timestamp) {
        let Some(item) = self.held.get_mut(index) else { return };
        self.timers.replace(item.due.replace(at), Some(at), Deadline::Item(index));
    }

    /// Answers who asked for an item before it could be sent.
    pub(super) fn answer_waiting(&mut self, index: u32, now: Timestamp) {
        let Some(item) = self.held.get_mut(index) else { return };
        if item.wanted_by.is_empty() {
            return;
        }
        let wanted_by = std::mem::take(&mut item.wanted_by);
        let waiting: Vec<Slot> =
            self.peers.iter().map(|(slot, _)| slot).filter(|slot| wanted_by.contains(*slot)).collect();
        waiting.into_iter().for_each(|to| self.answer(index, to, now));
    }

    /// Sends an item to a peer that asked for it.
    pub(super) fn answer(&mut self, index: u32, to: Slot, now: Timestamp) {
        let Some(item) = self.held.get_mut(index) else { return };
        item.known_by.insert(to);
        item.tally.answers = item.tally.answers.saturating_add(1);
        self.stats.wants_answered += 1;
        let hop = Hop { kind: HopKind::Answer, round: 1, root: item.onward.root, ..Hop::default() };
        let id = item.message.id();
        self.log(&id, Step::Answered { to });
        self.send_copy(index, to, hop);
        self.want_answered(index, to, now);
    }

    /// The policy takes no more steps by itself. The item can still be asked for until its time of being served has passed.
    pub(super) fn finish(&mut self, index: u32, why: Finished, _now: Timestamp) {
        let Some(item) = self.held.get_mut(index) else { return };
        self.timers.replace(item.due.take(), None, Deadline::Item(index));
        if std::mem::replace(&mut item.is_finished, true) {
            return;
        }
        let (id, tally) = (item.message.id(), item.tally_now());
        self.tell_finished(id, tally, why);
    }

    pub(super) fn tell_finished(&mut self, id: ItemId, tally: Tally, why: Finished) {
        self.log(&id, Step::Finished(why));
        if self.config.finished_events {
            self.outputs.push_back(Output::Event(Event::Finished { id, tally, why }));
        }
    }

    fn send_copy(&mut self, index: u32, to: Slot, hop: Hop) {
        self.flush_announcements_to(to);
        let Some(item) = self.held.get(index) else { return };
        let (message, priority) = (Message::Item(item.message.on(hop)), item.topic.priority);
        self.outputs.push_back(Output::Send { to, message, priority });
    }
}
