use std::time::Duration;

use bruit_core::Timestamp;
use bruit_gossip::{ItemId, Rounds};

/// What a run shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Measures {
    /// How many nodes there were.
    pub nodes: u32,
    /// How every message spread, in the order of publishing.
    pub messages: Vec<Spread>,
    /// The most peers that one node pushed one message to.
    pub pushes_per_item_max: u64,
    /// The largest round of any copy sent.
    pub round_max: u32,
    /// Frames that the links lost.
    pub frames_lost: u64,
    /// How many events the run took.
    pub events: u64,
    /// A hash over all that was delivered to any engine, with time, sender and receiver: equal seeds, equal hashes.
    pub trace: TraceHash,
}

/// How one message spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The message.
    pub id: ItemId,
    /// Who published it.
    pub origin: u32,
    /// When.
    pub published: Timestamp,
    /// How many nodes had it in the end, its origin included.
    pub reached: u32,
    /// How many copies were sent.
    pub copies: u64,
    /// On which rounds the first copies came.
    pub first_rounds: Rounds,
    /// How long after publishing the last node got it.
    pub last_delivery: Duration,
}

/// A hash over a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceHash(pub(crate) [u8; 32]);

/// The mean of some numbers, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, estimated from the sample.
    pub deviation: f64,
    /// How many numbers there were.
    pub count: usize,
}

impl Measures {
    /// The share of nodes that had a message in the end, its origin included: mean over the messages.
    pub fn coverage(&self) -> Sample {
        self.messages.iter().map(|spread| spread.coverage(self.nodes)).collect()
    }

    /// Relative message redundancy, copies / (reached - 1) - 1: mean over the messages that reached anybody.
    pub fn redundancy(&self) -> Sample {
        self.messages.iter().filter_map(Spread::redundancy).collect()
    }

    /// The largest round of a first copy: mean over the messages.
    pub fn last_hop(&self) -> Sample {
        self.messages.iter().map(|spread| f64::from(spread.first_rounds.last())).collect()
    }

    /// On which rounds first copies came, all messages together.
    pub fn first_rounds(&self) -> Rounds {
        let mut sum = Rounds::default();
        self.messages.iter().for_each(|spread| sum.add(&spread.first_rounds));
        sum
    }
}

impl Spread {
    /// The share of nodes that had it in the end, its origin included.
    pub fn coverage(&self, nodes: u32) -> f64 {
        f64::from(self.reached) / f64::from(nodes)
    }

    /// Relative message redundancy; `None` if it reached nobody.
    pub fn redundancy(&self) -> Option<f64> {
        let receivers = self.reached.checked_sub(1).filter(|receivers| *receivers > 0)?;
        Some(self.copies as f64 / f64::from(receivers) - 1.0)
    }
}

impl Sample {
    /// The standard error of the mean.
    pub fn error(&self) -> f64 {
        self.deviation / (self.count as f64).sqrt()
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let numbers: Vec<f64> = numbers.into_iter().collect();
        let count = numbers.len();
        let mean = numbers.iter().sum::<f64>() / count.max(1) as f64;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        Self { mean, deviation: (squares / count.saturating_sub(1).max(1) as f64).sqrt(), count }
    }
}

impl std::fmt::Display for TraceHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for TraceHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TraceHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_know_their_mean_deviation_and_error() {
        let sample: Sample = [1.0, 2.0, 3.0, 4.0].into_iter().collect();
        assert_eq!((sample.mean, sample.count), (2.5, 4));
        assert!((sample.deviation - 1.290_994).abs() < 1e-6);
        assert!((sample.error() - 0.645_497).abs() < 1e-6);
        let none: Sample = [].into_iter().collect();
        assert_eq!((none.mean, none.deviation, none.count), (0.0, 0.0, 0));
    }

    #[test]
    fn redundancy_counts_receivers_only() {
        let spread = Spread {
            id: ItemId::new([0; 32]),
            origin: 0,
            published: Timestamp::default(),
            reached: 11,
            copies: 15,
            first_rounds: Rounds::default(),
            last_delivery: Duration::ZERO,
        };
        assert_eq!(spread.redundancy(), Some(0.5));
        assert_eq!(Spread { reached: 1, ..spread.clone() }.redundancy(), None);
        assert_eq!(spread.coverage(44), 0.25);
    }
}
