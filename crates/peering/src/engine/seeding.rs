//! When which source of seed addresses is used.

use std::time::Duration;

use bruit_core::{ChaCha8Rng, Timestamp};
use rand::RngExt;

use crate::{Bootstrap, Config, SeedStage};

const STAGES: [SeedStage; 3] = [SeedStage::Dns, SeedStage::List, SeedStage::Fixed];

/// How many outbound peers are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    /// None.
    None,
    /// Some, but there are enough for addresses to come from peers.
    Some,
    /// Nearly all.
    Few,
}

/// The state of every source.
#[derive(Debug, Default)]
pub(super) struct Seeding {
    sources: Option<[Source; 3]>,
    /// No candidates were there at the start: the first source need not wait for them to fail.
    is_hasty: bool,
    /// Sources that have nothing to give: the next one need not wait for them.
    lacking: [bool; 3],
}

#[derive(Clone, Copy, Debug)]
struct Source {
    since: Timestamp,
    turn: Turn,
    jitter: f64,
}

/// How far a source has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Not used yet.
    First,
    /// Not used since the operator gave it something: for that, few peers need not be left.
    Given,
    /// Used.
    Again,
}

impl Seeding {
    /// Nobody is left to be dialled.
    pub(super) const fn exhausted(&mut self) {
        self.is_hasty = true;
    }

    /// A source has nothing to give.
    pub(super) fn lacks(&mut self, stage: SeedStage) {
        for (lacking, known) in self.lacking.iter_mut().zip(STAGES) {
            *lacking |= known == stage;
        }
    }

    /// A source has been given something that it did not have: it is as new, also for who misses only some peers.
    pub(super) fn has_been_given(&mut self, stage: SeedStage, now: Timestamp) {
        let is_meant = |known: &SeedStage| *known == stage;
        let lacking = STAGES.iter().zip(&mut self.lacking).filter(|(known, _)| is_meant(known));
        lacking.for_each(|(_, lacking)| *lacking = false);
        let sources = STAGES.iter().zip(self.sources.iter_mut().flatten()).filter(|(known, _)| is_meant(known));
        sources.for_each(|(_, source)| (source.since, source.turn) = (now, Turn::Given));
    }

    /// When a source is due next.
    pub(super) fn next(&self, shortage: Shortage, config: &Config) -> Option<Timestamp> {
        if shortage == Shortage::None {
            return None;
        }
        let Some(sources) = &self.sources else { return Some(Timestamp::default()) };
        STAGES.into_iter().zip(sources).map(|(stage, source)| self.due_at(stage, source, shortage, config)).min()
    }

    /// The sources to use now.
    pub(super) fn due(
        &mut self,
        shortage: Shortage,
        config: &Config,
        rng: &mut ChaCha8Rng,
        now: Timestamp,
    ) -> Vec<SeedStage> {
        if shortage == Shortage::None {
            return Vec::new();
        }
        let mut fresh = |turn| Source { since: now, turn, jitter: rng.random_range(0.75..1.25) };
        let mut sources = self.sources.unwrap_or_else(|| [fresh(Turn::First), fresh(Turn::First), fresh(Turn::First)]);
        let mut stages = Vec::new();
        for (stage, source) in STAGES.into_iter().zip(&mut sources) {
            if self.due_at(stage, source, shortage, config) <= now {
                *source = fresh(Turn::Again);
                stages.push(stage);
            }
        }
        self.sources = Some(sources);
        stages
    }

    fn due_at(&self, stage: SeedStage, source: &Source, shortage: Shortage, config: &Config) -> Timestamp {
        let wait = match (shortage, source.turn) {
            (Shortage::Few, Turn::First) | (_, Turn::Given) => {
                let delays = self.sources_before(stage, config.bootstrap).saturating_add(u32::from(!self.is_hasty));
                config.seed_stage_delay.saturating_mul(delays)
            }
            (Shortage::Few, Turn::Again) => config.reseed_soon,
            (Shortage::Some | Shortage::None, Turn::First | Turn::Again) => config.reseed_interval,
        };
        source.since.after(jittered(wait, source.jitter))
    }

    /// How many other sources are given their time before this one. What comes with the settings waits for one in any case: the
    /// addresses that the operator named.
    fn sources_before(&self, stage: SeedStage, bootstrap: Bootstrap) -> u32 {
        let earlier = STAGES.into_iter().zip(self.lacking).filter(|(other, is_lacking)| *other < stage && !is_lacking);
        let count = match bootstrap {
            Bootstrap::Staged => earlier.fold(0_u32, |count, _| count.saturating_add(1)),
            Bootstrap::OneRandom => 0,
        };
        count.max(u32::from(stage == SeedStage::Fixed))
    }
}

fn jittered(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(jitter)
}

#[cfg(test)]
mod tests;
