use std::{collections::BTreeMap, fmt::Write};

use bruit_sim::{Invalid, Outcome, Scenario, scenario::Run};
use serde_json::{Map, Value, json};

/// What is told of a scenario that was run.
pub(crate) struct Shown<'a> {
    scenario: &'a Scenario,
    outcome: Outcome,
}

impl<'a> Shown<'a> {
    pub(crate) fn of(scenario: &'a Scenario, runs: Vec<Run>) -> Result<Self, Invalid> {
        Ok(Self { scenario, outcome: scenario.judge(runs)? })
    }

    /// All figures by name.
    pub(crate) fn figures(&self) -> BTreeMap<String, f64> {
        self.outcome.figures.printed()
    }

    pub(crate) const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Each claim in words, and whether it holds.
    pub(crate) fn claims(&self) -> Vec<(String, bool)> {
        self.outcome.claims.iter().map(|judged| (bounds(judged), judged.holds)).collect()
    }

    pub(crate) fn holds(&self) -> bool {
        self.outcome.holds()
    }

    /// One object: what was run, every figure by its name, and the claims.
    pub(crate) fn json(&self) -> Value {
        let Self { scenario, outcome } = self;
        let claims: Vec<Value> = outcome.claims.iter().map(|judged| {
            let claim = &judged.claim;
            json!({ "figure": claim.figure, "min": claim.min, "max": claim.max, "value": judged.value, "holds": judged.holds })
        }).collect();
        let mut object = Map::new();
        for (key, value) in [
            ("scenario", json!(scenario.name())),
            ("seed", json!(scenario.seed())),
            ("runs", json!(scenario.runs())),
            ("nodes", json!(scenario.file().nodes)),
            ("trace_hash", json!(outcome.trace.to_string())),
            ("held", json!(outcome.holds())),
            ("claims", json!(claims)),
            ("broken", json!(outcome.broken)),
        ] {
            object.insert(key.to_owned(), value);
        }
        for (name, number) in outcome.figures.printed() {
            object.entry(name).or_insert_with(|| numeral(number));
        }
        for (name, curve) in [
            ("coverage_by_round", outcome.figures.curve("coverage_by_round")),
            ("coverage_by_ms", hundredths(&outcome.figures.curve("coverage_by_ms"))),
        ] {
            if !curve.is_empty() {
                object.insert(name.to_owned(), json!(curve));
            }
        }
        Value::Object(object)
    }

    /// The figures in two columns, then the claims.
    pub(crate) fn table(&self) -> String {
        let Self { scenario, outcome } = self;
        let mut table = format!(
            "{}: {} nodes, {} runs from seed {}\n",
            scenario.name(),
            scenario.file().nodes,
            scenario.runs(),
            scenario.seed()
        );
        for (name, number) in outcome.figures.printed() {
            let _ = writeln!(table, "  {name:<32} {:>16}", short(number));
        }
        for judged in &outcome.claims {
            let word = if judged.holds { "holds" } else { "FAILS" };
            let _ = writeln!(table, "  {word}  {}", bounds(judged));
        }
        table
    }

    /// What did not hold.
    pub(crate) fn failures(&self) -> String {
        let claims = self.outcome.claims.iter().filter(|judged| !judged.holds);
        let claims = claims.map(|judged| format!("failed: {}", bounds(judged)));
        let broken = self.outcome.broken.iter().map(|broken| format!("broken: {broken}"));
        let lines: Vec<String> = claims.chain(broken).collect();
        format!("{} with seed {}\n{}", self.scenario.name(), self.scenario.seed(), lines.join("\n"))
    }
}

/// After how many steps each hundredth of the whole had come, as far as it came.
fn hundredths(curve: &[f64]) -> Vec<f64> {
    let reached = (1..=100).map_while(|hundredths| {
        let share = f64::from(hundredths) / 100.0;
        curve.iter().position(|sum| *sum >= share - 1e-12)
    });
    reached.map(|step| step as f64).collect()
}

fn bounds(judged: &bruit_sim::scenario::Judged) -> String {
    let claim = &judged.claim;
    let min = claim.min.map(|min| format!(" at least {min}")).unwrap_or_default();
    let max = claim.max.map(|max| format!(" at most {max}")).unwrap_or_default();
    format!("{}{min}{max}: {}", claim.figure, short(judged.value))
}

/// Whole numbers without a point.
fn numeral(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { json!(number as i64) } else { json!(number) }
}

/// Without a point where there is nothing behind it.
pub(crate) fn short(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.6}") }
}
