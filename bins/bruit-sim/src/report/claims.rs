use std::{fs, path::Path};

use anyhow::Context;
use bruit_sim::Scenario;

use crate::{choice::Choice, parallel, shown::Shown};

/// What became of the claims of one scenario.
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) seed: u64,
    pub(super) runs: u32,
    /// Each claim in words, and whether it holds.
    pub(super) claims: Vec<(String, bool)>,
}

/// Runs every scenario of a folder as its file says, in the order of their names.
pub(super) fn judge(folder: &Path, threads: Option<usize>) -> anyhow::Result<Vec<Kept>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let scenarios: Vec<Scenario> =
        paths.iter().map(|path| Choice::default().load(path)).collect::<anyhow::Result<_>>()?;
    eprintln!("claims of {} scenarios", scenarios.len());
    let all: Vec<&Scenario> = scenarios.iter().collect();
    let mut kept = Vec::new();
    for (scenario, runs) in scenarios.iter().zip(parallel::all(&all, threads)?) {
        let shown = Shown::of(scenario, runs)?;
        kept.push(Kept {
            name: scenario.name().to_owned(),
            about: scenario.file().about.clone(),
            seed: scenario.seed(),
            runs: scenario.runs(),
            claims: shown.claims(),
        });
    }
    Ok(kept)
}
