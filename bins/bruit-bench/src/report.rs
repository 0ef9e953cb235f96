use serde::Serialize;

use crate::duel::Measured;

/// What several runs of one thing showed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) per_second: Spread,
    pub(crate) cpu_micros_each: Spread,
}

/// Several values of one thing.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Summarises at least one run.
    pub(crate) fn of(runs: &[Measured]) -> Self {
        Self {
            per_second: Spread::of(runs.iter().map(|run| run.per_second).collect()),
            cpu_micros_each: Spread::of(runs.iter().map(|run| run.cpu_micros_each).collect()),
        }
    }
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let last = values.len().saturating_sub(1);
        Self { median: (at(last / 2) + at(last.div_ceil(2))) / 2.0, min: at(0), max: at(last) }
    }
}

/// Three significant digits, with k and M.
pub(crate) fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.2}M", v / 1e6),
        v if v >= 1e5 => format!("{:.0}k", v / 1e3),
        v if v >= 1e3 => format!("{:.1}k", v / 1e3),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_values() {
        let median = |values: &[f64]| Spread::of(values.to_vec()).median;
        assert!([median(&[3.0, 1.0, 2.0]), median(&[2.0]), median(&[4.0, 1.0, 3.0, 1.0])] == [2.0, 2.0, 2.0]);
    }

    #[test]
    fn numbers_are_shortened_to_three_digits() {
        let shortened: Vec<_> = [2_690_000.0, 368_000.0, 44_600.0, 325.0, 14.9, 0.217].map(short).into();
        assert_eq!(shortened, ["2.69M", "368k", "44.6k", "325", "14.9", "0.22"]);
    }
}
