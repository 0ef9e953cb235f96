//! How fast a newcomer with one seed address has all its outbound peers, what that costs, and how fast a whole network forms.

#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

mod far;
mod late;
mod near;

use std::{future::Future, time::Duration};

use anyhow::Context;
use libp2p::{Multiaddr, multiaddr::Protocol};
use serde_json::json;
use tokio::{runtime, time::timeout};

use crate::report::{Spread, short};

/// In how many handshakes' time a newcomer is to have its peers.
const HANDSHAKES_AIM: f64 = 3.3;
/// How often one handshake alone is measured.
const HANDSHAKES: usize = 5;
/// How long a network may take to form, and a node to join it.
const FORMED_MAX: Duration = Duration::from_secs(60);
const JOINED_MAX: Duration = Duration::from_secs(30);
/// How long starting, settling and ending may take beside that.
const REST_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many nodes a newcomer finds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(35..=200))]
    nodes: u16,
    /// What latency adds to each round trip.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(2..=1000))]
    latency_ms: u64,
    /// How many newcomers join, one after the other.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=20))]
    repeat: u16,
    /// How many nodes start at once where there is no latency.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(35..=200))]
    network: u16,
    /// Measures one part only: joins with latency, or the network without any.
    #[arg(long)]
    only: Option<Part>,
    /// Prints one line of JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Latency,
    Network,
}

/// Each figure; what was left out is null.
#[derive(Clone, Debug, Default, serde::Serialize)]
struct Figures {
    join_ms: Option<Spread>,
    handshake_ms: Option<Spread>,
    /// How many handshakes alone take as long as a join.
    handshakes: Option<f64>,
    cpu_ms_per_join: Option<Spread>,
    /// Until each node of a network had eight peers that it dialled.
    network_to_8_s: Option<f64>,
    /// Until each had as many as it wants.
    network_s: Option<f64>,
    /// What the whole process spent on it.
    network_cpu_s: Option<f64>,
}

/// Measures everything; false when the aim is missed.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let mut figures = Figures::default();
    let ended = in_a_runtime(timed(args, &mut figures));
    let is_missed = figures.handshakes.is_some_and(|handshakes| handshakes > HANDSHAKES_AIM);
    // What was measured before something went wrong is worth the same.
    print(args, &figures, is_missed);
    ended?;
    Ok(!is_missed)
}

async fn timed(args: &Args, figures: &mut Figures) -> anyhow::Result<()> {
    timeout(limit(args), measure(args, figures)).await.context("it took too long")?
}

/// How long everything may take: each part has its own limit for what it repeats.
fn limit(args: &Args) -> Duration {
    let one = FORMED_MAX + (JOINED_MAX + REST_MAX) * args.repeat.into() + REST_MAX;
    one * 2
}

async fn measure(args: &Args, figures: &mut Figures) -> anyhow::Result<()> {
    if args.only != Some(Part::Network) {
        with_latency(args, figures).await?;
    }
    if args.only != Some(Part::Latency) {
        without_latency(args, figures).await?;
    }
    Ok(())
}

async fn with_latency(args: &Args, figures: &mut Figures) -> anyhow::Result<()> {
    let one_way = Duration::from_millis(args.latency_ms) / 2;
    let mut handshakes = Vec::new();
    for _ in 0..HANDSHAKES {
        handshakes.push(millis(far::handshake(one_way).await?));
    }
    let handshake = Spread::of(handshakes);
    figures.handshake_ms = Some(handshake);
    let mut network = far::Network::form(args.nodes.into(), one_way).await?;
    let mut joins = Vec::new();
    for turn in 1..=args.repeat {
        let joined = network.join().await?;
        let [first, half] = [1, 16].map(|outbound| short(millis(joined.at(outbound))));
        let all = short(millis(joined.took()));
        eprintln!("{turn}/{}: 1 peer after {first} ms, 16 after {half}, all after {all}", args.repeat);
        joins.push(millis(joined.took()));
        let join = Spread::of(joins.clone());
        figures.join_ms = Some(join);
        figures.handshakes = Some(join.median / handshake.median);
    }
    Ok(())
}

async fn without_latency(args: &Args, figures: &mut Figures) -> anyhow::Result<()> {
    let (mut network, formed) = near::Network::form(args.network.into()).await?;
    figures.network_to_8_s = Some(formed.few.as_secs_f64());
    figures.network_s = Some(formed.all.as_secs_f64());
    figures.network_cpu_s = Some(formed.cpu.as_secs_f64());
    network.settle().await;
    let mut spent = Vec::new();
    for turn in 1..=args.repeat {
        let cpu = millis(network.join().await?);
        eprintln!("{turn}/{}: a join costs {} ms of CPU", args.repeat, short(cpu));
        spent.push(cpu);
        figures.cpu_ms_per_join = Some(Spread::of(spent.clone()));
    }
    network.stop().await;
    Ok(())
}

fn in_a_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Every node has an address in a group of its own, as nodes of different operators have.
fn listen_addr(node: usize) -> anyhow::Result<Multiaddr> {
    let group = u8::try_from(node + 1).context("there are not so many groups on loopback")?;
    Ok(Multiaddr::from(std::net::Ipv4Addr::new(127, group, 0, 1)).with(Protocol::Tcp(0)))
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

#[allow(clippy::print_stdout, reason = "the result is what the program prints")]
fn print(args: &Args, ours: &Figures, is_missed: bool) {
    let missed: &[&str] = if is_missed { &["handshakes"] } else { &[] };
    if args.json {
        let aim = json!({ "handshakes": HANDSHAKES_AIM });
        let setting = json!({ "nodes": args.nodes, "latency_ms": args.latency_ms });
        println!("{}", json!({ "ours": ours, "aim": aim, "missed": missed, "setting": setting, "runs": args.repeat }));
        return;
    }
    if let (Some(join), Some(handshake), Some(handshakes)) = (ours.join_ms, ours.handshake_ms, ours.handshakes) {
        let word = if is_missed { "missed" } else { "held" };
        let [join, handshake] = [join, handshake].map(|spread| short(spread.median));
        println!("a newcomer has all its outbound peers after {join} ms; one handshake alone takes {handshake} ms");
        println!("handshakes         {handshakes:>8.2}   aim {HANDSHAKES_AIM:>6}   {word}");
    }
    if let (Some(few), Some(all), Some(cpu)) = (ours.network_to_8_s, ours.network_s, ours.network_cpu_s) {
        println!(
            "{} nodes: each has 8 outbound peers after {few:.1} s, as many as it wants after {all:.1} s",
            args.network
        );
        println!("CPU until then, of the whole network: {cpu:.1} s");
    }
    if let Some(cpu) = ours.cpu_ms_per_join {
        println!("CPU of a join without latency, of the whole network: {} ms", short(cpu.median));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_has_its_time() {
        let args = |repeat| Args { nodes: 100, latency_ms: 50, network: 200, repeat, only: None, json: false };
        for repeat in [1, 20] {
            let each = limit(&args(repeat)) - limit(&args(repeat - 1));
            assert!(each >= 2 * JOINED_MAX + REST_MAX, "{each:?}");
        }
    }
}
