#![allow(clippy::print_stdout, reason = "the command line's output")]

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::{Map, Value, json};

use crate::{
    choice::Choice,
    parallel,
    shown::{Shown, short},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file of the scenario that is compared.
    pub(crate) a: PathBuf,
    /// The file of the scenario that it is compared with.
    pub(crate) b: PathBuf,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Prints nothing but one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs two scenarios and puts their figures side by side; false if a claim failed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let scenarios = [args.choice.load(&args.a)?, args.choice.load(&args.b)?];
    let made = |scenario| Shown::of(scenario, parallel::runs(scenario, args.choice.threads)?);
    let [first, second] = &scenarios;
    let (a, b) = (made(first)?, made(second)?);
    let rows = rows(a.figures(), b.figures());
    if args.json {
        let ratios: Map<String, Value> =
            rows.iter().filter_map(|row| Some((row.name.clone(), json!(row.ratio()?)))).collect();
        println!("{}", json!({ "a": a.json(), "b": b.json(), "b_over_a": ratios }));
    } else {
        println!("{:<32} {:>16} {:>16} {:>10}", "figure", first.name(), second.name(), "B / A");
        for row in &rows {
            let [a, b] = [row.a, row.b].map(|number| number.map_or_else(|| "-".to_owned(), short));
            let ratio = row.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.4}"));
            println!("{:<32} {a:>16} {b:>16} {ratio:>10}", row.name);
        }
    }
    for shown in [&a, &b].into_iter().filter(|shown| !shown.holds()) {
        eprintln!("{}", shown.failures());
    }
    Ok(a.holds() && b.holds())
}

struct Row {
    name: String,
    a: Option<f64>,
    b: Option<f64>,
}

impl Row {
    /// How many times as much the second is; nothing where one is missing or the first is nothing.
    fn ratio(&self) -> Option<f64> {
        let (a, b) = (self.a?, self.b?);
        (a != 0.0).then_some(b / a)
    }
}

/// All figures of either, by name.
fn rows(a: BTreeMap<String, f64>, b: BTreeMap<String, f64>) -> Vec<Row> {
    let mut names: Vec<String> = a.keys().chain(b.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| Row { a: a.get(&name).copied(), b: b.get(&name).copied(), name }).collect()
}
