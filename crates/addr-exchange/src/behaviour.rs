#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::{
    collections::{BTreeMap, VecDeque},
    task::{Context, Poll, Waker},
};

use bruit_core::{Alarm, Audience, Clock, Conduct, Endpoint, NetworkId, PeerId, Seed};
use bruit_wire::{BoundedCodec, FRAME_MAX, UnreadableError, pb};
use libp2p_core::{ConnectedPoint, Multiaddr, transport::PortUse};
use libp2p_request_response::{self as request_response, OutboundFailure, OutboundRequestId, ProtocolSupport};
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};

use crate::{
    Asked, Event, Exchange, FailReason, Link, PeerAddr, Read, Request, ValidConfig, answer_from_wire, answer_to_wire,
    request_from_wire, request_to_wire,
};

type Codec = BoundedCodec<pb::ExchangeRequest, pb::ExchangeResponse>;
type Inner = request_response::Behaviour<Codec>;
type Channel = request_response::ResponseChannel<Result<pb::ExchangeResponse, UnreadableError>>;
type Message = request_response::Message<
    Result<pb::ExchangeRequest, UnreadableError>,
    Result<pb::ExchangeResponse, UnreadableError>,
>;

const STREAMS_PER_CONNECTION_MAX: usize = 16;
/// How many exchanges this node has under way with one peer; the rest of the streams is the peer's.
const EXCHANGES_MAX: usize = 8;

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
    #[error("the peer has {EXCHANGES_MAX} exchanges under way")]
    Busy,
}

/// The address exchange in a swarm. It dials nobody.
pub struct Behaviour {
    inner: Inner,
    exchange: Exchange<PeerId>,
    config: ValidConfig,
    clock: Clock,
    alarm: Alarm,
    events: VecDeque<Event>,
    requests: BTreeMap<RequestId, (PeerId, Channel)>,
    next_request: u64,
    sent: BTreeMap<OutboundRequestId, (PeerId, Sent)>,
    waker: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Sent {
    GetAddr,
    Addr,
}

impl Behaviour {
    /// Makes the exchange of a network.
    pub fn new(network: &NetworkId, config: ValidConfig, seed: Seed) -> Self {
        let protocol = (network.protocol_name("addr", 1), ProtocolSupport::Full);
        let limits = request_response::Config::default()
            .with_request_timeout(config.timeout())
            .with_max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
        Self {
            inner: Inner::with_codec(Codec::new(FRAME_MAX, FRAME_MAX), [protocol], limits),
            exchange: Exchange::new(config.clone(), seed),
            config,
            clock: Clock::start(),
            alarm: Alarm::default(),
            events: VecDeque::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            sent: BTreeMap::new(),
            waker: None,
        }
    }

    /// Serves a peer from now on, where the owner admits.
    pub fn admit(&mut self, peer: &PeerId) {
        self.exchange.peer_admitted(*peer, self.clock.now());
        self.wake();
    }

    /// Serves a peer no longer.
    pub fn dismiss(&mut self, peer: &PeerId) {
        self.exchange.peer_dismissed(*peer);
    }

    /// Asks a peer for addresses; a request that is under way counts.
    pub fn ask(&mut self, peer: &PeerId) -> Result<(), AskError> {
        if !self.exchange.ask(*peer, self.clock.now()) {
            return Err(AskError::NotConnected);
        }
        self.wake();
        Ok(())
    }

    /// Tells a peer addresses unasked: at most [`addrs_per_announcement_max`](crate::Config::addrs_per_announcement_max), the
    /// first ones.
    pub fn announce(&mut self, peer: &PeerId, mut addrs: Vec<PeerAddr>) -> Result<(), AskError> {
        if !self.inner.is_connected(peer) {
            return Err(AskError::NotConnected);
        }
        if self.sent.values().filter(|(to, _)| to == peer).count() >= EXCHANGES_MAX {
            return Err(AskError::Busy);
        }
        addrs.truncate(self.config.settings().addrs_per_announcement_max);
        self.send(peer, &Request::Addr(addrs), Sent::Addr);
        self.wake();
        Ok(())
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

    /// Tells how many entries the owner's address book has: a cached answer is dropped when the book has doubled.
    pub fn book_counted(&mut self, entries: usize) {
        self.exchange.book_counted(entries);
    }

    fn send(&mut self, peer: &PeerId, request: &Request, sent: Sent) {
        let id = self.inner.send_request(peer, Ok(request_to_wire(request)));
        self.sent.insert(id, (*peer, sent));
    }

    fn respond(&mut self, asker: PeerId, channel: Channel, mut addrs: Vec<PeerAddr>) {
        addrs.retain(|addr| addr.peer != Some(asker));
        // A closed channel means that the peer is gone or no longer waits.
        let _ = self.inner.send_response(channel, Ok(answer_to_wire(&addrs)));
        self.wake();
    }

    fn on_inner(
        &mut self,
        event: request_response::Event<
            Result<pb::ExchangeRequest, UnreadableError>,
            Result<pb::ExchangeResponse, UnreadableError>,
        >,
    ) {
        match event {
            request_response::Event::Message { peer, message, .. } => self.on_message(peer, message),
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                self.on_failure(peer, request_id, &error);
            }
            request_response::Event::InboundFailure { .. } => {
                self.requests.retain(|_, (asker, channel)| {
                    if !channel.is_open() {
                        self.exchange.request_ended(*asker);
                    }
                    channel.is_open()
                });
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn on_message(&mut self, peer: PeerId, message: Message) {
        match message {
            Message::Request { request: Ok(request), channel, .. } => self.on_request(peer, request, channel),
            Message::Request { request: Err(_), channel, .. } => {
                self.conduct(peer, Conduct::BrokeProtocol);
                self.respond(peer, channel, Vec::new());
            }
            Message::Response { request_id, response } => {
                match (self.sent.remove(&request_id).map(|(_, sent)| sent), response) {
                    (Some(Sent::GetAddr), Ok(answer)) => {
                        let Read { value, nonsense } = answer_from_wire(answer);
                        let taken = self.exchange.answer_received(peer, value, self.clock.now());
                        let dropped = taken.dropped.saturating_add(nonsense);
                        self.events.push_back(Event::Received { peer, addrs: taken.addrs, asked: true, dropped });
                    }
                    (Some(sent), Err(_)) => {
                        self.conduct(peer, Conduct::BrokeProtocol);
                        self.failed(peer, sent, FailReason::Unreadable);
                    }
                    (Some(Sent::Addr) | None, _) => {}
                }
            }
        }
    }

    fn on_request(&mut self, peer: PeerId, request: pb::ExchangeRequest, channel: Channel) {
        let now = self.clock.now();
        match request_from_wire(request) {
            Some(Read { value: Request::GetAddr { count_max }, .. }) => {
                match self.exchange.asked(peer, count_max, now) {
                    Asked::Cached(addrs) => self.respond(peer, channel, addrs),
                    Asked::Refused(_) => self.respond(peer, channel, Vec::new()),
                    Asked::Needed(audience) => {
                        let request = RequestId(self.next_request);
                        self.next_request = self.next_request.wrapping_add(1);
                        self.requests.insert(request, (peer, channel));
                        self.events.push_back(Event::Asked { peer, request, audience });
                    }
                }
            }
            Some(Read { value: Request::Addr(addrs), nonsense }) => {
                let taken = self.exchange.unasked_received(peer, addrs, now);
                let dropped = taken.dropped.saturating_add(nonsense);
                self.events.push_back(Event::Received { peer, addrs: taken.addrs, asked: false, dropped });
                self.respond(peer, channel, Vec::new());
            }
            None => self.respond(peer, channel, Vec::new()),
        }
    }

    fn on_failure(&mut self, peer: PeerId, request: OutboundRequestId, error: &OutboundFailure) {
        let Some((_, sent)) = self.sent.remove(&request) else { return };
        let reason = match error {
            OutboundFailure::Timeout => FailReason::TimedOut,
            OutboundFailure::UnsupportedProtocols => FailReason::Unsupported,
            OutboundFailure::Io(_) => FailReason::Stream,
            OutboundFailure::ConnectionClosed | OutboundFailure::DialFailure => FailReason::Disconnected,
        };
        if reason == FailReason::TimedOut {
            self.conduct(peer, Conduct::TimedOut);
        }
        self.failed(peer, sent, reason);
    }

    fn failed(&mut self, peer: PeerId, sent: Sent, reason: FailReason) {
        match sent {
            Sent::GetAddr => {
                self.exchange.ask_failed(peer, self.clock.now());
                self.events.push_back(Event::AskFailed { peer, reason });
            }
            Sent::Addr => self.events.push_back(Event::AnnounceFailed { peer, reason }),
        }
    }

    fn conduct(&mut self, peer: PeerId, conduct: Conduct) {
        self.events.push_back(Event::Conduct { peer, conduct });
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
        match &event {
            FromSwarm::ConnectionEstablished(established) if established.other_established == 0 => {
                let link = link(established.endpoint);
                self.exchange.peer_connected(established.peer_id, link, self.clock.now());
            }
            FromSwarm::ConnectionClosed(closed) if closed.remaining_established == 0 => {
                self.exchange.peer_disconnected(closed.peer_id);
                self.requests.retain(|_, (asker, _)| *asker != closed.peer_id);
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
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            while let Some(peer) = self.exchange.poll_ask(self.clock.now()) {
                if self.inner.is_connected(&peer) {
                    self.send(&peer, &Request::GetAddr { count_max: 0 }, Sent::GetAddr);
                } else {
                    self.exchange.ask_failed(peer, self.clock.now());
                }
            }
            match self.inner.poll(cx) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => {
                    self.on_inner(event);
                    continue;
                }
                Poll::Ready(other) => return Poll::Ready(other.map_out(|_| unreachable!("events are taken above"))),
                Poll::Pending => {}
            }
            if self.alarm.poll_until(cx, self.exchange.next_timeout(), self.clock.now()).is_pending() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }
}

fn link(point: &ConnectedPoint) -> Link {
    let seen_at = Endpoint::from_multiaddr(point.get_remote_address());
    let audience = seen_at.map_or(Audience::Internet, |(endpoint, _)| Audience::of(&endpoint));
    Link { is_dialled: point.is_dialer(), audience }
}
