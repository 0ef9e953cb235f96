#![allow(clippy::wildcard_enum_match_arm, reason = "the engines' and libp2p's enums are non-exhaustive")]

mod book_keeping;
mod operate;
mod swarm;

use std::{
    collections::{BTreeMap, VecDeque},
    task::Waker,
};

use bruit_addr_exchange::PeerAddr;
use bruit_address_book::{AddressBook, Candidate, Heard, Hearsay, SampleRules, Source, Wanted};
use bruit_core::{Alarm, Audience, ChaCha8Rng, Clock, Endpoint, NetGroup, PeerId, Seed, Timestamp};
use bruit_peering::{DialOutcome, SlotClass};
use libp2p_swarm::NetworkBehaviour;
use rand::seq::IteratorRandom;

use self::book_keeping::Conducts;
use crate::{
    Event, ValidConfig,
    coupling::{self, Command},
};

/// How many peers hear of a fresh address. Bitcoin Core: 2.
const ANNOUNCED_TO: usize = 2;
/// How many commands one turn carries out before the swarm gets its turn.
const COMMANDS_PER_TURN: usize = 64;

/// All protocols of one network, with one address book, in one behaviour.
///
/// # Security
/// Bans are enforced here, on every connection and before it is made; limits are the engines' own.
pub struct Behaviour {
    children: Children,
    book: AddressBook,
    config: ValidConfig,
    local: PeerId,
    rng: ChaCha8Rng,
    clock: Clock,
    alarm: Alarm,
    conducts: Conducts,
    remotes: BTreeMap<PeerId, Endpoint>,
    listen: Vec<Endpoint>,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
    stopping: Stopping,
    waker: Option<Waker>,
}

/// Where a node's chance and the places in its book come from.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// What everything drawn follows from: fresh at every start, or a node would repeat itself.
    pub chance: Seed,
    /// What the places in the book follow from: secret, and the same at every start, or entries of a full book lose their places
    /// when it is restored.
    pub book: Seed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    Draining,
    Drained,
}

/// Limiting and rare children first, hot ones last: the derived poll asks in the order of the fields.
#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p_swarm::derive_prelude", to_swarm = "ChildEvent")]
#[allow(unreachable_pub, reason = "named by the public behaviour's handler type")]
pub struct Children {
    peering: bruit_peering::Behaviour,
    exchange: bruit_addr_exchange::Behaviour,
    rpc: bruit_rpc::Behaviour,
    gossip: bruit_gossip::Behaviour,
}

#[allow(unreachable_pub, reason = "named by the children")]
pub enum ChildEvent {
    Peering(bruit_peering::Event),
    Exchange(bruit_addr_exchange::Event),
    Rpc(bruit_rpc::Event<PeerId>),
    Gossip(bruit_gossip::Event<PeerId>),
}

impl From<bruit_peering::Event> for ChildEvent {
    fn from(event: bruit_peering::Event) -> Self {
        Self::Peering(event)
    }
}

impl From<bruit_addr_exchange::Event> for ChildEvent {
    fn from(event: bruit_addr_exchange::Event) -> Self {
        Self::Exchange(event)
    }
}

impl From<bruit_rpc::Event<PeerId>> for ChildEvent {
    fn from(event: bruit_rpc::Event<PeerId>) -> Self {
        Self::Rpc(event)
    }
}

impl From<bruit_gossip::Event<PeerId>> for ChildEvent {
    fn from(event: bruit_gossip::Event<PeerId>) -> Self {
        Self::Gossip(event)
    }
}

impl Behaviour {
    /// Makes the behaviour of a node without peers.
    pub fn new(config: ValidConfig, local: PeerId, seeds: Seeds) -> Self {
        let Seeds { chance: seed, book } = seeds;
        let mut book = AddressBook::new(config.book.clone(), book);
        book.own_peer(local);
        let network = &config.network;
        let children = Children {
            peering: bruit_peering::Behaviour::new(config.peering.clone(), local, seed.derive("peering", 0)),
            exchange: bruit_addr_exchange::Behaviour::new(network, config.exchange.clone(), seed.derive("exchange", 0)),
            rpc: bruit_rpc::Behaviour::new(
                network,
                config.rpc.clone(),
                seed.derive("rpc", 0),
                bruit_rpc::Admission::ByOwner,
            ),
            gossip: bruit_gossip::Behaviour::new(
                network,
                config.gossip.clone(),
                seed.derive("gossip", 0),
                bruit_gossip::Admission::ByOwner,
            ),
        };
        Self {
            children,
            book,
            rng: seed.derive("stack", 0).rng(),
            config,
            local,
            clock: Clock::start(),
            alarm: Alarm::default(),
            conducts: Conducts::default(),
            remotes: BTreeMap::new(),
            listen: Vec::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            stopping: Stopping::No,
            waker: None,
        }
    }

    fn on_child_event(&mut self, event: ChildEvent) {
        match event {
            ChildEvent::Peering(event) => {
                self.commands.extend(coupling::of_peering(&event));
                let peering = &self.children.peering;
                let is_more_wanted = peering.held(SlotClass::Outbound) < peering.engine().settings().outbound_target;
                self.children.exchange.more_wanted(is_more_wanted);
                match event {
                    bruit_peering::Event::PeerUp { peer, class, remote, .. } => {
                        self.remotes.insert(peer, remote);
                        self.events.push_back(Event::PeerUp { peer, class });
                    }
                    bruit_peering::Event::PeerDown { peer } => {
                        self.remotes.remove(&peer);
                        self.events.push_back(Event::PeerDown { peer });
                    }
                    _ => {}
                }
            }
            ChildEvent::Exchange(event) => self.on_exchange_event(event),
            ChildEvent::Rpc(bruit_rpc::Event::Conduct { peer, conduct }) => {
                self.commands.push_back(coupling::of_conduct(peer, conduct));
            }
            ChildEvent::Rpc(event) => {
                if let bruit_rpc::Event::Told { peer, .. } = &event {
                    self.rate(*peer, self.clock.now());
                }
                self.events.push_back(Event::Rpc(event));
            }
            ChildEvent::Gossip(bruit_gossip::Event::Conduct { peer, conduct }) => {
                self.commands.push_back(coupling::of_conduct(peer, conduct));
            }
            ChildEvent::Gossip(event) => self.events.push_back(Event::Gossip(event)),
        }
    }

    fn on_exchange_event(&mut self, event: bruit_addr_exchange::Event) {
        use bruit_addr_exchange::Event as Exchange;
        let now = self.clock.now();
        match event {
            Exchange::Asked { peer, request, audience } => {
                let rules = SampleRules { most: self.config.addrs_per_answer_max, ..SampleRules::default() };
                let sample = self.book.sample(rules, audience, now);
                let others = sample.into_iter().filter(|known| known.peer != Some(peer));
                let addrs = others.map(|known| PeerAddr {
                    peer: known.peer,
                    endpoints: known.endpoints,
                    last_seen: Some(known.last_seen),
                });
                self.children.exchange.answer(request, addrs.collect());
            }
            Exchange::Received { peer, addrs, asked, .. } => {
                let group = self.seen_at(&peer).map_or(NetGroup::Local, |remote| self.book.group_of(&remote));
                self.commands.push_back(coupling::of_addrs(Source::Peer { peer, group }, addrs, asked));
            }
            Exchange::Conduct { peer, conduct } => self.commands.push_back(coupling::of_conduct(peer, conduct)),
            _ => {}
        }
    }

    fn seen_at(&self, peer: &PeerId) -> Option<Endpoint> {
        let connected = || self.children.peering.peers().find(|view| view.peer == *peer).map(|view| view.remote);
        self.remotes.get(peer).cloned().or_else(connected)
    }

    fn apply(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Admit(peer) => {
                self.children.exchange.admit(&peer);
                self.children.rpc.admit(peer);
                self.children.gossip.admit(peer);
                self.children.gossip.set_keep_alive(peer, true);
            }
            Command::Dismiss(peer) => {
                self.children.exchange.dismiss(&peer);
                self.children.rpc.dismiss(peer);
                self.children.gossip.dismiss(peer);
                self.children.gossip.set_keep_alive(peer, false);
            }
            Command::BookHeard { addrs, source, relay } => self.hear(addrs, source, relay, now),
            Command::Propose(count) => self.propose(count, now),
            Command::AskForAddrs(peer) => self.ask(peer),
            Command::AskAnybodyForAddrs => self.ask_anybody(),
            Command::Announce { addrs, except } => self.announce(&addrs, except, now),
            Command::BookConnected { .. }
            | Command::BookDisconnected(_)
            | Command::BookDialStarted(_)
            | Command::BookDialSucceeded(..)
            | Command::BookDialFailed(_)
            | Command::BookOwnEndpoint(_)
            | Command::BookWrongIdentity { .. }
            | Command::BookConduct(..) => self.keep_book(command, now),
        }
    }

    /// Asks somebody whom we dialled, or, if everybody dialled us, any peer.
    fn ask_anybody(&mut self) {
        let held: Vec<_> = self.children.peering.peers().filter_map(|view| Some((view.peer, view.class?))).collect();
        let dialled = held.iter().filter(|(_, class)| *class != SlotClass::Inbound);
        let chosen = dialled.choose(&mut self.rng).or_else(|| held.iter().choose(&mut self.rng));
        if let Some((peer, _)) = chosen {
            self.ask(*peer);
        }
    }

    fn ask(&mut self, peer: PeerId) {
        // A peer that is gone or was asked not long ago is not asked: somebody else will be.
        let _ = self.children.exchange.ask(&peer);
    }

    fn hear(&mut self, addrs: Vec<PeerAddr>, source: Source, relay: bool, now: Timestamp) {
        let mut fresh = Vec::new();
        for PeerAddr { peer, endpoints, last_seen } in addrs {
            let is_new = |endpoint: &Endpoint| {
                let hearsay = Hearsay { peer, endpoint: endpoint.clone(), last_seen, source };
                self.book.heard(hearsay, now) == Heard::Added
            };
            let added: Vec<_> = endpoints.into_iter().filter(is_new).collect();
            if !added.is_empty() {
                fresh.push(PeerAddr { peer, endpoints: added, last_seen });
            }
        }
        if fresh.is_empty() {
            return;
        }
        self.children.exchange.book_counted(self.book.len());
        self.children.peering.addresses_learned();
        if let (true, Source::Peer { peer, .. }) = (relay, source) {
            self.announce(&fresh, peer, now);
        }
    }

    fn announce(&mut self, addrs: &[PeerAddr], except: PeerId, now: Timestamp) {
        let named = |peer: &PeerId| addrs.iter().any(|addr| addr.peer == Some(*peer));
        let others = self.remotes.iter().filter(|(peer, _)| **peer != except && !named(peer));
        for (peer, remote) in others.sample(&mut self.rng, ANNOUNCED_TO) {
            let audience = Audience::of(remote);
            let tellable = |addr: &PeerAddr| {
                let special = addr.peer.is_some_and(|peer| self.book.is_special(&peer));
                let banned = self.book.is_banned(addr.peer.as_ref(), None, now);
                let mut addr = addr.clone();
                addr.endpoints
                    .retain(|endpoint| audience.can_use(endpoint) && self.config.addr_policy.check(endpoint).is_ok());
                (!special && !banned && !addr.endpoints.is_empty()).then_some(addr)
            };
            let addrs: Vec<_> = addrs.iter().filter_map(tellable).collect();
            if !addrs.is_empty() {
                // A peer that is busy or gone hears of them from others.
                let _ = self.children.exchange.announce(peer, addrs);
            }
        }
    }

    /// Proposes peers of groups that no outbound peer is in; when there are none, any others.
    fn propose(&mut self, count: usize, now: Timestamp) {
        let mut groups: Vec<NetGroup> = Vec::new();
        let outbound = self.children.peering.peers().filter(|view| view.class == Some(SlotClass::Outbound));
        groups.extend(outbound.map(|view| self.book.group_of(&view.remote)));
        groups.extend(self.children.peering.engine().dials().map(|(endpoint, _)| self.book.group_of(endpoint)));
        let mut started = 0;
        let mut refused: Vec<Endpoint> = Vec::new();
        for distinct in [true, false] {
            while started < count && refused.len() < 4 * count.max(4) {
                let (engine, taken, refused_before) = (self.children.peering.engine(), &groups, &refused);
                let eligible = |candidate: &Candidate<'_>| {
                    (!distinct || !taken.contains(&candidate.group))
                        && candidate.peer.is_none_or(|peer| !engine.is_connected(peer))
                        && !refused_before.contains(candidate.endpoint)
                };
                let Some((choice, _)) = self.book.select_explained(Wanted::Any, eligible, now) else { break };
                match self.children.peering.dial(choice.endpoint.clone(), choice.peer) {
                    DialOutcome::Started => {
                        started += 1;
                        groups.push(choice.group);
                    }
                    DialOutcome::Enough => return,
                    DialOutcome::Connected | DialOutcome::UnderWay | DialOutcome::BackingOff => {
                        refused.push(choice.endpoint);
                    }
                }
            }
        }
        if started < count {
            self.children.peering.candidates_exhausted();
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
