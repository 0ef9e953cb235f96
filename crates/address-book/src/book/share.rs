//! What others are told.

use std::{cmp::Reverse, time::Duration};

use bruit_core::{Audience, Endpoint, PeerId, Timestamp};
use rand::{Rng, RngExt};

use super::{AddressBook, entry::Entry};
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
    now: Timestamp,
}

/// Something that others may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shareable {
    /// Who.
    pub peer: Option<PeerId>,
    /// Where.
    pub endpoints: Vec<Endpoint>,
    /// When it was last seen, rounded down to the hour: exact times would tell who is connected to whom.
    pub last_seen: Timestamp,
}

/// To what times are rounded down that others are told. An hour: a guess; Zebra takes half an hour.
const TOLD_TIMES_ROUNDED_TO: Duration = Duration::from_secs(3_600);

impl AddressBook {
    /// Draws what to tell somebody who asks from `audience`.
    ///
    /// Of a random share of all peers those are told that may be; if those are too few, more are drawn.
    ///
    /// # Security
    /// Nothing special, banned or terrible is told, nobody of bad quality, nothing that the asker could not use, and so nothing
    /// private to the internet; no exact time, no quality, and nothing about connections. Order by quality tells about quality:
    /// it is a setting.
    pub fn sample(&mut self, rules: SampleRules, audience: Audience, now: Timestamp) -> Vec<Shareable> {
        let telling = Telling { audience, unproven_claims: rules.unproven_claims, now };
        match rules.order {
            SampleOrder::Random => self.random_sample(rules, telling),
            SampleOrder::BestFirst => self.best_sample(rules, telling),
        }
    }

    fn random_sample(&mut self, rules: SampleRules, telling: Telling) -> Vec<Shareable> {
        let units = self.entries.orphans() + self.peers.listed();
        let share = units.saturating_mul(rules.percent) / 100;
        let walk = Walk::new(self.entries.numbers(), &mut self.rng);
        let mut sample = Vec::with_capacity(share.max(rules.least).min(rules.most).min(units));
        let mut visited = 0;
        for number in walk {
            let is_enough = visited >= share && sample.len() >= rules.least;
            if is_enough || sample.len() >= rules.most {
                break;
            }
            let Some(entry) = self.entries.get(number).filter(|entry| self.is_first_of_peer(entry, number)) else {
                continue;
            };
            visited += 1;
            sample.extend(self.unit(entry, telling));
        }
        sample
    }

    fn best_sample(&mut self, rules: SampleRules, telling: Telling) -> Vec<Shareable> {
        let walk = Walk::new(self.entries.numbers(), &mut self.rng);
        let mut units: Vec<(Reverse<i32>, usize, Shareable)> = walk
            .filter_map(|number| {
                let entry = self.entries.get(number).filter(|entry| self.is_first_of_peer(entry, number))?;
                let points = self.peer_of(entry).map_or(0, |peer| peer.points(telling.now));
                Some((Reverse(points), self.unit(entry, telling)?))
            })
            .enumerate()
            .map(|(order, (points, unit))| (points, order, unit))
            .collect();
        let share = units.len().saturating_mul(rules.percent) / 100;
        units.sort_by_key(|(points, order, _)| (*points, *order));
        units.truncate(share.max(rules.least).min(rules.most));
        units.into_iter().map(|(.., unit)| unit).collect()
    }

    /// Whether an entry stands for its peer: each peer is told of once.
    #[inline]
    fn is_first_of_peer(&self, entry: &Entry, number: u32) -> bool {
        self.peer_of(entry).is_none_or(|peer| peer.entries.first() == Some(&number))
    }

    /// What may be told of an entry and of all others of its peer.
    #[inline]
    fn unit(&self, entry: &Entry, telling: Telling) -> Option<Shareable> {
        let Some(peer) = self.peer_of(entry) else {
            let endpoint = self.shareable(entry, telling)?;
            return Some(Shareable { peer: None, endpoints: vec![endpoint], last_seen: rounded(entry.last_seen.at()) });
        };
        let is_good = quality::Standing::of(peer.points(telling.now), self.config.settings()) == Standing::Good;
        if !is_good || (self.has_specials() && self.is_special(&peer.id)) {
            return None;
        }
        let mut last_seen = Timestamp::default();
        let mut endpoints = Vec::with_capacity(peer.entries.len());
        for entry in peer.entries.iter().filter_map(|number| self.entries.get(*number)) {
            if let Some(endpoint) = self.shareable(entry, telling) {
                endpoints.push(endpoint);
                last_seen = last_seen.max(entry.last_seen.at());
            }
        }
        (!endpoints.is_empty()).then(|| Shareable { peer: Some(peer.id), endpoints, last_seen: rounded(last_seen) })
    }

    #[inline]
    fn shareable(&self, entry: &Entry, Telling { audience, unproven_claims, now }: Telling) -> Option<Endpoint> {
        if entry.is_terrible(self.config.horizon(), now)
            || self.is_banned_entry(entry, now)
            || (!unproven_claims && entry.is_unproven_claim())
            || (self.has_specials() && self.is_special_entry(entry))
        {
            return None;
        }
        let endpoint = entry.spot.endpoint();
        audience.can_use(&endpoint).then_some(endpoint)
    }
}

fn rounded(at: Timestamp) -> Timestamp {
    let unit = TOLD_TIMES_ROUNDED_TO.as_secs();
    Timestamp::from_secs(at.as_secs() / unit * unit)
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
