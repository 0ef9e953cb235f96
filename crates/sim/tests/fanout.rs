//! The shipped engine's `fanout` at scale: limits proved, figures compared with an independent computation.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bruit_core::Seed;
use bruit_gossip::{Carry, Policy, Validation};
use bruit_sim::{
    Latency, Links, Overlay, Sample,
    gossip::{Experiment, ExperimentError, Measures, Origin, Role, Subscribers},
};

const fn fanout(peers: u32, rounds: u32) -> Policy {
    Policy::Fanout { peers, rounds }
}

/// A network where everybody dials `dials` others; they carry, nobody listens.
fn random(nodes: u32, dials: u32, policy: Policy, number: u64) -> Experiment {
    let seed = Seed::from_number(number);
    let overlay = Overlay::random(nodes, dials, &seed).unwrap();
    Experiment { subscribers: Subscribers::Nobody, ..Experiment::new(overlay, policy, seed) }
}

/// Coverage in percent and redundancy of single messages, each on a graph of its own.
fn row(nodes: u32, fan_out: u32, runs: u64) -> (Sample, Sample) {
    let run = |number| {
        let measures = random(nodes, fan_out, fanout(fan_out, 6), number).run().unwrap();
        assert!(measures.pushes_per_item_max <= u64::from(fan_out));
        assert!(measures.round_max <= 6);
        (measures.coverage().mean * 100.0, measures.redundancy().mean)
    };
    let runs: Vec<(f64, f64)> = (0..runs).map(run).collect();
    (runs.iter().map(|(coverage, _)| *coverage).collect(), runs.iter().map(|(_, redundancy)| *redundancy).collect())
}

/// Whether a mean agrees with a published one, itself of `runs` runs and rounded to `step`: within 3 standard errors of the
/// difference.
#[track_caller]
fn agrees(ours: Sample, published: f64, runs: f64, step: f64) {
    let error = ours.deviation * (1.0 / ours.count as f64 + 1.0 / runs).sqrt();
    let difference = (ours.mean - published).abs();
    assert!(difference <= 3.0 * error + step / 2.0, "{ours:?}, not {published}: off by {difference}, error {error}");
}

#[test]
fn a_thousand_nodes_agree_with_the_computed_table() {
    // Fan-out; coverage in percent and the step it is rounded to; redundancy. 200 runs each, six rounds.
    let rows = [(4, 96.4, 0.1, 1.90), (8, 99.997, 0.001, 7.01), (16, 100.0, 0.001, 15.02)];
    for (fan_out, coverage, step, redundancy) in rows {
        let ours = row(1_000, fan_out, 100);
        agrees(ours.0, coverage, 200.0, step);
        agrees(ours.1, redundancy, 200.0, 0.01);
    }
}

#[test]
fn ten_thousand_nodes_at_fan_out_four_hit_the_round_limit() {
    let (coverage, redundancy) = row(10_000, 4, 50);
    agrees(coverage, 40.1, 50.0, 0.1);
    agrees(redundancy, 0.25, 50.0, 0.01);
    let unlimited = random(10_000, 4, fanout(4, 32), 1).run().unwrap();
    assert!(unlimited.coverage().mean > 0.99);
    assert!(unlimited.last_hop().mean > 6.0);
}

#[test]
fn no_node_pushes_beyond_its_fan_out_and_no_copy_travels_beyond_six_rounds() {
    for (fan_out, seed) in [(1, 1), (3, 2), (16, 3)] {
        let uniform = Latency::Uniform { min: Duration::from_millis(10), max: Duration::from_millis(50) };
        let scenario = Experiment {
            links: Links { loss: 0.05, ..Links::of(uniform) },
            messages: 10,
            interval: Duration::from_millis(20),
            ..random(1_000, 16, fanout(fan_out, 6), seed)
        };
        let measures = scenario.run().unwrap();
        assert_eq!(measures.pushes_per_item_max, u64::from(fan_out));
        assert_eq!(measures.round_max, 6);
        for spread in &measures.messages {
            assert!(spread.copies <= u64::from(fan_out) * u64::from(spread.reached));
            assert_eq!(spread.first_rounds.on(0), 0);
            assert_eq!(spread.first_rounds.total(), u64::from(spread.reached) - 1);
        }
        assert!(measures.traffic.lost > 0);
    }
}

fn reached(measures: &Measures) -> Vec<u32> {
    measures.messages.iter().map(|spread| spread.reached - 1).collect()
}

#[test]
fn a_ring_of_twenty_at_six_rounds_reaches_exactly_twelve_others() {
    for fan_out in [2, 16] {
        let scenario = Experiment {
            messages: 20,
            ..Experiment::new(Overlay::ring(20).unwrap(), fanout(fan_out, 6), Seed::from_number(1))
        };
        let measures = scenario.run().unwrap();
        assert_eq!(reached(&measures), [12; 20]);
        let by_round: Vec<u64> = measures.first_rounds().counts().to_vec();
        assert_eq!(by_round, [0, 40, 40, 40, 40, 40, 40]);
    }
}

#[test]
fn who_forges_rounds_lengthens_the_way_and_nobody_relays_twice() {
    let mut scenario = Experiment::new(Overlay::ring(20).unwrap(), fanout(16, 6), Seed::from_number(1));
    scenario.origin = Origin::Node(0);
    scenario.roles = vec![Role::Honest, Role::Honest, Role::Honest, Role::Forger];
    let measures = scenario.run().unwrap();
    // Three hops to the forger and six from it on one side, six on the other.
    assert_eq!(reached(&measures), [3 + 6 + 6]);
    assert!(measures.messages[0].copies <= 2 + 15);
    assert_eq!(measures.pushes_per_item_max, 2);
}

#[test]
fn a_fan_out_of_at_least_the_degree_reaches_everybody() {
    let full = Overlay::full(20).unwrap();
    let scenario = Experiment { messages: 5, ..Experiment::new(full, fanout(19, 6), Seed::from_number(1)) };
    assert_eq!(reached(&scenario.run().unwrap()), [19; 5]);

    let overlay = Overlay::random(1_000, 4, &Seed::from_number(1)).unwrap();
    let degree = overlay.degree_max() as u32;
    let scenario = Experiment::new(overlay, fanout(degree, 32), Seed::from_number(1));
    assert_eq!(reached(&scenario.run().unwrap()), [999]);
}

#[test]
fn a_later_copy_with_rounds_left_still_travels() {
    // A slow short way and a fast long one to node 3: the first copy comes on its last round, the second one goes on.
    //   0 - 1 - 2 - 3 - 4 and 0 - 3 are drawn as a ring of four with a tail.
    let overlay = Overlay::of_edges(5, [(0, 1), (1, 2), (2, 3), (0, 3), (3, 4)]).unwrap();
    let reached_with = |seed| {
        let uniform = Latency::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(100) };
        let scenario = Experiment {
            links: Links::of(uniform),
            origin: Origin::Node(0),
            ..Experiment::new(overlay.clone(), fanout(4, 3), Seed::from_number(seed))
        };
        let spread = scenario.run().unwrap().messages[0].clone();
        (spread.reached, spread.first_rounds.last())
    };
    let runs: Vec<(u32, u32)> = (0..50).map(reached_with).collect();
    assert!(runs.iter().all(|(reached, _)| *reached == 5));
    // Both orders happened: node 3 reached first over three hops, and over one.
    assert!(runs.iter().any(|(_, last)| *last == 3) && runs.iter().any(|(_, last)| *last == 2));
}

#[test]
fn verdicts_delay_but_do_not_change_what_is_reached() {
    let at_once = Experiment {
        topic: bruit_gossip::TopicConfig { policy: fanout(16, 6), ..Default::default() },
        ..Experiment::new(Overlay::ring(20).unwrap(), fanout(16, 6), Seed::from_number(1))
    };
    assert_eq!(at_once.topic.validation, Validation::Application);
    let delayed = Experiment { verdict_delay: Duration::from_millis(200), ..at_once.clone() };
    let [at_once, delayed] = [at_once, delayed].map(|scenario| scenario.run().unwrap());
    assert_eq!((reached(&at_once), reached(&delayed)), (vec![12], vec![12]));
    assert_eq!(at_once.messages[0].last_delivery(), Duration::from_millis(6 * 30));
    assert_eq!(delayed.messages[0].last_delivery(), Duration::from_millis(6 * 30 + 5 * 200));
}

#[test]
fn items_for_subscribers_stay_among_them() {
    let mut scenario = Experiment::new(Overlay::full(20).unwrap(), fanout(19, 6), Seed::from_number(1));
    scenario.topic.carry = Carry::Subscribers;
    scenario.subscribers = Subscribers::Nodes((0..8).collect());
    scenario.origin = Origin::Node(0);
    assert_eq!(reached(&scenario.run().unwrap()), [7]);
    scenario.origin = Origin::Node(19);
    assert_eq!(reached(&scenario.run().unwrap()), [8]);
}

#[test]
fn equal_seeds_leave_equal_traces() {
    let run = |seed| {
        let uniform = Latency::Uniform { min: Duration::from_millis(10), max: Duration::from_millis(50) };
        let links = Links { loss: 0.01, ..Links::of(uniform) };
        let scenario = Experiment { links, messages: 3, ..random(500, 4, fanout(4, 6), 1) };
        Experiment { seed: Seed::from_number(seed), ..scenario }.run().unwrap()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).trace, run(2).trace);
}

/// The trace of one fixed run. It changes when a rule of `bruit-gossip` does: which peers are chosen, that the bringer is passed
/// over, when a round is too many, that a later copy with rounds left still travels, that a node relays once, what a body or an
/// id is made of. Whoever changes a rule on purpose puts the new value here and says why in the commit.
#[test]
fn the_rules_leave_the_trace_they_left_before() {
    let uniform = Latency::Uniform { min: Duration::from_millis(10), max: Duration::from_millis(50) };
    let overlay = Overlay::random(400, 4, &Seed::from_number(7)).unwrap();
    let mut scenario = Experiment::new(overlay, fanout(4, 6), Seed::from_number(7));
    scenario.links = Links { loss: 0.02, ..Links::of(uniform) };
    scenario.topic.validation = Validation::Application;
    scenario.verdict_delay = Duration::from_millis(5);
    scenario.messages = 5;
    scenario.interval = Duration::from_millis(30);
    let measures = scenario.run().unwrap();
    assert_eq!(measures.trace.to_string(), "117bc9a552d81b1ef5e2861873321489b93e508a56786d11f5e05efd7bb35cb3");
}

#[test]
fn scenarios_that_cannot_be_run_are_refused() {
    let scenario = Experiment::new(Overlay::ring(5).unwrap(), fanout(2, 6), Seed::from_number(1));
    let lossy = Experiment { links: Links { loss: 1.5, ..Links::default() }, ..scenario.clone() };
    assert_eq!(lossy.run(), Err(ExperimentError::Loss(1.5)));
    let nowhere = Experiment { origin: Origin::Node(5), ..scenario.clone() };
    assert_eq!(nowhere.run(), Err(ExperimentError::NoSuchNode(5)));
    let endless = Experiment::new(Overlay::ring(5).unwrap(), fanout(2, 33), Seed::from_number(1));
    assert!(matches!(endless.run(), Err(ExperimentError::Gossip(_))));
}
