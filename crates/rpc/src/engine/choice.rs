//! Whom to ask: what is remembered about a peer's answers to a method, and a draw weighted by it.
//!
//! It decides weights and draws. Who may be asked at all is decided by the caller.

use std::time::Duration;

use bruit_core::{ChaCha8Rng, Timestamp};
use rand::Rng;

use crate::config::Config;

/// What is known about a peer's answers to one method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    success: f64,
    latency_secs: f64,
    at: Timestamp,
}

/// The share of a peer of whom nothing is known: even odds.
const SUCCESS_UNKNOWN: f64 = 0.5;
/// The latency of a peer of whom nothing is known, in seconds (a guess: a slow round trip).
const LATENCY_UNKNOWN: f64 = 0.25;
/// How much the newest outcome counts; ten good answers are outweighed by three bad ones (a guess).
const NEWEST: f64 = 0.25;
/// How much the outcome of a false answer counts: most of what was earned is gone.
const FALSE_ANSWER: f64 = 0.75;

/// How one try came out, as far as weight is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// A good answer after this time.
    Good(Duration),
    /// No answer for this long.
    TimedOut(Duration),
    /// A refusal, a failure or a useless answer.
    InVain,
    /// A false answer.
    False,
}

impl Record {
    pub(super) const fn unknown(now: Timestamp) -> Self {
        Self { success: SUCCESS_UNKNOWN, latency_secs: LATENCY_UNKNOWN, at: now }
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }

    pub(super) fn note(&mut self, outcome: Outcome, config: &Config, now: Timestamp) {
        self.success = self.success_at(config, now);
        self.at = now;
        let (target, part) = match outcome {
            Outcome::Good(_) => (1.0, NEWEST),
            Outcome::TimedOut(_) | Outcome::InVain => (0.0, NEWEST),
            Outcome::False => (0.0, FALSE_ANSWER),
        };
        self.success += (target - self.success) * part;
        if let Outcome::Good(elapsed) | Outcome::TimedOut(elapsed) = outcome {
            self.latency_secs += (elapsed.as_secs_f64() - self.latency_secs) * NEWEST;
        }
    }

    /// The share of success, drifting back to even odds with time.
    pub(super) fn success_at(&self, config: &Config, now: Timestamp) -> f64 {
        let half_lives = now.since(self.at).as_secs_f64() / config.record_half_life.as_secs_f64();
        SUCCESS_UNKNOWN + (self.success - SUCCESS_UNKNOWN) * halved(half_lives)
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_secs_f64(self.latency_secs)
    }

    /// The weight before the floor: the parts of what is known, times load and quality.
    pub(super) fn weight(&self, pending: usize, quality: f64, config: &Config, now: Timestamp) -> f64 {
        let scale = config.latency_scale.as_secs_f64();
        let speed = scale / (scale + self.latency_secs);
        let load = 1.0 / (1.0 + pending as f64);
        self.success_at(config, now) * speed * load * quality
    }
}

/// 2 to the power of minus `exponent`, by straight lines between whole powers: whole machines agree on it to the last bit,
/// as they would not on a library's `exp2`.
fn halved(exponent: f64) -> f64 {
    if exponent >= 64.0 {
        return 0.0;
    }
    let whole = exponent.floor();
    let power = 1.0 / (1_u64 << whole as u32) as f64;
    power * (1.0 - (exponent - whole) / 2.0)
}

/// The chance of each candidate: `floor` of all choices made evenly, the rest by weight. With no weight at all it is even.
pub(super) fn chances(weights: &[f64], floor: f64) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let even = 1.0 / weights.len() as f64;
    if !(total > 0.0 && total.is_finite()) {
        return vec![even; weights.len()];
    }
    weights.iter().map(|weight| floor * even + (1.0 - floor) * weight / total).collect()
}

/// Draws a position by chance; `None` only from an empty list.
pub(super) fn draw(chances: &[f64], rng: &mut ChaCha8Rng) -> Option<usize> {
    // 53 random bits are all that a float between 0 and 1 holds.
    let mut rest = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    for (position, chance) in chances.iter().enumerate() {
        if rest < *chance {
            return Some(position);
        }
        rest -= chance;
    }
    chances.len().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use bruit_core::Seed;

    use super::*;

    fn secs(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn halving_is_exact_at_whole_numbers_and_falls_between() {
        assert_eq!((halved(0.0), halved(1.0), halved(2.0), halved(63.0)), (1.0, 0.5, 0.25, 0.5_f64.powi(63)));
        assert_eq!((halved(0.5), halved(64.0), halved(f64::INFINITY)), (0.75, 0.0, 0.0));
    }

    #[test]
    fn a_record_follows_outcomes_and_forgets() {
        let config = Config::default();
        let mut record = Record::unknown(secs(0));
        for _ in 0..1_000 {
            record.note(Outcome::Good(Duration::from_millis(10)), &config, secs(0));
        }
        assert!(record.success_at(&config, secs(0)) > 0.99);
        assert!(record.latency() < Duration::from_millis(11));
        record.note(Outcome::False, &config, secs(0));
        assert!(record.success_at(&config, secs(0)) < 0.26);
        for _ in 0..20 {
            record.note(Outcome::TimedOut(Duration::from_secs(10)), &config, secs(0));
        }
        assert!(record.success_at(&config, secs(0)) < 0.01);
        assert!(record.latency() > Duration::from_secs(9));
        assert!(record.success_at(&config, secs(600)) > 0.25);
        assert!(record.success_at(&config, secs(600 * 70)) == SUCCESS_UNKNOWN);
    }

    #[test]
    fn weight_falls_with_load_latency_and_quality() {
        let config = Config::default();
        let record = Record { success: 1.0, latency_secs: 0.1, at: secs(0) };
        assert_eq!(record.weight(0, 1.0, &config, secs(0)), 0.5);
        assert_eq!(record.weight(1, 1.0, &config, secs(0)), 0.25);
        assert_eq!(record.weight(0, 0.5, &config, secs(0)), 0.25);
        assert_eq!(record.weight(0, 0.0, &config, secs(0)), 0.0);
    }

    #[test]
    fn nobody_falls_under_the_floor_and_no_weight_is_even() {
        assert_eq!(chances(&[1.0, 0.0], 0.1), [0.9 + 0.05, 0.05]);
        assert_eq!(chances(&[0.0, 0.0], 0.1), [0.5, 0.5]);
        assert_eq!(chances(&[f64::INFINITY, 1.0], 0.1), [0.5, 0.5]);
        assert_eq!(chances(&[], 0.1), Vec::<f64>::new());
    }

    #[test]
    fn draws_come_out_by_chance() {
        let mut rng = Seed::from_number(1).rng();
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[draw(&[0.7, 0.0, 0.3], &mut rng).unwrap()] += 1;
        }
        assert!((6_800..7_200).contains(&counts[0]), "{counts:?}");
        assert_eq!(counts[1], 0);
        assert_eq!(draw(&[], &mut rng), None);
        assert_eq!(draw(&[0.0, 0.0], &mut rng), Some(1));
    }
}
