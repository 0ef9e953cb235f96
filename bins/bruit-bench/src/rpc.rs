mod ask;
mod calls;
mod contest;
mod figures;
mod ours;
mod raw;
mod relay;
mod request_response;
mod results;
mod sampler;

use std::time::Duration;

use contest::{ALL_WORK, measure};
use results::Results;

use crate::{pair::Arrangement, report::short};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long each thing is measured each time, in seconds; 1 GiB takes what it takes.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often each thing is measured; all take turns, and ratios are of the same turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Prints one line of JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// Measures everything; false when a floor is missed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    anyhow::ensure!(args.seconds > 0.0 && args.seconds <= 600.0, "--seconds is above 0 and at most 600");
    let window = Duration::from_secs_f64(args.seconds);
    let mut results = Results::default();
    for turn in 1..=args.repeat {
        for arrangement in [Arrangement::OwnThreads, Arrangement::Shared] {
            for work in ALL_WORK {
                for who in work.contestants() {
                    let figures = measure(*who, work, arrangement, window)?;
                    let place = if arrangement == Arrangement::Shared { " (mt)" } else { "" };
                    eprintln!(
                        "{turn}/{} {}{place} {}: {}/s, p50 {} us, p99 {} us, CPU {} us each",
                        args.repeat,
                        work.name(),
                        who.name(),
                        short(figures.per_second),
                        short(figures.p50_us),
                        short(figures.p99_us),
                        short(figures.cpu_us),
                    );
                    results.add(arrangement, work, *who, figures);
                }
            }
        }
    }
    let text = if args.json { results.json(args.repeat).to_string() } else { results.tables() };
    print_line(&text);
    Ok(results.missed().is_empty())
}

#[allow(clippy::print_stdout, reason = "what the command is for")]
fn print_line(text: &str) {
    println!("{text}");
}
