//! Who is in a network: every node is asked for whom it knows, and left again, until nobody new is named.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bruit_addr_exchange::{Read, Request, answer_from_wire, neighbours_from_wire, request_to_wire};
use bruit_core::{AddrPolicy, Endpoint, NetworkId, PeerId};
use bruit_peering::{Goodbye, GoodbyeReason, Hello};
use bruit_wire::{BoundedCodec, Limited, pb};
use futures::StreamExt;
use libp2p::{
    Swarm,
    identity::Keypair,
    swarm::{self, ConnectionId, SwarmEvent, dial_opts::DialOpts},
};
use libp2p_request_response::{self as request_response, OutboundRequestId, ProtocolSupport};
use libp2p_swarm::NetworkBehaviour;
use serde::Serialize;

use crate::transport::{self, Traffic};

mod drawing;

/// How a network is crawled.
#[derive(Clone, Debug)]
pub struct CrawlConfig {
    /// Which network.
    pub network: NetworkId,
    /// Whether private addresses are dialled. Only for local networks.
    pub allow_private_addrs: bool,
    /// How many nodes are asked at the same time. 32: an outbound target.
    pub parallel_max: usize,
    /// How many nodes are looked at; those beyond are not dialled. 100,000: what fits into memory many times.
    pub nodes_max: usize,
    /// How long one answer may take. 10 s: libp2p.
    pub timeout: Duration,
}

impl CrawlConfig {
    /// The usual settings for a network.
    pub const fn new(network: NetworkId) -> Self {
        let timeout = Duration::from_secs(10);
        Self { network, allow_private_addrs: false, parallel_max: 32, nodes_max: 100_000, timeout }
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
    dials: BTreeMap<ConnectionId, Option<PeerId>>,
    /// Who is being asked, and how many answers are to come.
    visits: BTreeMap<PeerId, usize>,
    asked: BTreeMap<OutboundRequestId, Asked>,
    index: BTreeMap<PeerId, usize>,
    nodes: Vec<CrawledNode>,
    links: BTreeMap<(usize, usize), bool>,
    done: usize,
}

#[derive(Clone, Copy)]
enum Asked {
    Addrs,
    Neighbours,
}

/// Asks everybody that can be found from `starts`, and tells `progress` now and then. Addresses in `starts` may lack a peer id.
///
/// # Security
/// Answers are claims: a node can name others that do not exist, which costs a dial each; `nodes_max` bounds that.
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
        let transport = transport::build(&key, None, policy, &Traffic::default())?;
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
        while self.dials.len().saturating_add(self.visits.len()) < self.config.parallel_max {
            let Some((endpoint, peer)) = self.queue.pop_front() else { return };
            let is_visited = |peer| self.node(peer).is_some_and(|node| node.online) || self.visits.contains_key(&peer);
            if peer.is_some_and(is_visited) {
                self.done = self.done.saturating_add(1);
                continue;
            }
            let addr = endpoint.to_multiaddr();
            let opts = match peer {
                Some(peer) => DialOpts::peer_id(peer).addresses(vec![addr]).build(),
                None => DialOpts::unknown_peer_id().address(addr).build(),
            };
            let connection = opts.connection_id();
            if self.swarm.dial(opts).is_ok() {
                self.dials.insert(connection, peer);
            } else {
                self.done = self.done.saturating_add(1);
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<QuestionsEvent>) {
        #[allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enum is non-exhaustive")]
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.dials.remove(&connection_id);
                if self.visits.insert(peer_id, 1).is_none() {
                    let hello = Hello {
                        network: self.config.network.to_string(),
                        agent: concat!("bruit-crawl/", env!("CARGO_PKG_VERSION")).to_owned(),
                        ..Hello::default()
                    };
                    let kind = Some(pb::peering_request::Kind::Hello(hello.into_wire()));
                    self.swarm.behaviour_mut().peering.send_request(&peer_id, Ok(pb::PeeringRequest { kind }));
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, .. } => {
                self.ended(|crawler| crawler.dials.remove(&connection_id).is_some());
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                self.ended(|crawler| crawler.visits.remove(&peer_id).is_some());
            }
            SwarmEvent::Behaviour(QuestionsEvent::Peering(event)) => self.on_peering(event),
            SwarmEvent::Behaviour(QuestionsEvent::Exchange(event)) => self.on_exchange(event),
            _ => {}
        }
    }

    fn ended(&mut self, was_under_way: impl FnOnce(&mut Self) -> bool) {
        self.done = self.done.saturating_add(usize::from(was_under_way(self)));
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
            Event::OutboundFailure { peer, .. } => self.leave(peer),
            Event::Message { .. } | Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn ask(&mut self, peer: PeerId, hello: Hello) {
        let place = self.place(peer);
        if let Some(node) = self.nodes.get_mut(place).filter(|node| !node.online) {
            (node.online, node.agent, node.full) = (true, hello.agent, hello.refused.is_some());
            node.addrs.extend(hello.listen);
            node.addrs.sort_unstable();
            node.addrs.dedup();
        } else {
            // The goodbye was answered, not a hello.
            return self.leave(peer);
        }
        let named = hello.refused.into_iter().flat_map(|goodbye| goodbye.alternatives);
        named.for_each(|known| self.named(place, Some(known.peer), &known.endpoints));
        self.visits.insert(peer, 2);
        for (request, asked) in
            [(Request::GetAddr { count_max: 0 }, Asked::Addrs), (Request::GetNeighbours, Asked::Neighbours)]
        {
            let id = self.swarm.behaviour_mut().exchange.send_request(&peer, Ok(request_to_wire(&request)));
            self.asked.insert(id, asked);
        }
    }

    fn on_exchange(&mut self, event: <QuestionsExchange as NetworkBehaviour>::ToSwarm) {
        use request_response::{Event, Message};
        let (peer, id, answer) = match event {
            Event::Message { peer, message: Message::Response { request_id, response }, .. } => {
                (peer, request_id, response.ok())
            }
            Event::OutboundFailure { peer, request_id, .. } => (peer, request_id, None),
            Event::Message { .. } | Event::InboundFailure { .. } | Event::ResponseSent { .. } => return,
        };
        let place = self.place(peer);
        match (self.asked.remove(&id), answer) {
            (Some(Asked::Addrs), Some(answer)) => {
                let Read { value, .. } = answer_from_wire(answer);
                value.into_iter().for_each(|addr| self.named(place, addr.peer, &addr.endpoints));
            }
            (Some(Asked::Neighbours), Some(answer)) => {
                for neighbour in neighbours_from_wire(answer) {
                    let to = self.place(neighbour);
                    self.links.insert((place, to), true);
                }
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
            let to = self.place(peer);
            self.links.entry((from, to)).or_insert(false);
            if let Some(node) = self.nodes.get_mut(to).filter(|node| !node.online) {
                let new = endpoints.iter().filter(|endpoint| !node.addrs.contains(endpoint)).cloned();
                let new: Vec<_> = new.collect();
                node.addrs.extend(new);
            }
        }
        endpoints.iter().for_each(|endpoint| self.enqueue(endpoint.clone(), peer));
    }

    fn leave(&mut self, peer: PeerId) {
        // It closes, and then counts as done.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    fn node(&self, peer: PeerId) -> Option<&CrawledNode> {
        self.nodes.get(*self.index.get(&peer)?)
    }

    fn place(&mut self, peer: PeerId) -> usize {
        *self.index.entry(peer).or_insert_with(|| {
            let node =
                CrawledNode { peer_id: peer, addrs: Vec::new(), online: false, agent: String::new(), full: false };
            self.nodes.push(node);
            self.nodes.len().saturating_sub(1)
        })
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
