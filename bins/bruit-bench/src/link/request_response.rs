use std::{sync::Arc, time::Duration};

use anyhow::{anyhow, bail};
use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm,
    request_response::{Behaviour, Config, Event, Message, ProtocolSupport},
    swarm::SwarmEvent,
};
use tokio::sync::oneshot;

use crate::{
    codec::Fixed,
    duel::{Measured, Meter, duel},
    pair::{loopback, swarm},
};

/// Requests of `size` bytes, each on a stream of its own, answered by one byte.
pub(crate) fn run(size: usize, in_flight: usize, window: Duration) -> anyhow::Result<Measured> {
    duel(window, move |meter, addr| listen(size, meter, addr), move |_, addr| send(size, in_flight, addr))
}

fn behaviour(request_len: usize) -> anyhow::Result<Swarm<Behaviour<Fixed>>> {
    let protocols = [("/bruit/bench-calls/1", ProtocolSupport::Full)];
    swarm(Behaviour::with_codec(Fixed { request_len, answer_len: 1 }, protocols, Config::default()))
}

async fn listen(size: usize, meter: Arc<Meter>, addr: oneshot::Sender<Multiaddr>) -> anyhow::Result<()> {
    let mut swarm = behaviour(size)?;
    swarm.listen_on(loopback())?;
    let mut addr = Some(addr);
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => {
                let _ = addr.take().map(|addr| addr.send(address));
            }
            SwarmEvent::Behaviour(Event::Message { message: Message::Request { channel, .. }, .. }) => {
                meter.add(1);
                let sent = swarm.behaviour_mut().send_response(channel, vec![1].into());
                sent.map_err(|_| anyhow!("an answer came too late"))?;
            }
            SwarmEvent::Behaviour(Event::InboundFailure { error, .. }) => bail!(error),
            _ => {}
        }
    }
}

async fn send(size: usize, in_flight: usize, addr: Multiaddr) -> anyhow::Result<()> {
    let mut swarm = behaviour(size)?;
    swarm.dial(addr)?;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                for _ in 0..in_flight {
                    swarm.behaviour_mut().send_request(&peer_id, vec![7; size].into());
                }
            }
            SwarmEvent::Behaviour(Event::Message { peer, message: Message::Response { .. }, .. }) => {
                swarm.behaviour_mut().send_request(&peer, vec![7; size].into());
            }
            SwarmEvent::Behaviour(Event::OutboundFailure { error, .. }) => bail!(error),
            _ => {}
        }
    }
}
