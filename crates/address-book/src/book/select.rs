//! Whom to dial.

use bruit_core::{Endpoint, NetGroup, PeerId, Timestamp};
use rand::RngExt;

use super::{AddressBook, entry::Entry};
use crate::Table;

/// From which table a choice comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// From each with the same chance, so that neither the many that were only heard of nor the few that were reached prevail.
    Any,
    /// From this one only; a feeler wants one of *new*.
    Only(Table),
}

/// An entry that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Where.
    pub endpoint: &'a Endpoint,
    /// Who, as far as known.
    pub peer: Option<&'a PeerId>,
    /// The part of the internet it belongs to.
    pub group: NetGroup,
    /// In which table it stands.
    pub table: Table,
    /// When it was last dialled.
    pub last_attempt: Option<Timestamp>,
    /// How many dials failed since it was last reached.
    pub failures: u32,
}

/// What to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Where.
    pub endpoint: Endpoint,
    /// Whom to expect there; with `None` whoever answers is welcome.
    pub peer: Option<PeerId>,
    /// The part of the internet it belongs to.
    pub group: NetGroup,
    /// From which table it comes.
    pub table: Table,
}

/// How often an entry is drawn before all are looked at.
const DRAWS_MAX: u32 = 50;
/// By how much the chance grows with each draw: Bitcoin Core's factor.
const CHANCE_GROWTH: f64 = 1.2;
/// How many entries are looked at when drawing finds none.
const SCAN_MAX: u32 = 8_192;

impl AddressBook {
    /// Chooses an endpoint to dial among those that are `eligible` and not banned; `None` when there seems to be none.
    ///
    /// The chance of an entry falls to a hundredth for ten minutes after an attempt and by a third with each failure (Bitcoin
    /// Core's rule), and rises and falls with its peer's quality, at most to the double and to a tenth of a stranger's.
    pub fn select(
        &mut self,
        wanted: Wanted,
        eligible: impl Fn(&Candidate<'_>) -> bool,
        now: Timestamp,
    ) -> Option<Choice> {
        let mut growth = 1.0;
        for _ in 0..DRAWS_MAX {
            let number = self.draw(wanted)?;
            if let Some(entry) = self.entries.get(number)
                && self.may_choose(entry, &eligible, now)
            {
                let chance = self.weight(entry, now) * growth;
                if self.rng.random_range(0.0..1.0) < chance {
                    return self.entries.get(number).map(|entry| self.choice(entry));
                }
            }
            growth *= CHANCE_GROWTH;
        }
        self.scan(wanted, &eligible, now)
    }

    fn draw(&mut self, wanted: Wanted) -> Option<u32> {
        let from_tried = match wanted {
            Wanted::Only(table) => table == Table::Tried,
            Wanted::Any if self.new.len() == 0 => true,
            Wanted::Any if self.tried.len() == 0 => false,
            Wanted::Any => self.rng.random_range(0..2) == 0,
        };
        if from_tried { self.tried.random(&mut self.rng) } else { self.new.random(&mut self.rng) }
    }

    /// One of the eligible entries, by weight, of at most [`SCAN_MAX`] from a random one on.
    fn scan(&mut self, wanted: Wanted, eligible: &impl Fn(&Candidate<'_>) -> bool, now: Timestamp) -> Option<Choice> {
        let numbers = self.entries.numbers();
        let start = (numbers > 0).then(|| self.rng.random_range(0..numbers))?;
        let (mut weights, mut chosen) = (0.0, None);
        for number in (start..numbers).chain(0..start).take(SCAN_MAX as usize) {
            let Some(entry) = self.entries.get(number) else { continue };
            let is_wanted = match wanted {
                Wanted::Any => true,
                Wanted::Only(table) => table == table_of(entry),
            };
            if !is_wanted || !self.may_choose(entry, eligible, now) {
                continue;
            }
            let weight = self.weight(entry, now);
            weights += weight;
            if self.rng.random_range(0.0..weights) < weight {
                chosen = Some(number);
            }
        }
        self.entries.get(chosen?).map(|entry| self.choice(entry))
    }

    fn may_choose(&self, entry: &Entry, eligible: &impl Fn(&Candidate<'_>) -> bool, now: Timestamp) -> bool {
        let candidate = Candidate {
            endpoint: &entry.endpoint,
            peer: self.peer_of(entry).map(|peer| &peer.id),
            group: entry.group,
            table: table_of(entry),
            last_attempt: entry.last_attempt,
            failures: entry.failures,
        };
        eligible(&candidate) && !self.is_banned_entry(entry, now)
    }

    /// Above 0 and at most 1; a half for a stranger that was never tried.
    fn weight(&self, entry: &Entry, now: Timestamp) -> f64 {
        const POINTS_FOR_DOUBLE: f64 = 20_000.0;
        let points = self.peer_of(entry).map_or(0, |peer| peer.points(now));
        let factor = (1.0 + f64::from(points) / POINTS_FOR_DOUBLE).clamp(0.1, 2.0);
        entry.chance(now) * factor / 2.0
    }

    fn choice(&self, entry: &Entry) -> Choice {
        Choice {
            endpoint: entry.endpoint.clone(),
            peer: self.peer_of(entry).map(|peer| peer.id),
            group: entry.group,
            table: table_of(entry),
        }
    }
}

fn table_of(entry: &Entry) -> Table {
    if entry.is_tried { Table::Tried } else { Table::New }
}
