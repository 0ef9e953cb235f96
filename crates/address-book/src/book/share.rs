//! What others are told.

use std::cmp::Reverse;

use bruit_core::{Audience, Endpoint, PeerId, Timestamp};
use rand::{Rng, RngExt};

use super::{AddressBook, entry::Entry, peers::Peer, spot::Secs};
use crate::{Standing, quality};

/// How many entries a sample has, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRules {
    /// As many at least, if there are as many: a share of a small book starves small networks.
    pub least: usize,
    /// Which share of what can be told, in per cent.
    pub percent: usize,
    /// As many at most.
    pub most: usize,
    /// Which ones.
    pub order: SampleOrder,
    /// Whether where a peer says it listens is told before anybody else tells of it and before it was reached there. Where peers
    /// are dialled back anyway, it need not be.
    pub unproven_claims: bool,
}

/// Which entries a sample holds, in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum SampleOrder {
    /// Any, in any order: nothing can be learnt from it. Bitcoin Core.
    #[default]
    Random,
    /// Those of the best quality, best first. Factom.
    BestFirst,
}

impl Default for SampleRules {
    /// `min(1000, max(32, 23 %))`: Bitcoin Core's share and cap, with a floor for small networks.
    fn default() -> Self {
        Self { least: 32, percent: 23, most: 1_000, order: SampleOrder::Random, unproven_claims: true }
    }
}

/// One telling: to whom, what, and when.
#[derive(Clone, Copy)]
struct Telling {
    audience: Audience,
    unproven_claims: bool,
    horizon_secs: u64,
    now: Timestamp,
    second: Secs,
}

/// When a sample is complete.
#[derive(Clone, Copy)]
struct Enough {
    /// So many peers were looked at,
    visits: usize,
    /// and so many are told, or
    least: usize,
    /// so many are told.
    most: usize,
}

/// What somebody is told: peers and where each can be dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    units: Vec<Unit>,
    peers: Vec<PeerId>,
    endpoints: Vec<Endpoint>,
}

/// One peer of a sample, or somebody unknown: what lists it begins after those of the unit before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unit {
    has_peer: bool,
    /// Where its endpoints end among the endpoints.
    end: u32,
    /// In whole hours.
    last_seen: Secs,
}

/// Something that others may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shareable<'a> {
    /// Who.
    pub peer: Option<PeerId>,
    /// Where; at least one.
    pub endpoints: &'a [Endpoint],
    /// When it was last seen, rounded down to the hour: exact times would tell who is connected to whom.
    pub last_seen: Timestamp,
}

impl Sample {
    fn with_capacity(units: usize) -> Self {
        Self { units: Vec::with_capacity(units), peers: Vec::new(), endpoints: Vec::with_capacity(units) }
    }

    /// How much is told: each peer counts once, wherever it can be dialled.
    pub const fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether nothing is told.
    pub const fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// What is told, in its order.
    pub fn iter(&self) -> impl Iterator<Item = Shareable<'_>> {
        let (mut start, mut peers) = (0, self.peers.iter());
        self.units.iter().map(move |unit| {
            let end = unit.end as usize;
            let endpoints = self.endpoints.get(std::mem::replace(&mut start, end)..end).unwrap_or_default();
            let peer = if unit.has_peer { peers.next().copied() } else { None };
            Shareable { peer, endpoints, last_seen: unit.last_seen.at() }
        })
    }

    /// Adds a unit, made of the endpoints that were added since the last one.
    #[inline]
    fn end_unit(&mut self, peer: Option<&PeerId>, last_seen: Secs) {
        self.peers.extend(peer);
        let last_seen = last_seen.rounded_down(TOLD_TIMES_ROUNDED_TO_SECS);
        self.units.push(Unit { has_peer: peer.is_some(), end: self.endpoints.len() as u32, last_seen });
    }
}

/// To what times are rounded down that others are told. An hour: a guess; Zebra takes half an hour.
const TOLD_TIMES_ROUNDED_TO_SECS: u32 = 3_600;

impl AddressBook {
    /// Draws what to tell somebody who asks from `audience`.
    ///
    /// Of a random share of all peers those are told that may be; if those are too few, more are drawn.
    ///
    /// # Security
    /// Nothing special, banned or terrible is told, nobody of bad quality, nothing that the asker could not use, and so nothing
    /// private to the internet; no exact time, no quality, and nothing about connections. Order by quality tells about quality:
    /// it is a setting.
    pub fn sample(&mut self, rules: SampleRules, audience: Audience, now: Timestamp) -> Sample {
        let telling = Telling {
            audience,
            unproven_claims: rules.unproven_claims,
            second: Secs::of(now),
            horizon_secs: self.config.settings().horizon_secs,
            now,
        };
        match rules.order {
            SampleOrder::Random => {
                let units = self.entries.orphans() + self.peers.listed();
                let visits = units.saturating_mul(rules.percent) / 100;
                self.gather(Enough { visits, least: rules.least, most: rules.most.min(units) }, telling)
            }
            SampleOrder::BestFirst => {
                let all = self.gather(Enough { visits: usize::MAX, least: 0, most: usize::MAX }, telling);
                self.best_of(&all, rules, now)
            }
        }
    }

    /// Tells of entries in a random order until it is enough.
    fn gather(&mut self, enough: Enough, telling: Telling) -> Sample {
        let walk = Walk::new(self.entries.numbers(), &mut self.rng);
        let mut sample =
            Sample::with_capacity(enough.visits.max(enough.least).min(enough.most).min(self.entries.len()));
        let mut visited = 0;
        for number in walk {
            let is_enough = visited >= enough.visits && sample.len() >= enough.least;
            if is_enough || sample.len() >= enough.most {
                break;
            }
            visited += usize::from(self.tell(number, telling, &mut sample));
        }
        sample
    }

    fn best_of(&self, all: &Sample, rules: SampleRules, now: Timestamp) -> Sample {
        let known = |id: &PeerId| self.peers.find(id).and_then(|number| self.peers.get(number));
        let points = |unit: &Shareable<'_>| unit.peer.as_ref().and_then(known).map_or(0, |peer| peer.points(now));
        let mut units: Vec<Shareable<'_>> = all.iter().collect();
        let share = units.len().saturating_mul(rules.percent) / 100;
        units.sort_by_cached_key(|unit| Reverse(points(unit)));
        units.truncate(share.max(rules.least).min(rules.most));
        let mut sample = Sample::with_capacity(units.len());
        for unit in units {
            sample.endpoints.extend_from_slice(unit.endpoints);
            sample.end_unit(unit.peer.as_ref(), Secs::of(unit.last_seen));
        }
        sample
    }

    /// Adds what may be told of the peer of an entry, or of an entry that is nobody's; false if there is no such entry, or not the
    /// one that stands for its peer, since each peer is told of once.
    #[inline]
    fn tell(&self, number: u32, telling: Telling, sample: &mut Sample) -> bool {
        let Some(entry) = self.entries.get(number) else { return false };
        let Some(peer) = self.peer_of(entry) else {
            if self.is_shareable(entry, telling) {
                sample.endpoints.push(entry.spot.endpoint());
                sample.end_unit(None, entry.last_seen);
            }
            return true;
        };
        let is_first = peer.entries.first() == Some(&number);
        if is_first && self.is_shareable_peer(peer, telling.now) {
            self.tell_of_peer(peer, telling, sample);
        }
        is_first
    }

    fn tell_of_peer(&self, peer: &Peer, telling: Telling, sample: &mut Sample) {
        let entries = peer.entries.iter().filter_map(|number| self.entries.get(*number));
        let mut last_seen = None;
        for entry in entries.filter(|entry| self.is_shareable(entry, telling)) {
            sample.endpoints.push(entry.spot.endpoint());
            last_seen = last_seen.max(Some(entry.last_seen));
        }
        if let Some(last_seen) = last_seen {
            sample.end_unit(Some(&peer.id), last_seen);
        }
    }

    fn is_shareable_peer(&self, peer: &Peer, now: Timestamp) -> bool {
        quality::Standing::of(peer.points(now), self.config.settings()) == Standing::Good && !self.is_special(&peer.id)
    }

    #[inline]
    fn is_shareable(&self, entry: &Entry, telling: Telling) -> bool {
        let is_kept_back = entry.is_terrible(telling.horizon_secs, telling.second)
            || self.is_banned_entry(entry, telling.now)
            || (!telling.unproven_claims && entry.is_unproven_claim())
            || (self.has_specials() && self.is_special_entry(entry));
        !is_kept_back && entry.spot.can_be_used_by(telling.audience)
    }
}

/// All numbers below a limit in a random order, without a list of them: mixed within the next power of two, those beyond the
/// limit left out.
struct Walk {
    limit: u32,
    bits: u32,
    keys: [(u32, u32); 3],
    next: u64,
}

impl Walk {
    fn new(limit: u32, rng: &mut impl Rng) -> Self {
        let bits = limit.max(2).next_power_of_two().trailing_zeros();
        let keys = [(); 3].map(|()| (rng.random::<u32>() | 1, rng.random()));
        Self { limit, bits, keys, next: 0 }
    }

    /// Each step can be undone, so different numbers stay different.
    #[inline]
    fn mixed(&self, number: u32) -> u32 {
        let mask = (1_u64 << self.bits) as u32 - 1;
        self.keys.iter().fold(number, |number, (factor, offset)| {
            let number = number.wrapping_mul(*factor).wrapping_add(*offset) & mask;
            number ^ number >> self.bits.div_ceil(2)
        })
    }
}

impl Iterator for Walk {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        while self.next >> self.bits == 0 {
            let number = self.mixed(self.next as u32);
            self.next += 1;
            if number < self.limit {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::Seed;

    use super::*;

    #[test]
    fn a_walk_meets_everybody_once_in_an_order_of_its_own() {
        let mut rng = Seed::from_number(1).rng();
        for limit in [0, 1, 2, 3, 4, 5, 63, 64, 65, 1_000] {
            let walk: Vec<u32> = Walk::new(limit, &mut rng).collect();
            let mut sorted = walk.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..limit).collect::<Vec<_>>());
            assert!(limit < 64 || walk != sorted);
        }
    }

    #[test]
    fn everybody_is_as_likely_to_come_first() {
        let mut rng = Seed::from_number(2).rng();
        let mut firsts = [0_u32; 10];
        for _ in 0..10_000 {
            let walk = Walk::new(10, &mut rng).take(3);
            walk.for_each(|number| firsts[number as usize] += 1);
        }
        assert!(firsts.iter().all(|count| (2_600..=3_400).contains(count)), "{firsts:?}");
    }
}
