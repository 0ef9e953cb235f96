//! What the coupler has the engines do, with peering as it is and everything else written down.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_addr_exchange::{PeerAddr, PeerHello};
use bruit_core::{Endpoint, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{DialOutcome, Engine, GoodbyeReason, Hello, Origin, Output, SlotClass};
use bruit_stack::{Config, Coupler, Engines};
use libp2p_identity::Keypair;

const T: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What an engine was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Locate { peer: PeerId, is_secret: bool },
    Hide(PeerId),
    ForgetAnswers,
}

struct Recorded {
    peering: Engine<u32>,
    told: Vec<Told>,
}

impl Engines for Recorded {
    type Connection = u32;

    fn peering(&self) -> &Engine<u32> {
        &self.peering
    }
    fn dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>, now: Timestamp) -> DialOutcome {
        self.peering.dial(endpoint, peer, now)
    }
    fn visit(&mut self, endpoint: Endpoint, peer: Option<PeerId>, now: Timestamp) -> DialOutcome {
        self.peering.visit(endpoint, peer, now)
    }
    fn delivered_first(&mut self, peer: PeerId, now: Timestamp) {
        self.peering.delivered_first(&peer, now);
    }
    fn candidates_exhausted(&mut self, now: Timestamp) {
        self.peering.candidates_exhausted(now);
    }
    fn addresses_learned(&mut self, now: Timestamp) {
        self.peering.addresses_learned(now);
    }
    fn say_goodbye(&mut self, peer: PeerId, reason: GoodbyeReason, now: Timestamp) {
        self.peering.say_goodbye(peer, reason, now);
    }
    fn admit(&mut self, _: PeerId, _: Timestamp) {}
    fn admit_quietly(&mut self, _: PeerId, _: Timestamp) {}
    fn dismiss(&mut self, _: PeerId, _: Timestamp) {}
    fn addresses_told(&mut self, peer: PeerId, _: Timestamp) {
        self.peering.addresses_told(peer);
    }
    fn ask(&mut self, _: PeerId, _: Timestamp) {}
    fn relay(&mut self, _: PeerId, _: Vec<PeerAddr>, _: Timestamp) {}
    fn locate(&mut self, peer: PeerId, _: PeerHello, is_secret: bool, _: Timestamp) {
        self.told.push(Told::Locate { peer, is_secret });
    }
    fn hide(&mut self, peer: PeerId) {
        self.told.push(Told::Hide(peer));
    }
    fn more_wanted(&mut self, _: bool, _: Timestamp) {}
    fn book_counted(&mut self, _: usize) {}
    fn forget_answers(&mut self) {
        self.told.push(Told::ForgetAnswers);
    }
    fn set_quality(&mut self, _: PeerId, _: f32) {}
}

struct Node {
    coupler: Coupler,
    engines: Recorded,
    now: Timestamp,
}

fn peer(number: u8) -> PeerId {
    Keypair::ed25519_from_bytes([number; 32]).unwrap().public().to_peer_id()
}

/// Every peer is on a host, and in a group, of its own.
fn at(number: u8) -> Endpoint {
    Endpoint::tcp([8, number, 1, 1].into(), 4_001)
}

impl Node {
    fn new() -> Self {
        let valid = Config::default().validate(NetworkId::new("test").unwrap(), "test").unwrap();
        let (local, chance) = (peer(0), Seed::from_number(1));
        let coupler = Coupler::new(&valid, local, &chance, Seed::from_number(2));
        let peering = Engine::new(valid.peering, local, chance);
        Self { coupler, engines: Recorded { peering, told: Vec::new() }, now: T }
    }

    /// Passes on what peering says until nothing is left, and returns what the others were told.
    fn drain(&mut self) -> Vec<Told> {
        loop {
            while self.coupler.carry_out_next(&mut self.engines, self.now) {}
            match self.engines.peering.poll_output() {
                Some(Output::Event(event)) => self.coupler.peering_said(&event, &mut self.engines, self.now),
                Some(
                    Output::Dial { .. }
                    | Output::SendHello { .. }
                    | Output::SendPing { .. }
                    | Output::SendGoodbye { .. }
                    | Output::Close { .. },
                ) => {}
                None => return std::mem::take(&mut self.engines.told),
            }
        }
    }

    /// A peer comes, from a host.
    fn came(&mut self, number: u8, from: Endpoint) -> Vec<Told> {
        let hello = Hello { network: "test".into(), listen: vec![at(number)], ..Hello::default() };
        self.engines.peering.connection_established(number.into(), peer(number), Origin::Accepted(from), self.now);
        self.engines.peering.hello_received(peer(number), hello, self.now);
        self.drain()
    }
}

#[test]
fn a_peer_that_is_named_while_it_is_connected_is_hidden_at_once() {
    let mut node = Node::new();
    assert_eq!(node.came(1, at(1)), [Told::Locate { peer: peer(1), is_secret: false }]);
    node.engines.peering.add_node(at(1), Some(peer(1)), node.now);
    assert_eq!(node.drain(), [Told::Hide(peer(1)), Told::ForgetAnswers]);
}

#[test]
fn a_manual_peer_that_comes_from_its_named_host_is_located_in_secret() {
    let mut node = Node::new();
    node.engines.peering.add_node(at(1), None, node.now);
    assert_eq!(node.came(1, at(1)), [Told::Locate { peer: peer(1), is_secret: true }]);
    assert_eq!(node.engines.peering.class_of(&peer(1)), Some(SlotClass::Manual));
}
