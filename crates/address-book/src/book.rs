use std::{
    collections::{BTreeSet, VecDeque},
    net::IpAddr,
};

use bruit_core::{ChaCha8Rng, Conduct, Endpoint, PeerId, Seed, Timestamp};

use crate::{
    Ban, BanSource, BanSubject, Banned, BansFullError, Counts, EntryView, Explanation, Quality, Table, Unbanned,
    ValidConfig,
    bans::{Bans, canonical},
};

mod dial;
mod entry;
mod hear;
mod peers;
mod select;
mod share;
mod slab;
mod store;
mod table;

pub use dial::{Failed, Rebound, Succeeded};
pub use hear::{Heard, HeardRefusal, Hearsay, Source};
pub use select::{Candidate, Choice, Wanted};
pub use share::{SampleRules, Shareable};

use entry::{Entries, Entry};
use peers::{Peer, Peers};
use store::Unsaved;
use table::{Buckets, Placement};

/// How many of its own endpoints a node remembers.
const OWN_ENDPOINTS_MAX: usize = 64;

/// What a node knows of other nodes.
///
/// Facts are told in the past tense and cannot fail: each returns what came of it. `now` is the last argument and never runs
/// backwards. Equal seeds and equal calls give equal books.
///
/// # Security
/// Everything in it came from peers at some time. Its size is bounded by [`Config`](crate::Config); where an entry stands
/// follows from the seed, which stays secret; what is proven is not displaced by what is claimed; no time later than `now` is
/// stored; private and reserved addresses are refused unless allowed.
#[derive(Clone, Debug)]
pub struct AddressBook {
    config: ValidConfig,
    placement: Placement,
    rng: ChaCha8Rng,
    entries: Entries,
    peers: Peers,
    new: Buckets,
    tried: Buckets,
    tried_len: usize,
    bans: Bans,
    own_peer: Option<PeerId>,
    own_endpoints: VecDeque<Endpoint>,
    special_peers: BTreeSet<PeerId>,
    special_endpoints: BTreeSet<Endpoint>,
    /// When anybody was last reached.
    last_success: Option<Timestamp>,
    unsaved: Unsaved,
}

impl AddressBook {
    /// Makes an empty book.
    ///
    /// A node gives the same seed after every start, or its entries find new places.
    pub fn new(config: ValidConfig, seed: Seed) -> Self {
        let settings = config.settings();
        Self {
            placement: Placement::new(seed.derive("address book places", 0), config.clone()),
            rng: seed.derive("address book choices", 0).rng(),
            entries: Entries::new(),
            peers: Peers::new(settings.unlisted_peers_max),
            new: Buckets::new(settings.bucket_size),
            tried: Buckets::new(settings.bucket_size),
            tried_len: 0,
            bans: Bans::new(settings.bans_max),
            own_peer: None,
            own_endpoints: VecDeque::new(),
            special_peers: BTreeSet::new(),
            special_endpoints: BTreeSet::new(),
            last_success: None,
            unsaved: Unsaved::default(),
            config,
        }
    }

    /// Tells who this node is: it is never stored.
    pub fn own_peer(&mut self, peer: PeerId) {
        self.own_peer = Some(peer);
        let entries = self.peers.find(&peer).and_then(|number| self.peers.get(number)).map(|own| own.entries.clone());
        for entry in entries.unwrap_or_default() {
            self.remove_entry(entry);
        }
    }

    /// Tells that this node lives at an endpoint: it is never stored. The last 64 are remembered.
    pub fn own_endpoint(&mut self, endpoint: Endpoint) {
        if let Some(entry) = self.entries.find(&endpoint) {
            self.remove_entry(entry);
        }
        if self.own_endpoints.contains(&endpoint) {
            return;
        }
        self.own_endpoints.push_back(endpoint);
        if self.own_endpoints.len() > OWN_ENDPOINTS_MAX {
            self.own_endpoints.pop_front();
        }
    }

    /// Marks a peer as special, by the operator's wish: others are never told of it.
    pub fn mark_special(&mut self, peer: PeerId) {
        self.special_peers.insert(peer);
    }

    /// Marks an endpoint as special, and with it whoever lives there: others are never told of them.
    pub fn mark_special_endpoint(&mut self, endpoint: Endpoint) {
        self.special_endpoints.insert(endpoint);
    }

    /// Takes the mark from a peer.
    pub fn unmark_special(&mut self, peer: &PeerId) {
        self.special_peers.remove(peer);
    }

    /// Takes the mark from an endpoint.
    pub fn unmark_special_endpoint(&mut self, endpoint: &Endpoint) {
        self.special_endpoints.remove(endpoint);
    }

    /// Whether a peer is special, and never told to others: named by the operator, or said to live at an endpoint that is.
    pub fn is_special(&self, peer: &PeerId) -> bool {
        self.special_peers.contains(peer)
            || self.entries_of(peer).any(|entry| self.special_endpoints.contains(&entry.endpoint))
    }

    /// Whether no rule may ban a peer: named by the operator, or proven to live at an endpoint that is.
    ///
    /// # Security
    /// A claim is enough to be kept secret ([`is_special`](Self::is_special)), but not to be spared.
    pub fn is_spared(&self, peer: &PeerId) -> bool {
        let is_proven = |entry: &Entry| entry.is_tried && self.special_endpoints.contains(&entry.endpoint);
        self.special_peers.contains(peer) || self.entries_of(peer).any(is_proven)
    }

    /// Whether no connection with a peer may be: it, or the IP address it is seen at, is banned. Who is spared is barred only by
    /// the operator's ban on that very peer.
    pub fn is_barred(&self, peer: Option<&PeerId>, ip: Option<IpAddr>, now: Timestamp) -> bool {
        match peer.filter(|peer| self.is_spared(peer)) {
            Some(spared) => {
                self.ban_on(BanSubject::Peer(*spared), now).is_some_and(|ban| ban.source == BanSource::Operator)
            }
            None => self.is_banned(peer, ip, now),
        }
    }

    /// Tells that a peer is connected.
    pub fn connected(&mut self, peer: PeerId, now: Timestamp) {
        let number = self.peers.find_or_add(peer, now);
        if let Some(peer) = self.peers.get_mut(number) {
            peer.connected_since.get_or_insert(now);
        }
        self.settle(number);
    }

    /// Tells that a peer is connected no longer: it was alive until now.
    pub fn disconnected(&mut self, peer: &PeerId, now: Timestamp) {
        let Some(number) = self.peers.find(peer) else { return };
        let Some(peer) = self.peers.get_mut(number) else { return };
        let Some(since) = peer.connected_since.take() else { return };
        peer.parts.stayed(now.since(since), now);
        for entry in peer.entries.clone() {
            if let Some(entry) = self.entries.get_mut(entry).filter(|entry| entry.is_tried) {
                entry.last_seen = now;
                self.unsaved.entry_changed(entry);
            }
        }
        self.quality_changed(number, now);
    }

    /// Tells what a protocol saw of a peer, `count` times.
    pub fn conduct(&mut self, peer: PeerId, conduct: Conduct, count: u32, now: Timestamp) {
        self.change_parts(peer, now, |peer| peer.parts.conduct(conduct, count, now));
    }

    /// Tells what the application thinks of a peer: so many thousandths of a point more or less.
    pub fn judged(&mut self, peer: PeerId, points: i32, now: Timestamp) {
        self.change_parts(peer, now, |peer| peer.parts.judged(points, now));
    }

    /// How good a peer is. One of whom nothing is known has 0.
    pub fn quality(&self, peer: &PeerId, now: Timestamp) -> Quality {
        let known = self.peers.find(peer).and_then(|number| self.peers.get(number));
        known.map_or_else(|| crate::quality::Parts::default().at(now), |peer| peer.quality(now))
    }

    /// Why a peer's quality is what it is, and where it lives; `None` when nothing is known of it.
    pub fn explain(&self, peer: &PeerId, now: Timestamp) -> Option<Explanation> {
        let known = self.peers.find(peer).and_then(|number| self.peers.get(number));
        let ban = self.bans.find(BanSubject::Peer(*peer), now).copied();
        if known.is_none() && ban.is_none() {
            return None;
        }
        Some(Explanation {
            peer: *peer,
            quality: self.quality(peer, now),
            endpoints: self.entries_of(peer).map(|entry| self.view(entry, now)).collect(),
            connected_since: known.and_then(|peer| peer.connected_since),
            is_special: self.is_special(peer),
            ban,
        })
    }

    /// Bans a peer or an IP address: neither stored anew, chosen nor shared until the ban ends. Closing its connections is the
    /// caller's part.
    pub fn ban(&mut self, ban: Ban, now: Timestamp) -> Result<Banned, BansFullError> {
        let (banned, forgotten) = self.bans.add(ban, now)?;
        forgotten.into_iter().for_each(|subject| self.unsaved.ban_removed(subject));
        if banned != Banned::Unchanged {
            self.unsaved.ban_changed(canonical(ban.subject));
        }
        Ok(banned)
    }

    /// Lifts a ban.
    pub fn unban(&mut self, subject: BanSubject) -> Unbanned {
        let unbanned = self.bans.lift(subject);
        if unbanned != Unbanned::NotBanned {
            self.unsaved.ban_removed(canonical(subject));
        }
        unbanned
    }

    /// The ban on a peer or an IP address.
    pub fn ban_on(&self, subject: BanSubject, now: Timestamp) -> Option<&Ban> {
        self.bans.find(subject, now)
    }

    /// Whether a peer, or the IP address it is seen at, is banned.
    pub fn is_banned(&self, peer: Option<&PeerId>, ip: Option<IpAddr>, now: Timestamp) -> bool {
        let peer = peer.map(|peer| BanSubject::Peer(*peer));
        let subjects = peer.into_iter().chain(ip.map(BanSubject::Ip));
        subjects.into_iter().any(|subject| self.bans.find(subject, now).is_some())
    }

    /// All bans that hold.
    pub fn bans(&self, now: Timestamp) -> impl Iterator<Item = &Ban> {
        self.bans.iter(now)
    }

    /// All entries.
    pub fn entries(&self, now: Timestamp) -> impl Iterator<Item = EntryView> {
        self.entries.iter().map(move |(_, entry)| self.view(entry, now))
    }

    /// The entry of an endpoint.
    pub fn entry(&self, endpoint: &Endpoint, now: Timestamp) -> Option<EntryView> {
        let number = self.entries.find(endpoint)?;
        self.entries.get(number).map(|entry| self.view(entry, now))
    }

    /// Where a peer can be dialled: what was reached first, then what it claims itself, then hearsay.
    pub fn endpoints_of(&self, peer: &PeerId) -> Vec<Endpoint> {
        let mut entries: Vec<&Entry> = self.entries_of(peer).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.standing()));
        entries.into_iter().map(|entry| entry.endpoint.clone()).collect()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much there is, by table and by group.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            new: self.len() - self.tried_len,
            tried: self.tried_len,
            places_in_new: self.new.len(),
            peers: self.peers.len(),
            ..Counts::default()
        };
        for (_, entry) in self.entries.iter() {
            *counts.groups.entry(entry.group).or_default() += 1;
        }
        counts
    }

    fn view(&self, entry: &Entry, now: Timestamp) -> EntryView {
        EntryView {
            endpoint: entry.endpoint.clone(),
            peer: self.peer_of(entry).map(|peer| peer.id),
            group: entry.group,
            table: if entry.is_tried { Table::Tried } else { Table::New },
            places: entry.places(),
            source_group: entry.source_groups.first().copied(),
            told_by: entry.told_by,
            first_seen: entry.first_seen,
            last_seen: entry.last_seen,
            last_attempt: entry.last_attempt,
            last_success: entry.last_success,
            failures: entry.failures,
            is_terrible: entry.is_terrible(self.config.horizon(), now),
            is_special: self.is_special_entry(entry),
        }
    }

    fn is_special_entry(&self, entry: &Entry) -> bool {
        self.special_endpoints.contains(&entry.endpoint)
            || self.peer_of(entry).is_some_and(|peer| self.is_special(&peer.id))
    }

    fn is_banned_entry(&self, entry: &Entry, now: Timestamp) -> bool {
        self.is_banned(self.peer_of(entry).map(|peer| &peer.id), entry.endpoint.ip(), now)
    }

    fn peer_of(&self, entry: &Entry) -> Option<&Peer> {
        self.peers.get(entry.peer?)
    }

    fn entries_of(&self, peer: &PeerId) -> impl Iterator<Item = &Entry> {
        let peer = self.peers.find(peer).and_then(|number| self.peers.get(number));
        peer.into_iter().flat_map(|peer| &peer.entries).filter_map(|number| self.entries.get(*number))
    }

    fn change_parts(&mut self, peer: PeerId, now: Timestamp, change: impl FnOnce(&mut Peer)) {
        if self.own_peer == Some(peer) {
            return;
        }
        let number = self.peers.find_or_add(peer, now);
        if let Some(peer) = self.peers.get_mut(number) {
            change(peer);
        }
        self.quality_changed(number, now);
    }

    fn quality_changed(&mut self, peer: u32, now: Timestamp) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.last_change = now;
            self.unsaved.peer_changed(peer);
        }
        self.settle(peer);
    }

    fn settle(&mut self, peer: u32) {
        if let Some(forgotten) = self.peers.settle(peer) {
            self.unsaved.peer_removed(&forgotten);
        }
    }
}
