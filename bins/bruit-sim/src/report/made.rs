use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use bruit_sim::{Figures, Overlay, Scenario, scenario::Change};

use super::table::{Size, Table};
use crate::{
    choice::Choice,
    parallel,
    shown::Shown,
    sweep::{Axis, points},
};

/// A table with what its runs showed.
pub(super) struct Made {
    pub(super) table: &'static Table,
    pub(super) rows: Vec<Row>,
    pub(super) seed: u64,
    choice: Choice,
}

/// One scenario of a table.
pub(super) struct Row {
    /// The values of the keys that differ from row to row.
    pub(super) values: Vec<String>,
    pub(super) runs: u32,
    pub(super) figures: Figures,
    pub(super) printed: BTreeMap<String, f64>,
    /// What nodes grew in the first run, if they did.
    pub(super) overlay: Option<Overlay>,
    failures: Option<String>,
}

impl Made {
    pub(super) fn of(
        table: &'static Table,
        scenarios: &Path,
        threads: Option<usize>,
        seed: Option<u64>,
    ) -> anyhow::Result<Self> {
        let change = |(key, value): &(&str, &str)| Change { key: (*key).to_owned(), value: (*value).to_owned() };
        let mut set: Vec<Change> = table.set.iter().map(change).collect();
        if table.size != Size::Smoke {
            // What the file claims is not claimed for other values.
            set.push(change(&("claim", "[]")));
        }
        let choice = Choice { set, seed, ..Choice::default() };
        let axes = table.over.iter().map(|(key, values)| Axis::parse(&format!("{key}={values}")));
        let axes: Vec<Axis> = axes.collect::<Option<_>>().context("a table has an axis that is none")?;
        let path = scenarios.join(format!("{}.toml", table.file));
        let points = points(&path, &choice, &axes).with_context(|| table.title)?;
        let all: Vec<&Scenario> = points.iter().map(|point| &point.scenario).collect();
        let mut rows = Vec::new();
        for (point, runs) in points.iter().zip(parallel::all(&all, threads)?) {
            let overlay = runs.first().and_then(|run| run.overlay.clone());
            let shown = Shown::of(&point.scenario, runs)?;
            rows.push(Row {
                values: point.changes.iter().map(|change| change.value.clone()).collect(),
                runs: point.scenario.runs(),
                figures: shown.outcome().figures.clone(),
                printed: shown.figures(),
                overlay,
                failures: (!shown.holds()).then(|| shown.failures()),
            });
        }
        let seed = all.first().map_or(0, |scenario| scenario.seed());
        Ok(Self { table, rows, seed, choice })
    }

    /// What was claimed and is not so.
    pub(super) fn failures(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(|row| row.failures.as_deref())
    }

    /// The command that makes the same runs again.
    pub(super) fn command(&self) -> String {
        let verb = if self.table.over.is_empty() { "run" } else { "sweep" };
        let mut command = format!("bruit-sim {verb} testnet/scenarios/{}.toml", self.table.file);
        for (key, values) in self.table.over {
            command.push_str(&format!(" --over '{key}={values}'"));
        }
        command.push_str(&self.choice.flags());
        if !self.table.over.is_empty() {
            command.push_str(&format!(" --figures {}", self.table.figures.join(",")));
        }
        command
    }
}
