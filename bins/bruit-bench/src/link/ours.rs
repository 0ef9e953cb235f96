use std::{sync::Arc, time::Duration};

use anyhow::bail;
use bruit_link::{Admission, Behaviour, Config, Event, Frame, Links, Protocol, Push};
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use libp2p::{Multiaddr, StreamProtocol, Swarm, swarm::SwarmEvent};
use tokio::sync::oneshot;

use crate::{
    duel::{Measured, Meter, duel},
    pair::{loopback, swarm},
};

/// What every frame has of its own: a number and as much again, as an id would be.
const HEAD_LEN: usize = 16;

/// Frames of `size` bytes on one lane, as many as the outbox takes.
pub(crate) fn run(size: usize, window: Duration) -> anyhow::Result<Measured> {
    duel(window, listen, move |_, addr| send(size, addr))
}

fn behaviour() -> anyhow::Result<Swarm<Behaviour>> {
    let protocol = Protocol { names: vec![StreamProtocol::new("/bruit/bench/1")], lanes: 1 };
    swarm(Behaviour::new(Links::new(protocol, Config::default().validate()?, Admission::Automatic)))
}

async fn listen(meter: Arc<Meter>, addr: oneshot::Sender<Multiaddr>) -> anyhow::Result<()> {
    let mut swarm = behaviour()?;
    swarm.listen_on(loopback())?;
    let mut addr = Some(addr);
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { address, .. } => {
                let _ = addr.take().map(|addr| addr.send(address));
            }
            SwarmEvent::Behaviour(Event::Frames { frames, .. }) => meter.add(frames.len() as u64),
            SwarmEvent::Behaviour(Event::Broken { reason, .. }) => bail!(reason),
            SwarmEvent::ConnectionClosed { cause, .. } => bail!("the connection closed: {cause:?}"),
            _ => {}
        }
    }
}

async fn send(size: usize, addr: Multiaddr) -> anyhow::Result<()> {
    let mut swarm = behaviour()?;
    swarm.dial(addr)?;
    let body = Bytes::from(vec![7; size - HEAD_LEN]);
    let mut number = 0;
    let mut refused = None;
    loop {
        let SwarmEvent::Behaviour(Event::Up { slot, .. } | Event::Writable { slot, .. }) =
            swarm.select_next_some().await
        else {
            continue;
        };
        loop {
            let frame = refused.take().unwrap_or_else(|| {
                number += 1;
                Frame { body: Some(body.clone()), ..Frame::new(0, head(size, number)) }
            });
            match swarm.behaviour_mut().push(slot, frame) {
                Push::Queued => {}
                Push::Full(frame) => {
                    refused = Some(frame);
                    break;
                }
                Push::Replaced(_) | Push::NoSuchPeer(_) => bail!("the link is down"),
            }
        }
    }
}

fn head(size: usize, number: u64) -> Bytes {
    let mut head = BytesMut::with_capacity(3 + HEAD_LEN);
    let mut rest = size;
    while rest >= 0x80 {
        head.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    head.put_u8(rest as u8);
    head.put_u64(number);
    head.put_u64(number);
    head.freeze()
}
