use std::{process::Stdio, time::Duration};

use bruit::{
    PeerId,
    admin::message::{Declined, Why},
};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// How much of a reason a caller is told.
const REASON_CHARS_MAX: usize = 200;
/// How much of the output is passed on at a time.
const PART_BYTES: usize = 64 * 1024;
/// How much of the standard error is looked at.
const STDERR_BYTES_MAX: u64 = 4_096;

/// A command that answers requests of one method.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) command: String,
    pub(super) method: String,
    pub(super) answer_max: usize,
}

/// A running command; dropping it kills it with all that it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Its process has the number of its group. One that was waited for has no number any more, but its children may live.
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Script {
    /// Runs the command for one request. Dropping the future kills it.
    pub(super) async fn run(&self, from: PeerId, request: Vec<u8>, limit: Duration) -> Result<Vec<u8>, Declined> {
        let answer_max = self.answer_max as u64;
        let read = |stdout: ChildStdout| async move {
            let mut answer = Vec::new();
            let _ = stdout.take(answer_max.saturating_add(1)).read_to_end(&mut answer).await;
            Ok(answer)
        };
        let ended = timeout(limit, self.output(from, request, read)).await;
        let answer = ended.unwrap_or_else(|_| Err(failed(format!("no answer within {} ms", limit.as_millis()))))?;
        if answer.len() > self.answer_max {
            return Err(failed(format!("the answer has more than {} bytes", self.answer_max)));
        }
        Ok(answer)
    }

    /// Runs the command for one request and passes on what it writes, as it writes it; `idle` is how long it may write nothing.
    /// `pass_on` says whether anybody still wants more. Dropping the future kills the command. How many bytes it wrote.
    pub(super) async fn stream<F: Future<Output = bool>>(
        &self,
        from: PeerId,
        request: Vec<u8>,
        idle: Duration,
        mut pass_on: impl FnMut(&[u8]) -> F,
    ) -> Result<usize, Declined> {
        let stands_still = || failed(format!("nothing more within {} ms", idle.as_millis()));
        let (mut count, mut part) = (0_usize, vec![0; PART_BYTES]);
        let read = |mut stdout: ChildStdout| async move {
            loop {
                let read = timeout(idle, stdout.read(&mut part)).await.map_err(|_| stands_still())?;
                let len = read.unwrap_or(0);
                count = count.saturating_add(len);
                if count > self.answer_max {
                    return Err(failed(format!("the answer has more than {} bytes", self.answer_max)));
                }
                if len == 0 {
                    return Ok(count);
                }
                if !pass_on(part.get(..len).unwrap_or_default()).await {
                    return Err(failed("nobody wants it any more"));
                }
            }
        };
        self.output(from, request, read).await
    }

    /// What `read` makes of the command's output, if its exit code says that it answered.
    async fn output<T, F: Future<Output = Result<T, Declined>>>(
        &self,
        from: PeerId,
        request: Vec<u8>,
        read: impl FnOnce(ChildStdout) -> F,
    ) -> Result<T, Declined> {
        let child = Command::new("sh")
            .args(["-c", &self.command])
            .env("BRUIT_METHOD", &self.method)
            .env("BRUIT_PEER", from.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut running = Running(child.map_err(|_| failed("the command cannot be run"))?);
        let (stdin, stdout, stderr) = (running.0.stdin.take(), running.0.stdout.take(), running.0.stderr.take());
        let stdout = stdout.ok_or_else(|| failed("the command has no output"))?;
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command need not read its input.
                let _ = stdin.write_all(&request).await;
            }
            Ok(())
        };
        let read_errors = async {
            let (mut text, mut rest) = (Vec::new(), [0; 4_096]);
            if let Some(mut stderr) = stderr {
                let _ = (&mut stderr).take(STDERR_BYTES_MAX).read_to_end(&mut text).await;
                // What nobody reads must not stop the command.
                while stderr.read(&mut rest).await.is_ok_and(|count| count > 0) {}
            }
            Ok(text)
        };
        let ((), answer, errors) = tokio::try_join!(write, read(stdout), read_errors)?;
        let status = running.0.wait().await.map_err(|_| failed("the command cannot be waited for"))?;
        match status.code() {
            Some(0) => Ok(answer),
            Some(1) => Err(Declined { why: Why::CannotSatisfy, reason: reason_of(&errors) }),
            Some(2) => Err(Declined { why: Why::BadRequest, reason: reason_of(&errors) }),
            Some(75) => Err(Declined { why: Why::Overloaded, reason: reason_of(&errors) }),
            Some(code) => Err(failed(format!("the command ended with exit code {code}"))),
            None => Err(failed("the command was killed")),
        }
    }
}

fn failed(reason: impl Into<String>) -> Declined {
    Declined { why: Why::Failed, reason: reason.into() }
}

/// The first line that the command wrote for it.
fn reason_of(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.lines().next().unwrap_or_default().trim().chars().take(REASON_CHARS_MAX).collect()
}
