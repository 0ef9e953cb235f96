use std::{
    collections::BTreeMap,
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use bruit_core::{PeerId, Slot};
use bruit_link::{Admission, Behaviour, Config, Event, Frame, Links, Protocol, Push};
use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use libp2p::{SwarmBuilder, plaintext, tcp, yamux};
use libp2p_core::{Multiaddr, Transport, transport::MemoryTransport, upgrade::Version};
use libp2p_swarm::{
    ConnectionId, StreamProtocol, Swarm, SwarmEvent,
    dial_opts::{DialOpts, PeerCondition},
};
use libp2p_swarm_test::SwarmExt;

pub(crate) const NAME: StreamProtocol = StreamProtocol::new("/bruit/test/1");
pub(crate) const LANES: u32 = 2;

/// Swarms that run only while the test waits for something.
pub(crate) struct Net {
    pub(crate) swarms: Vec<Swarm<Behaviour>>,
    pub(crate) seen: Vec<Seen>,
    addrs: Vec<Multiaddr>,
}

/// What one swarm told.
#[derive(Default)]
pub(crate) struct Seen {
    /// All but frames.
    pub(crate) events: Vec<Event>,
    pub(crate) frames: Vec<(u32, Bytes)>,
    pub(crate) connections: Vec<ConnectionId>,
    pub(crate) closed: usize,
    pub(crate) refused: usize,
    pub(crate) slots: BTreeMap<PeerId, Slot>,
}

impl Net {
    pub(crate) async fn new(count: usize, admission: Admission) -> Self {
        Self::with(count, admission, Config::default()).await
    }

    pub(crate) async fn with(count: usize, admission: Admission, config: Config) -> Self {
        Self::of(count, admission, config, |links| Swarm::new_ephemeral_tokio(|_| Behaviour::new(links))).await
    }

    /// As [`Net::with`], but a connection that nothing keeps closes soon.
    pub(crate) async fn impatient(count: usize) -> Self {
        Self::of(count, Admission::Automatic, Config::default(), |links| {
            SwarmBuilder::with_new_identity()
                .with_tokio()
                .with_other_transport(|key| {
                    let memory = MemoryTransport::default().or_transport(tcp::tokio::Transport::default());
                    memory
                        .upgrade(Version::V1)
                        .authenticate(plaintext::Config::new(key))
                        .multiplex(yamux::Config::default())
                })
                .expect("nothing can fail")
                .with_behaviour(|_| Behaviour::new(links))
                .expect("nothing can fail")
                .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_millis(10)))
                .build()
        })
        .await
    }

    async fn of(count: usize, admission: Admission, config: Config, swarm: impl Fn(Links) -> Swarm<Behaviour>) -> Self {
        let mut net = Self { swarms: Vec::new(), seen: Vec::new(), addrs: Vec::new() };
        for _ in 0..count {
            let config = Config { keep_alive: true, ..config.clone() }.validate().expect("limits agree");
            let protocol = Protocol { names: vec![NAME], lanes: LANES };
            let mut swarm = swarm(Links::new(protocol, config, admission));
            let (addr, _) = swarm.listen().await;
            net.swarms.push(swarm);
            net.seen.push(Seen::default());
            net.addrs.push(addr);
        }
        net
    }

    pub(crate) fn id(&self, node: usize) -> PeerId {
        *self.swarms[node].local_peer_id()
    }

    pub(crate) fn addr(&self, node: usize) -> Multiaddr {
        self.addrs[node].clone()
    }

    /// Opens one more connection and waits until both know of it.
    pub(crate) async fn connect(&mut self, from: usize, to: usize) -> ConnectionId {
        let before = self.seen[to].connections.len();
        let id = self.dial(from, to);
        self.until(|net| net.seen[from].connections.contains(&id) && net.seen[to].connections.len() > before).await;
        id
    }

    pub(crate) fn dial(&mut self, from: usize, to: usize) -> ConnectionId {
        let addrs = vec![self.addr(to)];
        let dial = DialOpts::peer_id(self.id(to)).condition(PeerCondition::Always).addresses(addrs).build();
        let id = dial.connection_id();
        self.swarms[from].dial(dial).expect("the address can be dialled");
        id
    }

    /// Two nodes, connected and up; node 0's slot for node 1.
    pub(crate) async fn pair(config: Config) -> (Self, Slot) {
        let mut net = Self::with(2, Admission::Automatic, config).await;
        net.connect(0, 1).await;
        let slot = net.slot(0, 1).await;
        net.slot(1, 0).await;
        (net, slot)
    }

    /// Waits until one node's link to another is up.
    pub(crate) async fn slot(&mut self, node: usize, other: usize) -> Slot {
        let peer = self.id(other);
        self.until(|net| net.seen[node].slots.contains_key(&peer)).await;
        self.seen[node].slots[&peer]
    }

    pub(crate) fn links(&mut self, node: usize) -> &mut Links {
        &mut self.swarms[node].behaviour_mut().links
    }

    pub(crate) fn push(&mut self, node: usize, slot: Slot, frame: Frame) -> Push {
        self.swarms[node].behaviour_mut().push(slot, frame)
    }

    /// The numbers of all frames that came on a lane.
    pub(crate) fn numbers(&self, node: usize, lane: u32) -> Vec<u64> {
        self.seen[node].frames.iter().filter(|(of, _)| *of == lane).map(|(_, frame)| number(frame)).collect()
    }

    /// Runs all swarms until something holds.
    pub(crate) async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let all: Vec<usize> = (0..self.swarms.len()).collect();
        self.until_only(&all, holds).await;
    }

    /// Runs some of the swarms until something holds.
    pub(crate) async fn until_only(&mut self, nodes: &[usize], holds: impl Fn(&Self) -> bool) {
        let run = async {
            while !holds(self) {
                poll_fn(|cx| self.poll(nodes, cx)).await;
            }
        };
        let result = tokio::time::timeout(Duration::from_secs(30), run).await;
        let events: Vec<_> = self.seen.iter().map(|seen| &seen.events).collect();
        assert!(result.is_ok(), "what the test waits for did not happen; {events:?}");
    }

    /// Runs all swarms until nothing happens any more.
    pub(crate) async fn settle(&mut self) {
        let all: Vec<usize> = (0..self.swarms.len()).collect();
        let mut idle_turns = 0;
        while idle_turns < 200 {
            let turn = poll_fn(|cx| Poll::Ready(self.poll(&all, cx))).await;
            idle_turns = if turn.is_ready() { 0 } else { idle_turns + 1 };
            tokio::task::yield_now().await;
        }
    }

    fn poll(&mut self, nodes: &[usize], cx: &mut Context<'_>) -> Poll<()> {
        let mut result = Poll::Pending;
        for node in nodes {
            while let Poll::Ready(Some(event)) = self.swarms[*node].poll_next_unpin(cx) {
                self.seen[*node].note(event);
                result = Poll::Ready(());
            }
        }
        result
    }
}

impl Seen {
    #[allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]
    fn note(&mut self, event: SwarmEvent<Event>) {
        match event {
            SwarmEvent::Behaviour(Event::Frames { lane, frames, slot }) => {
                assert!(!frames.is_empty() && frames.len() <= 64, "{} frames", frames.len());
                let before_last: usize = frames.iter().rev().skip(1).map(Bytes::len).sum();
                assert!(before_last < 64 * 1024, "{before_last} bytes");
                assert!(self.slots.values().any(|known| *known == slot), "frames before the link was up");
                self.frames.extend(frames.into_iter().map(|frame| (lane, frame)));
            }
            SwarmEvent::Behaviour(event) => {
                match &event {
                    Event::Up { slot, peer } => assert_eq!(self.slots.insert(*peer, *slot), None),
                    Event::Down { slot, peer, .. } => assert_eq!(self.slots.remove(peer), Some(*slot)),
                    _ => {}
                }
                self.events.push(event);
            }
            SwarmEvent::ConnectionEstablished { connection_id, .. } => self.connections.push(connection_id),
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.connections.retain(|id| *id != connection_id);
                self.closed += 1;
            }
            SwarmEvent::OutgoingConnectionError { .. } => self.refused += 1,
            _ => {}
        }
    }
}

/// A frame of a number and some bytes that follow from it.
pub(crate) fn frame(lane: u32, number: u64, len: usize) -> Frame {
    let body: Bytes = (0..len).map(|n| (n as u64 ^ number) as u8).collect();
    let mut head = BytesMut::new();
    put_prefix(8 + len, &mut head);
    head.put_u64(number);
    Frame { body: Some(body), ..Frame::new(lane, head.freeze()) }
}

/// The number of a frame that arrived whole.
pub(crate) fn number(frame: &Bytes) -> u64 {
    let (number, body) = frame.split_first_chunk().expect("a frame has a number");
    let number = u64::from_be_bytes(*number);
    assert!(body.iter().enumerate().all(|(n, byte)| *byte == (n as u64 ^ number) as u8), "frame {number} is damaged");
    number
}

pub(crate) fn put_prefix(len: usize, buffer: &mut BytesMut) {
    let mut rest = len;
    while rest >= 0x80 {
        buffer.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    buffer.put_u8(rest as u8);
}
