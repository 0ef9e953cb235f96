use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bruit_core::{LookupMap, Seed, Slot, Timestamp};
use bruit_gossip::{
    Engine, Event, Hop, ItemId, Message, Moment, Output, PeerTraits, Received, Rounds, Sealer, ShortId, Topic,
    ValidConfig, Verdict,
};
use bytes::Bytes;

use super::{
    Role,
    attack::{Attack, Attacker, Hostile, INVALID},
    taps::Taps,
};
use crate::{Net, Node, Port};

/// The longest list of neighbours.
const NEIGHBOURS_MAX: usize = 4_096;

/// What all nodes of a world of gossip have in common.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The settings of gossip.
    pub gossip: ValidConfig,
    /// How long an application takes to accept an item. Zero: within the same moment.
    pub verdict_delay: Duration,
    /// What each node's chance follows from.
    pub seed: Seed,
    pub(crate) sealer: Sealer,
    pub(crate) roles: Vec<Role>,
    pub(crate) taps: Option<Taps>,
    /// What nodes call each other in their lists of neighbours.
    pub(crate) short_ids: Vec<ShortId>,
}

/// A node that gossips, with an application that accepts everything but what says of itself that it is invalid.
#[derive(Debug)]
#[repr(C)]
pub struct GossipNode {
    // Before the engine, next to what the engine needs for a duplicate.
    role: Role,
    pub(super) engine: Engine,
    pub(super) rules: Arc<Rules>,
    subscribed: Option<Topic>,
    pub(super) attacker: Option<Box<Attacker>>,
}

/// What a node is called for.
#[derive(Clone, Debug)]
pub enum Call {
    /// An application has judged an item.
    Judged(ItemId, Verdict),
    /// An attacker strikes.
    Strike,
}

/// How far items have come.
#[derive(Debug, Default)]
pub struct Spreads {
    reaches: Vec<Reach>,
    places: LookupMap<ItemId, u32>,
    /// Most copies are of the same few items.
    last: Option<(ItemId, u32)>,
    pub(crate) round_max: u32,
    pub(super) hostile: Hostile,
}

/// How far an item has come.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The item.
    pub id: ItemId,
    /// When its first copy was sent.
    pub since: Timestamp,
    /// How many copies were sent.
    pub copies: u64,
    /// On which rounds the first copies came.
    pub first_rounds: Rounds,
    /// The first honest node that told a spy of it.
    pub suspect: Option<u32>,
    /// Each spy that an honest node told of it, and when first: in microseconds after the first copy was sent.
    pub sightings: BTreeMap<u32, u32>,
    /// Whom an eavesdropper saw telling of it first.
    pub overheard: Option<u32>,
    /// Who got it, and after how many microseconds, in the order of getting it.
    pub receivers: Vec<(u32, u32)>,
}

impl GossipNode {
    pub(crate) fn new(rules: Arc<Rules>, number: u32, role: Role) -> Self {
        let mut engine = Engine::new(rules.gossip.clone(), rules.seed.derive("node", u64::from(number)));
        engine.self_described(rules.short_id_of(number));
        Self { engine, rules, role, subscribed: None, attacker: None }
    }

    /// Lets an attacker begin; the others do nothing.
    pub(super) fn attack(&mut self, attack: &Attack, net: &mut Net<Self>) {
        if self.role == Role::Attacker {
            let rng = self.rules.seed.derive("attacker", u64::from(net.here())).rng();
            let mut attacker = Box::new(Attacker::new(attack.clone(), rng));
            let wait = attacker.wait();
            self.attacker = Some(attacker);
            self.strike_after(wait, net);
        }
    }

    pub(super) fn strike_after(&self, wait: Duration, net: &mut Net<Self>) {
        net.call_at(net.now().after(wait), Call::Strike);
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Lets the node subscribe.
    pub fn subscribe(&mut self, topic: &Topic, net: &mut Net<Self>) {
        self.subscribed = Some(topic.clone());
        _ = self.engine.subscribe(topic.clone());
        self.drain(net);
    }

    /// Lets the node publish; `None` if its engine refuses.
    pub fn publish(&mut self, topic: Topic, payload: Bytes, net: &mut Net<Self>) -> Option<ItemId> {
        let now = net.now();
        let item = self.engine.compose(topic, payload, now).ok()?;
        let message = self.rules.sealer.seal(item, Moment { now, wall: now });
        let published = self.engine.publish(message, now).ok();
        self.drain(net);
        published
    }

    fn drain(&mut self, net: &mut Net<Self>) {
        let mut judged = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Send { to, message, .. } => self.send(to, message, net),
                Output::Event(Event::Item { id, payload, deadline: Some(_), .. }) => {
                    let is_invalid = payload.starts_with(INVALID);
                    judged.push(Call::Judged(id, if is_invalid { Verdict::Reject } else { Verdict::Accept }));
                }
                // Nobody reads here, so nobody can be paused; and no application listens.
                Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => {}
            }
        }
        for call in judged {
            if self.rules.verdict_delay.is_zero() {
                self.called(call, net);
            } else {
                net.call_at(net.now().after(self.rules.verdict_delay), call);
            }
        }
    }

    fn send(&self, to: Slot, mut message: Message, net: &mut Net<Self>) {
        let is_control = matches!(message, Message::Control(_));
        match self.role {
            Role::Honest | Role::Spy => net.tally.hostile.sent(&message),
            Role::Attacker => {}
            Role::Silent if is_control => {}
            Role::Liar if is_control => self.lie(&mut message),
            Role::Silent | Role::Liar => return,
            Role::Forger => {
                net.tally.hostile.sent(&message);
                if let Message::Item(item) = &mut message {
                    *item = item.on(Hop { round: 1, ..item.hop().clone() });
                }
            }
        }
        if let Message::Item(item) = &message {
            let now = net.true_now();
            net.tally.round_max = net.tally.round_max.max(item.round());
            net.tally.reach_mut(item.id(), now).copies += 1;
        }
        self.be_overheard(Port(to.index() as u32), &message, net);
        net.send(Port(to.index() as u32), message);
    }
}

impl GossipNode {
    fn meet(&mut self, port: Port, short_id: ShortId, net: &mut Net<Self>) {
        let now = net.now();
        _ = self.engine.peer_connected(slot(port), now);
        let traits = PeerTraits { short_id, is_outbound: net.is_outbound(port), ..PeerTraits::default() };
        self.engine.peer_described(slot(port), traits, now);
        self.drain(net);
    }

    /// Claims everybody as a neighbour.
    fn lie(&self, message: &mut Message) {
        if let Message::Control(control) = message
            && let Some(list) = &mut control.neighbours
        {
            *list = self.rules.short_ids.iter().copied().take(NEIGHBOURS_MAX).collect();
        }
    }

    /// Lets whoever taps a link see that this node tells of items over it.
    fn be_overheard(&self, port: Port, message: &Message, net: &mut Net<Self>) {
        let Some(taps) = &self.rules.taps else { return };
        let (here, now) = (net.here(), net.true_now());
        if net.peer(port).is_some_and(|peer| taps.hear(here, peer)) {
            for id in told(message) {
                net.tally.reach_mut(id, now).overheard.get_or_insert(here);
            }
        }
    }

    /// Remembers which honest node told of an item first.
    fn spy(&self, from: Port, message: &Message, net: &mut Net<Self>) {
        if self.role != Role::Spy {
            return;
        }
        let Some(peer) = net.peer(from) else { return };
        if self.rules.roles.get(peer as usize) == Some(&Role::Spy) {
            return;
        }
        let (here, now) = (net.here(), net.true_now());
        for id in told(message) {
            let reach = net.tally.reach_mut(id, now);
            reach.suspect.get_or_insert(peer);
            let micros = now.since(reach.since).as_micros();
            reach.sightings.entry(here).or_insert(u32::try_from(micros).unwrap_or(u32::MAX));
        }
    }
}

impl Node for GossipNode {
    type Message = Message;
    type Signal = Call;
    type Tally = Spreads;

    fn started(&mut self, net: &mut Net<Self>) {
        self.engine.expect_peers(net.degree() as usize);
        // First all names and then all peers: in a large network each name lies elsewhere in memory.
        let ports = (0..net.degree()).map(Port);
        let peers = ports.filter_map(|port| Some((port, self.rules.short_id_of(net.peer(port)?))));
        for (port, name) in peers.collect::<Vec<(Port, ShortId)>>() {
            self.meet(port, name, net);
        }
    }

    fn received(&mut self, from: Port, message: Message, net: &mut Net<Self>) {
        self.spy(from, &message, net);
        let (now, from) = (net.now(), slot(from));
        match message {
            Message::Item(item) => {
                let (id, round) = (item.id(), item.round());
                self.attacker.iter_mut().for_each(|attacker| attacker.keep(&item));
                match self.engine.item_received(from, item, now) {
                    Received::Pending | Received::Relayed | Received::AtLimit => {
                        let (node, now) = (net.here(), net.true_now());
                        net.tally.reach_mut(id, now).count_first(node, round, now);
                    }
                    Received::Duplicate | Received::RelayedLater | Received::Refused(_) => {}
                }
            }
            Message::Announce(announcement) => _ = self.engine.announcement_received(from, *announcement, now),
            Message::Control(control) => _ = self.engine.control_received(from, *control, now),
        }
        self.drain(net);
    }

    fn awaits(&self, from: Port) {
        std::hint::black_box((self.role, self.engine.is_connected(slot(from)), self.engine.next_timeout()));
        std::hint::black_box((self.engine.stats().copies_received, self.engine.seen_count()));
    }

    fn called(&mut self, call: Call, net: &mut Net<Self>) {
        match call {
            Call::Judged(id, verdict) => _ = self.engine.report(id, verdict, net.now()),
            Call::Strike => self.strike(net),
        }
        self.drain(net);
    }

    fn next_timeout(&self) -> Option<Timestamp> {
        self.engine.next_timeout()
    }

    fn timed_out(&mut self, net: &mut Net<Self>) {
        self.engine.handle_timeout(net.now());
        self.drain(net);
    }

    fn link_lost(&mut self, port: Port, net: &mut Net<Self>) {
        self.engine.peer_disconnected(slot(port), net.now());
        self.drain(net);
    }

    fn link_found(&mut self, port: Port, net: &mut Net<Self>) {
        if let Some(peer) = net.peer(port) {
            self.meet(port, self.rules.short_id_of(peer), net);
        }
    }

    fn restarted(&mut self, net: &mut Net<Self>) {
        let seed = self.rules.seed.derive("again", u64::from(net.here())).derive("at", net.now().as_micros());
        self.engine = Engine::new(self.rules.gossip.clone(), seed);
        self.engine.self_described(self.rules.short_id_of(net.here()));
        if let Some(topic) = self.subscribed.clone() {
            self.subscribe(&topic, net);
        }
        if let Some(attacker) = &self.attacker {
            self.strike_after(attacker.interval(), net);
        }
    }
}

impl Rules {
    /// What the peers of some nodes call them in their lists of neighbours.
    pub(crate) fn short_ids(nodes: u32) -> Vec<ShortId> {
        (0..nodes).map(|node| ShortId::of(&node.to_le_bytes())).collect()
    }

    fn short_id_of(&self, node: u32) -> ShortId {
        self.short_ids.get(node as usize).copied().unwrap_or_default()
    }
}

/// The items that a message tells of.
fn told(message: &Message) -> Vec<ItemId> {
    match message {
        Message::Item(item) => vec![item.id()],
        Message::Announce(announcement) => announcement.items.iter().map(|item| item.id).collect(),
        Message::Control(_) => Vec::new(),
    }
}

const fn slot(port: Port) -> Slot {
    Slot::new(port.0, 0)
}

impl Spreads {
    /// How far an item has come; `None` if no copy of it was sent.
    pub fn reach_of(&self, id: &ItemId) -> Option<&Reach> {
        self.places.get(id).and_then(|place| self.reaches.get(*place as usize))
    }

    /// How far each item has come.
    pub(super) fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    fn reach_mut(&mut self, id: ItemId, now: Timestamp) -> &mut Reach {
        let place = match &self.last {
            Some((last, place)) if *last == id => *place,
            Some(_) | None => {
                let place = *self.places.entry(id).or_insert_with(|| {
                    self.reaches.push(Reach::new(id, now));
                    self.reaches.len() as u32 - 1
                });
                self.last = Some((id, place));
                place
            }
        };
        &mut self.reaches[place as usize]
    }
}

impl Reach {
    pub(super) fn none(since: Timestamp) -> Self {
        Self::new(ItemId::new([0; 32]), since)
    }

    fn new(id: ItemId, since: Timestamp) -> Self {
        Self {
            id,
            since,
            copies: 0,
            first_rounds: Rounds::default(),
            suspect: None,
            overheard: None,
            sightings: BTreeMap::new(),
            receivers: Vec::new(),
        }
    }

    /// Who got it at a moment or after it.
    pub(super) fn receivers_since(&self, moment: Timestamp) -> impl Iterator<Item = u32> + '_ {
        let is_later = move |micros: u32| self.since.after(Duration::from_micros(micros.into())) >= moment;
        self.receivers.iter().filter(move |(_, micros)| is_later(*micros)).map(|(node, _)| *node)
    }

    fn count_first(&mut self, node: u32, round: u32, now: Timestamp) {
        self.first_rounds.count(round);
        let micros = now.since(self.since).as_micros();
        self.receivers.push((node, u32::try_from(micros).unwrap_or(u32::MAX)));
    }
}
