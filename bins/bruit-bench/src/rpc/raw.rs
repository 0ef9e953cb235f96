#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::time::Instant;

use anyhow::Context;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, future::Either};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, Swarm, swarm::SwarmEvent};
use libp2p_stream::Behaviour;
use tokio::sync::oneshot;

use super::{
    calls::Lengths,
    figures::Figures,
    sampler::{Sampler, Span},
};
use crate::pair::{loopback, swarm};

const NAME: StreamProtocol = StreamProtocol::new("/bruit/bench-raw-calls/1");

/// Answers on one stream: each request by bytes of the answer's length, written `write_len` at a time.
pub(crate) async fn serve(lengths: Lengths, write_len: usize, addr: oneshot::Sender<Multiaddr>) -> anyhow::Result<()> {
    let mut swarm = swarm(Behaviour::new())?;
    let mut incoming = swarm.behaviour().new_control().accept(NAME)?;
    swarm.listen_on(loopback())?;
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            let _ = addr.send(address);
            break;
        }
    }
    let answer = async move {
        let (_, mut stream) = incoming.next().await.context("the swarm ended")?;
        let (mut request, answer) = (vec![0; lengths.request], vec![7; lengths.answer]);
        loop {
            stream.read_exact(&mut request).await?;
            for part in answer.chunks(write_len) {
                stream.write_all(part).await?;
            }
            stream.flush().await?;
        }
    };
    alongside(swarm, answer).await
}

/// Asks on one stream: the next request when an answer has come, after as many at first as are in flight.
pub(crate) async fn ask(lengths: Lengths, in_flight: usize, span: Span, addr: Multiaddr) -> anyhow::Result<Figures> {
    let mut swarm = swarm(Behaviour::new())?;
    let mut control = swarm.behaviour().new_control();
    swarm.dial(addr)?;
    let peer = connected(&mut swarm).await;
    let work = async move {
        let mut stream = control.open_stream(peer, NAME).await?;
        measure(&mut stream, lengths, in_flight, span).await
    };
    alongside(swarm, work).await
}

async fn measure(stream: &mut Stream, lengths: Lengths, in_flight: usize, span: Span) -> anyhow::Result<Figures> {
    let (request, mut answer) = (vec![7; lengths.request], vec![0; lengths.answer]);
    let mut sampler = Sampler::start(span);
    for _ in 1..in_flight {
        stream.write_all(&request).await?;
    }
    loop {
        let asked = Instant::now();
        stream.write_all(&request).await?;
        stream.flush().await?;
        stream.read_exact(&mut answer).await?;
        if sampler.answered(asked.elapsed()) {
            return sampler.figures();
        }
    }
}

async fn connected(swarm: &mut Swarm<Behaviour>) -> PeerId {
    loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = swarm.select_next_some().await {
            return peer_id;
        }
    }
}

/// Drives a swarm until the work is done.
async fn alongside<T>(mut swarm: Swarm<Behaviour>, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let drive = async {
        loop {
            swarm.select_next_some().await;
        }
    };
    match futures::future::select(std::pin::pin!(work), std::pin::pin!(drive)).await {
        Either::Left((result, _)) => result,
        Either::Right((never, _)) => never,
    }
}
