use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Of the room that is left one peer gets one in so many parts. 4: a guess; when ten who read nothing have filled theirs evenly, each
/// has a fourteenth.
const ROOM_ONE_IN: usize = 4;

/// What waits for all peers of a protocol together, and how much of it one may have: the more wait, the less.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

impl Room {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes: Arc::default(), bytes_max }
    }

    /// How many bytes may wait for one peer now. Whoever asks and then adds may do so beside others, and be a frame too late.
    pub(crate) fn share(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes.load(Relaxed)) / ROOM_ONE_IN
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}
