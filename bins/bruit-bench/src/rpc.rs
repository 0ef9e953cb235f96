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

use clap::builder::PossibleValuesParser;
use contest::{ALL_WORK, Who, Work, measure};
use figures::Figures;
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
    /// Measures our own side of one thing alone, on two threads, for a profiler; there are no ratios and no floors then.
    #[arg(long, value_name = "THING", value_parser = PossibleValuesParser::new(ALL_WORK.map(Work::name)))]
    only: Option<String>,
    /// Prints one line of JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// Measures everything; false when a floor is missed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    anyhow::ensure!(args.seconds > 0.0 && args.seconds <= 600.0, "--seconds is above 0 and at most 600");
    let window = Duration::from_secs_f64(args.seconds);
    let mut results = Results::default();
    if let Some(work) = args.only.as_ref().and_then(|only| ALL_WORK.into_iter().find(|work| work.name() == only)) {
        for _ in 0..args.repeat {
            let figures = measure(Who::Ours, work, Arrangement::OwnThreads, window)?;
            print_line(&format!("{}: {}", work.name(), figures_text(&figures)));
        }
        return Ok(true);
    }
    for turn in 1..=args.repeat {
        for arrangement in [Arrangement::OwnThreads, Arrangement::Shared] {
            for work in ALL_WORK {
                for who in work.contestants() {
                    let figures = measure(*who, work, arrangement, window)?;
                    let place = if arrangement == Arrangement::Shared { " (mt)" } else { "" };
                    eprintln!(
                        "{turn}/{} {}{place} {}: {}",
                        args.repeat,
                        work.name(),
                        who.name(),
                        figures_text(&figures)
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

fn figures_text(figures: &Figures) -> String {
    let Figures { per_second, p50_us, p99_us, cpu_us } = figures;
    let [per_second, p50, p99, cpu] = [per_second, p50_us, p99_us, cpu_us].map(|number| short(*number));
    format!("{per_second}/s, p50 {p50} us, p99 {p99} us, CPU {cpu} us each")
}

#[allow(clippy::print_stdout, reason = "what the command is for")]
fn print_line(text: &str) {
    println!("{text}");
}
