use serde::Serialize;

use crate::report::Spread;

/// What one measurement of calls showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) per_second: f64,
    /// Of the whole process, both ends, for each call.
    pub(crate) cpu_us: f64,
}

/// What several measurements of one thing showed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) p50_us: Spread,
    pub(crate) p99_us: Spread,
    pub(crate) per_second: Spread,
    pub(crate) cpu_us: Spread,
}

impl Figures {
    /// The same for calls whose answers are so many times as long; how long one took is left as it is.
    pub(crate) fn in_answers_of(self, times: f64) -> Self {
        Self { per_second: self.per_second / times, cpu_us: self.cpu_us * times, ..self }
    }
}

impl Summary {
    /// Summarises at least one measurement.
    pub(crate) fn of(runs: &[Figures]) -> Self {
        let spread = |field: fn(&Figures) -> f64| Spread::of(runs.iter().map(field).collect());
        Self {
            p50_us: spread(|run| run.p50_us),
            p99_us: spread(|run| run.p99_us),
            per_second: spread(|run| run.per_second),
            cpu_us: spread(|run| run.cpu_us),
        }
    }
}
