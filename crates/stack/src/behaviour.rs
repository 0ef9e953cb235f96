#![allow(clippy::wildcard_enum_match_arm, reason = "the engines' and libp2p's enums are non-exhaustive")]

mod book_keeping;
mod operate;
mod swarm;

use std::{
    collections::{BTreeMap, VecDeque},
    task::Waker,
};

use bruit_addr_exchange::{AnswerOrder, PeerAddr};
use bruit_address_book::{AddressBook, Candidate, Heard, Hearsay, SampleOrder, SampleRules, Source, Wanted};
use bruit_core::{Alarm, Audience, ChaCha8Rng, Clock, Endpoint, NetGroup, PeerId, Seed, Timestamp};
use bruit_peering::{DialOutcome, GoodbyeReason, SlotClass};
use libp2p_swarm::NetworkBehaviour;
use rand::seq::IteratorRandom;

use self::book_keeping::Conducts;
use crate::{
    Event, ValidConfig,
    coupling::{self, Command},
};

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
        let mut exchange =
            bruit_addr_exchange::Behaviour::new(network, config.exchange.clone(), seed.derive("exchange", 0));
        exchange.own_peer(local);
        let children = Children {
            peering: bruit_peering::Behaviour::new(config.peering.clone(), local, seed.derive("peering", 0)),
            exchange,
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
                let sample = self.sample(audience, peer, now);
                self.children.exchange.answer(request, sample);
            }
            Exchange::PushWanted { peer, audience } => {
                let sample = self.sample(audience, peer, now);
                // A peer that is busy or gone learns from others.
                let _ = self.children.exchange.push(&peer, sample);
            }
            Exchange::Received { peer, addrs, may_relay, .. } => {
                let group = self.seen_at(&peer).map_or(NetGroup::Local, |remote| self.book.group_of(&remote));
                self.commands.push_back(coupling::of_addrs(Source::Peer { peer, group }, addrs, may_relay));
            }
            Exchange::ProbeStarted { endpoint } => self.commands.push_back(Command::BookDialStarted(endpoint)),
            Exchange::Confirmed { peer, endpoint } => {
                self.commands.push_back(coupling::of_trial(peer, endpoint, true));
            }
            Exchange::Unconfirmed { peer, endpoint } => {
                self.commands.push_back(coupling::of_trial(peer, endpoint, false));
            }
            Exchange::Unreachable { peer } => self.commands.push_back(Command::Part(peer)),
            Exchange::OwnAdopted { endpoint } => self.commands.push_back(Command::BookOwnEndpoint(endpoint)),
            Exchange::Conduct { peer, conduct } => self.commands.push_back(coupling::of_conduct(peer, conduct)),
            _ => {}
        }
    }

    fn sample(&mut self, audience: Audience, except: PeerId, now: Timestamp) -> Vec<PeerAddr> {
        let exchange = self.config.exchange.settings();
        let rules = SampleRules {
            least: exchange.addrs_per_answer_min,
            percent: exchange.answer_percent,
            most: exchange.addrs_per_answer_max,
            order: match exchange.answer_order {
                AnswerOrder::Random => SampleOrder::Random,
                AnswerOrder::BestFirst => SampleOrder::BestFirst,
            },
        };
        let sample = self.book.sample(rules, audience, now);
        let others = sample.into_iter().filter(|known| known.peer != Some(except));
        others.map(|known| PeerAddr::new(known.peer, known.endpoints, Some(known.last_seen))).collect()
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
            Command::Locate { peer, hello } => {
                if self.book.is_special(&peer) {
                    self.children.exchange.hide(&peer);
                }
                self.children.exchange.hello_received(&peer, hello);
            }
            Command::Part(peer) => {
                self.children.peering.say_goodbye(peer, GoodbyeReason::Requested);
            }
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
        let (mut is_any_new, mut news) = (false, Vec::new());
        for mut addr in addrs {
            let PeerAddr { peer, last_seen, .. } = addr;
            let mut is_news = |endpoint: &Endpoint| {
                let hearsay = Hearsay { peer, endpoint: endpoint.clone(), last_seen, source };
                let heard = self.book.heard(hearsay, now);
                is_any_new |= heard == Heard::Added;
                matches!(heard, Heard::Added | Heard::Refreshed)
            };
            addr.endpoints.retain(&mut is_news);
            if !addr.endpoints.is_empty() && !self.is_secret(&addr, now) {
                news.push(addr);
            }
        }
        if is_any_new {
            self.children.exchange.book_counted(self.book.len());
            self.children.peering.addresses_learned();
        }
        if let (true, Source::Peer { peer, .. }) = (relay && !news.is_empty(), source) {
            self.children.exchange.relay(&peer, news);
        }
    }

    /// Whether nobody is to be told of an address: the operator named it, or it is banned.
    fn is_secret(&self, addr: &PeerAddr, now: Timestamp) -> bool {
        let is_banned = |endpoint: &Endpoint| self.book.is_banned(addr.peer.as_ref(), endpoint.ip(), now);
        let is_special = |endpoint: &Endpoint| self.book.entry(endpoint, now).is_some_and(|entry| entry.is_special);
        addr.peer.is_some_and(|peer| self.book.is_special(&peer))
            || addr.endpoints.iter().any(|endpoint| is_banned(endpoint) || is_special(endpoint))
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
