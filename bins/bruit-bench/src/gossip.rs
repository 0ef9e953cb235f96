#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

mod board;
mod floodsub;
mod gossipsub;
mod graph;
mod network;
mod node;
mod ours;
mod payload;
mod relay;
mod results;
mod socket;

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bruit_core::Seed;
use bruit_gossip::{Policy, TopicConfig};
use tokio::runtime::{Builder, Runtime};

use self::{
    gossipsub::Tuning,
    graph::Graph,
    network::{Network, Sample, Work},
    relay::Relay,
    results::{Results, Turn},
};
use crate::report::short;

/// Enough to keep all nodes busy: more only waits longer.
const UNDER_WAY_MAX: usize = 32;
/// What one publisher has under way at most, in bytes: ten of them stay below what one outbox takes.
const UNDER_WAY_BYTES: usize = 256 * 1024;
/// How long each tuning of the peer is tried.
const TUNING_WINDOW: Duration = Duration::from_secs(3);
/// Messages a second, of all publishers, at which the processor time of a delivery is measured.
const FIXED_RATE: f64 = 100.0;
const LARGE: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// With whom ours is compared.
    #[arg(long, value_enum, default_value_t = Peer::Gossipsub)]
    peer: Peer,
    /// How many nodes there are.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(3..=200))]
    nodes: u16,
    /// How many neighbours each has.
    #[arg(long, default_value_t = 16)]
    degree: usize,
    /// Bytes in a payload.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Every message is signed by its publisher, and checked before it is relayed.
    #[arg(long)]
    signed: bool,
    /// For how long each phase lasts.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How often everything is measured, ours and the peer in turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// How ours relays, by name or as JSON; the crate's default without.
    #[arg(long, value_parser = policy)]
    policy: Option<Policy>,
    /// How many nodes publish.
    #[arg(long, default_value_t = 10)]
    publishers: u16,
    /// What the graph and the choices of ours follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measures nothing but ours.
    #[arg(long)]
    alone: bool,
    /// Runs these phases only, such as `saturated`; all without. Figures of the others are 0.
    #[arg(long, value_delimiter = ',', value_parser = PHASES)]
    phases: Vec<String>,
    /// Prints one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// In their order.
const PHASES: [&str; 5] = ["idle", "fixed", "moderate", "saturated", "large"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Peer {
    Gossipsub,
    Floodsub,
}

/// Measures everything; false when a message was lost or a required figure is missed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    ensure!(args.seconds > 0.0 && args.seconds <= 600.0, "--seconds is above 0 and at most 600");
    ensure!(args.publishers >= 1 && args.publishers <= args.nodes, "--publishers is at least 1 and at most --nodes");
    ensure!((payload::SIZE_MIN..=128 * 1024).contains(&args.size), "--size is from {} to 131072", payload::SIZE_MIN);
    ensure!(!(args.signed && args.peer == Peer::Floodsub), "floodsub has no signatures");
    let graph = Graph::random(usize::from(args.nodes), args.degree, &Seed::from_number(args.seed))?;
    let bench = Bench { args, graph, runtime: Builder::new_multi_thread().worker_threads(2).enable_all().build()? };
    let results = bench.run()?;
    let text = if args.json { results.json() } else { results.table() };
    print_line(&text);
    Ok(results.missed().is_empty())
}

struct Bench<'a> {
    args: &'a Args,
    graph: Graph,
    runtime: Runtime,
}

/// How the peer is run, and the messages a second of all publishers at its saturation.
struct Rival {
    tuning: Tuning,
    saturated_rate: f64,
    tried: Vec<(&'static str, f64)>,
}

impl Bench<'_> {
    fn run(&self) -> anyhow::Result<Results> {
        let rival = if self.args.alone { self.ours_alone()? } else { self.rival()? };
        let mut turns = Vec::new();
        for turn in 1..=self.args.repeat {
            let ours = self.phases::<bruit_gossip::Behaviour>(&format!("{turn} ours"), &self.ours(), &rival)?;
            let name = format!("{turn} {:?}", self.args.peer).to_lowercase();
            let peer = match self.args.peer {
                _ if self.args.alone => Vec::new(),
                Peer::Gossipsub => {
                    self.phases::<libp2p::gossipsub::Behaviour>(&name, &self.gossipsub(rival.tuning), &rival)?
                }
                Peer::Floodsub => self.phases::<libp2p::floodsub::Behaviour>(&name, &(), &rival)?,
            };
            turns.push(Turn { ours, peer });
        }
        let size = self.args.size;
        Ok(Results { size, tuning: rival.tuning.name(), tried: rival.tried, rate: rival.saturated_rate, turns })
    }

    /// The best of the peer's tunings, by one short run of each.
    fn rival(&self) -> anyhow::Result<Rival> {
        let mut tried = Vec::new();
        match self.args.peer {
            Peer::Gossipsub => {
                for tuning in Tuning::ALL {
                    let rate = self.saturate::<libp2p::gossipsub::Behaviour>(&self.gossipsub(tuning))?;
                    eprintln!("gossipsub {}: {} messages/s", tuning.name(), short(rate));
                    tried.push((tuning, rate));
                }
            }
            Peer::Floodsub => tried.push((Tuning::Defaults, self.saturate::<libp2p::floodsub::Behaviour>(&())?)),
        }
        let best = tried.iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let (tuning, saturated_rate) = best.copied().context("nothing was tried")?;
        Ok(Rival { tuning, saturated_rate, tried: tried.iter().map(|(tuning, rate)| (tuning.name(), *rate)).collect() })
    }

    fn ours_alone(&self) -> anyhow::Result<Rival> {
        let saturated_rate = self.saturate::<bruit_gossip::Behaviour>(&self.ours())?;
        Ok(Rival { tuning: Tuning::Defaults, saturated_rate, tried: Vec::new() })
    }

    fn ours(&self) -> ours::Settings {
        let mut topic = TopicConfig::default();
        if let Some(policy) = self.args.policy {
            topic.policy = policy;
        }
        ours::Settings { topic, is_signed: self.args.signed }
    }

    fn gossipsub(&self, tuning: Tuning) -> gossipsub::Settings {
        gossipsub::Settings { tuning, is_signed: self.args.signed }
    }

    /// Messages a second that all publishers together can have delivered everywhere.
    fn saturate<R: Relay>(&self, settings: &R::Settings) -> anyhow::Result<f64> {
        let sample = self.runtime.block_on(async {
            let mut network = self.start::<R>(settings).await?;
            let sample = network.measure(saturation(self.args.size), TUNING_WINDOW).await;
            network.stop().await;
            sample
        })?;
        Ok(sample.deliveries_per_second / (self.graph.nodes - 1) as f64)
    }

    fn phases<R: Relay>(
        &self,
        name: &str,
        settings: &R::Settings,
        rival: &Rival,
    ) -> anyhow::Result<Vec<(&'static str, Sample)>> {
        let (size, moderate) = (self.args.size, rival.saturated_rate / 2.0);
        let mut phases = vec![
            ("idle", Work::Nothing),
            ("fixed", Work::PerSecond { rate: FIXED_RATE.min(moderate), size }),
            ("moderate", Work::PerSecond { rate: moderate, size }),
            ("saturated", saturation(size)),
        ];
        if size != LARGE {
            phases.push(("large", saturation(LARGE)));
        }
        phases.retain(|(name, _)| self.args.phases.is_empty() || self.args.phases.iter().any(|phase| phase == name));
        let window = Duration::from_secs_f64(self.args.seconds);
        self.runtime.block_on(async {
            let mut network = self.start::<R>(settings).await?;
            let mut samples = Vec::new();
            for (phase, work) in phases {
                let sample = network.measure(work, window).await?;
                let (rate, cpu) = (short(sample.deliveries_per_second), short(sample.cpu_micros_per_delivery));
                eprintln!(
                    "{name} {phase}: {rate} deliveries/s, {cpu} us, {} B, {} packets each, p50 {} p99 {} ms, {} cores, \
                     lost {}",
                    short(sample.wire_bytes_per_delivery),
                    short(sample.packets_per_delivery),
                    short(sample.p50_ms),
                    short(sample.p99_ms),
                    short(sample.cpu_cores),
                    sample.lost,
                );
                if !sample.sent.is_empty() {
                    let each = 1.0 / (sample.deliveries_per_second * self.args.seconds).max(1.0);
                    let per_delivery =
                        sample.sent.iter().map(|(what, count)| format!("{} {what}", short(*count as f64 * each)));
                    eprintln!("{name} {phase}, each: {}", per_delivery.collect::<Vec<_>>().join(", "));
                }
                samples.push((phase, sample));
            }
            network.stop().await;
            Ok(samples)
        })
    }

    async fn start<R: Relay>(&self, settings: &R::Settings) -> anyhow::Result<Network> {
        // gossipsub signs by itself.
        let sign = self.args.signed && R::SIGNS_IN_PAYLOAD;
        Network::start::<R>(&self.graph, usize::from(self.args.publishers), sign, settings).await
    }
}

const fn saturation(size: usize) -> Work {
    let count = UNDER_WAY_BYTES / size;
    let count = if count > UNDER_WAY_MAX { UNDER_WAY_MAX } else { count };
    Work::UnderWay { count: if count < 2 { 2 } else { count as u64 }, size }
}

/// A policy by its name with its defaults, or spelled out as JSON.
fn policy(text: &str) -> anyhow::Result<Policy> {
    if text.starts_with('{') {
        return Ok(serde_json::from_str(text)?);
    }
    let name = serde_json::Value::from(text);
    let with_defaults = serde_json::json!({ text: {} });
    match serde_json::from_value(name).or_else(|_| serde_json::from_value(with_defaults)) {
        Ok(policy) => Ok(policy),
        Err(error) => bail!("no policy: {error}"),
    }
}

#[allow(clippy::print_stdout, reason = "what the command is for")]
fn print_line(text: &str) {
    println!("{text}");
}
