use std::{collections::BTreeMap, time::Duration};

use bruit_core::{ChaCha8Rng, LookupMap, Seed, Timestamp};
use rand::RngExt;

use crate::{
    Fault, Figures, Frame, Links, Model, Node, Port, Trace, TraceHash, TraceLines,
    conditions::Conditions,
    links::exponential,
    queue::{Happens, Queue},
    wiring::Wiring,
};

/// What is between nodes: time, links, faults, and what is counted. A node sees it while something happens to it.
pub struct Net<N: Node> {
    /// What is counted.
    pub tally: N::Tally,
    here: u32,
    now: Timestamp,
    start: Timestamp,
    queue: Queue<Addressed<N>>,
    wiring: Wiring,
    links: Links,
    /// What latencies of pairs without a laid link follow from.
    pairs: Seed,
    regions: Vec<u8>,
    rng: ChaCha8Rng,
    trace: Trace,
    timeouts: Vec<Option<Timestamp>>,
    conditions: Conditions,
    /// Nothing is wrong, and nothing was: the fast way.
    is_calm: bool,
    /// When the last frame on a way arrives, where frames may not overtake and would.
    ways: LookupMap<(u32, u32), Timestamp>,
    /// Until when each node is busy sending.
    busy: Vec<Timestamp>,
    wire: Wire,
    traffic: Traffic,
    lines: Option<TraceLines>,
}

/// What the links carried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How much happened to nodes.
    pub events: u64,
    /// Frames sent.
    pub frames: u64,
    /// Frames that did not arrive.
    pub lost: u64,
    /// Frames and bytes sent, by kind; only when sizes are counted.
    pub kinds: BTreeMap<&'static str, [u64; 2]>,
    /// Bytes sent by each node; only when sizes are counted.
    pub bytes_by_node: Vec<u64>,
    /// Frames that did not survive encoding and decoding: none, or the wire is broken.
    pub garbled: u64,
}

/// What is done to each frame beside carrying it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Encode it and decode it again.
    pub is_encoded: bool,
    /// Count its bytes.
    pub is_counted: bool,
}

pub(crate) struct Addressed<N: Node> {
    to: u32,
    happening: Happening<N>,
}

impl<N: Node> Happens for Addressed<N> {
    fn whose(&self) -> u32 {
        self.to
    }
}

pub(crate) enum Happening<N: Node> {
    Arrival {
        from: u32,
        port: Port,
        message: N::Message,
    },
    /// Boxed, so that the many arrivals stay small.
    Call {
        signal: Box<N::Signal>,
    },
    Timeout,
    LinkLost {
        port: Port,
    },
    LinkFound {
        port: Port,
    },
}

impl Traffic {
    /// All of it by name.
    pub fn count_in(&self, figures: &mut Figures) {
        figures.count("events", self.events);
        figures.count("frames", self.frames);
        figures.count("frames_lost", self.lost);
        figures.count("frames_garbled", self.garbled);
        for (kind, [frames, bytes]) in &self.kinds {
            figures.count(&format!("frames_{kind}"), *frames);
            figures.count(&format!("bytes_{kind}"), *bytes);
        }
        if !self.bytes_by_node.is_empty() {
            let bytes: Vec<f64> = self.bytes_by_node.iter().map(|bytes| *bytes as f64).collect();
            figures.mean("fairness", fairness(&bytes));
            figures.spread("bytes_per_node", bytes);
        }
    }
}

/// Jain's index of fairness: 1 when all numbers are equal, 1/n when one has everything.
fn fairness(numbers: &[f64]) -> f64 {
    let (sum, squares) =
        numbers.iter().fold((0.0, 0.0), |(sum, squares), number| (sum + number, squares + number * number));
    if squares > 0.0 { sum * sum / (squares * numbers.len() as f64) } else { 1.0 }
}

impl<N: Node> Net<N> {
    pub(crate) fn new(
        nodes: u32,
        wiring: Wiring,
        links: Links,
        tally: N::Tally,
        seed: &Seed,
        start: Timestamp,
    ) -> Self {
        let (nodes, pairs) = (nodes as usize, seed.derive("pairs", 0));
        Self {
            tally,
            here: 0,
            now: start,
            start,
            queue: Queue::new(nodes),
            wiring,
            regions: links.latency.regions_of(nodes, &pairs),
            pairs,
            rng: seed.derive("world", 0).rng(),
            trace: Trace::default(),
            timeouts: vec![None; nodes],
            conditions: Conditions::default(),
            is_calm: true,
            ways: LookupMap::new(),
            busy: Vec::new(),
            wire: Wire::default(),
            traffic: Traffic::default(),
            lines: None,
            links,
        }
    }

    // what a node may do

    /// The present moment on the clock of this node, which may be wrong.
    pub fn now(&self) -> Timestamp {
        let skew = self.conditions.skew_of(self.here);
        Timestamp::from_micros(self.now.as_micros().saturating_add_signed(skew))
    }

    /// The present moment as an observer's clock shows it, which is never wrong.
    pub const fn true_now(&self) -> Timestamp {
        self.now
    }

    /// The number of this node.
    pub const fn here(&self) -> u32 {
        self.here
    }

    /// How many links this node has.
    pub fn degree(&self) -> u32 {
        self.wiring.links_of(self.here).len() as u32
    }

    /// Who is at the other end of a link.
    pub fn peer(&self, port: Port) -> Option<u32> {
        self.wiring.link(self.here, port).map(|link| link.peer)
    }

    /// Whether this node dialled who is at the other end of a link.
    pub fn is_outbound(&self, port: Port) -> bool {
        self.wiring.link(self.here, port).is_some_and(|link| link.is_outbound)
    }

    /// Sends a message over a link of this node. Without such a link nothing happens.
    pub fn send(&mut self, port: Port, message: N::Message) {
        if let Some(link) = self.wiring.link(self.here, port) {
            self.transmit(link.peer, Port(link.port_there()), link.latency(), message);
        }
    }

    /// Sends a message to a node, which sees it come over `port`. For worlds without an overlay.
    pub fn send_to(&mut self, to: u32, port: Port, message: N::Message) {
        let latency = self.latency_to(to);
        self.transmit(to, port, latency, message);
    }

    /// The latency between this node and another: always the same, and the same the other way.
    pub fn latency_to(&self, to: u32) -> Duration {
        let (low, high) = (self.here.min(to), self.here.max(to));
        let ends = [low, high].map(|node| self.regions.get(node as usize).copied().map_or(0, usize::from));
        self.links.latency.of_pair(ends, &self.pairs, u64::from(low) << 32 | u64::from(high))
    }

    /// Asks to be called at a moment on the clock of this node, not before now.
    pub fn call_at(&mut self, at: Timestamp, signal: N::Signal) {
        let (to, at) = (self.here, self.on_true_clock(at));
        self.queue.push(at, Addressed { to, happening: Happening::Call { signal: Box::new(signal) } });
    }

    /// Notes something in the trace that is neither a message nor a time-out.
    pub const fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    // what an observer sees

    /// What the links carried.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Whether a node is down.
    pub fn is_down(&self, node: u32) -> bool {
        self.conditions.down.contains(node)
    }

    /// What is done to each frame from now on.
    pub fn set_wire(&mut self, wire: Wire) {
        self.wire = wire;
        if wire.is_counted {
            self.traffic.bytes_by_node.resize(self.timeouts.len(), 0);
        }
    }

    /// Tells what happens from now on.
    pub(crate) fn set_lines(&mut self, lines: Option<TraceLines>) {
        self.lines = lines;
    }

    pub(crate) const fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    pub(crate) fn trace_hash(&self) -> TraceHash {
        self.trace.hash()
    }

    // what the world does

    pub(crate) fn enter(&mut self, node: u32) {
        self.here = node;
    }

    pub(crate) fn advance(&mut self, until: Timestamp) {
        self.now = self.now.max(until);
    }

    /// The next thing that happens to a node that is up and awake.
    pub(crate) fn next(&mut self, until: Timestamp) -> Option<(u32, Happening<N>)> {
        loop {
            let (at, Addressed { to, happening }) = self.queue.pop_until(until)?;
            self.now = at;
            if !self.is_calm {
                if self.is_down(to) {
                    if let Happening::Arrival { from, message, .. } = &happening {
                        self.lose(*from, to, message);
                    }
                    continue;
                }
                if let Some(thaw) = self.conditions.thaws(to, at) {
                    self.queue.push(thaw, Addressed { to, happening });
                    continue;
                }
            }
            match &happening {
                Happening::Arrival { from, message, .. } => {
                    self.trace.arrived(*from, to, at);
                    message.trace(&mut self.trace);
                }
                Happening::Timeout => {
                    let timeout = &mut self.timeouts[to as usize];
                    if timeout.is_none_or(|due| due > at) {
                        continue;
                    }
                    *timeout = None;
                    self.trace.timed_out(to, at);
                }
                Happening::Call { .. } | Happening::LinkLost { .. } | Happening::LinkFound { .. } => {}
            }
            self.traffic.events += 1;
            if let Some(lines) = &self.lines {
                lines.happens(at, to, &happening);
            }
            self.here = to;
            return Some((to, happening));
        }
    }

    /// To whom something comes next, as far as it is known by now; if it is a message, over which of its links, and what.
    pub(crate) fn upcoming(&self) -> impl Iterator<Item = (u32, Option<(Port, &N::Message)>)> {
        self.queue.upcoming().map(|Addressed { to, happening }| match happening {
            Happening::Arrival { port, message, .. } => (*to, Some((*port, message))),
            Happening::Call { .. } | Happening::Timeout | Happening::LinkLost { .. } | Happening::LinkFound { .. } => {
                (*to, None)
            }
        })
    }

    /// Schedules the time-out that the present node wants, if none is scheduled before it.
    pub(crate) fn keep_timeout(&mut self, wanted: Option<Timestamp>) {
        let Some(wanted) = wanted else { return };
        let (to, at) = (self.here, self.on_true_clock(wanted));
        let timeout = &mut self.timeouts[to as usize];
        if timeout.is_none_or(|due| at < due) {
            *timeout = Some(at);
            self.queue.push(at, Addressed { to, happening: Happening::Timeout });
        }
    }

    pub(crate) fn fault(&mut self, fault: &Fault) {
        self.is_calm = false;
        match fault {
            Fault::Crash { nodes, notice } => nodes.iter().for_each(|node| self.fall(*node, *notice)),
            Fault::Restart { nodes } => nodes.iter().for_each(|node| _ = self.rise(*node)),
            Fault::Freeze { nodes, span } => {
                let until = self.now.after(*span);
                self.conditions.frozen.extend(nodes.iter().map(|node| (*node, until)));
            }
            Fault::Partition { groups } => self.conditions.partition(groups.clone()),
            Fault::Heal => self.conditions.heal(),
            Fault::Cut { from, to } => self.conditions.cut(from, to),
            Fault::Slow { nodes, delay } => self.conditions.slow(nodes, *delay),
            Fault::Skew { nodes, micros } => self.conditions.skew(nodes, *micros),
        }
    }

    /// Takes a node down; its peers notice.
    fn fall(&mut self, node: u32, notice: Duration) {
        if self.is_down(node) || node as usize >= self.timeouts.len() {
            return;
        }
        self.conditions.down.insert(node);
        self.timeouts[node as usize] = None;
        for Ends { peer, port_there, latency } in self.ends_of(node) {
            let happening = Happening::LinkLost { port: Port(port_there) };
            self.queue.push(self.now.after(latency).after(notice), Addressed { to: peer, happening });
        }
    }

    /// Brings a node up again; false if it was up.
    pub(crate) fn rise(&mut self, node: u32) -> bool {
        let was_down = self.is_down(node);
        self.conditions.down.remove(node);
        was_down
    }

    /// Links a node that is back with all its peers that are up.
    pub(crate) fn link_again(&mut self, node: u32) {
        for (port, Ends { peer, port_there, latency }) in (0..).zip(self.ends_of(node)) {
            if !self.is_down(peer) {
                let at = self.now.after(latency);
                for (to, port) in [(peer, port_there), (node, port)] {
                    self.queue.push(at, Addressed { to, happening: Happening::LinkFound { port: Port(port) } });
                }
            }
        }
    }

    fn on_true_clock(&self, at: Timestamp) -> Timestamp {
        let skew = self.conditions.skew_of(self.here);
        Timestamp::from_micros(at.as_micros().saturating_add_signed(skew.saturating_neg())).max(self.now)
    }

    fn transmit(&mut self, to: u32, port: Port, latency: Duration, mut message: N::Message) {
        let from = self.here;
        self.traffic.frames += 1;
        if self.wire != Wire::default() {
            let Some(arrived) = self.examine(message) else { return };
            message = arrived;
        }
        let is_lost = self.links.loss > 0.0 && self.rng.random_bool(self.links.loss);
        if is_lost || (!self.is_calm && self.conditions.severs(from, to)) {
            return self.lose(from, to, &message);
        }
        let mut at = self.now.after(latency);
        if !self.is_calm || self.is_irregular() {
            at = self.delay(from, to, at, &message);
        }
        self.queue.push(at, Addressed { to, happening: Happening::Arrival { from, port, message } });
    }

    fn lose(&mut self, from: u32, to: u32, message: &N::Message) {
        self.traffic.lost += 1;
        if let Some(lines) = &self.lines {
            lines.lost(self.now, from, to, message);
        }
    }

    fn examine(&mut self, message: N::Message) -> Option<N::Message> {
        if self.wire.is_counted {
            let bytes = message.encoded_len() as u64;
            let kind = self.traffic.kinds.entry(message.kind()).or_default();
            kind[0] += 1;
            kind[1] += bytes;
            self.traffic.bytes_by_node[self.here as usize] += bytes;
        }
        if !self.wire.is_encoded {
            return Some(message);
        }
        let arrived = message.through_wire(self.now());
        self.traffic.garbled += u64::from(arrived.is_none());
        arrived
    }

    const fn is_irregular(&self) -> bool {
        let Links { jitter, bandwidth, model, .. } = &self.links;
        !jitter.is_zero() || bandwidth.is_some() || !matches!(model, Model::Synchronous)
    }

    /// When a frame arrives that would arrive at `at` if it had the network for itself.
    fn delay(&mut self, from: u32, to: u32, mut at: Timestamp, message: &N::Message) -> Timestamp {
        if let Some(bits_per_second) = self.links.bandwidth {
            if self.busy.is_empty() {
                self.busy = vec![self.start; self.timeouts.len()];
            }
            let bits = message.encoded_len() as u64 * 8;
            let writing = Duration::from_micros(bits.saturating_mul(1_000_000) / bits_per_second.max(1));
            let begins = self.busy[from as usize].max(self.now);
            self.busy[from as usize] = begins.after(writing);
            at = at.after(begins.after(writing).since(self.now));
        }
        at = at.after(self.conditions.delay_of(from));
        if !self.links.jitter.is_zero() {
            at = at.after(Duration::from_micros(self.rng.random_range(0..=self.links.jitter.as_micros() as u64)));
        }
        match self.links.model {
            Model::Synchronous => {}
            Model::PartiallySynchronous { calm_after, delay_max } => {
                let calm = self.start.after(calm_after);
                if self.now < calm {
                    let extra = self.rng.random_range(0..=delay_max.as_micros() as u64);
                    at = at.after(Duration::from_micros(extra)).min(calm.after(delay_max)).max(at);
                }
            }
            Model::Asynchronous { delay_mean } => at = at.after(exponential(delay_mean, &mut self.rng)),
        }
        if self.links.reorder {
            return at;
        }
        let last = self.ways.entry((from, to)).or_insert(at);
        *last = at.max(*last);
        *last
    }

    fn ends_of(&self, node: u32) -> Vec<Ends> {
        let ends = self.wiring.links_of(node).iter();
        ends.map(|link| Ends { peer: link.peer, port_there: link.port_there(), latency: link.latency() }).collect()
    }
}

struct Ends {
    peer: u32,
    port_there: u32,
    latency: Duration,
}
