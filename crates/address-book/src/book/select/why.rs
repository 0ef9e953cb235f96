//! Why this one: the parts of a chance, and which of them decided.

use bruit_core::{ChaCha8Rng, Endpoint, PeerId, Timestamp};

use super::{AddressBook, Asked, Candidate, Choice, Entry, FACTORS, Taken, Wanted, factor, table_of};
use crate::book::spot::Secs;
use crate::{Part, Table};

/// Something that makes an entry more or less likely to be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum ChoiceReason {
    /// It was drawn, as anybody might have been.
    Drawn,
    /// A part of its peer's quality.
    Quality(Part),
    /// It is discouraged.
    Discouraged,
    /// Dials of it failed.
    Failures,
    /// It was dialled lately.
    DialledLately,
    /// It showed no sign of life for long.
    Silent,
    /// Others were refused before, and with each refusal the next is taken more easily.
    Patience,
    /// Nobody was taken by chance, and it was drawn from all that are left.
    LastResort,
}

impl ChoiceReason {
    /// Whether without this the entry would not have been looked at.
    pub(super) const fn is_being_there(self) -> bool {
        matches!(self, Self::Drawn | Self::LastResort)
    }
}

/// What one reason contributes to a chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ChoicePart {
    /// The reason.
    pub reason: ChoiceReason,
    /// How much it adds to the chance, in thousandths.
    pub thousandths: i32,
}

/// Why an entry was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ChoiceExplanation {
    /// Where.
    pub endpoint: Endpoint,
    /// Who, as far as known.
    pub peer: Option<PeerId>,
    /// From which table.
    pub table: Table,
    /// When.
    pub at: Timestamp,
    /// What its chance of being taken was made of.
    pub parts: Vec<ChoicePart>,
    /// The chance in thousandths: the sum of the parts. 1,000 and more is certain.
    pub chance: i32,
    /// What the chance had to exceed, in thousandths.
    pub needed: i32,
    /// The largest reason without which another one, or nobody, would have been chosen.
    pub top: ChoiceReason,
}

/// An entry, and a reason that shall not count for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Without {
    /// The entry.
    pub endpoint: Endpoint,
    /// The reason.
    pub reason: ChoiceReason,
}

/// How many explanations are kept. 64: a guess, twice the outbound target.
const CHOICES_KEPT_MAX: usize = 64;

impl AddressBook {
    /// Chooses as [`select`](Self::select) does, and says why; the last 64 explanations are kept.
    pub fn select_explained(
        &mut self,
        wanted: Wanted,
        eligible: impl Fn(&Candidate<'_>) -> bool,
        now: Timestamp,
    ) -> Option<(Choice, ChoiceExplanation)> {
        let before = self.selecting.clone()?;
        let mut rng = self.selecting.take()?;
        let asked = Asked { wanted, eligible: &eligible, without: None, now };
        let taken = self.take_one(&asked, &mut rng);
        let explanation = taken.and_then(|taken| self.explanation(taken, &asked, &before));
        self.selecting = Some(rng);
        let choice = self.entries.get(taken?.number).map(|entry| self.choice(entry))?;
        let explanation = explanation?;
        if self.choices.len() >= CHOICES_KEPT_MAX {
            self.choices.pop_front();
        }
        self.choices.push_back(explanation.clone());
        Some((choice, explanation))
    }

    /// What [`select`](Self::select) would choose now if a reason did not count for an entry. Changes nothing.
    pub fn select_without(
        &self,
        wanted: Wanted,
        eligible: impl Fn(&Candidate<'_>) -> bool,
        without: &Without,
        now: Timestamp,
    ) -> Option<Choice> {
        let number = self.entries.find(&without.endpoint);
        let without = number.map(|number| (number, without.reason));
        let mut rng = self.selecting.clone()?;
        let taken = self.take_one(&Asked { wanted, eligible: &eligible, without, now }, &mut rng);
        self.entries.get(taken?.number).map(|entry| self.choice(entry))
    }

    /// The last choices that were explained, oldest first.
    pub fn choices(&self) -> impl Iterator<Item = &ChoiceExplanation> {
        self.choices.iter()
    }

    fn explanation<F: Fn(&Candidate<'_>) -> bool>(
        &self,
        taken: Taken,
        asked: &Asked<'_, F>,
        rng: &ChaCha8Rng,
    ) -> Option<ChoiceExplanation> {
        let entry = self.entries.get(taken.number)?;
        let there = if taken.draw.is_some() { ChoiceReason::Drawn } else { ChoiceReason::LastResort };
        let mut before = 0;
        let parts: Vec<ChoicePart> = self
            .reasons(entry, taken.growth, None, asked.now)
            .into_iter()
            .map(|(reason, chance)| {
                let chance = (chance * 1_000.0).round() as i32;
                let thousandths = chance.saturating_sub(std::mem::replace(&mut before, chance));
                ChoicePart { reason: if reason == ChoiceReason::Drawn { there } else { reason }, thousandths }
            })
            .filter(|part| part.thousandths != 0 || part.reason == there)
            .collect();
        let mut largest_first: Vec<ChoicePart> = parts.iter().filter(|part| part.thousandths > 0).copied().collect();
        largest_first.sort_by_key(|part| (std::cmp::Reverse(part.thousandths), part.reason));
        let decides = |reason: ChoiceReason| {
            let asked = Asked { without: Some((taken.number, reason)), ..*asked };
            let instead = self.take_one(&asked, &mut rng.clone());
            instead.is_none_or(|instead| instead.number != taken.number)
        };
        let top = largest_first.iter().map(|part| part.reason).find(|reason| decides(*reason)).unwrap_or(there);
        Some(ChoiceExplanation {
            endpoint: entry.spot.endpoint(),
            peer: self.peer_of(entry).map(|peer| peer.id),
            table: table_of(entry),
            at: asked.now,
            chance: parts.iter().map(|part| part.thousandths).sum(),
            needed: taken.draw.map_or(0, |draw| (draw * 1_000.0) as i32),
            parts,
            top,
        })
    }

    /// Each reason in turn, and the chance once it counts; one may be left out.
    pub(super) fn reasons(
        &self,
        entry: &Entry,
        growth: f64,
        without: Option<ChoiceReason>,
        now: Timestamp,
    ) -> Vec<(ChoiceReason, f64)> {
        let counts = |reason: ChoiceReason| without != Some(reason);
        let max = self.factor_max();
        let mut chance = if counts(ChoiceReason::Drawn) { factor(0) / max } else { 0.0 };
        let mut reasons = vec![(ChoiceReason::Drawn, chance)];
        let mut points = 0_i32;
        for value in self.peer_of(entry).map_or_else(Vec::new, |peer| peer.quality(now).parts) {
            let reason = ChoiceReason::Quality(value.part);
            if counts(reason) {
                points = points.saturating_add(value.points);
            }
            chance = factor(points) / max;
            reasons.push((reason, chance));
        }
        if counts(ChoiceReason::Discouraged) && self.is_discouraged_entry(entry, now) {
            chance = FACTORS.0 / max;
            reasons.push((ChoiceReason::Discouraged, chance));
        }
        let [failures, lately, silent] = entry.chance_factors(Secs::of(now));
        let factors = [
            (ChoiceReason::Failures, failures),
            (ChoiceReason::DialledLately, lately),
            (ChoiceReason::Silent, silent),
            (ChoiceReason::Patience, growth),
        ];
        for (reason, factor) in factors.into_iter().filter(|(reason, _)| counts(*reason)) {
            chance *= factor;
            reasons.push((reason, chance));
        }
        reasons
    }
}
