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
}

#[derive(Clone, Copy, Debug)]
struct Source {
    since: Timestamp,
    is_used: bool,
    jitter: f64,
}

impl Seeding {
    /// Nobody is left to be dialled.
    pub(super) const fn exhausted(&mut self) {
        self.is_hasty = true;
    }

    /// When a source is due next.
    pub(super) fn next(&self, shortage: Shortage, config: &Config) -> Option<Timestamp> {
        if shortage == Shortage::None {
            return None;
        }
        let Some(sources) = &self.sources else { return Some(Timestamp::default()) };
        (0_u32..).zip(sources).map(|(number, source)| self.due_at(number, source, shortage, config)).min()
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
        let mut fresh = |is_used| Source { since: now, is_used, jitter: rng.random_range(0.75..1.25) };
        let mut sources = self.sources.unwrap_or_else(|| [fresh(false), fresh(false), fresh(false)]);
        let mut stages = Vec::new();
        for ((number, source), stage) in (0_u32..).zip(&mut sources).zip(STAGES) {
            if self.due_at(number, source, shortage, config) <= now {
                *source = fresh(true);
                stages.push(stage);
            }
        }
        self.sources = Some(sources);
        stages
    }

    fn due_at(&self, number: u32, source: &Source, shortage: Shortage, config: &Config) -> Timestamp {
        let wait = match (shortage, source.is_used) {
            (Shortage::Few, false) => {
                let before = match config.bootstrap {
                    Bootstrap::Staged => number,
                    Bootstrap::OneRandom => 0,
                };
                let delays = before.saturating_add(u32::from(!self.is_hasty));
                config.seed_stage_delay.saturating_mul(delays)
            }
            (Shortage::Few, true) => config.reseed_soon,
            (Shortage::Some | Shortage::None, _) => config.reseed_interval,
        };
        source.since.after(jittered(wait, source.jitter))
    }
}

fn jittered(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(jitter)
}

#[cfg(test)]
mod tests {
    use bruit_core::Seed;

    use super::*;

    const T: Timestamp = Timestamp::from_secs(1_000);

    /// The sources used within a time, and after how many seconds each.
    fn uses(shortage: Shortage, hasty: bool, config: &Config, span: Duration) -> Vec<(SeedStage, u64)> {
        let (mut seeding, mut rng) = (Seeding::default(), Seed::from_number(1).rng());
        if hasty {
            seeding.exhausted();
        }
        let (mut found, mut now) = (Vec::new(), T);
        loop {
            let stages = seeding.due(shortage, config, &mut rng, now);
            found.extend(stages.into_iter().map(|stage| (stage, now.since(T).as_secs())));
            match seeding.next(shortage, config) {
                Some(next) if next <= T.after(span) => now = next.max(now),
                Some(_) | None => return found,
            }
        }
    }

    #[test]
    fn sources_are_used_one_after_the_other_and_again_and_again() {
        let found = uses(Shortage::Few, true, &Config::default(), Duration::from_secs(1_200));
        let stages: Vec<_> = found.iter().take(3).map(|(stage, _)| *stage).collect();
        assert_eq!(stages, STAGES);
        assert_eq!(found[0].1, 0, "an empty book waits for nothing");
        assert!((8..=14).contains(&found[1].1) && (16..=28).contains(&found[2].1), "{found:?}");
        assert!(found.len() >= 9, "seeds that were full or dead are asked again: {found:?}");
    }

    #[test]
    fn a_stored_book_is_tried_first_and_who_has_peers_waits_for_hours() {
        let found = uses(Shortage::Few, false, &Config::default(), Duration::from_secs(15));
        assert!(matches!(found[..], [(SeedStage::Dns, 8..=14)]), "{found:?}");
        assert_eq!(uses(Shortage::Some, false, &Config::default(), Duration::from_secs(2 * 3_600)), []);
        assert_eq!(uses(Shortage::Some, false, &Config::default(), Duration::from_secs(6 * 3_600)).len(), 3);
        assert_eq!(uses(Shortage::None, true, &Config::default(), Duration::from_secs(6 * 3_600)), []);
    }

    #[test]
    fn all_at_once_where_one_random_seed_is_chosen() {
        let config = Config { bootstrap: Bootstrap::OneRandom, ..Config::default() };
        assert_eq!(uses(Shortage::Few, true, &config, Duration::from_secs(1)).len(), 3);
    }
}
