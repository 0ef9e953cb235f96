use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use futures::StreamExt;
use libp2p::{Multiaddr, Swarm, identity::Keypair, multiaddr::Protocol, swarm};
use serde::Serialize;
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    board::Board,
    graph::Graph,
    node::{Command, Load, Node},
    relay::Relay,
    socket::{Traffic, transport},
};
use crate::pair::cpu_time;

/// How long the network may take to stand.
const CONNECT_MAX: Duration = Duration::from_secs(30);
/// What gossipsub needs for its meshes: three of its heartbeats.
const SETTLE: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);
/// How long the last messages may take: gossipsub repairs at heartbeats.
const DRAIN_MAX: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(2);

/// A network that stands: every node a task of the runtime.
pub(crate) struct Network {
    board: Arc<Board>,
    traffic: Arc<Traffic>,
    commands: Vec<UnboundedSender<Command>>,
    publishers: usize,
    tasks: JoinSet<anyhow::Result<()>>,
}

/// What the publishers do together.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Nothing,
    /// Each publisher has so many messages under way.
    UnderWay {
        count: u64,
        size: usize,
    },
    /// So many messages a second, of all publishers.
    PerSecond {
        rate: f64,
        size: usize,
    },
}

/// What one phase showed. A delivery is one message at one node that did not publish it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    pub(crate) deliveries_per_second: f64,
    /// User and system time of the whole process.
    pub(crate) cpu_micros_per_delivery: f64,
    pub(crate) cpu_cores: f64,
    pub(crate) wire_bytes_per_delivery: f64,
    pub(crate) wire_bytes_per_second: f64,
    /// Writes to sockets.
    pub(crate) packets_per_delivery: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) published: u64,
    /// Deliveries that had not happened when the network was long at rest.
    pub(crate) lost: u64,
    pub(crate) frames_refused: u64,
    /// What all nodes together did meanwhile, by name.
    pub(crate) sent: BTreeMap<&'static str, u64>,
}

struct Reading {
    deliveries: u64,
    bytes: u64,
    writes: u64,
    cpu: Duration,
    at: Instant,
}

impl Network {
    /// Starts all nodes, connects them as the graph says, and waits until all know what their neighbours want.
    pub(crate) async fn start<R: Relay>(
        graph: &Graph,
        publishers: usize,
        sign: bool,
        settings: &R::Settings,
    ) -> anyhow::Result<Self> {
        let keys: Vec<Keypair> = (0..graph.nodes).map(|_| Keypair::generate_ed25519()).collect();
        let board = Arc::new(Board::new(keys.iter().map(Keypair::public).collect(), publishers));
        let traffic = Arc::new(Traffic::default());
        let mut network = Self { board, traffic, commands: Vec::new(), publishers, tasks: JoinSet::new() };
        let mut addrs = Vec::new();
        for (index, key) in keys.into_iter().enumerate() {
            let mut swarm = make_swarm::<R>(&key, settings, network.traffic.clone())?;
            addrs.push(listen(&mut swarm).await?);
            let (sender, commands) = unbounded_channel();
            let node = Node::new(index, swarm, sign.then_some(key), network.board.clone(), commands);
            network.commands.push(sender);
            network.tasks.spawn(node.run());
        }
        for (dialler, listener) in &graph.edges {
            let addr = addrs.get(*listener).context("an edge leads nowhere")?;
            network.command(*dialler, Command::Dial(addr.clone()));
        }
        let links = graph.edges.len() as u64;
        let board = network.board.clone();
        network.wait(CONNECT_MAX, || board.links_ready() >= links).await.context("the network does not stand")?;
        network.rest(SETTLE).await?;
        Ok(network)
    }

    /// Lets the publishers work for a time and measures it, after a warm-up and until everything has arrived.
    pub(crate) async fn measure(&mut self, work: Work, window: Duration) -> anyhow::Result<Sample> {
        let refused_before = self.board.refused();
        self.begin(work);
        self.rest(WARM_UP).await?;
        let published_before = self.board.published();
        self.board.keep_times(matches!(work, Work::PerSecond { .. }));
        let counted_before = self.count().await;
        let begin = self.read();
        self.rest(window).await?;
        let end = self.read();
        let mut sent = self.count().await;
        sent.iter_mut().for_each(|(what, count)| *count -= counted_before.get(what).copied().unwrap_or(0));
        self.board.keep_times(false);
        let published = self.board.published() - published_before;
        self.end().await?;
        let times = self.board.take_times();
        let seconds = (end.at - begin.at).as_secs_f64();
        let deliveries = end.deliveries - begin.deliveries;
        let each = 1.0 / deliveries.max(1) as f64;
        let cpu = (end.cpu - begin.cpu).as_secs_f64();
        let bytes = (end.bytes - begin.bytes) as f64;
        Ok(Sample {
            deliveries_per_second: deliveries as f64 / seconds,
            cpu_micros_per_delivery: cpu * 1e6 * each,
            cpu_cores: cpu / seconds,
            wire_bytes_per_delivery: bytes * each,
            wire_bytes_per_second: bytes / seconds,
            packets_per_delivery: (end.writes - begin.writes) as f64 * each,
            p50_ms: quantile_ms(&times, 0.5),
            p99_ms: quantile_ms(&times, 0.99),
            published,
            lost: self.board.lost(),
            frames_refused: self.board.refused() - refused_before,
            sent,
        })
    }

    /// Ends all nodes.
    pub(crate) async fn stop(mut self) {
        self.commands.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    fn begin(&self, work: Work) {
        let start = Instant::now();
        for publisher in 0..self.publishers {
            let load = match work {
                Work::Nothing => continue,
                Work::UnderWay { count, size } => Load::UnderWay { count, size },
                Work::PerSecond { rate, size } => {
                    let interval = Duration::from_secs_f64(self.publishers as f64 / rate);
                    // Publishers take turns; a prime step keeps neighbours in the list apart.
                    let turn = (publisher * 7) % self.publishers;
                    let next = start + interval.mul_f64(turn as f64 / self.publishers as f64);
                    Load::Every { interval, next, size }
                }
            };
            self.command(publisher, Command::Publish(load));
        }
    }

    async fn end(&mut self) -> anyhow::Result<()> {
        for publisher in 0..self.publishers {
            self.command(publisher, Command::Rest);
        }
        self.rest(Duration::from_millis(50)).await?;
        let board = self.board.clone();
        // What is missing after that counts as lost.
        let _ = self.wait(DRAIN_MAX, || board.lost() == 0).await;
        self.check()
    }

    /// What all nodes have done since their start.
    async fn count(&self) -> BTreeMap<&'static str, u64> {
        let (sender, mut counts) = unbounded_channel();
        (0..self.commands.len()).for_each(|node| self.command(node, Command::Count(sender.clone())));
        drop(sender);
        let mut sum = BTreeMap::new();
        while let Some(counts) = counts.recv().await {
            counts.into_iter().for_each(|(what, count)| *sum.entry(what).or_default() += count);
        }
        sum
    }

    fn command(&self, node: usize, command: Command) {
        if let Some(sender) = self.commands.get(node) {
            // A node that has ended is found by `check`.
            let _ = sender.send(command);
        }
    }

    async fn wait(&mut self, at_most: Duration, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + at_most;
        while !is_so() {
            ensure!(Instant::now() < deadline, "it took more than {} s", at_most.as_secs());
            self.rest(LOOK).await?;
        }
        Ok(())
    }

    async fn rest(&mut self, time: Duration) -> anyhow::Result<()> {
        sleep(time).await;
        self.check()
    }

    fn check(&mut self) -> anyhow::Result<()> {
        match self.tasks.try_join_next() {
            Some(ended) => ended?.and_then(|()| bail!("a node ended")),
            None => Ok(()),
        }
    }

    fn read(&self) -> Reading {
        Reading {
            deliveries: self.board.deliveries(),
            bytes: self.traffic.bytes(),
            writes: self.traffic.writes(),
            cpu: cpu_time(),
            at: Instant::now(),
        }
    }
}

fn make_swarm<R: Relay>(key: &Keypair, settings: &R::Settings, traffic: Arc<Traffic>) -> anyhow::Result<Swarm<R>> {
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(3600));
    let behaviour = R::make(key, settings)?;
    Ok(Swarm::new(transport(key, traffic)?, behaviour, key.public().to_peer_id(), config))
}

async fn listen<R: Relay>(swarm: &mut Swarm<R>) -> anyhow::Result<Multiaddr> {
    swarm.listen_on(Multiaddr::from(Ipv4Addr::LOCALHOST).with(Protocol::Tcp(0)))?;
    let address = async {
        loop {
            if let swarm::SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                return address;
            }
        }
    };
    Ok(timeout(CONNECT_MAX, address).await?)
}

/// Of sorted microseconds; 0 when there are none.
fn quantile_ms(sorted: &[u32], part: f64) -> f64 {
    let place = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    f64::from(sorted.get(place).copied().unwrap_or_default()) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let times: Vec<u32> = (0..=100).map(|n| n * 1_000).collect();
        assert_eq!([0.5, 0.99].map(|part| quantile_ms(&times, part)), [50.0, 99.0]);
        assert!(quantile_ms(&[], 0.5) == 0.0);
    }
}
