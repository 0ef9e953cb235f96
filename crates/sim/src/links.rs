use std::time::Duration;

use bruit_core::ChaCha8Rng;
use rand::RngExt;

/// How links carry frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Links {
    /// How long a frame takes.
    pub latency: Latency,
    /// The share of frames that do not arrive, from 0 to 1.
    pub loss: f64,
}

/// How long a frame takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Default for Links {
    /// 30 ms on every link, without loss.
    fn default() -> Self {
        Self { latency: Latency::Constant(Duration::from_millis(30)), loss: 0.0 }
    }
}

impl Latency {
    /// The longest that a frame takes.
    pub const fn longest(&self) -> Duration {
        match self {
            Self::Constant(latency) => *latency,
            Self::Uniform { max, .. } => *max,
        }
    }

    /// The latency of one link.
    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng) -> Duration {
        match self {
            Self::Constant(latency) => *latency,
            Self::Uniform { min, max } => {
                let [min, max] = [min, max].map(|bound| bound.as_micros() as u64);
                Duration::from_micros(rng.random_range(min..=max.max(min)))
            }
        }
    }
}
