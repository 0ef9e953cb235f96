//! The program `bruit`: a node in a process of its own, and commands to it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use bruit_foreign::Multiaddr;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

/// A running node; it ends with this value.
pub(crate) struct Bruit {
    pub(crate) peer_id: String,
    listen: Multiaddr,
    folder: Folder,
    _process: Running,
}

/// A process and what it writes.
pub(crate) struct Running {
    lines: BufReader<ChildStdout>,
    _process: Child,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // The system empties the folder above, should this fail.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Bruit {
    /// Starts a node on a free port of 127.0.0.1 and waits until it is ready.
    pub(crate) async fn start(network: &str, more: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        // Short: the path of the node's socket has at most 107 bytes.
        let folder = Folder(env::temp_dir().join(format!("bruit-foreign-{}-{number}", process::id())));
        fs::create_dir_all(&folder.0).unwrap();
        let mut command = bruit();
        command.args(["run", "--json", "--exit-with-parent", "--log", "error", "--allow-private-addrs"]);
        command
            .args(["--network", network, "--listen", "/ip4/127.0.0.1/tcp/0", "--data-dir"])
            .arg(data_dir(&folder.0))
            .args(more);
        let mut process = Running::new(command);
        let ready = next_event(&mut process, "ready").await;
        let (_, listen) = ready.split_once(r#""listen":[""#).unwrap();
        let listen = listen.split('"').next().unwrap().parse().unwrap();
        Self { peer_id: field(&ready, "peer_id"), listen, folder, _process: process }
    }

    /// Where it listens, without its peer id.
    pub(crate) fn addr(&self) -> Multiaddr {
        self.listen.clone()
    }

    /// Writes a file beside the node's own.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Starts a command.
    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        Running::new(self.command(args))
    }

    /// Runs a command, which must succeed, and gives its last line.
    pub(crate) async fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).stderr(Stdio::piped()).output().await.unwrap();
        let [said, told] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(output.status.success(), "bruit {args:?}: {}\n{said}{told}", output.status);
        said.lines().last().unwrap_or_default().to_owned()
    }

    /// Runs a command until its answer is as wanted.
    pub(crate) async fn until(&self, args: &[&str], is_wanted: impl Fn(&str) -> bool) {
        while !is_wanted(&self.run(args).await) {}
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = bruit();
        command.args(args).args(["--json", "--data-dir"]).arg(data_dir(&self.folder.0)).kill_on_drop(true);
        command
    }
}

impl Running {
    fn new(mut command: Command) -> Self {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { lines, _process: process }
    }
}

/// The next line that a process writes.
pub(crate) async fn next_line(process: &mut Running) -> String {
    let mut line = String::new();
    assert_ne!(process.lines.read_line(&mut line).await.unwrap(), 0, "the process wrote no further line");
    line
}

/// The next line that tells of such an event.
pub(crate) async fn next_event(process: &mut Running, event: &str) -> String {
    loop {
        let line = next_line(process).await;
        if field(&line, "event") == event {
            return line;
        }
    }
}

/// A text without escapes in a JSON object.
pub(crate) fn field(json: &str, name: &str) -> String {
    let (_, value) = json.split_once(&format!(r#""{name}":""#)).unwrap_or_else(|| panic!("no text {name} in {json}"));
    value.split('"').next().unwrap_or_default().to_owned()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The program, with no settings from this test's environment.
fn bruit() -> Command {
    let mut command = Command::new(program());
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BRUIT_")) {
        command.env_remove(name);
    }
    command
}

/// What `BRUIT_BIN` names, or what was built last into the target folder that this test is in.
fn program() -> PathBuf {
    if let Some(path) = env::var_os("BRUIT_BIN") {
        return path.into();
    }
    let test = env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let built = ["debug", "release"].map(|profile| target.join(profile).join("bruit"));
    let newest = built.into_iter().filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path))).max();
    let (_, path) = newest.unwrap_or_else(|| {
        panic!("no `bruit` in {}: `cargo build -p bruit-cli` in the project's root builds it", target.display())
    });
    path
}
