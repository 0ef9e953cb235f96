//! Whole nodes, all engines coupled as in a swarm, in the simulator.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_sim::{Options, Scenario, scenario::Run};

/// A hundred nodes, bots that lie to them and hold what they can, and a restart in which some never come back.
const ATTACKED: &str = r#"
kind = "network"
nodes = 100

[links.latency]
uniform_ms = [10, 50]

[network]
hostile_seeds = 3
join_within_ms = 10_000
grow_ms = 30_000

[network.attack]
kind = "eclipse"
bots = 60
lasts_ms = 20_000
connections = 8
interval_ms = 10_000
addrs_per_message = 20
trash = 0.5

[network.restart]
share = 0.2
dead_share = 0.2
watch_ms = 20_000
"#;

fn run(text: &str, seed: u64, is_wire: bool) -> Run {
    let options = Options { seed: Some(seed), is_wire, ..Options::default() };
    Scenario::parse("attacked", text, options).unwrap().run(0).unwrap()
}

#[test]
fn the_same_seed_leaves_the_same_trace_also_through_the_wire_and_another_does_not() {
    let [shared, encoded, other] =
        [(1, false), (1, true), (2, false)].map(|(seed, is_wire)| run(ATTACKED, seed, is_wire));
    assert_eq!((shared.trace, &shared.figures), (encoded.trace, &encoded.figures));
    assert_ne!(shared.trace, other.trace);
    for run in [shared, encoded, other] {
        assert_eq!(run.broken, Vec::<String>::new());
    }
}

#[test]
fn what_is_published_after_a_crash_reaches_those_that_are_left() {
    let text = ATTACKED.split("[network.attack]").next().unwrap().replace("hostile_seeds = 3\n", "");
    let text =
        format!("{text}[network.restart]\ndead_share = 0.5\n[network.load]\nmessages = 5\nat_ms = [0, 20_000]\n");
    let run = run(&text, 1, false);
    let printed = run.figures.printed();
    assert!(printed["delivered_after_0ms"] > 0.9, "{printed:?}");
    assert_eq!(printed["delivered_after_20000ms"], 1.0);
    assert_eq!(run.broken, Vec::<String>::new());
}

#[test]
fn fault_a_claim_about_a_moment_at_which_nobody_published_does_not_hold() {
    let text = format!("{ATTACKED}[[claim]]\nfigure = \"delivered_after_5ms\"\nmax = 0.5\n");
    let scenario = Scenario::parse("attacked", &text, Options::default()).unwrap();
    assert!(!scenario.judge(Vec::new()).unwrap().holds());
    let refused = Scenario::parse("attacked", &text.replace("max = 0.5", "max = 2"), Options::default()).unwrap_err();
    assert!(refused.to_string().contains("is a share"), "{refused}");
}

#[test]
fn a_network_that_cannot_be_is_refused_with_its_line() {
    for (from, to, reason) in [
        ("nodes = 100", "nodes = 1", "line 3: nodes: 1 nodes, but whole nodes must be 2 to 100000"),
        ("hostile_seeds = 3", "hostile_seeds = 61", "61 of 60 bots cannot be seeds"),
        ("trash = 0.5", "trash = 1.5", "line 20: network.attack.trash: 1.5 is no share"),
        ("trash = 0.5", "trash = 0.5\n[network.load]\nat_ms = [30_000]", "nobody watches any more after 30000 ms"),
        ("trash = 0.5", "trash = 0.5\n[network.load]\nmessages = 1_001", "1001 messages are more than 1000"),
        ("dead_share = 0.2", "dead_shear = 0.2", "unknown field `dead_shear`"),
    ] {
        let refused = Scenario::parse("attacked", &ATTACKED.replacen(from, to, 1), Options::default()).unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}
