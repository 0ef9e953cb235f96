//! The `bruit` command line as a library function, so that other programs can be `bruit` too.
//!
//! Every command but `run`, `key`, `config` and `limits` speaks to a running node over its API, with the same types that come out of
//! `--json`. Progress and logs go to stderr; with `--json` the last line of stdout is one JSON object.

use std::{ffi::OsString, process::ExitCode};

use clap::Parser as _;

mod args;
mod commands;
mod exit;
mod output;
mod settings;
mod table;

use crate::{
    args::Args,
    exit::{Exit, Failure},
    output::Output,
};

/// Runs the command line. `args` begin with the program's name.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let is_json = args.iter().any(|arg| arg == "--json");
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            let failure = Failure::configuration(error.render());
            Output::new(is_json).failure(&failure);
            return failure.exit.into();
        }
        Err(help) => {
            // Nobody reads it any more: then there is nobody to tell.
            let _ = help.print();
            return Exit::Held.into();
        }
    };
    let output = Output::new(args.json);
    match commands::dispatch(args.command, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}
