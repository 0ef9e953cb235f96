use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use bruit_core::{Clock, PeerId, Slot};
use libp2p_core::{Endpoint, Multiaddr, transport::PortUse};
use libp2p_swarm::{ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, ToSwarm};

use crate::{
    event::Event,
    frame::{Frame, Push},
    handler::{Handler, HandlerEvent},
    links::Links,
};

/// The links of one protocol as a behaviour of its own, for what needs no engine beside them.
#[derive(Debug)]
pub struct Behaviour {
    /// The links.
    pub links: Links,
    clock: Clock,
}

impl Behaviour {
    /// Makes a behaviour of links.
    pub fn new(links: Links) -> Self {
        Self { links, clock: Clock::start() }
    }

    /// Queues a frame, and says at once what became of it.
    pub fn push(&mut self, slot: Slot, frame: Frame) -> Push {
        self.links.push(slot, frame, self.clock.now())
    }

    /// The clock on which frames expire.
    pub const fn clock(&self) -> Clock {
        self.clock
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.links.handle_established_connection(id, peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.links.handle_established_connection(id, peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.links.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: HandlerEvent) {
        self.links.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Event, Infallible>> {
        self.links.poll(cx).map(ToSwarm::GenerateEvent)
    }
}
