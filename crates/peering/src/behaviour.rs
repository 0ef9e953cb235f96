#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::{
    collections::{BTreeMap, VecDeque},
    task::{Context, Poll, Waker},
};

use bruit_core::{Alarm, Clock, Endpoint, Multiaddr, PeerId, Seed};
use bruit_wire::{BoundedCodec, Limited, pb};
use libp2p_core::{ConnectedPoint, Endpoint as Role, transport::PortUse};
use libp2p_request_response as request_response;
use libp2p_swarm::{
    CloseConnection, ConnectionClosed, ConnectionDenied, ConnectionId, DialError, DialFailure as SwarmDialFailure,
    ExternalAddresses, FromSwarm, ListenAddresses, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
    behaviour::ConnectionEstablished,
    dial_opts::{DialOpts, PeerCondition},
};
use request_response::{OutboundFailure, OutboundRequestId, ProtocolSupport};

use crate::{
    Config, ConfigError, Departure, DialFailure, DialOutcome, Engine, Event, Goodbye, GoodbyeReason, Hearing, Hello,
    HelloFailure, Origin, Output, PeerView, SeedStage, SlotClass, Standing, ValidConfig,
};

/// How many hellos, goodbyes and pings are under way on one connection, those of both sides; the library closes further
/// streams. 8: one of each kind and side, and two that one side has ended and the other not yet. Each of the peer's may hold half a message.
const STREAMS_PER_CONNECTION_MAX: usize = 8;

type Messages = request_response::Behaviour<BoundedCodec<pb::PeeringRequest, pb::PeeringResponse>>;

/// Peering in a swarm: speaks `/bruit/peering/<network>/1`.
///
/// Dials, greets and closes as its [`Engine`] says; that decides everything else.
pub struct Behaviour {
    engine: Engine<ConnectionId>,
    messages: Messages,
    clock: Clock,
    alarm: Alarm,
    dials: BTreeMap<ConnectionId, Endpoint>,
    pending_inbound: BTreeMap<ConnectionId, Endpoint>,
    sent: BTreeMap<OutboundRequestId, Sent>,
    listen: ListenAddresses,
    external: ExternalAddresses,
    features: Vec<String>,
    actions: VecDeque<Action>,
    waker: Option<Waker>,
}

type Action = ToSwarm<Event, THandlerInEvent<Messages>>;

enum Sent {
    Hello,
    Goodbye(pb::Goodbye),
    Ping(u64),
}

#[derive(Debug, thiserror::Error)]
#[error("no room for another inbound connection")]
struct NoRoom;

impl Behaviour {
    /// Makes a behaviour without peers for the node with this identity.
    pub fn new(config: ValidConfig, local: PeerId, seed: Seed) -> Self {
        let protocol = config.network.protocol_name("peering", 1);
        let codec = BoundedCodec::new(pb::PeeringRequest::LIMITS.bytes_max, pb::PeeringResponse::LIMITS.bytes_max);
        let settings = request_response::Config::default()
            .with_request_timeout(config.config.hello_timeout)
            .with_max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
        Self {
            messages: Messages::with_codec(codec, [(protocol, ProtocolSupport::Full)], settings),
            engine: Engine::new(config, local, seed),
            clock: Clock::start(),
            alarm: Alarm::default(),
            dials: BTreeMap::new(),
            pending_inbound: BTreeMap::new(),
            sent: BTreeMap::new(),
            listen: ListenAddresses::default(),
            external: ExternalAddresses::default(),
            features: Vec::new(),
            actions: VecDeque::new(),
            waker: None,
        }
    }

    /// What is read only: slots, peers, dials, departures.
    pub const fn engine(&self) -> &Engine<ConnectionId> {
        &self.engine
    }

    /// All connected peers.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> + '_ {
        self.engine.peers()
    }

    /// How many slots of a class are taken.
    pub fn held(&self, class: SlotClass) -> usize {
        self.engine.held(class)
    }

    /// Who left and why, oldest first.
    pub fn departures(&self) -> impl Iterator<Item = &Departure> {
        self.engine.departures()
    }

    /// What hellos say that this node can do.
    pub fn set_features(&mut self, features: Vec<String>) {
        self.features = features;
        self.present();
    }

    /// Names an address to start from.
    pub fn add_seed(&mut self, endpoint: Endpoint, peer: Option<PeerId>) -> bool {
        self.tell(|engine, now| engine.add_seed(endpoint, peer, now))
    }

    /// Says that a source of seed addresses has none.
    pub fn seeds_lacking(&mut self, stage: SeedStage) {
        self.tell(|engine, _| engine.seeds_lacking(stage));
    }

    /// Says that the operator has given a source of seed addresses some, or others.
    pub fn seeds_given(&mut self, stage: SeedStage) {
        self.tell(|engine, now| engine.seeds_given(stage, now));
    }

    /// Says that a peer has told what it knows.
    pub fn addresses_told(&mut self, peer: PeerId) {
        self.tell(|engine, _| engine.addresses_told(peer));
    }

    /// Names a peer to be connected to for ever.
    pub fn add_node(&mut self, endpoint: Endpoint, peer: Option<PeerId>) -> bool {
        self.tell(|engine, now| engine.add_node(endpoint, peer, now))
    }

    /// Takes a manual peer off the list.
    pub fn remove_node(&mut self, endpoint: &Endpoint) -> bool {
        self.tell(|engine, _| engine.remove_node(endpoint))
    }

    /// Proposes a peer to dial, as an answer to [`Event::CandidatesWanted`].
    pub fn dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing) -> DialOutcome {
        self.tell(|engine, now| engine.dial(endpoint, peer, standing, now))
    }

    /// Dials a peer that was outbound before the last stop.
    pub fn dial_anchor(&mut self, endpoint: Endpoint, peer: PeerId) -> DialOutcome {
        self.tell(|engine, now| engine.dial_anchor(endpoint, peer, now))
    }

    /// Dials only to see whether a peer is there, as an answer to [`Event::FeelerWanted`].
    pub fn visit(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing) -> DialOutcome {
        self.tell(|engine, now| engine.visit(endpoint, peer, standing, now))
    }

    /// Says that a peer was the first to deliver something: what protects its slot.
    pub fn delivered_first(&mut self, peer: &PeerId) {
        self.engine.delivered_first(peer, self.clock.now());
    }

    /// Changes the settings while peers are connected.
    ///
    /// # Errors
    /// The settings cannot work; nothing has changed.
    pub fn reconfigure(&mut self, config: Config) -> Result<(), ConfigError> {
        self.tell(|engine, now| engine.reconfigure(config, now))
    }

    /// Says that there are fewer candidates than wanted.
    pub fn candidates_exhausted(&mut self) {
        self.tell(|engine, now| engine.candidates_exhausted(now));
    }

    /// Says that new addresses are known.
    pub fn addresses_learned(&mut self) {
        self.tell(|engine, now| engine.addresses_learned(now));
    }

    /// Says goodbye to a peer; false if it is not connected.
    pub fn say_goodbye(&mut self, peer: PeerId, reason: GoodbyeReason) -> bool {
        self.tell(|engine, now| engine.say_goodbye(peer, reason, now))
    }

    /// Says goodbye to everybody and dials nobody any more.
    pub fn stop(&mut self) {
        self.tell(|engine, now| engine.stop(now));
    }

    fn tell<T>(&mut self, change: impl FnOnce(&mut Engine<ConnectionId>, bruit_core::Timestamp) -> T) -> T {
        let result = change(&mut self.engine, self.clock.now());
        self.carry_out();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        result
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Dial { endpoint, peer } => self.start_dial(endpoint, peer),
                Output::SendHello { peer, hello } => {
                    let kind = pb::peering_request::Kind::Hello(hello.into_wire());
                    self.send(peer, kind, Sent::Hello);
                }
                Output::SendGoodbye { peer, goodbye } => {
                    self.send_goodbye(peer, goodbye.into_wire());
                }
                Output::SendPing { peer, number } => {
                    self.send(peer, pb::peering_request::Kind::Ping(pb::Ping {}), Sent::Ping(number));
                }
                Output::Close { peer, connection } => self.actions.push_back(ToSwarm::CloseConnection {
                    peer_id: peer,
                    connection: CloseConnection::One(connection),
                }),
                Output::Event(event) => self.actions.push_back(ToSwarm::GenerateEvent(event)),
            }
        }
    }

    fn send_goodbye(&mut self, peer: PeerId, goodbye: pb::Goodbye) {
        let kind = pb::peering_request::Kind::Goodbye(goodbye.clone());
        self.send(peer, kind, Sent::Goodbye(goodbye));
    }

    fn send(&mut self, peer: PeerId, kind: pb::peering_request::Kind, what: Sent) {
        let request = self.messages.send_request(&peer, Ok(pb::PeeringRequest { kind: Some(kind) }));
        self.sent.insert(request, what);
    }

    fn start_dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>) {
        let addr = endpoint.to_multiaddr();
        let opts = match peer {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![addr])
                .build(),
            None => DialOpts::unknown_peer_id().address(addr).build(),
        };
        self.dials.insert(opts.connection_id(), endpoint);
        self.actions.push_back(ToSwarm::Dial { opts });
    }

    fn present(&mut self) {
        // A hello names few: where this node listens is known better than where others say that it can be reached.
        let addrs = self.listen.iter().chain(self.external.iter());
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for (endpoint, _) in addrs.filter_map(|addr| Endpoint::from_multiaddr(addr).ok()) {
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
        self.engine.presented(endpoints, self.features.clone());
    }

    fn on_established(&mut self, event: &ConnectionEstablished<'_>) {
        self.pending_inbound.remove(&event.connection_id);
        let origin = match event.endpoint {
            ConnectedPoint::Dialer { address, .. } => {
                Origin::Dialled(self.dials.remove(&event.connection_id).unwrap_or_else(|| endpoint_of(address)))
            }
            ConnectedPoint::Listener { send_back_addr, .. } => Origin::Accepted(endpoint_of(send_back_addr)),
        };
        self.engine.connection_established(event.connection_id, event.peer_id, origin, self.clock.now());
    }

    fn on_dial_failure(&mut self, event: &SwarmDialFailure<'_>) {
        let Some(endpoint) = self.dials.remove(&event.connection_id) else { return };
        let reason = match event.error {
            DialError::LocalPeerId { .. } => DialFailure::OwnAddress,
            DialError::WrongPeerId { obtained, .. } => DialFailure::WrongIdentity { found: *obtained },
            DialError::Denied { .. } | DialError::DialPeerConditionFalse(_) | DialError::Aborted => DialFailure::Denied,
            _ => DialFailure::Unreachable,
        };
        self.engine.dial_failed(&endpoint, reason, self.clock.now());
    }

    fn on_message(&mut self, event: <Messages as NetworkBehaviour>::ToSwarm) {
        use request_response::{Event as Messages, Message};
        let now = self.clock.now();
        match event {
            Messages::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                if self.engine.request_received(peer, now) == Hearing::Ignored {
                    return;
                }
                let hello = match request.map(|request| request.kind) {
                    Ok(Some(pb::peering_request::Kind::Hello(hello))) => {
                        self.engine.hello_received(peer, Hello::from_wire(hello), now)
                    }
                    Ok(Some(pb::peering_request::Kind::Goodbye(goodbye))) => {
                        self.engine.goodbye_received(peer, Goodbye::from_wire(goodbye), now);
                        None
                    }
                    // A later version may have more kinds.
                    Ok(Some(pb::peering_request::Kind::Ping(_)) | None) => None,
                    Err(_) => {
                        self.engine.malformed_received(peer, now);
                        None
                    }
                };
                let response = pb::PeeringResponse { hello: hello.map(Hello::into_wire) };
                // A peer that closed its stream meanwhile will say so by itself.
                let _ = self.messages.send_response(channel, Ok(response));
            }
            Messages::Message { peer, message: Message::Response { request_id, response }, .. } => {
                match (self.sent.remove(&request_id), response.ok().and_then(|response| response.hello)) {
                    (Some(Sent::Hello), Some(hello)) => {
                        self.engine.hello_answered(peer, Hello::from_wire(hello), now);
                    }
                    (Some(Sent::Hello), None) => self.engine.hello_failed(peer, HelloFailure::Malformed, now),
                    (Some(Sent::Goodbye(_)), _) => self.engine.goodbye_ended(peer),
                    (Some(Sent::Ping(number)), _) => self.engine.pong_received(peer, number, now),
                    (None, _) => {}
                }
            }
            Messages::OutboundFailure { peer, request_id, error, .. } => match self.sent.remove(&request_id) {
                Some(Sent::Hello) => self.engine.hello_failed(peer, hello_failure(&error), now),
                // It left on a connection that was only a visit: there is another one to say it on.
                Some(Sent::Goodbye(goodbye))
                    if matches!(error, OutboundFailure::ConnectionClosed) && self.messages.is_connected(&peer) =>
                {
                    self.send_goodbye(peer, goodbye);
                }
                Some(Sent::Goodbye(_)) => self.engine.goodbye_ended(peer),
                // The engine has a deadline of its own for pings.
                Some(Sent::Ping(_)) | None => {}
            },
            Messages::InboundFailure { .. } | Messages::ResponseSent { .. } => {}
        }
    }
}

fn endpoint_of(addr: &Multiaddr) -> Endpoint {
    Endpoint::from_multiaddr(addr).map_or_else(|_| Endpoint::Other(addr.clone()), |(endpoint, _)| endpoint)
}

const fn hello_failure(error: &OutboundFailure) -> HelloFailure {
    match error {
        OutboundFailure::UnsupportedProtocols => HelloFailure::Unsupported,
        OutboundFailure::Timeout => HelloFailure::TimedOut,
        OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed | OutboundFailure::Io(_) => HelloFailure::Lost,
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<Messages>;
    type ToSwarm = Event;

    fn handle_pending_inbound_connection(
        &mut self,
        connection_id: ConnectionId,
        _: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let from = endpoint_of(remote_addr);
        if !self.engine.accepts_inbound(&from, self.pending_inbound.values()) {
            return Err(ConnectionDenied::new(NoRoom));
        }
        self.pending_inbound.insert(connection_id, from);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection_id: ConnectionId,
        peer: PeerId,
        local_addr: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let others = self.pending_inbound.iter().filter(|(id, _)| **id != connection_id).map(|(_, from)| from);
        if !self.engine.accepts_peer(&peer, &endpoint_of(remote_addr), others) {
            return Err(ConnectionDenied::new(NoRoom));
        }
        self.messages.handle_established_inbound_connection(connection_id, peer, local_addr, remote_addr)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection_id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Role,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.messages.handle_established_outbound_connection(connection_id, peer, addr, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let addrs_changed = self.listen.on_swarm_event(&event) | self.external.on_swarm_event(&event);
        if addrs_changed {
            self.present();
        }
        self.messages.on_swarm_event(event);
        match event {
            FromSwarm::ConnectionEstablished(event) => self.on_established(&event),
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, connection_id, .. }) => {
                self.engine.connection_closed(connection_id, peer_id, self.clock.now());
            }
            FromSwarm::DialFailure(event) => self.on_dial_failure(&event),
            FromSwarm::ListenFailure(event) => {
                self.pending_inbound.remove(&event.connection_id);
            }
            _ => {}
        }
        self.carry_out();
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection_id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.messages.on_connection_handler_event(peer, connection_id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Poll::Ready(action);
            }
            if let Poll::Ready(action) = self.messages.poll(cx) {
                match action {
                    ToSwarm::GenerateEvent(event) => self.on_message(event),
                    other => return Poll::Ready(other.map_out(|_| unreachable!("events are taken above"))),
                }
                self.carry_out();
                continue;
            }
            let now = self.clock.now();
            if self.alarm.poll_until(cx, self.engine.next_timeout(), now).is_ready() {
                self.engine.handle_timeout(self.clock.now());
                self.carry_out();
                continue;
            }
            self.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
    }
}
