use std::time::Duration;

use bruit_core::Timestamp;
use bruit_gossip::{ItemId, Rounds};

use crate::{Figures, Sample, TraceHash, Traffic, figures::quantile};

/// Deliveries later than this count as that late in the curve.
const CURVE_MS_MAX: usize = 1 << 20;

/// What a run shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Measures {
    /// How many nodes there were.
    pub nodes: u32,
    /// How every message spread, in the order of publishing.
    pub messages: Vec<Spread>,
    /// How many ids were announced by all nodes together.
    pub ids_announced: u64,
    /// What came of attacks; `None` without them.
    pub hostile: Option<Figures>,
    /// How well spies name origins by who told any of them first; `None` without spies.
    pub unmasking: Option<Unmasking>,
    /// How well they name them by the moments at which each of them was told first; `None` without spies.
    pub likelihood: Option<Unmasking>,
    /// How well an eavesdropper names them by whom it saw telling of an item first; `None` without one.
    pub overheard: Option<Unmasking>,
    /// The most peers that one node pushed one message to.
    pub pushes_per_item_max: u64,
    /// The largest round of any copy sent.
    pub round_max: u32,
    /// What the links carried.
    pub traffic: Traffic,
    /// A hash over all that was delivered to any engine, with time, sender and receiver: equal seeds, equal hashes.
    pub trace: TraceHash,
}

/// How well spies name the origins of what honest nodes published.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unmasking {
    /// The mean, over these messages, of one over the messages that are ascribed to the same node, if that is right, else 0.
    pub precision: f64,
    /// The share of these messages whose origin is named.
    pub recall: f64,
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
    /// How many nodes should have it: those that were up until the end and take part, the origin included.
    pub wanted: u32,
    /// How many of those had it in the end, its origin included.
    pub reached: u32,
    /// How many copies were sent.
    pub copies: u64,
    /// On which rounds the first copies came.
    pub first_rounds: Rounds,
    /// The first honest node that told a spy of it: whom the spies take for its origin.
    pub suspect: Option<u32>,
    /// Whom an eavesdropper saw telling of it first.
    pub overheard: Option<u32>,
    /// Each spy that was told of it by an honest node, and how many microseconds after the first copy was sent.
    pub sightings: Vec<(u32, u32)>,
    /// How many microseconds after publishing each receiver got it, ascending.
    pub delays: Vec<u32>,
    /// How many a flood over the same links would have taken, ascending; empty when it was not computed.
    pub optimum: Vec<u32>,
}

impl Measures {
    /// The share of nodes that had a message in the end, its origin included: mean over the messages.
    pub fn coverage(&self) -> Sample {
        self.messages.iter().map(Spread::coverage).collect()
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

    /// Which invariants did not hold, in words.
    pub fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.traffic.garbled > 0 {
            broken.push(format!("{} frames did not survive encoding and decoding", self.traffic.garbled));
        }
        for spread in &self.messages {
            let receivers = spread.delays.len() as u64;
            if spread.copies < receivers {
                broken.push(format!("{:?} was received {receivers} times, but sent {}", spread.id, spread.copies));
            }
            let is_early = spread.delays.iter().zip(&spread.optimum).any(|(took, least)| took < least);
            if is_early {
                broken.push(format!("{:?} was faster than a flood", spread.id));
            }
        }
        broken
    }

    /// Which share of the nodes had the messages after each round, and after each millisecond.
    fn count_curves(&self, figures: &mut Figures) {
        let messages = self.messages.len() as u64;
        let receivers: u64 = self.messages.iter().map(|spread| spread.delays.len() as u64).sum();
        let wanted: u64 = self.messages.iter().map(|spread| u64::from(spread.wanted)).sum();
        let whole = wanted.max(receivers + messages);
        let mut by_round = self.first_rounds().counts().to_vec();
        let mut by_ms = Vec::new();
        for micros in self.messages.iter().flat_map(|spread| &spread.delays) {
            let ms = (*micros as usize / 1_000).min(CURVE_MS_MAX);
            if by_ms.len() <= ms {
                by_ms.resize(ms + 1, 0);
            }
            by_ms[ms] += 1;
        }
        for (name, counts) in [("coverage_by_round", &mut by_round), ("coverage_by_ms", &mut by_ms)] {
            counts.resize(counts.len().max(1), 0);
            // The origins have it from the beginning.
            counts[0] += messages;
            figures.steps(name, std::mem::take(counts), whole);
        }
    }

    /// All of it by name.
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        figures.count("messages", self.messages.len() as u64);
        for spread in &self.messages {
            spread.count_in(&mut figures);
        }
        let at_nodes = f64::from(self.nodes) * self.messages.len().max(1) as f64;
        figures.mean("ids_per_node", self.ids_announced as f64 / at_nodes);
        if let Some(Unmasking { precision, recall }) = self.unmasking {
            figures.mean("precision", precision);
            figures.mean("recall", recall);
        }
        if let Some(Unmasking { precision, recall }) = self.likelihood {
            figures.mean("precision_likelihood", precision);
            figures.mean("recall_likelihood", recall);
        }
        if let Some(Unmasking { precision, recall }) = self.overheard {
            figures.mean("precision_eavesdropper", precision);
            figures.mean("recall_eavesdropper", recall);
        }
        self.hostile.iter().for_each(|hostile| figures.pool(hostile.clone()));
        self.count_curves(&mut figures);
        figures.most("round_max", f64::from(self.round_max));
        figures.most("pushes_per_item_max", self.pushes_per_item_max as f64);
        self.traffic.count_in(&mut figures);
        figures
    }
}

impl Spread {
    /// The share of nodes that had it in the end, its origin included.
    pub fn coverage(&self) -> f64 {
        f64::from(self.reached) / f64::from(self.wanted.max(1))
    }

    /// Relative message redundancy; `None` if it reached nobody.
    pub fn redundancy(&self) -> Option<f64> {
        let receivers = self.delays.len();
        (receivers > 0).then(|| self.copies as f64 / receivers as f64 - 1.0)
    }

    /// How long after publishing the last node got it.
    pub fn last_delivery(&self) -> Duration {
        Duration::from_micros(self.delays.last().copied().unwrap_or(0).into())
    }

    fn count_in(&self, figures: &mut Figures) {
        figures.mean("coverage", self.coverage());
        figures.least("coverage_least", self.coverage());
        figures.share("complete", u64::from(self.reached >= self.wanted), 1);
        if let Some(redundancy) = self.redundancy() {
            figures.mean("redundancy", redundancy);
        }
        figures.mean("last_hop", f64::from(self.first_rounds.last()));
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            let took = f64::from(quantile(&self.delays, share));
            figures.mean(&format!("{name}_ms"), took / 1_000.0);
            let least = f64::from(quantile(&self.optimum, share));
            if least > 0.0 && self.reached >= self.wanted {
                figures.mean(&format!("{name}_over_optimum"), took / least);
            }
        }
    }
}
