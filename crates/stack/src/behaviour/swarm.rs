//! The translation into libp2p: callbacks to children and book, the loop of `poll`.

use std::task::{Context, Poll};

use bruit_core::{Endpoint, Multiaddr, PeerId};
use libp2p_core::{Endpoint as Role, transport::PortUse};
use libp2p_swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NewListenAddr, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};

use super::{Behaviour, COMMANDS_PER_TURN, Children, Stopping};
use crate::Event;

#[derive(Debug, thiserror::Error)]
#[error("banned")]
struct BannedError;

impl Behaviour {
    fn admit_connection(&self, peer: Option<&PeerId>, remote: &Multiaddr) -> Result<(), ConnectionDenied> {
        let endpoint = Endpoint::from_multiaddr(remote).map(|(endpoint, _)| endpoint).ok();
        // Where the operator named an endpoint, a ban on its address does not hold.
        let ip = endpoint
            .filter(|endpoint| !self.coupler.book().is_special_endpoint(endpoint))
            .and_then(|endpoint| endpoint.ip());
        if self.coupler.book().is_barred(peer, ip, self.clock.now()) {
            return Err(ConnectionDenied::new(BannedError));
        }
        Ok(())
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<Children>;
    type ToSwarm = Event;

    fn handle_pending_inbound_connection(
        &mut self,
        connection_id: ConnectionId,
        local_addr: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        // Who comes from a banned address may be a special peer: only its identity, which comes later, can tell.
        if !self.coupler.book().has_specials() {
            self.admit_connection(None, remote_addr)?;
        }
        self.children.handle_pending_inbound_connection(connection_id, local_addr, remote_addr)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection_id: ConnectionId,
        peer: PeerId,
        local_addr: &Multiaddr,
        remote_addr: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit_connection(Some(&peer), remote_addr)?;
        self.children.handle_established_inbound_connection(connection_id, peer, local_addr, remote_addr)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection_id: ConnectionId,
        maybe_peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Role,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        for address in addresses {
            self.admit_connection(maybe_peer.as_ref(), address)?;
        }
        self.children.handle_pending_outbound_connection(connection_id, maybe_peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection_id: ConnectionId,
        peer: PeerId,
        addr: &Multiaddr,
        role: Role,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit_connection(Some(&peer), addr)?;
        self.children.handle_established_outbound_connection(connection_id, peer, addr, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::NewListenAddr(NewListenAddr { addr, .. }) => {
                if let Ok((endpoint, _)) = Endpoint::from_multiaddr(addr) {
                    self.coupler.book_mut().own_endpoint(endpoint.clone());
                    self.listen.push(endpoint);
                }
            }
            FromSwarm::ExpiredListenAddr(expired) => {
                if let Ok((endpoint, _)) = Endpoint::from_multiaddr(expired.addr) {
                    self.listen.retain(|other| *other != endpoint);
                }
            }
            _ => {}
        }
        self.children.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection_id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.children.on_connection_handler_event(peer, connection_id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            for _ in 0..COMMANDS_PER_TURN {
                if !self.coupler.carry_out_next(&mut self.children, self.clock.now()) {
                    break;
                }
            }
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            match self.children.poll(cx) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => {
                    self.on_child_event(event);
                    continue;
                }
                Poll::Ready(action) => return Poll::Ready(action.map_out(|_| unreachable!("events are taken above"))),
                Poll::Pending => {}
            }
            let now = self.clock.now();
            if let Stopping::Finishing(until) = self.stopping
                && until <= now
            {
                self.leave();
                continue;
            }
            if self.alarm.poll_until(cx, self.wakes_at(), now).is_ready() {
                self.coupler.flush(&mut self.children, now);
                continue;
            }
            if self.stopping == Stopping::Draining && self.children.peering.engine().connected() == 0 {
                self.stopping = Stopping::Drained;
                return Poll::Ready(ToSwarm::GenerateEvent(Event::Drained));
            }
            if self.coupler.is_idle() {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }
}
