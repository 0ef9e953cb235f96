//! Local networks of real nodes: start them, hurt them, get a verdict.
//!
//! The nodes are processes of this very program, which is also the `bruit` command line (`bruit-testnet bruit ..`). The
//! launcher talks to them over their API only: what it does, a user can do with `bruit` commands.

mod args;
mod demo;
mod failure;
mod network;
mod overlay;
mod progress;
mod report;
mod signals;
mod up;

use std::{
    env,
    ffi::OsStr,
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    if env::args_os().nth(1).as_deref() == Some(OsStr::new("bruit")) {
        return bruit_cli::main_with(env::args_os().skip(1));
    }
    let cli = Cli::parse();
    // One thread on purpose: a child started with `--exit-with-parent` ends with the thread that started it.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            progress::say(&format!("error: no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        match &cli.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Up(args) => up::run(args).await,
        }
    })
}

/// Writes a line of output. A reader that is gone is no reason to leave children behind.
fn print(line: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
