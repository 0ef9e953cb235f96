//! The stricter clippy.toml of the engine crates.
//!
//! A crate's clippy.toml replaces the root's and cannot extend it, so each is written from the root's plus the rules
//! that keep clocks, threads, chance and hash order out of the engines.

use std::fs;

use anyhow::ensure;

use crate::{tidy::Finding, workspace::Workspace};

/// Crates whose result may depend on nothing but their arguments.
pub(super) const ENGINE_CRATES: [&str; 9] = [
    "crates/address-book",
    "crates/addr-exchange",
    "crates/core",
    "crates/gossip",
    "crates/peering",
    "crates/rpc",
    "crates/sim",
    "crates/stack",
    "crates/wire",
];

const HEADER: &str = "# Written by `cargo xtask tidy --fix` from the root's clippy.toml and \
    xtask/src/tidy/clippy_config.rs. Do not edit.\n";

// `allow-invalid`: rand has these only with features that no engine turns on, and clippy must not mind either case.
const EXTRAS: &str = r#"
disallowed-methods = [
    { path = "rand::random", reason = "chance comes from the seed", allow-invalid = true },
    { path = "rand::rng", reason = "chance comes from the seed", allow-invalid = true },
    { path = "std::thread::sleep", reason = "time is an argument" },
    { path = "std::thread::spawn", reason = "an engine is called, it does not run" },
    { path = "std::time::Instant::now", reason = "time is an argument; behaviours use bruit_core's clock" },
    { path = "std::time::SystemTime::now", reason = "time is an argument; behaviours use bruit_core's clock" },
]
disallowed-types = [
    { path = "rand::rngs::ThreadRng", reason = "chance comes from the seed", allow-invalid = true },
    { path = "std::collections::HashMap", reason = "hash order must not reach an output; use BTreeMap or bruit_core::LookupMap" },
    { path = "std::collections::HashSet", reason = "hash order must not reach an output; use BTreeSet or bruit_core::LookupMap" },
]
"#;

/// Compares, or with `fix` writes, the files of all engine crates.
pub(super) fn findings(workspace: &Workspace, fix: bool) -> anyhow::Result<Vec<Finding>> {
    let root = workspace.read("clippy.toml")?;
    ensure!(
        !root.contains("disallowed-"),
        "clippy.toml has disallowed-* keys, which the engine crates' own would repeat"
    );
    let wanted = format!("{HEADER}{}{EXTRAS}", settings(&root));
    let mut findings = Vec::new();
    for folder in ENGINE_CRATES {
        let path = format!("{folder}/clippy.toml");
        let present = fs::read_to_string(workspace.root().join(&path)).unwrap_or_default();
        if present == wanted {
            continue;
        }
        if fix {
            fs::write(workspace.root().join(&path), &wanted)?;
            println!("wrote {path}");
        } else {
            findings.push(Finding {
                path,
                line: 1,
                text: "differs from the root's plus extras: run `cargo xtask tidy --fix`".to_owned(),
            });
        }
    }
    Ok(findings)
}

/// The root's keys, without what its comments say about the root.
fn settings(root: &str) -> String {
    let mut text = String::new();
    for line in root.lines().filter(|line| !line.starts_with('#')) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{EXTRAS, settings};

    #[test]
    fn root_and_extras_make_one_valid_table() {
        let text = format!("{}{EXTRAS}", settings("# root\nallow-dbg-in-tests = true\n"));
        let table: toml::Table = text.parse().expect("valid toml");
        assert_eq!(table["allow-dbg-in-tests"].as_bool(), Some(true));
        assert!(table["disallowed-types"].is_array());
        assert!(table["disallowed-methods"].is_array());
    }
}
