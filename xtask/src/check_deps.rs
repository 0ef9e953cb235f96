//! Who may know whom: the arrows between crates, the purity of the engines, and the floors under foreign versions.
//!
//! Purity holds package by package only: a build of the workspace unifies features, so each engine is looked at alone.

mod arrows;
mod floors;

use crate::workspace::{Workspace, output, run as run_shown};

/// Crates that turn into pure rules without their default features.
const ENGINES: [&str; 6] =
    ["bruit-addr-exchange", "bruit-address-book", "bruit-gossip", "bruit-peering", "bruit-rpc", "bruit-stack"];
const BANNED_IN_ENGINES: [&str; 5] = ["futures-timer", "getrandom", "libp2p-core", "libp2p-swarm", "tokio"];
const SIMULATOR: &str = "bruit-sim";
const BANNED_IN_SIMULATOR: [&str; 4] = ["futures-timer", "getrandom", "libp2p-swarm", "tokio"];

/// Fails at the first rule that does not hold, after naming everything that breaks it.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    report("arrows between crates", arrows::problems(&workspace.metadata()?)?)?;
    report("version floors", floors::problems(workspace)?)?;
    report(SIMULATOR, impurities(workspace, SIMULATOR, &[], &BANNED_IN_SIMULATOR)?)?;
    for engine in ENGINES {
        let flags = ["--no-default-features"];
        report(engine, impurities(workspace, engine, &flags, &BANNED_IN_ENGINES)?)?;
        run_shown(workspace.cargo().args(["check", "--quiet", "--package", engine]).args(flags))?;
    }
    Ok(())
}

fn report(what: &str, problems: Vec<String>) -> anyhow::Result<()> {
    for problem in &problems {
        println!("{problem}");
    }
    anyhow::ensure!(problems.is_empty(), "{what}: {} problem(s)", problems.len());
    println!("{what}: as they should be");
    Ok(())
}

/// Banned packages in what a package is built from.
fn impurities(workspace: &Workspace, package: &str, flags: &[&str], banned: &[&str]) -> anyhow::Result<Vec<String>> {
    let tree = output(
        workspace
            .cargo()
            .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .args(flags),
    )?;
    let mut problems: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| banned.contains(name))
        .map(|name| {
            format!("{package}: its normal dependencies hold {name}; `cargo tree -i {name}` shows through whom")
        })
        .collect();
    problems.sort();
    problems.dedup();
    Ok(problems)
}
