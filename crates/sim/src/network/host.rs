mod items;
mod life;
mod repair;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bruit_core::{Endpoint, PeerId, Seed, Timestamp};
use bruit_stack::{
    Coupler, ValidConfig,
    addr_exchange::{self, Asked, Link},
    coupling::{self, Command},
    gossip, peering,
    peering::{DialFailure, Hearing, HelloFailure, Origin},
    rpc,
};

pub(super) use self::life::Kept;
use self::repair::Repair;
use super::{
    Content, Letter, Parts, Place, Signal,
    node::{NetworkNode, dial, send},
};
use crate::Net;

type Around = Net<NetworkNode>;

/// How many frames wait for a peer to be admitted at most.
const WAITING_MAX: usize = 64;

/// A node with all engines, coupled as in a swarm.
pub struct Host {
    place: Place,
    config: Arc<ValidConfig>,
    seed: Seed,
    /// The topic that it subscribes, if it does.
    topic: Option<gossip::Topic>,
    seeds: Vec<Endpoint>,
    /// Seed addresses that are named from the second start on.
    later_seeds: Vec<Endpoint>,
    parts: Parts,
    coupler: Coupler,
    /// Dials without an answer yet.
    dialling: BTreeMap<u64, (Endpoint, Option<PeerId>)>,
    /// Dials only to see whether a peer is there.
    probes: BTreeMap<u64, (PeerId, Endpoint)>,
    /// Who is let in and has not confirmed yet.
    pending: BTreeMap<u64, Endpoint>,
    connections: BTreeMap<u64, Connection>,
    peers: BTreeMap<PeerId, Vec<u64>>,
    asked: BTreeMap<PeerId, Timestamp>,
    /// Frames of peers that are not admitted yet wait unread, as they do on a stream.
    waiting: BTreeMap<PeerId, VecDeque<Content>>,
    is_up: bool,
    /// When the node last started.
    started: Timestamp,
    /// After how long it had eight honest outbound peers, or everybody honest who is left.
    settled_after: Option<Duration>,
    repair: Option<Repair>,
}

#[derive(Clone, Debug)]
struct Connection {
    peer: PeerId,
    node: u32,
    has_greeted: bool,
}

impl Host {
    pub(super) fn new(
        place: Place,
        config: Arc<ValidConfig>,
        seeds: [Vec<Endpoint>; 2],
        seed: Seed,
        topic: Option<gossip::Topic>,
    ) -> Self {
        let [seeds, later_seeds] = seeds;
        let parts = Parts::new(&config, place.peer, &seed);
        let coupler = Coupler::new(&config, place.peer, &seed, seed.derive("book", 0));
        Self {
            place,
            config,
            seed,
            topic,
            seeds,
            later_seeds,
            parts,
            coupler,
            dialling: BTreeMap::new(),
            probes: BTreeMap::new(),
            pending: BTreeMap::new(),
            connections: BTreeMap::new(),
            peers: BTreeMap::new(),
            asked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            is_up: false,
            started: Timestamp::default(),
            settled_after: None,
            repair: None,
        }
    }

    /// Its engines.
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Its book, and what is done with it.
    pub const fn coupler(&self) -> &Coupler {
        &self.coupler
    }

    /// Whether it has joined.
    pub const fn is_up(&self) -> bool {
        self.is_up
    }

    /// After how long since its last start it had eight honest outbound peers, or was connected with everybody honest who is left:
    /// whom it could not dial since they had dialled it are no lack.
    pub const fn settled_after(&self) -> Option<Duration> {
        self.settled_after
    }

    pub(super) fn next_timeout(&self) -> Option<Timestamp> {
        match self.is_up {
            true => {
                let due = [self.parts.next_timeout(), self.coupler.flush_at()];
                due.into_iter().flatten().min()
            }
            false => None,
        }
    }

    pub(super) fn timed_out(&mut self, net: &mut Around) {
        let now = net.now();
        self.parts.timed_out(now);
        if self.coupler.flush_at().is_some_and(|at| at <= now) {
            self.coupler.flush(&mut self.parts, now);
        }
        self.settle(net);
    }

    pub(super) fn called(&mut self, signal: Signal, net: &mut Around) {
        if !self.is_up && !matches!(signal, Signal::Join) {
            return;
        }
        match signal {
            Signal::Join => self.join(net),
            Signal::DialOverdue { connection } => self.dial_failed(connection, DialFailure::Unreachable, net),
            Signal::Handshaken { connection, peer } => self.handshaken(connection, peer, net),
            Signal::AskOverdue { peer, asked } if self.asked.get(&peer) == Some(&asked) => {
                self.asked.remove(&peer);
                self.parts.exchange.ask_failed(peer, net.now());
                self.coupler.conduct_seen(peer, bruit_core::Conduct::TimedOut);
            }
            Signal::Publish { moment } => self.publish(moment, net),
            Signal::AskOverdue { .. } | Signal::Act => {}
        }
        self.settle(net);
    }

    pub(super) fn received(&mut self, from: u32, letter: Letter, net: &mut Around) {
        if !self.is_up {
            return;
        }
        let Letter { connection, content } = letter;
        let now = net.now();
        match content {
            Content::Dial(remote) => self.dialled(from, connection, remote, net),
            Content::Accept(peer) => {
                if self.dialling.contains_key(&connection) || self.probes.contains_key(&connection) {
                    // The transport's and the multiplexer's handshakes take another round trip.
                    let at = now.after(net.latency_to(from).saturating_mul(2));
                    net.call_at(at, Signal::Handshaken { connection, peer });
                }
            }
            Content::Refuse => self.dial_failed(connection, DialFailure::Unreachable, net),
            Content::Confirm(peer) => {
                let remote = self.pending.remove(&connection);
                let is_let_in =
                    |remote: &Endpoint| self.parts.peering.accepts_peer(&peer, remote, self.pending.values());
                if let Some(remote) = &remote
                    && !is_let_in(remote)
                {
                    send(from, connection, Content::Close, net);
                } else if let Some(remote) = remote {
                    self.established(connection, peer, from, Origin::Accepted(remote), net);
                }
            }
            Content::Close => self.closed(connection, net),
            Content::Hello(_)
            | Content::HelloAnswer(_)
            | Content::Goodbye(_)
            | Content::GoodbyeHeard
            | Content::GetAddr(_)
            | Content::Addrs(_)
            | Content::Told(_)
            | Content::Ping(_)
            | Content::Pong(_)
            | Content::GetNeighbours
            | Content::Neighbours(_)
            | Content::DialBack(_)
            | Content::Gossip(_)
            | Content::Rpc(_) => {
                if let Some(Connection { peer, .. }) = self.connections.get(&connection) {
                    self.heard(*peer, connection, content, net);
                }
            }
        }
        self.settle(net);
    }

    // connections

    fn start_dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>, net: &mut Around) {
        let connection = dial(&endpoint, net);
        self.dialling.insert(connection, (endpoint.clone(), peer));
        if endpoint == self.place.endpoint {
            self.dial_failed(connection, DialFailure::OwnAddress, net);
        } else if self.coupler.book().is_barred(peer.as_ref(), endpoint.ip(), net.now()) {
            self.dial_failed(connection, DialFailure::Denied, net);
        }
    }

    fn dialled(&mut self, from: u32, connection: u64, remote: Endpoint, net: &mut Around) {
        let is_barred = self.coupler.book().is_barred(None, remote.ip(), net.now());
        if is_barred || !self.parts.peering.accepts_inbound(&remote, self.pending.values()) {
            send(from, connection, Content::Refuse, net);
            return;
        }
        self.pending.insert(connection, remote);
        send(from, connection, Content::Accept(self.place.peer), net);
        net.call_at(net.now().after(super::node::DIAL_TIMEOUT), Signal::DialOverdue { connection });
    }

    fn dial_failed(&mut self, connection: u64, reason: DialFailure, net: &mut Around) {
        self.pending.remove(&connection);
        if let Some((peer, endpoint)) = self.probes.remove(&connection) {
            self.parts.exchange.probe_ended(peer, &endpoint, false, net.now());
        }
        if let Some((endpoint, _)) = self.dialling.remove(&connection) {
            self.parts.peering.dial_failed(&endpoint, reason, net.now());
        }
    }

    fn handshaken(&mut self, connection: u64, peer: PeerId, net: &mut Around) {
        if let Some((wanted, endpoint)) = self.probes.remove(&connection) {
            if let Some(node) = net.tally.node_of(&peer) {
                send(node, connection, Content::Confirm(self.place.peer), net);
                send(node, connection, Content::Close, net);
            }
            match wanted == peer {
                true => {
                    self.parts.peering.found(wanted, endpoint.clone());
                    self.parts.exchange.probe_ended(wanted, &endpoint, true, net.now());
                }
                false => self.parts.exchange.probe_met(wanted, &endpoint, peer, net.now()),
            }
            return;
        }
        let Some((endpoint, expected)) = self.dialling.get(&connection).cloned() else { return };
        if expected.is_some_and(|expected| expected != peer) {
            self.dial_failed(connection, DialFailure::WrongIdentity { found: peer }, net);
            return;
        }
        let Some(node) = net.tally.node_of(&peer) else { return };
        self.dialling.remove(&connection);
        send(node, connection, Content::Confirm(self.place.peer), net);
        self.established(connection, peer, node, Origin::Dialled(endpoint), net);
    }

    fn established(&mut self, connection: u64, peer: PeerId, node: u32, origin: Origin, net: &mut Around) {
        let now = net.now();
        let (Origin::Dialled(remote) | Origin::Accepted(remote)) = &origin;
        if self.coupler.book().is_barred(Some(&peer), remote.ip(), now) {
            send(node, connection, Content::Close, net);
            if let Origin::Dialled(endpoint) = &origin {
                self.parts.peering.dial_failed(endpoint, DialFailure::Denied, now);
            }
            return;
        }
        self.connections.insert(connection, Connection { peer, node, has_greeted: false });
        let all = self.peers.entry(peer).or_default();
        all.push(connection);
        if all.len() == 1 {
            let link = Link { is_dialled: matches!(origin, Origin::Dialled(_)), seen_at: remote.clone() };
            let _ = self.parts.exchange.peer_connected(peer, link, now);
        } else if let Origin::Accepted(_) = origin {
            self.parts.exchange.connected_again(peer, now);
        }
        self.parts.peering.connection_established(connection, peer, origin, now);
    }

    fn closed(&mut self, connection: u64, net: &mut Around) {
        self.dial_failed(connection, DialFailure::Unreachable, net);
        let Some(Connection { peer, has_greeted, .. }) = self.connections.remove(&connection) else { return };
        let now = net.now();
        if let Some(all) = self.peers.get_mut(&peer) {
            all.retain(|other| *other != connection);
            if all.is_empty() {
                self.peers.remove(&peer);
                self.waiting.remove(&peer);
                self.asked.remove(&peer);
                self.parts.exchange.peer_disconnected(peer, net.now());
            }
        }
        self.parts.peering.connection_closed(connection, peer, now);
        if has_greeted {
            self.parts.peering.hello_failed(peer, HelloFailure::Lost, now);
        }
    }

    // what peers say

    fn heard(&mut self, peer: PeerId, connection: u64, content: Content, net: &mut Around) {
        let now = net.now();
        let is_request = matches!(content, Content::Hello(_) | Content::Goodbye(_) | Content::Ping(_));
        if is_request && self.parts.peering.request_received(peer, now) == Hearing::Ignored {
            return;
        }
        match content {
            Content::Hello(hello) => {
                let answer = self.parts.peering.hello_received(peer, *hello, now);
                self.reply(connection, Content::HelloAnswer(answer.map(Box::new)), net);
            }
            Content::HelloAnswer(answer) => {
                if let Some(greeted) = self.connections.get_mut(&connection) {
                    greeted.has_greeted = false;
                }
                match answer {
                    Some(hello) => self.parts.peering.hello_answered(peer, *hello, now),
                    None => self.parts.peering.hello_failed(peer, HelloFailure::Malformed, now),
                }
            }
            Content::Goodbye(goodbye) => {
                self.parts.peering.goodbye_received(peer, *goodbye, now);
                self.reply(connection, Content::GoodbyeHeard, net);
            }
            Content::GoodbyeHeard => self.parts.peering.goodbye_ended(peer),
            Content::GetAddr(count_max) => {
                let mut addrs = match self.parts.exchange.asked(peer, count_max, now) {
                    Asked::Cached(addrs) => addrs,
                    Asked::Refused(_) => Vec::new(),
                    Asked::Needed(audience) => {
                        let sample = self.coupler.sample_for(peer, audience, now);
                        self.parts.exchange.sampled(peer, sample, now)
                    }
                };
                addrs.retain(|addr| addr.peer != Some(peer));
                self.reply(connection, Content::Addrs(Arc::new(addrs)), net);
            }
            Content::Addrs(addrs) => {
                // What nobody asked for has no request that it could answer.
                if self.asked.remove(&peer).is_some() {
                    let taken = self.parts.exchange.answer_received(peer, addrs.to_vec(), now);
                    self.coupler.addrs_told(peer, taken.addrs, taken.may_relay, &mut self.parts, now);
                }
            }
            Content::Told(addrs) => {
                let taken = self.parts.exchange.unasked_received(peer, addrs.to_vec(), now);
                self.coupler.addrs_told(peer, taken.addrs, taken.may_relay, &mut self.parts, now);
            }
            Content::Ping(number) => self.reply(connection, Content::Pong(number), net),
            Content::Pong(number) => self.parts.peering.pong_received(peer, number, now),
            Content::GetNeighbours => {
                let neighbours = self.parts.exchange.neighbours_asked(peer, now);
                self.reply(connection, Content::Neighbours(Arc::new(neighbours)), net);
            }
            Content::Neighbours(neighbours) => {
                net.tally.neighbours_told(net.here(), &peer, &neighbours);
                self.parts.exchange.neighbours_received(peer, neighbours.to_vec(), now);
            }
            Content::DialBack(endpoint) => _ = self.parts.exchange.dial_back_asked(peer, endpoint, now),
            Content::Gossip(_) | Content::Rpc(_) => self.frame_came(peer, content, now),
            Content::Dial(_) | Content::Accept(_) | Content::Refuse | Content::Confirm(_) | Content::Close => {}
        }
    }

    fn frame_came(&mut self, peer: PeerId, content: Content, now: Timestamp) {
        let Some(slot) = self.parts.slot_of(&peer) else {
            let waiting = self.waiting.entry(peer).or_default();
            if waiting.len() < WAITING_MAX {
                waiting.push_back(content);
            }
            return;
        };
        if let Content::Rpc(message) = content {
            self.parts.rpc.message_received(slot, message, now);
        } else if let Content::Gossip(gossip::Message::Announce(announcement)) = content {
            let _ = self.parts.gossip.announcement_received(slot, *announcement, now);
        } else if let Content::Gossip(gossip::Message::Control(control)) = content {
            let _ = self.parts.gossip.control_received(slot, *control, now);
        } else if let Content::Gossip(gossip::Message::Item(item)) = content {
            let _ = match self.parts.gossip.is_known(&item.id()) {
                true => self.parts.gossip.copy_received(slot, item.id(), item.hop().clone(), now),
                false => self.parts.gossip.item_received(slot, item, now),
            };
        }
    }

    // what the engines want

    /// Carries out what the engines want until they want nothing more.
    fn settle(&mut self, net: &mut Around) {
        let now = net.now();
        loop {
            if let Some(output) = self.parts.peering_wants() {
                self.carry_out(output, net);
            } else if let Some(output) = self.parts.exchange_wants(now) {
                self.carry_out_exchange(output, net);
            } else if let Some(output) = self.parts.rpc.poll_output() {
                self.carry_out_rpc(output, net);
            } else if let Some(output) = self.parts.gossip.poll_output() {
                self.carry_out_gossip(output, net);
            } else if let Some(peer) = self.parts.admitted.pop_front() {
                for content in self.waiting.remove(&peer).unwrap_or_default() {
                    self.frame_came(peer, content, now);
                }
            } else if !self.coupler.carry_out_next(&mut self.parts, now) {
                break;
            }
        }
    }

    fn carry_out_exchange(&mut self, output: addr_exchange::Output<PeerId>, net: &mut Around) {
        use addr_exchange::Output;
        let now = net.now();
        match output {
            Output::Ask(peer) => self.ask(peer, net),
            Output::AskNeighbours(peer) => _ = self.send_to(&peer, Content::GetNeighbours, net),
            Output::AskDialBack { to, endpoint } => {
                if !self.send_to(&to, Content::DialBack(endpoint), net) {
                    self.parts.exchange.dial_back_put_off(to);
                }
            }
            Output::Push { to, audience } => {
                let sample = self.coupler.sample_for(to, audience, now);
                let addrs = self.parts.exchange.pushed(to, sample, now);
                self.send_to(&to, Content::Told(Arc::new(addrs)), net);
            }
            Output::Announce { to, addrs } => _ = self.send_to(&to, Content::Told(Arc::new(addrs)), net),
            Output::Probe { peer, endpoint } => {
                let connection = dial(&endpoint, net);
                self.coupler.order(Command::BookDialStarted(endpoint.clone()));
                self.probes.insert(connection, (peer, endpoint));
            }
            Output::Confirmed { peer, endpoint } => self.coupler.order(coupling::of_trial(peer, endpoint, true)),
            Output::Unconfirmed { peer, endpoint } => self.coupler.order(coupling::of_trial(peer, endpoint, false)),
            Output::OtherFound { endpoint, found } => {
                self.coupler.order(Command::BookWrongIdentity { endpoint, found });
            }
            Output::Unreachable(peer) => self.coupler.order(Command::Part(peer)),
            Output::Adopted(endpoint) => self.coupler.order(Command::BookOwnEndpoint(endpoint)),
            Output::Dropped(_) => {}
            Output::Conduct(peer, conduct) => self.coupler.conduct_seen(peer, conduct),
        }
    }

    fn carry_out(&mut self, output: peering::Output<u64>, net: &mut Around) {
        let now = net.now();
        match output {
            peering::Output::Dial { endpoint, peer } => self.start_dial(endpoint, peer, net),
            peering::Output::SendHello { peer, hello } => {
                let connection = self.peers.get(&peer).and_then(|all| all.first()).copied();
                if let Some(connection) = connection
                    && let Some(greeted) = self.connections.get_mut(&connection)
                {
                    greeted.has_greeted = true;
                    self.reply(connection, Content::Hello(Box::new(hello)), net);
                }
            }
            peering::Output::SendGoodbye { peer, goodbye } => {
                self.send_to(&peer, Content::Goodbye(Box::new(goodbye)), net);
            }
            peering::Output::SendPing { peer, number } => _ = self.send_to(&peer, Content::Ping(number), net),
            peering::Output::Close { connection, .. } => {
                self.reply(connection, Content::Close, net);
                self.closed(connection, net);
            }
            peering::Output::Event(event) => {
                self.coupler.peering_said(&event, &mut self.parts, now);
                if let peering::Event::PeerUp { .. } = event {
                    self.note_if_settled(net);
                    self.note_if_repaired(net);
                }
            }
        }
    }

    fn carry_out_rpc(&mut self, output: rpc::Output, net: &mut Around) {
        match output {
            rpc::Output::Send { to, message, .. } => {
                if let Some(peer) = self.parts.peer_of(to) {
                    self.send_to(&peer, Content::Rpc(message), net);
                }
            }
            rpc::Output::Event(rpc::Event::Conduct { peer, conduct }) => {
                if let Some(peer) = self.parts.peer_of(peer) {
                    self.coupler.conduct_seen(peer, conduct);
                }
            }
            // Nobody reads here who could be paused, and no application asks.
            rpc::Output::Pause { .. } | rpc::Output::Resume { .. } | rpc::Output::Event(_) => {}
        }
    }

    fn ask(&mut self, peer: PeerId, net: &mut Around) {
        let now = net.now();
        if !self.send_to(&peer, Content::GetAddr(0), net) {
            self.parts.exchange.ask_failed(peer, now);
            return;
        }
        self.asked.insert(peer, now);
        net.call_at(now.after(self.config.exchange.timeout()), Signal::AskOverdue { peer, asked: now });
    }

    fn reply(&self, connection: u64, content: Content, net: &mut Around) {
        if let Some(Connection { node, .. }) = self.connections.get(&connection) {
            send(*node, connection, content, net);
        }
    }

    /// Sends to a peer over its first connection; false if there is none.
    fn send_to(&self, peer: &PeerId, content: Content, net: &mut Around) -> bool {
        let connection = self.peers.get(peer).and_then(|all| all.first());
        connection.iter().for_each(|connection| self.reply(**connection, content.clone(), net));
        connection.is_some()
    }

    fn note_if_settled(&mut self, net: &Around) {
        if self.settled_after.is_none() {
            let honest = self.outbound().filter(|peer| net.tally.is_honest(peer)).count();
            let is_settled = honest >= repair::PEERS_WANTED || self.has_all_that_are_left(&net.tally);
            self.settled_after = is_settled.then(|| net.now().since(self.started));
        }
    }

    /// The peers that this node dialled and keeps.
    pub fn outbound(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.held(peering::SlotClass::Outbound)
    }

    /// The peers that have a slot of a class.
    pub fn held(&self, class: peering::SlotClass) -> impl Iterator<Item = PeerId> + '_ {
        self.parts.peering.peers().filter(move |view| view.class == Some(class)).map(|view| view.peer)
    }
}
