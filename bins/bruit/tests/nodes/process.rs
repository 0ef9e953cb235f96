use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The command, without any setting from the environment.
pub(crate) fn bruit() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_bruit")))
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BRUIT_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Output {
    bruit().args(args).output().unwrap()
}

/// The JSON object on the last line of stdout.
pub(crate) fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_else(|| panic!("no line; stderr: {}", stderr(output)));
    serde_json::from_str(line).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running node; dropping it kills it.
pub(crate) struct Node {
    process: Child,
    stdout: BufReader<ChildStdout>,
    dir: PathBuf,
    ready: Value,
}

impl Node {
    pub(crate) fn start(dir: &Path, ip: &str, more: &[&str]) -> Self {
        Self::start_as(bruit(), dir, ip, more)
    }

    /// Starts it below a shell that first does something with its own limits.
    pub(crate) fn start_limited(limits: &str, dir: &Path, ip: &str) -> Self {
        let mut shell = clean(Command::new("sh"));
        let script = format!("{limits}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_bruit")]);
        Self::start_as(shell, dir, ip, &[])
    }

    fn start_as(mut command: Command, dir: &Path, ip: &str, more: &[&str]) -> Self {
        let listen = format!("/ip4/{ip}/tcp/0");
        command
            .args([
                "run",
                "--json",
                "--exit-with-parent",
                "--allow-private-addrs",
                "--network",
                "test",
                "--log",
                "warn",
            ])
            .args(["--listen", &listen, "--data-dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let mut node = Self { process, stdout, dir: dir.to_owned(), ready: Value::Null };
        node.ready =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line} {}", node.stderr_of_dead()));
        assert_eq!(node.ready["event"], "ready", "{line}");
        node
    }

    fn stderr_of_dead(&mut self) -> String {
        let mut text = String::new();
        let _ = self.process.kill();
        self.process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn addr(&self) -> String {
        self.ready["listen"][0].as_str().unwrap().to_owned()
    }

    pub(crate) fn peer_id(&self) -> String {
        self.ready["peer_id"].as_str().unwrap().to_owned()
    }

    /// Runs a command about this node.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let (command, rest) = args.split_first().unwrap();
        bruit().args([*command, "--json", "--data-dir"]).arg(&self.dir).args(rest).output().unwrap()
    }

    /// Runs a command that must succeed, and gives its JSON.
    pub(crate) fn ask(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {} {}", last_line(&output), stderr(&output));
        last_line(&output)
    }

    /// The next line that it prints.
    pub(crate) fn next_line(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end: exit code, last line of stdout, all of stderr.
    pub(crate) fn ended(mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.process.wait().unwrap().code();
        (code, stdout.lines().last().unwrap_or_default().to_owned(), stderr)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
