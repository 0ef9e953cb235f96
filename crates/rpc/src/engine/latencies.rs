//! How long answers to a method take, of whomever: when a peer counts as slow.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::time::Duration;

/// Four buckets for each doubling, up to a day.
const BUCKETS: usize = 4 * 37;
/// So many answers are known before anybody counts as slow.
const ENOUGH: u32 = 16;
/// At so many all counts are halved: the last thousand answers or so are what counts.
const FULL: u32 = 1_024;

/// Counts of answer times, by size.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Latencies {
    pub(super) const fn new() -> Self {
        Self { counts: [0; BUCKETS], total: 0 }
    }

    pub(super) fn note(&mut self, elapsed: Duration) {
        if let Some(count) = self.counts.get_mut(bucket(elapsed)) {
            *count = count.saturating_add(1);
        }
        self.total = self.total.saturating_add(1);
        if self.total >= FULL {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().sum();
        }
    }

    /// The time in which the `part` of all answers came; `None` while too few are known.
    pub(super) fn quantile(&self, part: f64) -> Option<Duration> {
        if self.total < ENOUGH {
            return None;
        }
        let wanted = (f64::from(self.total) * part).ceil() as u32;
        let mut seen = 0_u32;
        let bucket = self.counts.iter().position(|count| {
            seen = seen.saturating_add(*count);
            seen >= wanted
        });
        Some(end_of(bucket.unwrap_or(BUCKETS)))
    }
}

fn bucket(elapsed: Duration) -> usize {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(4);
    let power = micros.ilog2();
    let quarter = (micros >> power.saturating_sub(2)) & 3;
    let bucket = u64::from(power).saturating_mul(4).saturating_add(quarter);
    usize::try_from(bucket).unwrap_or(BUCKETS).min(BUCKETS.saturating_sub(1))
}

/// The first time that is longer than those of a bucket.
fn end_of(bucket: usize) -> Duration {
    let next = bucket.saturating_add(1);
    let power = u32::try_from(next / 4).unwrap_or(u32::MAX).saturating_sub(2).min(60);
    let quarters = 4_u64.saturating_add(next as u64 % 4);
    Duration::from_micros(quarters.checked_shl(power).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects, reason = "a test")]

    use super::*;

    #[test]
    fn a_quantile_is_within_a_quarter_above_the_truth() {
        let mut latencies = Latencies::new();
        for millis in 1..=1_000 {
            latencies.note(Duration::from_millis(millis));
        }
        for (part, truth) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0)] {
            let ratio = latencies.quantile(part).unwrap().as_secs_f64() * 1_000.0 / truth;
            assert!((1.0..1.26).contains(&ratio), "{part}: {ratio}");
        }
    }

    #[test]
    fn few_answers_say_nothing_and_old_ones_are_forgotten() {
        let mut latencies = Latencies::new();
        (1..ENOUGH).for_each(|_| latencies.note(Duration::from_secs(1)));
        assert_eq!(latencies.quantile(0.9), None);
        (0..10 * FULL).for_each(|_| latencies.note(Duration::from_micros(10)));
        assert!(latencies.quantile(0.9).unwrap() <= Duration::from_micros(12));
        assert!(latencies.total < FULL);
        latencies.note(Duration::MAX);
        assert!(latencies.quantile(1.0).unwrap() > Duration::from_secs(80_000));
    }
}
