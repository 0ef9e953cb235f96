//! A node's life: it joins, ends at once, and starts again with what its storage holds or without.

use bruit_core::{Endpoint, PeerId};
use bruit_stack::{Coupler, address_book::Records};

use super::{Around, Connection, Host, Parts};
use crate::network::{Content, node::send};

/// What a node finds again when it starts again.
#[derive(Clone, Debug)]
pub(in crate::network) struct Kept {
    book: Records,
    /// Whom it dials first.
    anchors: Vec<(Endpoint, PeerId)>,
}

impl Host {
    /// Ends at once: the system closes its connections. What is returned is what its storage holds.
    pub(in crate::network) fn killed(&mut self, net: &mut Around) -> Kept {
        self.is_up = false;
        let anchors = self.parts.peering.anchors();
        for (connection, Connection { node, .. }) in std::mem::take(&mut self.connections) {
            send(node, connection, Content::Close, net);
        }
        Kept { book: self.coupler.book_mut().changes().into_records(), anchors }
    }

    /// Starts again, with the same identity and other chance, and with what its storage holds or without.
    pub(in crate::network) fn rise(&mut self, kept: Option<Kept>, net: &mut Around) {
        let seed = self.seed.derive("start", net.now().as_micros());
        self.parts = Parts::new(&self.config, self.place.peer, &seed);
        self.coupler = Coupler::new(&self.config, self.place.peer, &seed, self.seed.derive("book", 0));
        self.seeds.append(&mut self.later_seeds);
        self.dialling.clear();
        self.probes.clear();
        self.pending.clear();
        self.peers.clear();
        self.asked.clear();
        self.waiting.clear();
        if let Some(Kept { book, anchors }) = kept {
            self.coupler.book_mut().restore(book, net.now());
            for (endpoint, peer) in anchors {
                _ = self.parts.peering.dial_anchor(endpoint, peer, net.now());
            }
        }
        self.join(net);
        self.settle(net);
    }

    /// Begins to look for others.
    pub(super) fn join(&mut self, net: &mut Around) {
        let now = net.now();
        (self.is_up, self.started, self.settled_after) = (true, now, None);
        if let Some(topic) = self.topic.clone() {
            _ = self.parts.gossip.subscribe(topic);
        }
        let endpoint = self.place.endpoint.clone();
        self.coupler.book_mut().own_endpoint(endpoint.clone());
        self.parts.peering.presented(vec![endpoint.clone()], Vec::new());
        self.parts.exchange.own_listens(vec![endpoint.clone()]);
        for seed in self.seeds.iter().filter(|seed| **seed != endpoint) {
            self.parts.peering.add_seed(seed.clone(), None, now);
        }
        self.parts.peering.addresses_learned(now);
    }
}
