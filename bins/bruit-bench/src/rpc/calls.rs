#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use anyhow::bail;
use bytes::Bytes;
use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm,
    swarm::{NetworkBehaviour, SwarmEvent},
};
use tokio::sync::{mpsc, oneshot};

use crate::pair::{loopback, swarm};

/// How the answering node and the asking one work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Requests are made and answered in the loops that drive the swarms.
    Inline,
    /// Requests come from tasks and are answered by a task; both speak to the swarms' loops over channels.
    Tasks,
}

/// How long requests and answers are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) request: usize,
    pub(crate) answer: usize,
}

/// A protocol for calls, as it is driven here.
pub(crate) trait Calls: Clone + Send + Sync + 'static {
    type Behaviour: NetworkBehaviour<ToSwarm: Send> + Send;
    type Call: Copy + Ord + Send;
    type Ticket: Send;

    /// Whether peers can be asked without having told anything.
    const IS_READY_WHEN_CONNECTED: bool;

    fn lengths(&self) -> Lengths;

    fn behaviour(&self, serves: bool) -> anyhow::Result<Self::Behaviour>;

    fn ask(&self, behaviour: &mut Self::Behaviour, server: PeerId, request: Bytes) -> anyhow::Result<Self::Call>;

    fn answer(&self, behaviour: &mut Self::Behaviour, ticket: Self::Ticket, answer: Bytes) -> anyhow::Result<()>;

    fn told(event: <Self::Behaviour as NetworkBehaviour>::ToSwarm) -> anyhow::Result<Told<Self>>;
}

/// What an event means here.
pub(crate) enum Told<C: Calls> {
    /// This peer can be asked now.
    Ready(PeerId),
    Asked(C::Ticket),
    Answered(C::Call, Bytes),
    Nothing,
}

/// What happened to a swarm of calls next; connections do not end.
pub(crate) async fn next<C: Calls>(swarm: &mut Swarm<C::Behaviour>) -> anyhow::Result<Told<C>> {
    match swarm.select_next_some().await {
        SwarmEvent::Behaviour(event) => C::told(event),
        SwarmEvent::ConnectionClosed { cause, .. } => bail!("the connection closed: {cause:?}"),
        SwarmEvent::OutgoingConnectionError { error, .. } => bail!("the dial failed: {error}"),
        _ => Ok(Told::Nothing),
    }
}

/// Listens and answers until it is dropped.
pub(crate) async fn serve<C: Calls>(calls: C, mode: Mode, addr: oneshot::Sender<Multiaddr>) -> anyhow::Result<()> {
    let mut swarm = swarm(calls.behaviour(true)?)?;
    swarm.listen_on(loopback())?;
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            let _ = addr.send(address);
            break;
        }
    }
    let answer = Bytes::from(vec![7; calls.lengths().answer]);
    match mode {
        Mode::Inline => serve_inline(calls, swarm, answer).await,
        Mode::Tasks => serve_by_task(calls, swarm, answer).await,
    }
}

async fn serve_inline<C: Calls>(calls: C, mut swarm: Swarm<C::Behaviour>, answer: Bytes) -> anyhow::Result<()> {
    loop {
        if let SwarmEvent::Behaviour(event) = swarm.select_next_some().await
            && let Told::Asked(ticket) = C::told(event)?
        {
            calls.answer(swarm.behaviour_mut(), ticket, answer.clone())?;
        }
    }
}

async fn serve_by_task<C: Calls>(calls: C, mut swarm: Swarm<C::Behaviour>, answer: Bytes) -> anyhow::Result<()> {
    let (requests, mut requested) = mpsc::unbounded_channel::<C::Ticket>();
    let (answers, mut answered) = mpsc::unbounded_channel::<(C::Ticket, Bytes)>();
    tokio::spawn(async move {
        while let Some(ticket) = requested.recv().await {
            if answers.send((ticket, answer.clone())).is_err() {
                break;
            }
        }
    });
    let mut ready = Vec::new();
    loop {
        tokio::select! {
            _ = answered.recv_many(&mut ready, 64) => {
                for (ticket, answer) in ready.drain(..) {
                    calls.answer(swarm.behaviour_mut(), ticket, answer)?;
                }
            }
            event = swarm.select_next_some() => {
                if let SwarmEvent::Behaviour(event) = event
                    && let Told::Asked(ticket) = C::told(event)?
                {
                    let _ = requests.send(ticket);
                }
            }
        }
    }
}

/// Dials, and waits until the server can be asked.
pub(crate) async fn connect<C: Calls>(calls: &C, addr: Multiaddr) -> anyhow::Result<(Swarm<C::Behaviour>, PeerId)> {
    let mut swarm = swarm(calls.behaviour(false)?)?;
    swarm.dial(addr)?;
    let mut connected = None;
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => connected = Some(peer_id),
            SwarmEvent::Behaviour(event) => {
                if let Told::Ready(peer) = C::told(event)? {
                    return Ok((swarm, peer));
                }
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => bail!("the dial failed: {error}"),
            _ => {}
        }
        if let Some(peer) = connected.filter(|_| C::IS_READY_WHEN_CONNECTED) {
            return Ok((swarm, peer));
        }
    }
}
