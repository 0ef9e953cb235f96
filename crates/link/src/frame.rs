use bruit_core::Timestamp;
use bytes::Bytes;

/// How many bytes a queued frame counts beside its own.
pub const FRAME_OVERHEAD: usize = 64;

/// A frame to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// On which lane.
    pub lane: u32,
    /// Before what else of the same lane.
    pub priority: Priority,
    /// When it is not worth sending any more, on the clock of the `now` it is pushed with.
    pub expires: Option<Timestamp>,
    /// Its first bytes, length prefix included.
    pub head: Bytes,
    /// The rest of it, shared between peers without a copy.
    pub body: Option<Bytes>,
    /// A queued frame of the same lane and key is replaced by this one, which takes its place and keeps its priority.
    pub replace_key: Option<u64>,
}

impl Frame {
    /// Makes a frame of normal priority that does not expire and replaces nothing; `head` is all of it, prefix included.
    pub const fn new(lane: u32, head: Bytes) -> Self {
        Self { lane, priority: Priority::Normal, expires: None, head, body: None, replace_key: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.as_ref().map_or(0, Bytes::len)
    }

    pub(crate) fn cost(&self) -> usize {
        self.len() + FRAME_OVERHEAD
    }
}

/// What goes before what on one lane. It orders what is queued, not what a write buffer or the multiplexer already has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Before everything else.
    High,
    /// In between.
    #[default]
    Normal,
    /// When nothing else waits.
    Low,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a refused frame comes back and is lost unless it is kept"]
pub enum Push {
    /// It waits to be sent.
    Queued,
    /// It took the place of so many frames of the same key.
    Replaced(u32),
    /// The outbox has no room for it; `Event::Writable` comes when it is half empty.
    Full(Frame),
    /// No peer has that slot, any more or yet.
    NoSuchPeer(Frame),
}

/// Frames and their bytes, prefixes not counted for what was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many frames.
    pub frames: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Tally {
    pub(crate) const fn is_empty(&self) -> bool {
        self.frames == 0
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.frames = self.frames.saturating_add(other.frames);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.frames = self.frames.saturating_sub(other.frames);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    pub(crate) fn count(&mut self, frame_len: usize) {
        self.add(Self { frames: 1, bytes: frame_len as u64 });
    }
}

/// What travelled on one lane since the peer's link came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Wholly handed to the multiplexer; whether the peer received it is not known.
    pub sent: Tally,
    /// Received and told.
    pub received: Tally,
}
