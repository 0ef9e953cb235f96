//! What dials tell. Failures and a wrong identity belong to the endpoint; only where a peer is proven to live do they say
//! something about the peer, so that nobody lowers another's quality by naming dead addresses for it.

use bruit_core::{Conduct, Endpoint, PeerId, Timestamp};

use super::{AddressBook, Heard, HeardRefusal, entry::FAILURES_NEVER_REACHED};

/// What came of a dial that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Succeeded {
    /// The endpoint moved to *tried*.
    Tried,
    /// It was there already.
    AlreadyTried,
    /// Its place in *tried* is held by this endpoint, which is no worse; it stays in *new*.
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
    /// It does not count: since this endpoint's last failure nobody was reached, so the fault may be on this side.
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
        if let Some(entry) = self.entries.find(endpoint).and_then(|number| self.entries.get_mut(number)) {
            entry.last_attempt = Some(now);
            self.unsaved.entry_changed(entry);
        }
    }

    /// Tells that a dial has succeeded, and who was proven to live there.
    ///
    /// # Security
    /// An entry of *tried* is displaced only when it is terrible, never by one that merely works too.
    pub fn dial_succeeded(&mut self, endpoint: &Endpoint, peer: PeerId, now: Timestamp) -> Succeeded {
        if self.own_peer == Some(peer) {
            self.own_endpoint(endpoint.clone());
            return Succeeded::Own;
        }
        self.last_success = Some(now);
        if self.entries.find(endpoint).is_none()
            && let Heard::Refused(refusal) = self.take_met(peer, endpoint, now)
        {
            return Succeeded::Refused(refusal);
        }
        let Some(number) = self.entries.find(endpoint) else {
            return Succeeded::Refused(HeardRefusal::PlaceTaken);
        };
        if !self.bind(number, peer, now) {
            self.remove_entry(number);
            return Succeeded::Refused(HeardRefusal::EndpointsFull);
        }
        let told_by = match self.entries.get_mut(number) {
            Some(entry) => {
                entry.last_attempt.get_or_insert(now);
                entry.last_success = Some(now);
                entry.last_seen = now;
                entry.failures = 0;
                self.unsaved.entry_changed(entry);
                entry.told_by.take()
            }
            None => None,
        };
        self.change_parts(peer, now, |peer| peer.parts.dialled(true, now));
        if let Some(told_by) = told_by {
            self.conduct(told_by, Conduct::SharedLiveAddr, 1, now);
        }
        self.promote(number, now)
    }

    /// Tells that a dial has failed.
    pub fn dial_failed(&mut self, endpoint: &Endpoint, now: Timestamp) -> Failed {
        let Some(number) = self.entries.find(endpoint) else { return Failed::Unknown };
        let Some(entry) = self.entries.get_mut(number) else { return Failed::Unknown };
        entry.last_attempt = Some(now);
        self.unsaved.entry_changed(entry);
        if entry.counted.is_some_and(|counted| self.last_success.is_none_or(|success| success < counted)) {
            return Failed::NotCounted;
        }
        entry.counted = Some(now);
        entry.failures = entry.failures.saturating_add(1);
        let failures = entry.failures;
        let is_dead = entry.last_success.is_none() && failures >= FAILURES_NEVER_REACHED;
        let told_by = if is_dead { entry.told_by.take() } else { None };
        let proven = if entry.is_tried { self.entries.get(number).and_then(|entry| self.peer_of(entry)) } else { None };
        if let Some(peer) = proven.map(|peer| peer.id) {
            self.change_parts(peer, now, |peer| peer.parts.dialled(false, now));
        }
        if let Some(told_by) = told_by {
            self.conduct(told_by, Conduct::SharedDeadAddr, 1, now);
        }
        Failed::Counted(failures)
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
        entry.last_attempt = Some(now);
        self.unsaved.entry_changed(entry);
        if known == Some(found) {
            return Rebound::Kept;
        }
        if entry.is_tried && !self.demote(number, now) || !self.bind(number, found, now) {
            self.remove_entry(number);
            return Rebound::Dropped;
        }
        Rebound::Rebound
    }

    /// Makes a peer the one who lives at an entry; false if it has no room for one more endpoint.
    fn bind(&mut self, number: u32, peer: PeerId, now: Timestamp) -> bool {
        const PROVEN: u8 = 2;
        let Some(entry) = self.entries.get(number) else { return false };
        if self.peer_of(entry).is_some_and(|known| known.id == peer) {
            return true;
        }
        if !self.make_room_at(&peer, PROVEN, now) {
            return false;
        }
        self.unlink(number);
        self.link(number, peer, now);
        true
    }

    fn promote(&mut self, number: u32, now: Timestamp) -> Succeeded {
        let Some(entry) = self.entries.get(number) else { return Succeeded::AlreadyTried };
        if entry.is_tried {
            return Succeeded::AlreadyTried;
        }
        let place = self.placement.in_tried(&entry.endpoint);
        if let Some(holder) = self.tried.rival(place) {
            let incumbent = self.entries.get(holder);
            if let Some(incumbent) = incumbent.filter(|entry| !entry.is_terrible(self.config.horizon(), now)) {
                return Succeeded::PlaceTaken(incumbent.endpoint.clone());
            }
            if !self.demote(holder, now) {
                self.remove_entry(holder);
            }
        }
        self.clear_new(number);
        if let Some(entry) = self.entries.get_mut(number) {
            entry.source_groups.truncate(1);
            entry.is_tried = true;
            self.unsaved.entry_changed(entry);
        }
        self.tried.put(place, number);
        self.tried_len += 1;
        Succeeded::Tried
    }

    /// Moves an entry from *tried* back to its first place in *new*; false if that is taken.
    fn demote(&mut self, number: u32, now: Timestamp) -> bool {
        let Some(entry) = self.entries.get(number) else { return false };
        let source_group = entry.source_groups.first().copied().unwrap_or(entry.group);
        let place = self.placement.in_new(&entry.endpoint, source_group);
        if !self.can_take_for_first(place, now) {
            return false;
        }
        self.tried.clear(self.placement.in_tried(&entry.endpoint), number);
        self.tried_len -= 1;
        if let Some(entry) = self.entries.get_mut(number) {
            entry.is_tried = false;
            entry.source_groups = vec![source_group];
            self.unsaved.entry_changed(entry);
        }
        self.vacate(place);
        self.new.put(place, number);
        true
    }
}
