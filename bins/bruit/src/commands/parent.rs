use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::exit::Failure;

/// Has the system end this process when the thread that started it ends, even if that was killed. The signal is one that
/// a stopped process obeys too.
pub(super) fn exit_with_parent(expected: Option<i32>) -> Result<(), Failure> {
    let before = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failure::failed(format!("--exit-with-parent: {error}")))?;
    let parent = getppid();
    let is_expected = expected.is_none_or(|expected| parent.map(Pid::as_raw_pid) == Some(expected));
    // It may have ended before it could be named: then somebody else has taken its place.
    if parent != before || !is_expected {
        return Err(Failure::failed("--exit-with-parent: the process that started this one is gone"));
    }
    Ok(())
}
