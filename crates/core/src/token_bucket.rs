use std::time::Duration;

use crate::Timestamp;

const UNIT: u64 = 1_000_000;

/// A rate limit: tokens come at a constant rate up to a burst, and each use takes some.
///
/// Whole arithmetic in millionths of a token, saturating, so that equal inputs give equal states everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    micro_tokens: u64,
    micro_tokens_per_second: u64,
    burst: u64,
    filled: Timestamp,
}

impl TokenBucket {
    /// Makes a bucket that holds `start` tokens now, gets `per_second` and keeps at most `burst`.
    ///
    /// `per_second` is rounded to millionths; not finite or negative counts as zero.
    pub fn new(per_second: f64, burst: u64, start: u64, now: Timestamp) -> Self {
        Self {
            micro_tokens: start.min(burst).saturating_mul(UNIT),
            micro_tokens_per_second: (per_second.max(0.0) * UNIT as f64) as u64,
            burst: burst.saturating_mul(UNIT),
            filled: now,
        }
    }

    /// Takes `count` tokens if that many are there.
    pub fn take(&mut self, count: u64, now: Timestamp) -> bool {
        self.fill(now);
        let Some(rest) = self.micro_tokens.checked_sub(count.saturating_mul(UNIT)) else { return false };
        self.micro_tokens = rest;
        true
    }

    /// Takes as many of `count` tokens as are there, and returns how many.
    pub fn take_up_to(&mut self, count: u64, now: Timestamp) -> u64 {
        let taken = self.available(now).min(count);
        self.micro_tokens -= taken * UNIT;
        taken
    }

    /// Adds tokens beyond the burst: credit for something that was asked for.
    pub fn credit(&mut self, count: u64, now: Timestamp) {
        self.fill(now);
        self.micro_tokens = self.micro_tokens.saturating_add(count.saturating_mul(UNIT));
    }

    /// How many whole tokens are there.
    pub fn available(&mut self, now: Timestamp) -> u64 {
        self.fill(now);
        self.micro_tokens / UNIT
    }

    /// How long until `count` tokens are there; `None` if they never will be.
    pub fn wait_for(&mut self, count: u64, now: Timestamp) -> Option<Duration> {
        self.fill(now);
        let wanted = count.saturating_mul(UNIT);
        let missing = wanted.saturating_sub(self.micro_tokens);
        if missing == 0 {
            return Some(Duration::ZERO);
        }
        if wanted > self.burst || self.micro_tokens_per_second == 0 {
            return None;
        }
        let micros = u128::from(missing) * 1_000_000 / u128::from(self.micro_tokens_per_second) + 1;
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }

    fn fill(&mut self, now: Timestamp) {
        let elapsed = now.since(self.filled).as_micros();
        let come = elapsed.saturating_mul(u128::from(self.micro_tokens_per_second)) / 1_000_000;
        if come == 0 {
            return;
        }
        self.filled = now;
        if self.micro_tokens < self.burst {
            let come = u64::try_from(come).unwrap_or(u64::MAX);
            self.micro_tokens = self.micro_tokens.saturating_add(come).min(self.burst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn refuses_above_and_grants_at_what_is_there() {
        let mut bucket = TokenBucket::new(0.1, 10, 5, at(0));
        assert!(!bucket.take(6, at(0)));
        assert!(bucket.take(5, at(0)));
        assert!(!bucket.take(1, at(9_999)));
        assert!(bucket.take(1, at(10_000)));
        assert_eq!(bucket.wait_for(1, at(10_000)), Some(Duration::from_micros(10_000_001)));
        assert_eq!(bucket.wait_for(11, at(10_000)), None);
        assert_eq!(bucket.available(at(u64::MAX / 2_000)), 10);
    }

    #[test]
    fn credit_goes_beyond_the_burst_and_stays() {
        let mut bucket = TokenBucket::new(1.0, 2, 0, at(0));
        bucket.credit(100, at(0));
        assert_eq!(bucket.available(at(60_000)), 100);
        assert_eq!(bucket.take_up_to(150, at(60_000)), 100);
        assert_eq!(bucket.available(at(120_000)), 2);
    }

    #[test]
    fn asking_often_loses_nothing() {
        let mut bucket = TokenBucket::new(0.5, 1, 0, at(0));
        let granted = (1..=40_000).filter(|ms| bucket.take(1, at(*ms))).count();
        assert_eq!(granted, 20);
    }
}
