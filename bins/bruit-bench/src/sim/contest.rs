//! iroh-gossip's scenarios, by it in its own simulator and by the tree policy in ours.

use std::time::Duration;

use bruit_core::Seed;
use bruit_gossip::{Policy, Tree};
use bruit_sim::{
    Latency, Links, Overlay,
    gossip::{self, Experiment},
};
use serde::Serialize;

use super::iroh;

/// The bounds of a link's latency.
pub(super) const LATENCY_MS: [u64; 2] = [10, 50];
/// The seeds of iroh-gossip's suite.
const SEEDS: [u64; 4] = [0, 1, 212_312_388_123, 123];
/// How many peers each of our nodes dials, as the default profile does.
const DIALS: u32 = 16;

/// One scenario.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Scenario {
    pub(super) nodes: u32,
    pub(super) origin: Origin,
    /// How many times somebody sends, or everybody, one after the other.
    pub(super) rounds: u32,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Origin {
    /// One node sends all.
    Single,
    /// A node drawn by chance sends each.
    Random,
    /// All nodes send, in the same moment.
    Everybody,
}

/// What the messages of a run showed: means over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Row {
    /// Copies for each node that one reached, beyond the one.
    pub(super) redundancy: f64,
    /// How many nodes a message did not reach.
    pub(super) missed: f64,
    /// After how long the last one had it.
    pub(super) last_ms: f64,
    pub(super) last_hop: f64,
}

/// Both sides of a scenario: means over the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Contest {
    #[serde(flatten)]
    pub(super) scenario: Scenario,
    pub(super) ours: Row,
    pub(super) peer: Row,
}

impl Contest {
    /// Whether ours is as good as it should be: half the redundancy, nothing missed, no longer.
    pub(super) fn holds(&self) -> bool {
        let Self { ours, peer, .. } = self;
        ours.redundancy <= peer.redundancy / 2.0 && ours.missed == 0.0 && ours.last_ms <= peer.last_ms
    }
}

/// All scenarios up to a number of nodes.
pub(super) fn all(nodes_max: u32) -> anyhow::Result<Vec<Contest>> {
    let origins = [Origin::Single, Origin::Random];
    let alone =
        origins.into_iter().flat_map(|origin| [20, 100, 1_000].map(|nodes| Scenario { nodes, origin, rounds: 30 }));
    // As few as in iroh-gossip's suite.
    let together = [(20, 30), (100, 5)].map(|(nodes, rounds)| Scenario { nodes, origin: Origin::Everybody, rounds });
    alone.chain(together).filter(|scenario| scenario.nodes <= nodes_max).map(contest).collect()
}

fn contest(scenario: Scenario) -> anyhow::Result<Contest> {
    let mut contest = Contest { scenario, ours: Row::default(), peer: Row::default() };
    for seed in SEEDS {
        contest.ours.add(&ours(scenario, seed)?);
        contest.peer.add(&iroh::run(scenario, seed)?.row);
    }
    Ok(contest)
}

impl Row {
    fn add(&mut self, run: &Self) {
        let share = 1.0 / SEEDS.len() as f64;
        self.redundancy += run.redundancy * share;
        self.missed += run.missed * share;
        self.last_ms += run.last_ms * share;
        self.last_hop += run.last_hop * share;
    }
}

/// The same by ours, trees growing as the messages go, as iroh-gossip's do.
fn ours(scenario: Scenario, seed: u64) -> anyhow::Result<Row> {
    let seed = Seed::from_number(seed);
    let overlay = Overlay::random(scenario.nodes, DIALS.min(scenario.nodes - 1), &seed)?;
    let [min, max] = LATENCY_MS.map(Duration::from_millis);
    let at_once = match scenario.origin {
        Origin::Single | Origin::Random => 1,
        Origin::Everybody => scenario.nodes as usize,
    };
    let experiment = Experiment {
        links: Links { latency: Latency::Uniform { min, max }, ..Links::default() },
        messages: scenario.rounds as usize * at_once,
        at_once,
        origin: match scenario.origin {
            Origin::Single => gossip::Origin::Node(0),
            Origin::Random => gossip::Origin::Random,
            Origin::Everybody => gossip::Origin::Rotating(scenario.nodes),
        },
        tail: Duration::from_secs(5),
        ..Experiment::new(overlay, Policy::Tree(Tree::default()), seed)
    };
    let measures = experiment.run()?;
    anyhow::ensure!(measures.broken().is_empty(), "{:?}", measures.broken());
    let rounds = f64::from(scenario.rounds);
    let missed: u32 = measures.messages.iter().map(|spread| spread.wanted - spread.reached).sum();
    let moments = measures.messages.chunks(at_once);
    let last: Duration = moments.filter_map(|all| all.iter().map(gossip::Spread::last_delivery).max()).sum();
    Ok(Row {
        redundancy: measures.redundancy().mean,
        missed: f64::from(missed) / rounds,
        last_ms: last.as_secs_f64() * 1_000.0 / rounds,
        last_hop: measures.last_hop().mean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_network_of_ours_misses_nothing_at_half_of_the_redundancy() {
        let contests = all(20).unwrap();
        assert_eq!(contests.len(), 3);
        for contest in contests {
            let Contest { ours, peer, .. } = contest;
            assert!(peer.redundancy > 0.0 && peer.last_ms > 0.0 && ours.last_hop >= 1.0, "{contest:?}");
            assert!(ours.missed == 0.0 && ours.redundancy <= peer.redundancy / 2.0, "{contest:?}");
        }
    }

    #[test]
    fn what_their_simulator_does_is_counted() {
        let scenario = Scenario { nodes: 20, origin: Origin::Single, rounds: 3 };
        assert!(iroh::run(scenario, 1).unwrap().events_per_second > 0.0);
    }
}
