//! Whom to ask: what is remembered about a peer's answers to a method, and a draw weighted by it.
//!
//! It decides weights and draws. Who may be asked at all is decided by the caller.
#![deny(clippy::expect_used, clippy::indexing_slicing)]

use std::time::Duration;

use bruit_core::{ChaCha8Rng, Timestamp};
use rand::Rng;

use crate::config::Config;

/// What is known about a peer's answers to one method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    success: f64,
    latency_secs: Option<f64>,
    at: Timestamp,
    rests_until: Timestamp,
    /// How often it had to rest in a row.
    rests: u32,
}

/// The share of a peer of whom nothing is known: worth a try beside good ones, and below the threshold after one failure.
const SUCCESS_UNKNOWN: f64 = 0.7;
/// Below this share a failure sends a peer to rest.
const SUCCESS_LEAST: f64 = 0.5;
/// Where a peer ends up that answers always, but in vain: one choice in ten of a good one's.
const SUCCESS_IN_VAIN: f64 = 0.3;
/// The latency of a peer of whom nothing is known, in seconds (a guess: a typical round trip).
const LATENCY_UNKNOWN: f64 = 0.1;
/// How much the newest good answer counts, or one in vain.
const NEWEST: f64 = 0.25;
/// How much the newest failure counts: two in a row send the best peer to rest, one an unknown one.
const FAILED: f64 = 0.4;
/// How much a false answer counts: most of what was earned is gone.
const FALSE_ANSWER: f64 = 0.75;
/// How many rests a false answer counts for.
const FALSE_RESTS: u32 = 2;
const REST_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// No peer is chosen more than so many times as often as an even choice would, however good it looks.
const SHARE_MAX: f64 = 2.0;
/// Where that leaves nobody, because most peers are at rest: the same among the others.
const SHARE_OF_FIT_MAX: f64 = 1.1;

/// How one try came out, as far as weight is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outcome {
    /// A good answer after this time.
    Good(Duration),
    /// No answer in time.
    TimedOut,
    /// A refusal, a failure or a useless answer.
    InVain,
    /// A false answer.
    False,
}

impl Record {
    pub(super) const fn unknown(now: Timestamp) -> Self {
        Self { success: SUCCESS_UNKNOWN, latency_secs: None, at: now, rests_until: Timestamp::from_micros(0), rests: 0 }
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }

    pub(super) fn note(&mut self, outcome: Outcome, config: &Config, now: Timestamp) {
        self.success = self.success_at(config, now);
        self.at = now;
        let (target, part) = match outcome {
            Outcome::Good(_) => (1.0, NEWEST),
            Outcome::InVain => (self.success.min(SUCCESS_IN_VAIN), NEWEST),
            Outcome::TimedOut => (0.0, FAILED),
            Outcome::False => (0.0, FALSE_ANSWER),
        };
        self.success += (target - self.success) * part;
        match outcome {
            Outcome::Good(elapsed) => {
                let elapsed = elapsed.as_secs_f64();
                let known = self.latency_secs.unwrap_or(elapsed);
                self.latency_secs = Some(known + (elapsed - known) * NEWEST);
                if self.success >= SUCCESS_LEAST {
                    self.rests_until = Timestamp::default();
                    self.rests /= 2;
                }
            }
            Outcome::InVain => {}
            Outcome::TimedOut => self.rest(1, config, now),
            Outcome::False => self.rest(FALSE_RESTS, config, now),
        }
    }

    fn rest(&mut self, rests: u32, config: &Config, now: Timestamp) {
        if self.success >= SUCCESS_LEAST {
            return;
        }
        self.rests = self.rests.saturating_add(rests);
        let times = 4_u32.saturating_pow(self.rests.saturating_sub(1));
        self.rests_until = now.after(config.rest.saturating_mul(times).min(REST_MAX));
    }

    /// Whether it is chosen by the floor alone.
    pub(super) fn is_resting(&self, now: Timestamp) -> bool {
        now < self.rests_until
    }

    /// Whether it failed more than it answered, and nothing better is known since.
    pub(super) fn has_rested(&self, now: Timestamp) -> bool {
        self.rests > 0 && self.success < SUCCESS_LEAST && !self.is_resting(now)
    }

    pub(super) fn rests_for(&self, now: Timestamp) -> Duration {
        self.rests_until.since(now)
    }

    /// The share of success, drifting back to the unknown with time; who has rested is worth a try again.
    pub(super) fn success_at(&self, config: &Config, now: Timestamp) -> f64 {
        let half_lives = now.since(self.at).as_secs_f64() / config.record_half_life.as_secs_f64();
        let success = SUCCESS_UNKNOWN + (self.success - SUCCESS_UNKNOWN) * halved(half_lives);
        if self.has_rested(now) { success.max(SUCCESS_LEAST) } else { success }
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_secs_f64(self.latency_secs.unwrap_or(LATENCY_UNKNOWN))
    }

    /// The weight before cap and floor: the parts of what is known, times load and quality.
    pub(super) fn weight(&self, pending: usize, quality: f64, config: &Config, now: Timestamp) -> f64 {
        if self.is_resting(now) {
            return 0.0;
        }
        let scale = config.latency_scale.as_secs_f64();
        let speed = scale / (scale + self.latency_secs.unwrap_or(LATENCY_UNKNOWN));
        let load = 1.0 / (1.0 + pending as f64);
        let success = self.success_at(config, now);
        success * success * speed * load * quality
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

/// What speaks for a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weight {
    pub(super) weight: f64,
    /// It failed before, and is worth one try.
    pub(super) has_rested: bool,
}

/// Leaves out who has rested, unless it is their turn, or most of the others are unfit too: after an outage of our own
/// everybody has rested.
pub(super) fn admit_rested(weights: &[Weight], is_their_turn: bool) -> Vec<f64> {
    let fit = weights.iter().filter(|weight| weight.weight > 0.0 && !weight.has_rested).count();
    let are_in = is_their_turn || fit.saturating_mul(2) < weights.len();
    weights.iter().map(|weight| if weight.has_rested && !are_in { 0.0 } else { weight.weight }).collect()
}

/// The chance of each candidate: `floor` of all choices made evenly, the rest by weight, but nobody far above an even share.
/// With no weight at all it is even.
///
/// # Security
/// The cap is what keeps a peer from earning the choice with many cheap calls answered well, to betray it later.
pub(super) fn chances(weights: &[f64], floor: f64) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let even = 1.0 / weights.len() as f64;
    if !(total > 0.0 && total.is_finite()) {
        return vec![even; weights.len()];
    }
    let fit = weights.iter().filter(|weight| **weight > 0.0).count();
    let share_max = (SHARE_MAX * even).max(SHARE_OF_FIT_MAX / fit as f64);
    let scale = scale_under(weights, total, share_max);
    weights.iter().map(|weight| floor * even + (1.0 - floor) * (weight * scale).min(share_max)).collect()
}

/// By what weights are multiplied so that, cut at `share_max`, they add up to 1. What is cut goes to the others.
fn scale_under(weights: &[f64], total: f64, share_max: f64) -> f64 {
    let mut scale = 1.0 / total;
    // Each turn but the last cuts at least one more of them; almost always there are two or three turns.
    for _ in weights {
        let (mut cut, mut rest) = (0.0, 0.0);
        for weight in weights {
            if weight * scale > share_max {
                cut += share_max;
            } else {
                rest += weight;
            }
        }
        let next = if rest > 0.0 { (1.0 - cut) / rest } else { scale };
        if next <= scale {
            break;
        }
        scale = next;
    }
    scale
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
    chances.iter().rposition(|chance| *chance > 0.0).or(chances.len().checked_sub(1))
}

#[cfg(test)]
mod tests;
