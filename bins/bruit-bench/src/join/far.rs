//! Nodes far from each other: everything a node does on the wire, over sockets with latency.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use bruit_core::{Endpoint, NetworkId, Seed};
use bruit_stack::{Behaviour, Event, Profile, Seeds, StatusView};
use futures::StreamExt;
use libp2p::{
    Swarm,
    identity::Keypair,
    swarm::{self, SwarmEvent},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{FORMED_MAX, JOINED_MAX, late, listen_addr};

const LOOK: Duration = Duration::from_millis(250);

type Question = oneshot::Sender<StatusView>;

/// Nodes that found each other.
pub(super) struct Network {
    one_way: Duration,
    seed: Endpoint,
    nodes: Vec<mpsc::UnboundedSender<Question>>,
    tasks: JoinSet<()>,
}

/// A node that is driven by whoever holds it.
struct Node {
    swarm: Swarm<Behaviour>,
    endpoint: Endpoint,
}

/// How a node got its peers: after what time it had how many that it dialled.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    pub(super) steps: BTreeMap<usize, Duration>,
}

impl Joined {
    pub(super) fn took(&self) -> Duration {
        self.steps.values().max().copied().unwrap_or_default()
    }

    /// After what time there were at least so many.
    pub(super) fn at(&self, outbound: usize) -> Duration {
        self.steps.range(outbound..).next().map_or_else(|| self.took(), |(_, at)| *at)
    }
}

impl Network {
    /// Starts nodes that all know the first one's address only, and waits until all have the peers they want.
    pub(super) async fn form(count: usize, one_way: Duration) -> anyhow::Result<Self> {
        let first = Node::start(0, one_way).await?;
        let mut network = Self { one_way, seed: first.endpoint.clone(), nodes: Vec::new(), tasks: JoinSet::new() };
        network.run(first);
        for number in 1..count {
            let mut node = Node::start(number, one_way).await?;
            node.swarm.behaviour_mut().add_seed(network.seed.clone(), None);
            network.run(node);
        }
        let deadline = Instant::now() + FORMED_MAX;
        loop {
            let mut missing = Vec::new();
            for (number, node) in network.nodes.iter().enumerate() {
                let (question, answer) = oneshot::channel();
                ensure!(node.send(question).is_ok(), "node {number} ended");
                let StatusView { outbound, outbound_target, quiet, inbound, .. } = answer.await?;
                if outbound < outbound_target && outbound + quiet + inbound < count - 1 {
                    missing.push((number, outbound));
                }
            }
            if missing.is_empty() {
                return Ok(network);
            }
            ensure!(Instant::now() < deadline, "no network after {FORMED_MAX:?}; node, outbound peers: {missing:?}");
            sleep(LOOK).await;
        }
    }

    /// One more node that knows the first one's address only fills its outbound slots; it stays.
    pub(super) async fn join(&mut self) -> anyhow::Result<Joined> {
        let mut node = Node::start(self.nodes.len(), self.one_way).await?;
        let joined = node.fill(&self.seed).await;
        self.run(node);
        joined
    }

    fn run(&mut self, mut node: Node) {
        let (questions, mut asked) = mpsc::unbounded_channel::<Question>();
        self.nodes.push(questions);
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    question = asked.recv() => match question {
                        // Who asked may have ended.
                        Some(question) => _ = question.send(node.swarm.behaviour().status()),
                        None => return,
                    },
                    _ = node.swarm.select_next_some() => {}
                }
            }
        });
    }
}

/// How long it takes from the command to dial until a node has the other as a peer.
pub(super) async fn handshake(one_way: Duration) -> anyhow::Result<Duration> {
    let network = Network::form(1, one_way).await?;
    let mut node = Node::start(1, one_way).await?;
    let begun = Instant::now();
    node.swarm.behaviour_mut().add_seed(network.seed.clone(), None);
    let connected = async {
        loop {
            if let SwarmEvent::Behaviour(Event::PeerUp { .. }) = node.swarm.select_next_some().await {
                return begun.elapsed();
            }
        }
    };
    timeout(JOINED_MAX, connected).await.context("two nodes did not connect")
}

impl Node {
    async fn start(number: usize, one_way: Duration) -> anyhow::Result<Self> {
        let mut config = Profile::Bruit.config();
        config.allow_private_addrs = true;
        let config = config.validate(NetworkId::new("join")?, "bruit-bench")?;
        let key = Keypair::generate_ed25519();
        let peer = key.public().to_peer_id();
        let chance = Seed::new(rand::random());
        let book = chance.derive("book", 0);
        let mut behaviour = Behaviour::new(config, peer, Seeds { chance, book });
        behaviour.sign_as(key.clone());
        let transport = late::transport(&key, one_way)?;
        let mut swarm = Swarm::new(transport, behaviour, peer, swarm::Config::with_tokio_executor());
        swarm.listen_on(listen_addr(number)?)?;
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { address, .. } => {
                    let (endpoint, _) = Endpoint::from_multiaddr(&address)?;
                    return Ok(Self { swarm, endpoint });
                }
                SwarmEvent::ListenerClosed { reason, .. } => bail!("node {number} does not listen: {reason:?}"),
                _ => {}
            }
        }
    }

    async fn fill(&mut self, seed: &Endpoint) -> anyhow::Result<Joined> {
        let (begun, mut steps) = (Instant::now(), BTreeMap::new());
        self.swarm.behaviour_mut().add_seed(seed.clone(), None);
        let filled = async {
            loop {
                if let SwarmEvent::Behaviour(Event::PeerUp { .. }) = self.swarm.select_next_some().await {
                    let StatusView { outbound, outbound_target, .. } = self.swarm.behaviour().status();
                    steps.entry(outbound).or_insert_with(|| begun.elapsed());
                    if outbound >= outbound_target {
                        return;
                    }
                }
            }
        };
        let is_filled = timeout(JOINED_MAX, filled).await.is_ok();
        ensure!(is_filled, "a newcomer did not fill its slots; it had so many peers after: {steps:?}");
        Ok(Joined { steps })
    }
}
