//! Whom a node connects to under each profile: one engine of peering, in a world where everybody answers.

use std::time::Duration;

use bruit_core::{Endpoint, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{DialOutcome, Engine, Event, Hello, Origin, Output, SlotClass};
use bruit_stack::Profile;
use libp2p_identity::Keypair;

/// A node and the world around it: every endpoint answers, unless the test says otherwise.
struct World {
    engine: Engine<u64>,
    now: Timestamp,
    connection: u64,
    /// How many endpoints there are to propose.
    known: u32,
    proposed: u32,
}

fn peer(number: u32) -> PeerId {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Keypair::ed25519_from_bytes(bytes).unwrap().public().to_peer_id()
}

/// Every endpoint is in a group of its own.
fn endpoint(number: u32) -> Endpoint {
    let [_, _, a, b] = number.to_be_bytes();
    Endpoint::tcp([20 + a, b, 1, 1].into(), 4_001)
}

fn hello() -> Hello {
    Hello { network: "test".into(), ..Hello::default() }
}

impl World {
    fn new(profile: Profile, known: u32) -> Self {
        let valid = profile.config().peering.validate(NetworkId::new("test").unwrap(), "test").unwrap();
        let engine = Engine::new(valid, peer(1_000_000), Seed::from_number(1));
        let now = Timestamp::from_secs(1_800_000_000);
        Self { engine, now, connection: 0, known, proposed: 0 }
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Event(Event::CandidatesWanted { count }) => self.propose(count),
                Output::Dial { endpoint, peer } => {
                    self.connection += 1;
                    let (connection, peer) = (self.connection, peer.unwrap());
                    self.engine.connection_established(connection, peer, Origin::Dialled(endpoint), self.now);
                    self.engine.hello_answered(peer, hello(), self.now);
                }
                Output::SendGoodbye { peer, .. } => self.engine.goodbye_ended(peer),
                Output::Close { peer, connection } => self.engine.connection_closed(connection, peer, self.now),
                Output::SendHello { .. } | Output::Event(_) => {}
            }
        }
    }

    fn propose(&mut self, count: usize) {
        for _ in 0..count {
            if self.proposed == self.known {
                return self.engine.candidates_exhausted(self.now);
            }
            self.proposed += 1;
            let number = self.proposed;
            if self.engine.dial(endpoint(number), Some(peer(number)), self.now) == DialOutcome::Enough {
                self.proposed -= 1;
                return;
            }
        }
    }

    fn live(&mut self, span: Duration) {
        let end = self.now.after(span);
        self.engine.handle_timeout(self.now);
        self.drain();
        while let Some(at) = self.engine.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Lets so many others dial this node; returns how many got a slot.
    fn accept(&mut self, count: u32) -> usize {
        for number in 10_000..10_000 + count {
            let from = endpoint(number);
            if self.engine.accepts_inbound(&from, std::iter::empty()) {
                self.connection += 1;
                self.engine.connection_established(self.connection, peer(number), Origin::Accepted(from), self.now);
                self.engine.hello_received(peer(number), hello(), self.now);
                self.drain();
            }
            self.now = self.now.after(Duration::from_secs(3));
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.engine.held(SlotClass::Inbound)
    }
}

/// How many are dialled and kept of more than enough, and how many of those who come.
fn slots(profile: Profile) -> (usize, usize) {
    let mut world = World::new(profile, 2_000);
    world.live(Duration::from_secs(600));
    (world.engine.held(SlotClass::Outbound), world.accept(600))
}

#[test]
fn profile_bruit_overlay() {
    assert_eq!(slots(Profile::Bruit), (32, 150));
}

#[test]
fn profile_factom_overlay() {
    assert_eq!(slots(Profile::Factom), (32, 150));
}

#[test]
fn profile_casper_overlay() {
    let mut world = World::new(Profile::Casper, 300);
    world.live(Duration::from_secs(60));
    assert_eq!(world.engine.held(SlotClass::Outbound), 300, "every endpoint heard of is dialled");
}

#[test]
fn profile_horizen_overlay() {
    assert_eq!(slots(Profile::Horizen), (8, 115));
}

#[test]
fn profile_ironfish_overlay() {
    assert_eq!(slots(Profile::Ironfish), (64, 192));
}
