use std::{collections::BTreeMap, time::Duration};

/// What runs show, by name.
///
/// A figure knows how several runs become one, so that a scenario of twenty runs prints the same names as one of a single run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(BTreeMap<String, Figure>);

/// A figure, and how it is pooled over runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// Adds up.
    Count(u64),
    /// The largest counts.
    Most(f64),
    /// The least counts.
    Least(f64),
    /// A part of a whole, both of which add up. Printed as the share.
    Share {
        /// The part.
        part: u64,
        /// The whole.
        whole: u64,
    },
    /// Numbers of which the mean is printed under the name, and the standard deviation under `NAME_deviation`.
    Mean(Vec<f64>),
    /// How many of a whole came at each step, all of which add up. A curve, not a number: [`Figures::curve`] reads it.
    Steps {
        /// How many came at each step, from step 0 on.
        counts: Vec<u64>,
        /// The whole.
        whole: u64,
    },
    /// Numbers whose distribution matters: printed as `NAME_mean`, `NAME_p50`, `_p90`, `_p95`, `_p99` and `_max`.
    Spread(Vec<f64>),
}

/// The mean of some numbers, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, estimated from the sample.
    pub deviation: f64,
    /// How many numbers there were.
    pub count: usize,
}

impl Figures {
    /// Adds to a count.
    pub fn count(&mut self, name: &str, count: u64) {
        self.put(name, Figure::Count(count));
    }

    /// Adds to a part and its whole.
    pub fn share(&mut self, name: &str, part: u64, whole: u64) {
        self.put(name, Figure::Share { part, whole });
    }

    /// Adds to how many of a whole came at each step.
    pub fn steps(&mut self, name: &str, counts: Vec<u64>, whole: u64) {
        self.put(name, Figure::Steps { counts, whole });
    }

    /// Keeps the largest.
    pub fn most(&mut self, name: &str, value: f64) {
        self.put(name, Figure::Most(value));
    }

    /// Keeps the least.
    pub fn least(&mut self, name: &str, value: f64) {
        self.put(name, Figure::Least(value));
    }

    /// Adds a number of which the mean matters.
    pub fn mean(&mut self, name: &str, value: f64) {
        self.put(name, Figure::Mean(vec![value]));
    }

    /// Adds numbers whose distribution matters.
    pub fn spread(&mut self, name: &str, values: impl IntoIterator<Item = f64>) {
        self.put(name, Figure::Spread(values.into_iter().collect()));
    }

    /// Adds numbers of microseconds, as milliseconds.
    pub fn spread_ms(&mut self, name: &str, micros: impl IntoIterator<Item = u32>) {
        self.spread(name, micros.into_iter().map(|micros| f64::from(micros) / 1_000.0));
    }

    /// Adds a time in milliseconds.
    pub fn mean_ms(&mut self, name: &str, value: Duration) {
        self.mean(name, value.as_secs_f64() * 1_000.0);
    }

    /// Takes a figure in; one of the same name is pooled with it.
    pub fn put(&mut self, name: &str, figure: Figure) {
        match self.0.get_mut(name) {
            Some(before) => before.pool(figure),
            None => _ = self.0.insert(name.to_owned(), figure),
        }
    }

    /// Takes in the figures of another run.
    pub fn pool(&mut self, other: Self) {
        other.0.into_iter().for_each(|(name, figure)| self.put(&name, figure));
    }

    /// All numbers as they are printed, by name.
    pub fn printed(&self) -> BTreeMap<String, f64> {
        let mut printed = BTreeMap::new();
        for (name, figure) in &self.0 {
            figure.print(name, &mut printed);
        }
        printed
    }

    /// Which share had come after each step; empty if there is no such figure, or if it is of another kind.
    pub fn curve(&self, name: &str) -> Vec<f64> {
        let Some(Figure::Steps { counts, whole }) = self.0.get(name) else { return Vec::new() };
        let sums = counts.iter().scan(0_u64, |sum, count| {
            *sum = sum.saturating_add(*count);
            Some(*sum)
        });
        sums.map(|sum| sum as f64 / (*whole).max(1) as f64).collect()
    }

    /// The numbers behind a figure, in the order in which they came; none if it is of another kind.
    pub fn numbers(&self, name: &str) -> &[f64] {
        match self.0.get(name) {
            Some(Figure::Mean(values) | Figure::Spread(values)) => values,
            Some(
                Figure::Count(_) | Figure::Most(_) | Figure::Least(_) | Figure::Share { .. } | Figure::Steps { .. },
            )
            | None => &[],
        }
    }
}

impl Figure {
    fn pool(&mut self, other: Self) {
        match (self, other) {
            (Self::Count(sum), Self::Count(count)) => *sum = sum.saturating_add(count),
            (Self::Most(most), Self::Most(value)) => *most = most.max(value),
            (Self::Least(least), Self::Least(value)) => *least = least.min(value),
            (Self::Share { part, whole }, Self::Share { part: more, whole: of }) => {
                *part = part.saturating_add(more);
                *whole = whole.saturating_add(of);
            }
            (Self::Steps { counts, whole }, Self::Steps { counts: more, whole: of }) => {
                counts.resize(counts.len().max(more.len()), 0);
                counts.iter_mut().zip(more).for_each(|(sum, count)| *sum = sum.saturating_add(count));
                *whole = whole.saturating_add(of);
            }
            (Self::Mean(values), Self::Mean(more)) | (Self::Spread(values), Self::Spread(more)) => values.extend(more),
            (kept, refused) => panic!("a figure is always of the same kind: {kept:?} and {refused:?}"),
        }
    }

    fn print(&self, name: &str, printed: &mut BTreeMap<String, f64>) {
        let mut put = |suffix: &str, value: f64| _ = printed.insert(format!("{name}{suffix}"), value);
        match self {
            Self::Count(count) => put("", *count as f64),
            Self::Most(value) | Self::Least(value) => put("", *value),
            Self::Share { part, whole } => put("", *part as f64 / (*whole).max(1) as f64),
            Self::Steps { .. } => {}
            Self::Mean(values) => {
                let sample: Sample = values.iter().copied().collect();
                put("", sample.mean);
                put("_deviation", sample.deviation);
            }
            Self::Spread(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                put("_mean", values.iter().sum::<f64>() / values.len().max(1) as f64);
                for (suffix, share) in [("_p50", 0.5), ("_p90", 0.9), ("_p95", 0.95), ("_p99", 0.99), ("_max", 1.0)] {
                    put(suffix, quantile(&sorted, share));
                }
            }
        }
    }
}

/// The least of sorted numbers that at least a share of them does not exceed; 0 of none.
pub(crate) fn quantile<T: Copy + Default>(sorted: &[T], share: f64) -> T {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).or(sorted.last()).copied().unwrap_or_default()
}

impl Sample {
    /// The standard error of the mean.
    pub fn error(&self) -> f64 {
        self.deviation / (self.count as f64).sqrt()
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        let numbers: Vec<f64> = numbers.into_iter().collect();
        let count = numbers.len();
        let mean = numbers.iter().sum::<f64>() / count.max(1) as f64;
        let squares: f64 = numbers.iter().map(|number| (number - mean) * (number - mean)).sum();
        Self { mean, deviation: (squares / count.saturating_sub(1).max(1) as f64).sqrt(), count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_know_their_mean_deviation_and_error() {
        let sample: Sample = [1.0, 2.0, 3.0, 4.0].into_iter().collect();
        assert_eq!((sample.mean, sample.count), (2.5, 4));
        assert!((sample.deviation - 1.290_994).abs() < 1e-6);
        assert!((sample.error() - 0.645_497).abs() < 1e-6);
        let none: Sample = [].into_iter().collect();
        assert_eq!((none.mean, none.deviation, none.count), (0.0, 0.0, 0));
    }

    #[test]
    fn figures_of_several_runs_become_one() {
        let run = |number: u64| {
            let mut figures = Figures::default();
            figures.count("calls", number);
            figures.share("success", number, 4);
            figures.most("worst", number as f64);
            figures.least("best", number as f64);
            figures.mean("hops", number as f64);
            figures.spread("delay", [number as f64, 10.0]);
            figures.steps("by_round", vec![1; number as usize], 4);
            figures
        };
        let mut figures = run(1);
        figures.pool(run(3));
        let printed = figures.printed();
        let names = ["calls", "success", "worst", "best", "hops", "delay_mean", "delay_p50", "delay_max"];
        assert_eq!(names.map(|name| printed[name]), [4.0, 0.5, 3.0, 1.0, 2.0, 6.0, 3.0, 10.0]);
        assert_eq!(printed.len(), 6 + 6);
        assert_eq!(figures.numbers("delay"), [1.0, 10.0, 3.0, 10.0]);
        assert_eq!(figures.curve("by_round"), [2.0 / 8.0, 3.0 / 8.0, 4.0 / 8.0]);
        assert!(figures.curve("delay").is_empty());
    }

    #[test]
    fn quantiles_are_numbers_that_were_there() {
        let numbers: Vec<u32> = (1..=100).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| quantile(&numbers, share)), [1, 50, 99, 100]);
        assert_eq!(quantile::<u32>(&[], 0.5), 0);
    }
}
