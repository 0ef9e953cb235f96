//! What the coupler has the engines do, with peering as it is and everything else written down.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use bruit_addr_exchange::{BookSize, PeerAddr, PeerHello};
use bruit_address_book::{Ban, BanSubject, Source};
use bruit_core::{Conduct, Endpoint, NetGroup, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{DialFailure, DialOutcome, Engine, GoodbyeReason, Hello, Origin, Output, SlotClass, Standing};
use bruit_stack::{
    Config, Coupler, Engines,
    address_book::{self, Table},
    coupling::Command,
};
use libp2p_identity::Keypair;

const T: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

/// What an engine was told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Locate { peer: PeerId, is_secret: bool },
    Hide(PeerId),
    ForgetAnswers,
    Goodbye(PeerId, GoodbyeReason),
}

struct Recorded {
    peering: Engine<u32>,
    told: Vec<Told>,
    book: BookSize,
}

impl Engines for Recorded {
    type Connection = u32;

    fn peering(&self) -> &Engine<u32> {
        &self.peering
    }
    fn dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> DialOutcome {
        self.peering.dial(endpoint, peer, standing, now)
    }
    fn visit(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> DialOutcome {
        self.peering.visit(endpoint, peer, standing, now)
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
        self.told.push(Told::Goodbye(peer, reason));
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
    fn book_counted(&mut self, book: BookSize) {
        self.book = book;
    }
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
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let valid = config.validate(NetworkId::new("test").unwrap(), "test").unwrap();
        let (local, chance) = (peer(0), Seed::from_number(1));
        let coupler = Coupler::new(&valid, local, &chance, Seed::from_number(2));
        let peering = Engine::new(valid.peering, local, chance);
        Self { coupler, engines: Recorded { peering, told: Vec::new(), book: BookSize::default() }, now: T }
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

    /// A peer does so much that is forbidden that a rule bans it.
    fn misbehaved(&mut self, number: u8) -> Vec<Told> {
        for _ in 0..40 {
            self.coupler.conduct_seen(peer(number), Conduct::BrokeProtocol);
        }
        self.drain()
    }

    fn bans(&self) -> Vec<BanSubject> {
        self.coupler.book().bans(self.now).map(|ban| ban.subject).collect()
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

#[test]
fn answers_are_forgotten_when_a_rule_bans_a_peer() {
    let mut node = Node::new();
    node.came(1, at(1));
    assert_eq!(
        node.misbehaved(1),
        [Told::ForgetAnswers, Told::Goodbye(peer(1), GoodbyeReason::Misconduct)],
        "whoever asks next is not told of it, and once is enough"
    );
    assert_eq!(node.bans(), [BanSubject::Peer(peer(1))]);
}

#[test]
fn answers_are_forgotten_when_the_operator_bans_anybody() {
    let mut node = Node::new();
    node.came(1, at(1));
    let ban = |subject, now| Ban::by_operator(subject, HOUR, now);
    let banned = ban(BanSubject::host(at(2).ip().unwrap()), node.now);
    node.coupler.ban(banned, &mut node.engines, node.now).unwrap();
    assert_eq!(node.drain(), [Told::ForgetAnswers], "it was known and may be in them; nobody is connected from there");
    let banned = ban(BanSubject::Peer(peer(1)), node.now);
    node.coupler.ban(banned, &mut node.engines, node.now).unwrap();
    assert_eq!(node.drain(), [Told::ForgetAnswers, Told::Goodbye(peer(1), GoodbyeReason::Requested)]);
}

/// Peers of one host come one after the other, and each is banned by rule.
fn banned_one_by_one(node: &mut Node, host: Endpoint, numbers: std::ops::RangeInclusive<u8>) {
    for number in numbers {
        node.came(number, host.clone());
        node.misbehaved(number);
        node.engines.peering.connection_closed(number.into(), peer(number), node.now);
        node.drain();
    }
}

#[test]
fn fault_a_host_is_banned_with_the_fifth_identity_that_came_from_it() {
    for (host, count, is_banned) in [(at(90), 4, false), (at(90), 5, true), (at(90), 6, true)] {
        let mut node = Node::new();
        banned_one_by_one(&mut node, host.clone(), 1..=count);
        let of_host = BanSubject::host(host.ip().unwrap());
        assert_eq!(node.bans().contains(&of_host), is_banned, "after {count}");
    }
}

#[test]
fn a_host_is_not_banned_for_what_came_from_others_or_for_what_is_over() {
    let mut node = Node::new();
    banned_one_by_one(&mut node, at(90), 1..=4);
    banned_one_by_one(&mut node, at(91), 5..=5);
    assert_eq!(node.bans().len(), 5, "only identities");
    node.now = node.now.after(HOUR);
    banned_one_by_one(&mut node, at(90), 6..=6);
    assert_eq!(node.bans(), [BanSubject::Peer(peer(6))]);

    let mut local = Node::new();
    banned_one_by_one(&mut local, Endpoint::tcp([192, 168, 1, 1].into(), 4_001), 1..=8);
    assert_eq!(local.bans().len(), 8, "a private address is many hosts'");
}

#[test]
fn fault_a_banned_host_loses_all_its_connections_but_those_that_the_operator_named() {
    let mut node = Node::new();
    node.engines.peering.add_node(at(11), Some(peer(11)), node.now);
    node.came(10, at(90));
    node.came(11, at(90));
    banned_one_by_one(&mut node, at(90), 1..=4);
    node.came(5, at(90));
    let said = node.misbehaved(5);
    let parted = |number| said.contains(&Told::Goodbye(peer(number), GoodbyeReason::Misconduct));
    assert!(parted(5) && parted(10) && !parted(11), "{said:?}");
}

#[test]
fn fault_contested_places_are_decided_where_no_feelers_go_out() {
    let book = address_book::Config { tried_buckets: 1, bucket_size: 1, ..address_book::Config::default() };
    let mut node = Node::with(Config { book, ..Config::default() });
    let ended = |node: &mut Node, command| {
        node.coupler.order(command);
        node.drain();
    };
    let holder = |node: &Node| {
        let tried: Vec<_> = node.coupler.book().entries(node.now).filter(|entry| entry.table == Table::Tried).collect();
        tried.iter().map(|entry| entry.endpoint.clone()).next()
    };
    let [first, second, third] = [1, 2, 3].map(|number| (at(number), peer(number)));
    ended(&mut node, Command::BookDialSucceeded(first.0.clone(), first.1));
    node.now = node.now.after(5 * HOUR);
    ended(&mut node, Command::BookDialSucceeded(second.0.clone(), second.1));
    assert_eq!((holder(&node), node.coupler.book().collisions()), (Some(first.0.clone()), 1));
    // The holder is dialled in the ordinary course of things.
    node.now = node.now.after(Duration::from_secs(60));
    ended(&mut node, Command::BookDialStarted(first.0.clone()));
    ended(&mut node, Command::BookDialFailed(first.0.clone()));
    assert_eq!(holder(&node), Some(first.0), "it has a minute");
    node.now = node.now.after(Duration::from_secs(61));
    ended(&mut node, Command::BookDialFailed(third.0));
    assert_eq!((holder(&node), node.coupler.book().collisions()), (Some(second.0), 0));
}

#[test]
fn a_book_that_grows_by_those_who_come_is_counted_as_one_that_grows_by_hearsay() {
    let mut node = Node::new();
    node.came(1, at(1));
    node.came(2, at(2));
    assert_eq!(node.engines.book, BookSize { entries: 2, reached: 0 });
    node.coupler.order(Command::BookDialSucceeded(at(2), peer(2)));
    node.drain();
    assert_eq!(node.engines.book, BookSize { entries: 2, reached: 1 });
    let told = vec![PeerAddr::new(None, vec![at(3)], None)];
    let source = Source::Peer { peer: peer(2), group: NetGroup::V4(1) };
    node.coupler.order(Command::BookHeard { addrs: told, source, relay: false });
    node.drain();
    assert_eq!(node.engines.book, BookSize { entries: 3, reached: 1 });
}

#[test]
fn fault_many_who_rest_do_not_hide_the_few_who_do_not() {
    let mut node = Node::new();
    // All but eight were dialled and turned out to be of another network: they are left alone for an hour.
    for number in 0..112 {
        node.now = node.now.after(Duration::from_secs(1));
        let peering = &mut node.engines.peering;
        assert_eq!(peering.dial(at(number), None, Standing::Reached, node.now), DialOutcome::Started);
        peering.connection_established(number.into(), peer(number + 1), Origin::Dialled(at(number)), node.now);
        let hello = Hello { network: "other".into(), ..Hello::default() };
        peering.hello_answered(peer(number + 1), hello, node.now);
        peering.connection_closed(number.into(), peer(number + 1), node.now);
        while peering.poll_output().is_some() {}
    }
    node.now = node.now.after(Duration::from_secs(10));
    let told = (0..120).map(|number| PeerAddr::new(None, vec![at(number)], None)).collect();
    let source = Source::Peer { peer: peer(200), group: NetGroup::V4(1) };
    node.coupler.order(Command::BookHeard { addrs: told, source, relay: false });
    node.drain();
    let dialled: Vec<_> = node.engines.peering.dials().map(|(endpoint, _)| endpoint.clone()).collect();
    assert_eq!(dialled, (112..120).map(at).collect::<Vec<_>>());
}

/// Somebody tells of ports of a host, all of them dead; those that are dialled fail, and once more when they may be tried again.
fn told_of_dead_ports(node: &mut Node, host: [u8; 4], by: u16, count: u16) {
    let dead = (1..=count).map(|number| PeerAddr::new(None, vec![Endpoint::tcp(host.into(), 20_000 + number)], None));
    let source = Source::Peer { peer: peer(200), group: NetGroup::V4(by) };
    node.coupler.order(Command::BookHeard { addrs: dead.collect(), source, relay: false });
    node.drain();
    for _ in 0..60 {
        in_vain(node);
        node.now = node.now.after(Duration::from_secs(1));
        node.engines.peering.handle_timeout(node.now);
        node.drain();
    }
    in_vain(node);
}

fn in_vain(node: &mut Node) {
    for endpoint in dialled(node) {
        node.engines.peering.dial_failed(&endpoint, DialFailure::Unreachable, node.now);
        node.drain();
    }
}

fn dialled(node: &Node) -> Vec<Endpoint> {
    node.engines.peering.dials().map(|(endpoint, _)| endpoint.clone()).collect()
}

/// Whether an endpoint is dialled within ten minutes.
fn is_dialled_soon(node: &mut Node, endpoint: &Endpoint) -> bool {
    for _ in 0..600 {
        if dialled(node).contains(endpoint) {
            return true;
        }
        in_vain(node);
        node.now = node.now.after(Duration::from_secs(1));
        node.engines.peering.handle_timeout(node.now);
        node.drain();
    }
    false
}

#[test]
fn fault_dead_ports_at_its_address_do_not_hide_who_was_reached() {
    let mut node = Node::new();
    told_of_dead_ports(&mut node, [8, 1, 1, 1], 66, 1_000);
    node.coupler.order(Command::BookDialSucceeded(at(1), peer(1)));
    node.drain();
    assert!(is_dialled_soon(&mut node, &at(1)));
}

#[test]
fn fault_dead_ports_that_one_tells_of_do_not_hide_whom_another_tells_of() {
    let mut node = Node::new();
    told_of_dead_ports(&mut node, [8, 1, 1, 1], 66, 1_000);
    let honest = vec![PeerAddr::new(Some(peer(1)), vec![at(1)], None)];
    let source = Source::Peer { peer: peer(2), group: NetGroup::V4(2) };
    node.coupler.order(Command::BookHeard { addrs: honest, source, relay: false });
    node.drain();
    assert!(is_dialled_soon(&mut node, &at(1)));
}
