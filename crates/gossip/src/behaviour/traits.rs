//! What the swarm and the operator know of peers besides what gossip tells.

use std::collections::{BTreeMap, BTreeSet};

use bruit_core::PeerId;

use crate::{PeerClass, PeerTraits, ShortId};

#[derive(Debug, Default)]
pub(super) struct KnownTraits {
    outbound: BTreeSet<PeerId>,
    specials: BTreeSet<PeerId>,
    classes: BTreeMap<PeerId, PeerClass>,
}

impl KnownTraits {
    pub(super) fn of(&self, peer: &PeerId) -> PeerTraits {
        PeerTraits {
            short_id: ShortId::of(&peer.to_bytes()),
            is_outbound: self.outbound.contains(peer),
            is_special: self.specials.contains(peer),
            class: self.classes.get(peer).copied().unwrap_or_default(),
        }
    }

    pub(super) fn dialled(&mut self, peer: PeerId) {
        self.outbound.insert(peer);
    }

    /// No connection to a peer is left. What the operator said of it stays.
    pub(super) fn gone(&mut self, peer: &PeerId) {
        self.outbound.remove(peer);
    }

    pub(super) fn set_special(&mut self, peer: PeerId, on: bool) {
        if on {
            self.specials.insert(peer);
        } else {
            self.specials.remove(&peer);
        }
    }

    pub(super) fn set_class(&mut self, peer: PeerId, class: PeerClass) {
        match class {
            PeerClass::Ordinary => _ = self.classes.remove(&peer),
            PeerClass::Validator => _ = self.classes.insert(peer, class),
        }
    }
}
