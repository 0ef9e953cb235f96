//! Random facts and commands, also nonsense ones, against one engine.
//!
//! Invariants checked after every step:
//! 1. `PeerUp` and `PeerDown` alternate for every peer, and a peer with a slot is connected.
//! 2. Inbound slots never exceed `inbound_max`, nor `inbound_per_ip_max` per IP.
//! 3. Nobody is dialled who is connected or being dialled, and never more than `dials_max` at once, manual ones apart.
//! 4. Only connections that exist are closed, and messages go to connected peers only.
//! 5. After at most three calls of `handle_timeout(now)` the next timeout is later than `now`: the engine never spins.
//! 6. No peer stays without a slot longer than `hello_timeout` and `refused_linger` allow, if closing it works.
//! 7. The history is bounded.
//! 8. Equal inputs give equal outputs.
//! 9. What may be dialled is said beforehand, but for how many dials there may be.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use bruit_core::{Endpoint, NetGroup, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{
    Config, DialFailure, DialOutcome, Engine, Event, Goodbye, GoodbyeReason, Hearing, Hello, HelloFailure, Mode,
    Origin, Output, SlotClass, Standing, Subject,
};
use libp2p_identity::Keypair;
use proptest::prelude::*;

const TOLD: Standing = Standing::Told(NetGroup::V4(1));
const PEERS: u8 = 12;

fn peer(number: u8) -> PeerId {
    static PEERS: LazyLock<Vec<PeerId>> = LazyLock::new(|| {
        let key = |number: u8| Keypair::ed25519_from_bytes([number; 32]).unwrap();
        (0..=200).map(|number| key(number).public().to_peer_id()).collect()
    });
    PEERS[usize::from(number)]
}

fn endpoint(number: u8) -> Endpoint {
    Endpoint::tcp([127, number / 2, 0, 1].into(), 1_000 + u16::from(number))
}

fn config() -> Config {
    Config {
        outbound_target: 3,
        inbound_max: 4,
        inbound_slack: 2,
        inbound_per_ip_max: 2,
        dials_max: 2,
        history_max: 5,
        rotation_interval: Duration::from_secs(60),
        ..Config::default()
    }
}

fn hello(number: u8, network: &str, refused: bool) -> Hello {
    Hello {
        network: network.into(),
        listen: vec![endpoint(number)],
        refused: refused.then(|| Goodbye::because(GoodbyeReason::Full)),
        ..Hello::default()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Accept(u8),
    Close(u8),
    DialEnds(bool),
    HelloComes(u8, bool),
    HelloAnswered(u8, bool, bool),
    HelloFails(u8, u8),
    GoodbyeComes(u8),
    GoodbyeEnds(u8),
    Malformed(u8),
    Asks(u8, u8),
    Pong(u8),
    Visit(u8),
    Restrict(u8),
    Propose(u8, bool),
    Exhausted,
    AddSeed(u8),
    AddNode(u8),
    SayGoodbye(u8),
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..PEERS;
    prop_oneof![
        3 => number.clone().prop_map(Step::Accept),
        1 => number.clone().prop_map(Step::Close),
        4 => any::<bool>().prop_map(Step::DialEnds),
        4 => (number.clone(), prop::bool::weighted(0.9)).prop_map(|(n, right)| Step::HelloComes(n, right)),
        3 => (number.clone(), prop::bool::weighted(0.9), prop::bool::weighted(0.2))
            .prop_map(|(n, right, refused)| Step::HelloAnswered(n, right, refused)),
        1 => (number.clone(), 0..4_u8).prop_map(|(n, kind)| Step::HelloFails(n, kind)),
        1 => number.clone().prop_map(Step::GoodbyeComes),
        1 => number.clone().prop_map(Step::GoodbyeEnds),
        1 => number.clone().prop_map(Step::Malformed),
        1 => (number.clone(), 1..80_u8).prop_map(|(n, times)| Step::Asks(n, times)),
        2 => number.clone().prop_map(Step::Pong),
        2 => number.clone().prop_map(Step::Visit),
        1 => number.clone().prop_map(Step::Restrict),
        4 => (number.clone(), any::<bool>()).prop_map(|(n, known)| Step::Propose(n, known)),
        1 => Just(Step::Exhausted),
        1 => number.clone().prop_map(Step::AddSeed),
        1 => number.clone().prop_map(Step::AddNode),
        1 => number.prop_map(Step::SayGoodbye),
        4 => (1..20_000_u32).prop_map(Step::Wait),
    ]
}

struct World {
    /// The last ping that was sent.
    ping: u64,
    engine: Engine<u32>,
    now: Timestamp,
    next_connection: u32,
    connections: BTreeMap<PeerId, Vec<u32>>,
    dials: BTreeMap<Endpoint, Option<PeerId>>,
    /// Where connections lead that were dialled.
    dialled: BTreeMap<u32, Endpoint>,
    manual: BTreeSet<Endpoint>,
    up: BTreeSet<PeerId>,
    log: Vec<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self::with(config(), seed)
    }

    fn with(config: Config, seed: u64) -> Self {
        let valid = config.validate(NetworkId::new("test").unwrap(), "test").unwrap();
        Self {
            ping: 0,
            engine: Engine::new(valid, peer(200), Seed::from_number(seed)),
            now: Timestamp::from_secs(1_000),
            next_connection: 0,
            connections: BTreeMap::new(),
            dials: BTreeMap::new(),
            dialled: BTreeMap::new(),
            manual: BTreeSet::new(),
            up: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    fn connect(&mut self, peer: PeerId, origin: Origin) {
        self.next_connection += 1;
        self.connections.entry(peer).or_default().push(self.next_connection);
        if let Origin::Dialled(endpoint) = &origin {
            self.dialled.insert(self.next_connection, endpoint.clone());
        }
        self.engine.connection_established(self.next_connection, peer, origin, self.now);
    }

    fn disconnect(&mut self, peer: PeerId, connection: u32) {
        let Some(connections) = self.connections.get_mut(&peer) else { return };
        connections.retain(|other| *other != connection);
        self.dialled.remove(&connection);
        if connections.is_empty() {
            self.connections.remove(&peer);
        }
        self.engine.connection_closed(connection, peer, self.now);
    }

    fn dial_ends(&mut self, reached: bool) {
        let Some((endpoint, _)) = self.dials.pop_first() else { return };
        let number = (0..PEERS).find(|number| self::endpoint(*number) == endpoint).unwrap();
        if reached {
            self.connect(peer(number), Origin::Dialled(endpoint));
        } else {
            self.engine.dial_failed(&endpoint, DialFailure::Unreachable, self.now);
        }
    }

    fn apply(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Accept(n) => {
                let from = Endpoint::tcp([127, 0, 0, 1].into(), 50_000);
                if self.engine.accepts_inbound(&from, std::iter::empty()) {
                    self.connect(peer(n), Origin::Accepted(from));
                }
            }
            Step::Close(n) => {
                let connection = self.connections.get(&peer(n)).and_then(|all| all.last()).copied();
                self.disconnect(peer(n), connection.unwrap_or(u32::MAX));
            }
            Step::DialEnds(reached) => self.dial_ends(reached),
            Step::HelloComes(n, right) => {
                let network = if right { "test" } else { "other" };
                let answer = self.engine.hello_received(peer(n), hello(n, network, false), now);
                assert_eq!(answer.is_some(), self.connections.contains_key(&peer(n)));
                self.log.push(format!("answer {answer:?}"));
            }
            Step::HelloAnswered(n, right, refused) => {
                let network = if right { "test" } else { "other" };
                self.engine.hello_answered(peer(n), hello(n, network, refused), now);
            }
            Step::HelloFails(n, kind) => {
                let kinds =
                    [HelloFailure::Lost, HelloFailure::Malformed, HelloFailure::TimedOut, HelloFailure::Unsupported];
                self.engine.hello_failed(peer(n), kinds[usize::from(kind)], now);
            }
            Step::GoodbyeComes(n) => {
                let goodbye = Goodbye { stay_away: Duration::MAX, ..Goodbye::because(GoodbyeReason::Unknown) };
                self.engine.goodbye_received(peer(n), goodbye, now);
            }
            Step::GoodbyeEnds(n) => self.engine.goodbye_ended(peer(n)),
            Step::Malformed(n) => self.engine.malformed_received(peer(n), now),
            Step::Asks(n, times) => {
                let heard = (0..times).filter(|_| self.engine.request_received(peer(n), now) == Hearing::Heard).count();
                assert!(heard <= if self.connections.contains_key(&peer(n)) { 8 } else { 0 });
            }
            Step::Pong(n) => self.engine.pong_received(peer(n), self.ping, now),
            Step::Visit(n) => {
                let _ = self.engine.visit(endpoint(n), None, TOLD, now);
            }
            Step::Restrict(n) => {
                let mode = [Mode::Open, Mode::Open, Mode::Exclusive, Mode::ExclusiveIn][usize::from(n % 4)];
                let deny = (n > 8).then(|| Subject::Peer(peer(n - 8))).into_iter().collect();
                self.engine.reconfigure(Config { mode, deny, ..config() }, now).unwrap();
            }
            Step::Propose(n, known) => {
                let (endpoint, peer) = (endpoint(n), known.then(|| peer(n)));
                let may_dial = self.engine.may_dial(&endpoint, peer, TOLD, now);
                let outcome = self.engine.dial(endpoint, peer, TOLD, now);
                assert!(outcome == DialOutcome::Enough || may_dial == (outcome == DialOutcome::Started), "{outcome:?}");
            }
            Step::Exhausted => self.engine.candidates_exhausted(now),
            Step::AddSeed(n) => {
                self.engine.add_seed(endpoint(n), None, now);
            }
            Step::AddNode(n) => {
                self.manual.insert(endpoint(n));
                self.engine.add_node(endpoint(n), Some(peer(n)), now);
            }
            Step::SayGoodbye(n) => {
                self.engine.say_goodbye(peer(n), GoodbyeReason::Requested, now);
            }
            Step::Wait(ms) => {
                self.now = now.after(Duration::from_millis(ms.into()));
                self.engine.handle_timeout(self.now);
            }
        }
        self.drain();
        let is_due = |world: &Self| world.engine.next_timeout().is_some_and(|at| at <= world.now);
        for _ in 0..3 {
            if is_due(self) {
                self.engine.handle_timeout(self.now);
                self.drain();
            }
        }
        assert!(!is_due(self), "the engine spins");
    }

    /// When all have gone and time has passed, everybody may be dialled again.
    fn end(&mut self) {
        while let Some((peer, connection)) =
            self.connections.iter().find_map(|(peer, all)| Some((*peer, *all.first()?)))
        {
            self.disconnect(peer, connection);
        }
        while !self.dials.is_empty() {
            self.dial_ends(false);
        }
        self.engine.reconfigure(config(), self.now).unwrap();
        let later = self.now.after(Duration::from_secs(86_400));
        let may_dial = |n: &u8| {
            let known = [None, Some(peer(*n))];
            known.into_iter().all(|known| self.engine.may_dial(&endpoint(*n), known, TOLD, later))
        };
        assert_eq!((0..PEERS).find(|n| !may_dial(n)), None, "somebody is taken to be there still");
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            self.log.push(format!("{output:?}"));
            match output {
                Output::Dial { endpoint, peer } => {
                    assert!(peer.is_none_or(|peer| !self.connections.contains_key(&peer)), "dials a connected peer");
                    assert!(self.dials.insert(endpoint, peer).is_none(), "dials twice");
                    let filling = self.dials.keys().filter(|endpoint| !self.manual.contains(endpoint)).count();
                    assert!(filling <= config().dials_max, "{filling} dials at once");
                }
                Output::SendHello { peer, .. } | Output::SendGoodbye { peer, .. } => {
                    assert!(self.connections.contains_key(&peer), "message to nobody");
                }
                Output::SendPing { peer, number } => {
                    assert!(self.connections.contains_key(&peer), "ping to nobody");
                    self.ping = number;
                }
                Output::Close { peer, connection } => {
                    if self.connections.get(&peer).is_some_and(|all| all.contains(&connection)) {
                        self.disconnect(peer, connection);
                    }
                }
                Output::Event(Event::PeerUp { peer, .. }) => assert!(self.up.insert(peer), "up twice"),
                Output::Event(Event::PeerDown { peer }) => assert!(self.up.remove(&peer), "down, but not up"),
                Output::Event(_) => {}
            }
        }
    }

    fn check(&self) {
        assert!(self.up.iter().all(|peer| self.connections.contains_key(peer)), "a slot without connection");
        let held: BTreeSet<_> = self.engine.peers().filter(|view| view.class.is_some()).map(|view| view.peer).collect();
        assert_eq!(held, self.up);
        assert!(self.engine.held(SlotClass::Inbound) <= config().inbound_max);
        assert!(self.engine.held(SlotClass::Outbound) <= config().outbound_max());
        assert!(self.engine.departures().count() <= 2 * config().history_max);
        let would_dial = |at: &&Endpoint| self.engine.may_dial(at, None, TOLD, self.now);
        assert_eq!(self.dialled.values().find(would_dial), None, "somebody there is connected");
        let patience = config().hello_timeout + config().refused_linger;
        let stale = self.engine.peers().filter(|view| view.class.is_none() && view.hello.is_none());
        for view in stale {
            assert!(self.now.since(view.since) <= patience + Duration::from_secs(20), "a guest that never leaves");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_facts_keeps_the_rules(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..120)) {
        let mut worlds = [World::new(seed), World::new(seed)];
        for world in &mut worlds {
            for step in &steps {
                world.apply(step);
                world.check();
            }
            world.end();
        }
        prop_assert_eq!(&worlds[0].log, &worlds[1].log);
    }
}

#[test]
fn inbound_slots_end_at_their_limits() {
    let mut world = World::with(Config { inbound_eviction: false, ..config() }, 1);
    for n in [0, 1, 2, 4, 6, 8] {
        world.apply(&Step::Accept(n));
        world.apply(&Step::HelloComes(n, true));
    }
    assert_eq!(world.engine.held(SlotClass::Inbound), config().inbound_max);
    assert!(!world.engine.accepts_inbound(&endpoint(0), std::iter::empty()), "slack is used up");
    assert!(world.log.iter().any(|line| line.contains("Turned")), "nobody was turned away");
}

#[test]
fn one_ip_gets_no_more_than_its_share() {
    let mut world = World::new(1);
    for n in [0, 1] {
        world.apply(&Step::Accept(n));
        world.apply(&Step::HelloComes(n, true));
    }
    world.apply(&Step::Accept(11));
    let claims_the_same = hello(0, "test", false);
    let answer = world.engine.hello_received(peer(11), claims_the_same, world.now).unwrap();
    let refused = answer.refused.unwrap();
    assert_eq!(refused.reason, GoodbyeReason::Full);
    assert_eq!(refused.alternatives.len(), 2);
}

#[test]
fn both_sides_dialling_at_once_does_not_leave_them_silent() {
    let mut world = World::new(1);
    let n = (0..PEERS).find(|n| peer(*n) < peer(200)).unwrap();
    world.apply(&Step::Propose(n, true));
    world.apply(&Step::Accept(n));
    world.log.clear();
    // The other side decides which connection stays, and may close the one that its own hello went by.
    world.apply(&Step::DialEnds(true));
    assert!(world.log.iter().any(|line| line.starts_with("SendHello")), "{:?}", world.log);
    assert!(!world.log.iter().any(|line| line.starts_with("Close")), "{:?}", world.log);
}

#[test]
fn a_seed_that_said_nothing_once_is_tried_again_within_seconds() {
    let mut world = World::new(1);
    world.apply(&Step::AddSeed(0));
    world.apply(&Step::Exhausted);
    world.apply(&Step::DialEnds(true));
    world.apply(&Step::Wait(10_000));
    assert!(world.log.iter().any(|line| line.contains("Silent")), "{:?}", world.log);
    assert!(world.connections.is_empty() && world.dials.is_empty());
    world.apply(&Step::Wait(3_000));
    world.apply(&Step::Exhausted);
    assert!(world.dials.contains_key(&endpoint(0)), "{:?}", world.log);
}
