use std::{
    collections::{BTreeMap, VecDeque},
    ops::{Deref, DerefMut},
};

use bruit_core::{Endpoint, PeerId, Seed, Slot, SlotTable, Timestamp};
use bruit_stack::{
    Engines, ValidConfig,
    addr_exchange::{self, BookSize, Exchange, PeerAddr, PeerHello},
    gossip,
    peering::{self, DialOutcome, GoodbyeReason, Standing},
    rpc,
};

/// An engine, and whether anything was done with it since it last wanted nothing: most letters are for others than the two that
/// look through all their peers.
pub struct Watched<T> {
    engine: T,
    is_touched: bool,
}

impl<T> Watched<T> {
    const fn new(engine: T) -> Self {
        Self { engine, is_touched: true }
    }
}

impl<T> Deref for Watched<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.engine
    }
}

impl<T> DerefMut for Watched<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.is_touched = true;
        &mut self.engine
    }
}

/// The engines of one node.
pub struct Parts {
    /// Whom to dial, keep and refuse.
    pub peering: Watched<peering::Engine<u64>>,
    /// How addresses travel.
    pub exchange: Watched<Exchange<PeerId>>,
    /// How items spread.
    pub gossip: gossip::Engine,
    /// Requests.
    pub rpc: rpc::Engine,
    /// When peering has something to do.
    peering_due: Option<Timestamp>,
    /// When address exchange has.
    exchange_due: Option<Timestamp>,
    slots: SlotTable<PeerId>,
    slot_of: BTreeMap<PeerId, Slot>,
    /// Peers that were admitted, with whom links come up next.
    pub(super) admitted: VecDeque<PeerId>,
}

impl Parts {
    pub(super) fn new(config: &ValidConfig, local: PeerId, seed: &Seed) -> Self {
        let mut exchange = Exchange::new(config.exchange.clone(), seed.derive("exchange", 0));
        exchange.own_peer(local);
        Self {
            exchange: Watched::new(exchange),
            peering: Watched::new(peering::Engine::new(config.peering.clone(), local, seed.derive("peering", 0))),
            peering_due: None,
            exchange_due: None,
            gossip: gossip::Engine::new(config.gossip.clone(), seed.derive("gossip", 0)),
            rpc: rpc::Engine::new(config.rpc.clone(), seed.derive("rpc", 0)),
            slots: SlotTable::new(config.gossip.peers_max.min(config.rpc.peers_max)),
            slot_of: BTreeMap::new(),
            admitted: VecDeque::new(),
        }
    }

    /// The slot of a peer that takes part.
    pub fn slot_of(&self, peer: &PeerId) -> Option<Slot> {
        self.slot_of.get(peer).copied()
    }

    /// The peer that has a slot.
    pub fn peer_of(&self, slot: Slot) -> Option<PeerId> {
        self.slots.get(slot).copied()
    }

    pub(super) fn next_timeout(&self) -> Option<Timestamp> {
        let timeouts = [self.peering_due, self.exchange_due, self.gossip.next_timeout(), self.rpc.next_timeout()];
        timeouts.into_iter().flatten().min()
    }

    /// What peering wants next.
    pub(super) fn peering_wants(&mut self) -> Option<peering::Output<u64>> {
        if !self.peering.is_touched {
            return None;
        }
        let output = self.peering.engine.poll_output();
        if output.is_none() {
            self.peering.is_touched = false;
            self.peering_due = self.peering.next_timeout();
        }
        output
    }

    /// What address exchange wants next.
    pub(super) fn exchange_wants(&mut self, now: Timestamp) -> Option<addr_exchange::Output<PeerId>> {
        if !self.exchange.is_touched && self.exchange_due.is_none_or(|at| at > now) {
            return None;
        }
        let output = self.exchange.engine.poll_output(now);
        if output.is_none() {
            self.exchange.is_touched = false;
            self.exchange_due = self.exchange.next_timeout(now);
        }
        output
    }

    pub(super) fn timed_out(&mut self, now: Timestamp) {
        if self.peering_due.is_some_and(|at| at <= now) {
            self.peering.handle_timeout(now);
        }
        if self.gossip.next_timeout().is_some_and(|at| at <= now) {
            self.gossip.handle_timeout(now);
        }
        if self.rpc.next_timeout().is_some_and(|at| at <= now) {
            self.rpc.handle_timeout(now);
        }
    }
}

impl Engines for Parts {
    type Connection = u64;

    fn peering(&self) -> &peering::Engine<u64> {
        &self.peering.engine
    }

    fn dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> DialOutcome {
        self.peering.dial(endpoint, peer, standing, now)
    }

    fn candidates_exhausted(&mut self, now: Timestamp) {
        self.peering.candidates_exhausted(now);
    }

    fn addresses_learned(&mut self, now: Timestamp) {
        self.peering.addresses_learned(now);
    }

    fn addresses_told(&mut self, peer: PeerId, _: Timestamp) {
        self.peering.addresses_told(peer);
    }

    fn say_goodbye(&mut self, peer: PeerId, reason: GoodbyeReason, now: Timestamp) {
        self.peering.say_goodbye(peer, reason, now);
    }

    fn admit(&mut self, peer: PeerId, now: Timestamp) {
        self.exchange.peer_admitted(peer, now);
        self.admit_quietly(peer, now);
    }

    fn admit_quietly(&mut self, peer: PeerId, now: Timestamp) {
        if self.slot_of.contains_key(&peer) {
            return;
        }
        if let Ok(slot) = self.slots.insert(peer) {
            self.slot_of.insert(peer, slot);
            self.rpc.peer_connected(slot, now);
            let _ = self.gossip.peer_connected(slot, now);
            self.admitted.push_back(peer);
        }
    }

    fn dismiss(&mut self, peer: PeerId, now: Timestamp) {
        self.exchange.peer_dismissed(peer);
        if let Some(slot) = self.slot_of.remove(&peer) {
            self.slots.remove(slot);
            self.rpc.peer_disconnected(slot, now);
            self.gossip.peer_disconnected(slot, now);
        }
    }

    fn ask(&mut self, peer: PeerId, now: Timestamp) {
        self.exchange.ask(peer, now);
    }

    fn relay(&mut self, from: PeerId, news: Vec<PeerAddr>, now: Timestamp) {
        self.exchange.relay(from, news, now);
    }

    fn locate(&mut self, peer: PeerId, hello: PeerHello, is_hidden: bool, now: Timestamp) {
        if is_hidden {
            self.hide(peer);
        }
        self.exchange.hello_received(peer, Some(peer), hello, now);
    }

    fn hide(&mut self, peer: PeerId) {
        self.exchange.peer_hidden(peer);
    }

    fn holders(&self, peer: &PeerId) -> usize {
        self.exchange.holders(peer)
    }

    fn visit(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> DialOutcome {
        self.peering.visit(endpoint, peer, standing, now)
    }

    fn delivered_first(&mut self, peer: PeerId, now: Timestamp) {
        self.peering.delivered_first(&peer, now);
    }

    fn more_wanted(&mut self, is_more_wanted: bool, _: Timestamp) {
        self.exchange.more_wanted(is_more_wanted);
    }

    fn book_counted(&mut self, book: BookSize) {
        self.exchange.book_counted(book);
    }

    fn forget_answers(&mut self) {
        self.exchange.forget_answers();
    }

    fn set_quality(&mut self, peer: PeerId, quality: f32) {
        if let Some(slot) = self.slot_of(&peer) {
            self.rpc.set_quality(slot, quality);
        }
    }
}
