//! Durations by chance.

use std::time::Duration;

use bruit_core::ChaCha8Rng;
use rand::RngExt;

/// A duration drawn from an exponential distribution.
pub(super) fn exponential(mean: Duration, rng: &mut ChaCha8Rng) -> Duration {
    let share: f64 = rng.random();
    mean.mul_f64(-(1.0 - share).ln())
}

#[cfg(test)]
mod tests {
    use bruit_core::Seed;

    use super::*;

    #[test]
    fn mean_and_tail_are_those_of_the_distribution() {
        let mut rng = Seed::from_number(1).rng();
        let drawn: Vec<f64> =
            (0..100_000).map(|_| exponential(Duration::from_secs(1), &mut rng).as_secs_f64()).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        // A hundred thousand draws: the mean is within 0.003 of 1, one standard deviation; e^-2 of them are above 2.
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let above = drawn.iter().filter(|drawn| **drawn > 2.0).count() as f64 / drawn.len() as f64;
        assert!((above - 0.1353).abs() < 0.006, "{above}");
        assert_eq!(exponential(Duration::ZERO, &mut rng), Duration::ZERO);
    }
}
