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
fn a_trace_has_a_line_for_everything_and_changes_nothing() {
    let run = |flags: &[&str]| bruit_sim("tree_loss.toml", &[&["--nodes", "20", "--runs", "2"], flags].concat());
    let (plain, traced) = (run(&[]), run(&["--trace", "--threads", "2"]));
    let is_line = |line: &&str| line.contains("  <-  ") || line.ends_with("time-out") || line.ends_with("called");
    let events = traced.stdout.lines().filter(is_line).count();
    assert_eq!(json(&plain)["events"], events as f64, "two runs, one line for each event");
    let lost = traced.stdout.lines().filter(|line| line.contains("  x-  ")).count();
    assert_eq!(json(&plain)["frames_lost"], lost as f64);
    assert_eq!(json(&plain), json(&traced));
    let item = traced.stdout.lines().find(|line| line.contains(" item ")).unwrap();
    let id = item.split_whitespace().find(|word| word.len() == 64).unwrap();

    let few = run(&["--trace", "--trace-node", "7", "--trace-text", &id[..16]]);
    let lines: Vec<&str> = few.stdout.lines().filter(|line| line.contains(" <- ") || line.contains(" x- ")).collect();
    assert!(lines.iter().all(|line| line.contains(&id[..16]) && line.split_whitespace().any(|word| word == "7")));
    assert!((2..events / 20).contains(&lines.len()), "{} of {events}", lines.len());
    assert_eq!(run(&["--trace", "--json"]).code, Some(2));
}

#[test]
fn an_overlay_that_nodes_grew_carries_items_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("edges.txt");
    let edges = file.to_str().unwrap();
    let grown = ["--nodes", "30", "--set", "network.restart.dead_share=0", "--save-overlay", edges];
    let grown = bruit_sim("grown.toml", &grown);
    assert_eq!(grown.code, Some(0), "{}", grown.stderr);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.lines().count() > 100 && text.lines().all(|line| line.split(' ').count() == 2), "{text}");

    let spread = bruit_sim("neighbour_cast.toml", &["--overlay", edges, "--runs", "1"]);
    assert_eq!((spread.code, json(&spread)["nodes"].as_f64()), (Some(0), Some(30.0)), "{}", spread.stderr);
    let few = bruit_sim("neighbour_cast.toml", &["--overlay", edges, "--nodes", "5"]);
    assert_eq!(few.code, Some(2));
    assert!(few.stderr.contains("among 5"), "{}", few.stderr);
    assert_eq!(bruit_sim("neighbour_cast.toml", &["--save-overlay", edges]).code, Some(2));
    assert_eq!(bruit_sim("grown.toml", &["--overlay", edges]).code, Some(2));
    assert_eq!(bruit_sim("neighbour_cast.toml", &["--overlay", "nowhere.txt"]).code, Some(2));
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

    // Before anything is run: a hundred thousand runs would take longer.
    fs::write(&file, text.replace("\"redundancy\"", "\"redundance\"")).unwrap();
    let ran = bruit_sim(file.to_str().unwrap(), &["--runs", "100000"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("no figure `redundance`; the nearest is `redundancy`"), "{}", ran.stderr);
    fs::remove_dir_all(dir).unwrap();
}

fn bruit_sim_command(command: &str, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_bruit-sim"))
        .arg(command)
        .args(args)
        .current_dir(scenarios())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn two_scenarios_stand_side_by_side() {
    let args = ["neighbour_cast.toml", "neighbour_cast_faults.toml", "--nodes", "100", "--runs", "1"];
    let ran = bruit_sim_command("compare", &args);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let row = ran.stdout.lines().find(|line| line.starts_with("coverage ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["coverage", "1", "1", "1.0000"]);

    let ran = bruit_sim_command("compare", &[&args[..], &["--json"]].concat());
    let both = json(&ran);
    let frames = |side: &str| both[side]["frames"].as_f64().unwrap();
    assert_eq!(both["b_over_a"]["frames"], frames("b") / frames("a"));
    assert_eq!((&both["a"]["scenario"], ran.stdout.lines().count()), (&"neighbour_cast".into(), 1));
}

#[test]
fn a_sweep_runs_a_scenario_with_every_value() {
    let policies = "gossip.topic.policy={ fanout = { peers = 8, rounds = 6 } },flood";
    let args =
        ["fanout.toml", "--nodes", "100", "--runs", "1", "--over", policies, "--over", "links.loss=0,0.5", "--json"];
    let ran = bruit_sim_command("sweep", &args);
    // What the scenario claims of itself does not hold with other values.
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let lines: Vec<serde_json::Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["over"], serde_json::json!({ "gossip.topic.policy": "flood", "links.loss": "0.5" }));
    assert!(lines[2]["redundancy"].as_f64() > lines[0]["redundancy"].as_f64());
    assert_eq!((&lines[0]["frames_lost"], lines[1]["frames_lost"].as_u64() > Some(0)), (&0.into(), true));

    let ran = bruit_sim_command("sweep", &["fanout.toml", "--over", "links.los=0.5", "--runs", "1"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("unknown field `los`") && ran.stderr.contains("nearest is `loss`"), "{}", ran.stderr);
    let ran = bruit_sim_command("sweep", &["fanout.toml", "--over", "links.loss=0.1,7"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "no value is run before all are checked");
}
