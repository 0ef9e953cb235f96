//! The keys of a scenario of kind `rpc`, and how it is run.

use bruit_core::Seed;
use bruit_rpc::Config;
use serde::Deserialize;

use super::experiment::Experiment;
use crate::{
    Latency, TraceHash,
    scenario::{
        Invalid, Run, Scenario,
        known::{self, Known},
    },
};

/// Global calls of one node, and its peers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcSection {
    /// How many calls are made before anything is measured; how many of them succeed is reported apart.
    pub warm_up: u32,
    /// How many calls are measured.
    pub calls: u32,
    /// The share of peers that never answer.
    pub silent_share: f64,
    /// The share of peers that answer falsely.
    pub wrong_share: f64,
    /// The share of peers that answer truly for a while, and then falsely.
    pub turncoat_share: f64,
    /// For how many calls these behave.
    pub behaves_for: u32,
    /// How long an answer takes: 5 and 95 % of a logarithmic normal distribution, drawn for each exchange.
    pub round_trip_ms: [f64; 2],
    /// The settings of requests, as in a node's configuration.
    pub engine: Config,
}

impl Default for RpcSection {
    fn default() -> Self {
        Self {
            warm_up: 200,
            calls: 10_000,
            silent_share: 0.3,
            wrong_share: 0.1,
            turncoat_share: 0.0,
            behaves_for: 1_000,
            round_trip_ms: [20.0, 300.0],
            engine: Config::default(),
        }
    }
}

/// How many standard deviations from the middle 95 % lie below.
const DEVIATIONS: f64 = 1.645;

/// The figures of this kind.
pub(crate) const KNOWN: &[&[Known]] = &[&known::traffic(None), FIGURES];

const FIGURES: &[Known] = &[
    Known::plain("success").share(),
    Known::plain("cold_success").share(),
    Known::plain("cold_wasted_per_call"),
    Known::plain("wasted_per_call"),
    Known::plain("wasted_per_call_hedged"),
    Known::plain("requests_per_call"),
    Known::mean("p99_over_oracle"),
    Known::plain("turncoats_before").asked_by("rpc.turncoat_share"),
    Known::plain("turncoats_after").asked_by("rpc.turncoat_share"),
    Known::plain("heal_peak_over_steady"),
    Known::plain("false_accepted"),
];

/// Whether a key says that something is to be measured.
pub(crate) fn asks(scenario: &Scenario, key: &str) -> bool {
    key == "rpc.turncoat_share" && scenario.file().rpc.as_ref().is_some_and(|section| section.turncoat_share > 0.0)
}

/// Refuses what cannot be, before anything is run.
pub(crate) fn check(scenario: &Scenario) -> Result<(), Invalid> {
    experiment(scenario, &Seed::from_number(0)).map(drop)
}

/// Runs a scenario once.
pub(crate) fn run(scenario: &Scenario, seed: &Seed) -> Result<Run, Invalid> {
    let (figures, traces, broken) = experiment(scenario, seed)?.run();
    Ok(Run { figures, trace: TraceHash::of_all(&traces), broken, overlay: None })
}

fn experiment(scenario: &Scenario, seed: &Seed) -> Result<Experiment, Invalid> {
    let section = scenario.file().rpc.clone().unwrap_or_default();
    if scenario.file().overlay.is_some() {
        return Err(scenario.invalid("overlay", "one node asks all others: there is nothing to be laid"));
    }
    let peers = scenario.file().nodes;
    if !(1..=250).contains(&peers) {
        return Err(scenario.invalid("nodes", format!("{peers} peers, but one node is linked to 1 to 250")));
    }
    let count = |path: &str, share: f64| Ok((scenario.share_of_nodes(path, share)? * f64::from(peers)).round() as u32);
    let silent = count("rpc.silent_share", section.silent_share)?;
    let wrong = count("rpc.wrong_share", section.wrong_share)?;
    let turncoats = count("rpc.turncoat_share", section.turncoat_share)?;
    if silent + wrong + turncoats >= peers {
        return Err(scenario.invalid("rpc.silent_share", "nobody would be left to answer truly"));
    }
    if section.calls == 0 || section.warm_up == 0 || section.behaves_for == 0 {
        return Err(scenario.invalid("rpc.calls", "there are calls to be made before and while it is measured"));
    }
    let [low, high] = section.round_trip_ms;
    if !(low > 0.0 && high > low) {
        return Err(scenario.invalid("rpc.round_trip_ms", "the first is above 0 and the second above the first"));
    }
    let sigma = libm::log(high / low) / (2.0 * DEVIATIONS);
    let median = scenario.span("rpc.round_trip_ms", libm::sqrt(low * high))?;
    let engine = section.engine.validate().map_err(|error| scenario.invalid("rpc.engine", error.to_string()))?;
    Ok(Experiment {
        peers,
        silent,
        wrong,
        turncoats,
        behaves_for: section.behaves_for,
        warm_up: section.warm_up,
        calls: section.calls,
        round_trip: Latency::LogNormal { median, sigma },
        engine,
        links: scenario.links()?,
        wire: scenario.wire(),
        lines: scenario.lines(),
        seed: seed.clone(),
    })
}
