//! How many packages each of the project's crates adds to what libp2p-swarm brings anyway.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeSet, env, io::Write, path::Path, process::Command};

const CRATES: [&str; 4] = ["bruit-peering", "bruit-addr-exchange", "bruit-gossip", "bruit-rpc"];
const ADDED_MAX: usize = 60;

/// The names of all normal dependencies of a package of the project, and of those that libp2p-swarm has there.
fn dependencies(package: &str) -> [BTreeSet<String>; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../Cargo.toml");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "--locked", "--edges", "normal", "--prefix", "depth", "--no-dedupe", "--format", " {p}"]);
    let output = cargo.args(["--package", package, "--manifest-path"]).arg(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let [mut all, mut swarm] = [BTreeSet::new(), BTreeSet::new()];
    let mut swarm_depth = usize::MAX;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (depth, rest) = line.split_once(' ').unwrap();
        let (depth, name) = (depth.parse().unwrap(), rest.split(' ').next().unwrap());
        if depth <= swarm_depth {
            swarm_depth = if name == "libp2p-swarm" { depth } else { usize::MAX };
        }
        if swarm_depth < usize::MAX {
            swarm.insert(name.to_owned());
        }
        if depth > 0 {
            all.insert(name.to_owned());
        }
    }
    [all, swarm]
}

#[test]
fn each_behaviour_adds_few_dependencies() {
    // Written past the test harness, which would keep it to itself.
    let mut out = std::io::stdout();
    for package in CRATES {
        let [all, swarm] = dependencies(package);
        assert!(swarm.len() > 50, "libp2p-swarm is not found below {package}");
        let added: Vec<&str> = all.difference(&swarm).map(String::as_str).collect();
        writeln!(out, "{package}: {} beyond libp2p-swarm's {}: {}", added.len(), swarm.len(), added.join(" ")).unwrap();
        assert!(added.len() <= ADDED_MAX, "{package} adds {} packages: {added:?}", added.len());
    }
}
