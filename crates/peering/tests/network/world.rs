//! Many engines and the wires between them: every message takes 50 ms, every dial 150 ms, and all know all addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bruit_core::{Endpoint, NetGroup, NetworkId, PeerId, Seed, Timestamp};
use bruit_peering::{
    Config, DepartureCause, DialFailure, Engine, Event, Goodbye, GoodbyeReason, Hearing, Hello, HelloFailure, Origin,
    Output, SlotClass, Standing,
};
use libp2p_identity::Keypair;
use rand::seq::IndexedRandom;

pub(crate) const TOLD: Standing = Standing::Told(NetGroup::V4(1));
const HOP: Duration = Duration::from_millis(50);

pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Timestamp,
    pub(crate) dials: usize,
    pub(crate) closed: usize,
    queue: BTreeMap<(Timestamp, u64), Happening>,
    connections: BTreeMap<u64, [usize; 2]>,
    number: u64,
    rng: bruit_core::ChaCha8Rng,
}

pub(crate) struct Node {
    pub(crate) peer: PeerId,
    pub(crate) endpoint: Endpoint,
    pub(crate) engine: Engine<u64>,
    pub(crate) events: Vec<(Timestamp, Event)>,
    pub(crate) is_dead: bool,
    /// Its connections stay, but it does nothing.
    pub(crate) is_frozen: bool,
}

enum Happening {
    Dialled { from: usize, endpoint: Endpoint, peer: Option<PeerId> },
    Closed { node: usize, connection: u64, peer: PeerId },
    Said { from: usize, to: usize, what: Said },
}

enum Said {
    Hello(Hello),
    HelloAnswer(Option<Hello>),
    Goodbye(Goodbye),
    GoodbyeAnswer,
    Ping(u64),
    Pong(u64),
}

pub(crate) fn peer(number: usize) -> PeerId {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Keypair::ed25519_from_bytes(bytes).unwrap().public().to_peer_id()
}

pub(crate) fn endpoint(number: usize) -> Endpoint {
    let [.., a, b] = number.to_be_bytes();
    Endpoint::tcp([20 + a, b, 1, 1].into(), 4_001)
}

impl World {
    pub(crate) fn new(count: usize, config: impl Fn(usize) -> Config) -> Self {
        let node = |number| {
            let valid = config(number).validate(NetworkId::new("test").unwrap(), "test").unwrap();
            let mut engine = Engine::new(valid, peer(number), Seed::from_number(number as u64));
            engine.presented(vec![endpoint(number)], Vec::new());
            let (events, peer, endpoint) = (Vec::new(), peer(number), endpoint(number));
            Node { peer, endpoint, engine, events, is_dead: false, is_frozen: false }
        };
        Self {
            nodes: (0..count).map(node).collect(),
            now: Timestamp::from_secs(1_800_000_000),
            dials: 0,
            closed: 0,
            queue: BTreeMap::new(),
            connections: BTreeMap::new(),
            number: 0,
            rng: Seed::from_number(99).rng(),
        }
    }

    fn put(&mut self, after: Duration, happening: Happening) {
        self.number += 1;
        self.queue.insert((self.now.after(after), self.number), happening);
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now.after(span);
        for node in 0..self.nodes.len() {
            self.drain(node);
        }
        loop {
            let living = self.nodes.iter().enumerate().filter(|(_, node)| !node.is_dead && !node.is_frozen);
            let timer = living.filter_map(|(index, node)| Some((node.engine.next_timeout()?, index))).min();
            let queued = self.queue.keys().next().map(|(at, _)| *at);
            let Some(next) = timer.map(|(at, _)| at).into_iter().chain(queued).min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            match timer.filter(|(at, _)| *at <= next) {
                Some((_, index)) => {
                    self.nodes[index].engine.handle_timeout(self.now);
                    self.drain(index);
                }
                None => {
                    let (_, happening) = self.queue.pop_first().unwrap();
                    self.happen(happening);
                }
            }
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Dialled { from, endpoint, peer } => self.dialled(from, &endpoint, peer),
            Happening::Closed { node, connection, peer } => {
                self.nodes[node].engine.connection_closed(connection, peer, now);
                self.drain(node);
            }
            Happening::Said { from, to, what } => {
                let is_linked = || self.connections.values().any(|ends| ends.contains(&from) && ends.contains(&to));
                if self.nodes[to].is_frozen || self.nodes[to].is_dead || !is_linked() {
                    return;
                }
                let sender = self.nodes[from].peer;
                let engine = &mut self.nodes[to].engine;
                if matches!(what, Said::Hello(_) | Said::Goodbye(_) | Said::Ping(_)) {
                    assert_eq!(engine.request_received(sender, now), Hearing::Heard, "nobody says too much");
                }
                let reply = match what {
                    Said::Hello(hello) => Some(Said::HelloAnswer(engine.hello_received(sender, hello, now))),
                    Said::Goodbye(goodbye) => {
                        engine.goodbye_received(sender, goodbye, now);
                        Some(Said::GoodbyeAnswer)
                    }
                    Said::Ping(number) => Some(Said::Pong(number)),
                    Said::HelloAnswer(Some(hello)) => {
                        engine.hello_answered(sender, hello, now);
                        None
                    }
                    Said::HelloAnswer(None) => {
                        engine.hello_failed(sender, HelloFailure::Malformed, now);
                        None
                    }
                    Said::GoodbyeAnswer => {
                        engine.goodbye_ended(sender);
                        None
                    }
                    Said::Pong(number) => {
                        engine.pong_received(sender, number, now);
                        None
                    }
                };
                if let Some(what) = reply {
                    self.put(HOP, Happening::Said { from: to, to: from, what });
                }
                self.drain(to);
            }
        }
    }

    fn dialled(&mut self, from: usize, endpoint: &Endpoint, expected: Option<PeerId>) {
        let now = self.now;
        let origin = Endpoint::tcp(self.nodes[from].endpoint.ip().unwrap(), 50_000);
        let there = self.nodes.iter().position(|node| !node.is_dead && node.endpoint == *endpoint);
        let dialler = self.nodes[from].peer;
        let there = there.filter(|to| {
            let engine = &self.nodes[*to].engine;
            engine.accepts_inbound(&origin, std::iter::empty())
                && engine.accepts_peer(&dialler, &origin, std::iter::empty())
        });
        match there {
            Some(to) if expected.is_none_or(|expected| expected == self.nodes[to].peer) => {
                self.number += 1;
                let connection = self.number;
                self.connections.insert(connection, [from, to]);
                let found = self.nodes[to].peer;
                let dialled = Origin::Dialled(endpoint.clone());
                self.nodes[from].engine.connection_established(connection, found, dialled, now);
                self.nodes[to].engine.connection_established(connection, dialler, Origin::Accepted(origin), now);
                self.drain(to);
            }
            Some(to) => {
                let reason = DialFailure::WrongIdentity { found: self.nodes[to].peer };
                self.nodes[from].engine.dial_failed(endpoint, reason, now);
            }
            None => self.nodes[from].engine.dial_failed(endpoint, DialFailure::Unreachable, now),
        }
        self.drain(from);
    }

    pub(crate) fn drain(&mut self, index: usize) {
        while let Some(output) = self.nodes[index].engine.poll_output() {
            match output {
                Output::Dial { endpoint, peer } => {
                    self.dials += 1;
                    self.put(HOP * 3, Happening::Dialled { from: index, endpoint, peer });
                }
                Output::SendHello { peer, hello } => self.say(index, peer, Said::Hello(hello)),
                Output::SendGoodbye { peer, goodbye } => self.say(index, peer, Said::Goodbye(goodbye)),
                Output::SendPing { peer, number } => self.say(index, peer, Said::Ping(number)),
                Output::Close { connection, .. } => self.cut(connection),
                Output::Event(event) => self.on_event(index, event),
            }
        }
    }

    fn say(&mut self, from: usize, to: PeerId, what: Said) {
        let to = self.nodes.iter().position(|node| node.peer == to).unwrap();
        self.put(HOP, Happening::Said { from, to, what });
    }

    /// Closes a connection; both sides hear of it.
    fn cut(&mut self, connection: u64) {
        let Some([a, b]) = self.connections.remove(&connection) else { return };
        self.closed += 1;
        for (node, other) in [(a, b), (b, a)] {
            let peer = self.nodes[other].peer;
            self.put(HOP, Happening::Closed { node, connection, peer });
        }
    }

    /// Takes all links of a node.
    pub(crate) fn cut_all_of(&mut self, node: usize) {
        let of_node = self.connections.iter().filter(|(_, ends)| ends.contains(&node));
        for connection in of_node.map(|(connection, _)| *connection).collect::<Vec<_>>() {
            self.cut(connection);
        }
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.cut_all_of(node);
        self.nodes[node].is_dead = true;
    }

    fn on_event(&mut self, index: usize, event: Event) {
        let now = self.now;
        if let Event::CandidatesWanted { count } = &event {
            self.propose(index, *count);
        } else if event == Event::FeelerWanted {
            let endpoint = self.nodes.choose(&mut self.rng).unwrap().endpoint.clone();
            let _ = self.nodes[index].engine.visit(endpoint, None, TOLD, now);
        }
        self.nodes[index].events.push((now, event));
    }

    fn propose(&mut self, index: usize, count: usize) {
        let known: Vec<_> = self.nodes.iter().map(|node| (node.endpoint.clone(), node.peer)).collect();
        let now = self.now;
        let chosen: Vec<_> = known.sample(&mut self.rng, count * 4).cloned().collect();
        for (endpoint, peer) in chosen {
            let _ = self.nodes[index].engine.dial(endpoint, Some(peer), TOLD, now);
        }
    }

    pub(crate) fn held(&self, node: usize, class: SlotClass) -> usize {
        self.nodes[node].engine.held(class)
    }

    /// The pairs of nodes that are linked on both sides, and how many connections each has.
    pub(crate) fn links(&self) -> BTreeMap<[usize; 2], usize> {
        let mut links = BTreeMap::new();
        for [a, b] in self.connections.values() {
            *links.entry([*a.min(b), *a.max(b)]).or_default() += 1;
        }
        links
    }

    pub(crate) fn is_linked(&self, a: usize, b: usize) -> bool {
        let holds = |a: usize, b: usize| self.nodes[a].engine.is_held(&self.nodes[b].peer);
        holds(a, b) && holds(b, a)
    }

    pub(crate) fn reasons(&self, node: usize) -> BTreeSet<GoodbyeReason> {
        let causes = self.nodes[node].engine.departures().filter_map(|departure| match &departure.cause {
            DepartureCause::Sent(goodbye) | DepartureCause::Received(goodbye) => Some(goodbye.reason),
            DepartureCause::Lost
            | DepartureCause::Stranger(_)
            | DepartureCause::Silent
            | DepartureCause::Replaced { .. } => None,
        });
        causes.collect()
    }
}
