use std::{
    fs,
    io::{self, BufWriter, Write as _},
    path::PathBuf,
};

use anyhow::{Context, ensure};
use bruit_sim::{Scenario, TraceLines, scenario::Kind};

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
    /// Writes who was connected to whom at the end of the first run into a file, an edge a line; only where nodes find each other.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_overlay: Option<PathBuf>,
    /// Prints a line for everything that happens to a node before the figures; one run after the other.
    #[arg(long, conflicts_with = "json")]
    pub(crate) trace: bool,
    /// Only lines of this node, as sender or receiver.
    #[arg(long, requires = "trace", value_name = "NODE")]
    pub(crate) trace_node: Option<u32>,
    /// Only lines that hold this text: an item's id or its beginning, a kind of frame.
    #[arg(long, requires = "trace", value_name = "TEXT")]
    pub(crate) trace_text: Option<String>,
}

/// Runs a scenario; false if a claim failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let mut scenario = args.choice.load(&args.scenario)?;
    let mut threads = args.choice.threads;
    if args.trace {
        scenario = scenario.with_lines(lines(args));
        threads = Some(1);
    }
    ensure!(
        args.save_overlay.is_none() || scenario.file().kind == Kind::Network,
        "{}: nodes find each other in scenarios of kind `network` only; there is no overlay to save",
        args.scenario.display()
    );
    let runs = parallel::runs(&scenario, threads)?;
    if let (Some(file), Some(overlay)) = (&args.save_overlay, runs.first().and_then(|run| run.overlay.as_ref())) {
        fs::write(file, overlay.to_text()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let shown = Shown::of(&scenario, runs)?;
    let table = if args.json { String::new() } else { shown.table() };
    writeln!(io::stdout(), "{table}{}", shown.json())?;
    if !shown.holds() {
        eprintln!("{}", shown.failures());
        eprintln!("replay: {}", replay(args, &scenario));
    }
    Ok(shown.holds())
}

fn lines(args: &Args) -> TraceLines {
    let lines = TraceLines::new(BufWriter::new(io::stdout()));
    let lines = args.trace_node.into_iter().fold(lines, TraceLines::of_node);
    args.trace_text.iter().fold(lines, TraceLines::with_text)
}

/// The command that makes the same runs again.
fn replay(args: &Args, scenario: &Scenario) -> String {
    let choice = Choice { seed: Some(scenario.seed()), ..args.choice.clone() };
    format!("bruit-sim run {}{}", args.scenario.display(), choice.flags())
}
