//! What an item came to is told once, by every policy: no item ends in silence, whatever happens to peers and memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, time::Duration};

use bruit_core::{NetworkId, Seed, Slot, Timestamp};
use bruit_gossip::{
    Announced, Announcement, Config, ControlMessage, Engine, Event, Hop, HopKind, Item, ItemId, ItemMessage, Moment,
    Output, PeerTraits, Policy, Received, Reported, Sealer, Topic, TopicConfig, Validation, Verdict,
};
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_secs(1_000);
const PEERS: u32 = 8;

#[derive(Clone, Debug)]
enum Step {
    Publish,
    Receive { from: u32, round: u32, kind: HopKind },
    Again { from: u32, back: usize, round: u32 },
    Announce { from: u32, back: usize },
    Ask { from: u32, back: usize },
    Leave { index: u32 },
    Come { index: u32 },
    Wait { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(HopKind::Push), Just(HopKind::Stem), Just(HopKind::Answer)];
    let round = prop_oneof![4 => 1..=6_u32, 1 => 7..=32_u32];
    prop_oneof![
        4 => Just(Step::Publish),
        8 => (0..PEERS, round.clone(), kind).prop_map(|(from, round, kind)| Step::Receive { from, round, kind }),
        6 => (0..PEERS, 1..6_usize, round).prop_map(|(from, back, round)| Step::Again { from, back, round }),
        2 => (0..PEERS, 1..6_usize).prop_map(|(from, back)| Step::Announce { from, back }),
        2 => (0..PEERS, 1..6_usize).prop_map(|(from, back)| Step::Ask { from, back }),
        1 => (0..PEERS).prop_map(|index| Step::Leave { index }),
        2 => (0..PEERS).prop_map(|index| Step::Come { index }),
        3 => (0..9_000_u64).prop_map(|millis| Step::Wait { millis }),
    ]
}

struct World {
    engine: Engine,
    sealer: Sealer,
    topic: Topic,
    now: Timestamp,
    items: Vec<ItemMessage>,
    /// How many ends each item is owed, and had.
    ends: BTreeMap<ItemId, (usize, usize)>,
}

impl World {
    fn new(policy: Policy, is_judged: bool, seen_entries_max: usize) -> Self {
        let validation = if is_judged { Validation::Application } else { Validation::Automatic };
        let topic = Topic::new("news").unwrap();
        let topics = BTreeMap::from([(topic.clone(), TopicConfig { policy, validation, ..TopicConfig::default() })]);
        let config = Config {
            topics,
            finished_events: true,
            seen_entries_max,
            pending_items_max: 16,
            held_bytes_max: 2_000,
            ..Config::default()
        };
        let mut engine = Engine::new(config.validate().unwrap(), Seed::from_number(3));
        engine.subscribe(topic.clone()).unwrap();
        let sealer = Sealer::new(&NetworkId::new("test").unwrap());
        let mut world = Self { engine, sealer, topic, now: START, items: Vec::new(), ends: BTreeMap::new() };
        (0..PEERS).for_each(|index| world.come(index));
        world
    }

    fn come(&mut self, index: u32) {
        let slot = Slot::new(index, 0);
        _ = self.engine.peer_connected(slot, self.now);
        let traits = PeerTraits { is_outbound: index.is_multiple_of(2), ..PeerTraits::default() };
        self.engine.peer_described(slot, traits, self.now);
        let subscribe = vec![self.topic.clone()];
        _ = self.engine.control_received(slot, ControlMessage { subscribe, ..ControlMessage::default() }, self.now);
    }

    fn new_item(&mut self) -> ItemMessage {
        let item = Item {
            topic: self.topic.clone(),
            author: None,
            nonce: self.items.len() as u64,
            expires_at: self.now.after(Duration::from_secs(600)),
            payload: "payload".into(),
        };
        let item = self.sealer.seal(item, Moment { now: self.now, wall: self.now });
        self.items.push(item.clone());
        item
    }

    fn back(&self, back: usize) -> Option<ItemMessage> {
        self.items.len().checked_sub(back).and_then(|place| self.items.get(place)).cloned()
    }

    fn owes_an_end(&mut self, id: ItemId) {
        self.ends.entry(id).or_default().0 += 1;
    }

    fn receive(&mut self, from: u32, item: &ItemMessage, hop: Hop) {
        let was_known = self.engine.is_known(&item.id());
        match self.engine.item_received(Slot::new(from, 0), item.on(hop), self.now) {
            Received::Relayed | Received::AtLimit => self.owes_an_end(item.id()),
            Received::Pending => {
                let verdict = if item.item().nonce.is_multiple_of(5) { Verdict::Reject } else { Verdict::Accept };
                match self.engine.report(item.id(), verdict, self.now) {
                    Reported::Relayed | Reported::AtLimit => self.owes_an_end(item.id()),
                    Reported::Rejected => {}
                    other @ (Reported::Expired
                    | Reported::Ignored
                    | Reported::Held
                    | Reported::NoRoom
                    | Reported::NotPending) => panic!("{other:?}"),
                }
            }
            Received::Duplicate | Received::RelayedLater => assert!(was_known),
            Received::Refused(_) => {}
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Publish => {
                let item = self.new_item();
                if self.engine.publish(item.clone(), self.now).is_ok() {
                    self.owes_an_end(item.id());
                }
            }
            Step::Receive { from, round, kind } => {
                let item = self.new_item();
                self.receive(from, &item, Hop { kind, ..Hop::on_round(round) });
            }
            Step::Again { from, back, round } => {
                if let Some(item) = self.back(back) {
                    self.receive(from, &item, Hop::on_round(round));
                }
            }
            Step::Announce { from, back } => {
                if let Some(item) = self.back(back) {
                    let items = vec![Announced { id: item.id(), round: 2, root: None }];
                    let message = Announcement { topic: self.topic.clone(), items, is_ahead: false };
                    _ = self.engine.announcement_received(Slot::new(from, 0), message, self.now);
                }
            }
            Step::Ask { from, back } => {
                let want = self.back(back).map(|item| item.id()).into_iter().collect();
                let message = ControlMessage { want, ..ControlMessage::default() };
                _ = self.engine.control_received(Slot::new(from, 0), message, self.now);
            }
            Step::Leave { index } => self.engine.peer_disconnected(Slot::new(index, 0), self.now),
            Step::Come { index } => self.come(index),
            Step::Wait { millis } => {
                let end = self.now.after(Duration::from_millis(millis));
                self.run_until(end);
            }
        }
        self.drain();
    }

    fn run_until(&mut self, end: Timestamp) {
        while let Some(at) = self.engine.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Event(Event::Finished { id, .. }) = output {
                self.ends.entry(id).or_default().1 += 1;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn by_every_policy_each_item_that_spread_has_one_end(
        steps in prop::collection::vec(step(), 0..80),
        name in prop::sample::select(Policy::NAMES.as_slice()),
        is_judged in any::<bool>(),
        seen_entries_max in prop_oneof![Just(16_usize), Just(1_000)],
    ) {
        let mut world = World::new(name.parse().unwrap(), is_judged, seen_entries_max);
        steps.iter().for_each(|step| world.apply(step));
        // An embargo has no longest span, so until nothing is left to be done.
        while let Some(at) = world.engine.next_timeout() {
            world.run_until(at);
        }
        for (id, (owed, had)) in &world.ends {
            prop_assert_eq!(owed, had, "{} {:?}", name, id);
        }
    }
}
