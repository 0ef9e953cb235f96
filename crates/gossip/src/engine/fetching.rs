//! Announcements that come, and what is asked for: an item that was announced is asked for from one source after the other.

use bruit_core::{Conduct, Slot, Timestamp};

use super::{
    AnnouncementReceived, Engine, Message, Output,
    fetches::{Fetch, HeardAgain, Source, Timing},
    held::Stage,
    outcome::Refusal,
    policy::HeardOf,
    timers::Deadline,
};
use crate::{Announcement, Carry, ControlMessage, Event, ItemId, Policy, Priority, Step};

/// The part of what may await a verdict above which announcements are refused, before any reader is paused: from peers that
/// use more of this part than if all connected ones shared it evenly.
const REFUSE_PART: usize = 5;

/// The last part of the room for fetches is not for those who hold as much as an even share of it already: who announces what nobody
/// has must not keep others from being heard. Half: a guess.
const FAIR_PART: usize = 2;

impl Engine {
    /// A peer announced ids.
    ///
    /// # Security
    /// All of it is a claim. A peer may be the first source of a limited number of ids, and of an even share where there is
    /// little room left; it is asked for few at a time, and who does not send what it was asked for is asked for less.
    pub fn announcement_received(&mut self, from: Slot, message: Announcement, now: Timestamp) -> AnnouncementReceived {
        self.log_at(now);
        let Some(peer) = self.peers.get(from) else { return AnnouncementReceived::StalePeer };
        let share = REFUSE_PART.saturating_mul(self.peers.len().max(1));
        let is_full =
            self.held.pending().exceeds(REFUSE_PART, &self.config) && peer.pending.exceeds(share, &self.config);
        let Announcement { topic, items, is_ahead } = message;
        self.stats.announcements_received += 1;
        self.stats.ids_received += items.len() as u64;
        let Some(config) = self.config.topic(&topic).copied() else { return AnnouncementReceived::NotCarried };
        if config.carry == Carry::Subscribers && !self.subscriptions.contains(&topic) {
            return AnnouncementReceived::NotCarried;
        }
        let policy = config.policy.public();
        let mut refused = 0;
        for announced in &items {
            if self.is_known(&announced.id)
                && let Policy::Infection(settings) = &config.policy
            {
                self.have_soon(announced.id, settings);
            }
            let heard = HeardOf { from, topic: &topic, announced, is_ahead, is_first: false };
            if let Some(index) = self.held_index(&announced.id) {
                self.announced_held(index, &heard, now);
            } else if !self.is_known(&announced.id)
                && let Some(timing) = policy.timing()
            {
                let is_taken = !is_full && self.announced_unknown(&policy, timing, heard, now);
                refused += usize::from(!is_taken);
            }
        }
        self.send_wants();
        self.send_haves(from);
        if refused > 0 {
            self.stats.ids_refused += refused as u64;
            self.outputs.push_back(Output::Event(Event::AnnouncementRefused { peer: from, ids: refused }));
        }
        AnnouncementReceived::Applied
    }

    fn announced_held(&mut self, index: u32, heard: &HeardOf<'_>, now: Timestamp) {
        let Some(item) = self.held.get_mut(index) else { return };
        if !heard.is_ahead {
            item.known_by.insert(heard.from);
        }
        self.held_announced(index, heard, now);
    }

    /// Remembers a source of an id; `false` if there is no room.
    fn announced_unknown(&mut self, policy: &Policy, timing: Timing, heard: HeardOf<'_>, now: Timestamp) -> bool {
        if let Some(index) = self.fetches.index_of(&heard.announced.id) {
            let has_run_out = self.fetches.get(index).is_some_and(Fetch::has_run_out);
            if self.fetches.heard_again(index, &heard, now) == HeardAgain::Added {
                if has_run_out {
                    self.fetch_due(index, now);
                }
                self.fetch_heard(index, policy, &heard, now);
            }
            return true;
        }
        let (count, count_max) = (self.fetches.len(), self.config.fetches_max);
        let fair = count_max / FAIR_PART / self.peers.len().max(1);
        let Some(peer) = self.peers.get_mut(heard.from) else { return false };
        let is_unfair = count >= count_max - count_max / FAIR_PART && peer.first_heard as usize >= fair.max(1);
        if is_unfair || peer.first_heard >= self.config.announced_max || count >= count_max {
            return false;
        }
        peer.first_heard = peer.first_heard.saturating_add(1);
        let index = self.fetches.insert(timing, &heard, now);
        self.set_next(index, Some(now.after(timing.wait)));
        if timing.wait.is_zero() {
            self.fetch_due(index, now);
        }
        self.fetch_heard(index, policy, &HeardOf { is_first: true, ..heard }, now);
        true
    }

    /// Asks the next source of a fetch, or gives it up when its time is over.
    pub(super) fn fetch_due(&mut self, index: u32, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(index) else { return };
        let given_up = fetch.heard.after(self.config.fetch_for);
        if let Some((late, _)) = fetch.asked.take() {
            self.stats.wants_unanswered += 1;
            self.wants_no_more(late);
        }
        if given_up <= now {
            self.stats.fetches_given_up += 1;
            self.end_fetch(index, now);
            return;
        }
        self.blame_debtors(index, now);
        let Some(fetch) = self.fetches.get_mut(index) else { return };
        let wants_max = self.config.wants_max;
        let peers = &self.peers;
        let can_be_asked = |slot: Slot| peers.get(slot).is_some_and(|peer| peer.wants < wants_max);
        let can_serve = |source: &Source| source.asked_at.is_none() && can_be_asked(source.slot);
        let holder = fetch.sources.iter().position(|source| source.holds && can_serve(source));
        let next = holder.or_else(|| fetch.sources.iter().position(can_serve));
        let Some(source) = next.and_then(|place| fetch.sources.get_mut(place)) else {
            let is_any_left = fetch.sources.iter().any(|source| source.asked_at.is_none());
            let retry = now.after(fetch.timing.per_source);
            let next = if is_any_left { retry.min(given_up) } else { given_up };
            self.set_next(index, Some(next));
            return;
        };
        source.asked_at = Some(now);
        source.owes_since = source.holds.then_some(now);
        let (slot, id) = (source.slot, fetch.id);
        fetch.asked = Some((slot, now));
        let usual = fetch.timing.per_source;
        let patience =
            peers.get(slot).and_then(|peer| peer.rooms.patience()).map_or(usual, |patience| patience.min(usual));
        self.set_next(index, Some(now.after(patience)));
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.wants = peer.wants.saturating_add(1);
        }
        self.log(&id, Step::Asked { from: slot });
        self.wanting.push((slot, id));
    }

    /// Sends what [`fetch_due`](Self::fetch_due) has gathered: one message to each peer.
    pub(super) fn send_wants(&mut self) {
        if self.wanting.is_empty() {
            return;
        }
        let mut wanting = std::mem::take(&mut self.wanting);
        wanting.sort_by_key(|(slot, _)| *slot);
        for same in wanting.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((to, _)) = same.first() else { continue };
            self.stats.wants_sent += same.len() as u64;
            for part in same.chunks(bruit_wire::limits::WANTED_MAX) {
                let want: Vec<ItemId> = part.iter().map(|(_, id)| *id).collect();
                self.send_control(*to, ControlMessage { want, ..ControlMessage::default() });
            }
        }
    }

    pub(super) fn send_control(&mut self, to: Slot, message: ControlMessage) {
        let message = Message::Control(Box::new(message));
        self.outputs.push_back(Output::Send { to, message, priority: Priority::High });
    }

    /// Ends a fetch, because its item came or nobody sends it.
    pub(super) fn end_fetch(&mut self, index: u32, now: Timestamp) -> Option<Fetch> {
        self.blame_debtors(index, now);
        self.set_next(index, None);
        let fetch = self.fetches.remove(index)?;
        if let Some(first) = fetch.sources.first().and_then(|source| self.peers.get_mut(source.slot)) {
            first.first_heard = first.first_heard.saturating_sub(1);
        }
        if let Some(peer) = fetch.ahead_by.and_then(|slot| self.peers.get_mut(slot)) {
            peer.rooms.ahead = peer.rooms.ahead.saturating_sub(1);
        }
        fetch.asked.into_iter().for_each(|(slot, _)| self.wants_no_more(slot));
        Some(fetch)
    }

    /// A peer that was asked for an item sent it: it owes nothing, whatever becomes of what it sent.
    pub(super) fn fetch_answered(&mut self, index: u32, from: Slot) {
        let Some(fetch) = self.fetches.get_mut(index) else { return };
        let source = fetch.sources.iter_mut().find(|source| source.slot == from);
        source.into_iter().for_each(|source| source.owes_since = None);
    }

    /// An item that may have been asked for came and was not taken in. Who sent it did what it owed; and what nobody else's
    /// copy can change ends the search.
    pub(super) fn fetch_refused(&mut self, from: Slot, id: ItemId, refusal: Refusal, now: Timestamp) {
        let Some(index) = self.fetches.index_of(&id) else { return };
        self.fetch_answered(index, from);
        match refusal {
            Refusal::TooLarge
            | Refusal::UnknownTopic
            | Refusal::NotSubscribed
            | Refusal::Expired
            | Refusal::ExpiresTooLate
            | Refusal::Rejected
            | Refusal::Precheck => _ = self.end_fetch(index, now),
            Refusal::Round | Refusal::NoRoom | Refusal::OverRate | Refusal::StalePeer | Refusal::Unchecked => {}
            Refusal::Unsigned | Refusal::Signature => self.ask_another(index, from, now),
        }
    }

    /// The peer that was asked sent what cannot be used, and another one may have better.
    fn ask_another(&mut self, index: u32, from: Slot, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(index) else { return };
        if fetch.asked.take_if(|(asked, _)| *asked == from).is_some() {
            self.wants_no_more(from);
            self.fetch_due(index, now);
            self.send_wants();
        }
    }

    /// Blames those who said that they have an item and have not sent it in time, each once.
    fn blame_debtors(&mut self, index: u32, now: Timestamp) {
        let Some(fetch) = self.fetches.get_mut(index) else { return };
        let blame = fetch.timing.blame;
        let is_late = |source: &&mut Source| source.owes_since.is_some_and(|since| since.after(blame) <= now);
        let late: Vec<Slot> = fetch
            .sources
            .iter_mut()
            .filter(is_late)
            .map(|source| {
                source.owes_since = None;
                source.slot
            })
            .collect();
        late.into_iter().for_each(|slot| self.conduct(slot, Conduct::TimedOut));
    }

    /// A peer is gone: what only it had is given up, and what it was asked for is asked of the next one.
    pub(super) fn fetches_lose(&mut self, slot: Slot, now: Timestamp) {
        for index in self.fetches.sourced_by(slot) {
            let Some(fetch) = self.fetches.get_mut(index) else { continue };
            let was_first = fetch.sources.first().is_some_and(|source| source.slot == slot);
            let was_asked = fetch.asked.is_some_and(|(asked, _)| asked == slot);
            fetch.sources.retain(|source| source.slot != slot);
            fetch.told.remove(slot);
            fetch.wanted_by.remove(slot);
            if was_asked {
                fetch.asked = None;
            }
            let heir = fetch.sources.first().map(|source| source.slot);
            match heir {
                None => _ = self.end_fetch(index, now),
                Some(heir) => {
                    if let Some(peer) = self.peers.get_mut(heir).filter(|_| was_first) {
                        peer.first_heard = peer.first_heard.saturating_add(1);
                    }
                    if was_asked {
                        self.fetch_due(index, now);
                    }
                }
            }
        }
        self.send_wants();
    }

    /// A peer asks for items.
    pub(super) fn wants_received(&mut self, from: Slot, ids: Vec<ItemId>, now: Timestamp) {
        self.stats.wants_received += ids.len() as u64;
        for id in ids {
            if let Some(index) = self.held_index(&id)
                && let Some(item) = self.held.get_mut(index)
                && item.told.contains(from)
            {
                item.told.remove(from);
                self.announcements.want_received(now);
                // What is secret is served when it is secret no more.
                if item.stage == Stage::Spreading && !item.policy.is_private() {
                    self.answer(index, from, now);
                } else {
                    item.wanted_by.insert(from);
                }
            } else if let Some(fetch) = self.fetches.index_of(&id).and_then(|index| self.fetches.get_mut(index))
                && fetch.told.contains(from)
            {
                fetch.told.remove(from);
                fetch.wanted_by.insert(from);
                self.announcements.want_received(now);
            } else {
                self.stats.wants_refused += 1;
            }
        }
    }

    /// Peers say that they have what was announced to them.
    pub(super) fn haves_received(&mut self, from: Slot, ids: Vec<ItemId>, now: Timestamp) {
        for id in ids {
            let Some(index) = self.held_index(&id) else { continue };
            let Some(item) = self.held.get_mut(index) else { continue };
            let was_told = item.told.contains(from);
            if !matches!(item.policy, Policy::Infection(_)) {
                // By that rule who asks elsewhere first may ask here later.
                item.told.remove(from);
            }
            item.known_by.insert(from);
            if was_told {
                item.tally.already_had = item.tally.already_had.saturating_add(1);
                self.have_received(index, from, now);
            }
        }
    }

    fn wants_no_more(&mut self, asked: Slot) {
        if let Some(peer) = self.peers.get_mut(asked) {
            peer.wants = peer.wants.saturating_sub(1);
        }
    }

    pub(super) fn set_next(&mut self, index: u32, at: Option<Timestamp>) {
        let Some(fetch) = self.fetches.get_mut(index) else { return };
        let old = std::mem::replace(&mut fetch.next, at);
        self.timers.replace(old, at, Deadline::Fetch(index));
    }
}
