#![allow(clippy::print_stdout, reason = "the command line's output")]

use std::path::PathBuf;

use anyhow::{Context, ensure};
use bruit_sim::{Scenario, scenario::Change};
use serde_json::{Map, Value, json};

use crate::{
    choice::Choice,
    parallel,
    shown::{Shown, short},
};

/// The most scenarios that one sweep makes of a file.
const POINTS_MAX: usize = 1_000;
/// What a table shows unless told otherwise, of each kind of world what it has.
const FIGURES: [&str; 12] = [
    "coverage",
    "redundancy",
    "last_hop",
    "p99_ms",
    "bytes_per_node_mean",
    "precision",
    "recall",
    "success",
    "wasted_per_call",
    "grown",
    "eclipsed",
    "attacker_outbound_mean",
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The scenario's file.
    pub(crate) scenario: PathBuf,
    /// Values for a key of the file, each in its turn: `--over fault.0.share=0.1,0.5`. Given again, every value of one meets
    /// every value of the other.
    #[arg(long, required = true, value_name = "KEY=V1,V2,..", value_parser = axis)]
    pub(crate) over: Vec<Axis>,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// The figures that the table shows, instead of the most common ones.
    #[arg(long, value_delimiter = ',')]
    pub(crate) figures: Vec<String>,
    /// Prints one JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A key and the values that it has in turn.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    key: String,
    values: Vec<String>,
}

impl Axis {
    /// Reads `KEY=V1,V2,..`; commas within brackets and quotes belong to a value.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (key, values) = text.split_once('=')?;
        let (mut depth, mut is_quoted) = (0_i32, false);
        let parts = values.split(|char| {
            match char {
                '"' => is_quoted = !is_quoted,
                '[' | '{' if !is_quoted => depth += 1,
                ']' | '}' if !is_quoted => depth -= 1,
                _ => {}
            }
            char == ',' && depth == 0 && !is_quoted
        });
        let values: Vec<String> = parts.map(|value| value.trim().to_owned()).collect();
        let is_whole = !key.trim().is_empty() && values.iter().all(|value| !value.is_empty());
        is_whole.then(|| Self { key: key.trim().to_owned(), values })
    }
}

/// One scenario of a sweep: the values that it has, and what it is.
pub(crate) struct Point {
    pub(crate) changes: Vec<Change>,
    pub(crate) scenario: Scenario,
}

/// Runs a scenario with one value after the other; false if a claim failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let points = points(&args.scenario, &args.choice, &args.over)?;
    let bar = parallel::bar(points.len() as u64);
    let (mut lines, mut all_hold, mut figures) = (Vec::new(), true, args.figures.clone());
    for point in &points {
        let shown = Shown::of(&point.scenario, parallel::runs(&point.scenario, args.choice.threads)?)?;
        bar.inc(1);
        all_hold &= shown.holds();
        if args.json {
            let over: Map<String, Value> =
                point.changes.iter().map(|change| (change.key.clone(), json!(change.value))).collect();
            let mut object = shown.json();
            object["over"] = Value::Object(over);
            println!("{object}");
            continue;
        }
        let printed = shown.figures();
        if figures.is_empty() {
            figures.extend(FIGURES.iter().filter(|name| printed.contains_key(**name)).map(|name| (*name).to_owned()));
        }
        let mut line: Vec<String> = point.changes.iter().map(|change| change.value.clone()).collect();
        for name in &figures {
            let number = printed.get(name);
            line.push(number.map_or_else(|| "-".to_owned(), |number| short(*number)));
        }
        line.push(if shown.holds() { "hold" } else { "FAIL" }.to_owned());
        lines.push(line);
    }
    bar.finish_and_clear();
    if !args.json {
        let keys = args.over.iter().map(|axis| axis.key.clone());
        lines.insert(0, keys.chain(figures).chain(["claims".to_owned()]).collect());
        print!("{}", aligned(&lines));
    }
    Ok(all_hold)
}

/// All scenarios of a sweep, each of them valid, or a refusal before any is run.
pub(crate) fn points(file: &std::path::Path, choice: &Choice, over: &[Axis]) -> anyhow::Result<Vec<Point>> {
    let mut all = vec![Vec::new()];
    for axis in over {
        all = all
            .into_iter()
            .flat_map(|before: Vec<Change>| {
                axis.values.iter().map(move |value| {
                    let change = Change { key: axis.key.clone(), value: value.clone() };
                    before.iter().cloned().chain([change]).collect()
                })
            })
            .collect();
        ensure!(all.len() <= POINTS_MAX, "{} scenarios are more than the {POINTS_MAX} of a sweep", all.len());
    }
    let made = all.into_iter().map(|changes: Vec<Change>| {
        let set = choice.set.iter().chain(&changes).cloned().collect();
        let scenario = Choice { set, ..choice.clone() }.load(file).context("a value of the sweep cannot be")?;
        Ok(Point { changes, scenario })
    });
    made.collect()
}

/// Lines of words below each other; the first of each to the left, the others to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let line = |line: &Vec<String>| {
        let words = line.iter().zip(&widths).enumerate().map(|(column, (word, width))| match column {
            0 => format!("{word:<width$}"),
            _ => format!("{word:>width$}"),
        });
        words.collect::<Vec<_>>().join("  ") + "\n"
    };
    lines.iter().map(line).collect()
}

fn axis(text: &str) -> Result<Axis, String> {
    Axis::parse(text).ok_or_else(|| "a sweep is over KEY=V1,V2,..".to_owned())
}
