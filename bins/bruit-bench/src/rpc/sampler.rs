use std::time::{Duration, Instant};

use anyhow::ensure;

use super::figures::Figures;
use crate::pair::cpu_time;

const WARM_UP: Duration = Duration::from_millis(300);

/// For how long calls are measured, after a warm-up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Time(Duration),
    /// So many answers, and as many as a sixteenth of that before.
    Answers(u64),
}

/// Watches calls that one task makes.
pub(crate) struct Sampler {
    span: Span,
    started: Instant,
    before: u64,
    since: Option<(Instant, Duration)>,
    nanos: Vec<u32>,
}

impl Sampler {
    pub(crate) fn start(span: Span) -> Self {
        Self { span, started: Instant::now(), before: 0, since: None, nanos: Vec::new() }
    }

    /// Takes note of a call; true when it was the last one.
    pub(crate) fn answered(&mut self, elapsed: Duration) -> bool {
        let Some((since, _)) = self.since else {
            self.before += 1;
            let is_warm = match self.span {
                Span::Time(_) => self.started.elapsed() >= WARM_UP,
                Span::Answers(count) => self.before >= count / 16,
            };
            if is_warm {
                self.since = Some((Instant::now(), cpu_time()));
            }
            return false;
        };
        self.nanos.push(nanos(elapsed));
        match self.span {
            Span::Time(window) => since.elapsed() >= window,
            Span::Answers(count) => self.nanos.len() as u64 >= count,
        }
    }

    pub(crate) fn figures(self) -> anyhow::Result<Figures> {
        let (since, cpu) = self.since.unwrap_or((self.started, Duration::ZERO));
        let (time, cpu) = (since.elapsed(), cpu_time().saturating_sub(cpu));
        figures(self.nanos, time, cpu)
    }
}

/// The figures of calls that took so many nanoseconds each and so much time and processor in all.
pub(crate) fn figures(mut nanos: Vec<u32>, time: Duration, cpu: Duration) -> anyhow::Result<Figures> {
    ensure!(!nanos.is_empty(), "no call was answered");
    let count = nanos.len();
    let mut quantile = |share: f64| {
        let index = ((count - 1) as f64 * share).round() as usize;
        f64::from(*nanos.select_nth_unstable(index).1) / 1e3
    };
    Ok(Figures {
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        per_second: count as f64 / time.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / count as f64,
    })
}

pub(crate) fn nanos(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_nanos()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_calls() {
        let found =
            figures((1..=101_u32).rev().map(|n| n * 1000).collect(), Duration::from_secs(2), Duration::from_secs(1));
        let found = found.unwrap();
        assert_eq!((found.p50_us, found.p99_us, found.per_second), (51.0, 100.0, 50.5));
        assert!(figures(Vec::new(), Duration::from_secs(1), Duration::ZERO).is_err());
    }
}
