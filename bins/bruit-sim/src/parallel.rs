use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use bruit_sim::{Invalid, Scenario, scenario::Run};
use indicatif::ProgressBar;

/// Makes all runs of a scenario, several at a time; what comes out does not depend on how many.
pub(crate) fn runs(scenario: &Scenario, threads: Option<usize>) -> Result<Vec<Run>, Invalid> {
    Ok(all(&[scenario], threads)?.pop().unwrap_or_default())
}

/// Makes all runs of several scenarios, in the order of these.
pub(crate) fn all(scenarios: &[&Scenario], threads: Option<usize>) -> Result<Vec<Vec<Run>>, Invalid> {
    let jobs: Vec<(usize, u32)> =
        (0..).zip(scenarios).flat_map(|(place, scenario)| (0..scenario.runs()).map(move |run| (place, run))).collect();
    let available = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.unwrap_or(available).clamp(1, jobs.len().max(1));
    let bar = bar(jobs.len() as u64);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((place, run)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(((*place, *run), scenarios[*place].run(*run)));
            bar.inc(1);
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let all = workers.into_iter().flat_map(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        all.collect::<Vec<_>>()
    });
    bar.finish_and_clear();
    done.sort_by_key(|(job, _)| *job);
    let mut runs: Vec<Vec<Run>> = scenarios.iter().map(|_| Vec::new()).collect();
    for ((place, _), run) in done {
        runs[place].push(run?);
    }
    Ok(runs)
}

/// Shows on stderr how many of several things are done.
pub(crate) fn bar(count: u64) -> ProgressBar {
    if count > 1 { ProgressBar::new(count) } else { ProgressBar::hidden() }
}
