use std::collections::BTreeSet;

use bruit_core::{PeerId, Seed, Timestamp};

use super::{index::Index, slab::Slab};
use crate::{Quality, quality::Parts};

/// How many bits a peer's number has. 28: sixteen times as many peers as there can be entries.
const PEER_BITS: u32 = 28;

/// What is known of one peer.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    /// The numbers of its entries.
    pub(crate) entries: Vec<u32>,
    pub(crate) connected_since: Option<Timestamp>,
    pub(crate) parts: Parts,
    /// When its parts last changed.
    pub(crate) last_change: Timestamp,
    pub(crate) is_stored: bool,
    /// Whether storage does not know the last change yet.
    pub(crate) is_unsaved: bool,
    /// Whether the owner was not told of the last change yet.
    pub(crate) is_unreported: bool,
    is_listed: bool,
    idle_since: Option<Timestamp>,
}

impl Peer {
    /// The quality now, the present connection counted.
    pub(crate) fn quality(&self, now: Timestamp) -> Quality {
        self.parts.at(self.connected_since, now)
    }

    /// The total of the quality now.
    #[inline]
    pub(crate) fn points(&self, now: Timestamp) -> i32 {
        self.parts.total_at(self.connected_since, now)
    }
}

/// All peers, found by number or by id. Of those that are neither listed nor connected, only some are remembered.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    slab: Slab<Peer>,
    index: Index<PEER_BITS>,
    secret: Seed,
    idle: BTreeSet<(Timestamp, u32)>,
    idle_max: usize,
    /// How many have an endpoint.
    listed: usize,
}

impl Peers {
    pub(crate) fn new(idle_max: usize, secret: Seed) -> Self {
        Self { slab: Slab::new(), index: Index::new(), secret, idle: BTreeSet::new(), idle_max, listed: 0 }
    }

    pub(crate) fn find(&self, id: &PeerId) -> Option<u32> {
        self.find_hashed(hash(&self.secret, id), id)
    }

    fn find_hashed(&self, hash: u64, id: &PeerId) -> Option<u32> {
        self.index.find(hash, |number| self.slab.get(number).is_some_and(|peer| peer.id == *id))
    }

    /// The number of a peer, who is added if nothing was known of it; to be followed by [`Peers::settle`].
    pub(crate) fn find_or_add(&mut self, id: PeerId, now: Timestamp) -> u32 {
        let hash_of_id = hash(&self.secret, &id);
        if let Some(number) = self.find_hashed(hash_of_id, &id) {
            return number;
        }
        let number = self.slab.insert(Peer {
            id,
            entries: Vec::new(),
            connected_since: None,
            parts: Parts::default(),
            last_change: now,
            is_stored: false,
            is_unsaved: false,
            is_unreported: false,
            is_listed: false,
            idle_since: None,
        });
        let Self { slab, index, secret, .. } = self;
        index.insert(hash_of_id, number, |number| hash_at(slab, secret, number));
        number
    }

    /// Forgets a peer of whom nothing is left to know, or the one longest idle when there are too many; returns who was
    /// forgotten.
    pub(crate) fn settle(&mut self, number: u32) -> Option<Peer> {
        let peer = self.slab.get_mut(number)?;
        if peer.is_listed == peer.entries.is_empty() {
            peer.is_listed = !peer.is_listed;
            if peer.is_listed {
                self.listed += 1;
            } else {
                self.listed -= 1;
            }
        }
        if let Some(since) = peer.idle_since.take() {
            self.idle.remove(&(since, number));
        }
        if !peer.entries.is_empty() || peer.connected_since.is_some() {
            return None;
        }
        if peer.parts.is_neutral() {
            return self.remove(number);
        }
        peer.idle_since = Some(peer.last_change);
        self.idle.insert((peer.last_change, number));
        if self.idle.len() <= self.idle_max {
            return None;
        }
        let (_, longest_idle) = self.idle.pop_first()?;
        self.remove(longest_idle)
    }

    pub(crate) fn numbers(&self) -> u32 {
        self.slab.numbers()
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&Peer> {
        self.slab.get(number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Peer> {
        self.slab.get_mut(number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.slab.iter().map(|(_, peer)| peer)
    }

    /// How many have an endpoint.
    pub(crate) const fn listed(&self) -> usize {
        self.listed
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    fn remove(&mut self, number: u32) -> Option<Peer> {
        let Self { slab, index, secret, .. } = self;
        index.remove(hash_at(slab, secret, number), number, |number| hash_at(slab, secret, number));
        slab.remove(number)
    }
}

fn hash(secret: &Seed, id: &PeerId) -> u64 {
    secret.keyed_hash(id.as_ref().digest())
}

fn hash_at(slab: &Slab<Peer>, secret: &Seed, number: u32) -> u64 {
    slab.get(number).map_or(0, |peer| hash(secret, &peer.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn peer(number: u8) -> PeerId {
        let mut bytes = vec![0, 36, 8, 1, 18, 32];
        bytes.extend([number; 32]);
        PeerId::from_bytes(&bytes).unwrap()
    }

    fn judged(peers: &mut Peers, id: PeerId, now: Timestamp) -> Option<PeerId> {
        let number = peers.find_or_add(id, now);
        let peer = peers.get_mut(number).unwrap();
        peer.parts.judged(1_000, now);
        peer.last_change = now;
        peers.settle(number).map(|peer| peer.id)
    }

    #[test]
    fn the_longest_idle_is_forgotten_above_the_limit() {
        let ids = [peer(0), peer(1), peer(2)];
        let mut peers = Peers::new(2, Seed::from_number(1));
        assert_eq!(judged(&mut peers, ids[0], at(0)), None);
        assert_eq!(judged(&mut peers, ids[1], at(1)), None);
        assert_eq!(judged(&mut peers, ids[0], at(2)), None);
        assert_eq!(judged(&mut peers, ids[2], at(3)), Some(ids[1]));
        assert_eq!(peers.len(), 2);
    }

    #[test]
    fn a_peer_of_whom_nothing_is_known_is_forgotten_and_a_connected_one_is_not() {
        let mut peers = Peers::new(0, Seed::from_number(1));
        let number = peers.find_or_add(peer(0), at(0));
        peers.get_mut(number).unwrap().connected_since = Some(at(0));
        assert!(peers.settle(number).is_none());
        peers.get_mut(number).unwrap().connected_since = None;
        assert!(peers.settle(number).is_some());
        assert_eq!(peers.len(), 0);
    }
}
