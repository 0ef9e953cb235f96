//! The way of a copy from its arrival to its relay: checks, verdict, limit of rounds.

use bruit_core::{Conduct, Slot, Timestamp};

use super::{
    DEADLINES_PER_CALL, Engine, Output, Precheck, Received, Refusal, Reported, Verdict,
    fetches::Source,
    held::{HeldItem, Lack, Load, Stage},
    latest_expiry,
    outcome::{Finished, Tally},
    seen::{Known, State},
    timers::Deadline,
};
use crate::{Carry, Event, Hop, HopKind, ItemId, ItemMessage, Signatures, Step, TopicConfig, Validation};

/// The part of what may await a verdict above which the reader of who used most is paused. The room between this and
/// [`PEER_PART`] takes what was read already when the pause began.
const PAUSE_PART: usize = 4;
/// The part that a single peer may use.
const PEER_PART: usize = 2;
/// The part below which paused readers go on.
const RESUME_PART: usize = 8;

/// What became of an accepted item.
enum Accepted {
    Relayed,
    AtLimit,
    Expired,
}

impl Engine {
    /// A copy came whose body was checked against its id (or whose id is known).
    pub fn item_received(&mut self, from: Slot, message: ItemMessage, now: Timestamp) -> Received {
        self.log_at(now);
        self.stats.copies_received += 1;
        if let Some(known) = self.seen.get(&message.id()) {
            return self.known_received(from, message.id(), known, message.hop(), now);
        }
        let is_within_rate = self.brought(from, message.body_len(), now);
        let checked = self.check(from, &message, now);
        let checked = checked.and_then(|topic| if is_within_rate { Ok(topic) } else { Err(Refusal::OverRate) });
        // Last, because it costs most.
        match checked.and_then(|topic| check_signature(&message, topic)) {
            Ok(topic) => self.take_in(from, message, topic, now),
            Err(refusal) => {
                self.fetch_refused(from, message.id(), refusal, now);
                self.refuse(from, message.id(), refusal)
            }
        }
    }

    /// A copy of a known item came; its body was not looked at.
    ///
    /// # Security
    /// The body may be anything. What is relayed is the body that was checked when the id was new.
    pub fn copy_received(&mut self, from: Slot, id: ItemId, hop: impl Into<Hop>, now: Timestamp) -> Received {
        self.log_at(now);
        self.stats.copies_received += 1;
        match self.seen.get(&id) {
            Some(known) => self.known_received(from, id, known, &hop.into(), now),
            None if self.peers.contains(from) => self.refuse(from, id, Refusal::Unchecked),
            None => self.refuse(from, id, Refusal::StalePeer),
        }
    }

    /// The application refused an unknown copy at a glance. Of an id that is [looked for](Self::is_looked_for) the body was
    /// checked against it before.
    pub fn precheck_failed(
        &mut self,
        from: Slot,
        id: ItemId,
        body_len: usize,
        said: Precheck,
        now: Timestamp,
    ) -> Received {
        self.log_at(now);
        self.stats.copies_received += 1;
        if !self.peers.contains(from) {
            return self.refuse(from, id, Refusal::StalePeer);
        }
        _ = self.brought(from, body_len, now);
        self.fetch_refused(from, id, Refusal::Precheck, now);
        if said == Precheck::Blame {
            self.conduct(from, Conduct::DeliveredInvalid);
        }
        self.refuse(from, id, Refusal::Precheck)
    }

    fn known_received(&mut self, from: Slot, id: ItemId, known: Known, hop: &Hop, now: Timestamp) -> Received {
        if !self.peers.contains(from) {
            return self.refuse(from, id, Refusal::StalePeer);
        }
        _ = self.brought(from, 0, now);
        if hop.round == 0 || hop.round > known.rounds_max {
            return self.refuse(from, id, Refusal::Round);
        }
        match known.state {
            State::Done => {}
            State::Rejected => return self.refuse(from, id, Refusal::Rejected),
            State::Held(index) => {
                if let Some(later) = self.held_copy_received(from, index, hop, now) {
                    return later;
                }
            }
        }
        self.stats.duplicates += 1;
        Received::Duplicate
    }

    /// The application has judged an item.
    pub fn report(&mut self, id: ItemId, verdict: Verdict, now: Timestamp) -> Reported {
        let Some(index) = self.held_index(&id) else { return Reported::NotPending };
        if !self.held.get(index).is_some_and(|item| item.stage.is_undecided()) {
            return Reported::NotPending;
        }
        self.log_at(now);
        let reported = match verdict {
            Verdict::Accept => self.accept_pending(index, now),
            Verdict::Reject => self.reject_pending(index),
            Verdict::Ignore => {
                self.stats.ignored += 1;
                _ = self.take_out(index);
                Reported::Ignored
            }
            Verdict::Hold { missing } => self.withhold(index, missing, now),
        };
        self.log(&id, Step::Judged(reported));
        self.resume_when_calm();
        reported
    }

    fn accept_pending(&mut self, index: u32, now: Timestamp) -> Reported {
        let Some(item) = self.take_out(index) else { return Reported::NotPending };
        item.from.into_iter().for_each(|from| self.conduct(from, Conduct::DeliveredFirst));
        match self.accept(item, now) {
            Accepted::Relayed => Reported::Relayed,
            Accepted::AtLimit => Reported::AtLimit,
            Accepted::Expired => Reported::Expired,
        }
    }

    fn reject_pending(&mut self, index: u32) -> Reported {
        let Some(item) = self.take_out(index) else { return Reported::NotPending };
        self.stats.rejected += 1;
        self.seen.set(&item.message.id(), State::Rejected);
        let bringers = self.peers.iter().map(|(slot, _)| slot).filter(|slot| item.brought.contains(*slot));
        let bringers: Vec<Slot> = bringers.collect();
        bringers.into_iter().for_each(|slot| self.conduct(slot, Conduct::DeliveredInvalid));
        Reported::Rejected
    }

    /// The moment of [`next_timeout`](Self::next_timeout) has come.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.log_at(now);
        for _ in 0..DEADLINES_PER_CALL {
            if let Some(index) = self.held.due(now) {
                self.stage_over(index, now);
                continue;
            }
            match self.timers.pop_due(now) {
                None => break,
                Some(Deadline::Choosing) => self.choosing_due(now),
                Some(Deadline::Lists) => self.lists_due(now),
                Some(Deadline::Announcements) => self.flush_announcements(now),
                Some(Deadline::Announcers) => self.announcers_due(now),
                Some(Deadline::Rest(slot)) => self.rest_over(slot),
                Some(Deadline::Fetch(index)) => {
                    self.fetches.get_mut(index).map(|fetch| fetch.next.take());
                    self.fetch_due(index, now);
                }
                Some(Deadline::Item(index)) => {
                    self.held.get_mut(index).map(|item| item.due.take());
                    self.item_due(index, now);
                }
            }
        }
        self.send_wants();
        self.resume_when_calm();
    }

    /// The time that an item has in its stage is over.
    fn stage_over(&mut self, index: u32, now: Timestamp) {
        let Some(item) = self.held.get(index) else { return };
        let stage = item.stage;
        if stage == Stage::Spreading && item.due.is_some() {
            // Its policy has more to do than its time of being served allows.
            self.held.move_to(index, stage, now);
            return;
        }
        if !stage.is_undecided() {
            self.finish(index, Finished::TimeOver, now);
        }
        let Some(item) = self.take_out(index) else { return };
        match stage {
            Stage::Pending => {
                self.stats.verdicts_overdue += 1;
                self.outputs.push_back(Output::Event(Event::VerdictOverdue { id: item.message.id() }));
            }
            Stage::Withheld => self.withheld_overdue(item),
            Stage::AtLimit | Stage::Spreading => {}
        }
    }

    /// The id of an item that is held was forgotten: nothing more can be done with it.
    pub(super) fn forget_held(&mut self, id: ItemId, index: u32, now: Timestamp) {
        if self.held.get(index).is_some_and(|item| !item.stage.is_undecided()) {
            self.reveal(index, now);
            self.finish(index, Finished::RoomNeeded, now);
        }
        if self.take_out(index).is_some_and(|item| item.stage.is_undecided()) {
            self.outputs.push_back(Output::Event(Event::Forgotten { id }));
            self.resume_when_calm();
        }
    }

    fn check(&self, from: Slot, message: &ItemMessage, now: Timestamp) -> Result<TopicConfig, Refusal> {
        let Some(peer) = self.peers.get(from) else { return Err(Refusal::StalePeer) };
        let item = message.item();
        let topic = *self.config.topic(&item.topic).ok_or(Refusal::UnknownTopic)?;
        if message.round() == 0 || message.round() > topic.policy.rounds_most() {
            return Err(Refusal::Round);
        }
        if item.payload.len() > topic.size_max {
            return Err(Refusal::TooLarge);
        }
        let is_subscribed = self.subscriptions.contains(&item.topic);
        if topic.carry == Carry::Subscribers && !is_subscribed {
            return Err(Refusal::NotSubscribed);
        }
        if item.expires_at <= now {
            return Err(Refusal::Expired);
        }
        if item.expires_at > latest_expiry(&topic, now) {
            return Err(Refusal::ExpiresTooLate);
        }
        let [mut all, mut own] = [self.held.pending(), peer.pending];
        all.add(Load::of(message));
        own.add(Load::of(message));
        let has_room = !all.exceeds(1, &self.config) && !own.exceeds(PEER_PART, &self.config);
        if is_subscribed && topic.validation == Validation::Application && !has_room {
            return Err(Refusal::NoRoom);
        }
        Ok(topic)
    }

    fn refuse(&mut self, peer: Slot, id: ItemId, refusal: Refusal) -> Received {
        self.stats.refused += 1;
        if refusal != Refusal::StalePeer {
            self.log(&id, Step::Refused { from: peer, refusal });
            self.outputs.push_back(Output::Event(Event::Refused { peer, id, refusal }));
        }
        match refusal {
            Refusal::TooLarge => self.conduct(peer, Conduct::BrokeProtocol),
            Refusal::Rejected | Refusal::Signature => self.conduct(peer, Conduct::DeliveredInvalid),
            // A round is nobody's signed word, and a limit may differ from node to node: nothing is scored by it.
            Refusal::Round
            | Refusal::StalePeer
            | Refusal::UnknownTopic
            | Refusal::NotSubscribed
            | Refusal::Expired
            | Refusal::ExpiresTooLate
            | Refusal::NoRoom
            | Refusal::OverRate
            | Refusal::Unchecked
            | Refusal::Precheck
            | Refusal::Unsigned => {}
        }
        Received::Refused(refusal)
    }

    fn take_in(&mut self, from: Slot, mut message: ItemMessage, topic: TopicConfig, now: Timestamp) -> Received {
        if topic.signatures == Signatures::Off {
            // Nobody here has checked it, so nobody is sent it by us.
            message = message.unsigned();
        }
        self.stats.first_rounds.count(message.round());
        let is_subscribed = self.subscriptions.contains(&message.item().topic);
        let is_judged = is_subscribed && topic.validation == Validation::Application;
        let id = message.id();
        self.log(&id, Step::Brought { from, round: message.round(), kind: message.hop().kind });
        let until = self.held.until(Stage::Pending, now);
        if is_subscribed {
            self.deliver(from, &message, is_judged.then_some(until));
        }
        let load = Load::of(&message);
        let mut item = HeldItem::new(message, Some(from), topic);
        self.meet_announcers(&mut item, Some(from), now);
        let rounds_max = topic.policy.rounds_most();
        if is_judged {
            let state = State::Held(self.held.insert(item, Stage::Pending, now));
            self.remember(id, Known { state, rounds_max }, Some(from), now);
            self.peers.charge(from, load);
            self.pause_when_loaded();
            return Received::Pending;
        }
        self.remember(id, Known { state: State::Done, rounds_max }, Some(from), now);
        self.conduct(from, Conduct::DeliveredFirst);
        match self.accept(item, now) {
            Accepted::Relayed => Received::Relayed,
            Accepted::AtLimit => Received::AtLimit,
            Accepted::Expired => Received::Refused(Refusal::Expired),
        }
    }

    /// An item came, or was published here, that peers had announced: they have it, and who asked for it meanwhile will be answered.
    pub(super) fn meet_announcers(&mut self, item: &mut HeldItem, from: Option<Slot>, now: Timestamp) {
        let Some(index) = self.fetches.index_of(&item.message.id()) else { return };
        from.into_iter().for_each(|from| self.fetch_answered(index, from));
        let Some(fetch) = self.end_fetch(index, now) else { return };
        if let Some(from) = from {
            self.tree_fetch_ended(&fetch, from, item.message.hop(), now);
        }
        let was_asked = |source: &Source| Some(source.slot) == from && source.asked_at.is_some();
        if item.message.hop().kind == HopKind::Answer && fetch.sources.iter().any(was_asked) {
            item.lack = Lack::AskedFor;
        }
        let holders = fetch.sources.iter().filter(|source| source.holds);
        holders.for_each(|source| item.known_by.insert(source.slot));
        item.has_run_ahead |= fetch.ahead_by.is_some();
        item.heard = fetch.holder_heard;
        (item.told, item.wanted_by) = (fetch.told, fetch.wanted_by);
    }

    fn deliver(&mut self, from: Slot, message: &ItemMessage, deadline: Option<Timestamp>) {
        self.stats.delivered += 1;
        let item = message.item();
        self.outputs.push_back(Output::Event(Event::Item {
            id: message.id(),
            from,
            topic: item.topic.clone(),
            author: item.author,
            payload: item.payload.clone(),
            round: message.round(),
            deadline,
        }));
    }

    /// Relays an accepted item, or holds it when no copy so far has rounds left.
    fn accept(&mut self, item: HeldItem, now: Timestamp) -> Accepted {
        let id = item.message.id();
        if item.message.item().expires_at <= now {
            self.seen.set(&id, State::Done);
            return Accepted::Expired;
        }
        self.dependency_arrived(id, now);
        let is_one_shot = item.policy.is_one_shot();
        if item.is_at_limit() && item.policy.timing().is_none() {
            self.stats.round_limited += 1;
            self.keep(item, Stage::AtLimit, now);
            return Accepted::AtLimit;
        }
        self.stats.relayed += 1;
        if is_one_shot {
            self.relay_once(item);
        } else {
            let index = self.keep(item, Stage::Spreading, now);
            self.spread(index, now);
        }
        Accepted::Relayed
    }

    /// Holds an accepted item, and lets go of older ones for which there is no room.
    pub(super) fn keep(&mut self, item: HeldItem, stage: Stage, now: Timestamp) -> u32 {
        let id = item.message.id();
        let index = self.held.insert(item, stage, now);
        self.seen.set(&id, State::Held(index));
        while let Some(excess) = self.held.excess(index) {
            self.reveal(excess, now);
            self.finish(excess, Finished::RoomNeeded, now);
            _ = self.take_out(excess);
        }
        index
    }

    /// Relays an item of a policy that keeps nothing of it.
    pub(super) fn relay_once(&mut self, item: HeldItem) {
        self.seen.set(&item.message.id(), State::Done);
        let pushes = self.push(&item);
        let reached = item.known_by.len().saturating_add(pushes);
        self.tell_finished(item.message.id(), Tally { reached, pushes, ..item.tally }, Finished::Pushed);
    }

    /// A copy of a held item came. `None` when it changes nothing that the sender could see.
    fn held_copy_received(&mut self, from: Slot, index: u32, hop: &Hop, now: Timestamp) -> Option<Received> {
        let item = self.held.get_mut(index)?;
        item.brought.insert(from);
        item.known_by.insert(from);
        item.tally.duplicates = item.tally.duplicates.saturating_add(1);
        self.pushed_after_all(index, from, hop, now);
        let item = self.held.get_mut(index)?;
        if item.stage == Stage::Spreading {
            self.spreading_copy_received(index, from, hop, now);
            self.tree_copy_again(index, from, hop, now);
            return None;
        }
        if hop.kind != HopKind::Stem {
            item.policy = item.policy.public();
        }
        if hop.round < item.message.round() {
            item.shorten(hop.round);
        }
        if item.stage != Stage::AtLimit || item.is_at_limit() || item.message.item().expires_at <= now {
            return None;
        }
        let item = self.take_out(index)?;
        self.stats.duplicates += 1;
        self.stats.relayed += 1;
        if item.policy.is_one_shot() {
            self.relay_once(item);
        } else {
            let index = self.keep(item, Stage::Spreading, now);
            self.spread(index, now);
        }
        Some(Received::RelayedLater)
    }

    /// Ends the wait of an item: whatever it is from now on, it is held no more.
    pub(super) fn take_out(&mut self, index: u32) -> Option<HeldItem> {
        let item = self.held.remove(index)?;
        self.timers.replace(item.due, None, Deadline::Item(index));
        self.waits_no_more(index, &item);
        self.left_stem(&item);
        if let Some(from) = item.from.filter(|_| item.stage.is_undecided()) {
            self.peers.discharge(from, Load::of(&item.message));
        }
        self.seen.set(&item.message.id(), State::Done);
        Some(item)
    }

    fn pause_when_loaded(&mut self) {
        if self.held.pending().exceeds(PAUSE_PART, &self.config)
            && let Some(to) = self.peers.pause_greediest()
            && !self.peers.rests(to)
        {
            self.outputs.push_back(Output::Pause { to });
        }
    }

    fn resume_when_calm(&mut self) {
        if self.held.pending().exceeds(RESUME_PART, &self.config) {
            return;
        }
        while let Some(to) = self.peers.resume_one() {
            if !self.peers.rests(to) {
                self.outputs.push_back(Output::Resume { to });
            }
        }
    }
}

fn check_signature(message: &ItemMessage, topic: TopicConfig) -> Result<TopicConfig, Refusal> {
    match topic.signatures {
        Signatures::Required if message.signature().is_none() => Err(Refusal::Unsigned),
        Signatures::Required if !message.is_signed() => Err(Refusal::Signature),
        Signatures::Required | Signatures::Off => Ok(topic),
    }
}

#[cfg(test)]
mod tests;
