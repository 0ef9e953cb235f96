//! How endpoints enter the book and how they leave it.

use std::time::Duration;

use bruit_core::{AddrRefusal, Audience, Endpoint, NetGroup, PeerId, Timestamp};
use rand::RngExt;

use super::{
    AddressBook,
    entry::{Entry, Mark, NewEntry},
    spot::{Secs, Spot},
    table::Place,
};
use crate::Standing;

/// Something that was heard: at this endpoint a node can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hearsay {
    /// Who is said to live there.
    pub peer: Option<PeerId>,
    /// Where.
    pub endpoint: Endpoint,
    /// When it is said to have been seen.
    pub last_seen: Option<Timestamp>,
    /// Who says so.
    pub source: Source,
}

/// Who told of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operator, or a list that the operator trusts.
    Seed,
    /// A peer, by address exchange or goodbye. Never an observed port of an inbound connection: nobody listens there.
    Peer {
        /// Who.
        peer: PeerId,
        /// The part of the internet that it is seen in.
        group: NetGroup,
    },
}

/// What came of something heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The endpoint is new in the book.
    Added,
    /// It was known; it was seen later than known, has one more place, or is known by its peer now.
    Refreshed,
    /// It was known, and nothing changed.
    Known,
    /// Two claims differ in who lives there: nobody is believed until it is dialled.
    Disputed,
    /// It is not stored.
    Refused(HeardRefusal),
}

/// Why something heard is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeardRefusal {
    /// This node lives there.
    Own,
    /// It is private and that is not allowed, or reserved.
    Addr(AddrRefusal),
    /// The peer or the IP address is banned.
    Banned,
    /// It was last seen beyond the horizon.
    TooOld,
    /// Its place is held by an entry that is no worse.
    PlaceTaken,
    /// The peer has as many endpoints as it may, none of which is worse.
    EndpointsFull,
    /// Another peer is proven to live there.
    OtherIdentity,
    /// Who tells it behaved so badly that nothing is believed.
    Ignored,
}

/// What is to be stored, as the book believes it.
struct News {
    peer: Option<PeerId>,
    endpoint: Endpoint,
    last_seen: Timestamp,
    told_by: Option<PeerId>,
    source_group: NetGroup,
    is_own_claim: bool,
}

impl News {
    /// Whether it rests on nobody's word but its peer's.
    fn is_unheard(&self) -> bool {
        self.is_own_claim || self.told_by.is_some() && self.told_by == self.peer
    }
}

/// How far ahead a claimed time may lie. Bitcoin Core: 10 min.
const FUTURE_MAX: Duration = Duration::from_secs(10 * 60);
/// How old counts what claims no time that can be believed. Bitcoin Core: 5 days.
const UNKNOWN_AGE: Duration = Duration::from_secs(5 * 24 * 3_600);
/// How old counts what the operator or a seed names. Bitcoin Core: 3 to 7 days for DNS seeds.
const SEED_AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// By how much hearsay counts as older than claimed. Bitcoin Core: 2 h.
const HEARSAY_PENALTY: Duration = Duration::from_secs(2 * 3_600);
/// What claims to be no later than so many seconds after 1970 knows no time at all. Bitcoin Core: 100,000,000, in 1973.
const ANCIENT_SECS: u64 = 100_000_000;

impl AddressBook {
    /// Tells of an endpoint that was heard.
    ///
    /// # Security
    /// What a peer claims about time is clamped as Bitcoin Core does it: a claim from the future or from before 1973 counts as
    /// five days ago, every other one as two hours older than claimed.
    pub fn heard(&mut self, hearsay: Hearsay, now: Timestamp) -> Heard {
        let Hearsay { peer, endpoint, last_seen, source } = hearsay;
        let news = match source {
            Source::Seed => News {
                last_seen: last_seen.unwrap_or_else(|| now.before(SEED_AGE)).min(now),
                told_by: None,
                source_group: self.group_of(&endpoint),
                peer,
                endpoint,
                is_own_claim: false,
            },
            Source::Peer { peer: told_by, group } => News {
                last_seen: believed(last_seen, now),
                told_by: Some(told_by),
                source_group: group,
                peer,
                endpoint,
                is_own_claim: false,
            },
        };
        self.take(news, now)
    }

    /// Tells that a peer, who proved its identity, named the endpoints where it listens. They replace what was known of the
    /// same IP addresses, proven or not; endpoints of others stay. Returns what came of each, up to
    /// [`endpoints_per_peer_max`](crate::Config::endpoints_per_peer_max); those beyond are not looked at.
    pub fn hello_received(
        &mut self,
        peer: PeerId,
        listens_at: &[Endpoint],
        seen_at: &Endpoint,
        now: Timestamp,
    ) -> Vec<Heard> {
        let count_max = self.config.settings().endpoints_per_peer_max;
        let named = listens_at.get(..count_max).unwrap_or(listens_at);
        let replaced: Vec<Endpoint> = self
            .entries_of(&peer)
            .map(|known| known.spot.endpoint())
            .filter(|known| !named.contains(known))
            .filter(|known| known.ip().is_some_and(|ip| named.iter().any(|named| named.ip() == Some(ip))))
            .collect();
        for endpoint in replaced {
            if let Some(number) = self.entries.find(&endpoint) {
                self.remove_entry(number);
            }
        }
        // On one machine everybody is seen at the same address, so a claimed one says more.
        let is_local = Audience::of(seen_at) == Audience::Machine;
        let news = named.iter().map(|endpoint| News {
            peer: Some(peer),
            endpoint: endpoint.clone(),
            last_seen: now,
            told_by: None,
            source_group: self.group_of(if is_local { endpoint } else { seen_at }),
            is_own_claim: true,
        });
        news.collect::<Vec<_>>().into_iter().map(|news| self.take(news, now)).collect()
    }

    /// Puts an endpoint into *new* that this node reached or tried to reach without having heard of it.
    pub(super) fn take_met(&mut self, peer: PeerId, endpoint: &Endpoint, now: Timestamp) -> Heard {
        let news = News {
            peer: Some(peer),
            endpoint: endpoint.clone(),
            last_seen: now,
            told_by: None,
            source_group: self.group_of(endpoint),
            is_own_claim: true,
        };
        self.take(news, now)
    }

    fn take(&mut self, news: News, now: Timestamp) -> Heard {
        if let Some(refusal) = self.refusal(&news, now) {
            return Heard::Refused(refusal);
        }
        match self.entries.find(&news.endpoint) {
            Some(number) => self.take_again(number, news, now),
            None => self.take_first(news, now),
        }
    }

    fn refusal(&self, news: &News, now: Timestamp) -> Option<HeardRefusal> {
        let is_own_peer = news.peer.is_some() && news.peer == self.own_peer;
        if is_own_peer || self.own_endpoints.contains(&news.endpoint) {
            return Some(HeardRefusal::Own);
        }
        if let Err(refusal) = self.config.policy().check(&news.endpoint) {
            return Some(HeardRefusal::Addr(refusal));
        }
        if self.is_banned(news.peer.as_ref(), news.endpoint.ip(), now) {
            return Some(HeardRefusal::Banned);
        }
        if news.told_by.is_some_and(|teller| self.standing(&teller, now) <= Standing::Ignored) {
            return Some(HeardRefusal::Ignored);
        }
        (now.since(news.last_seen) > self.config.horizon()).then_some(HeardRefusal::TooOld)
    }

    fn take_first(&mut self, news: News, now: Timestamp) -> Heard {
        let group = self.group_of(&news.endpoint);
        let place = self.placement.in_new(&Spot::of(&news.endpoint), group, news.source_group);
        if !self.can_take_for_first(place, now) {
            return Heard::Refused(HeardRefusal::PlaceTaken);
        }
        if let Some(peer) = &news.peer
            && !self.make_room_at(peer, u8::from(news.is_own_claim), now)
        {
            return Heard::Refused(HeardRefusal::EndpointsFull);
        }
        self.vacate(place);
        let is_unheard = news.is_unheard();
        let peer = news.peer.map(|peer| self.peers.find_or_add(peer, now));
        let number = self.insert_entry(NewEntry {
            endpoint: news.endpoint,
            group,
            peer,
            source: news.source_group,
            told_by: news.told_by,
            is_own_claim: news.is_own_claim,
            is_unheard,
            first_seen: Secs::of(now),
            last_seen: Secs::of(news.last_seen),
        });
        self.new.put(place, number);
        Heard::Added
    }

    fn take_again(&mut self, number: u32, news: News, now: Timestamp) -> Heard {
        let Some(entry) = self.entries.get(number) else { return Heard::Known };
        let known = self.peer_of(entry).map(|peer| peer.id);
        let is_tried = entry.is_tried();
        match (known, news.peer) {
            (Some(known), Some(claimed)) if known != claimed && is_tried => {
                return Heard::Refused(HeardRefusal::OtherIdentity);
            }
            (Some(known), Some(claimed)) if known != claimed => {
                self.unlink(number);
                return Heard::Disputed;
            }
            _ => {}
        }
        if !news.is_unheard()
            && let Some(entry) = self.entries.get_mut(number)
        {
            entry.mark(Mark::Unheard, false);
        }
        let mut is_changed = match news.peer {
            Some(claimed) if known.is_none() && self.make_room_at(&claimed, u8::from(news.is_own_claim), now) => {
                self.link(number, claimed, now);
                true
            }
            _ => false,
        };
        is_changed |= self.take_further_place(number, news.source_group, now);
        let Some(entry) = self.entries.get_mut(number) else { return Heard::Known };
        let is_claimed_first = news.is_own_claim && !entry.is(Mark::OwnClaim);
        let last_seen = Secs::of(news.last_seen);
        if is_claimed_first || last_seen > entry.last_seen {
            entry.mark(Mark::OwnClaim, is_claimed_first || entry.is(Mark::OwnClaim));
            entry.last_seen = entry.last_seen.max(last_seen);
            is_changed = true;
        }
        if !is_changed {
            return Heard::Known;
        }
        self.unsaved.entry_changed(&mut self.entries, number);
        Heard::Refreshed
    }

    /// Gives an entry of *new* one more place, half as likely for each that it has.
    fn take_further_place(&mut self, number: u32, source_group: NetGroup, now: Timestamp) -> bool {
        let Some(entry) = self.entries.get(number) else { return false };
        let places = entry.places();
        if entry.is_tried()
            || places >= self.config.settings().places_per_entry_max
            || self.entries.has_source(number, source_group)
        {
            return false;
        }
        let odds = u32::try_from(places).ok().and_then(|places| 1_u32.checked_shl(places)).unwrap_or(u32::MAX);
        if self.rng.random_range(0..odds) != 0 {
            return false;
        }
        let place = self.place_in_new(entry, source_group);
        if self.new.holds(place, number) || !self.is_weak(place, now) {
            return false;
        }
        self.vacate(place);
        self.new.put(place, number);
        self.entries.add_source(number, source_group);
        true
    }

    pub(super) fn place_in_new(&self, entry: &Entry, source: NetGroup) -> Place {
        self.placement.in_new(&entry.spot, self.entries.group(entry), source)
    }

    pub(super) fn place_in_tried(&self, entry: &Entry) -> Place {
        self.placement.in_tried(&entry.spot, self.entries.group(entry))
    }

    /// Whether nobody worth keeping holds a place in *new*.
    fn is_weak(&self, place: Place, now: Timestamp) -> bool {
        let holder = self.new.rival(place).and_then(|number| self.entries.get(number));
        holder.is_none_or(|holder| holder.is_terrible(self.config.settings().horizon_secs, Secs::of(now)))
    }

    /// Whether an entry without any place may take this one in *new*: also from an entry that keeps another.
    pub(super) fn can_take_for_first(&self, place: Place, now: Timestamp) -> bool {
        let holder = self.new.rival(place).and_then(|number| self.entries.get(number));
        self.is_weak(place, now) || holder.is_some_and(|holder| holder.places() > 1)
    }

    /// Empties a place in *new*; an entry that has no other leaves the book.
    pub(super) fn vacate(&mut self, place: Place) {
        let Some(number) = self.new.rival(place) else { return };
        let Some(entry) = self.entries.get(number) else { return };
        if entry.places() <= 1 {
            self.remove_entry(number);
            return;
        }
        let (placement, group) = (&self.placement, self.entries.group(entry));
        self.entries
            .retain_sources(number, |spot, source| !placement.in_new(spot, group, source).is_in_bucket_of(place));
        self.new.clear(place, number);
        self.unsaved.entry_changed(&mut self.entries, number);
    }

    /// Sees to it that a peer may have one more endpoint of a standing: the weakest one of less standing, or a dead one of the
    /// same, leaves.
    pub(super) fn make_room_at(&mut self, peer: &PeerId, standing: u8, now: Timestamp) -> bool {
        let Some(known) = self.peers.find(peer).and_then(|number| self.peers.get(number)) else { return true };
        if known.entries.len() < self.config.settings().endpoints_per_peer_max {
            return true;
        }
        let (horizon_secs, second) = (self.config.settings().horizon_secs, Secs::of(now));
        let weakest = known
            .entries
            .iter()
            .filter_map(|number| Some((*number, self.entries.get(*number)?)))
            .filter(|(_, entry)| {
                entry.standing() < standing || (entry.standing() == standing && entry.is_terrible(horizon_secs, second))
            })
            .min_by_key(|(_, entry)| (entry.standing(), std::cmp::Reverse(entry.failures), entry.last_seen));
        let Some((number, _)) = weakest else { return false };
        self.remove_entry(number);
        true
    }

    pub(super) fn insert_entry(&mut self, new: NewEntry) -> u32 {
        let peer = new.peer;
        let was_stored = self.unsaved.entry_came_back(&new.endpoint);
        let number = self.entries.insert(new);
        if let Some(entry) = self.entries.get_mut(number) {
            entry.mark(Mark::Stored, was_stored);
        }
        self.unsaved.entry_changed(&mut self.entries, number);
        if let Some(peer) = peer {
            if let Some(peer) = self.peers.get_mut(peer) {
                peer.entries.push(number);
            }
            self.settle(peer);
        }
        number
    }

    pub(super) fn remove_entry(&mut self, number: u32) {
        let Some(entry) = self.entries.get(number) else { return };
        if entry.is_tried() {
            self.tried.clear(self.place_in_tried(entry), number);
            self.tried_len -= 1;
        } else {
            self.clear_new(number);
        }
        self.unlink(number);
        self.collisions.forget(number);
        if let Some(entry) = self.entries.remove(number) {
            self.unsaved.entry_removed(&entry);
        }
    }

    /// Takes all places in *new* from an entry.
    pub(super) fn clear_new(&mut self, number: u32) {
        let Some(entry) = self.entries.get(number) else { return };
        let group = self.entries.group(entry);
        for source in self.entries.sources(number) {
            self.new.clear(self.placement.in_new(&entry.spot, group, source), number);
        }
    }

    /// Makes an entry somebody's, and says what his number is.
    pub(super) fn link(&mut self, number: u32, peer: PeerId, now: Timestamp) -> u32 {
        let peer = self.peers.find_or_add(peer, now);
        self.entries.set_peer(number, Some(peer));
        self.unsaved.entry_changed(&mut self.entries, number);
        if let Some(known) = self.peers.get_mut(peer) {
            known.entries.push(number);
        }
        self.settle(peer);
        peer
    }

    pub(super) fn unlink(&mut self, number: u32) {
        let Some(peer) = self.entries.get(number).and_then(Entry::peer) else { return };
        self.entries.set_peer(number, None);
        self.unsaved.entry_changed(&mut self.entries, number);
        if let Some(known) = self.peers.get_mut(peer) {
            known.entries.retain(|entry| *entry != number);
        }
        self.settle(peer);
    }
}

fn believed(claimed: Option<Timestamp>, now: Timestamp) -> Timestamp {
    match claimed {
        Some(claimed) if claimed > Timestamp::from_secs(ANCIENT_SECS) && claimed <= now.after(FUTURE_MAX) => {
            claimed.before(HEARSAY_PENALTY).min(now)
        }
        _ => now.before(UNKNOWN_AGE),
    }
}
