//! The program as users run it: what it prints, how it ends, and that nothing is left behind.
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What the report must have, by name.
const FIELDS: [&str; 25] = [
    "nodes",
    "degree_mean",
    "hops_max",
    "hops_histogram",
    "round_limited",
    "coverage_gossip",
    "coverage",
    "sha256_ok",
    "duplicates_per_delivery",
    "bytes_per_delivery",
    "rpc_calls",
    "rpc_ok",
    "rpc_retried",
    "rpc_local",
    "rpc_wasted",
    "rpc_false_accepted",
    "bad_nodes",
    "bad_asked",
    "bad_false_answers",
    "rejoined",
    "rejoined_outbound",
    "caught_up",
    "seconds",
    "steps_done",
    "ok",
];
/// Far above what anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

fn testnet(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bruit-testnet"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a demo to its end; returns its exit code and its report.
fn demo(args: &[&str]) -> (Option<i32>, Value) {
    let output = testnet(&["demo", "--json"]).args(args).output().expect("the program can be started");
    let stdout = String::from_utf8(output.stdout).expect("the output is text");
    let last = stdout.lines().last().expect("there is a last line");
    let report: Value = serde_json::from_str(last).expect("the last line is JSON");
    for field in FIELDS {
        assert!(!report[field].is_null(), "{field} is missing in {report}");
    }
    if let Some(dir) = report["dir"].as_str() {
        fs::remove_dir_all(dir).expect("the folder of a failed demo is there");
    }
    (output.status.code(), report)
}

#[test]
fn a_demo_of_three_nodes_is_ok() {
    let (code, report) = demo(&["--nodes", "3"]);
    assert_eq!((code, &report["ok"], &report["steps_done"]), (Some(0), &true.into(), &6.into()), "{report}");
    assert_eq!(report["failed"], Value::Array(Vec::new()));
    assert!(report["not_applicable"].as_array().is_some_and(|list| !list.is_empty()));
}

#[test]
fn a_demo_is_ok_by_every_profile() {
    for profile in ["bruit", "casper", "factom", "horizen", "ironfish"] {
        let (code, report) = demo(&["--nodes", "10", "--profile", profile]);
        assert_eq!(
            (code, &report["ok"], &report["coverage"]),
            (Some(0), &true.into(), &1.0.into()),
            "{profile}: {report}"
        );
    }
}

#[test]
fn a_tree_carries_at_most_a_third_of_the_duplicates_of_a_flood() {
    let duplicates = |policy: &str| {
        let (code, report) = demo(&["--nodes", "9", "--policy", policy]);
        assert_eq!((code, &report["ok"], &report["coverage"]), (Some(0), &true.into(), &1.0.into()), "{report}");
        report["duplicates_per_delivery"].as_f64().expect("it is a number")
    };
    let [flood, tree] = ["flood", "tree"].map(duplicates);
    assert!(flood >= 1.0 && tree * 3.0 <= flood, "flood {flood}, tree {tree}");
}

#[test]
fn fault_nodes_that_serve_wrongly_make_no_call_fail_and_no_lie_true() {
    let (code, report) = demo(&["--nodes", "9", "--bad-share", "0.34"]);
    assert_eq!((code, &report["ok"], &report["steps_done"]), (Some(0), &true.into(), &6.into()), "{report}");
    assert_eq!((&report["bad_nodes"], &report["rpc_false_accepted"]), (&3.into(), &0.into()), "{report}");
    assert_eq!(report["rpc_ok"], report["rpc_calls"], "{report}");
    let more = |field: &str, least: u64| report[field].as_u64().is_some_and(|count| count >= least);
    assert!(more("bad_asked", 1) && more("bad_false_answers", 1) && more("rpc_wasted", 1), "{report}");
}

#[test]
fn fault_who_is_left_of_a_network_of_which_most_are_killed_still_obtains_files() {
    let (code, report) = demo(&["--nodes", "9", "--kill-share", "0.6"]);
    assert_eq!((code, &report["ok"], &report["steps_done"]), (Some(0), &true.into(), &6.into()), "{report}");
    assert_eq!((&report["killed"], &report["coverage_living"]), (&5.into(), &1.0.into()), "{report}");
    assert_eq!((&report["rejoined"], &report["caught_up"]), (&true.into(), &true.into()), "{report}");
}

#[test]
fn a_demo_that_cannot_reach_all_nodes_fails_for_that_reason() {
    let (code, report) = demo(&["--nodes", "3", "--fanout", "1", "--rounds", "1", "--no-repair"]);
    assert_eq!((code, &report["ok"], &report["steps_done"]), (Some(1), &false.into(), &2.into()), "{report}");
    assert!(report["coverage"].as_f64().is_some_and(|coverage| coverage < 1.0), "{report}");
    assert!(report["failed"].to_string().contains("coverage"), "{report}");
}

#[test]
fn what_cannot_be_built_is_refused_with_the_reason() {
    for (args, reason) in [
        (&["--nodes", "255"][..], "127.i.0.1"),
        (&["--nodes", "1"], "at least 2"),
        (&["--bad-share", "0.6"], "--bad-share is 0 to 0.5"),
        (&["--nodes", "4", "--bad-share", "0.5"], "may be bad at most"),
        (&["--file", "/does/not/exist"], "/does/not/exist"),
    ] {
        let (code, report) = demo(args);
        assert_eq!((code, &report["ok"], &report["steps_done"]), (Some(2), &false.into(), &0.into()), "{report}");
        assert!(report["error"].as_str().is_some_and(|error| error.contains(reason)), "{report}");
    }
}

#[test]
fn fault_a_folder_that_is_in_use_is_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(dir.path().join("precious"), b"text").expect("a file can be written");
    let (code, report) = demo(&["--nodes", "2", "--dir", &dir.path().display().to_string()]);
    assert_eq!((code, &report["ok"]), (Some(4), &false.into()), "{report}");
    assert_eq!(fs::read_dir(dir.path()).expect("the folder is there").count(), 1);
}

#[test]
fn fault_an_interrupted_demo_reports_and_leaves_nothing() {
    let mut launcher = testnet(&["demo", "--json", "--nodes", "4"]).spawn().expect("the program can be started");
    let mut stderr = BufReader::new(launcher.stderr.take().expect("stderr is piped"));
    let mut line = String::new();
    while !line.starts_with("2/6") {
        line.clear();
        assert!(stderr.read_line(&mut line).is_ok_and(|length| length > 0), "the demo ended before its second step");
    }
    let nodes = children_of(launcher.id());
    assert_eq!(nodes.len(), 4);
    signal(launcher.id(), Signal::INT);
    let mut stdout = String::new();
    launcher.stdout.take().expect("stdout is piped").read_to_string(&mut stdout).expect("the output is text");
    let report: Value = serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("the last line is JSON");
    assert_eq!(launcher.wait().expect("the launcher ends").code(), Some(1));
    assert!(report["error"].as_str().is_some_and(|error| error.contains("SIGINT")), "{report}");
    assert_eq!(report["dir"], Value::Null);
    assert_eq!(still_running(&nodes), Vec::<u32>::new());
}

#[test]
fn up_ends_its_nodes_at_a_signal_also_a_frozen_one() {
    let (mut launcher, nodes) = up();
    signal(nodes[1], Signal::STOP);
    signal(launcher.id(), Signal::TERM);
    assert_eq!(launcher.wait().expect("the launcher ends").code(), Some(0));
    assert_eq!(still_running(&nodes), Vec::<u32>::new());
}

#[test]
fn fault_a_killed_launcher_leaves_no_node_not_even_a_frozen_one() {
    let (mut launcher, nodes) = up();
    signal(nodes[1], Signal::STOP);
    launcher.kill().expect("the launcher can be killed");
    launcher.wait().expect("the launcher ends");
    let started = Instant::now();
    while !still_running(&nodes).is_empty() {
        assert!(started.elapsed() < LIMIT, "{:?} outlive their launcher", still_running(&nodes));
        thread::yield_now();
    }
}

/// Starts a network; returns the launcher and the processes of the nodes.
fn up() -> (Child, Vec<u32>) {
    let mut launcher = testnet(&["up", "--json", "--nodes", "3"]).spawn().expect("the program can be started");
    let mut line = String::new();
    let mut stdout = BufReader::new(launcher.stdout.take().expect("stdout is piped"));
    stdout.read_line(&mut line).expect("the output is text");
    let up: Value = serde_json::from_str(&line).expect("the first line is JSON");
    let nodes = up["nodes"].as_array().expect("the nodes are listed");
    let pids: Vec<u32> = nodes.iter().filter_map(|node| node["pid"].as_u64()?.try_into().ok()).collect();
    assert_eq!(pids.len(), 3, "{up}");
    assert_eq!(still_running(&pids), pids);
    // The launcher may go on writing.
    launcher.stdout = Some(stdout.into_inner());
    (launcher, pids)
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("this is a process");
    kill_process(pid, signal).expect("the process is there");
}

fn still_running(pids: &[u32]) -> Vec<u32> {
    pids.iter().copied().filter(|pid| stat(*pid).is_some_and(|(state, _)| state != 'Z')).collect()
}

fn children_of(parent: u32) -> Vec<u32> {
    let names = fs::read_dir("/proc").expect("/proc is there").flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

/// The state of a process, and its parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
