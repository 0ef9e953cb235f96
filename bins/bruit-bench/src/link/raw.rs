use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{Multiaddr, StreamProtocol, swarm::SwarmEvent};
use libp2p_stream::Behaviour;
use tokio::sync::oneshot;

use crate::{
    duel::{Measured, Meter, duel},
    pair::{loopback, swarm},
};

const NAME: StreamProtocol = StreamProtocol::new("/bruit/bench-raw/1");

/// What results are counted in.
const UNIT_BYTES: f64 = 64.0 * 1024.0;

/// Bytes on one stream, in writes of `size` bytes; the unit is 64 KiB.
pub(crate) fn run(size: usize, window: Duration) -> anyhow::Result<Measured> {
    let bytes = duel(window, listen, move |_, addr| send(size, addr))?;
    Ok(bytes.in_units_of(UNIT_BYTES))
}

async fn listen(meter: Arc<Meter>, addr: oneshot::Sender<Multiaddr>) -> anyhow::Result<()> {
    let mut swarm = swarm(Behaviour::new())?;
    let mut incoming = swarm.behaviour().new_control().accept(NAME)?;
    swarm.listen_on(loopback())?;
    let mut addr = Some(addr);
    let read = async {
        let (_, mut stream) = incoming.next().await.context("the swarm ended")?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match stream.read(&mut buffer).await? {
                0 => bail!("the stream ended"),
                count => meter.add(count as u64),
            }
        }
    };
    let drive = async {
        loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                let _ = addr.take().map(|addr| addr.send(address));
            }
        }
    };
    tokio::select! {
        result = read => result,
        () = drive => Ok(()),
    }
}

async fn send(size: usize, addr: Multiaddr) -> anyhow::Result<()> {
    let mut swarm = swarm(Behaviour::new())?;
    let mut control = swarm.behaviour().new_control();
    swarm.dial(addr)?;
    let peer = loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
            break peer_id;
        }
    };
    let write = async {
        let mut stream = control.open_stream(peer, NAME).await?;
        let bytes = vec![7; size];
        loop {
            stream.write_all(&bytes).await?;
        }
    };
    let drive = async {
        loop {
            swarm.select_next_some().await;
        }
    };
    tokio::select! {
        result = write => result,
        () = drive => Ok(()),
    }
}
