use bruit_core::{PeerId, Slot};
use bruit_wire::{DecodeError, FrameError};
use bytes::Bytes;

/// What links tell their owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer that is admitted speaks the protocol: our outbound stream is negotiated, or its first lane was opened.
    Up {
        /// Its number from now until `Down`.
        slot: Slot,
        /// The peer.
        peer: PeerId,
    },
    /// The peer is gone or dismissed; its slot means nothing any more.
    Down {
        /// The number it had.
        slot: Slot,
        /// The peer.
        peer: PeerId,
        /// How many frames were still queued or half written.
        frames_lost: u64,
    },
    /// Frames arrived on a lane, without their prefixes: at most 64, and no more once they have 64 KiB.
    Frames {
        /// Who sent them.
        slot: Slot,
        /// On which lane.
        lane: u32,
        /// The frames, in order. Those of at most 4 KiB share memory: keep a copy, not a slice.
        frames: Vec<Bytes>,
    },
    /// A push had been refused; now the outbox is less than half full, or the first lane's share of it.
    Writable {
        /// Whose outbox.
        slot: Slot,
        /// Which lane takes frames again.
        lane: u32,
    },
    /// Frames that were queued will not be sent.
    Lost {
        /// To whom.
        slot: Slot,
        /// How many: they expired, or were not wholly written when their stream ended.
        frames: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A peer broke a rule on a stream; that stream is closed, the connection is not.
    Broken {
        /// Its number, possibly not yet told by `Up`.
        slot: Slot,
        /// The peer.
        peer: PeerId,
        /// What it did.
        reason: Broken,
    },
}

/// How a peer broke a rule of framing or lanes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A prefix that announces no acceptable frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The first frame of a stream does not open a lane.
    #[error("the first frame opens no lane: {0}")]
    NoLaneOpen(#[from] DecodeError),
    /// The protocol has no such lane.
    #[error("lane {0} is not one of the protocol's")]
    UnknownLane(u32),
    /// The lane is open already on the same connection.
    #[error("lane {0} is open already")]
    DoubledLane(u32),
    /// More streams wait to open a lane than there are lanes; the oldest one was closed.
    #[error("too many streams wait to open a lane")]
    TooManyStreams,
}
