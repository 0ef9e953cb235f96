use std::time::Duration;

use bruit_core::{ChaCha8Rng, Seed};
use rand::{RngExt, SeedableRng};

/// How links carry frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Links {
    /// How long a frame takes.
    pub latency: Latency,
    /// The share of frames that do not arrive, from 0 to 1.
    pub loss: f64,
    /// What each frame takes more, drawn from zero to this.
    pub jitter: Duration,
    /// Whether a frame may overtake another on its link; else jitter delays those behind it too.
    pub reorder: bool,
    /// How many bits a second a node can send to all its peers together; `None`: any number.
    pub bandwidth: Option<u64>,
    /// What else may delay a frame.
    pub model: Model,
}

/// How long a frame takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Latency {
    /// The same on every link: items spread in synchronous rounds.
    Constant(Duration),
    /// Drawn once for each link, uniformly; the same both ways.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// Drawn once for each link: the logarithm is distributed normally.
    LogNormal {
        /// What half of the links do not exceed.
        median: Duration,
        /// The standard deviation of the natural logarithm.
        sigma: f64,
    },
    /// By the regions of both ends.
    Regions(Regions),
}

/// Regions of the world, and how far they are from each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Regions {
    /// The share of nodes in each region, in any unit.
    pub weights: Vec<f64>,
    /// The latency from each region to each, in rows.
    pub latency: Vec<Vec<Duration>>,
}

/// What an adversary that schedules the network may do to frames beside their latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Model {
    /// Nothing.
    #[default]
    Synchronous,
    /// Until a moment, counted from the start, each frame may take up to so much longer; then nothing.
    PartiallySynchronous {
        /// When frames begin to arrive in time.
        calm_after: Duration,
        /// The longest extra delay before.
        delay_max: Duration,
    },
    /// Each frame may take longer, without bound: exponentially distributed.
    Asynchronous {
        /// The mean extra delay.
        delay_mean: Duration,
    },
}

impl Default for Links {
    /// 30 ms on every link, without loss.
    fn default() -> Self {
        Self::of(Latency::Constant(Duration::from_millis(30)))
    }
}

impl Links {
    /// Links that lose nothing and delay by their latency alone.
    pub const fn of(latency: Latency) -> Self {
        Self { latency, loss: 0.0, jitter: Duration::ZERO, reorder: false, bandwidth: None, model: Model::Synchronous }
    }
}

impl Latency {
    /// The longest that a frame takes; for log-normal latencies what one link in a thousand exceeds.
    pub fn longest(&self) -> Duration {
        match self {
            Self::Constant(latency) => *latency,
            Self::Uniform { max, .. } => *max,
            Self::LogNormal { median, sigma } => median.mul_f64(libm::exp(3.1 * sigma)),
            Self::Regions(regions) => regions.latency.iter().flatten().max().copied().unwrap_or_default(),
        }
    }

    /// The latency of the link between two nodes.
    pub(crate) fn draw(&self, ends: [usize; 2], rng: &mut ChaCha8Rng) -> Duration {
        match self {
            Self::Constant(latency) => *latency,
            Self::Uniform { min, max } => {
                let [min, max] = [min, max].map(|bound| bound.as_micros() as u64);
                Duration::from_micros(rng.random_range(min..=max.max(min)))
            }
            Self::LogNormal { median, sigma } => median.mul_f64(libm::exp(sigma * normal(rng))),
            Self::Regions(regions) => {
                let [from, to] = ends;
                regions.latency.get(from).and_then(|row| row.get(to)).copied().unwrap_or_default()
            }
        }
    }

    /// The latency between two nodes without a laid link: drawn by the pair's number alone.
    pub(crate) fn of_pair(&self, ends: [usize; 2], seed: &Seed, pair: u64) -> Duration {
        match self {
            Self::Constant(latency) => *latency,
            Self::Uniform { .. } | Self::LogNormal { .. } | Self::Regions(_) => {
                let number = seed.keyed_hash(&pair.to_le_bytes());
                self.draw(ends, &mut ChaCha8Rng::seed_from_u64(number))
            }
        }
    }

    /// The region of each node; all are in the first one where there are none.
    pub(crate) fn regions_of(&self, nodes: usize, seed: &Seed) -> Vec<u8> {
        let Self::Regions(Regions { weights, .. }) = self else { return Vec::new() };
        let (total, mut rng) = (weights.iter().sum::<f64>(), seed.derive("regions", 0).rng());
        let draw = |_| {
            let mut left = rng.random::<f64>() * total;
            let region = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            region.unwrap_or(weights.len().saturating_sub(1)) as u8
        };
        (0..nodes).map(draw).collect()
    }
}

/// A number of the standard normal distribution (Box and Muller), the same on every platform.
pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let [a, b] = [(); 2].map(|()| rng.random::<f64>());
    libm::sqrt(-2.0 * libm::log(1.0 - a)) * libm::cos(core::f64::consts::TAU * b)
}

/// A span of the exponential distribution, the same on every platform.
pub(crate) fn exponential(mean: Duration, rng: &mut ChaCha8Rng) -> Duration {
    mean.mul_f64(-libm::log(1.0 - rng.random::<f64>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_latencies_have_the_shape_of_their_name() {
        let mut rng = Seed::from_number(1).rng();
        let median = Duration::from_millis(80);
        let latency = Latency::LogNormal { median, sigma: 0.5 };
        let mut drawn: Vec<_> = (0..10_001).map(|_| latency.draw([0, 0], &mut rng)).collect();
        drawn.sort();
        let middle = drawn[5_000].as_secs_f64() / median.as_secs_f64();
        assert!((0.97..1.03).contains(&middle), "{middle}");
        let upper = drawn[8_413].as_secs_f64() / median.mul_f64(libm::exp(0.5)).as_secs_f64();
        assert!((0.95..1.05).contains(&upper), "{upper}");

        let mean = (0..10_000).map(|_| exponential(median, &mut rng)).sum::<Duration>() / 10_000;
        assert!((76..84).contains(&mean.as_millis()), "{mean:?}");
    }

    #[test]
    fn regions_hold_their_share_of_nodes_and_set_the_latency() {
        let ms = Duration::from_millis;
        let regions = Regions { weights: vec![3.0, 1.0], latency: vec![vec![ms(5), ms(90)], vec![ms(90), ms(7)]] };
        let latency = Latency::Regions(regions);
        let of = latency.regions_of(10_000, &Seed::from_number(1));
        let second = of.iter().filter(|region| **region == 1).count();
        assert!((2_300..2_700).contains(&second), "{second}");
        let mut rng = Seed::from_number(1).rng();
        assert_eq!([[0, 0], [0, 1], [1, 1]].map(|ends| latency.draw(ends, &mut rng)), [ms(5), ms(90), ms(7)]);
        assert_eq!(latency.longest(), ms(90));
    }
}
