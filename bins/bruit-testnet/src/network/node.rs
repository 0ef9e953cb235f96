//! One node: its folder, its process, and how one talks to it.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use bruit::{PeerId, admin::Client};
use serde::Deserialize;
use tokio::{process::ChildStdout, time::Instant};

use crate::{
    args::Settings,
    failure::Failure,
    network::{
        FILES_TOPIC, HALF_TOPIC,
        child::{Child, Ended, Frozen, first_line},
    },
};

/// The exit code of a node whose port is taken.
pub(super) const PORT_IN_USE: u8 = 3;
/// How long a path to a socket may be, without the zero at its end.
const SOCKET_PATH_MAX: usize = 107;
/// How long a node that said why it cannot start may take to end.
const DEATH: Duration = Duration::from_secs(1);
/// How much of the end of a log is shown when a node ended by itself.
const LOG_TAIL_BYTES: u64 = 600;

/// A node of the network, running or not.
pub(crate) struct Node {
    number: usize,
    dir: PathBuf,
    process: Option<Child>,
    stdout: Option<ChildStdout>,
    ready: Option<Ready>,
}

/// What a node is told when it starts.
pub(super) struct Launch {
    pub(super) listen: String,
    pub(super) seeds: Vec<String>,
}

/// The first line that a node prints: that it is ready, or why it is not.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum FirstLine {
    Ready(Ready),
    Error { error: String },
}

#[derive(Clone, Debug, Deserialize)]
struct Ready {
    peer_id: PeerId,
    listen: Vec<String>,
}

impl Node {
    /// Makes the node's folder.
    pub(super) fn new(index: usize, parent: &Path) -> Result<Self, Failure> {
        let number = index + 1;
        let dir = parent.join(format!("n{number:03}"));
        let node = Self { number, dir, process: None, stdout: None, ready: None };
        let socket = node.api();
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            let text = format!("{} is longer than the {SOCKET_PATH_MAX} bytes a socket may have", socket.display());
            return Err(Failure::data_directory(text));
        }
        fs::create_dir(&node.dir)
            .map_err(|error| Failure::data_directory(format!("{}: {error}", node.dir.display())))?;
        Ok(node)
    }

    /// The number that people see.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The socket of its API.
    pub(crate) fn api(&self) -> PathBuf {
        self.dir.join("api.sock")
    }

    /// Where its log is.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Who it is, once it was ready.
    pub(crate) fn peer_id(&self) -> Option<&PeerId> {
        self.ready.as_ref().map(|ready| &ready.peer_id)
    }

    /// Where it listens, or listened last.
    pub(crate) fn listen(&self) -> &str {
        self.ready.as_ref().and_then(|ready| ready.listen.first()).map_or("", String::as_str)
    }

    /// The number of its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::pid)
    }

    /// How one talks to it.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.api())
    }

    /// Starts its process.
    pub(super) fn spawn(&mut self, settings: &Settings, launch: &Launch) -> Result<(), Failure> {
        let args = self.args(settings, launch);
        let (process, stdout) = Child::spawn(&args, &self.log())
            .map_err(|error| Failure::claim(format!("node {} cannot be started: {error}", self.number)))?;
        self.process = Some(process);
        self.stdout = Some(stdout);
        Ok(())
    }

    fn args(&self, settings: &Settings, launch: &Launch) -> Vec<String> {
        let mut args: Vec<String> =
            ["run", "--json", "--network", "testnet", "--allow-private-addrs"].map(Into::into).into();
        args.push(format!("--exit-with-parent={}", process::id()));
        let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
        flag("--profile", settings.profile.clone());
        flag("--data-dir", self.dir.display().to_string());
        flag("--listen", launch.listen.clone());
        flag("--outbound", settings.outbound.to_string());
        flag("--inbound-max", settings.inbound_max_of(self.number - 1).to_string());
        flag("--fanout", settings.fanout.to_string());
        flag("--rounds", settings.rounds.to_string());
        flag("--set", format!("policy={}", settings.policy));
        flag("--topic", format!("{FILES_TOPIC}=everybody"));
        flag("--topic", format!("{HALF_TOPIC}=subscribers"));
        flag("--log", settings.log.clone());
        for seed in &launch.seeds {
            flag("--seed-addr", seed.clone());
        }
        if !settings.repair {
            args.push("--no-repair".to_owned());
        }
        if settings.bad.contains(&(self.number - 1)) {
            let others = bruit::BUILTIN_METHODS.into_iter().filter(|method| *method != bruit::OBJECT);
            args.extend(["--set".to_owned(), format!("builtin_methods={}", others.collect::<Vec<_>>().join(","))]);
        }
        args
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// It ended instead.
    pub(crate) async fn ready(&mut self) -> Result<(), Failure> {
        let Some(stdout) = self.stdout.take() else { return Ok(()) };
        let line = first_line(stdout).await.unwrap_or_default();
        match serde_json::from_str(&line) {
            Ok(FirstLine::Ready(ready)) => {
                self.ready = Some(ready);
                Ok(())
            }
            Ok(FirstLine::Error { error }) => Err(self.death(&error).await),
            Err(_) if line.is_empty() => Err(self.death("it ended without a word").await),
            Err(error) => Err(self.death(&format!("its first line is not understood ({error}): {line}")).await),
        }
    }

    async fn death(&mut self, why: &str) -> Failure {
        let status = match &mut self.process {
            Some(process) => {
                process.end(Instant::now() + DEATH).await;
                process.ended()
            }
            None => None,
        };
        let code = status.and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
        let text = format!("node {} does not start: {why}{}", self.number, self.log_tail());
        Failure { code: code.filter(|code| *code != 0).unwrap_or(1), text }
    }

    /// What an unanswered request means.
    pub(crate) fn trouble(&mut self, what: &str, error: &impl std::fmt::Display) -> Failure {
        self.casualty().unwrap_or_else(|| Failure::claim(format!("node {}, asked for {what}: {error}", self.number)))
    }

    /// Why it does not run any longer although nobody ended it.
    pub(crate) fn casualty(&mut self) -> Option<Failure> {
        let status = self.process.as_mut()?.ended()?;
        Some(Failure::claim(format!("node {} ended by itself ({status}){}", self.number, self.log_tail())))
    }

    /// Writes what it says of itself beside its log.
    pub(super) async fn take_down(&self) -> Result<(), Box<dyn std::error::Error>> {
        let client = self.client();
        fs::write(self.dir.join("status.json"), serde_json::to_vec_pretty(&client.status().await?)?)?;
        fs::write(self.dir.join("peers.json"), serde_json::to_vec_pretty(&client.peers().await?)?)?;
        fs::write(self.dir.join("goodbyes.json"), serde_json::to_vec_pretty(&client.goodbyes().await?)?)?;
        Ok(())
    }

    /// The largest resident memory of its process so far, in MiB.
    pub(crate) fn memory_mib_max(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024.0)
    }

    /// Stops its process until the answer is dropped.
    pub(crate) async fn freeze(&self) -> Option<Frozen> {
        match &self.process {
            Some(process) => Some(process.freeze().await),
            None => None,
        }
    }

    /// Asks its process to end.
    pub(super) fn ask_to_end(&self) {
        if let Some(process) = &self.process {
            process.ask_to_end();
        }
    }

    /// Waits for the end of its process, and kills it at the deadline.
    pub(super) async fn end(&mut self, deadline: Instant) -> Option<Ended> {
        let ended = self.process.as_mut()?.end(deadline).await;
        self.process = None;
        Some(ended)
    }

    /// Ends its process at once, as a crash would.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// The end of its log, to be put behind a sentence.
    fn log_tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = fs::File::open(self.log())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        match read() {
            Ok(tail) if !tail.is_empty() => format!("; the end of {}:\n{tail}", self.log().display()),
            Ok(_) | Err(_) => String::new(),
        }
    }
}
