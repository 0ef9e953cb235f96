//! How nodes hear of each other under each profile: exchanges and address books of a whole network, with one seed address. Who
//! wants more peers dials what its book chooses; everybody answers.

use std::{collections::BTreeMap, net::IpAddr, sync::LazyLock, time::Duration};

use bruit_addr_exchange::{Asked, BookSize, Confirm, Exchange, Link, Output, PeerAddr, PeerHello, ValidConfig};
use bruit_address_book::{AddressBook, Hearsay, SampleOrder, SampleRules, Source, Wanted};
use bruit_core::{Audience, Endpoint, PeerId, Seed, Timestamp};
use bruit_stack::Profile;
use libp2p_identity::Keypair;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

struct Node {
    exchange: Exchange<usize>,
    book: AddressBook,
    /// Whom it is connected to, and whether it dialled.
    links: BTreeMap<usize, bool>,
    asked: usize,
    announced: Vec<Timestamp>,
}

struct World {
    nodes: Vec<Node>,
    exchange: ValidConfig,
    wanted: usize,
    now: Timestamp,
}

fn peer(number: usize) -> PeerId {
    static PEERS: LazyLock<Vec<PeerId>> = LazyLock::new(|| {
        let key = |number| Keypair::ed25519_from_bytes([number; 32]).unwrap();
        (0..=255).map(|number| key(number).public().to_peer_id()).collect()
    });
    PEERS[number]
}

fn number_of(endpoint: &Endpoint) -> Option<usize> {
    match endpoint.ip()? {
        IpAddr::V4(ip) => Some(ip.octets()[1].into()),
        IpAddr::V6(_) => None,
    }
}

/// Every node is in a group of its own.
fn endpoint(number: usize) -> Endpoint {
    Endpoint::tcp([20, number as u8, 1, 1].into(), 4_001)
}

impl World {
    fn new(profile: Profile, count: usize) -> Self {
        let config = profile.config();
        let exchange = config.exchange.validate().unwrap();
        let book = config.book.validate().unwrap();
        let node = |number| {
            let mut node = Node {
                exchange: Exchange::new(exchange.clone(), Seed::from_number(number as u64)),
                book: AddressBook::new(book.clone(), Seed::from_number(1_000 + number as u64)),
                links: BTreeMap::new(),
                asked: 0,
                announced: Vec::new(),
            };
            node.exchange.own_peer(peer(number));
            node.exchange.own_listens(vec![endpoint(number)]);
            node.book.own_peer(peer(number));
            if number > 0 {
                let seed = Hearsay { peer: None, endpoint: endpoint(0), last_seen: None, source: Source::Seed };
                node.book.heard(seed, START);
            }
            node
        };
        let nodes = (0..count).map(node).collect();
        Self { nodes, exchange, wanted: config.peering.outbound_target, now: START }
    }

    /// Every node has as many links as it wants to dial, or is connected to everybody.
    fn is_formed(&self) -> bool {
        let enough = self.wanted.min(self.nodes.len() - 1);
        self.nodes.iter().all(|node| node.links.len() >= enough)
    }

    fn dial(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let is_other = |endpoint: &Endpoint| {
            number_of(endpoint).filter(|other| *other != number && !node.links.contains_key(other))
        };
        let Some(choice) = node.book.select(Wanted::Any, |candidate| is_other(candidate.endpoint).is_some(), self.now)
        else {
            return;
        };
        let Some(other) = is_other(&choice.endpoint) else { return };
        node.book.dial_started(&choice.endpoint, self.now);
        node.book.dial_succeeded(&choice.endpoint, peer(other), self.now);
        for (one, two, is_dialled) in [(number, other, true), (other, number, false)] {
            let node = &mut self.nodes[one];
            node.links.insert(two, is_dialled);
            node.exchange.peer_connected(two, Link { is_dialled, seen_at: endpoint(two) }, self.now);
            node.exchange.peer_admitted(two, self.now);
            node.book.connected(peer(two), self.now);
            node.book.hello_received(peer(two), &[endpoint(two)], &endpoint(two), self.now);
            let hello = PeerHello { listens_at: vec![endpoint(two)], sees_us_at: Some(endpoint(one)) };
            node.exchange.hello_received(two, Some(peer(two)), hello, self.now);
        }
    }

    fn sample(&mut self, number: usize, except: usize) -> Vec<PeerAddr> {
        let settings = self.exchange.settings();
        let rules = SampleRules {
            least: settings.addrs_per_answer_min,
            percent: settings.answer_percent,
            most: settings.addrs_per_answer_max,
            unproven_claims: settings.confirm == Confirm::Off,
            ..SampleRules::default()
        };
        let sample = self.nodes[number].book.sample(rules, Audience::Internet, self.now);
        let others = sample.iter().filter(|known| known.peer != Some(peer(except)));
        others.map(|known| PeerAddr::new(known.peer, known.endpoints.to_vec(), Some(known.last_seen))).collect()
    }

    fn hear(&mut self, number: usize, from: usize, addrs: Vec<PeerAddr>, may_relay: bool) {
        let (node, now) = (&mut self.nodes[number], self.now);
        let source = Source::Peer { peer: peer(from), group: endpoint(from).group() };
        for addr in &addrs {
            for endpoint in addr.endpoints.iter().cloned() {
                node.book.heard(Hearsay { peer: addr.peer, endpoint, last_seen: addr.last_seen, source }, now);
            }
        }
        node.exchange.book_counted(BookSize { entries: node.book.len(), reached: node.book.counts().tried });
        if may_relay {
            node.exchange.relay(from, addrs, now);
        }
    }

    fn tell(&mut self, from: usize, to: usize, addrs: Vec<PeerAddr>) {
        let taken = self.nodes[to].exchange.unasked_received(from, addrs, self.now);
        self.hear(to, from, taken.addrs, taken.may_relay);
    }

    fn carry_out(&mut self, number: usize, output: Output<usize>) {
        let now = self.now;
        match output {
            Output::Ask(other) => {
                self.nodes[number].asked += 1;
                let answer = match self.nodes[other].exchange.asked(number, 0, now) {
                    Asked::Cached(answer) => answer,
                    Asked::Needed(_) => {
                        let sample = self.sample(other, number);
                        self.nodes[other].exchange.sampled(number, sample, now)
                    }
                    Asked::Refused(_) => Vec::new(),
                };
                let taken = self.nodes[number].exchange.answer_received(other, answer, now);
                self.hear(number, other, taken.addrs, false);
            }
            Output::AskNeighbours(other) => {
                let neighbours = self.nodes[other].exchange.neighbours_asked(number, now);
                self.nodes[number].exchange.neighbours_received(other, neighbours, now);
            }
            Output::Push { to, .. } => {
                let sample = self.sample(number, to);
                let addrs = self.nodes[number].exchange.pushed(to, sample, now);
                self.tell(number, to, addrs);
            }
            Output::Announce { to, addrs } => {
                if addrs.iter().any(|addr| addr.peer == Some(peer(number))) {
                    self.nodes[number].announced.push(now);
                }
                self.tell(number, to, addrs);
            }
            Output::Probe { peer, endpoint } => {
                self.nodes[number].exchange.probe_ended(peer, &endpoint, true, now);
                self.nodes[peer].exchange.connected_again(number, now);
            }
            Output::Confirmed { peer: other, endpoint } => {
                self.nodes[number].book.dial_succeeded(&endpoint, peer(other), now);
            }
            Output::Unconfirmed { .. } | Output::OtherFound { .. } | Output::Unreachable(_) | Output::Conduct(..) => {
                panic!("{output:?}")
            }
            Output::AskDialBack { .. } | Output::Adopted(_) | Output::Dropped(_) => {}
        }
    }

    fn second(&mut self) {
        self.now = self.now.after(Duration::from_secs(1));
        for number in 0..self.nodes.len() {
            let all = self.nodes.len() - 1;
            let node = &mut self.nodes[number];
            let dialled = node.links.values().filter(|is_dialled| **is_dialled).count();
            let is_more_wanted = dialled < self.wanted;
            node.exchange.more_wanted(is_more_wanted);
            if is_more_wanted && node.links.len() < all {
                self.dial(number);
                // Peering says that it is starved: somebody is asked.
                let links: Vec<usize> = self.nodes[number].links.keys().copied().collect();
                if let Some(other) = links.get(self.now.as_secs() as usize % links.len().max(1)) {
                    self.nodes[number].exchange.ask(*other, self.now);
                }
            }
            while let Some(output) = self.nodes[number].exchange.poll_output(self.now) {
                self.carry_out(number, output);
            }
        }
    }

    fn live(&mut self, secs: u64) {
        (0..secs).for_each(|_| self.second());
    }
}

/// Networks of 3, 16 and 50 nodes form from one seed address; the last one is given back.
fn forms(profile: Profile, within_secs: u64) -> World {
    let mut last = None;
    for count in [3, 16, 50] {
        let mut world = World::new(profile, count);
        let secs = (1..=within_secs).find(|_| {
            world.second();
            world.is_formed()
        });
        let links: Vec<_> = world.nodes.iter().map(|node| node.links.len()).collect();
        assert!(secs.is_some(), "{count} nodes: {links:?} links each after {within_secs} s");
        last = Some(world);
    }
    last.unwrap()
}

#[test]
fn profile_bruit_addresses() {
    let world = forms(Profile::Bruit, 120);
    let confirmed = world.nodes.iter().map(|node| node.book.counts().tried).min();
    assert!(confirmed >= Some(30), "who dialled a node was dialled back: {confirmed:?}");
    assert!(world.nodes.iter().all(|node| node.asked < 400), "nobody is asked without end");
}

#[test]
fn profile_factom_addresses() {
    let mut world = forms(Profile::Factom, 120);
    world.live(400);
    let before: Vec<_> = world.nodes.iter().map(|node| node.asked).collect();
    world.live(360);
    for (node, before) in world.nodes.iter().zip(before) {
        let each = (node.asked - before) as f64 / node.links.len() as f64;
        assert!((1.5..=2.6).contains(&each), "every peer is asked each 180 s: {each} times in 360 s");
    }
    let best_first =
        SampleRules { least: 128, percent: 100, most: 128, order: SampleOrder::BestFirst, ..SampleRules::default() };
    let book = &mut world.nodes[0].book.clone();
    (1..50).for_each(|number| book.judged(peer(number), number as i32 * 100, world.now));
    let best = book.sample(best_first, Audience::Internet, world.now);
    assert!(best.len() > 40);
    let points: Vec<_> = best.iter().map(|known| book.quality(&known.peer.unwrap(), world.now).total).collect();
    assert!(points.is_sorted_by(|one, two| one >= two), "best first: {points:?}");
}

#[test]
fn profile_casper_addresses() {
    let mut world = forms(Profile::Casper, 120);
    let since = world.now;
    world.live(600);
    for node in &world.nodes {
        let each = node.announced.iter().filter(|at| **at > since).count() as f64 / node.links.len() as f64;
        assert!((4.0..=6.5).contains(&each), "own address to each peer each 120 s: {each} in 600 s");
    }
}

#[test]
fn profile_horizen_addresses() {
    let world = forms(Profile::Horizen, 120);
    assert_eq!(world.exchange.settings().addrs_per_answer_max, 2_500);
    let (mut book, mut exchange) = (world.nodes[0].book.clone(), world.nodes[0].exchange.clone());
    for number in 0..12_000_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let endpoint = Endpoint::tcp([30 + high, low, 1, 1].into(), 1);
        let source = Source::Peer { peer: peer(1), group: Endpoint::tcp([40, low, 0, 1].into(), 1).group() };
        book.heard(Hearsay { peer: None, endpoint, last_seen: Some(world.now), source }, world.now);
    }
    let rules = SampleRules { least: 32, percent: 23, most: 2_500, ..SampleRules::default() };
    let sample = book.sample(rules, Audience::Internet, world.now);
    assert!((1_800..=2_500).contains(&sample.len()), "{}", sample.len());
    exchange.peer_connected(200, Link { is_dialled: false, seen_at: endpoint(200) }, world.now);
    exchange.peer_admitted(200, world.now);
    let addrs = |count: u16| {
        (0..count).map(|port| PeerAddr::new(None, vec![Endpoint::tcp([9, 9, 9, 9].into(), port + 1)], None))
    };
    let later = world.now.after(Duration::from_secs(40 * 3_600));
    assert!(matches!(exchange.asked(200, 0, later), Asked::Needed(_)));
    assert_eq!(exchange.sampled(200, addrs(2_501).collect(), later).len(), 2_500);
    assert!(matches!(exchange.asked(200, 0, later), Asked::Refused(_)), "once a connection");
}

#[test]
fn profile_ironfish_addresses() {
    let mut world = World::new(Profile::Ironfish, 50);
    // A newcomer in a network that stands: it is told before it asks.
    world.live(120);
    assert!(world.is_formed());
    forms(Profile::Ironfish, 120);
    let config = Profile::Ironfish.config().exchange;
    assert!(config.push_peers_on_connect && config.ask_first_secs == 60);
    let mut newcomer = World::new(Profile::Ironfish, 3);
    newcomer.dial(1);
    let output = newcomer.nodes[1].exchange.poll_output(newcomer.now);
    assert_eq!(output, None, "it asks nothing first");
    let pushes: Vec<_> = std::iter::from_fn(|| newcomer.nodes[0].exchange.poll_output(newcomer.now)).collect();
    assert!(pushes.contains(&Output::Push { to: 1, audience: Audience::Internet }), "{pushes:?}");
    let holders: usize = (0..50).map(|number| world.nodes[0].exchange.holders(&number)).sum();
    assert!(holders > 0, "two hops are known");
}
