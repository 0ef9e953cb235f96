use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use bruit_sim::{Invalid, Scenario, scenario::Run};
use indicatif::ProgressBar;

/// Makes all runs of a scenario, several at a time; what comes out does not depend on how many.
pub(crate) fn runs(scenario: &Scenario, threads: Option<usize>) -> Result<Vec<Run>, Invalid> {
    let available = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.unwrap_or(available).clamp(1, scenario.runs() as usize);
    let bar = bar(scenario.runs().into());
    let next = AtomicU32::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= scenario.runs() {
                return done;
            }
            done.push((number, scenario.run(number)));
            bar.inc(1);
        }
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
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, run)| run).collect()
}

/// Shows on stderr how many of several things are done.
pub(crate) fn bar(count: u64) -> ProgressBar {
    if count > 1 { ProgressBar::new(count) } else { ProgressBar::hidden() }
}
