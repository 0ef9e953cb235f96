#![allow(clippy::wildcard_enum_match_arm, reason = "the engines' and libp2p's enums are non-exhaustive")]

mod dialling;
mod engines;
mod operate;
mod swarm;

use std::{collections::VecDeque, task::Waker, time::Duration};

use bruit_core::{Alarm, Clock, Endpoint, PeerId, Seed, Timestamp};
use libp2p_swarm::NetworkBehaviour;

use crate::{
    Coupler, Event, ValidConfig,
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
    coupler: Coupler,
    config: ValidConfig,
    local: PeerId,
    clock: Clock,
    alarm: Alarm,
    listen: Vec<Endpoint>,
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

/// How long the last answers travel before their connections close. A guess: some round trips.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    No,
    /// What peers asked for is answered yet, until this moment at the latest.
    Finishing(Timestamp),
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
        let coupler = Coupler::new(&config, local, &seed, book);
        let network = &config.network;
        let mut exchange =
            bruit_addr_exchange::Behaviour::new(network, config.exchange.clone(), seed.derive("exchange", 0));
        exchange.own_peer(local);
        let mut gossip = bruit_gossip::Behaviour::new(
            network,
            config.gossip.clone(),
            seed.derive("gossip", 0),
            bruit_gossip::Admission::ByOwner,
        );
        gossip.identify(&local);
        let children = Children {
            peering: bruit_peering::Behaviour::new(config.peering.clone(), local, seed.derive("peering", 0)),
            exchange,
            rpc: bruit_rpc::Behaviour::new(
                network,
                config.rpc.clone(),
                seed.derive("rpc", 0),
                bruit_rpc::Admission::ByOwner,
            ),
            gossip,
        };
        Self {
            children,
            coupler,
            config,
            local,
            clock: Clock::start(),
            alarm: Alarm::default(),
            listen: Vec::new(),
            events: VecDeque::new(),
            stopping: Stopping::No,
            waker: None,
        }
    }

    fn on_child_event(&mut self, event: ChildEvent) {
        let now = self.clock.now();
        match event {
            ChildEvent::Peering(event) => {
                self.coupler.peering_said(&event, &mut self.children, now);
                match event {
                    bruit_peering::Event::PeerUp { peer, class, .. } => {
                        self.events.push_back(Event::PeerUp { peer, class });
                    }
                    bruit_peering::Event::SeedsWanted { stage } => self.events.push_back(Event::SeedsWanted { stage }),
                    bruit_peering::Event::PeerDown { peer } => self.events.push_back(Event::PeerDown { peer }),
                    _ => {}
                }
            }
            ChildEvent::Exchange(event) => self.on_exchange_event(event),
            ChildEvent::Rpc(bruit_rpc::Event::Conduct { peer, conduct }) => {
                self.coupler.conduct_seen(peer, conduct);
            }
            ChildEvent::Rpc(bruit_rpc::Event::Drained) => {
                if let Stopping::Finishing(until) = self.stopping {
                    self.stopping = Stopping::Finishing(until.min(now.after(LAST_ANSWERS)));
                }
            }
            ChildEvent::Rpc(event) => {
                if let bruit_rpc::Event::Told { peer, .. } = &event {
                    self.coupler.rate(*peer, &mut self.children, now);
                }
                self.events.push_back(Event::Rpc(event));
            }
            ChildEvent::Gossip(bruit_gossip::Event::Conduct { peer, conduct }) => {
                self.coupler.conduct_seen(peer, conduct);
            }
            ChildEvent::Gossip(event) => self.events.push_back(Event::Gossip(event)),
        }
    }

    /// When something is to be done that no event tells of.
    fn wakes_at(&self) -> Option<Timestamp> {
        let finished_at = match self.stopping {
            Stopping::Finishing(until) => Some(until),
            Stopping::No | Stopping::Draining | Stopping::Drained => None,
        };
        self.coupler.flush_at().into_iter().chain(finished_at).min()
    }

    fn leave(&mut self) {
        self.stopping = Stopping::Draining;
        self.children.peering.stop();
    }

    fn on_exchange_event(&mut self, event: bruit_addr_exchange::Event) {
        use bruit_addr_exchange::Event as Exchange;
        match event {
            Exchange::Asked { peer, request, audience } => {
                let sample = self.coupler.sample_for(peer, audience, self.clock.now());
                self.children.exchange.answer(request, sample);
            }
            Exchange::PushWanted { peer, audience } => {
                let sample = self.coupler.sample_for(peer, audience, self.clock.now());
                // A peer that is busy or gone learns from others.
                let _ = self.children.exchange.push(&peer, sample);
            }
            Exchange::Received { peer, addrs, may_relay, .. } => {
                let now = self.clock.now();
                self.coupler.addrs_told(peer, addrs, may_relay, &mut self.children, now);
            }
            Exchange::ProbeStarted { endpoint } => self.coupler.order(Command::BookDialStarted(endpoint)),
            Exchange::Confirmed { peer, endpoint } => self.coupler.order(coupling::of_trial(peer, endpoint, true)),
            Exchange::Unconfirmed { peer, endpoint } => self.coupler.order(coupling::of_trial(peer, endpoint, false)),
            Exchange::OtherFound { endpoint, found } => {
                self.coupler.order(Command::BookWrongIdentity { endpoint, found });
            }
            Exchange::Unreachable { peer } => self.coupler.order(Command::Part(peer)),
            Exchange::OwnAdopted { endpoint } => self.coupler.order(Command::BookOwnEndpoint(endpoint)),
            Exchange::Conduct { peer, conduct } => self.coupler.conduct_seen(peer, conduct),
            _ => {}
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
