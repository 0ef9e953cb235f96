#![allow(clippy::print_stdout, reason = "the command line's output")]

use std::path::PathBuf;

use bruit_sim::Scenario;

use crate::{choice::Choice, parallel, shown::Shown};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scenario's file.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Prints nothing but the JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs a scenario; false if a claim failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let scenario = args.choice.load(&args.scenario)?;
    let shown = Shown::of(&scenario, parallel::runs(&scenario, args.choice.threads)?)?;
    if !args.json {
        print!("{}", shown.table());
    }
    println!("{}", shown.json());
    if !shown.holds() {
        eprintln!("{}", shown.failures());
        eprintln!("replay: {}", replay(args, &scenario));
    }
    Ok(shown.holds())
}

/// The command that makes the same runs again.
fn replay(args: &Args, scenario: &Scenario) -> String {
    let choice = Choice { seed: Some(scenario.seed()), ..args.choice.clone() };
    format!("bruit-sim run {}{}", args.scenario.display(), choice.flags())
}
