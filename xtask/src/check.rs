//! Every check in one go, as CI runs them: cheap ones first, each timed, up to the first that fails.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{
    check_deps, gen_proto, limits, readme, tidy,
    workspace::{Workspace, run as run_shown},
};

/// How a step ended.
enum Outcome {
    Passed,
    Skipped,
    Failed(anyhow::Error),
}

struct Step {
    name: &'static str,
    run: fn(&Workspace) -> anyhow::Result<Outcome>,
}

const STEPS: [Step; 11] = [
    Step { name: "fmt", run: |workspace| passed(run_shown(workspace.cargo().args(["fmt", "--all", "--check"]))) },
    Step { name: "gen-proto --check", run: |workspace| passed(gen_proto::check(workspace)) },
    Step { name: "tidy", run: |workspace| passed(tidy::run(workspace, false)) },
    Step { name: "limits --check", run: |workspace| passed(limits::check(workspace)) },
    Step { name: "clippy", run: clippy },
    Step { name: "check-deps", run: |workspace| passed(check_deps::run(workspace)) },
    Step { name: "test", run: |workspace| passed(run_shown(workspace.cargo().args(["test", "--workspace"]))) },
    Step { name: "doc", run: doc },
    Step { name: "tests/foreign", run: foreign },
    Step { name: "tests/outside", run: |workspace| other_workspace(workspace, "tests/outside") },
    Step { name: "README", run: |workspace| passed(readme::run(workspace)) },
];

/// Runs the steps in order, stops at the first that fails, and ends with a table of all that ran.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut table = Vec::new();
    let mut failure = None;
    for step in STEPS {
        println!("\n== {}", step.name);
        let (outcome, took) = timed(|| (step.run)(workspace));
        let word = match &outcome {
            Outcome::Passed => "passed",
            Outcome::Skipped => "skipped",
            Outcome::Failed(_) => "FAILED",
        };
        table.push((step.name, word, took));
        if let Outcome::Failed(error) = outcome {
            failure = Some(error.context(step.name));
            break;
        }
    }
    println!("\n{:<20} {:<8} {:>8}", "step", "result", "seconds");
    for (name, word, took) in &table {
        println!("{name:<20} {word:<8} {:>8.1}", took.as_secs_f64());
    }
    let total: Duration = table.iter().map(|(_, _, took)| *took).sum();
    println!("{:<20} {:<8} {:>8.1}", "all", "", total.as_secs_f64());
    match failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn timed(run: impl FnOnce() -> anyhow::Result<Outcome>) -> (Outcome, Duration) {
    let start = Instant::now();
    let outcome = run().unwrap_or_else(Outcome::Failed);
    (outcome, start.elapsed())
}

fn passed(result: anyhow::Result<()>) -> anyhow::Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn clippy(workspace: &Workspace) -> anyhow::Result<Outcome> {
    passed(run_shown(workspace.cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])))
}

fn doc(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let mut cargo = workspace.cargo();
    cargo.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    passed(run_shown(&mut cargo))
}

/// The foreign client talks to the shipped node, which `cargo test` alone need not have built.
fn foreign(workspace: &Workspace) -> anyhow::Result<Outcome> {
    run_shown(workspace.cargo().args(["build", "--workspace", "--bins"]))?;
    other_workspace(workspace, "tests/foreign")
}

/// Tests a workspace that is none of ours in the target folder of ours, so that what both are built from is built once.
fn other_workspace(workspace: &Workspace, folder: &str) -> anyhow::Result<Outcome> {
    let manifest = format!("{folder}/Cargo.toml");
    if !workspace.root().join(&manifest).is_file() {
        return Ok(skipped(&manifest));
    }
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace", "--manifest-path", &manifest]).env("CARGO_TARGET_DIR", target_dir(workspace)?);
    passed(run_shown(&mut cargo))
}

fn skipped(path: &str) -> Outcome {
    println!("skipped: {path} does not exist yet");
    Outcome::Skipped
}

fn target_dir(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    match workspace.metadata()?["target_directory"].as_str() {
        Some(path) => Ok(PathBuf::from(path)),
        None => bail!("metadata without target_directory"),
    }
}
