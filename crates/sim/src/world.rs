use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use bruit_core::{ChaCha8Rng, NetworkId, Seed, Slot, Timestamp};
use bruit_gossip::{
    Engine, Event, ItemId, Message, Moment, Output, Received, Rounds, Sealer, Topic, ValidConfig, Verdict,
};
use bytes::Bytes;
use rand::RngExt;

use crate::{Links, Overlay, TraceHash, trace::Trace};

/// What all nodes of a world have in common.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The settings of gossip.
    pub gossip: ValidConfig,
    /// How links carry frames.
    pub links: Links,
    /// How long an application takes to accept an item. Zero: within the same moment.
    pub verdict_delay: Duration,
}

/// A network of engines in one thread, in its own time.
///
/// It drives each engine as a behaviour does: facts and commands in, outputs out until there are none, deadlines kept. What
/// happens at the same moment happens in the order in which it was caused.
#[derive(Debug)]
pub struct World {
    nodes: Vec<Node>,
    sealer: Sealer,
    rules: Rules,
    queue: BinaryHeap<Reverse<Scheduled>>,
    sequence: u64,
    now: Timestamp,
    rng: ChaCha8Rng,
    trace: Trace,
    reach: BTreeMap<ItemId, Reach>,
    round_max: u32,
    frames_lost: u64,
    events: u64,
}

#[derive(Debug)]
struct Node {
    engine: Engine,
    links: Vec<Link>,
    timeout: Option<Timestamp>,
}

/// A link as one of its two ends sees it: its position among the links of this end is the slot of the other end here.
#[derive(Clone, Copy, Debug)]
struct Link {
    peer: u32,
    slot_at_peer: Slot,
    latency: Duration,
}

/// How far an item has come.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// How many nodes got it.
    pub receivers: u32,
    /// How many copies were sent.
    pub copies: u64,
    /// On which rounds the first copies came.
    pub first_rounds: Rounds,
    /// When the last of the receivers got it.
    pub last_delivery: Timestamp,
}

#[derive(Debug)]
struct Scheduled {
    at: Timestamp,
    sequence: u64,
    happening: Happening,
}

#[derive(Debug)]
enum Happening {
    Arrival { from: u32, to: u32, slot: Slot, message: Message },
    Verdict { node: u32, id: ItemId },
    Timeout { node: u32 },
}

impl World {
    /// Makes a network of connected nodes. What they tell each other as they connect is on its way.
    pub fn new(overlay: &Overlay, rules: &Rules, seed: &Seed, start: Timestamp) -> Self {
        let node = |(index, links)| Node {
            engine: Engine::new(rules.gossip.clone(), seed.derive("node", index)),
            links,
            timeout: None,
        };
        let links = lay(overlay, &rules.links, seed);
        let network = NetworkId::new("sim").unwrap_or_else(|_| unreachable!("the name has 3 letters"));
        let mut world = Self {
            nodes: (0..).zip(links).map(node).collect(),
            sealer: Sealer::new(&network),
            rules: rules.clone(),
            queue: BinaryHeap::new(),
            sequence: 0,
            now: start,
            rng: seed.derive("world", 0).rng(),
            trace: Trace::default(),
            reach: BTreeMap::new(),
            round_max: 0,
            frames_lost: 0,
            events: 0,
        };
        for node in 0..overlay.nodes() {
            for index in 0..overlay.neighbours(node).len() {
                world.with_engine(node, |engine, now| _ = engine.peer_connected(Slot::new(index as u32, 0), now));
            }
        }
        world
    }

    /// Lets a node subscribe.
    pub fn subscribe(&mut self, node: u32, topic: &Topic) {
        self.with_engine(node, |engine, _| _ = engine.subscribe(topic.clone()));
    }

    /// Lets a node publish; `None` if its engine refuses.
    pub fn publish(&mut self, node: u32, topic: Topic, payload: Bytes) -> Option<ItemId> {
        let moment = Moment { now: self.now, wall: self.now };
        let engine = &mut self.nodes.get_mut(node as usize)?.engine;
        let message = self.sealer.seal(engine.compose(topic, payload, self.now).ok()?, moment);
        let published = engine.publish(message, self.now).ok();
        self.drain(node);
        published
    }

    /// Lets everything happen that happens up to and at `until`; then it is that moment.
    pub fn run_until(&mut self, until: Timestamp) {
        while self.queue.peek().is_some_and(|Reverse(next)| next.at <= until)
            && let Some(Reverse(next)) = self.queue.pop()
        {
            self.now = next.at;
            self.events += 1;
            self.happen(next.happening);
        }
        self.now = self.now.max(until);
    }

    /// The present moment of this world.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The engine of a node.
    pub fn engine(&self, node: u32) -> Option<&Engine> {
        self.nodes.get(node as usize).map(|node| &node.engine)
    }

    /// How far an item has come; `None` if no copy of it was sent.
    pub fn reach_of(&self, id: &ItemId) -> Option<&Reach> {
        self.reach.get(id)
    }

    /// The most peers that one node pushed one item to.
    pub fn pushes_per_item_max(&self) -> u64 {
        self.nodes.iter().map(|node| node.engine.stats().pushes_per_item_max).max().unwrap_or(0)
    }

    /// The largest round of any copy sent.
    pub const fn round_max(&self) -> u32 {
        self.round_max
    }

    /// How many frames the links lost.
    pub const fn frames_lost(&self) -> u64 {
        self.frames_lost
    }

    /// How many events there were.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The hash over all that was delivered to engines so far.
    pub fn trace(&self) -> TraceHash {
        self.trace.hash()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrival { from, to, slot, message } => {
                self.trace.delivered(from, to, &message, self.now);
                self.arrive(to, slot, message);
            }
            Happening::Verdict { node, id } => {
                self.with_engine(node, |engine, now| _ = engine.report(id, Verdict::Accept, now));
            }
            Happening::Timeout { node } => {
                let Some(place) = self.nodes.get_mut(node as usize) else { return };
                if place.timeout != Some(self.now) {
                    return;
                }
                place.timeout = None;
                self.trace.timed_out(node, self.now);
                self.with_engine(node, Engine::handle_timeout);
            }
        }
    }

    fn arrive(&mut self, node: u32, from: Slot, message: Message) {
        match message {
            Message::Item(item) => {
                let (id, round) = (item.id(), item.round());
                let Some(place) = self.nodes.get_mut(node as usize) else { return };
                let received = match place.engine.is_known(&id) {
                    true => place.engine.copy_received(from, id, round, self.now),
                    false => place.engine.item_received(from, item, self.now),
                };
                match received {
                    Received::Pending | Received::Relayed | Received::AtLimit => self.count_first(id, round),
                    Received::Duplicate | Received::RelayedLater | Received::Refused(_) => {}
                }
                self.drain(node);
            }
            Message::Control(control) => {
                self.with_engine(node, |engine, now| _ = engine.control_received(from, control, now));
            }
        }
    }

    fn with_engine(&mut self, node: u32, call: impl FnOnce(&mut Engine, Timestamp)) {
        if let Some(place) = self.nodes.get_mut(node as usize) {
            call(&mut place.engine, self.now);
            self.drain(node);
        }
    }

    fn drain(&mut self, node: u32) {
        let mut accepted = Vec::new();
        while let Some(output) = self.nodes.get_mut(node as usize).and_then(|node| node.engine.poll_output()) {
            match output {
                Output::Send { to, message, .. } => self.send(node, to, message),
                Output::Event(Event::Item { id, deadline: Some(_), .. }) => accepted.push(id),
                // Nobody reads here, so nobody can be paused; and no application listens.
                Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => {}
            }
        }
        for id in accepted {
            if self.rules.verdict_delay.is_zero() {
                self.with_engine(node, |engine, now| _ = engine.report(id, Verdict::Accept, now));
            } else {
                self.schedule(self.now.after(self.rules.verdict_delay), Happening::Verdict { node, id });
            }
        }
        self.schedule_timeout(node);
    }

    fn schedule_timeout(&mut self, node: u32) {
        let Some(place) = self.nodes.get_mut(node as usize) else { return };
        let Some(next) = place.engine.next_timeout() else { return };
        let next = next.max(self.now);
        if place.timeout.is_none_or(|scheduled| next < scheduled) {
            place.timeout = Some(next);
            self.schedule(next, Happening::Timeout { node });
        }
    }

    fn send(&mut self, from: u32, to: Slot, message: Message) {
        let Some(link) = self.nodes.get(from as usize).and_then(|node| node.links.get(to.index())).copied() else {
            return;
        };
        if let Message::Item(item) = &message {
            self.round_max = self.round_max.max(item.round());
            self.reach_mut(item.id()).copies += 1;
        }
        if self.rules.links.loss > 0.0 && self.rng.random_bool(self.rules.links.loss) {
            self.frames_lost += 1;
            return;
        }
        let arrival = Happening::Arrival { from, to: link.peer, slot: link.slot_at_peer, message };
        self.schedule(self.now.after(link.latency), arrival);
    }

    fn count_first(&mut self, id: ItemId, round: u32) {
        let now = self.now;
        let reach = self.reach_mut(id);
        reach.receivers += 1;
        reach.first_rounds.count(round);
        reach.last_delivery = now;
    }

    fn reach_mut(&mut self, id: ItemId) -> &mut Reach {
        let nothing =
            Reach { receivers: 0, copies: 0, first_rounds: Rounds::default(), last_delivery: Timestamp::default() };
        self.reach.entry(id).or_insert(nothing)
    }

    fn schedule(&mut self, at: Timestamp, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse(Scheduled { at, sequence: self.sequence, happening }));
    }
}

/// Lays the links of all nodes, each as its node sees it.
fn lay(overlay: &Overlay, links: &Links, seed: &Seed) -> Vec<Vec<Link>> {
    let mut rng = seed.derive("links", 0).rng();
    let mut laid: Vec<Vec<Link>> = vec![Vec::new(); overlay.nodes() as usize];
    for (a, b) in overlay.edges() {
        let latency = links.latency.draw(&mut rng);
        let [at_a, at_b] = [a, b].map(|node| Slot::new(laid.get(*node as usize).map_or(0, Vec::len) as u32, 0));
        for (node, peer, slot_at_peer) in [(a, b, at_b), (b, a, at_a)] {
            if let Some(links) = laid.get_mut(*node as usize) {
                links.push(Link { peer: *peer, slot_at_peer, latency });
            }
        }
    }
    laid
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}
