use std::{sync::Arc, time::Duration};

use anyhow::{anyhow, bail};
use futures::StreamExt;
use libp2p::{
    Multiaddr, Swarm,
    gossipsub::{
        Behaviour, ConfigBuilder, Event, IdentTopic, Message, MessageAuthenticity, MessageId, PublishError,
        ValidationMode,
    },
    swarm::SwarmEvent,
};
use tokio::sync::oneshot;

use crate::{
    duel::{Measured, Meter, duel},
    pair::{loopback, swarm},
};

/// Enough to keep both ends busy: more is not faster.
const IN_FLIGHT_BYTES: usize = 4 * 1024 * 1024;

/// Messages of `size` bytes, a constant number of them in flight.
pub(crate) fn run(size: usize, window: Duration) -> anyhow::Result<Measured> {
    let in_flight = (IN_FLIGHT_BYTES / size).clamp(64, 2048) as u64;
    duel(
        window,
        move |meter, addr| listen(in_flight / 8, meter, addr),
        move |meter, addr| send(size, in_flight, meter, addr),
    )
}

/// Without signatures, checks and a long memory: the handler is what is measured.
fn behaviour() -> anyhow::Result<(Swarm<Behaviour>, IdentTopic)> {
    let config = ConfigBuilder::default()
        .validation_mode(ValidationMode::None)
        .max_transmit_size(1024 * 1024)
        .history_length(2)
        .history_gossip(1)
        .message_id_fn(|message: &Message| MessageId::from(message.data.get(..8).unwrap_or_default()))
        .build()?;
    let mut behaviour: Behaviour =
        Behaviour::new(MessageAuthenticity::Anonymous, config).map_err(|error| anyhow!(error))?;
    let topic = IdentTopic::new("bench");
    behaviour.subscribe(&topic)?;
    Ok((swarm(behaviour)?, topic))
}

async fn listen(tell_each: u64, meter: Arc<Meter>, addr: oneshot::Sender<Multiaddr>) -> anyhow::Result<()> {
    let (mut swarm, _) = behaviour()?;
    swarm.listen_on(loopback())?;
    let mut addr = Some(addr);
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => {
                let _ = addr.take().map(|addr| addr.send(address));
            }
            SwarmEvent::Behaviour(Event::Message { .. }) => {
                meter.add(1);
                if meter.arrived().is_multiple_of(tell_each) {
                    meter.tell();
                }
            }
            SwarmEvent::ConnectionClosed { cause, .. } => bail!("the connection closed: {cause:?}"),
            _ => {}
        }
    }
}

async fn send(size: usize, in_flight: u64, meter: Arc<Meter>, addr: Multiaddr) -> anyhow::Result<()> {
    let (mut swarm, topic) = behaviour()?;
    swarm.dial(addr)?;
    while !matches!(swarm.select_next_some().await, SwarmEvent::Behaviour(Event::Subscribed { .. })) {}
    let mut published = 0_u64;
    loop {
        while published < meter.arrived() + in_flight {
            let mut data = vec![7; size];
            data.iter_mut().zip(published.to_be_bytes()).for_each(|(place, byte)| *place = byte);
            match swarm.behaviour_mut().publish(topic.clone(), data) {
                Ok(_) => published += 1,
                Err(PublishError::AllQueuesFull(_)) => break,
                Err(error) => bail!(error),
            }
        }
        tokio::select! {
            _ = swarm.select_next_some() => {}
            () = meter.changed() => {}
        }
    }
}
