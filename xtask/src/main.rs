//! The chores of the project: generated code, tidiness, dependencies, the README's commands, and all checks in one go.
//!
//! Every task runs from the workspace root, reads no standard input, and fails with a non-zero exit code when the tree
//! is not as it should be.
#![allow(clippy::print_stdout, reason = "printing is what a task is for")]

mod check;
mod check_deps;
mod gen_proto;
mod limits;
mod readme;
mod scan;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of the project")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generates the wire types from proto/bruit/v1.
    GenProto {
        /// Fails on a difference instead of writing.
        #[arg(long)]
        check: bool,
    },
    /// Holds files to the house rules that no compiler knows.
    Tidy {
        /// Writes the clippy.toml of the engine crates.
        #[arg(long)]
        fix: bool,
    },
    /// Proves the arrows between crates, the purity of the engines and the version floors.
    CheckDeps,
    /// Writes docs/limits.md, and the list of `bruit limits`, from the crates' limits.toml and sources.
    Limits {
        /// Fails on a difference instead of writing.
        #[arg(long)]
        check: bool,
    },
    /// Runs the README's commands that are marked to be run.
    Readme,
    /// Runs every check, as CI does.
    Check,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    let workspace = Workspace::locate()?;
    match task {
        Task::GenProto { check: true } => gen_proto::check(&workspace),
        Task::GenProto { check: false } => gen_proto::write(&workspace),
        Task::Tidy { fix } => tidy::run(&workspace, *fix),
        Task::CheckDeps => check_deps::run(&workspace),
        Task::Limits { check: true } => limits::check(&workspace),
        Task::Limits { check: false } => limits::write(&workspace),
        Task::Readme => readme::run(&workspace),
        Task::Check => check::run(&workspace),
    }
}
