//! The nodes of one local network: started, asked, frozen, killed, ended.
//!
//! Nodes are indices from 0 here; people see them numbered from 1. The first ones are the seed nodes.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use bruit::{PeerId, PeerInfo, Status};
use tokio::time::{Instant, timeout};

mod child;
mod folder;
mod node;

pub(crate) use child::Ended;
pub(crate) use folder::Folder;
pub(crate) use node::Node;

use crate::{args::Settings, failure::Failure, network::node::Launch, overlay::Overlay};

/// The topic of files that every node relays and wants.
pub(crate) const FILES_TOPIC: &str = "files";
/// The topic that only its subscribers relay.
pub(crate) const HALF_TOPIC: &str = "half";
/// How often the launcher looks whether something has come true.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long all processes together have to end by themselves.
const GRACE: Duration = Duration::from_secs(3);
/// How long a node may take to say all of itself.
const TAKE_DOWN_LIMIT: Duration = Duration::from_millis(300);
/// How often ports are picked anew for seed nodes, when somebody else was faster.
const PORT_TRIES_MAX: u32 = 3;

/// A network of processes. Dropping it kills all of them.
pub(crate) struct Network {
    settings: Settings,
    folder: Folder,
    loopback: Loopback,
    seeds: Vec<String>,
    nodes: Vec<Node>,
}

/// What addresses this machine lets nodes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loopback {
    /// Each an address of its own, as on Linux without any set-up.
    OnePerNode,
    /// All 127.0.0.1.
    Shared,
}

impl Loopback {
    fn of_this_machine() -> Self {
        if TcpListener::bind((Ipv4Addr::new(127, 2, 0, 1), 0)).is_ok() { Self::OnePerNode } else { Self::Shared }
    }

    fn address(self, node: usize) -> Ipv4Addr {
        match self {
            Self::OnePerNode => Ipv4Addr::new(127, u8::try_from(node + 1).unwrap_or(u8::MAX), 0, 1),
            Self::Shared => Ipv4Addr::LOCALHOST,
        }
    }
}

impl Network {
    /// Makes the folders; starts nothing yet.
    ///
    /// # Errors
    /// A folder cannot be made, or is too deep for a socket.
    pub(crate) fn new(settings: Settings, folder: Folder) -> Result<Self, Failure> {
        let nodes = (0..settings.nodes).map(|node| Node::new(node, folder.path())).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { settings, folder, loopback: Loopback::of_this_machine(), seeds: Vec::new(), nodes })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn folder(&mut self) -> &mut Folder {
        &mut self.folder
    }

    pub(crate) fn loopback(&self) -> Loopback {
        self.loopback
    }

    /// The addresses that all nodes are told.
    pub(crate) fn seeds(&self) -> &[String] {
        &self.seeds
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    pub(crate) fn node_mut(&mut self, node: usize) -> &mut Node {
        &mut self.nodes[node]
    }

    /// Starts the seed nodes, all of which know the addresses of all of them.
    ///
    /// # Errors
    /// A seed node does not start.
    pub(crate) async fn start_seeds(&mut self) -> Result<(), Failure> {
        for left in (0..PORT_TRIES_MAX).rev() {
            match self.try_start_seeds().await {
                Err(failure) if failure.code == node::PORT_IN_USE && left > 0 => self.kill_all().await,
                other => return other,
            }
        }
        Ok(())
    }

    async fn try_start_seeds(&mut self) -> Result<(), Failure> {
        let seeds = 0..self.settings.seeds();
        self.seeds = seeds.clone().map(|node| self.free_address(node, None)).collect::<Result<_, _>>()?;
        for node in seeds.clone() {
            let launch = Launch { listen: self.seeds[node].clone(), seeds: self.seeds.clone() };
            self.nodes[node].spawn(&self.settings, &launch)?;
        }
        for node in seeds {
            self.nodes[node].ready().await?;
        }
        Ok(())
    }

    /// Starts the process of a node that is no seed node; the system picks its port.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(crate) fn spawn(&mut self, node: usize) -> Result<(), Failure> {
        let listen = format!("/ip4/{}/tcp/0", self.loopback.address(node));
        let launch = Launch { listen, seeds: self.seeds.clone() };
        self.nodes[node].spawn(&self.settings, &launch)
    }

    /// Starts a node again in its old folder, on another port and without any seed.
    ///
    /// # Errors
    /// The process cannot be started.
    pub(crate) fn respawn_without_seeds(&mut self, node: usize) -> Result<String, Failure> {
        let old = self.nodes[node].listen().to_owned();
        let listen = self.free_address(node, Some(&old))?;
        let launch = Launch { listen: listen.clone(), seeds: Vec::new() };
        self.nodes[node].spawn(&self.settings, &launch)?;
        Ok(listen)
    }

    /// An address whose port nobody uses right now.
    fn free_address(&self, node: usize, other_than: Option<&str>) -> Result<String, Failure> {
        let ip = self.loopback.address(node);
        let free = || TcpListener::bind((ip, 0)).and_then(|listener| listener.local_addr());
        // Two listeners at once cannot get the same port, so that one of two picks differs from the old address.
        let first = TcpListener::bind((ip, 0)).and_then(|listener| Ok((listener.local_addr()?, free()?)));
        let (one, other) = first.map_err(|error| Failure::claim(format!("no free port on {ip}: {error}")))?;
        let text = |address: SocketAddr| format!("/ip4/{ip}/tcp/{}", address.port());
        Ok(if Some(text(one).as_str()) == other_than { text(other) } else { text(one) })
    }

    /// Which node a peer id belongs to.
    pub(crate) fn index_of(&self, peer: &PeerId) -> Option<usize> {
        self.nodes.iter().position(|node| node.peer_id() == Some(peer))
    }

    /// What every node says of itself.
    ///
    /// # Errors
    /// A node does not answer.
    pub(crate) async fn statuses(&mut self) -> Result<Vec<Status>, Failure> {
        let mut statuses = Vec::new();
        for node in 0..self.nodes.len() {
            statuses.push(self.status(node).await?);
        }
        Ok(statuses)
    }

    /// What one node says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn status(&mut self, node: usize) -> Result<Status, Failure> {
        let answer = self.nodes[node].client().status().await;
        answer.map_err(|error| self.nodes[node].trouble("status", &error))
    }

    /// What every node says of its peers.
    ///
    /// # Errors
    /// A node does not answer.
    pub(crate) async fn peers(&mut self) -> Result<Vec<Vec<PeerInfo>>, Failure> {
        let mut peers = Vec::new();
        for node in 0..self.nodes.len() {
            let answer = self.nodes[node].client().peers().await;
            peers.push(answer.map_err(|error| self.nodes[node].trouble("peers", &error))?.peers);
        }
        Ok(peers)
    }

    /// The graph of what nodes say of the peers that they keep.
    pub(crate) fn overlay(&self, peers: &[Vec<PeerInfo>]) -> Overlay {
        let ids: BTreeMap<&PeerId, usize> =
            self.nodes.iter().enumerate().filter_map(|(node, of)| Some((of.peer_id()?, node))).collect();
        let index = |peer: &PeerInfo| ids.get(&peer.peer_id).copied();
        let claims = peers.iter().map(|peers| peers.iter().filter(|peer| has_slot(peer)).filter_map(index).collect());
        Overlay::from_claims(&claims.collect::<Vec<BTreeSet<usize>>>())
    }

    /// The first node whose process has ended although nobody asked it to, in words.
    pub(crate) fn casualty(&mut self) -> Option<Failure> {
        self.nodes.iter_mut().find_map(Node::casualty)
    }

    /// Lets every node that answers write down what it says of itself, for whoever looks for the cause of a failure.
    pub(crate) async fn take_down(&self) {
        for node in &self.nodes {
            // A node that cannot answer has said so by that.
            let _ = timeout(TAKE_DOWN_LIMIT, node.take_down()).await;
        }
    }

    /// The largest resident memory any running node ever had, in MiB; `None` where the system does not tell.
    pub(crate) fn memory_mib_max(&self) -> Option<f64> {
        self.nodes.iter().filter_map(Node::memory_mib_max).reduce(f64::max)
    }

    /// Ends all processes in order; returns how many there were, and how many had to be killed.
    pub(crate) async fn stop_all(&mut self) -> (usize, usize) {
        for node in &self.nodes {
            node.ask_to_end();
        }
        let deadline = Instant::now() + GRACE;
        let (mut ended, mut killed) = (0, 0);
        for node in &mut self.nodes {
            match node.end(deadline).await {
                Some(Ended::ByItself) => ended += 1,
                Some(Ended::Killed) => killed += 1,
                None => {}
            }
        }
        (ended + killed, killed)
    }

    /// Ends all processes at once.
    pub(crate) async fn kill_all(&mut self) {
        for node in &mut self.nodes {
            node.kill().await;
        }
    }
}

/// Whether a peer is kept: one that is greeting, or that was refused and is leaving, takes no part.
pub(crate) fn has_slot(peer: &PeerInfo) -> bool {
    ["outbound", "quiet", "inbound", "manual"].contains(&peer.direction.as_str())
}
