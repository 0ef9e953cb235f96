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
    is_used: bool,
    jitter: f64,
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
        let mut fresh = |is_used| Source { since: now, is_used, jitter: rng.random_range(0.75..1.25) };
        let mut sources = self.sources.unwrap_or_else(|| [fresh(false), fresh(false), fresh(false)]);
        let mut stages = Vec::new();
        for (stage, source) in STAGES.into_iter().zip(&mut sources) {
            if self.due_at(stage, source, shortage, config) <= now {
                *source = fresh(true);
                stages.push(stage);
            }
        }
        self.sources = Some(sources);
        stages
    }

    fn due_at(&self, stage: SeedStage, source: &Source, shortage: Shortage, config: &Config) -> Timestamp {
        let wait = match (shortage, source.is_used) {
            (Shortage::Few, false) => {
                let delays = self.sources_before(stage, config.bootstrap).saturating_add(u32::from(!self.is_hasty));
                config.seed_stage_delay.saturating_mul(delays)
            }
            (Shortage::Few, true) => config.reseed_soon,
            (Shortage::Some | Shortage::None, _) => config.reseed_interval,
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
    fn all_at_once_where_one_random_seed_is_chosen_but_the_fixed_ones() {
        let config = Config { bootstrap: Bootstrap::OneRandom, ..Config::default() };
        let found = uses(Shortage::Few, true, &config, Duration::from_secs(15));
        assert!(
            matches!(found[..], [(SeedStage::Dns, 0), (SeedStage::List, 0), (SeedStage::Fixed, 8..=14)]),
            "{found:?}"
        );
    }

    #[test]
    fn a_source_that_has_nothing_to_give_is_not_waited_for() {
        let due_after = |lacking: &[SeedStage], stage| {
            let (mut seeding, mut rng) = (Seeding::default(), Seed::from_number(1).rng());
            let config = Config::default();
            seeding.exhausted();
            seeding.due(Shortage::Few, &config, &mut rng, T);
            lacking.iter().for_each(|stage| seeding.lacks(*stage));
            let mut seconds = 0..;
            let is_due = |seconds: &u64| {
                let now = T.after(Duration::from_secs(*seconds));
                seeding.due(Shortage::Few, &config, &mut rng, now).contains(&stage)
            };
            seconds.find(is_due).unwrap()
        };
        use SeedStage::{Dns, Fixed, List};
        assert!((9..=14).contains(&due_after(&[], List)));
        assert_eq!(due_after(&[Dns], List), 0);
        assert!((17..=28).contains(&due_after(&[], Fixed)));
        assert!((9..=14).contains(&due_after(&[Dns], Fixed)));
        assert!((9..=14).contains(&due_after(&[Dns, List], Fixed)), "what the operator named goes first");
    }
}
