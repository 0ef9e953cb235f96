#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use bruit_core::{Clock, LookupMap, PeerId, Slot, SlotTable, Timestamp};
use bruit_wire::PREFIX_MAX;
use bytes::Bytes;
use libp2p_swarm::{ConnectionDenied, ConnectionId, FromSwarm};

use crate::{
    config::{Admission, Config, LANES_MAX, Protocol, ValidConfig},
    event::Event,
    frame::{Frame, Push, Tally, Traffic},
    handler::{Handler, HandlerEvent, Kind, Settings},
    outbox::Outbox,
    pool::Pool,
    room::Room,
    shared::Shared,
    upgrade::LaneUpgrade,
};

/// All links of one protocol: what a `NetworkBehaviour` owns and forwards its callbacks to.
///
/// # Security
/// A peer that never reads fills its own outbox and nothing else. What a peer sends is never waited for; what it may make this
/// node hold is limited by [`Config`] for each peer.
#[derive(Debug)]
pub struct Links {
    upgrade: LaneUpgrade,
    lanes: usize,
    config: Config,
    room: Room,
    admission: Admission,
    clock: Clock,
    pool: Pool,
    peers: SlotTable<Peer>,
    slots: LookupMap<PeerId, Slot>,
    events: VecDeque<Event>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Peer {
    id: PeerId,
    shared: Shared,
    /// The oldest first.
    connections: Vec<Connection>,
    is_up: bool,
    received: [Tally; LANES_MAX],
}

#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    is_supported: bool,
}

/// A connection has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedError {
    /// As many peers are connected as are allowed.
    #[error("all {0} places for peers are taken")]
    Peers(usize),
    /// As many connections to this peer are open as are allowed.
    #[error("{0} connections to the same peer are open")]
    Connections(usize),
}

impl Links {
    /// Makes the links of a protocol; there are none yet.
    ///
    /// # Panics
    /// If the protocol has no name, or not 1 to 4 lanes.
    pub fn new(protocol: Protocol, config: ValidConfig, admission: Admission) -> Self {
        let lanes = protocol.lanes as usize;
        assert!((1..=LANES_MAX).contains(&lanes), "a protocol has 1 to {LANES_MAX} lanes, not {lanes}");
        assert!(!protocol.names.is_empty(), "a protocol has at least one name");
        let config = config.get().clone();
        Self {
            upgrade: LaneUpgrade::new(&protocol.names),
            lanes,
            admission,
            clock: Clock::start(),
            pool: Pool::default(),
            peers: SlotTable::new(config.peers_max),
            slots: LookupMap::new(),
            room: Room::new(config.outboxes_bytes_max),
            config,
            events: VecDeque::new(),
            waker: None,
        }
    }

    /// Makes the handler of a new connection, inbound or outbound; refuses it when a limit is reached.
    pub fn handle_established_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
    ) -> Result<Handler, ConnectionDenied> {
        let slot = match self.slots.get(&peer) {
            Some(slot) => *slot,
            None => self.insert(peer).map_err(ConnectionDenied::new)?,
        };
        let Some(entry) = self.peers.get_mut(slot) else {
            return Err(ConnectionDenied::new(RefusedError::Peers(self.config.peers_max)));
        };
        if entry.connections.len() >= self.config.connections_per_peer_max {
            return Err(ConnectionDenied::new(RefusedError::Connections(self.config.connections_per_peer_max)));
        }
        entry.connections.push(Connection { id, is_supported: true });
        entry.choose_writer();
        let settings = Settings {
            id,
            upgrade: self.upgrade.clone(),
            lanes: self.lanes,
            frame_max: self.config.frame_max,
            slot,
            keep_alive: self.config.keep_alive,
        };
        Ok(Handler::new(settings, entry.shared.clone(), self.pool.clone()))
    }

    /// Learns that connections ended, or never came to be after their handler was made.
    pub fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.forget_connection(closed.peer_id, closed.connection_id),
            FromSwarm::DialFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.forget_connection(peer, failure.connection_id);
                }
            }
            FromSwarm::ListenFailure(failure) => {
                if let Some(peer) = failure.peer_id {
                    self.forget_connection(peer, failure.connection_id);
                }
            }
            _ => {}
        }
    }

    /// Takes what a handler tells.
    pub fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: HandlerEvent) {
        let Some(slot) = self.slots.get(&peer).copied() else { return };
        if event.slot != slot && !matches!(event.kind, Kind::Unsupported) {
            return;
        }
        match event.kind {
            Kind::Opened => self.come_up(slot),
            Kind::Unsupported => {
                let Some(entry) = self.peers.get_mut(slot) else { return };
                entry
                    .connections
                    .iter_mut()
                    .filter(|known| known.id == id)
                    .for_each(|known| known.is_supported = false);
                entry.choose_writer();
                self.tell_news(slot);
            }
            Kind::Frames { lane, frames } => {
                self.come_up(slot);
                if let Some(received) = self.peers.get_mut(slot).and_then(|entry| entry.received.get_mut(lane)) {
                    frames.iter().map(Bytes::len).for_each(|len| received.count(len));
                    self.tell(Event::Frames { slot, lane: lane as u32, frames });
                }
            }
            Kind::Broken(reason) => self.tell(Event::Broken { slot, peer, reason }),
            Kind::News => self.tell_news(slot),
        }
    }

    /// Has a peer's lanes opened and read. Nothing happens if it is not connected.
    pub fn admit(&mut self, peer: PeerId) {
        if let Some(entry) = self.slots.get(&peer).and_then(|slot| self.peers.get(*slot)) {
            entry.shared.admit();
        }
    }

    /// Has a peer's lanes closed; what is queued is lost, and told with `Event::Down` if the peer was up. Its connections stay,
    /// and it can be admitted again.
    pub fn dismiss(&mut self, peer: PeerId) {
        let Some(slot) = self.slots.get(&peer).copied() else { return };
        let Some(mut entry) = self.peers.remove(slot) else { return };
        let was_up = std::mem::take(&mut entry.is_up);
        entry.received = Default::default();
        let shared = entry.shared.clone();
        let Ok(next) = self.peers.insert(entry) else { return };
        self.slots.insert(peer, next);
        let lost = shared.dismiss(next);
        if was_up {
            self.tell(Event::Down { slot, peer, frames_lost: lost.frames });
        }
    }

    /// Queues a frame, and says at once what became of it.
    ///
    /// # Panics
    /// If the protocol has no such lane, or the frame is longer than allowed: the caller's mistakes, never a peer's.
    pub fn push(&mut self, slot: Slot, frame: Frame, now: Timestamp) -> Push {
        assert!((frame.lane as usize) < self.lanes, "the protocol has no lane {}", frame.lane);
        assert!(frame.len() <= self.config.frame_max + PREFIX_MAX, "a frame of {} bytes is too long", frame.len());
        let Some(entry) = self.peers.get(slot).filter(|entry| entry.is_up) else { return Push::NoSuchPeer(frame) };
        let pushed = entry.shared.push(frame, now);
        if pushed.has_news {
            self.tell_news(slot);
        }
        match pushed.result {
            Ok(0) => Push::Queued,
            Ok(replaced) => Push::Replaced(replaced),
            Err(frame) => Push::Full(frame),
        }
    }

    /// Reads a lane of a peer no more until `resume`. What was read already still comes.
    pub fn pause(&mut self, slot: Slot, lane: u32) {
        self.set_paused(slot, lane, true);
    }

    /// Reads a lane of a peer again.
    pub fn resume(&mut self, slot: Slot, lane: u32) {
        self.set_paused(slot, lane, false);
    }

    /// Keeps a peer connected although nothing else uses its connections, or not. Forgotten when it disconnects.
    pub fn set_keep_alive(&mut self, peer: PeerId, on: bool) {
        if let Some(entry) = self.slots.get(&peer).and_then(|slot| self.peers.get(*slot)) {
            entry.shared.set_keep_alive(on);
        }
    }

    /// The peer that has a slot, from `Event::Up` to `Event::Down`.
    pub fn peer(&self, slot: Slot) -> Option<PeerId> {
        self.peers.get(slot).filter(|entry| entry.is_up).map(|entry| entry.id)
    }

    /// The slot of a peer, from `Event::Up` to `Event::Down`.
    pub fn slot(&self, peer: &PeerId) -> Option<Slot> {
        self.slots.get(peer).copied().filter(|slot| self.peer(*slot).is_some())
    }

    /// Whether a peer is connected and may yet come up: nothing came over its lanes so far, and no connection of it is without
    /// the protocol.
    pub fn is_arriving(&self, peer: &PeerId) -> bool {
        let entry = self.slots.get(peer).and_then(|slot| self.peers.get(*slot));
        entry.is_some_and(|entry| !entry.is_up && entry.connections.iter().any(|known| known.is_supported))
    }

    /// How much travelled on a lane since the peer's link came up.
    pub fn traffic(&self, slot: Slot, lane: u32) -> Option<Traffic> {
        let lane = lane as usize;
        let entry = self.peers.get(slot).filter(|entry| entry.is_up && lane < self.lanes)?;
        Some(Traffic { sent: entry.shared.sent(lane), received: entry.received[lane] })
    }

    /// Gives out the next event.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn insert(&mut self, peer: PeerId) -> Result<Slot, RefusedError> {
        let shared = Shared::new(self.outbox(), self.clock);
        shared.set_keep_alive(self.config.keep_alive);
        if self.admission == Admission::Automatic {
            shared.admit();
        }
        let entry = Peer {
            id: peer,
            shared: shared.clone(),
            connections: Vec::new(),
            is_up: false,
            received: Default::default(),
        };
        let slot = self.peers.insert(entry).map_err(|_| RefusedError::Peers(self.config.peers_max))?;
        shared.set_slot(slot);
        self.slots.insert(peer, slot);
        Ok(slot)
    }

    fn outbox(&self) -> Outbox {
        Outbox::new(self.lanes, &self.config, self.room.clone())
    }

    fn come_up(&mut self, slot: Slot) {
        let Some(entry) = self.peers.get_mut(slot).filter(|entry| !entry.is_up) else { return };
        entry.is_up = true;
        let peer = entry.id;
        self.tell(Event::Up { slot, peer });
    }

    fn forget_connection(&mut self, peer: PeerId, id: ConnectionId) {
        let Some(slot) = self.slots.get(&peer).copied() else { return };
        let Some(entry) = self.peers.get_mut(slot) else { return };
        entry.connections.retain(|known| known.id != id);
        entry.shared.forget_connection(id);
        if !entry.connections.is_empty() {
            entry.choose_writer();
            self.tell_news(slot);
            return;
        }
        let frames_lost = entry.shared.clear().frames;
        let was_up = entry.is_up;
        self.peers.remove(slot);
        self.slots.remove(&peer);
        if was_up {
            self.tell(Event::Down { slot, peer, frames_lost });
        }
    }

    fn set_paused(&mut self, slot: Slot, lane: u32, paused: bool) {
        assert!((lane as usize) < self.lanes, "the protocol has no lane {lane}");
        if let Some(entry) = self.peers.get(slot) {
            entry.shared.set_paused(lane as usize, paused);
        }
    }

    fn tell_news(&mut self, slot: Slot) {
        let Some(entry) = self.peers.get(slot) else { return };
        let news = entry.shared.take_news();
        if !news.lost.is_empty() {
            self.tell(Event::Lost { slot, frames: news.lost.frames, bytes: news.lost.bytes });
        }
        let lanes = self.lanes as u32;
        (0..lanes).filter(|lane| news.writable & (1 << lane) != 0).for_each(|lane| {
            self.tell(Event::Writable { slot, lane });
        });
    }

    fn tell(&mut self, event: Event) {
        self.events.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Peer {
    /// The oldest connection on which the peer speaks the protocol writes.
    fn choose_writer(&self) {
        let writer = self.connections.iter().find(|connection| connection.is_supported);
        self.shared.set_writer(writer.map(|connection| connection.id));
    }
}

#[cfg(test)]
mod tests;
