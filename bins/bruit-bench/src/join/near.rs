//! Whole nodes, as the library starts them, on loopback without any latency.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bruit::{Config, Handle, Multiaddr, Node, PeerCounts, WaitFor};
use tokio::{task::JoinSet, time::sleep};

use super::{FORMED_MAX, JOINED_MAX, listen_addr};
use crate::pair::cpu_time;

/// How many peers make a node useful.
const FEW: usize = 8;
/// How long a network that has formed still works by itself: addresses are confirmed and asked for.
const SETTLE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(250);
/// Over how long it is measured what a network costs at rest, and how long what follows a join may take.
const REST: Duration = Duration::from_secs(2);

/// Nodes that found each other.
pub(super) struct Network {
    nodes: Vec<Handle>,
    seed: Multiaddr,
}

/// What it took a network to form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Formed {
    /// Until each node had eight peers that it dialled.
    pub(super) few: Duration,
    /// Until each had as many as it wants.
    pub(super) all: Duration,
    /// What the whole process spent until then.
    pub(super) cpu: Duration,
}

impl Network {
    /// Starts nodes that all know the first one's address only.
    pub(super) async fn form(count: usize) -> anyhow::Result<(Self, Formed)> {
        let (begun, cpu) = (Instant::now(), cpu_time());
        let first = start(0, None).await?;
        let seed = first.listen().first().cloned().context("the first node does not listen")?;
        let mut network = Self { nodes: vec![first], seed };
        for number in 1..count {
            network.nodes.push(start(number, Some(&network.seed)).await?);
        }
        // One after the other, the first would be looked at when it has nobody yet.
        let mut looking = JoinSet::new();
        for node in &network.nodes {
            looking.spawn(fills(node.clone(), count, begun));
        }
        let (mut few, mut all, mut missing) = (Duration::ZERO, Duration::ZERO, Vec::new());
        for filled in looking.join_all().await {
            match filled? {
                Ok(filled) => (few, all) = (few.max(filled.few), all.max(filled.all)),
                Err(counts) => missing.push(counts),
            }
        }
        let cpu = cpu_time() - cpu;
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(missing.is_empty(), "no network after {seconds:.1} s, {cpu:.1?} of CPU: {missing:?}");
        Ok((network, Formed { few, all, cpu }))
    }

    /// Waits until nobody is busy with how the network came to be.
    pub(super) async fn settle(&self) {
        sleep(SETTLE).await;
    }

    /// What the whole process spends on one more node that fills its outbound slots, and on what follows from that; it stays.
    pub(super) async fn join(&mut self) -> anyhow::Result<Duration> {
        let (begun, cpu) = (Instant::now(), cpu_time());
        sleep(REST).await;
        let idle = (cpu_time() - cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
        let (begun, cpu) = (Instant::now(), cpu_time());
        let node = start(self.nodes.len(), Some(&self.seed)).await?;
        fill(&node).await?;
        sleep(REST).await;
        let spent = (cpu_time() - cpu).as_secs_f64() - idle * begun.elapsed().as_secs_f64();
        self.nodes.push(node);
        ensure!(spent > 0.0, "the network was busy with other things");
        Ok(Duration::from_secs_f64(spent))
    }

    /// Ends all nodes.
    pub(super) async fn stop(self) {
        let mut ending = JoinSet::new();
        for node in self.nodes {
            ending.spawn(async move { node.shutdown().await });
        }
        ending.join_all().await;
    }
}

async fn start(number: usize, seed: Option<&Multiaddr>) -> anyhow::Result<Handle> {
    let config = Config {
        listen: vec![listen_addr(number)?],
        seed_addrs: seed.into_iter().cloned().collect(),
        allow_private_addrs: true,
        ..Config::default()
    };
    Node::start(config).await.with_context(|| format!("node {number} does not start"))
}

/// When a node had its outbound peers.
#[derive(Clone, Copy, Debug)]
struct Filled {
    few: Duration,
    all: Duration,
}

/// Looks at a node until it has as many outbound peers as it wants, or for long enough.
async fn fills(node: Handle, nodes: usize, begun: Instant) -> anyhow::Result<Result<Filled, PeerCounts>> {
    let mut few = None;
    loop {
        let counts = node.status().await?.peers;
        let after = begun.elapsed();
        // Who is connected to everybody can dial nobody.
        let has = |wanted| counts.outbound >= wanted || counts.total() >= nodes - 1;
        if has(FEW) {
            few.get_or_insert(after);
        }
        match few {
            Some(few) if has(counts.outbound_target) => return Ok(Ok(Filled { few, all: after })),
            _ if after >= FORMED_MAX => return Ok(Err(counts)),
            _ => sleep(LOOK).await,
        }
    }
}

async fn fill(node: &Handle) -> anyhow::Result<()> {
    let wanted = WaitFor { outbound: Some(Config::default().outbound), ..WaitFor::default() };
    let waited = node.wait(&wanted, JOINED_MAX).await?;
    ensure!(waited.held, "a newcomer has {:?} after {:.1} s", node.status().await?.peers, waited.seconds);
    Ok(())
}
