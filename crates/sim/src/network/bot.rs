use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bruit_core::{ChaCha8Rng, Endpoint, PeerId, Seed, Timestamp};
use bruit_stack::{addr_exchange::PeerAddr, peering::Hello};
use rand::RngExt;

use super::{
    Content, Letter, Place, Signal,
    internet::{ip, reserved_ip},
    node::{NetworkNode, dial, send},
};
use crate::Net;

type Around = Net<NetworkNode>;

/// How many chunks of addresses all bots share.
const CHUNKS: usize = 256;

/// What bots do: they hold connections to victims, and tell everybody of each other and of addresses where nobody is.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// How many nodes, from node 0 on, are attacked.
    pub victims: u32,
    /// How many connections each bot tries to hold.
    pub connections: u32,
    /// How often each bot looks after its connections, and tells addresses unasked.
    pub interval: Duration,
    /// How many addresses it tells at a time.
    pub addrs_per_message: usize,
    /// The share of addresses told at which nobody lives, one in eight of them at none that the internet has.
    pub trash: f64,
}

/// What all bots know.
#[derive(Debug)]
pub(super) struct Gang {
    attack: Attack,
    network: String,
    victims: Vec<Endpoint>,
    /// What they tell unasked.
    chunks: Vec<Arc<Vec<PeerAddr>>>,
    /// What they answer who asks.
    answers: Vec<Arc<Vec<PeerAddr>>>,
}

/// Somebody who plays by rules of its own.
pub struct Bot {
    place: Place,
    gang: Arc<Gang>,
    rng: ChaCha8Rng,
    dialling: u32,
    /// Connections that stand, and with which node.
    connections: BTreeMap<u64, u32>,
    /// Those of them that it made.
    made: BTreeMap<u64, u32>,
}

impl Gang {
    pub(super) fn new(attack: Attack, network: &str, bots: &[Place], victims: Vec<Endpoint>, seed: &Seed) -> Self {
        let mut rng = seed.derive("gang", 0).rng();
        let (trash, mut trashed) = (seed.derive("trash", 0), 0_u32);
        let mut told = |share: f64| -> PeerAddr {
            let bot = bots.get(rng.random_range(0..bots.len().max(1)));
            match bot.filter(|_| !rng.random_bool(share)) {
                Some(place) => addr(Some(place.peer), place.endpoint.clone()),
                None => {
                    trashed += 1;
                    let ip = if trashed % 8 == 0 { reserved_ip(trashed / 8) } else { ip(&trash, trashed) };
                    addr(None, Endpoint::tcp(ip, 4_001))
                }
            }
        };
        let mut chunks = |count: usize, share: f64| -> Vec<Arc<Vec<PeerAddr>>> {
            (0..CHUNKS).map(|_| Arc::new((0..count).map(|_| told(share)).collect())).collect()
        };
        let unasked = chunks(attack.addrs_per_message, attack.trash);
        let answers = chunks(bots.len().min(1_000), 0.0);
        Self { chunks: unasked, answers, attack, network: network.to_owned(), victims }
    }
}

fn addr(peer: Option<PeerId>, endpoint: Endpoint) -> PeerAddr {
    PeerAddr::new(peer, vec![endpoint], None)
}

impl Bot {
    pub(super) fn new(place: Place, gang: Arc<Gang>, seed: &Seed) -> Self {
        Self { place, gang, rng: seed.rng(), dialling: 0, connections: BTreeMap::new(), made: BTreeMap::new() }
    }

    pub(super) fn called(&mut self, signal: &Signal, net: &mut Around) {
        match signal {
            Signal::Act => self.act(net),
            Signal::DialOverdue { .. } => self.dialling = self.dialling.saturating_sub(1),
            Signal::Join | Signal::Publish { .. } | Signal::Handshaken { .. } | Signal::AskOverdue { .. } => {}
        }
    }

    pub(super) fn received(&mut self, from: u32, letter: Letter, net: &mut Around) {
        let Letter { connection, content } = letter;
        match content {
            Content::Dial(_) => send(from, connection, Content::Accept(self.place.peer), net),
            Content::Accept(_) => {
                self.made.insert(connection, from);
                self.connections.insert(connection, from);
                send(from, connection, Content::Confirm(self.place.peer), net);
                send(from, connection, Content::Hello(Box::new(self.hello())), net);
            }
            Content::Confirm(_) => _ = self.connections.insert(connection, from),
            Content::Close => self.forget(connection),
            Content::Hello(_) => {
                send(from, connection, Content::HelloAnswer(Some(Box::new(self.hello()))), net);
            }
            Content::HelloAnswer(answer) => {
                if answer.is_none_or(|hello| hello.refused.is_some()) {
                    send(from, connection, Content::Close, net);
                    self.forget(connection);
                }
            }
            Content::Goodbye(_) => {
                send(from, connection, Content::GoodbyeHeard, net);
                send(from, connection, Content::Close, net);
                self.forget(connection);
            }
            Content::GetAddr(_) => {
                let answer = Arc::clone(&self.gang.answers[self.rng.random_range(0..CHUNKS)]);
                send(from, connection, Content::Addrs(answer), net);
            }
            Content::Ping(number) => send(from, connection, Content::Pong(number), net),
            Content::Refuse
            | Content::Pong(_)
            | Content::GetNeighbours
            | Content::Neighbours(_)
            | Content::DialBack(_)
            | Content::GoodbyeHeard
            | Content::Addrs(_)
            | Content::Told(_)
            | Content::Gossip(_)
            | Content::Rpc(_) => {}
        }
    }

    fn act(&mut self, net: &mut Around) {
        let Attack { connections, interval, addrs_per_message, .. } = self.gang.attack;
        if addrs_per_message > 0 {
            for (connection, node) in &self.connections {
                let chunk = Arc::clone(&self.gang.chunks[self.rng.random_range(0..CHUNKS)]);
                send(*node, *connection, Content::Told(chunk), net);
            }
        }
        let missing = connections.saturating_sub(self.made.len() as u32 + self.dialling);
        for _ in 0..missing {
            let victim = &self.gang.victims[self.rng.random_range(0..self.gang.victims.len())];
            if !net.tally.at(victim).is_some_and(|node| self.made.values().any(|other| *other == node)) {
                dial(victim, net);
                self.dialling += 1;
            }
        }
        net.call_at(net.now().after(interval), Signal::Act);
    }

    /// Begins at a moment of its own within the first interval.
    pub(super) fn begin(&mut self, at: Timestamp, net: &mut Around) {
        let spread = self.gang.attack.interval.mul_f64(self.rng.random());
        net.call_at(at.after(spread), Signal::Act);
    }

    fn forget(&mut self, connection: u64) {
        self.connections.remove(&connection);
        self.made.remove(&connection);
    }

    fn hello(&self) -> Hello {
        Hello {
            network: self.gang.network.clone(),
            agent: "bot".to_owned(),
            listen: vec![self.place.endpoint.clone()],
            ..Hello::default()
        }
    }
}
