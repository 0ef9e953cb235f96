//! Nodes that attack gossip: what they send beside what their engines do.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bruit_core::{ChaCha8Rng, Timestamp};
use bruit_gossip::{Announced, Announcement, ControlMessage, Hop, ItemId, ItemMessage, Message, Moment};
use bytes::Bytes;
use rand::RngExt;
use serde::Deserialize;

use super::{Role, Spreads, message::the_topic, node::GossipNode};
use crate::{Figures, Net, Port};

/// What the payload of an item begins with that every application rejects.
pub(super) const INVALID: &[u8] = b"invalid";
/// How many items one attacker keeps to send them again.
const KEPT_MAX: usize = 4_096;

/// What attackers do, all of them the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// What.
    pub kind: AttackKind,
    /// How long after one blow the next one.
    pub interval: Duration,
    /// How many items or ids there are in each.
    pub count: u32,
    /// How large the items of their own are, in bytes.
    pub payload_bytes: usize,
}

/// What attackers send to all their peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackKind {
    /// Items that every application rejects.
    Invalid,
    /// Items that are valid and of no use, each new.
    Unique,
    /// Items of others, again and again, the oldest first.
    Replay,
    /// Ids of items that nobody has.
    Announce,
}

/// One who attacks.
#[derive(Debug)]
pub(super) struct Attacker {
    attack: Attack,
    rng: ChaCha8Rng,
    /// Copies that others sent, of attackers too.
    kept: Vec<ItemMessage>,
    next: usize,
}

/// What came of all attacks together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hostile {
    /// Items and ids that nobody should pass on, and since when: those that attackers made up, and those that they sent again when
    /// they had expired.
    ids: BTreeMap<ItemId, Timestamp>,
    /// How many copies of them others sent on.
    copies: u64,
    /// How often others asked for one.
    wants: u64,
}

impl Attacker {
    pub(super) const fn new(attack: Attack, rng: ChaCha8Rng) -> Self {
        Self { attack, rng, kept: Vec::new(), next: 0 }
    }

    pub(super) const fn interval(&self) -> Duration {
        self.attack.interval
    }

    /// How long after the beginning the first blow falls: each has a moment of its own.
    pub(super) fn wait(&mut self) -> Duration {
        self.attack.interval.mul_f64(self.rng.random())
    }

    /// Keeps what others sent, to send it again.
    pub(super) fn keep(&mut self, item: &ItemMessage) {
        if self.attack.kind == AttackKind::Replay && self.kept.len() < KEPT_MAX {
            self.kept.push(item.clone());
        }
    }

    fn payload(&mut self) -> Bytes {
        let mut payload = if self.attack.kind == AttackKind::Invalid { INVALID.to_vec() } else { Vec::new() };
        payload.resize(self.attack.payload_bytes.max(payload.len()), 0);
        payload.into()
    }

    fn replayed(&mut self) -> Option<ItemMessage> {
        let item = self.kept.get(self.next % self.kept.len().max(1)).cloned();
        self.next = self.next.wrapping_add(1);
        item
    }

    fn made_up(&mut self) -> Announced {
        Announced { id: ItemId::new(self.rng.random()), round: 1, root: None }
    }
}

impl GossipNode {
    /// One blow: the same to all peers.
    pub(super) fn strike(&mut self, net: &mut Net<Self>) {
        let Some(mut attacker) = self.attacker.take() else { return };
        let count = attacker.attack.count;
        match attacker.attack.kind {
            AttackKind::Announce => {
                let items: Vec<Announced> = (0..count).map(|_| attacker.made_up()).collect();
                let now = net.true_now();
                net.tally.hostile.ids.extend(items.iter().map(|announced| (announced.id, now)));
                let announcement = Announcement { topic: the_topic(), items, is_ahead: false };
                to_all(&Message::Announce(Box::new(announcement)), net);
            }
            AttackKind::Replay => {
                for _ in 0..count {
                    let Some(item) = attacker.replayed() else { break };
                    let now = net.true_now();
                    if item.item().expires_at <= now {
                        net.tally.hostile.ids.entry(item.id()).or_insert(now);
                    }
                    push(&item, net);
                }
            }
            AttackKind::Invalid | AttackKind::Unique => {
                for _ in 0..count {
                    let item = self.compose(attacker.payload(), net);
                    let now = net.true_now();
                    net.tally.hostile.ids.extend(item.as_ref().map(|item| (item.id(), now)));
                    item.into_iter().for_each(|item| push(&item, net));
                }
            }
        }
        self.strike_after(attacker.interval(), net);
        self.attacker = Some(attacker);
    }

    fn compose(&mut self, payload: Bytes, net: &Net<Self>) -> Option<ItemMessage> {
        let now = net.now();
        let item = self.engine.compose(the_topic(), payload, now).ok()?;
        Some(self.rules.sealer.seal(item, Moment { now, wall: now }))
    }
}

fn push(item: &ItemMessage, net: &mut Net<GossipNode>) {
    to_all(&Message::Item(item.on(Hop::on_round(1))), net);
}

fn to_all(message: &Message, net: &mut Net<GossipNode>) {
    for port in 0..net.degree() {
        net.send(Port(port), message.clone());
    }
}

impl Hostile {
    /// Notes what somebody who does not attack sends.
    pub(super) fn sent(&mut self, message: &Message) {
        if self.ids.is_empty() {
            return;
        }
        match message {
            Message::Item(item) => self.copies += u64::from(self.ids.contains_key(&item.id())),
            Message::Control(control) => {
                let ControlMessage { want, .. } = &**control;
                self.wants += want.iter().filter(|id| self.ids.contains_key(*id)).count() as u64;
            }
            Message::Announce(_) => {}
        }
    }

    /// All of it by name, for so many nodes that do not attack.
    pub(super) fn count_in(&self, spreads: &Spreads, roles: &[Role], nodes: u32, figures: &mut Figures) {
        let is_attacker = |node: u32| roles.get(node as usize) == Some(&Role::Attacker);
        let others = (0..nodes).filter(|node| !is_attacker(*node)).count().max(1) as f64;
        let (mut taken, mut again) = (0, 0);
        for reach in spreads.reaches() {
            let mut seen = BTreeSet::new();
            let receivers = reach.receivers.iter().map(|(node, _)| *node).filter(|node| !is_attacker(*node));
            let repeated = receivers.filter(|node| !seen.insert(*node)).count();
            again += repeated as u64;
            if let Some(since) = self.ids.get(&reach.id) {
                taken +=
                    reach.receivers_since(*since).filter(|node| !is_attacker(*node)).collect::<BTreeSet<_>>().len();
            }
        }
        let each = self.ids.len().max(1) as f64;
        figures.mean("hostile_reached", taken as f64 / (each * others));
        figures.mean("hostile_copies_per_node", self.copies as f64 / (each * others));
        figures.mean("hostile_wants_per_node", self.wants as f64 / (each * others));
        figures.count("taken_again", again);
    }
}
