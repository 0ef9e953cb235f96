//! What survives a restart: plain records, and what changed since the last time.

use bruit_core::{Endpoint, NetGroup, PeerId, Timestamp};

use crate::{Ban, BanSubject, PartValue};

/// The version of the records that this code writes; it reads this one and older ones.
pub const FORMAT_VERSION: u32 = 2;

/// One endpoint, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EntryRecord {
    /// Where.
    pub endpoint: Endpoint,
    /// Who.
    pub peer: Option<PeerId>,
    /// Whether it stands in *tried*.
    pub is_tried: bool,
    /// The groups it was heard from: one for each place in *new*; where it was first heard from for one in *tried*.
    pub source_groups: Vec<NetGroup>,
    /// Who told of it first, if it was a peer and the entry has not been dialled yet.
    pub told_by: Option<PeerId>,
    /// Whether the peer itself named it.
    pub is_own_claim: bool,
    /// When it was first heard of.
    pub first_seen: Timestamp,
    /// When it last showed a sign of life.
    pub last_seen: Timestamp,
    /// When it was last dialled.
    pub last_attempt: Option<Timestamp>,
    /// When it was last reached.
    pub last_success: Option<Timestamp>,
    /// How many dials failed since then.
    pub failures: u32,
}

/// What is known of a peer, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PeerRecord {
    /// Who.
    pub peer: PeerId,
    /// The parts of its quality at `at`.
    pub parts: Vec<PartValue>,
    /// When this was written.
    pub at: Timestamp,
}

/// What changed since the last call: to be carried out in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Changes {
    /// The version of the records.
    pub version: u32,
    /// Entries to be written, by their endpoint.
    pub entries: Vec<EntryRecord>,
    /// Entries to be removed.
    pub entries_removed: Vec<Endpoint>,
    /// Peers to be written, by their id.
    pub peers: Vec<PeerRecord>,
    /// Peers to be removed.
    pub peers_removed: Vec<PeerId>,
    /// Bans to be written, by their subject.
    pub bans: Vec<Ban>,
    /// Bans to be removed.
    pub bans_removed: Vec<BanSubject>,
}

impl Changes {
    /// Whether there is nothing to carry out.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.entries_removed.is_empty()
            && self.peers.is_empty()
            && self.peers_removed.is_empty()
            && self.bans.is_empty()
            && self.bans_removed.is_empty()
    }

    /// What an empty storage holds after these changes.
    pub fn into_records(self) -> Records {
        Records { version: self.version, entries: self.entries, peers: self.peers, bans: self.bans }
    }
}

/// Everything that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Records {
    /// The version that wrote them.
    pub version: u32,
    /// The entries.
    pub entries: Vec<EntryRecord>,
    /// The peers.
    pub peers: Vec<PeerRecord>,
    /// The bans.
    pub bans: Vec<Ban>,
}

/// What came of restoring records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RestoreReport {
    /// Entries that are in the book again.
    pub entries: usize,
    /// How many of them are in *tried*.
    pub tried: usize,
    /// Peers whose quality is known again.
    pub peers: usize,
    /// Bans that hold again.
    pub bans: usize,
    /// Entries refused: their own address, a scope that is not allowed, a second one of the same endpoint.
    pub refused: usize,
    /// Entries whose place was taken: the tables are smaller now, or placed by another seed.
    pub displaced: usize,
    /// Peers and bans that are over, or too many.
    pub outdated: usize,
    /// A version that this code cannot read; nothing was restored.
    pub unknown_version: Option<u32>,
}
