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
    assert!(printed["prompt_after_0ms"] <= printed["delivered_after_0ms"], "{printed:?}");
    assert_eq!(printed["prompt_after_20000ms"], 1.0);
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

/// Forty nodes that are left alone.
const QUIET: &str = r#"
kind = "network"
nodes = 40

[links.latency]
uniform_ms = [10, 50]

[network]
seeds = 4
join_within_ms = 10_000
grow_ms = 30_000
"#;

fn printed(nodes: u32, section: &str) -> std::collections::BTreeMap<String, f64> {
    let quiet = QUIET.replace("nodes = 40", &format!("nodes = {nodes}"));
    let run = run(&format!("{quiet}{section}"), 1, false);
    assert_eq!(run.broken, Vec::<String>::new());
    run.figures.printed()
}

#[test]
fn those_that_are_left_have_peers_again_after_a_time() {
    let crashed = printed(100, "[network.restart]\ndead_share = 0.9\nwatch_ms = 90_000\n");
    assert_eq!(crashed["unrepaired"], 0.0, "{crashed:?}");
    assert!(crashed["repair_seconds_max"] > 0.0 && crashed["repair_seconds_max"] < 90.0, "{crashed:?}");
    assert!(!printed(40, "[network.restart]\nwatch_ms = 1_000\n").contains_key("unrepaired"));
}

#[test]
fn who_is_connected_with_all_that_are_left_lacks_nobody() {
    let few = printed(24, "[network.restart]\nshare = 0.1\ndead_share = 0.7\nwatch_ms = 90_000\n");
    assert_eq!((few["victims"], few["unsettled"]), (2.0, 0.0), "{few:?}");
    let briefly = printed(24, "[network.restart]\nshare = 0.1\ndead_share = 0.7\nwatch_ms = 100\n");
    assert_eq!(briefly["unsettled"], 2.0, "{briefly:?}");
}

#[test]
fn who_is_connected_with_all_others_has_grown_whoever_dialled() {
    let few = printed(24, "[network.restart]\nwatch_ms = 1_000\n");
    assert_eq!(few["grown"], 1.0, "{few:?}");
    assert!(few["grown_outbound"] < 23.0, "{few:?}");
    let early = run(
        &format!("{}[network.restart]\nwatch_ms = 1_000\n", QUIET.replace("grow_ms = 30_000", "grow_ms = 5_000")),
        1,
        false,
    );
    assert!(early.figures.printed()["grown"] < 1.0, "half of them have not joined");
}

#[test]
fn nodes_that_go_and_come_back_find_peers_and_the_others_hear_everything() {
    let churn = "[network.restart]\nwatch_ms = 90_000\n[network.churn]\nshare = 0.2\nfor_ms = 60_000\n\
        [network.load]\nmessages = 3\nat_ms = [30_000, 80_000]\n";
    let churned = printed(40, churn);
    assert_eq!((churned["victims"], churned["unsettled"]), (8.0, 0.0), "{churned:?}");
    assert_eq!((churned["delivered_after_30000ms"], churned["delivered_after_80000ms"]), (1.0, 1.0));
    assert_eq!(printed(40, "[network.restart]\nwatch_ms = 1_000\n")["victims"], 0.0);
}

#[test]
fn observers_know_nothing_at_first_and_what_they_know_grows_old_where_peers_are_exchanged() {
    let observed = |rotation: &str| {
        let text = format!(
            "{rotation}[network.restart]\nwatch_ms = 300_000\n[network.observers]\nnodes = 2\nat_ms = [0, 300_000]\n"
        );
        let printed = printed(100, &text);
        ["graph_known_after_0s", "graph_known_after_300s", "graph_outdated_after_300s"].map(|name| printed[name])
    };
    let [first, known, outdated] = observed("");
    assert!(first == 0.0 && known > 0.0, "{first} {known}");
    let [_, _, outdated_by_rotation] = observed("rotation_ms = 30_000\n");
    assert!(outdated_by_rotation > outdated, "{outdated_by_rotation} {outdated}");
}

#[test]
fn a_watch_that_cannot_be_is_refused_with_its_line() {
    for (section, reason) in [
        ("[network.churn]\nshare = 0.1\nfor_ms = 118_000\n", "line 14: network.churn.for_ms: nobody watches any more"),
        ("[network.churn]\nshare = 1.1\n", "line 13: network.churn.share: 1.1 is no share"),
        ("[network.observers]\nnodes = 37\n", "line 13: network.observers.nodes: 37 observers, but only 36 nodes"),
        ("[network.observers]\nnodes = 1\nat_ms = [120_001]\n", "line 14: network.observers.at_ms: nobody watches"),
        ("[network.observers]\nat_ms = [1]\n", "line 13: network.observers.at_ms: nobody observes"),
        ("rotation_ms = -1\n", "line 12: network.rotation_ms: -1 is no number of milliseconds"),
        ("[[claim]]\nfigure = \"unrepaired\"\nmax = 0\n", "measured only where `network.restart.dead_share` is set"),
    ] {
        let refused = Scenario::parse("quiet", &format!("{QUIET}{section}"), Options::default()).unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    }
}
