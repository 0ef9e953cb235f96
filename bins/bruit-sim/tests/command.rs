//! The command as users run it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{fs, path::PathBuf, process::Command};

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn scenarios() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testnet/scenarios"))
}

fn bruit_sim(scenario: &str, args: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bruit-sim"));
    let output = command.arg("run").arg(scenarios().join(scenario)).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let run = |seed, threads| {
        let args = ["--nodes", "100", "--runs", "4", "--seed", seed, "--threads", threads];
        bruit_sim("fanout.toml", &args)
    };
    let [one, again, two, other] = [run("7", "1"), run("7", "1"), run("7", "2"), run("8", "2")];
    assert_eq!((one.code, &one.stdout), (Some(0), &two.stdout), "{}", one.stderr);
    assert_eq!(one.stdout, again.stdout);
    assert_ne!(json(&one)["trace_hash"], json(&other)["trace_hash"]);
    assert_eq!(json(&one)["seed"], 7);
}

#[test]
fn a_hundred_nodes_leave_the_same_trace_through_the_wire() {
    for scenario in fs::read_dir(scenarios()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = scenario.file_name().unwrap().to_str().unwrap();
        // Whole nodes have a test of their own: their scenarios last too long, and their bots are thousands for any number of nodes.
        let text = fs::read_to_string(&scenario).unwrap_or_default();
        if !name.ends_with(".toml") || text.contains("kind = \"network\"") {
            continue;
        }
        let run = |wire: &[&str]| {
            let args = [&["--nodes", "100", "--runs", "1", "--json"], wire].concat();
            json(&bruit_sim(name, &args))["trace_hash"].clone()
        };
        assert_eq!(run(&[]), run(&["--wire"]), "{name}");
    }
}

#[test]
fn a_failed_claim_says_how_to_replay_it() {
    let dir = std::env::temp_dir().join(format!("bruit-sim-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("hopeless.toml");
    let text = fs::read_to_string(scenarios().join("fanout.toml")).unwrap();
    fs::write(&file, text.replace("max = 15.2", "max = 14.95")).unwrap();
    let ran = bruit_sim(file.to_str().unwrap(), &["--nodes", "100", "--runs", "1", "--seed", "3"]);
    assert_eq!((ran.code, json(&ran)["held"].as_bool()), (Some(1), Some(false)));
    assert!(ran.stderr.contains("failed: redundancy at least 14.9 at most 14.95"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--seed 3 --nodes 100 --runs 1"), "{}", ran.stderr);

    fs::write(&file, "kind = \"gossip\"\nnodse = 5\n").unwrap();
    let ran = bruit_sim(file.to_str().unwrap(), &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("line 2: unknown field `nodse`"), "{}", ran.stderr);
    fs::remove_dir_all(dir).unwrap();
}
