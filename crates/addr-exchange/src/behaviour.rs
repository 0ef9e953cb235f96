#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

mod messages;

use std::{
    collections::{BTreeMap, VecDeque},
    task::{Context, Poll, Waker},
};

use bruit_core::{Alarm, Clock, Endpoint, NetworkId, PeerId, Seed};
use bruit_wire::{BoundedCodec, Limited, UnreadableError, pb};
use libp2p_core::{ConnectedPoint, Multiaddr, transport::PortUse};
use libp2p_identity::Keypair;
use libp2p_request_response::{self as request_response, OutboundRequestId, ProtocolSupport};
use libp2p_swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, DialError, FromSwarm, ListenAddresses, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
    behaviour::ConnectionEstablished,
    dial_opts::{DialOpts, PeerCondition},
};

use crate::{Ask, BookSize, Event, Exchange, Link, Output, OwnView, PeerAddr, PeerHello, Request, ValidConfig};

type Codec = BoundedCodec<pb::ExchangeRequest, pb::ExchangeResponse>;
type Inner = request_response::Behaviour<Codec>;
type Channel = request_response::ResponseChannel<Result<pb::ExchangeResponse, UnreadableError>>;
type Action = ToSwarm<Event, THandlerInEvent<Inner>>;

/// How many exchanges are under way on one connection, those of both sides; the library closes further
/// streams. 8: three of each side, and two that one side has ended and the other not yet. Each of the peer's may hold half a request,
/// each of this node's half an answer.
const STREAMS_PER_CONNECTION_MAX: usize = 8;
/// How many exchanges this node has under way with one peer; one more where it asks for addresses. 2: addresses that are told, and one
/// of neighbours and a dial back.
const EXCHANGES_MAX: usize = 2;

/// A peer's request that waits for [`Behaviour::answer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// Why a peer cannot be asked or told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It is not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// It has not taken earlier messages yet.
    #[error("the peer has not taken earlier messages yet")]
    Busy,
}

/// The address exchange in a swarm. It dials nobody but connected peers, on a fresh connection that it closes again, to try
/// where they say they listen.
pub struct Behaviour {
    inner: Inner,
    exchange: Exchange<PeerId>,
    config: ValidConfig,
    clock: Clock,
    alarm: Alarm,
    actions: VecDeque<Action>,
    requests: BTreeMap<RequestId, (PeerId, Channel)>,
    next_request: u64,
    sent: BTreeMap<OutboundRequestId, (PeerId, Sent)>,
    /// What peers are told as soon as they have taken what they were told before: of each as much as one message holds.
    waiting: BTreeMap<PeerId, Vec<PeerAddr>>,
    probes: BTreeMap<ConnectionId, (PeerId, Endpoint)>,
    listens: ListenAddresses,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    GetAddr,
    Addr,
    GetNeighbours,
    DialBack,
}

impl Behaviour {
    /// Makes the exchange of a network.
    pub fn new(network: &NetworkId, config: ValidConfig, seed: Seed) -> Self {
        let protocol = (network.protocol_name("addr", 1), ProtocolSupport::Full);
        let limits = request_response::Config::default()
            .with_request_timeout(config.timeout())
            .with_max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
        Self {
            inner: Inner::with_codec(
                Codec::new(pb::ExchangeRequest::LIMITS.bytes_max, pb::ExchangeResponse::LIMITS.bytes_max),
                [protocol],
                limits,
            ),
            exchange: Exchange::new(config.clone(), seed),
            config,
            clock: Clock::start(),
            alarm: Alarm::default(),
            actions: VecDeque::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            sent: BTreeMap::new(),
            waiting: BTreeMap::new(),
            probes: BTreeMap::new(),
            listens: ListenAddresses::default(),
            waker: None,
        }
    }

    /// What is read only: own addresses and their witnesses, neighbours, records.
    pub const fn exchange(&self) -> &Exchange<PeerId> {
        &self.exchange
    }

    /// Tells who this node is.
    pub fn own_peer(&mut self, peer: PeerId) {
        self.exchange.own_peer(peer);
    }

    /// Gives the key with which own addresses are signed from now on.
    pub fn sign_as(&mut self, key: Keypair) {
        self.exchange.sign_as(key);
    }

    /// Serves a peer from now on, where the owner admits.
    pub fn admit(&mut self, peer: &PeerId) {
        self.exchange.peer_admitted(*peer, self.clock.now());
        self.wake();
    }

    /// Serves a peer no longer.
    pub fn dismiss(&mut self, peer: &PeerId) {
        self.exchange.peer_dismissed(*peer);
        self.waiting.remove(peer);
    }

    /// Never names a peer to others.
    pub fn hide(&mut self, peer: &PeerId) {
        self.exchange.peer_hidden(*peer);
    }

    /// Tells what a peer's hello says about places.
    pub fn hello_received(&mut self, peer: &PeerId, hello: PeerHello) {
        self.exchange.hello_received(*peer, Some(*peer), hello, self.clock.now());
        self.wake();
    }

    /// Asks a peer for addresses, now or when it may be asked again; a request that is under way counts.
    pub fn ask(&mut self, peer: &PeerId) -> Result<(), AskError> {
        match self.exchange.ask(*peer, self.clock.now()) {
            Ask::NotConnected => return Err(AskError::NotConnected),
            Ask::Now | Ask::At(_) | Ask::UnderWay => {}
        }
        self.wake();
        Ok(())
    }

    /// Tells a peer addresses unasked: at most [`addrs_per_announcement_max`](crate::Config::addrs_per_announcement_max), the
    /// first ones. While it has not taken earlier ones, they wait, together as many as one message names.
    pub fn announce(&mut self, peer: &PeerId, mut addrs: Vec<PeerAddr>) -> Result<(), AskError> {
        let addrs_max = self.config.settings().addrs_per_announcement_max;
        addrs.truncate(addrs_max);
        if !self.sent.values().any(|sent| *sent == (*peer, Sent::Addr)) {
            return self.tell(peer, addrs);
        }
        let waiting = self.waiting.entry(*peer).or_default();
        if waiting.len().saturating_add(addrs.len()) > addrs_max {
            return Err(AskError::Busy);
        }
        waiting.extend(addrs);
        Ok(())
    }

    /// Tells a peer what has waited until it had taken earlier addresses.
    fn tell_waiting(&mut self, peer: &PeerId) {
        if let Some(addrs) = self.waiting.remove(peer) {
            // A peer that is busy or gone hears of them from others.
            self.tell(peer, addrs).unwrap_or_default();
        }
    }

    /// Sends what a push needs, as an answer to [`Event::PushWanted`].
    pub fn push(&mut self, peer: &PeerId, sample: Vec<PeerAddr>) -> Result<(), AskError> {
        let mut addrs = self.exchange.pushed(*peer, sample, self.clock.now());
        addrs.retain(|addr| addr.peer != Some(*peer));
        if addrs.is_empty() { Ok(()) } else { self.tell(peer, addrs) }
    }

    fn tell(&mut self, peer: &PeerId, addrs: Vec<PeerAddr>) -> Result<(), AskError> {
        if !self.inner.is_connected(peer) {
            return Err(AskError::NotConnected);
        }
        if self.sent.values().filter(|(to, _)| to == peer).count() >= EXCHANGES_MAX {
            return Err(AskError::Busy);
        }
        self.send(peer, &Request::Addr(addrs), Sent::Addr);
        self.wake();
        Ok(())
    }

    /// Passes on what a peer told unasked and was new, in the owner's eyes tellable.
    pub fn relay(&mut self, from: &PeerId, addrs: Vec<PeerAddr>) {
        self.exchange.relay(*from, addrs, self.clock.now());
        self.wake();
    }

    /// Answers a request; the sample may become the answer for others of the same audience. Too late is no error.
    pub fn answer(&mut self, request: RequestId, sample: Vec<PeerAddr>) {
        let Some((peer, channel)) = self.requests.remove(&request) else { return };
        let addrs = self.exchange.sampled(peer, sample, self.clock.now());
        self.respond(peer, channel, addrs);
    }

    /// Tells whether more addresses are wanted; while not, nobody is asked a second time.
    pub fn more_wanted(&mut self, is_more_wanted: bool) {
        self.exchange.more_wanted(is_more_wanted);
        self.wake();
    }

    /// Forgets the answers that are kept: they may name somebody who is to be named no longer.
    pub fn forget_answers(&mut self) {
        self.exchange.forget_answers();
    }

    /// Tells how much the owner's address book holds: a cached answer is dropped when the book, or what of it was reached, has
    /// doubled.
    pub fn book_counted(&mut self, book: BookSize) {
        self.exchange.book_counted(book);
    }

    /// Own endpoints that peers see, and who they are.
    pub fn own_views(&self) -> Vec<OwnView<PeerId>> {
        self.exchange.own_views()
    }

    fn carry_out(&mut self, output: Output<PeerId>) {
        match output {
            Output::Ask(peer) if self.inner.is_connected(&peer) => {
                self.send(&peer, &Request::GetAddr { count_max: 0 }, Sent::GetAddr);
            }
            Output::Ask(peer) => self.exchange.ask_failed(peer, self.clock.now()),
            Output::AskNeighbours(peer) => {
                // A peer that is busy is asked the next time.
                let _ = self.send_if_idle(&peer, &Request::GetNeighbours, Sent::GetNeighbours);
            }
            Output::AskDialBack { to, endpoint } => {
                if !self.send_if_idle(&to, &Request::DialBack(endpoint), Sent::DialBack) {
                    self.exchange.dial_back_put_off(to);
                }
            }
            Output::Push { to, audience } => self.say(Event::PushWanted { peer: to, audience }),
            // A peer that is busy or gone hears of them from others.
            Output::Announce { to, addrs } => self.announce(&to, addrs).unwrap_or_default(),
            Output::Probe { peer, endpoint } => self.probe(peer, endpoint),
            Output::Confirmed { peer, endpoint } => self.say(Event::Confirmed { peer, endpoint }),
            Output::Unconfirmed { peer, endpoint } => self.say(Event::Unconfirmed { peer, endpoint }),
            Output::OtherFound { endpoint, found } => self.say(Event::OtherFound { endpoint, found }),
            Output::Unreachable(peer) => self.say(Event::Unreachable { peer }),
            Output::Adopted(endpoint) => {
                self.actions.push_back(ToSwarm::ExternalAddrConfirmed(endpoint.to_multiaddr()));
                self.say(Event::OwnAdopted { endpoint });
            }
            Output::Dropped(endpoint) => {
                self.actions.push_back(ToSwarm::ExternalAddrExpired(endpoint.to_multiaddr()));
                self.say(Event::OwnDropped { endpoint });
            }
            Output::Conduct(peer, conduct) => self.say(Event::Conduct { peer, conduct }),
        }
    }

    fn probe(&mut self, peer: PeerId, endpoint: Endpoint) {
        let opts = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(vec![endpoint.to_multiaddr()])
            .allocate_new_port()
            .build();
        self.probes.insert(opts.connection_id(), (peer, endpoint.clone()));
        self.actions.push_back(ToSwarm::Dial { opts });
        self.say(Event::ProbeStarted { endpoint });
    }

    fn on_established(&mut self, event: &ConnectionEstablished<'_>) {
        let (peer, now) = (event.peer_id, self.clock.now());
        if let Some((wanted, endpoint)) = self.probes.remove(&event.connection_id) {
            self.exchange.probe_ended(wanted, &endpoint, true, now);
            let connection = CloseConnection::One(event.connection_id);
            self.actions.push_back(ToSwarm::CloseConnection { peer_id: peer, connection });
        } else if event.other_established == 0 {
            self.exchange.peer_connected(peer, link(event.endpoint), now);
        } else if event.endpoint.is_listener() {
            self.exchange.connected_again(peer, now);
        }
    }

    fn say(&mut self, event: Event) {
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<Inner>;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: libp2p_core::Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(id, peer, addr, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if self.listens.on_swarm_event(&event) {
            let listens = self.listens.iter().filter_map(|addr| Endpoint::from_multiaddr(addr).ok());
            self.exchange.own_listens(listens.map(|(endpoint, _)| endpoint).collect());
        }
        match &event {
            FromSwarm::ConnectionEstablished(established) => self.on_established(established),
            FromSwarm::ConnectionClosed(closed) if closed.remaining_established == 0 => {
                self.exchange.peer_disconnected(closed.peer_id, self.clock.now());
                self.requests.retain(|_, (asker, _)| *asker != closed.peer_id);
                self.waiting.remove(&closed.peer_id);
            }
            FromSwarm::DialFailure(failure) => {
                if let Some((peer, endpoint)) = self.probes.remove(&failure.connection_id) {
                    let now = self.clock.now();
                    match failure.error {
                        DialError::WrongPeerId { obtained, .. } => {
                            self.exchange.probe_met(peer, &endpoint, *obtained, now);
                        }
                        _ => self.exchange.probe_ended(peer, &endpoint, false, now),
                    }
                }
            }
            _ => {}
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Poll::Ready(action);
            }
            if let Some(output) = self.exchange.poll_output(self.clock.now()) {
                self.carry_out(output);
                continue;
            }
            match self.inner.poll(cx) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => {
                    self.on_inner(event);
                    continue;
                }
                Poll::Ready(other) => return Poll::Ready(other.map_out(|_| unreachable!("events are taken above"))),
                Poll::Pending => {}
            }
            let now = self.clock.now();
            if self.alarm.poll_until(cx, self.exchange.next_timeout(now), now).is_pending() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }
}

fn link(point: &ConnectedPoint) -> Link {
    let addr = point.get_remote_address();
    let seen_at = Endpoint::from_multiaddr(addr).map_or_else(|_| Endpoint::Other(addr.clone()), |(seen_at, _)| seen_at);
    Link { is_dialled: point.is_dialer(), seen_at }
}
