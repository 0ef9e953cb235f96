//! What dials tell. Failures and a wrong identity belong to the endpoint; only where a peer is proven to live do they say
//! something about the peer, so that nobody lowers another's quality by naming dead addresses for it.

use bruit_core::{Conduct, Endpoint, PeerId, Timestamp};

use super::{
    AddressBook, Heard, HeardRefusal,
    entry::{FAILURES_NEVER_REACHED, Mark},
    spot::Secs,
    table::Place,
};

/// What came of a dial that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Succeeded {
    /// The endpoint moved to *tried*.
    Tried,
    /// It was there already.
    AlreadyTried,
    /// Its place in *tried* is held by this endpoint, which is to be tested first; it stays in *new*.
    PlaceTaken(Endpoint),
    /// This node reached itself; the endpoint is known as its own from now on.
    Own,
    /// It was not in the book and is not stored now.
    Refused(HeardRefusal),
}

/// What came of a dial that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It counts against the endpoint, which has failed so often since it was last reached.
    Counted(u32),
    /// It does not count: nobody was reached since this endpoint's last failure, or nobody at all lately, so the fault may be on
    /// this side.
    NotCounted,
    /// The endpoint is not in the book.
    Unknown,
}

/// What came of an endpoint where somebody else answered than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebound {
    /// The endpoint belongs to whom was found from now on, in *new*.
    Rebound,
    /// This node reached itself; the endpoint is known as its own from now on.
    Own,
    /// The endpoint belongs to whom was found already.
    Kept,
    /// The endpoint left the book: there is no place for it in *new* or among the endpoints of whom was found.
    Dropped,
    /// The endpoint is not in the book.
    Unknown,
}

impl AddressBook {
    /// Tells that a dial has started.
    pub fn dial_started(&mut self, endpoint: &Endpoint, now: Timestamp) {
        let Some(number) = self.entries.find(endpoint) else { return };
        if let Some(entry) = self.entries.get_mut(number) {
            entry.last_attempt = Secs::of(now);
        }
        self.unsaved.entry_changed(&mut self.entries, number);
    }

    /// Tells that a dial has succeeded, and who was proven to live there.
    ///
    /// # Security
    /// An entry of *tried* is displaced only when it is terrible or was dialled in vain since, never by one that merely works
    /// too. A ban that was made while the dial was under way holds: what it led to is not believed.
    pub fn dial_succeeded(&mut self, endpoint: &Endpoint, peer: PeerId, now: Timestamp) -> Succeeded {
        if self.own_peer == Some(peer) {
            self.own_endpoint(endpoint.clone());
            return Succeeded::Own;
        }
        self.outage.reached(now);
        if self.is_barred(Some(&peer), endpoint.ip(), now) {
            return Succeeded::Refused(HeardRefusal::Banned);
        }
        let number = match self.entries.find(endpoint) {
            Some(number) => number,
            None => match self.take_met(peer, endpoint, now) {
                Heard::Refused(refusal) => return Succeeded::Refused(refusal),
                Heard::Added | Heard::Refreshed | Heard::Known | Heard::Disputed => {
                    let Some(number) = self.entries.find(endpoint) else {
                        return Succeeded::Refused(HeardRefusal::PlaceTaken);
                    };
                    number
                }
            },
        };
        let Some(at) = self.bind(number, peer, now) else {
            self.remove_entry(number);
            return Succeeded::Refused(HeardRefusal::EndpointsFull);
        };
        let second = Secs::of(now);
        if let Some(entry) = self.entries.get_mut(number) {
            if entry.last_attempt.is_never() {
                entry.last_attempt = second;
            }
            entry.last_success = second;
            entry.last_seen = second;
            entry.failures = 0;
        }
        self.unsaved.entry_changed(&mut self.entries, number);
        let told_by = self.entries.take_told_by(number);
        self.change_parts_at(at, now, |peer| peer.parts.dialled(true, now));
        if let Some(told_by) = told_by {
            self.conduct(told_by, Conduct::SharedLiveAddr, 1, now);
        }
        self.promote(number, now)
    }

    /// Tells that a dial has failed.
    pub fn dial_failed(&mut self, endpoint: &Endpoint, now: Timestamp) -> Failed {
        let Some(number) = self.entries.find(endpoint) else { return Failed::Unknown };
        let second = Secs::of(now);
        self.outage.failed(number, now);
        let Some(entry) = self.entries.get_mut(number) else { return Failed::Unknown };
        entry.last_attempt = second;
        let is_repeated = !entry.counted.is_never()
            && self.outage.last_reached().is_none_or(|reached| Secs::of(reached) < entry.counted);
        if is_repeated || self.outage.is_offline() {
            self.unsaved.entry_changed(&mut self.entries, number);
            return Failed::NotCounted;
        }
        entry.counted = second;
        entry.failures = entry.failures.saturating_add(1);
        let failures = entry.failures;
        let is_dead = entry.last_success.is_never() && failures >= FAILURES_NEVER_REACHED;
        let is_tried = entry.is_tried();
        self.unsaved.entry_changed(&mut self.entries, number);
        let told_by = if is_dead { self.entries.take_told_by(number) } else { None };
        let proven = self.entries.get(number).filter(|_| is_tried).and_then(|entry| self.peer_of(entry));
        if let Some(peer) = proven.map(|peer| peer.id) {
            self.change_parts(peer, now, |peer| peer.parts.dialled(false, now));
        }
        if let Some(told_by) = told_by {
            self.conduct(told_by, Conduct::SharedDeadAddr, 1, now);
        }
        Failed::Counted(u32::from(failures))
    }

    /// Tells that at an endpoint another peer proved its identity than the one that was dialled. Who was believed to live there
    /// loses the endpoint and nothing else.
    pub fn wrong_identity(&mut self, endpoint: &Endpoint, found: PeerId, now: Timestamp) -> Rebound {
        if self.own_peer == Some(found) {
            self.own_endpoint(endpoint.clone());
            return Rebound::Own;
        }
        let Some(number) = self.entries.find(endpoint) else { return Rebound::Unknown };
        let known = self.entries.get(number).and_then(|entry| self.peer_of(entry)).map(|peer| peer.id);
        let Some(entry) = self.entries.get_mut(number) else { return Rebound::Unknown };
        entry.last_attempt = Secs::of(now);
        let is_tried = entry.is_tried();
        self.unsaved.entry_changed(&mut self.entries, number);
        if known == Some(found) {
            return Rebound::Kept;
        }
        if is_tried && !self.demote(number, now) || self.bind(number, found, now).is_none() {
            self.remove_entry(number);
            return Rebound::Dropped;
        }
        Rebound::Rebound
    }

    /// Makes a peer the one who lives at an entry, and says what its number is; `None` if it has no room for one more endpoint.
    fn bind(&mut self, number: u32, peer: PeerId, now: Timestamp) -> Option<u32> {
        let entry = self.entries.get(number)?;
        if self.peer_of(entry).is_some_and(|known| known.id == peer) {
            return entry.peer();
        }
        if !self.make_room_at(&peer, PROVEN, now) {
            return None;
        }
        self.unlink(number);
        Some(self.link(number, peer, now))
    }

    fn promote(&mut self, number: u32, now: Timestamp) -> Succeeded {
        let Some(entry) = self.entries.get(number) else { return Succeeded::AlreadyTried };
        if entry.is_tried() {
            return Succeeded::AlreadyTried;
        }
        let place = self.place_in_tried(entry);
        if let Some(holder) = self.tried.rival(place) {
            let incumbent = self.entries.get(holder);
            if let Some(incumbent) =
                incumbent.filter(|entry| !entry.is_terrible(self.config.settings().horizon_secs, Secs::of(now)))
            {
                let incumbent = incumbent.spot.endpoint();
                self.collisions.add(number, now);
                return Succeeded::PlaceTaken(incumbent);
            }
        }
        self.promote_to(place, number, now);
        Succeeded::Tried
    }

    /// Moves an entry to *tried*; who holds its place there goes back to *new*, or leaves if there is no place.
    pub(super) fn promote_over(&mut self, number: u32, now: Timestamp) {
        let Some(place) = self.entries.get(number).map(|entry| self.place_in_tried(entry)) else { return };
        self.promote_to(place, number, now);
    }

    fn promote_to(&mut self, place: Place, number: u32, now: Timestamp) {
        if let Some(holder) = self.tried.rival(place)
            && !self.demote(holder, now)
        {
            self.remove_entry(holder);
        }
        self.clear_new(number);
        self.entries.forget_more_sources(number);
        if let Some(entry) = self.entries.get_mut(number) {
            entry.mark(Mark::Tried, true);
        }
        self.unsaved.entry_changed(&mut self.entries, number);
        self.collisions.forget(number);
        self.tried.put(place, number);
        self.tried_len += 1;
    }

    /// Moves an entry from *tried* back to its first place in *new*; false if that is taken.
    fn demote(&mut self, number: u32, now: Timestamp) -> bool {
        let Some(entry) = self.entries.get(number) else { return false };
        let source = self.entries.sources(number).next().unwrap_or_else(|| self.entries.group(entry));
        let place = self.place_in_new(entry, source);
        if !self.can_take_for_first(place, now) {
            return false;
        }
        self.tried.clear(self.place_in_tried(entry), number);
        self.tried_len -= 1;
        if let Some(entry) = self.entries.get_mut(number) {
            entry.mark(Mark::Tried, false);
        }
        self.unsaved.entry_changed(&mut self.entries, number);
        self.vacate(place);
        self.new.put(place, number);
        true
    }
}

/// What an endpoint rests on where a peer was proven to live.
const PROVEN: u8 = 2;
