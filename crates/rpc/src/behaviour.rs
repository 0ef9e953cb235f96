//! The rules in a swarm: callbacks become facts, outputs become frames and events. It decides nothing.
#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    task::{Context, Poll, Waker},
};

use bruit_core::{Alarm, Clock, Conduct, NetworkId, PeerId, Seed, Slot, Timestamp};
use bruit_link::{Admission, Frame, Links, Priority, Protocol, Push};
use bytes::Bytes;
use libp2p_core::{Endpoint, Multiaddr, transport::PortUse};
use libp2p_swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerSelect, ConnectionId, FromSwarm, NetworkBehaviour,
    StreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, derive_prelude::Either,
};

use crate::{
    config::ValidConfig,
    engine::{Engine, Output},
    event::Event,
    message::{Lane, Refusal, RpcMessage},
    method::MethodName,
};

mod commands;
mod foreign;
mod names;

use foreign::{Exchange, Foreign, ForeignEvent, Responded};
use names::Names;

/// Direct, global and one-way calls between the peers of a swarm.
///
/// It keeps no connection alive by itself: see [`set_keep_alive`](Self::set_keep_alive).
pub struct Behaviour {
    engine: Engine,
    links: Links,
    foreign: Foreign,
    names: Names,
    clock: Clock,
    alarm: Alarm,
    events: VecDeque<Event<PeerId>>,
    waker: Option<Waker>,
    inline: BTreeMap<MethodName, Inline>,
    admission: Admission,
    /// How many events were given out since the swarm's task last had a pause.
    in_a_row: u32,
    /// Peers whose links may come up.
    arriving: BTreeSet<PeerId>,
}

/// What answers a method at once.
type Inline = Box<dyn FnMut(PeerId, Bytes) -> Result<Bytes, Refusal> + Send>;

/// A list of methods that waits to be sent is replaced by a newer one.
const METHODS_KEY: u64 = 0;
const LANES: u32 = 2;
/// After so many events the swarm's task has a pause: connections write what there is while the rest is worked off, so that
/// both ends of a busy link have something to do.
const IN_A_ROW_MAX: u32 = 32;
/// How much of what waits for a peer is kept for small frames: an eighth, some thousand calls.
const CALLS_RESERVED: usize = 512 * 1024;
/// How much may wait for all peers together, beside one frame for each: who asks and does not read what is answered has the node
/// keep it. 32 MiB, as for arguments.
const WAITING_MAX: usize = 32 << 20;

impl Behaviour {
    /// Makes the behaviour of a network. With [`Admission::ByOwner`] nobody is served or asked who was not admitted.
    pub fn new(network: &NetworkId, config: ValidConfig, seed: Seed, admission: Admission) -> Self {
        let name = StreamProtocol::try_from_owned(network.protocol_name("rpc", 1))
            .expect("a protocol name begins with a slash");
        let protocol = Protocol { names: vec![name], lanes: LANES };
        let link_config = bruit_link::Config {
            peers_max: config.peers_max,
            first_lane_reserved: CALLS_RESERVED,
            outboxes_bytes_max: WAITING_MAX,
            ..bruit_link::Config::default()
        };
        let link_config = link_config.validate().expect("the default limits hold, and peers_max was checked");
        Self {
            links: Links::new(protocol, link_config, admission),
            foreign: Foreign::new(network, &config, admission == Admission::Automatic),
            engine: Engine::new(config, seed),
            names: Names::default(),
            clock: Clock::start(),
            alarm: Alarm::default(),
            events: VecDeque::new(),
            waker: None,
            inline: BTreeMap::new(),
            admission,
            in_a_row: 0,
            arriving: BTreeSet::new(),
        }
    }

    /// A link to this peer may come up soon.
    fn expect(&mut self, peer: PeerId) {
        if self.links.is_arriving(&peer) {
            self.arriving.insert(peer);
            self.engine.peer_expected(self.clock.now());
        }
    }

    /// Forgets those who have arrived, or will not.
    fn review_arriving(&mut self, now: Timestamp) {
        if self.arriving.is_empty() {
            return;
        }
        self.arriving.retain(|peer| self.links.is_arriving(peer));
        if self.arriving.is_empty() {
            self.engine.nobody_expected(now);
            self.drain(now);
        }
    }

    fn command<T>(&mut self, command: impl FnOnce(&mut Engine, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let result = command(&mut self.engine, now);
        self.drain(now);
        self.wake();
        result
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn drain(&mut self, now: Timestamp) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Send { to, message, lane, expires } => self.send_message(to, &message, (lane, expires), now),
                Output::Pause { from } => self.links_lanes(|links, lane| links.pause(from, lane)),
                Output::Resume { from } => self.links_lanes(|links, lane| links.resume(from, lane)),
                Output::Event(event) => {
                    if let Some(event) = event.map(|slot| self.names.of(slot)) {
                        self.tell(event, now);
                    }
                }
            }
        }
    }

    /// Passes an event on, or has a method of its own answer.
    fn tell(&mut self, event: Event<PeerId>, now: Timestamp) {
        if let Event::Request { from, method, payload, ticket, .. } = &event
            && let Some(answer) = self.inline.get_mut(method)
        {
            let result = answer(*from, payload.clone());
            // Too large an answer is told to the peer; nobody else waits.
            let _ = self.engine.answer(*ticket, result, now);
            return;
        }
        self.events.push_back(event);
    }

    fn links_lanes(&mut self, mut change: impl FnMut(&mut Links, u32)) {
        (0..LANES).for_each(|lane| change(&mut self.links, lane));
    }

    fn send_message(
        &mut self,
        to: Slot,
        message: &RpcMessage,
        (lane, expires): (Lane, Option<Timestamp>),
        now: Timestamp,
    ) {
        if self.foreign.respond(to, message) == Responded::Sent {
            self.disconnect(to, now);
            return;
        }
        let is_list = matches!(message, RpcMessage::Methods(_));
        let frame = Frame {
            expires,
            priority: if is_list { Priority::High } else { Priority::Normal },
            replace_key: is_list.then_some(METHODS_KEY),
            ..Frame::new(lane.number(), message.encode())
        };
        match self.links.push(to, frame, now) {
            Push::Queued | Push::Replaced(_) => {}
            Push::Full(_) | Push::NoSuchPeer(_) => self.engine.message_not_sent(to, message, lane, now),
        }
    }

    fn on_link_event(&mut self, event: bruit_link::Event) {
        let now = self.clock.now();
        match event {
            bruit_link::Event::Up { slot, peer } => {
                self.names.arrive(slot, peer);
                self.engine.peer_connected(slot, now);
                self.names.earlier(peer).into_iter().for_each(|before| self.engine.peer_returned(before, slot, now));
            }
            bruit_link::Event::Down { slot, frames_lost, .. } => {
                self.engine.frames_lost(frames_lost);
                self.disconnect(slot, now);
            }
            bruit_link::Event::Frames { slot, frames, .. } => {
                for frame in frames {
                    match RpcMessage::decode(frame) {
                        Ok(Some(message)) => self.engine.message_received(slot, message, now),
                        Ok(None) => {}
                        Err(_) => self.engine.garbage_received(slot, now),
                    }
                    self.drain(now);
                }
            }
            bruit_link::Event::Writable { slot, lane } => self.engine.peer_writable(slot, Lane::numbered(lane), now),
            bruit_link::Event::Lost { frames, .. } => self.engine.frames_lost(frames),
            bruit_link::Event::Broken { peer, .. } => self.broke_protocol(peer),
        }
        self.drain(now);
    }

    fn on_foreign_event(&mut self, event: ForeignEvent) {
        let now = self.clock.now();
        match event {
            ForeignEvent::Requested(slot, peer, message) => {
                self.names.arrive(slot, peer);
                self.engine.client_connected(slot, now);
                self.engine.message_received(slot, message, now);
            }
            ForeignEvent::Closed(slot) => self.disconnect(slot, now),
            ForeignEvent::Garbage(peer) => self.broke_protocol(peer),
        }
        self.drain(now);
    }

    fn disconnect(&mut self, slot: Slot, now: Timestamp) {
        self.engine.peer_disconnected(slot, now);
        self.drain(now);
        self.names.depart(slot);
        self.names.forget_unless(|slot| self.engine.remembers(slot));
    }

    fn broke_protocol(&mut self, peer: PeerId) {
        self.events.push_back(Event::Conduct { peer, conduct: Conduct::BrokeProtocol });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = ConnectionHandlerSelect<bruit_link::Handler, THandler<Exchange>>;
    type ToSwarm = Event<PeerId>;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<Self::ConnectionHandler, ConnectionDenied> {
        let links = self.links.handle_established_connection(id, peer)?;
        let exchange = &mut self.foreign.exchange;
        Ok(links.select(exchange.handle_established_inbound_connection(id, peer, local, remote)?))
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<Self::ConnectionHandler, ConnectionDenied> {
        let links = self.links.handle_established_connection(id, peer)?;
        let exchange = &mut self.foreign.exchange;
        Ok(links.select(exchange.handle_established_outbound_connection(id, peer, addr, role, port)?))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(closed) = &event
            && closed.remaining_established == 0
        {
            self.foreign.dismiss(&closed.peer_id);
        }
        self.foreign.exchange.on_swarm_event(event);
        self.links.on_swarm_event(event);
        if let FromSwarm::ConnectionEstablished(established) = &event
            && self.admission == Admission::Automatic
        {
            self.expect(established.peer_id);
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            Either::Left(event) => self.links.on_connection_handler_event(peer, id, event),
            Either::Right(event) => self.foreign.exchange.on_connection_handler_event(peer, id, event),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                if self.in_a_row >= IN_A_ROW_MAX {
                    self.in_a_row = 0;
                    self.events.push_front(event);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.in_a_row += 1;
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            if let Poll::Ready(event) = self.links.poll(cx) {
                self.on_link_event(event);
                continue;
            }
            if let Poll::Ready(event) = self.foreign.poll(cx) {
                self.on_foreign_event(event);
                continue;
            }
            let now = self.clock.now();
            self.review_arriving(now);
            if !self.events.is_empty() {
                continue;
            }
            if self.alarm.poll_until(cx, self.engine.next_timeout(), now).is_ready() {
                self.engine.handle_timeout(now);
                self.drain(now);
                continue;
            }
            self.waker = Some(cx.waker().clone());
            self.in_a_row = 0;
            return Poll::Pending;
        }
    }
}
