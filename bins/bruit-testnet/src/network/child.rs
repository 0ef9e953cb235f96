//! One process, which never outlives what holds it.

use std::{
    env,
    fs::File,
    io,
    path::Path,
    process::{ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{ChildStdout, Command},
    time::{Duration, Instant, sleep, timeout, timeout_at},
};

/// How long a process may take until it stands still. 10 s: a guess; it takes milliseconds where the processors are busy.
const FREEZE_LIMIT: Duration = Duration::from_secs(10);
/// How often it is looked whether it does.
const FREEZE_LOOK_EVERY: Duration = Duration::from_millis(1);

/// A running process, or one that has ended. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Child {
    process: tokio::process::Child,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, before or when it was asked to.
    ByItself,
    /// It had to be killed.
    Killed,
}

impl Child {
    /// Starts this program again as `bruit`, its stderr in a file, and returns its stdout.
    ///
    /// The process is in a group of its own: Ctrl-C in a terminal reaches the launcher only, which then ends its children
    /// in order; and a stopped process whose launcher dies is woken and hung up by the system instead of being forgotten.
    /// No setting from the environment reaches it.
    pub(crate) fn spawn(args: &[String], log: &Path) -> io::Result<(Self, ChildStdout)> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("bruit").args(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(log)?);
        command.process_group(0).kill_on_drop(true);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BRUIT_")) {
            command.env_remove(name);
        }
        let mut process = command.spawn()?;
        let stdout = process.stdout.take().ok_or_else(|| io::Error::other("the process has no stdout"))?;
        Ok((Self { process }, stdout))
    }

    /// The number of the process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Stops it until the answer is dropped. The signal alone lets it go on for a moment, in which it may do much.
    pub(crate) async fn freeze(&self) -> Frozen {
        self.signal(Signal::STOP);
        let frozen = Frozen(self.raw_pid());
        if let Frozen(Some(pid)) = frozen {
            // Whoever does not stand still by then shows it by what he does.
            let _ = timeout(FREEZE_LIMIT, stopped(pid)).await;
        }
        frozen
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.raw_pid() {
            // It may end at this very moment; then there is nobody left to tell.
            let _ = kill_process(pid, signal);
        }
    }

    fn raw_pid(&self) -> Option<Pid> {
        self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Asks it to end: SIGTERM, and SIGCONT beside it, or a frozen process would never read the first.
    pub(crate) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
    }

    /// Waits until it has ended, and kills it at the deadline.
    pub(crate) async fn end(&mut self, deadline: Instant) -> Ended {
        if let Ok(Ok(_)) = timeout_at(deadline, self.process.wait()).await {
            return Ended::ByItself;
        }
        self.kill().await;
        Ended::Killed
    }

    /// Ends it at once, as a crash would.
    pub(crate) async fn kill(&mut self) {
        // `kill` fails only for a process that has ended already.
        let _ = self.process.kill().await;
    }
}

/// Ends when a child of this process stands still, or has ended; its end is left to be waited for.
async fn stopped(pid: Pid) {
    while let Ok(None) = waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG) {
        sleep(FREEZE_LOOK_EVERY).await;
    }
}

/// A stopped process; it goes on when this is dropped.
#[derive(Debug)]
pub(crate) struct Frozen(Option<Pid>);

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // A process that was killed meanwhile cannot go on.
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}

/// Reads the first line, and keeps reading what follows so that the process never waits for a reader.
pub(crate) async fn first_line(stdout: ChildStdout) -> io::Result<String> {
    let mut lines = BufReader::new(stdout).lines();
    let first = lines.next_line().await?.unwrap_or_default();
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child() -> Child {
        Child { process: Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap() }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn fault_a_frozen_process_stands_still_when_that_is_told() {
        let state = |child: &Child| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid().unwrap())).unwrap();
            stat.rsplit_once(") ").unwrap().1.chars().next()
        };
        for _ in 0..20 {
            let child = child();
            let frozen = child.freeze().await;
            assert_eq!(state(&child), Some('T'));
            drop(frozen);
        }
    }

    #[tokio::test]
    async fn fault_a_process_that_has_ended_is_not_waited_for() {
        let mut child = child();
        let pid = child.raw_pid().unwrap();
        child.kill().await;
        stopped(pid).await;
        assert!(child.freeze().await.0.is_none());
    }
}
