//! What is written down, and how it is read again.

use std::collections::BTreeSet;

use bruit_core::{Endpoint, PeerId, Timestamp};

use super::{
    AddressBook,
    entry::{Entries, Entry, Mark, NewEntry},
    peers::{Peer, Peers},
    spot::{Secs, Spot},
    table::Place,
};
use crate::{
    Ban, BanSubject, Banned, Changes, EntryRecord, FORMAT_VERSION, PeerRecord, Records, RestoreReport, bans::canonical,
    quality::Parts,
};

/// What storage does not know yet. What came and went in between leaves no trace, so this is no larger than book and storage.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsaved {
    /// Numbers of marked entries; some may stand for others by now.
    entries: Vec<u32>,
    entries_removed: BTreeSet<Endpoint>,
    /// Numbers of marked peers; some may stand for others by now.
    peers: Vec<u32>,
    peers_removed: BTreeSet<PeerId>,
    bans: BTreeSet<BanSubject>,
    bans_removed: BTreeSet<BanSubject>,
    bans_stored: BTreeSet<BanSubject>,
}

impl Unsaved {
    pub(super) fn entry_changed(&mut self, entries: &mut Entries, number: u32) {
        let Some(entry) = entries.get_mut(number).filter(|entry| !entry.is(Mark::Unsaved)) else { return };
        entry.mark(Mark::Unsaved, true);
        push_once(&mut self.entries, number, entries.numbers());
    }

    pub(super) fn entry_removed(&mut self, entry: &Entry) {
        if entry.is(Mark::Stored) {
            self.entries_removed.insert(entry.spot.endpoint());
        }
    }

    /// Whether storage still holds an endpoint that enters the book.
    pub(super) fn entry_came_back(&mut self, endpoint: &Endpoint) -> bool {
        !self.entries_removed.is_empty() && self.entries_removed.remove(endpoint)
    }

    /// Storage holds an entry that the book refuses.
    fn forget_entry(&mut self, endpoint: Endpoint) {
        self.entries_removed.insert(endpoint);
    }

    /// Storage holds a peer that the book refuses.
    fn forget_peer(&mut self, peer: PeerId) {
        self.peers_removed.insert(peer);
    }

    pub(super) fn peer_changed(&mut self, peers: &mut Peers, number: u32) {
        let Some(peer) = peers.get_mut(number) else { return };
        if !self.peers_removed.is_empty() {
            peer.is_stored |= self.peers_removed.remove(&peer.id);
        }
        if !std::mem::replace(&mut peer.is_unsaved, true) {
            push_once(&mut self.peers, number, peers.numbers());
        }
    }

    pub(super) fn ban_changed(&mut self, subject: BanSubject) {
        self.bans_removed.remove(&subject);
        self.bans.insert(subject);
    }

    pub(super) fn ban_removed(&mut self, subject: BanSubject) {
        self.bans.remove(&subject);
        if self.bans_stored.contains(&subject) {
            self.bans_removed.insert(subject);
        }
    }

    pub(super) fn peer_removed(&mut self, peer: &Peer) {
        if peer.is_stored {
            self.peers_removed.insert(peer.id);
        }
    }
}

/// Adds a number to a list in which each needs to stand once only; the list stays shorter than two of all numbers.
pub(super) fn push_once(list: &mut Vec<u32>, number: u32, numbers: u32) {
    const SLACK: usize = 64;
    list.push(number);
    if list.len() > 2 * numbers as usize + SLACK {
        list.sort_unstable();
        list.dedup();
    }
}

impl AddressBook {
    /// Takes what changed since the last call, to be written in one transaction. What is not written is lost: the book does not
    /// tell it again.
    pub fn changes(&mut self) -> Changes {
        let mut unsaved = std::mem::take(&mut self.unsaved);
        let bans: Vec<Ban> =
            unsaved.bans.iter().filter_map(|subject| self.bans.find(*subject, Timestamp::default()).copied()).collect();
        unsaved.bans_stored.retain(|subject| !unsaved.bans_removed.contains(subject));
        unsaved.bans_stored.extend(&unsaved.bans);
        self.unsaved.bans_stored = unsaved.bans_stored;
        let mut changes = Changes {
            version: FORMAT_VERSION,
            entries: Vec::with_capacity(unsaved.entries.len()),
            entries_removed: unsaved.entries_removed.into_iter().collect(),
            peers: Vec::with_capacity(unsaved.peers.len()),
            peers_removed: unsaved.peers_removed.into_iter().collect(),
            bans,
            bans_removed: unsaved.bans_removed.into_iter().collect(),
        };
        for number in unsaved.entries {
            let Some(entry) = self.entries.get_mut(number).filter(|entry| entry.is(Mark::Unsaved)) else { continue };
            entry.mark(Mark::Unsaved, false);
            entry.mark(Mark::Stored, true);
            changes.entries.extend(self.entries.get(number).map(|entry| self.record(number, entry)));
        }
        for number in unsaved.peers {
            let Some(peer) = self.peers.get_mut(number).filter(|peer| peer.is_unsaved) else { continue };
            peer.is_unsaved = false;
            peer.is_stored = true;
            changes.peers.push(PeerRecord {
                peer: peer.id,
                parts: peer.parts.at(None, peer.last_change).parts,
                at: peer.last_change,
            });
        }
        changes
    }

    /// Tells that what was stored is lost, or some of it: the next [`changes`](Self::changes) name everything that was stored or
    /// is to survive a restart, and still what is to be removed.
    pub fn storage_lost(&mut self) {
        for number in 0..self.entries.numbers() {
            self.unsaved.entry_changed(&mut self.entries, number);
        }
        for number in 0..self.peers.numbers() {
            if self.peers.get(number).is_some_and(|peer| peer.is_stored || !peer.parts.is_neutral()) {
                self.unsaved.peer_changed(&mut self.peers, number);
            }
        }
        let subjects: Vec<BanSubject> = self.bans.iter(Timestamp::default()).map(|ban| ban.subject).collect();
        subjects.into_iter().for_each(|subject| self.unsaved.ban_changed(subject));
    }

    /// Everything that is to survive a restart, as if nothing were stored yet: for an export.
    pub fn records(&self, now: Timestamp) -> Records {
        Records {
            version: FORMAT_VERSION,
            entries: self.entries.iter().map(|(number, entry)| self.record(number, entry)).collect(),
            peers: self
                .peers
                .iter()
                .filter(|peer| !peer.parts.is_neutral())
                .map(|peer| PeerRecord {
                    peer: peer.id,
                    parts: peer.parts.at(None, peer.last_change).parts,
                    at: peer.last_change,
                })
                .collect(),
            bans: self.bans.iter(now).copied().collect(),
        }
    }

    /// Reads what was stored. A record that makes no sense is counted and left out; the book is none the worse for it.
    ///
    /// # Security
    /// The file may be damaged or made by somebody else: every record passes the checks that hearsay passes, times later than
    /// `now` count as `now`, and parts of quality are bounded and have faded since they were written.
    pub fn restore(&mut self, records: Records, now: Timestamp) -> RestoreReport {
        let mut report = RestoreReport::default();
        if records.version == 0 || records.version > FORMAT_VERSION {
            report.unknown_version = Some(records.version);
            return report;
        }
        for ban in records.bans {
            self.restore_ban(ban, &mut report, now);
        }
        for record in records.entries {
            self.restore_entry(record, &mut report, now);
        }
        for record in records.peers {
            self.restore_peer(&record, &mut report, now);
        }
        report
    }

    /// Takes over what another book exported, as [`restore`](Self::restore) does; all of it is stored at the next
    /// [`changes`](Self::changes). What this book knows of a peer's quality it believes more.
    pub fn import(&mut self, mut records: Records, now: Timestamp) -> RestoreReport {
        records.peers.retain(|record| self.peers.find(&record.peer).is_none());
        let endpoints: Vec<Endpoint> = records.entries.iter().map(|record| record.endpoint.clone()).collect();
        let peers: Vec<PeerId> = records.peers.iter().map(|record| record.peer).collect();
        let bans: Vec<BanSubject> = records.bans.iter().map(|ban| canonical(ban.subject)).collect();
        let report = self.restore(records, now);
        for endpoint in &endpoints {
            if let Some(number) = self.entries.find(endpoint) {
                self.unsaved.entry_changed(&mut self.entries, number);
            }
        }
        for peer in &peers {
            if let Some(number) = self.peers.find(peer) {
                self.unsaved.peer_changed(&mut self.peers, number);
            }
        }
        for subject in bans.into_iter().filter(|subject| self.bans.find(*subject, now).is_some()) {
            self.unsaved.ban_changed(subject);
        }
        report
    }

    fn restore_ban(&mut self, ban: Ban, report: &mut RestoreReport, now: Timestamp) {
        let subject = canonical(ban.subject);
        self.unsaved.bans_stored.insert(subject);
        match self.bans.add(ban, now) {
            Ok((Banned::Added | Banned::Replaced(_), forgotten)) => {
                report.bans += 1;
                forgotten.into_iter().for_each(|subject| self.unsaved.ban_removed(subject));
            }
            Ok((Banned::Unchanged, _)) | Err(_) => {
                report.outdated += 1;
                if self.bans.find(subject, now).is_none() {
                    self.unsaved.ban_removed(subject);
                }
            }
        }
    }

    fn restore_entry(&mut self, record: EntryRecord, report: &mut RestoreReport, now: Timestamp) {
        let endpoint = record.endpoint.clone();
        let is_own = record.peer.is_some() && record.peer == self.own_peer || self.own_endpoints.contains(&endpoint);
        let is_known = self.entries.find(&endpoint).is_some();
        if is_own || is_known || self.config.policy().check(&endpoint).is_err() {
            report.refused += 1;
            if !is_known {
                self.unsaved.forget_entry(endpoint);
            }
            return;
        }
        let is_tried = record.is_tried && record.peer.is_some();
        match self.place_restored(record, is_tried, now) {
            Some(number) => {
                report.entries += 1;
                report.tried += usize::from(self.entries.get(number).is_some_and(Entry::is_tried));
            }
            None => {
                report.displaced += 1;
                self.unsaved.forget_entry(endpoint);
            }
        }
    }

    fn place_restored(&mut self, record: EntryRecord, is_tried: bool, now: Timestamp) -> Option<u32> {
        let group = self.group_of(&record.endpoint);
        let spot = Spot::of(&record.endpoint);
        let places_max = self.config.settings().places_per_entry_max;
        let mut sources: Vec<_> = record.source_groups.into_iter().take(places_max).collect();
        if sources.is_empty() {
            sources.push(group);
        }
        let tried_place = self.placement.in_tried(&spot, group);
        let is_tried = is_tried && self.tried.rival(tried_place).is_none();
        let mut new_places = Vec::new();
        sources.retain(|source| {
            let place = self.placement.in_new(&spot, group, *source);
            let is_held = new_places.iter().any(|held: &Place| held.is_in_bucket_of(place));
            let is_free = self.new.rival(place).is_none() && !is_held;
            if is_free && !is_tried {
                new_places.push(place);
            }
            is_free || is_tried
        });
        let (first, more) = sources.split_first()?;
        if let Some(peer) = &record.peer
            && !self.make_room_at(peer, if is_tried { 2 } else { u8::from(record.is_own_claim) }, now)
        {
            return None;
        }
        // Not all who told of it are stored: what its peer named counts so until somebody tells of it again.
        let is_told_by_itself = record.told_by.is_some() && record.told_by == record.peer;
        let is_named_only = record.is_own_claim && record.told_by.is_none() && more.is_empty();
        let peer = record.peer.map(|peer| self.peers.find_or_add(peer, now));
        let number = self.insert_entry(NewEntry {
            endpoint: record.endpoint,
            group,
            peer,
            source: *first,
            told_by: record.told_by,
            is_own_claim: record.is_own_claim,
            is_unheard: is_told_by_itself || is_named_only,
            first_seen: Secs::of(record.first_seen.min(now)),
            last_seen: Secs::of(record.last_seen.min(now)),
        });
        if !is_tried {
            more.iter().for_each(|source| self.entries.add_source(number, *source));
        }
        if let Some(entry) = self.entries.get_mut(number) {
            entry.last_attempt = Secs::of_option(record.last_attempt.map(|attempt| attempt.min(now)));
            entry.last_success = Secs::of_option(record.last_success.map(|success| success.min(now)));
            entry.failures = u16::try_from(record.failures).unwrap_or(u16::MAX);
            entry.mark(Mark::Tried, is_tried);
            entry.mark(Mark::Unsaved, false);
            entry.mark(Mark::Stored, true);
        }
        if is_tried {
            self.tried.put(tried_place, number);
            self.tried_len += 1;
        }
        for place in new_places {
            self.new.put(place, number);
        }
        Some(number)
    }

    fn restore_peer(&mut self, record: &PeerRecord, report: &mut RestoreReport, now: Timestamp) {
        let parts = Parts::restored(&record.parts, record.at.min(now));
        let is_known = self.peers.find(&record.peer).is_some();
        let has_faded = parts.at(None, now).parts.iter().all(|value| value.points == 0);
        if self.own_peer == Some(record.peer) || has_faded && !is_known {
            report.outdated += 1;
            self.unsaved.forget_peer(record.peer);
            return;
        }
        let number = self.peers.find_or_add(record.peer, now);
        if let Some(peer) = self.peers.get_mut(number) {
            peer.parts = parts;
            peer.last_change = record.at.min(now);
            peer.is_stored = true;
        }
        self.look_at_points(number, now);
        self.settle(number);
        report.peers += 1;
    }

    fn record(&self, number: u32, entry: &Entry) -> EntryRecord {
        EntryRecord {
            endpoint: entry.spot.endpoint(),
            peer: self.peer_of(entry).map(|peer| peer.id),
            is_tried: entry.is_tried(),
            source_groups: self.entries.sources(number).collect(),
            told_by: self.entries.told_by(entry),
            is_own_claim: entry.is(Mark::OwnClaim),
            first_seen: entry.first_seen.at(),
            last_seen: entry.last_seen.at(),
            last_attempt: entry.last_attempt.option(),
            last_success: entry.last_success.option(),
            failures: u32::from(entry.failures),
        }
    }
}
