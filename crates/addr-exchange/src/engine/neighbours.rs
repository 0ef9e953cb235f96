//! Whom peers are connected to: two hops of the network.

use std::{collections::BTreeSet, time::Duration};

use bruit_core::Timestamp;

use super::{Exchange, Output, around};

/// For how long the same neighbours are told. An hour: a guess; who asks often learns no more.
const NEIGHBOURS_SAME_FOR_SECS: u64 = 3_600;

impl<P: Copy + Ord> Exchange<P> {
    /// Tells that a peer asks for neighbours, and returns what it is told: nothing, or some of those who are connected, the same
    /// ones for an hour.
    ///
    /// # Security
    /// Who is connected to whom is worth knowing to whoever wants to cut a node off. By default only peers that this node chose
    /// and dialled are told.
    pub fn neighbours_asked(&mut self, peer: P, now: Timestamp) -> Vec<P> {
        let settings = self.config.settings();
        let pause = Duration::from_secs(settings.neighbours_pause_secs);
        let Some(state) = self.peers.get_mut(&peer) else { return Vec::new() };
        let is_early = state.neighbours_told.is_some_and(|told| now.since(told) < pause);
        if is_early || !state.may_know_neighbours(settings) {
            return Vec::new();
        }
        state.neighbours_told = Some(now);
        let hour = now.as_secs() / NEIGHBOURS_SAME_FOR_SECS;
        let others =
            self.peers.iter().filter(|(other, state)| **other != peer && state.is_admitted && !state.is_hidden);
        let mut ranked: Vec<(u64, P)> = others.map(|(other, state)| (self.rank(hour, state.token), *other)).collect();
        ranked.sort_unstable();
        ranked.truncate(settings.neighbours_max);
        ranked.into_iter().map(|(_, other)| other).collect()
    }

    /// Tells whom a peer says it is connected to, and returns what of it is kept, until the next list or the peer's end.
    ///
    /// # Security
    /// A list is a claim. It makes others look held by one peer more, and nothing else: it is never dialled.
    pub fn neighbours_received(&mut self, peer: P, neighbours: Vec<P>, _now: Timestamp) -> Vec<P> {
        let max = self.config.settings().neighbours_max;
        let Some(state) = self.peers.get_mut(&peer).filter(|state| state.is_admitted) else { return Vec::new() };
        let kept: BTreeSet<P> = neighbours.into_iter().filter(|other| *other != peer).take(max).collect();
        state.neighbours.clone_from(&kept);
        kept.into_iter().collect()
    }

    /// How many connected peers name a peer as their neighbour: one that few hold is worth more to the network.
    pub fn holders(&self, peer: &P) -> usize {
        self.peers.values().filter(|state| state.neighbours.contains(peer)).count()
    }

    /// Whom a peer says it is connected to.
    pub fn neighbours_of(&self, peer: &P) -> impl Iterator<Item = P> + '_ {
        self.peers.get(peer).into_iter().flat_map(|state| state.neighbours.iter().copied())
    }

    pub(super) fn neighbours_due(&mut self, now: Timestamp) -> Option<Output<P>> {
        let pause = Duration::from_secs(self.config.settings().neighbours_secs?);
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let (peer, state) = self.peers.iter_mut().find(|(_, state)| is_due(state.neighbours_at))?;
        state.neighbours_at = Some(now.after(around(pause, 5, &mut self.rng)));
        Some(Output::AskNeighbours(*peer))
    }

    /// An order of peers that nobody outside can predict, the same for an epoch.
    pub(super) fn rank(&self, epoch: u64, token: u64) -> u64 {
        let mut bytes = [0; 16];
        let both = epoch.to_le_bytes().into_iter().chain(token.to_le_bytes());
        bytes.iter_mut().zip(both).for_each(|(byte, value)| *byte = value);
        self.seed.keyed_hash(&bytes)
    }
}
