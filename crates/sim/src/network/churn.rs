//! Nodes that go and come back, all the time.

use std::time::Duration;

use bruit_core::Seed;
use rand::{RngExt, seq::SliceRandom};

/// How many nodes go, and how long they are away. No node goes twice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Churn {
    /// The share of the nodes that goes each minute, each in a moment of its own.
    pub share: f64,
    /// For how long each is away.
    pub away: Duration,
    /// For how long nodes go.
    pub lasts: Duration,
}

impl Churn {
    /// Who of these goes, and after how long: as many as a share of `all` says.
    pub(super) fn plan(&self, mut nodes: Vec<u32>, all: u32, seed: &Seed) -> Vec<(u32, Duration)> {
        let mut rng = seed.derive("churn", 0).rng();
        let count = (f64::from(all) * self.share * self.lasts.as_secs_f64() / 60.0).round() as usize;
        nodes.shuffle(&mut rng);
        nodes.truncate(count);
        nodes.into_iter().map(|node| (node, self.lasts.mul_f64(rng.random()))).collect()
    }
}
