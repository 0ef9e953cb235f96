//! What those learn who join a network to see who is connected to whom.

use std::{collections::BTreeSet, time::Duration};

use bruit_core::PeerId;

use super::{Internet, NetworkNode, measures::overlay};
use crate::{Figures, World};

/// Nodes that do as all do, and together write down whom others name as their neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observers {
    /// How many of the honest nodes, the last ones; they join when the others are watched.
    pub nodes: u32,
    /// After how long what they know is compared with what is so.
    pub moments: Vec<Duration>,
}

/// What observers wrote down.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The first node that is an observer; `None` if none is.
    pub(super) observers_from: Option<u32>,
    edges: BTreeSet<(u32, u32)>,
}

impl Internet {
    /// Notes what a node was told of another's neighbours, if it is an observer.
    pub(super) fn neighbours_told(&mut self, to: u32, peer: &PeerId, neighbours: &[PeerId]) {
        if self.notes.observers_from.is_none_or(|from| to < from) {
            return;
        }
        let Some(node) = self.node_of(peer) else { return };
        let told: Vec<u32> = neighbours.iter().filter_map(|other| self.node_of(other)).collect();
        self.notes.edges.extend(told.into_iter().map(|other| edge(node, other)));
    }
}

/// How much of what is so among the others the observers know, and how much of what they know is no longer so.
pub(super) fn count_known(world: &World<NetworkNode>, after: Duration, figures: &mut Figures) {
    let (Some(overlay), Some(from)) = (overlay(world), world.tally().notes.observers_from) else { return };
    let is_of_others = |(a, b): &(u32, u32)| *a < from && *b < from;
    let live: BTreeSet<(u32, u32)> = overlay.edges().iter().map(|(a, b)| edge(*a, *b)).filter(is_of_others).collect();
    let known: BTreeSet<(u32, u32)> = world.tally().notes.edges.iter().copied().filter(is_of_others).collect();
    let both = live.intersection(&known).count() as u64;
    let secs = after.as_secs();
    figures.share(&format!("graph_known_after_{secs}s"), both, live.len() as u64);
    figures.share(&format!("graph_outdated_after_{secs}s"), known.len() as u64 - both, known.len() as u64);
}

fn edge(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}
