//! Whom a full node names: dialled at once, but never so many that one teller prevails.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use bruit_addr_exchange::{BookSize, PeerAddr, PeerHello};
use bruit_core::{Endpoint, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{DialOutcome, Engine, Event, Goodbye, GoodbyeReason, Hello, KnownPeer, Origin, Output, Standing};
use bruit_stack::{Config, Coupler, Engines};

const T: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Peering alone: who is admitted or asked is nobody's business here.
struct Peering(Engine<u32>);

impl Engines for Peering {
    type Connection = u32;

    fn peering(&self) -> &Engine<u32> {
        &self.0
    }
    fn dial(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> DialOutcome {
        self.0.dial(endpoint, peer, standing, now)
    }
    fn visit(&mut self, endpoint: Endpoint, peer: Option<PeerId>, standing: Standing, now: Timestamp) -> DialOutcome {
        self.0.visit(endpoint, peer, standing, now)
    }
    fn delivered_first(&mut self, _: PeerId, _: Timestamp) {}
    fn candidates_exhausted(&mut self, _: Timestamp) {}
    fn addresses_learned(&mut self, _: Timestamp) {}
    fn say_goodbye(&mut self, peer: PeerId, reason: GoodbyeReason, now: Timestamp) {
        self.0.say_goodbye(peer, reason, now);
    }
    fn admit(&mut self, _: PeerId, _: Timestamp) {}
    fn admit_quietly(&mut self, _: PeerId, _: Timestamp) {}
    fn dismiss(&mut self, _: PeerId, _: Timestamp) {}
    fn addresses_told(&mut self, _: PeerId, _: Timestamp) {}
    fn ask(&mut self, _: PeerId, _: Timestamp) {}
    fn relay(&mut self, _: PeerId, _: Vec<PeerAddr>, _: Timestamp) {}
    fn locate(&mut self, _: PeerId, _: PeerHello, _: bool, _: Timestamp) {}
    fn hide(&mut self, _: PeerId) {}
    fn more_wanted(&mut self, _: bool, _: Timestamp) {}
    fn book_counted(&mut self, _: BookSize) {}
    fn forget_answers(&mut self) {}
    fn set_quality(&mut self, _: PeerId, _: f32) {}
}

struct Node {
    coupler: Coupler,
    engines: Peering,
    connections: u32,
}

impl Node {
    fn new() -> Self {
        let config = Config::default().validate(NetworkId::new("test").unwrap(), "test/1").unwrap();
        let local = PeerId::random();
        let coupler = Coupler::new(&config, local, &Seed::from_number(1), Seed::from_number(2));
        let engines = Peering(Engine::new(config.peering, local, Seed::from_number(3)));
        Self { coupler, engines, connections: 0 }
    }

    /// Carries out what is to be done; the endpoints that are dialled.
    fn settle(&mut self) -> Vec<Endpoint> {
        let mut dialled = Vec::new();
        loop {
            while let Some(output) = self.engines.0.poll_output() {
                match output {
                    // Nobody is chosen from the book here.
                    Output::Event(Event::CandidatesWanted { .. }) => {}
                    Output::Event(event) => self.coupler.peering_said(&event, &mut self.engines, T),
                    Output::Dial { endpoint, .. } => dialled.push(endpoint),
                    _ => {}
                }
            }
            if !self.coupler.carry_out_next(&mut self.engines, T) {
                return dialled;
            }
        }
    }

    fn greets(&mut self, at: &Endpoint, refused: Option<Goodbye>) -> Vec<Endpoint> {
        self.connections += 1;
        let peer = PeerId::random();
        self.engines.0.connection_established(self.connections, peer, Origin::Dialled(at.clone()), T);
        self.engines.0.hello_answered(peer, Hello { network: "test".into(), refused, ..Hello::default() }, T);
        self.settle()
    }

    /// A full node names others; those of them that are dialled.
    fn is_refused(&mut self, at: &Endpoint, named: impl IntoIterator<Item = Endpoint>) -> Vec<Endpoint> {
        let alternatives =
            named.into_iter().map(|at| KnownPeer { peer: PeerId::random(), endpoints: vec![at], last_seen: None });
        let goodbye = Goodbye { alternatives: alternatives.collect(), ..Goodbye::because(GoodbyeReason::Full) };
        self.greets(at, Some(goodbye))
    }
}

fn at(group: u8, host: u8) -> Endpoint {
    Endpoint::tcp([20, group, 1, host].into(), 4_001)
}

#[test]
fn fault_full_nodes_of_one_teller_lead_to_an_eighth_at_most() {
    let mut node = Node::new();
    let mut all = Vec::new();
    // One liar with many addresses in its own network, each of which is full and names friends all over the internet.
    for host in 0..20 {
        let friends = (0..2).map(|friend| at(100 + host * 2 + friend, 1));
        for friend in node.is_refused(&at(1, host), friends) {
            assert_eq!(node.greets(&friend, None), []);
            all.push(friend);
        }
    }
    assert_eq!(all.len(), 4, "an eighth of 32: {all:?}");
}

#[test]
fn fault_whom_a_full_node_named_names_nobody() {
    let mut node = Node::new();
    let named = node.is_refused(&at(1, 1), [at(2, 1), at(3, 1), at(4, 1)]);
    assert_eq!(named, [at(2, 1), at(3, 1)]);
    assert_eq!(node.is_refused(&named[0], [at(5, 1), at(6, 1)]), []);
    assert_eq!(node.is_refused(&at(7, 1), [at(8, 1), at(9, 1)]), [at(8, 1), at(9, 1)], "others still do");
    let heard = [5, 6].map(|group| node.coupler.book().entry(&at(group, 1), T).is_some());
    assert_eq!(heard, [true, true], "they are heard of all the same");
}

#[test]
fn fault_who_is_greeted_counts_for_its_group_and_teller() {
    let mut node = Node::new();
    let [first] = &node.is_refused(&at(1, 1), [at(2, 1)])[..] else { panic!("one is dialled") };
    // The dial has led to somebody who has not answered the hello yet: the slot is as good as taken.
    node.engines.0.connection_established(9, PeerId::random(), Origin::Dialled(first.clone()), T);
    assert_eq!(node.settle(), []);
    assert_eq!(node.is_refused(&at(7, 1), [at(2, 2), at(8, 1)]), [at(8, 1)]);
}
