//! The children as the coupler drives them. They have clocks of their own.

use bruit_addr_exchange::{BookSize, PeerAddr, PeerHello};
use bruit_core::{Endpoint, PeerId, Timestamp};
use bruit_peering::{DialOutcome, Engine, GoodbyeReason, Standing};
use libp2p_swarm::ConnectionId;

use super::Children;
use crate::Engines;

impl Engines for Children {
    type Connection = ConnectionId;

    fn peering(&self) -> &Engine<ConnectionId> {
        self.peering.engine()
    }

    fn dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, _: Timestamp) -> DialOutcome {
        self.peering.dial(endpoint, peer, standing)
    }

    fn visit(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, _: Timestamp) -> DialOutcome {
        self.peering.visit(endpoint, peer, standing)
    }

    fn delivered_first(&mut self, peer: PeerId, _: Timestamp) {
        self.peering.delivered_first(&peer);
    }

    fn holders(&self, peer: &PeerId) -> usize {
        self.exchange.exchange().holders(peer)
    }

    fn candidates_exhausted(&mut self, _: Timestamp) {
        self.peering.candidates_exhausted();
    }

    fn addresses_learned(&mut self, _: Timestamp) {
        self.peering.addresses_learned();
    }

    fn addresses_told(&mut self, peer: PeerId, _: Timestamp) {
        self.peering.addresses_told(peer);
    }

    fn say_goodbye(&mut self, peer: PeerId, reason: GoodbyeReason, _: Timestamp) {
        self.peering.say_goodbye(peer, reason);
    }

    fn admit(&mut self, peer: PeerId, _: Timestamp) {
        self.exchange.admit(&peer);
        self.rpc.admit(peer);
        self.gossip.admit(peer);
        self.gossip.set_keep_alive(peer, true);
    }

    fn admit_quietly(&mut self, peer: PeerId, _: Timestamp) {
        self.rpc.admit(peer);
        self.gossip.admit(peer);
        self.gossip.set_keep_alive(peer, true);
    }

    fn dismiss(&mut self, peer: PeerId, _: Timestamp) {
        self.exchange.dismiss(&peer);
        self.rpc.dismiss(peer);
        self.gossip.dismiss(peer);
        self.gossip.set_keep_alive(peer, false);
    }

    fn ask(&mut self, peer: PeerId, _: Timestamp) {
        let _ = self.exchange.ask(&peer);
    }

    fn relay(&mut self, from: PeerId, addrs: Vec<PeerAddr>, _: Timestamp) {
        self.exchange.relay(&from, addrs);
    }

    fn locate(&mut self, peer: PeerId, hello: PeerHello, is_secret: bool, _: Timestamp) {
        if is_secret {
            self.exchange.hide(&peer);
        }
        self.exchange.hello_received(&peer, hello);
    }

    fn hide(&mut self, peer: PeerId) {
        self.exchange.hide(&peer);
    }

    fn more_wanted(&mut self, is_more_wanted: bool, _: Timestamp) {
        self.exchange.more_wanted(is_more_wanted);
    }

    fn book_counted(&mut self, book: BookSize) {
        self.exchange.book_counted(book);
    }

    fn forget_answers(&mut self) {
        self.exchange.forget_answers();
    }

    fn set_quality(&mut self, peer: PeerId, quality: f32) {
        self.rpc.set_quality(&peer, quality);
    }
}
