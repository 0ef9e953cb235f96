#![allow(clippy::wildcard_enum_match_arm, reason = "libp2p's enums are non-exhaustive")]

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use bruit_core::{Alarm, Slot, Timestamp};
use bruit_wire::pb;
use bytes::Bytes;
use libp2p_swarm::{
    ConnectionHandler, ConnectionHandlerEvent, ConnectionId, Stream, StreamUpgradeError, SubstreamProtocol,
    handler::{ConnectionEvent, DialUpgradeError},
};

use crate::{
    config::LANES_MAX,
    event::Broken,
    pool::Pool,
    reader::{BatchLimits, LaneReader, Read, Scratch},
    shared::{Shared, View},
    upgrade::LaneUpgrade,
    writer::LaneWriter,
};

/// An event for at most so many frames, and no more once they have so many bytes.
const BATCH_FRAMES: usize = 64;
const BATCH_BYTES: usize = 64 * 1024;
/// Far above what `LaneOpen` needs, so that fields can be added to it.
const LANE_OPEN_BYTES_MAX: usize = 1024;
/// After a lane's stream ended it is opened again: after a second, then after twice as long each time, up to this.
const REOPEN_AFTER_MAX: Duration = Duration::from_secs(64);

/// Writes and reads the lanes of one connection.
///
/// # Security
/// Streams of a peer that is not admitted wait unread. No more streams wait, and no more are read, than there are lanes.
pub struct Handler {
    settings: Settings,
    shared: Shared,
    outbound: [Outbound; LANES_MAX],
    inbound: [Option<LaneReader<Stream>>; LANES_MAX],
    /// Streams that a peer opened and that have not said which lane they are.
    unnamed: VecDeque<LaneReader<Stream>>,
    scratch: Scratch,
    read_first: usize,
    alarm: Alarm,
    events: VecDeque<HandlerEvent>,
}

/// What a handler tells `Links`.
#[derive(Debug)]
pub struct HandlerEvent {
    pub(crate) slot: Slot,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// The peer speaks the protocol.
    Opened,
    /// The peer does not speak the protocol on this connection.
    Unsupported,
    Frames {
        lane: usize,
        frames: Vec<Bytes>,
    },
    Broken(Broken),
    /// The outbox has news.
    News,
}

/// What a handler is made with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) id: ConnectionId,
    pub(crate) upgrade: LaneUpgrade,
    pub(crate) lanes: usize,
    pub(crate) frame_max: usize,
    pub(crate) slot: Slot,
    pub(crate) keep_alive: bool,
}

/// Which lane a stream was asked for.
#[derive(Clone, Copy, Debug)]
pub struct OpenInfo {
    slot: Slot,
    lane: usize,
}

#[derive(Debug, Default)]
struct Outbound {
    state: OutboundState,
    reopen: Reopen,
}

#[derive(Debug, Default)]
enum OutboundState {
    #[default]
    Closed,
    Asked,
    Open(Box<LaneWriter<Stream>>),
    Unsupported,
}

/// When a lane may be opened again.
#[derive(Clone, Copy, Debug, Default)]
struct Reopen {
    not_before: Timestamp,
    ended: u32,
}

impl Handler {
    pub(crate) fn new(settings: Settings, shared: Shared, pool: Pool) -> Self {
        Self {
            settings,
            shared,
            outbound: Default::default(),
            inbound: Default::default(),
            unnamed: VecDeque::new(),
            scratch: Scratch::new(pool),
            read_first: 0,
            alarm: Alarm::default(),
            events: VecDeque::new(),
        }
    }

    fn tell(&mut self, kind: Kind) {
        self.events.push_back(HandlerEvent { slot: self.settings.slot, kind });
    }

    /// Lets go of everything that belongs to an earlier slot.
    fn follow(&mut self, view: &View) {
        self.settings.keep_alive = view.keep_alive;
        if self.settings.slot == view.slot {
            return;
        }
        self.settings.slot = view.slot;
        for outbound in &mut self.outbound {
            if !matches!(outbound.state, OutboundState::Unsupported) {
                outbound.state = OutboundState::Closed;
            }
        }
        self.inbound = Default::default();
        self.unnamed.clear();
        self.events.retain(|event| matches!(event.kind, Kind::Unsupported));
    }

    /// Writes what waits; returns a lane that is to be opened.
    fn poll_outbound(&mut self, cx: &mut Context<'_>, view: &View) -> Option<usize> {
        let mut reopen_at = None;
        for (lane, outbound) in self.outbound.iter_mut().enumerate().take(self.settings.lanes) {
            if let OutboundState::Open(writer) = &mut outbound.state {
                let has_news = match writer.poll(cx, &self.shared) {
                    Ok(waiting) => waiting.has_news,
                    Err(_) => {
                        self.shared.lane_ended(self.settings.slot, lane);
                        outbound.ended(self.shared.now());
                        true
                    }
                };
                if has_news {
                    self.events.push_back(HandlerEvent { slot: self.settings.slot, kind: Kind::News });
                }
            }
            if !matches!(outbound.state, OutboundState::Closed) || !(lane == 0 || view.waiting[lane]) {
                continue;
            }
            if outbound.reopen.may_open(&self.shared) {
                outbound.state = OutboundState::Asked;
                return Some(lane);
            }
            let at = outbound.reopen.not_before;
            reopen_at = Some(reopen_at.map_or(at, |earlier: Timestamp| earlier.min(at)));
        }
        if reopen_at.is_some() && self.alarm.poll_until(cx, reopen_at, self.shared.now()).is_ready() {
            cx.waker().wake_by_ref();
        }
        None
    }

    /// Reads the lanes in turn until one has brought something.
    fn poll_inbound(&mut self, cx: &mut Context<'_>, view: &View) -> Option<HandlerEvent> {
        let limits = BatchLimits { frame_max: self.settings.frame_max, frames: BATCH_FRAMES, bytes: BATCH_BYTES };
        let lanes = self.settings.lanes;
        for lane in (0..lanes).map(|turn| (self.read_first + turn) % lanes).filter(|lane| !view.paused[*lane]) {
            let Some(reader) = &mut self.inbound[lane] else { continue };
            let Poll::Ready(read) = reader.poll(cx, limits, &mut self.scratch) else { continue };
            let kind = match read {
                Read::Batch(frames) => {
                    self.read_first = lane + 1;
                    Kind::Frames { lane, frames }
                }
                Read::Ended => {
                    self.inbound[lane] = None;
                    continue;
                }
                Read::Broken(error) => {
                    self.inbound[lane] = None;
                    Kind::Broken(error.into())
                }
            };
            return Some(HandlerEvent { slot: self.settings.slot, kind });
        }
        None
    }

    /// Learns which lanes new streams are.
    fn poll_unnamed(&mut self, cx: &mut Context<'_>) {
        let limits = BatchLimits { frame_max: LANE_OPEN_BYTES_MAX, frames: 1, bytes: usize::MAX };
        for _ in 0..self.unnamed.len() {
            let Some(mut reader) = self.unnamed.pop_front() else { break };
            match reader.poll(cx, limits, &mut self.scratch) {
                Poll::Pending => self.unnamed.push_back(reader),
                Poll::Ready(Read::Ended) => {}
                Poll::Ready(Read::Broken(error)) => self.tell(Kind::Broken(error.into())),
                Poll::Ready(Read::Batch(frames)) => {
                    let kind = self.name(frames, reader).map_or_else(Kind::Broken, |()| Kind::Opened);
                    self.tell(kind);
                }
            }
        }
    }

    fn name(&mut self, frames: Vec<Bytes>, reader: LaneReader<Stream>) -> Result<(), Broken> {
        let frame = frames.into_iter().next().unwrap_or_default();
        let open: pb::LaneOpen = bruit_wire::decode(frame)?;
        let lane = usize::try_from(open.lane).unwrap_or(usize::MAX);
        let Some(place) = self.inbound.get_mut(..self.settings.lanes).and_then(|lanes| lanes.get_mut(lane)) else {
            return Err(Broken::UnknownLane(open.lane));
        };
        if place.is_some() {
            return Err(Broken::DoubledLane(open.lane));
        }
        *place = Some(reader);
        Ok(())
    }

    fn accept(&mut self, mut stream: Stream) {
        stream.ignore_for_keep_alive();
        if self.unnamed.len() >= self.settings.lanes {
            self.unnamed.pop_front();
            self.tell(Kind::Broken(Broken::TooManyStreams));
        }
        self.unnamed.push_back(LaneReader::new(stream));
    }

    fn opened(&mut self, mut stream: Stream, info: OpenInfo) {
        if info.slot != self.settings.slot {
            return;
        }
        stream.ignore_for_keep_alive();
        let writer = LaneWriter::new(stream, info.slot, info.lane);
        self.outbound[info.lane].state = OutboundState::Open(Box::new(writer));
        self.tell(Kind::Opened);
    }

    fn refused(&mut self, info: OpenInfo, error: &StreamUpgradeError<Infallible>) {
        if matches!(error, StreamUpgradeError::NegotiationFailed) {
            self.outbound.iter_mut().for_each(|outbound| outbound.state = OutboundState::Unsupported);
            self.tell(Kind::Unsupported);
        } else if info.slot == self.settings.slot {
            self.outbound[info.lane].ended(self.shared.now());
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = HandlerEvent;
    type InboundProtocol = LaneUpgrade;
    type OutboundProtocol = LaneUpgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = OpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<LaneUpgrade, ()> {
        SubstreamProtocol::new(self.settings.upgrade.clone(), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.settings.keep_alive
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, LaneUpgrade, LaneUpgrade, (), OpenInfo>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(inbound) => self.accept(inbound.protocol),
            ConnectionEvent::FullyNegotiatedOutbound(outbound) => self.opened(outbound.protocol, outbound.info),
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => self.refused(info, &error),
            _ => {}
        }
    }

    /// Writes before it reads: an event ends the turn, and what is queued would wait for the next one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<LaneUpgrade, OpenInfo, HandlerEvent>> {
        let view = self.shared.view(self.settings.id, self.settings.lanes, cx.waker());
        self.follow(&view);
        if view.admitted
            && view.is_writer
            && let Some(lane) = self.poll_outbound(cx, &view)
        {
            let info = OpenInfo { slot: self.settings.slot, lane };
            let protocol = SubstreamProtocol::new(self.settings.upgrade.clone(), info);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
            }
            if !view.admitted {
                return Poll::Pending;
            }
            if let Some(event) = self.poll_inbound(cx, &view) {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(event));
            }
            self.poll_unnamed(cx);
            if self.events.is_empty() {
                return Poll::Pending;
            }
        }
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Outbound {
    fn ended(&mut self, now: Timestamp) {
        self.state = OutboundState::Closed;
        let is_long_ago = now.since(self.reopen.not_before) > REOPEN_AFTER_MAX;
        let ended = if is_long_ago { 0 } else { self.reopen.ended };
        let delay = Duration::from_secs(1 << ended.min(6)).min(REOPEN_AFTER_MAX);
        self.reopen = Reopen { not_before: now.after(delay), ended: ended + 1 };
    }
}

impl Reopen {
    fn may_open(&self, shared: &Shared) -> bool {
        self.ended == 0 || self.not_before <= shared.now()
    }
}
