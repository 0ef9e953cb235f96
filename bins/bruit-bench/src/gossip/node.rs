use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use anyhow::{anyhow, bail};
use futures::StreamExt;
use libp2p::{Multiaddr, Swarm, identity::Keypair, swarm::SwarmEvent};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    board::Board,
    payload::Head,
    relay::{Relay, Told},
};

/// After how many events of the swarm a node looks at anything else.
const EVENTS_PER_TURN: usize = 64;
/// After how many turns it lets others run.
const TURNS_PER_POLL: usize = 8;
/// When a publisher tries again that found no room.
const RETRY: Duration = Duration::from_millis(1);

/// What a node is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    Dial(Multiaddr),
    Publish(Load),
    Rest,
    Count(UnboundedSender<Vec<(&'static str, u64)>>),
}

/// How a publisher publishes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// So many of its messages are under way at any time.
    UnderWay { count: u64, size: usize },
    /// One after each interval, from a moment on.
    Every { interval: Duration, next: Instant, size: usize },
}

/// One node: drives its swarm and publishes.
pub(crate) struct Node<R: Relay> {
    index: usize,
    swarm: Swarm<R>,
    board: Arc<Board>,
    commands: UnboundedReceiver<Command>,
    load: Option<Load>,
    /// Messages are signed with it, where that is ours to do.
    key: Option<Keypair>,
    timer: Pin<Box<Sleep>>,
}

impl<R: Relay> Node<R> {
    pub(crate) fn new(
        index: usize,
        swarm: Swarm<R>,
        key: Option<Keypair>,
        board: Arc<Board>,
        commands: UnboundedReceiver<Command>,
    ) -> Self {
        Self { index, swarm, board, commands, load: None, key, timer: Box::pin(sleep_until(Instant::now())) }
    }

    /// Runs until nobody commands any more.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Result<()>> {
        for _ in 0..TURNS_PER_POLL {
            let mut is_idle = true;
            for _ in 0..EVENTS_PER_TURN {
                let Poll::Ready(Some(event)) = self.swarm.poll_next_unpin(cx) else { break };
                is_idle = false;
                self.on_event(event)?;
            }
            while let Poll::Ready(command) = self.commands.poll_recv(cx) {
                is_idle = false;
                match command {
                    Some(Command::Dial(addr)) => self.swarm.dial(addr)?,
                    Some(Command::Publish(load)) => self.load = Some(load),
                    Some(Command::Rest) => self.load = None,
                    // Who asked may have ended.
                    Some(Command::Count(to)) => _ = to.send(self.swarm.behaviour().counts()),
                    None => return Poll::Ready(Ok(())),
                }
            }
            if self.publish_what_is_due(cx)? {
                is_idle = false;
            }
            if is_idle {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn on_event(&mut self, event: SwarmEvent<R::ToSwarm>) -> anyhow::Result<()> {
        match event {
            SwarmEvent::Behaviour(event) => match self.swarm.behaviour_mut().on_event(event, &self.board) {
                Told::Message(payload) => {
                    let head = Head::read(&payload).ok_or_else(|| anyhow!("a message has no head"))?;
                    self.board.delivered(self.index, head);
                }
                Told::Ready => self.board.link_ready(),
                Told::Refused(frames) => self.board.frames_refused(frames),
                Told::Nothing => {}
            },
            SwarmEvent::ConnectionEstablished { peer_id, .. } => self.swarm.behaviour_mut().connected(peer_id),
            SwarmEvent::ConnectionClosed { cause, .. } => bail!("a connection closed: {cause:?}"),
            SwarmEvent::OutgoingConnectionError { error, .. } => bail!(error),
            _ => {}
        }
        Ok(())
    }

    /// Whether anything was published.
    fn publish_what_is_due(&mut self, cx: &mut Context<'_>) -> anyhow::Result<bool> {
        let mut has_published = false;
        while let Some(load) = self.load {
            let (under_way_max, size) = match load {
                Load::UnderWay { count, size } => (count, size),
                Load::Every { next, size, .. } => {
                    if next > Instant::now() {
                        return Ok(has_published | !self.wait_until(next, cx).is_pending());
                    }
                    (u64::MAX, size)
                }
            };
            self.board.wait(self.index, cx.waker());
            let Some(number) = self.board.next_number(self.index, under_way_max) else { break };
            let head = Head { publisher: self.index, number, nanos: self.board.now_nanos() };
            self.board.publishing(head);
            let payload = head.payload(size, self.key.as_ref())?;
            if !self.swarm.behaviour_mut().publish(payload)? {
                self.board.not_published(head);
                return Ok(has_published | !self.wait_until(Instant::now() + RETRY, cx).is_pending());
            }
            has_published = true;
            if let Some(Load::Every { interval, next, .. }) = &mut self.load {
                *next += *interval;
            } else if has_published {
                return Ok(true);
            }
        }
        Ok(has_published)
    }

    fn wait_until(&mut self, moment: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().reset(moment);
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(())
    }
}
