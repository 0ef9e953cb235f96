#![allow(clippy::print_stdout, reason = "the command line's output")]

use std::{fs, path::PathBuf};

use anyhow::Context;
use bruit_sim::{Options, Scenario};

use crate::{parallel, report::Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scenario's file.
    pub(crate) scenario: PathBuf,
    /// How many nodes, instead of what the file says.
    #[arg(long)]
    pub(crate) nodes: Option<u32>,
    /// The seed of the first run, instead of the file's.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many runs, instead of what the file says.
    #[arg(long)]
    pub(crate) runs: Option<u32>,
    /// Encodes every frame and decodes it again: the trace must be the same.
    #[arg(long)]
    pub(crate) wire: bool,
    /// How many runs at a time; as many as there are processors, unless given.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Prints nothing but the JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs a scenario; false if a claim failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let scenario = load(args)?;
    let report = Report::of(&scenario, parallel::runs(&scenario, args.threads)?)?;
    if !args.json {
        print!("{}", report.table());
    }
    println!("{}", report.json());
    if !report.holds() {
        eprintln!("{}", report.failures());
        eprintln!("replay: {}", replay(args, &scenario));
    }
    Ok(report.holds())
}

fn load(args: &Args) -> anyhow::Result<Scenario> {
    let path = &args.scenario;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let options = Options { nodes: args.nodes, seed: args.seed, runs: args.runs, is_wire: args.wire };
    Scenario::parse(&name, &text, options).with_context(|| path.display().to_string())
}

/// The command that makes the same runs again.
fn replay(args: &Args, scenario: &Scenario) -> String {
    let mut command = format!("bruit-sim run {} --seed {}", args.scenario.display(), scenario.seed());
    for (flag, number) in [("nodes", args.nodes), ("runs", args.runs)] {
        command.extend(number.map(|number| format!(" --{flag} {number}")));
    }
    if args.wire {
        command.push_str(" --wire");
    }
    command
}
