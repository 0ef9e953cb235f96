use bruit_core::{Seed, Timestamp};

use crate::{Fault, Links, Net, Overlay, TraceHash, TraceLines, Wire, net::Happening, wiring::Wiring};

/// How many nodes are told at once that a message will come soon.
const AWAITED: usize = 16;
/// Of how much that comes next they are told at once.
const AWAITED_AT_ONCE: usize = 64;

/// What lives in a world: an engine, or a bundle of them, with whatever drives it.
///
/// A node is told what happens to it and does what it wants through [`Net`]: send, be called later, count what an observer
/// outside would count. It reads no clock but [`Net::now`] and draws no chance but from its own seed.
pub trait Node: Sized {
    /// What nodes send each other.
    type Message: Frame;
    /// What a node is called with that asked to be called later.
    type Signal;
    /// What is counted while the world runs, one for all nodes.
    type Tally;

    /// The world begins. All links of an overlay are up.
    fn started(&mut self, net: &mut Net<Self>);

    /// A message came over a link.
    fn received(&mut self, from: Port, message: Self::Message, net: &mut Net<Self>);

    /// The moment has come that this node asked for with [`Net::call_at`].
    fn called(&mut self, signal: Self::Signal, net: &mut Net<Self>);

    /// When this node wants [`timed_out`](Self::timed_out) to be called next; asked after everything that happens to it.
    fn next_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// The moment of [`next_timeout`](Self::next_timeout) has come.
    fn timed_out(&mut self, _net: &mut Net<Self>) {}

    /// A message will come soon over a link. A node may look at what it will need then; it must not change anything. Where there
    /// are more nodes than the processor's caches hold, memory is fetched for several of them at once this way.
    fn awaits(&self, _from: Port) {}

    /// The node at the other end of a link is gone.
    fn link_lost(&mut self, _port: Port, _net: &mut Net<Self>) {}

    /// The node at the other end of a link is back.
    fn link_found(&mut self, _port: Port, _net: &mut Net<Self>) {}

    /// The node has crashed and starts again; it has forgotten everything that it had only in memory.
    fn restarted(&mut self, _net: &mut Net<Self>) {}
}

/// What travels over a link.
pub trait Frame: Clone {
    /// How many bytes it has on the wire.
    fn encoded_len(&self) -> usize;

    /// Which kind of message it is, for counting bytes by kind.
    fn kind(&self) -> &'static str;

    /// Notes its content in the trace.
    fn trace(&self, trace: &mut crate::Trace);

    /// It will come soon: what will be read of it may be looked at, as in [`Node::awaits`].
    fn awaited(&self) {}

    /// Says what it holds in [`TraceLines`], without its kind and size.
    fn tell(&self, _line: &mut String) {}

    /// Encodes it and decodes it again; `None` if what was encoded does not decode.
    fn through_wire(&self, now: Timestamp) -> Option<Self>;
}

/// The number of a link at one of its ends. Over an overlay: its position among the links of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub u32);

/// A network of nodes in one thread, in its own time.
///
/// It calls each node as a behaviour calls its engine and carries out what the node wants. What happens at the same moment
/// happens node by node, and to a node in the order in which it was caused; which node comes first is as good as chance.
pub struct World<N: Node> {
    nodes: Vec<N>,
    net: Net<N>,
}

impl<N: Node> World<N> {
    /// Makes a world whose nodes are linked as an overlay says. What they tell each other as they start is on its way.
    pub fn linked(
        overlay: &Overlay,
        links: Links,
        tally: N::Tally,
        seed: &Seed,
        start: Timestamp,
        node: impl FnMut(u32) -> N,
    ) -> Self {
        let wiring = Wiring::lay(overlay, &links.latency, seed);
        let net = Net::new(overlay.nodes(), wiring, links, tally, seed, start);
        Self::make((0..overlay.nodes()).map(node).collect(), net)
    }

    /// Makes a world of nodes without links: they find each other by [`Net::send_to`].
    pub fn open(
        nodes: u32,
        links: Links,
        tally: N::Tally,
        seed: &Seed,
        start: Timestamp,
        node: impl FnMut(u32) -> N,
    ) -> Self {
        let net = Net::new(nodes, Wiring::default(), links, tally, seed, start);
        Self::make((0..nodes).map(node).collect(), net)
    }

    fn make(nodes: Vec<N>, net: Net<N>) -> Self {
        let mut world = Self { nodes, net };
        for node in 0..world.nodes.len() as u32 {
            world.with(node, Node::started);
        }
        world
    }

    /// Lets something happen to a node, now. `None` if it does not exist or is down.
    pub fn with<T>(&mut self, node: u32, call: impl FnOnce(&mut N, &mut Net<N>) -> T) -> Option<T> {
        if self.net.is_down(node) {
            return None;
        }
        let place = self.nodes.get_mut(node as usize)?;
        self.net.enter(node);
        let result = call(place, &mut self.net);
        self.net.keep_timeout(place.next_timeout());
        Some(result)
    }

    /// Lets everything happen that happens up to and at `until`; then it is that moment.
    pub fn run_until(&mut self, until: Timestamp) {
        let mut awaited = 0_usize;
        while let Some((node, happening)) = self.net.next(until) {
            self.happen(node, happening);
            if awaited == 0 {
                awaited = self.await_next();
            }
            awaited = awaited.saturating_sub(1);
        }
        self.net.advance(until);
    }

    /// Tells some nodes that messages come, and returns before how much of what comes next nobody else is to be told.
    fn await_next(&self) -> usize {
        let (mut nodes, mut last, mut seen) = (0, None, 0);
        for (node, message) in self.net.upcoming().take(AWAITED_AT_ONCE) {
            if last != Some(node) {
                if nodes == AWAITED {
                    break;
                }
                (nodes, last) = (nodes + 1, Some(node));
                let port = message.map(|(port, _)| port);
                self.nodes.get(node as usize).zip(port).into_iter().for_each(|(node, port)| node.awaits(port));
            }
            message.into_iter().for_each(|(_, message)| message.awaited());
            seen += 1;
        }
        seen
    }

    /// Lets something go wrong, or right again.
    pub fn fault(&mut self, fault: &Fault) {
        if let Fault::Restart { nodes } = fault {
            nodes.iter().for_each(|node| self.restart(*node));
        } else {
            self.net.fault(fault);
        }
    }

    /// What is done to each frame from now on, beside carrying it.
    pub fn set_wire(&mut self, wire: Wire) {
        self.net.set_wire(wire);
    }

    /// Writes a line for everything that happens from now on; `None`: no longer.
    pub fn set_lines(&mut self, lines: Option<TraceLines>) {
        self.net.set_lines(lines);
    }

    /// The present moment of this world.
    pub const fn now(&self) -> Timestamp {
        self.net.true_now()
    }

    /// All nodes.
    pub fn nodes(&self) -> &[N] {
        &self.nodes
    }

    /// What is outside the nodes.
    pub const fn net(&self) -> &Net<N> {
        &self.net
    }

    /// What is counted.
    pub const fn tally(&self) -> &N::Tally {
        &self.net.tally
    }

    /// What is counted.
    pub const fn tally_mut(&mut self) -> &mut N::Tally {
        &mut self.net.tally
    }

    /// The hash over all that happened to nodes so far.
    pub fn trace(&self) -> TraceHash {
        self.net.trace_hash()
    }

    fn restart(&mut self, node: u32) {
        if !self.net.rise(node) {
            return;
        }
        self.with(node, Node::restarted);
        self.net.link_again(node);
    }

    fn happen(&mut self, node: u32, happening: Happening<N>) {
        let Some(place) = self.nodes.get_mut(node as usize) else { return };
        let net = &mut self.net;
        match happening {
            Happening::Arrival { port, message, .. } => place.received(port, message, net),
            Happening::Call { signal } => place.called(*signal, net),
            Happening::Timeout => place.timed_out(net),
            Happening::LinkLost { port } => place.link_lost(port, net),
            Happening::LinkFound { port } => place.link_found(port, net),
        }
        net.keep_timeout(place.next_timeout());
    }
}
