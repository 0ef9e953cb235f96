use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bruit_sim::{Options, Overlay, Scenario, scenario::Change};

/// What the command line says instead of the scenario's file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Choice {
    /// How many nodes, instead of what the file says.
    #[arg(long)]
    pub(crate) nodes: Option<u32>,
    /// The seed of the first run, instead of the file's.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many runs, instead of what the file says.
    #[arg(long)]
    pub(crate) runs: Option<u32>,
    /// Another value for a key of the file: `--set load.messages=3`, `--set fault.0.share=0.5`.
    #[arg(long, value_name = "KEY=VALUE", value_parser = change)]
    pub(crate) set: Vec<Change>,
    /// Another overlay: a file with an edge a line, two numbers of nodes, as `--save-overlay` writes it. There are as many nodes as
    /// it needs, unless `--nodes` says how many.
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay: Option<PathBuf>,
    /// Encodes every frame and decodes it again: the trace must be the same.
    #[arg(long)]
    pub(crate) wire: bool,
    /// How many runs at a time; as many as there are processors, unless given.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
}

impl Choice {
    /// Reads a scenario, with what the command line says instead.
    pub(crate) fn load(&self, path: &Path) -> anyhow::Result<Scenario> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let mut options =
            Options { nodes: self.nodes, seed: self.seed, runs: self.runs, edges: None, is_wire: self.wire };
        if let Some(file) = &self.overlay {
            let edges = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            let overlay = Overlay::from_text(&edges).with_context(|| file.display().to_string())?;
            options.nodes.get_or_insert(overlay.nodes());
            options.edges = Some(edges);
        }
        if self.set.is_empty() {
            return Scenario::parse(&name, &text, options).with_context(|| path.display().to_string());
        }
        let said =
            || self.set.iter().map(|change| format!(" --set '{}={}'", change.key, change.value)).collect::<String>();
        let read = Change::apply(&self.set, &text).and_then(|text| Scenario::parse(&name, &text, options));
        match read {
            Ok(scenario) => Ok(scenario),
            // Lines of a text that nobody wrote would only mislead.
            Err(mut invalid) => {
                let nearest = invalid.nearest.take().map(|nearest| format!("; the nearest is `{nearest}`"));
                bail!("{}{}: {}{}", path.display(), said(), invalid.reason, nearest.unwrap_or_default())
            }
        }
    }

    /// All of it but the threads, as it is written; what decides the outcome.
    pub(crate) fn flags(&self) -> String {
        let numbers = [("seed", self.seed), ("nodes", self.nodes.map(u64::from)), ("runs", self.runs.map(u64::from))];
        let mut flags = String::new();
        for (flag, number) in numbers {
            flags.extend(number.map(|number| format!(" --{flag} {number}")));
        }
        flags.extend(self.set.iter().map(|change| format!(" --set {}", quoted(change))));
        flags.extend(self.overlay.iter().map(|file| format!(" --overlay {}", file.display())));
        flags.extend(self.wire.then_some(" --wire"));
        flags
    }
}

/// A change as a shell takes it.
fn quoted(Change { key, value }: &Change) -> String {
    let is_plain = value.chars().all(|char| char.is_ascii_alphanumeric() || "_.-".contains(char));
    if is_plain { format!("{key}={value}") } else { format!("'{key}={value}'") }
}

fn change(text: &str) -> Result<Change, String> {
    let (key, value) = text.split_once('=').ok_or("a change is KEY=VALUE")?;
    Ok(Change { key: key.trim().to_owned(), value: value.trim().to_owned() })
}
