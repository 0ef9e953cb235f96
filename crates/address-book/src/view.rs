//! What the operator sees of the book.

use std::collections::BTreeMap;

use bruit_core::{Endpoint, NetGroup, PeerId, Timestamp};

use crate::{Ban, ChoiceExplanation, MethodView, Quality, Standing};

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Table {
    /// What was heard.
    New,
    /// What this node reached.
    Tried,
}

/// One endpoint of the book.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct EntryView {
    /// Where.
    pub endpoint: Endpoint,
    /// Who: proven in *tried*, claimed in *new*, `None` when nobody said or two claims differ.
    pub peer: Option<PeerId>,
    /// The part of the internet it belongs to.
    pub group: NetGroup,
    /// In which table.
    pub table: Table,
    /// In how many buckets it stands.
    pub places: usize,
    /// The part of the internet that it was first heard from.
    pub source_group: Option<NetGroup>,
    /// Who told of it first, if it was a peer.
    pub told_by: Option<PeerId>,
    /// When it was first heard of.
    pub first_seen: Timestamp,
    /// When it last showed a sign of life, as far as this node believes what it heard.
    pub last_seen: Timestamp,
    /// When it was last dialled.
    pub last_attempt: Option<Timestamp>,
    /// When it was last reached.
    pub last_success: Option<Timestamp>,
    /// How many dials failed since then.
    pub failures: u32,
    /// Whether it would be dropped when room is needed.
    pub is_terrible: bool,
    /// Whether it is kept from others.
    pub is_special: bool,
}

/// Why a peer's quality is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Explanation {
    /// The peer.
    pub peer: PeerId,
    /// Its quality; the parts add up to the total.
    pub quality: Quality,
    /// Where it can be dialled.
    pub endpoints: Vec<EntryView>,
    /// Since when it is connected.
    pub connected_since: Option<Timestamp>,
    /// How it answers calls, method by method.
    pub methods: Vec<MethodView>,
    /// What its quality means for how it is treated.
    pub standing: Standing,
    /// Whether the operator named it.
    pub is_special: bool,
    /// The ban on it, if there is one.
    pub ban: Option<Ban>,
    /// Why it was last chosen to be dialled, if that is known.
    pub last_choice: Option<ChoiceExplanation>,
}

/// A peer whose quality changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct QualityChange {
    /// The peer.
    pub peer: PeerId,
    /// Its quality now, in thousandths of a point.
    pub total: i32,
    /// What that means for how it is treated.
    pub standing: Standing,
}

/// How much the book holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries in *new*.
    pub new: usize,
    /// Entries in *tried*.
    pub tried: usize,
    /// Places held in *new*: more than entries, since one may have several.
    pub places_in_new: usize,
    /// Peers of whom something is known.
    pub peers: usize,
    /// Entries of *new* that wait for a test of who holds their place in *tried*.
    pub collisions: usize,
    /// Entries by group.
    pub groups: BTreeMap<NetGroup, usize>,
}
