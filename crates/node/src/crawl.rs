//! Who is in a network: every node is asked for whom it knows, and left again, until nobody new is named.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry},
    time::Duration,
};

use bruit_addr_exchange::{Read, Request, answer_from_wire, neighbours_from_wire, request_to_wire};
use bruit_core::{AddrPolicy, Endpoint, NetworkId, PeerId, may_be_usual_service};
use bruit_peering::{Goodbye, GoodbyeReason, Hello};
use bruit_wire::{BoundedCodec, Limited, pb};
use futures::StreamExt;
use libp2p::{
    Swarm,
    identity::Keypair,
    pnet::PreSharedKey,
    swarm::{
        self, ConnectionId, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use libp2p_request_response::{self as request_response, OutboundFailure, OutboundRequestId, ProtocolSupport};
use libp2p_swarm::NetworkBehaviour;
use serde::Serialize;

use crate::transport::{self, Traffic};

mod drawing;
mod hosts;

use hosts::{Hosts, Turn};

/// How a network is crawled.
#[derive(Clone, Debug)]
pub struct CrawlConfig {
    /// Which network.
    pub network: NetworkId,
    /// Whether private addresses are dialled. Only for local networks.
    pub allow_private_addrs: bool,
    /// Whether ports below 1,024 of public addresses are dialled that nodes name. No: other services live there. `starts` may have any.
    pub dial_low_ports: bool,
    /// The key of a private network.
    pub shared_key: Option<PreSharedKey>,
    /// How many nodes are asked at the same time. 32: an outbound target.
    pub parallel_max: usize,
    /// How many nodes, and how many addresses, are looked at; those beyond are left out. 100,000: what fits into memory many times.
    pub nodes_max: usize,
    /// How many edges are kept; those beyond are left out. 5,000,000: about 200 MiB.
    pub edges_max: usize,
    /// How long one answer may take. 10 s: libp2p.
    pub timeout: Duration,
}

impl CrawlConfig {
    /// The usual settings for a network.
    pub const fn new(network: NetworkId) -> Self {
        let timeout = Duration::from_secs(10);
        Self {
            network,
            allow_private_addrs: false,
            dial_low_ports: false,
            shared_key: None,
            parallel_max: 32,
            nodes_max: 100_000,
            edges_max: 5_000_000,
            timeout,
        }
    }
}

/// What a crawl found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Crawled {
    /// How many nodes are known.
    pub nodes_known: usize,
    /// How many of them answered.
    pub nodes_online: usize,
    /// How many pairs there are of a node and another one that it names.
    pub edges: usize,
    /// The nodes.
    pub nodes: Vec<CrawledNode>,
    /// The edges, by places in `nodes`.
    pub links: Vec<CrawledLink>,
}

/// A node that a crawl found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CrawledNode {
    /// Who.
    pub peer_id: PeerId,
    /// Where it can be dialled, as it is told.
    pub addrs: Vec<Endpoint>,
    /// Whether it answered.
    pub online: bool,
    /// What it says of its software.
    pub agent: String,
    /// Whether it had a place for us.
    pub full: bool,
}

/// One node names another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CrawledLink {
    /// Who names.
    pub from: usize,
    /// Who is named.
    pub to: usize,
    /// Whether it says that it is connected to it, or only knows its address.
    pub connected: bool,
}

/// How far a crawl is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrawlProgress {
    /// How many nodes and start addresses are known.
    pub known: usize,
    /// How many of them are done with.
    pub done: usize,
    /// How many answered.
    pub online: usize,
}

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p_swarm::derive_prelude")]
struct Questions {
    peering: request_response::Behaviour<BoundedCodec<pb::PeeringRequest, pb::PeeringResponse>>,
    exchange: request_response::Behaviour<BoundedCodec<pb::ExchangeRequest, pb::ExchangeResponse>>,
}

struct Crawler {
    swarm: Swarm<Questions>,
    config: CrawlConfig,
    queue: VecDeque<(Endpoint, Option<PeerId>)>,
    seen: BTreeSet<(Endpoint, Option<PeerId>)>,
    dials: BTreeMap<ConnectionId, Endpoint>,
    hosts: Hosts,
    /// Who is being asked, and how many answers are to come.
    visits: BTreeMap<PeerId, usize>,
    asked: BTreeMap<OutboundRequestId, Asked>,
    index: BTreeMap<PeerId, usize>,
    nodes: Vec<CrawledNode>,
    links: BTreeMap<(usize, usize), bool>,
    done: usize,
}

/// How many addresses of one node are kept.
const ADDRS_PER_NODE_MAX: usize = 16;

#[derive(Clone, Copy)]
enum Asked {
    Addrs,
    Neighbours,
}

/// Asks everybody that can be found from `starts`, and tells `progress` now and then. Addresses in `starts` may lack a peer id.
///
/// # Security
/// Answers are claims: a node can name others that do not exist, which costs a dial each. `nodes_max` and `edges_max` bound that,
/// and a public host at which nobody is found is dialled three times.
pub async fn crawl(
    config: CrawlConfig,
    starts: Vec<(Endpoint, Option<PeerId>)>,
    mut progress: impl FnMut(CrawlProgress),
) -> std::io::Result<Crawled> {
    let mut crawler = Crawler::new(config, starts)?;
    loop {
        crawler.dial_next();
        progress(crawler.progress());
        if crawler.dials.is_empty() && crawler.visits.is_empty() && crawler.queue.is_empty() {
            return Ok(crawler.result());
        }
        let event = crawler.swarm.select_next_some().await;
        crawler.on_event(event);
    }
}

impl Crawler {
    fn new(config: CrawlConfig, starts: Vec<(Endpoint, Option<PeerId>)>) -> std::io::Result<Self> {
        let key = Keypair::generate_ed25519();
        let policy = AddrPolicy { allow_private_addrs: config.allow_private_addrs };
        let transport = transport::build(&key, config.shared_key, policy, &Traffic::default())?;
        let settings = request_response::Config::default().with_request_timeout(config.timeout);
        let name = |protocol| config.network.protocol_name(protocol, 1);
        let questions = Questions {
            peering: request_response::Behaviour::with_codec(
                BoundedCodec::new(pb::PeeringRequest::LIMITS.bytes_max, pb::PeeringResponse::LIMITS.bytes_max),
                [(name("peering"), ProtocolSupport::Outbound)],
                settings.clone(),
            ),
            exchange: request_response::Behaviour::with_codec(
                BoundedCodec::new(bruit_wire::FRAME_MAX, bruit_wire::FRAME_MAX),
                [(name("addr"), ProtocolSupport::Outbound)],
                settings,
            ),
        };
        let peer = PeerId::from(key.public());
        let swarm = Swarm::new(transport, questions, peer, swarm::Config::with_tokio_executor());
        let mut crawler = Self {
            swarm,
            config,
            queue: VecDeque::new(),
            seen: BTreeSet::new(),
            dials: BTreeMap::new(),
            hosts: Hosts::default(),
            visits: BTreeMap::new(),
            asked: BTreeMap::new(),
            index: BTreeMap::new(),
            nodes: Vec::new(),
            links: BTreeMap::new(),
            done: 0,
        };
        starts.into_iter().for_each(|(endpoint, peer)| crawler.enqueue(endpoint, peer));
        Ok(crawler)
    }

    fn enqueue(&mut self, endpoint: Endpoint, peer: Option<PeerId>) {
        let policy = AddrPolicy { allow_private_addrs: self.config.allow_private_addrs };
        if policy.check(&endpoint).is_ok() && self.seen.len() < self.config.nodes_max {
            let target = (endpoint, peer);
            if self.seen.insert(target.clone()) {
                self.queue.push_back(target);
            }
        }
    }

    fn dial_next(&mut self) {
        for _ in 0..self.queue.len() {
            if self.dials.len().saturating_add(self.visits.len()) >= self.config.parallel_max {
                return;
            }
            let Some((endpoint, peer)) = self.queue.pop_front() else { return };
            let is_visited = peer.is_some_and(|peer| self.is_visited(peer));
            match if is_visited { Turn::Never } else { self.hosts.dial(&endpoint) } {
                Turn::Now => self.dial(endpoint, peer),
                Turn::Later => self.queue.push_back((endpoint, peer)),
                Turn::Never => self.done = self.done.saturating_add(1),
            }
        }
    }

    /// Dials at one of a node's addresses, also while another is tried: that one may be dead.
    fn dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>) {
        let addr = endpoint.to_multiaddr();
        let opts = match peer {
            Some(peer) => DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(vec![addr]).build(),
            None => DialOpts::unknown_peer_id().address(addr).build(),
        };
        let connection = opts.connection_id();
        if self.swarm.dial(opts).is_ok() {
            self.dials.insert(connection, endpoint);
        } else {
            self.hosts.dial_ended(&endpoint, false);
            self.done = self.done.saturating_add(1);
        }
    }

    fn is_visited(&self, peer: PeerId) -> bool {
        self.node(peer).is_some_and(|node| node.online) || self.visits.contains_key(&peer)
    }

    fn on_event(&mut self, event: SwarmEvent<QuestionsEvent>) {
        #[allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enum is non-exhaustive")]
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                if let Some(endpoint) = self.dials.remove(&connection_id) {
                    self.hosts.dial_ended(&endpoint, true);
                }
                if self.is_visited(peer_id) {
                    self.swarm.close_connection(connection_id);
                    self.done = self.done.saturating_add(1);
                } else {
                    self.visits.insert(peer_id, 1);
                    self.greet(peer_id);
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, .. } => {
                if let Some(endpoint) = self.dials.remove(&connection_id) {
                    self.hosts.dial_ended(&endpoint, false);
                    self.done = self.done.saturating_add(1);
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.done = self.done.saturating_add(usize::from(self.visits.remove(&peer_id).is_some()));
            }
            SwarmEvent::Behaviour(QuestionsEvent::Peering(event)) => self.on_peering(event),
            SwarmEvent::Behaviour(QuestionsEvent::Exchange(event)) => self.on_exchange(event),
            _ => {}
        }
    }

    fn greet(&mut self, peer: PeerId) {
        let hello = Hello {
            network: self.config.network.to_string(),
            agent: concat!("bruit-crawl/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Hello::default()
        };
        let kind = Some(pb::peering_request::Kind::Hello(hello.into_wire()));
        self.swarm.behaviour_mut().peering.send_request(&peer, Ok(pb::PeeringRequest { kind }));
    }

    fn question(&mut self, peer: PeerId, asked: Asked) {
        let request = match asked {
            Asked::Addrs => Request::GetAddr { count_max: 0 },
            Asked::Neighbours => Request::GetNeighbours,
        };
        let id = self.swarm.behaviour_mut().exchange.send_request(&peer, Ok(request_to_wire(&request)));
        self.asked.insert(id, asked);
    }

    /// Whether a message only went by one of two connections, which is closed by now.
    fn went_astray(&self, peer: &PeerId, error: &OutboundFailure) -> bool {
        matches!(error, OutboundFailure::ConnectionClosed) && self.swarm.is_connected(peer)
    }

    fn on_peering(&mut self, event: <QuestionsPeering as NetworkBehaviour>::ToSwarm) {
        use request_response::{Event, Message};
        match event {
            Event::Message { peer, message: Message::Response { response, .. }, .. } => {
                let hello = response.ok().and_then(|response| response.hello).map(Hello::from_wire);
                match hello.filter(|hello| hello.network == self.config.network.as_str()) {
                    Some(hello) => self.ask(peer, hello),
                    None => self.leave(peer),
                }
            }
            Event::OutboundFailure { peer, error, .. }
                if self.went_astray(&peer, &error) && !self.node(peer).is_some_and(|node| node.online) =>
            {
                self.greet(peer);
            }
            Event::OutboundFailure { peer, .. } => self.leave(peer),
            Event::Message { .. } | Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn ask(&mut self, peer: PeerId, hello: Hello) {
        // Where there is no room for one more, or the goodbye was answered and not a hello, that is all.
        let Some(place) = self.place(peer).filter(|_| self.node(peer).is_some_and(|node| !node.online)) else {
            return self.leave(peer);
        };
        if let Some(node) = self.nodes.get_mut(place) {
            (node.online, node.agent, node.full) = (true, hello.agent, hello.refused.is_some());
            node.addrs.extend(hello.listen);
            node.addrs.sort_unstable();
            node.addrs.dedup();
            node.addrs.truncate(ADDRS_PER_NODE_MAX);
        }
        let named = hello.refused.into_iter().flat_map(|goodbye| goodbye.alternatives);
        named.for_each(|known| self.named(place, Some(known.peer), &known.endpoints));
        self.visits.insert(peer, 2);
        self.question(peer, Asked::Addrs);
        self.question(peer, Asked::Neighbours);
    }

    fn on_exchange(&mut self, event: <QuestionsExchange as NetworkBehaviour>::ToSwarm) {
        use request_response::{Event, Message};
        let (peer, id, answer) = match event {
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                (peer, request_id, response.ok())
            }
            Event::OutboundFailure { peer, request_id, error, .. } => {
                if self.went_astray(&peer, &error)
                    && let Some(asked) = self.asked.remove(&request_id)
                {
                    return self.question(peer, asked);
                }
                (peer, request_id, None)
            }
            Event::Message { .. } | Event::InboundFailure { .. } | Event::ResponseSent { .. } => return,
        };
        match (self.asked.remove(&id), answer.zip(self.place(peer))) {
            (Some(Asked::Addrs), Some((answer, place))) => {
                let Read { value, .. } = answer_from_wire(answer);
                value.into_iter().for_each(|addr| self.named(place, addr.peer, &addr.endpoints));
            }
            (Some(Asked::Neighbours), Some((answer, place))) => {
                neighbours_from_wire(answer).into_iter().for_each(|neighbour| self.link(place, neighbour, true));
            }
            (_, None) | (None, _) => {}
        }
        let left = self.visits.get_mut(&peer).map(|left| {
            *left = left.saturating_sub(1);
            *left
        });
        if left == Some(0) {
            let goodbye = Goodbye::because(GoodbyeReason::Requested).into_wire();
            let kind = Some(pb::peering_request::Kind::Goodbye(goodbye));
            self.swarm.behaviour_mut().peering.send_request(&peer, Ok(pb::PeeringRequest { kind }));
        }
    }

    /// One node names another. Without identity there is nobody to draw, but somebody to dial.
    fn named(&mut self, from: usize, peer: Option<PeerId>, endpoints: &[Endpoint]) {
        if let Some(peer) = peer.filter(|peer| *peer != *self.swarm.local_peer_id()) {
            self.link(from, peer, false);
            let to = self.place(peer);
            if let Some(node) = to.and_then(|to| self.nodes.get_mut(to)).filter(|node| !node.online) {
                let new = endpoints.iter().filter(|endpoint| !node.addrs.contains(endpoint)).cloned();
                let new: Vec<_> = new.collect();
                node.addrs.extend(new);
                node.addrs.truncate(ADDRS_PER_NODE_MAX);
            }
        }
        for endpoint in endpoints {
            if self.config.dial_low_ports || !may_be_usual_service(endpoint) {
                self.enqueue(endpoint.clone(), peer);
            }
        }
    }

    fn leave(&mut self, peer: PeerId) {
        // It closes, and then counts as done.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn node(&self, peer: PeerId) -> Option<&CrawledNode> {
        self.nodes.get(*self.index.get(&peer)?)
    }

    fn link(&mut self, from: usize, named: PeerId, is_connected: bool) {
        let Some(to) = self.place(named) else { return };
        let is_full = self.links.len() >= self.config.edges_max;
        match self.links.entry((from, to)) {
            Entry::Occupied(mut known) => *known.get_mut() |= is_connected,
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(vacant) => _ = vacant.insert(is_connected),
        }
    }

    /// The place of a node, if there is one or room for it.
    fn place(&mut self, peer: PeerId) -> Option<usize> {
        if let Some(place) = self.index.get(&peer) {
            return Some(*place);
        }
        if self.nodes.len() >= self.config.nodes_max {
            return None;
        }
        let place = self.nodes.len();
        self.nodes.push(CrawledNode {
            peer_id: peer,
            addrs: Vec::new(),
            online: false,
            agent: String::new(),
            full: false,
        });
        self.index.insert(peer, place);
        Some(place)
    }

    fn progress(&self) -> CrawlProgress {
        let online = self.nodes.iter().filter(|node| node.online).count();
        CrawlProgress { known: self.seen.len(), done: self.done, online }
    }

    fn result(self) -> Crawled {
        let links = self.links.into_iter().map(|((from, to), connected)| CrawledLink { from, to, connected });
        let links: Vec<_> = links.collect();
        Crawled {
            nodes_known: self.nodes.len(),
            nodes_online: self.nodes.iter().filter(|node| node.online).count(),
            edges: links.len(),
            nodes: self.nodes,
            links,
        }
    }
}

type QuestionsPeering = request_response::Behaviour<BoundedCodec<pb::PeeringRequest, pb::PeeringResponse>>;
type QuestionsExchange = request_response::Behaviour<BoundedCodec<pb::ExchangeRequest, pb::ExchangeResponse>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fault_a_low_port_is_dialled_where_the_operator_names_it_and_not_where_a_node_does() {
        let at = |port| Endpoint::tcp([8, 8, 8, 8].into(), port);
        for (dial_low_ports, expected) in [(false, vec![443, 1_024]), (true, vec![443, 25, 1_023, 1_024])] {
            let config = CrawlConfig { dial_low_ports, ..CrawlConfig::new("bruit".parse().unwrap()) };
            let mut crawler = Crawler::new(config, vec![(at(443), None)]).unwrap();
            crawler.named(0, None, &[at(25), at(1_023), at(1_024)]);
            let queued: Vec<Endpoint> = crawler.queue.into_iter().map(|(endpoint, _)| endpoint).collect();
            assert_eq!(queued, expected.into_iter().map(at).collect::<Vec<_>>());
        }
    }
}
