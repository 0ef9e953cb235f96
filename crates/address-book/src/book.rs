use std::{
    collections::{BTreeSet, VecDeque},
    net::IpAddr,
};

use bruit_core::{ChaCha8Rng, Conduct, Endpoint, NetGroup, PeerId, Seed, Timestamp};

use crate::{
    AsnMap, Ban, BanSource, BanSubject, Banned, BansFullError, Counts, EntryView, Explanation, Part, Quality,
    QualityChange, Severity, Standing, Unbanned, ValidConfig,
    bans::{Bans, canonical},
};

mod collisions;
mod dial;
mod entry;
mod hear;
mod index;
mod interned;
mod outage;
mod peers;
mod select;
mod share;
mod slab;
mod spot;
mod store;
mod table;

pub use collisions::Resolved;
pub use dial::{Failed, Rebound, Succeeded};
pub use hear::{Heard, HeardRefusal, Hearsay, Source};
pub use select::{Candidate, Choice, ChoiceExplanation, ChoicePart, ChoiceReason, Wanted, Without};
pub use share::{Sample, SampleOrder, SampleRules, Shareable};

pub(crate) use entry::NUMBERS_MAX;

use collisions::Collisions;
use entry::{Entries, Entry, Mark};
use outage::Outage;
use peers::{Peer, Peers};
use spot::Secs;
use store::{Unsaved, push_once};
use table::{Buckets, Placement};

/// How many of its own endpoints a node remembers. 64: a guess, far more than a machine has addresses.
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
    /// The chance of selections; elsewhere only while one goes on.
    selecting: Option<Box<ChaCha8Rng>>,
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
    outage: Outage,
    collisions: Collisions,
    asn_map: AsnMap,
    /// What no peer's quality exceeds, as far as choices are concerned.
    points_high: i32,
    choices: VecDeque<ChoiceExplanation>,
    unsaved: Unsaved,
    /// Numbers of marked peers; some may stand for others by now.
    unreported: Vec<u32>,
}

impl AddressBook {
    /// Makes an empty book.
    ///
    /// A node gives the same seed after every start, or its entries find new places.
    pub fn new(config: ValidConfig, seed: Seed) -> Self {
        Self::with_asn_map(config, seed, AsnMap::default())
    }

    /// Makes an empty book that tells groups apart by a map of autonomous systems.
    pub fn with_asn_map(config: ValidConfig, seed: Seed, asn_map: AsnMap) -> Self {
        let settings = config.settings();
        Self {
            placement: Placement::new(seed.derive("address book places", 0), config.clone()),
            rng: seed.derive("address book choices", 0).rng(),
            selecting: Some(Box::new(seed.derive("address book selections", 0).rng())),
            entries: Entries::new(seed.derive("address book index", 0)),
            peers: Peers::new(settings.unlisted_peers_max, seed.derive("address book peers", 0)),
            new: Buckets::new(settings.bucket_size),
            tried: Buckets::new(settings.bucket_size),
            tried_len: 0,
            bans: Bans::new(settings.bans_max),
            own_peer: None,
            own_endpoints: VecDeque::new(),
            special_peers: BTreeSet::new(),
            special_endpoints: BTreeSet::new(),
            outage: Outage::default(),
            collisions: Collisions::default(),
            asn_map,
            points_high: 0,
            choices: VecDeque::new(),
            unsaved: Unsaved::default(),
            unreported: Vec::new(),
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

    /// Whether the operator named an endpoint.
    pub fn is_special_endpoint(&self, endpoint: &Endpoint) -> bool {
        self.special_endpoints.contains(endpoint)
    }

    /// Whether a peer is special, and never told to others: named by the operator, or said to live at an endpoint that is.
    pub fn is_special(&self, peer: &PeerId) -> bool {
        let is_named = |entry: &Entry| self.special_endpoints.contains(&entry.spot.endpoint());
        self.has_specials() && (self.special_peers.contains(peer) || self.entries_of(peer).any(is_named))
    }

    /// Whether no rule may ban a peer: named by the operator, or proven to live at an endpoint that is.
    ///
    /// # Security
    /// A claim is enough to be kept secret ([`is_special`](Self::is_special)), but not to be spared.
    pub fn is_spared(&self, peer: &PeerId) -> bool {
        let is_proven = |entry: &Entry| entry.is_tried() && self.special_endpoints.contains(&entry.spot.endpoint());
        self.has_specials() && (self.special_peers.contains(peer) || self.entries_of(peer).any(is_proven))
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

    /// Whether anybody is special: before it proved who it is, nobody can be told apart from those.
    pub fn has_specials(&self) -> bool {
        !(self.special_peers.is_empty() && self.special_endpoints.is_empty())
    }

    /// The part of the internet that an endpoint belongs to: its autonomous system where the book has a map of them.
    pub fn group_of(&self, endpoint: &Endpoint) -> NetGroup {
        self.asn_map.group_of(endpoint)
    }

    /// The part of the internet that first told of an endpoint; `None` if it is not in the book.
    pub fn source_of(&self, endpoint: &Endpoint) -> Option<NetGroup> {
        let entry = self.entries.get(self.entries.find(endpoint)?)?;
        Some(self.entries.first_source(entry))
    }

    /// Whether this node has reached an endpoint, as far as the book remembers.
    pub fn was_reached(&self, endpoint: &Endpoint) -> bool {
        let entry = self.entries.find(endpoint).and_then(|number| self.entries.get(number));
        entry.is_some_and(Entry::was_reached)
    }

    /// Whether our own network seems to be out: every dial failed for a while, and nobody was heard of. Nothing is held against
    /// anybody until somebody is.
    pub const fn is_offline(&self) -> bool {
        self.outage.is_offline()
    }

    /// Tells that a peer is connected.
    pub fn connected(&mut self, peer: PeerId, now: Timestamp) {
        self.outage.heard();
        let number = self.peers.find_or_add(peer, now);
        if let Some(peer) = self.peers.get_mut(number) {
            peer.connected_since.get_or_insert(now);
        }
        self.look_at_points(number, now);
        self.settle(number);
    }

    /// Tells that a peer is connected no longer: it was alive until now.
    pub fn disconnected(&mut self, peer: &PeerId, now: Timestamp) {
        let Some(number) = self.peers.find(peer) else { return };
        let Some(peer) = self.peers.get_mut(number) else { return };
        let Some(since) = peer.connected_since.take() else { return };
        peer.parts.stayed(now.since(since), now);
        for number in peer.entries.clone() {
            if let Some(entry) = self.entries.get_mut(number).filter(|entry| entry.is(Mark::Tried)) {
                entry.last_seen = Secs::of(now);
                self.unsaved.entry_changed(&mut self.entries, number);
            }
        }
        self.quality_changed(number, now);
    }

    /// Tells what a protocol saw of a peer, `count` times. While our own network is out, silence does not count.
    pub fn conduct(&mut self, peer: PeerId, conduct: Conduct, count: u32, now: Timestamp) {
        if self.may_count(conduct) {
            self.change_parts(peer, now, |peer| peer.parts.conduct(conduct, count, now));
        }
    }

    /// Tells what came of `count` calls of one method to a peer. What the cheapest method can earn is limited.
    pub fn method_conduct(&mut self, peer: PeerId, called: Called<'_>, count: u32, now: Timestamp) {
        let Called { method, conduct } = called;
        if self.may_count(conduct) {
            self.change_parts(peer, now, |peer| peer.parts.method_conduct(method, conduct, count, now));
        }
    }

    /// Notes a sign of life, and says whether a conduct may be held against somebody.
    fn may_count(&mut self, conduct: Conduct) -> bool {
        let is_silence = matches!(conduct, Conduct::TimedOut | Conduct::SharedDeadAddr);
        if !is_silence && conduct != Conduct::SharedLiveAddr {
            self.outage.heard();
        }
        !(is_silence && self.outage.is_offline())
    }

    /// Tells what the application thinks of a peer: so many thousandths of a point more or less.
    pub fn judged(&mut self, peer: PeerId, points: i32, now: Timestamp) {
        self.change_parts(peer, now, |peer| peer.parts.judged(points, now));
    }

    /// How good a peer is. One of whom nothing is known has 0.
    pub fn quality(&self, peer: &PeerId, now: Timestamp) -> Quality {
        let known = self.peers.find(peer).and_then(|number| self.peers.get(number));
        known.map_or_else(|| crate::quality::Parts::default().at(None, now), |peer| peer.quality(now))
    }

    /// What a peer's quality means for how it is treated.
    pub fn standing(&self, peer: &PeerId, now: Timestamp) -> Standing {
        let known = self.peers.find(peer).and_then(|number| self.peers.get(number));
        Standing::of(known.map_or(0, |peer| peer.points(now)), self.config.settings())
    }

    /// Peers whose quality changed since they were last reported, at most `count_max` of them; the others follow.
    pub fn quality_changes(&mut self, count_max: usize, now: Timestamp) -> Vec<QualityChange> {
        let mut changes = Vec::new();
        while changes.len() < count_max {
            let Some(number) = self.unreported.pop() else { break };
            let Some(peer) = self.peers.get_mut(number).filter(|peer| peer.is_unreported) else { continue };
            peer.is_unreported = false;
            let total = peer.points(now);
            let standing = Standing::of(total, self.config.settings());
            changes.push(QualityChange { peer: peer.id, total, standing });
        }
        changes
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
            endpoints: known
                .into_iter()
                .flat_map(|peer| &peer.entries)
                .filter_map(|number| Some(self.view(*number, self.entries.get(*number)?, now)))
                .collect(),
            connected_since: known.and_then(|peer| peer.connected_since),
            methods: known.map_or_else(Vec::new, |peer| peer.parts.methods_at(now)),
            standing: self.standing(peer, now),
            is_special: self.is_special(peer),
            ban,
            last_choice: self.choices.iter().rev().find(|choice| choice.peer == Some(*peer)).cloned(),
        })
    }

    /// Bans a peer, an IP address or a net: neither stored anew, chosen nor shared until the ban ends. Closing its connections is
    /// the caller's part. Who is only discouraged is chosen rarely.
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

    /// The ban on exactly this subject.
    pub fn ban_on(&self, subject: BanSubject, now: Timestamp) -> Option<&Ban> {
        self.bans.find(subject, now)
    }

    /// Whether a peer, or the IP address it is seen at, is banned.
    #[inline]
    pub fn is_banned(&self, peer: Option<&PeerId>, ip: Option<IpAddr>, now: Timestamp) -> bool {
        !self.bans.is_empty() && self.concerns(peer, ip, Severity::Banned, now)
    }

    /// Whether a peer may connect only while there is room: by an operator's or a rule's word, or by its quality.
    pub fn is_discouraged(&self, peer: Option<&PeerId>, ip: Option<IpAddr>, now: Timestamp) -> bool {
        self.concerns(peer, ip, Severity::Discouraged, now)
            || peer.is_some_and(|peer| self.standing(peer, now) <= Standing::Ignored)
    }

    fn concerns(&self, peer: Option<&PeerId>, ip: Option<IpAddr>, severity: Severity, now: Timestamp) -> bool {
        self.bans.concerning(peer, ip, now).any(|ban| ban.severity == severity)
    }

    /// All bans that hold.
    pub fn bans(&self, now: Timestamp) -> impl Iterator<Item = &Ban> {
        self.bans.iter(now)
    }

    /// All entries.
    pub fn entries(&self, now: Timestamp) -> impl Iterator<Item = EntryView> {
        self.entries.iter().map(move |(number, entry)| self.view(number, entry, now))
    }

    /// The entry of an endpoint.
    pub fn entry(&self, endpoint: &Endpoint, now: Timestamp) -> Option<EntryView> {
        let number = self.entries.find(endpoint)?;
        self.entries.get(number).map(|entry| self.view(number, entry, now))
    }

    /// Where a peer can be dialled: what was reached first, then what it claims itself, then hearsay.
    pub fn endpoints_of(&self, peer: &PeerId) -> Vec<Endpoint> {
        let mut entries: Vec<&Entry> = self.entries_of(peer).collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.standing()));
        entries.into_iter().map(|entry| entry.spot.endpoint()).collect()
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
            collisions: self.collisions.len(),
            ..Counts::default()
        };
        counts.groups.extend(self.entries.groups().map(|(group, count)| (group, count as usize)));
        counts
    }

    /// How many entries are in *tried*.
    pub const fn reached(&self) -> usize {
        self.tried_len
    }

    /// How many bytes the tables and their entries take; without peers, bans and what waits to be stored.
    pub fn table_bytes(&self) -> usize {
        self.entries.bytes() + self.new.bytes() + self.tried.bytes()
    }

    fn view(&self, number: u32, entry: &Entry, now: Timestamp) -> EntryView {
        EntryView {
            endpoint: entry.spot.endpoint(),
            peer: self.peer_of(entry).map(|peer| peer.id),
            group: self.entries.group(entry),
            table: select::table_of(entry),
            places: entry.places(),
            source_group: self.entries.sources(number).next(),
            told_by: self.entries.told_by(entry),
            first_seen: entry.first_seen.at(),
            last_seen: entry.last_seen.at(),
            last_attempt: entry.last_attempt.option(),
            last_success: entry.last_success.option(),
            failures: u32::from(entry.failures),
            is_terrible: entry.is_terrible(self.config.settings().horizon_secs, Secs::of(now)),
            is_special: self.is_special_entry(entry),
        }
    }

    fn is_special_entry(&self, entry: &Entry) -> bool {
        self.special_endpoints.contains(&entry.spot.endpoint())
            || self.peer_of(entry).is_some_and(|peer| self.is_special(&peer.id))
    }

    /// The group of an entry: read off its address unless there is a map of autonomous systems.
    #[inline]
    fn group_of_entry(&self, entry: &Entry) -> NetGroup {
        if self.asn_map.is_empty() { entry.spot.endpoint().group() } else { self.entries.group(entry) }
    }

    #[inline]
    fn is_banned_entry(&self, entry: &Entry, now: Timestamp) -> bool {
        !self.bans.is_empty() && self.is_banned(self.peer_of(entry).map(|peer| &peer.id), entry.spot.ip(), now)
    }

    fn is_discouraged_entry(&self, entry: &Entry, now: Timestamp) -> bool {
        self.concerns(self.peer_of(entry).map(|peer| &peer.id), entry.spot.ip(), Severity::Discouraged, now)
    }

    #[inline]
    fn peer_of(&self, entry: &Entry) -> Option<&Peer> {
        self.peers.get(entry.peer()?)
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
        self.change_parts_at(number, now, change);
    }

    fn change_parts_at(&mut self, number: u32, now: Timestamp, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(number) {
            change(peer);
        }
        self.quality_changed(number, now);
    }

    fn quality_changed(&mut self, number: u32, now: Timestamp) {
        let numbers = self.peers.numbers();
        if let Some(peer) = self.peers.get_mut(number) {
            peer.last_change = now;
            if !std::mem::replace(&mut peer.is_unreported, true) {
                push_once(&mut self.unreported, number, numbers);
            }
        }
        self.unsaved.peer_changed(&mut self.peers, number);
        self.look_at_points(number, now);
        self.settle(number);
    }

    /// Sees to it that nobody's quality exceeds what choices reckon with.
    fn look_at_points(&mut self, number: u32, now: Timestamp) {
        let Some(peer) = self.peers.get(number) else { return };
        let (_, uptime_max) = Part::Uptime.bounds();
        let growing = if peer.connected_since.is_some() { uptime_max } else { 0 };
        let points = peer.points(now).saturating_add(growing);
        self.points_seen(points);
    }

    fn settle(&mut self, peer: u32) {
        if let Some(forgotten) = self.peers.settle(peer) {
            self.unsaved.peer_removed(&forgotten);
        }
    }
}

/// A call that was made to a peer, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Called<'a> {
    /// The method.
    pub method: &'a str,
    /// What came of it.
    pub conduct: Conduct,
}
