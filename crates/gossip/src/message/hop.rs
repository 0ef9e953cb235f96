use std::{fmt, num::NonZeroU64};

use bruit_wire::{limits, pb};
use bytes::Bytes;

/// What a copy says about the hop it is on, beside the item itself. All of it is the sender's claim.
///
/// # Security
/// Nothing here is signed, so nothing is scored by it, and no policy relies on it for coverage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// Which hop this copy is on: 1 in the copy that the origin sends, and in one that was asked for.
    pub round: u32,
    /// Why it is sent.
    pub kind: HopKind,
    /// The root of the tree that it travels on.
    pub root: Option<RootTag>,
    /// Short ids, 3 bytes each, of those whom the origin's own copies cover; at most 4,096.
    pub cover: Bytes,
}

/// Why a copy is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HopKind {
    /// Unasked.
    #[default]
    Push,
    /// It was asked for.
    Answer,
    /// It is on its stem: to be passed to one peer, and to be kept from all others.
    Stem,
}

/// The name of a tree: a number that its root has drawn, never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootTag(NonZeroU64);

/// What a peer is called in lists of neighbours: 3 bytes that all who know the peer compute alike. Two may share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId([u8; limits::SHORT_ID_BYTES]);

impl Hop {
    /// A pushed copy on a round, on no tree.
    pub const fn on_round(round: u32) -> Self {
        Self { round, kind: HopKind::Push, root: None, cover: Bytes::new() }
    }

    /// The short ids of `cover`.
    pub fn covered(&self) -> impl Iterator<Item = ShortId> {
        ShortId::list(&self.cover)
    }

    pub(super) fn of_wire(round: u32, kind: i32, root: u64, cover: Bytes) -> Self {
        let kind = match pb::HopKind::try_from(kind) {
            Ok(pb::HopKind::Answer) => HopKind::Answer,
            Ok(pb::HopKind::Stem) => HopKind::Stem,
            Ok(pb::HopKind::Push) | Err(_) => HopKind::Push,
        };
        Self { round, kind, root: RootTag::new(root), cover }
    }
}

/// A pushed copy on a round, on no tree.
impl From<u32> for Hop {
    fn from(round: u32) -> Self {
        Self::on_round(round)
    }
}

impl From<HopKind> for pb::HopKind {
    fn from(kind: HopKind) -> Self {
        match kind {
            HopKind::Push => Self::Push,
            HopKind::Answer => Self::Answer,
            HopKind::Stem => Self::Stem,
        }
    }
}

impl RootTag {
    /// Makes a tag of a number; 0 is none.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for RootTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootTag({:x})", self.0)
    }
}

impl ShortId {
    /// Makes a short id of its bytes.
    pub const fn new(bytes: [u8; limits::SHORT_ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The short id of a peer whose name is these bytes: the first of their BLAKE3 hash.
    pub fn of(name: &[u8]) -> Self {
        let hash = blake3::hash(name);
        let mut bytes = [0; limits::SHORT_ID_BYTES];
        bytes.iter_mut().zip(hash.as_bytes()).for_each(|(byte, hashed)| *byte = *hashed);
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; limits::SHORT_ID_BYTES] {
        &self.0
    }

    /// The short ids that stand one after the other in `bytes`; what is left over at the end is passed over.
    pub fn list(bytes: &[u8]) -> impl Iterator<Item = Self> {
        bytes.as_chunks().0.iter().map(|chunk| Self(*chunk))
    }

    /// Short ids one after the other.
    pub fn join(ids: impl IntoIterator<Item = Self>) -> Bytes {
        ids.into_iter().flat_map(|id| id.0).collect()
    }
}
