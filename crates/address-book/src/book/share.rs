//! What others are told.

use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Audience, Endpoint, PeerId, Timestamp};
use rand::seq::SliceRandom;

use super::{AddressBook, entry::Entry};

/// How many entries a sample has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRules {
    /// As many at least, if there are as many: a share of a small book starves small networks.
    pub least: usize,
    /// Which share of what can be told, in per cent.
    pub percent: usize,
    /// As many at most.
    pub most: usize,
}

impl Default for SampleRules {
    /// `min(1000, max(32, 23 %))`: Bitcoin Core's share and cap, with a floor for small networks.
    fn default() -> Self {
        Self { least: 32, percent: 23, most: 1_000 }
    }
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

const HOUR: Duration = Duration::from_secs(3_600);

impl AddressBook {
    /// Draws what to tell somebody who asks from `audience`, in random order.
    ///
    /// # Security
    /// Nothing special, banned or terrible is told, nothing that the asker could not use, and so nothing private to the
    /// internet; no exact time, no quality, and nothing about connections.
    pub fn sample(&mut self, rules: SampleRules, audience: Audience, now: Timestamp) -> Vec<Shareable> {
        let mut by_peer: BTreeMap<u32, Vec<&Entry>> = BTreeMap::new();
        let mut units: Vec<Vec<&Entry>> = Vec::new();
        for (_, entry) in self.entries.iter().filter(|(_, entry)| self.is_shareable(entry, audience, now)) {
            match entry.peer {
                Some(peer) => by_peer.entry(peer).or_default().push(entry),
                None => units.push(vec![entry]),
            }
        }
        units.extend(by_peer.into_values());
        let share = units.len().saturating_mul(rules.percent) / 100;
        let count = share.max(rules.least).min(rules.most).min(units.len());
        let mut rng = self.rng.clone();
        let (chosen, _) = units.partial_shuffle(&mut rng, count);
        let sample = chosen.iter().filter_map(|entries| self.shareable(entries)).collect();
        self.rng = rng;
        sample
    }

    fn is_shareable(&self, entry: &Entry, audience: Audience, now: Timestamp) -> bool {
        audience.can_use(&entry.endpoint)
            && !entry.is_terrible(self.config.horizon(), now)
            && !self.is_special_entry(entry)
            && !self.is_banned_entry(entry, now)
    }

    fn shareable(&self, entries: &[&Entry]) -> Option<Shareable> {
        let first = entries.first()?;
        let last_seen = entries.iter().map(|entry| entry.last_seen).max()?;
        Some(Shareable {
            peer: self.peer_of(first).map(|peer| peer.id),
            endpoints: entries.iter().map(|entry| entry.endpoint.clone()).collect(),
            last_seen: Timestamp::from_secs(last_seen.as_secs() / HOUR.as_secs() * HOUR.as_secs()),
        })
    }
}
