//! Whom to dial.

use bruit_core::{ChaCha8Rng, Endpoint, NetGroup, PeerId, Timestamp};
use rand::{Rng, RngExt};

use super::{AddressBook, entry::Entry};
use crate::Table;

mod why;

pub use why::{ChoiceExplanation, ChoicePart, ChoiceReason, Without};

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
    /// The part of the internet that first told of it.
    pub source: NetGroup,
    /// In which table it stands.
    pub table: Table,
    /// Whether this node has reached it, whatever table it stands in.
    pub was_reached: bool,
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
    /// The part of the internet that first told of it.
    pub source: NetGroup,
    /// From which table it comes.
    pub table: Table,
    /// Whether this node has reached it, whatever table it comes from.
    pub was_reached: bool,
    /// When it was first heard of.
    pub first_seen: Timestamp,
}

/// How often an entry is drawn before all are looked at. 50: a guess.
const DRAWS_MAX: u32 = 50;
/// By how much the chance grows with each draw. 1.2: Bitcoin Core.
const CHANCE_GROWTH: f64 = 1.2;
/// How many entries are looked at when drawing finds none. 8,192: a guess, under a millisecond.
const SCAN_MAX: u32 = 8_192;
/// How many thousandths of a point double the chance of an entry. 20,000: a guess, half of what all parts can give.
const POINTS_FOR_DOUBLE: i32 = 20_000;
/// The least and the most that quality makes of a chance. A tenth and the double: a guess; nobody is shut out by quality alone.
const FACTORS: (f64, f64) = (0.1, 2.0);

/// What was taken, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Taken {
    number: u32,
    /// What the chance had to exceed; `None` if nobody was taken by chance and this was drawn from all.
    draw: Option<f64>,
    /// By how much the chance had grown.
    growth: f64,
}

/// One selection: what is asked for.
struct Asked<'a, F> {
    wanted: Wanted,
    eligible: &'a F,
    /// A number of an entry, and what does not count for it.
    without: Option<(u32, ChoiceReason)>,
    now: Timestamp,
}

impl AddressBook {
    /// Chooses an endpoint to dial among those that are `eligible` and not banned; `None` when there seems to be none.
    ///
    /// The chance of an entry falls to a hundredth for ten minutes after an attempt and by a third with each failure (Bitcoin
    /// Core's rule), by half with each week without a sign of life, and rises and falls with its peer's quality, at most to the
    /// double and to a tenth of a stranger's.
    pub fn select(
        &mut self,
        wanted: Wanted,
        eligible: impl Fn(&Candidate<'_>) -> bool,
        now: Timestamp,
    ) -> Option<Choice> {
        let mut rng = self.selecting.take()?;
        let taken = self.take_one(&Asked { wanted, eligible: &eligible, without: None, now }, &mut rng);
        self.selecting = Some(rng);
        self.entries.get(taken?.number).map(|entry| self.choice(entry))
    }

    #[inline]
    fn take_one(&self, asked: &Asked<'_, impl Fn(&Candidate<'_>) -> bool>, rng: &mut ChaCha8Rng) -> Option<Taken> {
        let mut growth = 1.0;
        let mut refused = Vec::new();
        for _ in 0..DRAWS_MAX {
            let number = self.draw(asked.wanted, rng)?;
            if !refused.contains(&number)
                && let Some(chance) = self.weigh(number, growth, asked)
            {
                if chance >= 1.0 {
                    return Some(Taken { number, draw: Some(0.0), growth });
                }
                let draw = rng.random_range(0.0..1.0);
                if draw < chance {
                    return Some(Taken { number, draw: Some(draw), growth });
                }
                refused.push(number);
            }
            growth *= CHANCE_GROWTH;
        }
        self.scan(asked, rng)
    }

    #[inline]
    fn draw(&self, wanted: Wanted, rng: &mut ChaCha8Rng) -> Option<u32> {
        let from_tried = match wanted {
            Wanted::Only(table) => table == Table::Tried,
            Wanted::Any if self.new.len() == 0 => true,
            Wanted::Any if self.tried.len() == 0 => false,
            Wanted::Any => rng.next_u32() & 1 == 0,
        };
        if from_tried { self.tried.random(rng) } else { self.new.random(rng) }
    }

    /// One of the eligible entries, by weight, of at most [`SCAN_MAX`] from a random one on.
    #[cold]
    fn scan(&self, asked: &Asked<'_, impl Fn(&Candidate<'_>) -> bool>, rng: &mut ChaCha8Rng) -> Option<Taken> {
        let numbers = self.entries.numbers();
        let start = (numbers > 0).then(|| rng.random_range(0..numbers))?;
        let (mut weights, mut chosen) = (0.0, None);
        for number in (start..numbers).chain(0..start).take(SCAN_MAX as usize) {
            let Some(entry) = self.entries.get(number) else { continue };
            let is_wanted = match asked.wanted {
                Wanted::Any => true,
                Wanted::Only(table) => table == table_of(entry),
            };
            let Some(weight) = is_wanted.then(|| self.weigh(number, 1.0, asked)).flatten() else { continue };
            weights += weight;
            if rng.random_range(0.0..1.0) * weights < weight || chosen.is_none() {
                chosen = Some(number);
            }
        }
        Some(Taken { number: chosen?, draw: None, growth: 1.0 })
    }

    /// How likely an entry that was drawn is taken, 1 or more being certain; `None` if it may not be chosen.
    fn weigh(&self, number: u32, growth: f64, asked: &Asked<'_, impl Fn(&Candidate<'_>) -> bool>) -> Option<f64> {
        let entry = self.entries.get(number)?;
        self.may_choose(entry, number, asked).then(|| self.chance_of(entry, number, growth, asked))
    }

    #[inline]
    fn may_choose(&self, entry: &Entry, number: u32, asked: &Asked<'_, impl Fn(&Candidate<'_>) -> bool>) -> bool {
        if asked.without.is_some_and(|(excluded, reason)| excluded == number && reason.is_being_there()) {
            return false;
        }
        let endpoint = entry.spot.endpoint();
        let candidate = Candidate {
            endpoint: &endpoint,
            peer: self.peer_of(entry).map(|peer| &peer.id),
            group: self.group_of_entry(entry),
            source: self.entries.first_source(entry),
            table: table_of(entry),
            was_reached: entry.was_reached(),
            last_attempt: entry.last_attempt.option(),
            failures: u32::from(entry.failures),
        };
        (asked.eligible)(&candidate) && !self.is_banned_entry(entry, asked.now)
    }

    #[inline]
    fn chance_of<F>(&self, entry: &Entry, number: u32, growth: f64, asked: &Asked<'_, F>) -> f64 {
        if let Some((_, reason)) = asked.without.filter(|(changed, _)| *changed == number) {
            return self.reasons(entry, growth, Some(reason), asked.now).last().map_or(0.0, |(_, chance)| *chance);
        }
        let points = self.peer_of(entry).map_or(0, |peer| peer.points(asked.now));
        // Strangers among strangers are the many: the division would give the same.
        let mut chance = if points == self.points_high { 1.0 } else { factor(points) / self.factor_max() };
        if !self.bans.is_empty() && self.is_discouraged_entry(entry, asked.now) {
            chance = FACTORS.0 / self.factor_max();
        }
        chance * entry.chance(asked.now) * growth
    }

    /// What nobody in the book exceeds: who has it is taken whenever it is drawn, so that drawing is rarely in vain.
    #[inline]
    fn factor_max(&self) -> f64 {
        factor(self.points_high)
    }

    pub(super) fn choice(&self, entry: &Entry) -> Choice {
        Choice {
            endpoint: entry.spot.endpoint(),
            peer: self.peer_of(entry).map(|peer| peer.id),
            group: self.group_of_entry(entry),
            source: self.entries.first_source(entry),
            table: table_of(entry),
            was_reached: entry.was_reached(),
            first_seen: entry.first_seen.at(),
        }
    }

    /// Remembers what the best quality may be by now.
    pub(super) fn points_seen(&mut self, points: i32) {
        self.points_high = self.points_high.max(points.min(POINTS_FOR_DOUBLE));
    }
}

#[inline]
fn factor(points: i32) -> f64 {
    (1.0 + f64::from(points) / f64::from(POINTS_FOR_DOUBLE)).clamp(FACTORS.0, FACTORS.1)
}

#[inline]
pub(super) fn table_of(entry: &Entry) -> Table {
    if entry.is_tried() { Table::Tried } else { Table::New }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, net::Ipv4Addr};

    use bruit_core::Seed;

    use super::*;
    use crate::{Config, Hearsay, Source};

    fn book(entries: u32) -> AddressBook {
        let mut book = AddressBook::new(Config::default().validate().unwrap(), Seed::from_number(1));
        let now = Timestamp::from_secs(1_800_000_000);
        let mut number = 0;
        while book.len() < entries as usize {
            let endpoint = Endpoint::tcp(Ipv4Addr::from_bits(0x0b00_0001 + number * 4_099).into(), 9);
            let _ = book.heard(Hearsay { peer: None, endpoint, last_seen: None, source: Source::Seed }, now);
            number += 1;
        }
        book
    }

    /// How many candidates are looked at when nobody is eligible.
    fn looked_at(entries: u32) -> u32 {
        let seen = Cell::new(0);
        let nobody = |_: &Candidate<'_>| {
            seen.set(seen.get() + 1);
            false
        };
        assert_eq!(book(entries).select(Wanted::Any, nobody, Timestamp::from_secs(1_800_000_000)), None);
        seen.get()
    }

    #[test]
    fn so_many_are_drawn_before_all_are_looked_at() {
        assert_eq!([49, 50, 51].map(looked_at), [49, 50, 51].map(|entries| DRAWS_MAX + entries));
    }

    #[test]
    fn so_many_are_looked_at_when_drawing_finds_none() {
        let scanned = [SCAN_MAX - 1, SCAN_MAX, SCAN_MAX + 1].map(|entries| looked_at(entries) - DRAWS_MAX);
        assert_eq!(scanned, [SCAN_MAX - 1, SCAN_MAX, SCAN_MAX]);
    }
}
