//! Scenarios as files: read, checked, run, and judged by the claims they make.
//!
//! What all scenarios have in common is here and in the rooms below (`overlay`, `links`, `faults`); what belongs to one kind of
//! world is in that world's own `section`, which has its keys and its way to run.

mod changes;
mod claims;
mod faults;
mod invalid;
pub(crate) mod known;
mod links;
mod overlay;

use std::time::Duration;

use bruit_core::Seed;
use serde::Deserialize;

pub use changes::Change;
pub use claims::{Claim, Judged};
pub use faults::{FaultSection, FaultWord};
pub use invalid::Invalid;
pub use links::{LatencySection, LinksSection, ModelSection, RegionsSection};
pub use overlay::OverlaySection;

use self::known::Names;
use crate::{
    Figures, Overlay, TraceHash, TraceLines, Wire,
    gossip::{GossipSection, LoadSection},
    network::NetworkSection,
    rpc::RpcSection,
};

/// The most nodes that a scenario may have.
pub const NODES_MAX: u32 = 10_000_000;
/// The most runs that a scenario may ask for.
pub const RUNS_MAX: u32 = 100_000;

/// An experiment as a file says it.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: String,
    text: String,
    file: ScenarioFile,
    options: Options,
    lines: Option<TraceLines>,
}

/// The keys of a scenario file. Which sections may be there follows from the kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// Which kind of world.
    pub kind: Kind,
    /// What the scenario shows, for people.
    #[serde(default)]
    pub about: String,
    /// How many nodes.
    pub nodes: u32,
    /// What the chance of the first run follows from; the next run has the next number.
    #[serde(default = "one")]
    pub seed: u64,
    /// How many runs are pooled.
    #[serde(default = "one_run")]
    pub runs: u32,
    /// Who is connected to whom.
    pub overlay: Option<OverlaySection>,
    /// How links carry frames.
    #[serde(default)]
    pub links: LinksSection,
    /// What goes wrong.
    #[serde(default)]
    pub fault: Vec<FaultSection>,
    /// What must be true of the figures.
    #[serde(default)]
    pub claim: Vec<Claim>,
    /// What is published (kind `gossip`).
    pub load: Option<LoadSection>,
    /// How it spreads (kind `gossip`).
    pub gossip: Option<GossipSection>,
    /// How nodes live (kind `network`).
    pub network: Option<NetworkSection>,
    /// Who is asked, and how the asked answer (kind `rpc`).
    pub rpc: Option<RpcSection>,
}

/// Which kind of world a scenario is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Gossip alone, over a given overlay.
    Gossip,
    /// Whole nodes that find each other.
    Network,
    /// Global calls of one node alone.
    Rpc,
}

impl Kind {
    /// As files call it, and the section that is its own.
    const fn word(self) -> &'static str {
        match self {
            Self::Gossip => "gossip",
            Self::Network => "network",
            Self::Rpc => "rpc",
        }
    }
}

/// What the caller sets beside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Another number of nodes.
    pub nodes: Option<u32>,
    /// Another seed.
    pub seed: Option<u64>,
    /// Another number of runs.
    pub runs: Option<u32>,
    /// Other edges instead of its overlay, in the form of [`Overlay::to_text`].
    pub edges: Option<String>,
    /// Whether every frame is encoded and decoded.
    pub is_wire: bool,
}

/// What one run showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The figures.
    pub figures: Figures,
    /// The hash over all that happened.
    pub trace: TraceHash,
    /// Which invariants did not hold, in words; none, or something is wrong with the code.
    pub broken: Vec<String>,
    /// Who was connected to whom at the end, where nodes found each other.
    pub overlay: Option<Overlay>,
}

/// What a scenario showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The figures of all runs together.
    pub figures: Figures,
    /// The hash over all runs.
    pub trace: TraceHash,
    /// Each claim, and whether it holds.
    pub claims: Vec<Judged>,
    /// Which invariants did not hold, in words.
    pub broken: Vec<String>,
}

const fn one() -> u64 {
    1
}

const fn one_run() -> u32 {
    1
}

impl Scenario {
    /// Reads a scenario, and checks what can be checked without running it.
    pub fn parse(name: &str, text: &str, options: Options) -> Result<Self, Invalid> {
        let mut file: ScenarioFile = toml::from_str(text).map_err(|error| Invalid::of_toml(&error, text))?;
        if let Some(nodes) = options.nodes {
            if let Some(load) = &mut file.load {
                load.origin = load.origin.among(nodes, file.nodes);
            }
            file.nodes = nodes;
        }
        if let Some(edges) = &options.edges {
            file.overlay = Some(OverlaySection::EdgeText(edges.clone()));
        }
        file.seed = options.seed.unwrap_or(file.seed);
        file.runs = options.runs.unwrap_or(file.runs);
        let scenario = Self { name: name.to_owned(), text: text.to_owned(), file, options, lines: None };
        scenario.check()?;
        Ok(scenario)
    }

    /// Writes a line for everything that happens in its runs.
    #[must_use]
    pub fn with_lines(self, lines: TraceLines) -> Self {
        Self { lines: Some(lines), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says.
    pub const fn file(&self) -> &ScenarioFile {
        &self.file
    }

    /// The seed of the first run.
    pub const fn seed(&self) -> u64 {
        self.file.seed
    }

    /// How many runs it asks for.
    pub const fn runs(&self) -> u32 {
        self.file.runs
    }

    /// Runs it once. The result depends on nothing but the scenario and the number of the run, which starts at 0.
    pub fn run(&self, number: u32) -> Result<Run, Invalid> {
        let seed = Seed::from_number(self.file.seed.wrapping_add(u64::from(number)));
        if let Some(lines) = &self.lines {
            lines.begin(number, self.file.seed.wrapping_add(u64::from(number)));
        }
        let run = match self.file.kind {
            Kind::Gossip => crate::gossip::run(self, &seed),
            Kind::Network => crate::network::run(self, &seed),
            Kind::Rpc => crate::rpc::run(self, &seed),
        };
        self.lines.iter().for_each(TraceLines::end);
        run
    }

    /// Pools runs, in their order, and judges the claims.
    pub fn judge(&self, runs: Vec<Run>) -> Result<Outcome, Invalid> {
        let traces: Vec<TraceHash> = runs.iter().map(|run| run.trace).collect();
        let (mut figures, mut broken) = (Figures::default(), Vec::new());
        for run in runs {
            figures.pool(run.figures);
            broken.extend(run.broken);
        }
        let claims = claims::judge(self, &self.names(), &figures.printed());
        Ok(Outcome { figures, trace: TraceHash::of_all(&traces), claims, broken })
    }

    /// What cannot be, said about a key of the file: `path` leads to it.
    pub(crate) fn invalid(&self, path: &str, reason: impl Into<String>) -> Invalid {
        Invalid::at(&self.text, path, reason)
    }

    /// A share of the nodes that is nobody or somebody as it says, or a refusal.
    pub(crate) fn share_of_nodes(&self, path: &str, share: f64) -> Result<f64, Invalid> {
        let nodes = f64::from(self.file.nodes);
        let share = self.share(path, share)?;
        if share > 0.0 && (nodes * share).round() < 1.0 {
            let reason = format!("{share} of {nodes} nodes is nobody; the least is {}", 0.5 / nodes);
            return Err(self.invalid(path, reason));
        }
        Ok(share)
    }

    /// A share, or a refusal.
    pub(crate) fn share(&self, path: &str, share: f64) -> Result<f64, Invalid> {
        match (0.0..=1.0).contains(&share) {
            true => Ok(share),
            false => Err(self.invalid(path, format!("{share} is no share, from 0 to 1"))),
        }
    }

    pub(crate) const fn wire(&self) -> Wire {
        Wire { is_encoded: self.options.is_wire, is_counted: true }
    }

    pub(crate) fn lines(&self) -> Option<TraceLines> {
        self.lines.clone()
    }

    /// Refuses what another kind of world would read, and this one would pass over in silence.
    fn check_sections(&self) -> Result<(), Invalid> {
        let ScenarioFile { kind, overlay, fault, load, gossip, network, rpc, .. } = &self.file;
        let written = [
            ("overlay", overlay.is_some(), Kind::Gossip),
            ("fault", !fault.is_empty(), Kind::Gossip),
            ("load", load.is_some(), Kind::Gossip),
            ("gossip", gossip.is_some(), Kind::Gossip),
            ("network", network.is_some(), Kind::Network),
            ("rpc", rpc.is_some(), Kind::Rpc),
        ];
        match written.into_iter().find(|(_, is_there, of)| *is_there && of != kind) {
            Some((section, ..)) => {
                let reason = format!("a scenario of kind `{}` has no such section", kind.word());
                Err(self.invalid(section, reason).with_nearest(Some(kind.word().to_owned())))
            }
            None => Ok(()),
        }
    }

    /// The figures that it has.
    fn names(&self) -> Names {
        let known = match self.file.kind {
            Kind::Gossip => crate::gossip::KNOWN,
            Kind::Network => crate::network::KNOWN,
            Kind::Rpc => crate::rpc::KNOWN,
        };
        Names::of(self, &known.concat())
    }

    /// Whether a key says that something is to be measured.
    pub(crate) fn asks(&self, key: &str) -> bool {
        match self.file.kind {
            Kind::Gossip => crate::gossip::asks(self, key),
            Kind::Network => crate::network::asks(self, key),
            Kind::Rpc => crate::rpc::asks(self, key),
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        let ScenarioFile { nodes, runs, .. } = self.file;
        if !(1..=NODES_MAX).contains(&nodes) {
            return Err(self.invalid("nodes", format!("{nodes} nodes, but there must be 1 to {NODES_MAX}")));
        }
        if !(1..=RUNS_MAX).contains(&runs) {
            return Err(self.invalid("runs", format!("{runs} runs, but there must be 1 to {RUNS_MAX}")));
        }
        self.check_sections()?;
        self.links()?;
        self.faults(&Seed::from_number(self.file.seed))?;
        claims::check(self, &self.names())?;
        match self.file.kind {
            Kind::Gossip => crate::gossip::check(self),
            Kind::Network => crate::network::check(self),
            Kind::Rpc => crate::rpc::check(self),
        }
    }
}

impl Outcome {
    /// Whether every claim holds, and every invariant.
    pub fn holds(&self) -> bool {
        self.broken.is_empty() && self.claims.iter().all(|claim| claim.holds)
    }
}

/// Milliseconds of a file, which may have a fraction.
pub(crate) fn millis(ms: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(ms / 1_000.0).ok().filter(|span| *span <= Duration::from_secs(1 << 32))
}

#[cfg(test)]
mod tests;
