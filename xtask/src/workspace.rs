//! The tree a task works on: where its root is, which files belong to it, and how programs are started in it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

/// The workspace that `cargo xtask` was called in.
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the root from what cargo tells a program it runs.
    pub(crate) fn locate() -> anyhow::Result<Self> {
        let manifest_dir = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`")?;
        let root = Path::new(&manifest_dir).parent().context("xtask lies in no workspace")?.to_path_buf();
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Reads a file named relative to the root.
    pub(crate) fn read(&self, path: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))
    }

    /// A program started at the root, without standard input.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        // What cargo tells xtask about itself would make build scripts that watch these variables run again.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        command
    }

    /// The cargo that runs this task.
    pub(crate) fn cargo(&self) -> Command {
        self.command(&env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
    }

    /// Files that git tracks or would track, relative to the root, in order.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<String>> {
        let listing =
            output(self.command("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
        let mut files: Vec<String> = listing
            .split('\0')
            .filter(|path| !path.is_empty() && self.root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The packages of the workspace as `cargo metadata` describes them.
    pub(crate) fn metadata(&self) -> anyhow::Result<serde_json::Value> {
        let text = output(self.cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Runs a program with its output shown, and fails if it does.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    ensure!(status.success(), "`{}` failed: {status}", shown(command));
    Ok(())
}

/// Runs a program and gives its standard output; what it says on standard error is shown only if it fails.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let finished =
        command.stderr(Stdio::piped()).output().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !finished.status.success() {
        let said = String::from_utf8_lossy(&finished.stderr);
        bail!("`{}` failed: {}\n{said}", shown(command), finished.status);
    }
    String::from_utf8(finished.stdout).with_context(|| format!("`{}` gave no text", shown(command)))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let mut text = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
