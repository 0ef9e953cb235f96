//! `bruit-sim`: scenarios in the simulator.

mod choice;
mod compare;
mod parallel;
mod report;
mod run;
mod shown;
mod sweep;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Scenarios in the simulator: what networks of the shipped engines do.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario, and judges the claims it makes.
    ///
    /// The last line of stdout is one JSON object. Exit code 0: all claims held; 1: one failed; 2: the scenario cannot be.
    Run(run::Args),
    /// Runs two scenarios, and shows their figures side by side.
    ///
    /// The last column is the second to the first. Exit codes as of `run`.
    Compare(compare::Args),
    /// Runs a scenario with one value of a key after the other.
    ///
    /// Every value is checked like a file before the first is run. Exit codes as of `run`.
    Sweep(sweep::Args),
    /// Writes the evaluation: a document with tables and a page with plots, from shipped scenarios.
    ///
    /// Exit code 1: with `--check`, the document is not what the scenarios show.
    Report(report::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Report(args) => report::run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bruit-sim: {error:#}");
            ExitCode::from(2)
        }
    }
}
