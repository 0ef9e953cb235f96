//! Whom a node connects to under each profile: one engine of peering, in a world where everybody answers.

use std::time::Duration;

use bruit_core::{Endpoint, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{Bootstrap, DialOutcome, Engine, Event, Hello, Origin, Output, SlotClass, Standing};
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
    dials: u32,
    parted: u32,
    feelers: u32,
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
        Self { engine, now, connection: 0, known, proposed: 0, dials: 0, parted: 0, feelers: 0 }
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Event(Event::CandidatesWanted { count }) => self.propose(count),
                Output::Event(Event::FeelerWanted) => self.feelers += 1,
                Output::Event(Event::PeerDown { .. }) => self.parted += 1,
                Output::Dial { endpoint, peer } => {
                    self.dials += 1;
                    self.connection += 1;
                    let (connection, peer) = (self.connection, peer.unwrap());
                    self.engine.connection_established(connection, peer, Origin::Dialled(endpoint), self.now);
                    self.engine.hello_answered(peer, hello(), self.now);
                }
                Output::SendGoodbye { peer, .. } => self.engine.goodbye_ended(peer),
                Output::Close { peer, connection } => self.engine.connection_closed(connection, peer, self.now),
                Output::SendPing { peer, number } => self.engine.pong_received(peer, number, self.now),
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
            if self.engine.dial(endpoint(number), Some(peer(number)), Standing::Reached, self.now)
                == DialOutcome::Enough
            {
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

/// Where all dials succeed, more than the target are kept, up to the maximum.
///
/// How many are dialled and kept of more than enough, how many of them are quiet, and how many of those who come.
fn slots(profile: Profile) -> [usize; 3] {
    let mut world = World::new(profile, 2_000);
    world.live(Duration::from_secs(600));
    let (outbound, quiet) = (world.engine.held(SlotClass::Outbound), world.engine.held(SlotClass::Quiet));
    [outbound, quiet, world.accept(600)]
}

/// How many peers a full node would dial first after a restart.
fn anchors(profile: Profile) -> usize {
    let mut world = World::new(profile, 600);
    world.live(Duration::from_secs(600));
    world.engine.anchors().len()
}

/// What a full node does in so many hours without churn: dials, goodbyes, feelers.
fn still(profile: Profile, hours: u64) -> [u32; 3] {
    let mut world = World::new(profile, 2_000);
    world.live(Duration::from_secs(600));
    let before = [world.dials, world.parted, world.feelers];
    world.live(Duration::from_secs(hours * 3_600));
    let after = [world.dials, world.parted, world.feelers];
    std::array::from_fn(|index| after[index] - before[index])
}

#[test]
fn profile_bruit_overlay() {
    assert_eq!(slots(Profile::Bruit), [36, 2, 150]);
    let [dials, parted, feelers] = still(Profile::Bruit, 6);
    assert_eq!([dials, parted], [0, 0]);
    assert!((160..200).contains(&feelers), "one in two minutes, not {feelers} in six hours");
    assert_eq!(anchors(Profile::Bruit), 8, "a quarter of 32");
}

#[test]
fn profile_factom_overlay() {
    assert_eq!(slots(Profile::Factom), [36, 0, 150]);
    assert_eq!(Profile::Factom.config().peering.outbound_target, 32);
    assert_eq!(still(Profile::Factom, 24), [0, 0, 0], "who is full neither dials nor lets anybody go");
    assert!(Profile::Factom.has_ephemeral_identity());
    // Rotation is an option: it drops to 30.
    assert_eq!(Profile::Factom.config().peering.rotation_drops, 2);
}

#[test]
fn profile_casper_overlay() {
    let mut world = World::new(Profile::Casper, 300);
    world.live(Duration::from_secs(120));
    assert_eq!(world.engine.held(SlotClass::Outbound), 300, "every endpoint heard of is dialled");
    assert!(Profile::Casper.has_ephemeral_identity());
}

#[test]
fn profile_horizen_overlay() {
    assert_eq!(slots(Profile::Horizen), [8, 2, 115]);
    let [dials, parted, feelers] = still(Profile::Horizen, 6);
    assert_eq!([dials, parted], [0, 0]);
    assert!((160..200).contains(&feelers), "one in two minutes, not {feelers} in six hours");
    let mut world = World::new(Profile::Horizen, 100);
    world.live(Duration::from_secs(60));
    let anchors = world.engine.anchors();
    assert_eq!(anchors.len(), 2);
    assert!(anchors.iter().all(|(_, peer)| world.engine.class_of(peer) == Some(SlotClass::Quiet)));
}

#[test]
fn profile_ironfish_overlay() {
    assert_eq!(slots(Profile::Ironfish), [64, 0, 192]);
    assert_eq!(still(Profile::Ironfish, 2), [0, 0, 0]);
    assert_eq!(Profile::Ironfish.config().peering.bootstrap, Bootstrap::OneRandom);
    assert_eq!(anchors(Profile::Ironfish), 16);
}
