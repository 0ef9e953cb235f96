#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

mod gossipsub;
mod ours;
mod raw;
mod request_response;

use std::time::Duration;

use serde_json::json;

use crate::{
    duel::Measured,
    report::{Summary, short},
};

/// Each length of a frame, its name in the results, and how many times gossipsub's frames a second are required.
const SIZES: [(usize, &str, f64); 3] = [(256, "256", 15.0), (4 * 1024, "4k", 3.0), (64 * 1024, "64k", 2.0)];
const BULK_REQUIRED: f64 = 0.9;
const CALLS_IN_FLIGHT: usize = 64;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long each thing is measured each time, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often each thing is measured; all take turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Prints one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What is measured, by name and in the order of a turn.
type Contest = Vec<(String, Box<dyn Fn(Duration) -> anyhow::Result<Measured>>)>;

/// Measures everything; false when a required figure is missed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    anyhow::ensure!(args.seconds > 0.0 && args.seconds <= 600.0, "--seconds is above 0 and at most 600");
    let window = Duration::from_secs_f64(args.seconds);
    let contest = contest();
    let mut runs: Vec<Vec<Measured>> = contest.iter().map(|_| Vec::new()).collect();
    for turn in 1..=args.repeat {
        for ((name, work), runs) in contest.iter().zip(&mut runs) {
            let measured = work(window)?;
            let (rate, cpu) = (short(measured.per_second), short(measured.cpu_micros_each));
            eprintln!("{turn}/{} {name}: {rate}/s, {cpu} us each", args.repeat);
            runs.push(measured);
        }
    }
    let results = Results {
        of: contest.iter().map(|(name, _)| name.clone()).zip(runs.iter().map(|runs| Summary::of(runs))).collect(),
    };
    if args.json {
        print_line(&results.json(args.repeat));
    } else {
        print_line(&results.table());
    }
    Ok(results.missed().is_empty())
}

fn contest() -> Contest {
    let mut contest: Contest = Vec::new();
    for (size, name, _) in SIZES {
        contest.push((format!("ours_{name}"), Box::new(move |window| ours::run(size, window))));
        contest.push((format!("gossipsub_{name}"), Box::new(move |window| gossipsub::run(size, window))));
    }
    for (size, name) in [(16 * 1024, "raw_16k"), (64 * 1024, "raw_64k")] {
        contest.push((name.to_owned(), Box::new(move |window| raw::run(size, window))));
    }
    let calls = |window| request_response::run(256, CALLS_IN_FLIGHT, window);
    contest.push(("request_response_256".to_owned(), Box::new(calls)));
    contest
}

struct Results {
    of: Vec<(String, Summary)>,
}

impl Results {
    fn rate(&self, name: &str) -> f64 {
        self.find(name).map_or(f64::NAN, |summary| summary.per_second.median)
    }

    fn cpu(&self, name: &str) -> f64 {
        self.find(name).map_or(f64::NAN, |summary| summary.cpu_micros_each.median)
    }

    fn find(&self, name: &str) -> Option<&Summary> {
        self.of.iter().find(|(of, _)| of == name).map(|(_, summary)| summary)
    }

    /// Every ratio of ours to the other, and what is required of it.
    fn ratios(&self) -> Vec<(String, f64, Option<f64>)> {
        let mut ratios = Vec::new();
        for (_, name, required) in SIZES {
            let (ours, peer) = (format!("ours_{name}"), format!("gossipsub_{name}"));
            ratios.push((format!("frames_{name}"), self.rate(&ours) / self.rate(&peer), Some(required)));
            ratios.push((format!("cpu_{name}"), self.cpu(&ours) / self.cpu(&peer), None));
        }
        let bulk = self.rate("ours_64k") / self.rate("raw_16k").max(self.rate("raw_64k"));
        ratios.push(("bulk".to_owned(), bulk, Some(BULK_REQUIRED)));
        let calls = "request_response_256";
        ratios.push(("frames_256_to_request_response".to_owned(), self.rate("ours_256") / self.rate(calls), None));
        ratios.push(("cpu_256_to_request_response".to_owned(), self.cpu("ours_256") / self.cpu(calls), None));
        ratios
    }

    fn missed(&self) -> Vec<String> {
        let misses =
            |required: Option<f64>, ratio: f64| required.is_some_and(|required| ratio.is_nan() || ratio < required);
        self.ratios()
            .into_iter()
            .filter(|(_, ratio, required)| misses(*required, *ratio))
            .map(|(name, ..)| name)
            .collect()
    }

    fn json(&self, repeat: u32) -> String {
        let part = |ours: bool| -> serde_json::Map<String, serde_json::Value> {
            let of = self.of.iter().filter(|(name, _)| name.starts_with("ours_") == ours);
            of.map(|(name, summary)| (name.trim_start_matches("ours_").to_owned(), json!(summary))).collect()
        };
        let ratio: serde_json::Map<_, _> =
            self.ratios().into_iter().map(|(name, ratio, _)| (name, json!(ratio))).collect();
        json!({
            "ours": part(true),
            "peer": part(false),
            "ratio": ratio,
            "runs": repeat,
            "missed": self.missed(),
        })
        .to_string()
    }

    fn table(&self) -> String {
        let mut lines = vec!["| what | per second | CPU us each |".to_owned(), "|---|---|---|".to_owned()];
        for (name, Summary { per_second, cpu_micros_each }) in &self.of {
            let spread =
                |of: &crate::report::Spread| format!("{} [{}-{}]", short(of.median), short(of.min), short(of.max));
            lines.push(format!("| {name} | {} | {} |", spread(per_second), spread(cpu_micros_each)));
        }
        lines.push(String::new());
        for (name, ratio, required) in self.ratios() {
            let required = required.map_or(String::new(), |required| format!(" (at least {required})"));
            lines.push(format!("{name}: {ratio:.3}{required}"));
        }
        for name in self.missed() {
            lines.push(format!("missed: {name}"));
        }
        lines.join("\n")
    }
}

#[allow(clippy::print_stdout, reason = "what the command is for")]
fn print_line(text: &str) {
    println!("{text}");
}
