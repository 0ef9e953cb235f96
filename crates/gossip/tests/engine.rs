//! Any order of facts and commands, through the public API. The invariants:
//! 1. an item is pushed in the course of one call only (a node relays at most once), to at most `peers` distinct peers;
//! 2. never to a peer that brought it;
//! 3. on round 1 if published here, else one above the lowest round that came, and never above the limit;
//! 4. an item of a judged topic is relayed in the course of an accepting verdict, or after one that came at the last round;
//!    never after a rejection;
//! 5. an item is delivered at most once;
//! 6. no output names a slot that is not connected;
//! 7. what is remembered and what awaits a verdict stays within its limits, also when everything is hostile;
//! 8. equal inputs lead to equal outputs and equal counts;
//! 9. after `handle_timeout(now)` the next deadline is later than `now`, and when all deadlines have passed nothing awaits a
//!    verdict;
//! 10. a round of 0 or beyond every limit is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bruit_core::{NetworkId, Seed, Slot, Timestamp};
use bruit_gossip::{
    Carry, Config, ControlMessage, Engine, Event, Item, ItemId, ItemMessage, Message, Moment, Output, Policy,
    ROUNDS_MAX, Received, Reported, Sealer, Topic, TopicConfig, Validation, Verdict,
};
use bytes::Bytes;
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_secs(1_000_000);
const FAN_OUT: u32 = 3;
const ROUNDS: u32 = 6;
const PEERS: u32 = 8;
const ITEMS: usize = 12;
const TOPICS: [&str; 3] = ["judged", "club", "open"];

#[derive(Clone, Debug)]
enum Step {
    Connect { index: u32 },
    Disconnect { index: u32 },
    Item { from: u32, item: usize, round: u32, is_stale: bool },
    Copy { from: u32, item: usize, round: u32 },
    Publish { item: usize },
    Report { item: usize, verdict: Verdict },
    Control { from: u32, topic: usize, is_wanted: bool },
    Subscribe { topic: usize, is_wanted: bool },
    SeenElsewhere { item: usize },
    FrameRefused { to: u32, item: usize },
    Lie { from: u32 },
    ControlRefused { to: u32, topic: usize, is_wanted: bool },
    Writable { to: u32 },
    Wait { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let round = prop_oneof![8 => 1..=ROUNDS, 1 => Just(0), 1 => (ROUNDS + 1)..=u32::MAX];
    let verdict = prop_oneof![
        6 => Just(Verdict::Accept),
        1 => Just(Verdict::Reject),
        1 => Just(Verdict::Ignore),
        1 => prop::collection::vec(0..ITEMS, 0..3).prop_map(|missing| Verdict::Hold { missing: name(missing) }),
    ];
    prop_oneof![
        4 => (0..PEERS).prop_map(|index| Step::Connect { index }),
        2 => (0..PEERS).prop_map(|index| Step::Disconnect { index }),
        16 => (0..PEERS, 0..ITEMS, round.clone(), prop::bool::weighted(0.1))
            .prop_map(|(from, item, round, is_stale)| Step::Item { from, item, round, is_stale }),
        8 => (0..PEERS, 0..ITEMS, round).prop_map(|(from, item, round)| Step::Copy { from, item, round }),
        2 => (0..ITEMS).prop_map(|item| Step::Publish { item }),
        8 => (0..ITEMS, verdict).prop_map(|(item, verdict)| Step::Report { item, verdict }),
        4 => (0..PEERS, 0..TOPICS.len(), any::<bool>())
            .prop_map(|(from, topic, is_wanted)| Step::Control { from, topic, is_wanted }),
        2 => (0..TOPICS.len(), prop::bool::weighted(0.8))
            .prop_map(|(topic, is_wanted)| Step::Subscribe { topic, is_wanted }),
        1 => (0..ITEMS).prop_map(|item| Step::SeenElsewhere { item }),
        1 => (0..PEERS, 0..ITEMS).prop_map(|(to, item)| Step::FrameRefused { to, item }),
        1 => (0..PEERS).prop_map(|from| Step::Lie { from }),
        1 => (0..PEERS, 0..TOPICS.len(), any::<bool>())
            .prop_map(|(to, topic, is_wanted)| Step::ControlRefused { to, topic, is_wanted }),
        1 => (0..PEERS).prop_map(|to| Step::Writable { to }),
        3 => (0_u64..9_000).prop_map(|millis| Step::Wait { millis }),
    ]
}

/// Ids that may be missing: of items, half of which there are.
fn name(missing: Vec<usize>) -> Vec<ItemId> {
    missing.into_iter().map(|number| items(10).get(number / 2).unwrap().id()).collect()
}

fn topic(index: usize) -> Topic {
    Topic::new(TOPICS[index % TOPICS.len()]).unwrap()
}

fn control(number: usize, is_wanted: bool) -> ControlMessage {
    let (some, none) = (vec![topic(number)], Vec::new());
    let (subscribe, unsubscribe) = if is_wanted { (some, none) } else { (none, some) };
    ControlMessage { subscribe, unsubscribe, ..ControlMessage::default() }
}

fn config(carry_club: Carry) -> Config {
    let base = TopicConfig { policy: Policy::Fanout { peers: FAN_OUT, rounds: ROUNDS }, ..TopicConfig::default() };
    let topics = BTreeMap::from([
        (topic(0), base),
        (topic(1), TopicConfig { carry: carry_club, ..base }),
        (topic(2), TopicConfig { validation: Validation::Automatic, ..base }),
    ]);
    Config { topics, other_topics: None, ..Config::default() }
}

fn items(size: usize) -> Vec<ItemMessage> {
    let sealer = Sealer::new(&NetworkId::new("test").unwrap());
    let item = |number: usize| Item {
        topic: topic(number),
        author: None,
        nonce: number as u64,
        expires_at: START.after(Duration::from_secs(600)),
        payload: Bytes::from(vec![0; size]),
    };
    (0..ITEMS).map(|number| sealer.seal(item(number), Moment { now: START, wall: START })).collect()
}

/// What the outside knows of an item.
#[derive(Debug, Default)]
struct Story {
    lowest_round: Option<u32>,
    bringers: BTreeSet<Slot>,
    was_published: bool,
    was_delivered: bool,
    was_accepted: bool,
    was_rejected: bool,
    was_pushed: bool,
}

struct World {
    engine: Engine,
    config: Config,
    items: Vec<ItemMessage>,
    now: Timestamp,
    connected: BTreeMap<u32, Slot>,
    generations: [u32; PEERS as usize],
    stories: BTreeMap<ItemId, Story>,
    outputs: Vec<Output>,
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            engine: Engine::new(config.clone().validate().unwrap(), Seed::from_number(5)),
            config,
            items: items(10),
            now: START,
            connected: BTreeMap::new(),
            generations: [0; PEERS as usize],
            stories: BTreeMap::new(),
            outputs: Vec::new(),
        }
    }

    fn slot(&self, index: u32) -> Slot {
        self.connected.get(&index).copied().unwrap_or(Slot::new(index, self.generations[index as usize]))
    }

    fn apply(&mut self, step: &Step) {
        let now = self.now;
        match step.clone() {
            Step::Connect { index } => {
                let slot = self.slot(index);
                let _outcome = self.engine.peer_connected(slot, now);
                self.connected.insert(index, slot);
            }
            Step::Disconnect { index } => {
                self.engine.peer_disconnected(self.slot(index), now);
                if let Some(slot) = self.connected.remove(&index) {
                    self.generations[index as usize] += 1;
                    self.stories.values_mut().for_each(|story| _ = story.bringers.remove(&slot));
                }
            }
            Step::Item { from, item, round, is_stale } => {
                let message = self.items[item].at_round(round);
                let from = if is_stale { Slot::new(from, 99_999) } else { self.slot(from) };
                let received = self.engine.item_received(from, message.clone(), now);
                self.note_received(from, message.id(), round, received);
            }
            Step::Copy { from, item, round } => {
                let (from, id) = (self.slot(from), self.items[item].id());
                let received = self.engine.copy_received(from, id, round, now);
                self.note_received(from, id, round, received);
            }
            Step::Publish { item } => {
                if let Ok(id) = self.engine.publish(self.items[item].clone(), now) {
                    self.stories.entry(id).or_default().was_published = true;
                }
            }
            Step::Report { item, verdict } => {
                let id = self.items[item].id();
                let story = self.stories.entry(id).or_default();
                match self.engine.report(id, verdict, now) {
                    Reported::Relayed | Reported::AtLimit | Reported::Expired => story.was_accepted = true,
                    Reported::Rejected => story.was_rejected = true,
                    Reported::Ignored | Reported::Held | Reported::NoRoom | Reported::NotPending => {}
                }
            }
            Step::Control { from, topic: number, is_wanted } => {
                self.engine.control_received(self.slot(from), control(number, is_wanted), now);
            }
            Step::Subscribe { topic: number, is_wanted: true } => _ = self.engine.subscribe(topic(number)),
            Step::Subscribe { topic: number, is_wanted: false } => _ = self.engine.unsubscribe(&topic(number)),
            Step::SeenElsewhere { item } => _ = self.engine.seen_elsewhere(self.items[item].id(), now),
            Step::FrameRefused { to, item } => {
                self.engine.frame_refused(self.slot(to), self.items[item].id(), now);
            }
            Step::ControlRefused { to, topic: number, is_wanted } => {
                self.engine.control_refused(self.slot(to), control(number, is_wanted), now);
            }
            Step::Writable { to } => self.engine.peer_writable(self.slot(to), now),
            Step::Lie { from } => self.engine.mismatch_received(self.slot(from), now),
            Step::Wait { millis } => {
                self.now = now.after(Duration::from_millis(millis));
                self.engine.handle_timeout(self.now);
                assert!(self.engine.next_timeout().is_none_or(|next| next > self.now), "9: a deadline was passed over");
            }
        }
        self.drain();
        self.check_limits();
    }

    fn note_received(&mut self, from: Slot, id: ItemId, round: u32, received: Received) {
        if !matches!(received, Received::Refused(_)) {
            assert!((1..=ROUNDS_MAX).contains(&round), "10: round {round} was taken");
            let story = self.stories.entry(id).or_default();
            story.bringers.insert(from);
            story.lowest_round = Some(story.lowest_round.map_or(round, |lowest| lowest.min(round)));
        }
    }

    fn drain(&mut self) {
        let mut pushed: BTreeMap<ItemId, BTreeSet<Slot>> = BTreeMap::new();
        while let Some(output) = self.engine.poll_output() {
            if let Some(slot) = named_slot(&output) {
                assert!(self.connected.values().any(|connected| *connected == slot), "6: {output:?}");
            }
            match &output {
                Output::Send { to, message: Message::Item(message), .. } => {
                    self.check_push(*to, message);
                    let is_first = pushed.entry(message.id()).or_default().insert(*to);
                    assert!(is_first, "1: pushed twice to {to:?}");
                }
                Output::Event(Event::Item { id, .. }) => {
                    let story = self.stories.entry(*id).or_default();
                    assert!(!story.was_delivered, "5: delivered twice");
                    story.was_delivered = true;
                }
                Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => {}
            }
            self.outputs.push(output);
        }
        for (id, targets) in pushed {
            assert!(targets.len() <= FAN_OUT as usize, "1: {} pushes", targets.len());
            self.stories.entry(id).or_default().was_pushed = true;
        }
    }

    fn check_push(&self, to: Slot, message: &ItemMessage) {
        let story = &self.stories[&message.id()];
        assert!(!story.was_pushed, "1: pushed in two calls");
        assert!(!story.bringers.contains(&to), "2: pushed back to {to:?}");
        assert!(!story.was_rejected, "4: pushed after a rejection");
        let expected = if story.was_published { 1 } else { story.lowest_round.unwrap() + 1 };
        assert_eq!(message.round(), expected, "3");
        assert!(message.round() <= ROUNDS, "3");
        let is_judged = message.item().topic.as_str() != "open" && story.was_delivered;
        assert!(!is_judged || story.was_accepted, "4: pushed without a verdict");
    }

    fn check_limits(&self) {
        assert!(self.engine.seen_count() <= self.config.seen_entries_max, "7");
        assert!(self.engine.pending_count() <= self.config.pending_items_max, "7");
        assert!(self.engine.pending_bytes() <= self.config.pending_bytes_max, "7");
    }

    fn run(&mut self, steps: &[Step]) {
        steps.iter().for_each(|step| self.apply(step));
        self.apply(&Step::Wait { millis: 90_000 });
        assert_eq!((self.engine.pending_count(), self.engine.pending_bytes()), (0, 0), "9");
        assert_eq!(self.engine.next_timeout(), None, "9");
    }
}

fn named_slot(output: &Output) -> Option<Slot> {
    match output {
        Output::Send { to, .. } | Output::Pause { to } | Output::Resume { to } => Some(*to),
        Output::Event(event) => {
            let mut named = None;
            event.clone().map_peer(|slot| {
                named = Some(slot);
                Some(slot)
            });
            named
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_facts_and_commands_breaks_a_rule(
        steps in prop::collection::vec(step(), 0..200),
        is_club_closed in any::<bool>(),
    ) {
        let carry = if is_club_closed { Carry::Subscribers } else { Carry::Everybody };
        let [mut first, mut second] = [(); 2].map(|()| World::new(config(carry)));
        first.run(&steps);
        second.run(&steps);
        prop_assert_eq!(first.outputs, second.outputs);
        prop_assert_eq!(first.engine.stats(), second.engine.stats());
    }

    /// Items are larger than the budget for pending ones can hold all of, and every count is as small as it may be.
    #[test]
    fn hostile_peers_cannot_grow_memory(steps in prop::collection::vec(hostile_step(), 0..400)) {
        let mut config = config(Carry::Everybody);
        config.seen_entries_max = 16;
        config.pending_items_max = 5;
        config.pending_bytes_max = 400_000;
        config.held_bytes_max = 50_000;
        let mut engine = Engine::new(config.clone().validate().unwrap(), Seed::from_number(1));
        let items = items(40_000);
        for name in 0..TOPICS.len() {
            engine.subscribe(topic(name)).unwrap();
        }
        for index in 0..PEERS {
            let _outcome = engine.peer_connected(Slot::new(index, 0), START);
        }
        for (index, item, round, nonce) in steps {
            let slot = Slot::new(index, 0);
            match nonce {
                Some(number) => {
                    let mut bytes = *items[item].id().as_bytes();
                    bytes[0] = number;
                    engine.seen_elsewhere(ItemId::new(bytes), START);
                }
                None => _ = engine.item_received(slot, items[item].at_round(round), START),
            }
            while engine.poll_output().is_some() {}
            prop_assert!(engine.seen_count() <= config.seen_entries_max);
            prop_assert!(engine.pending_count() <= config.pending_items_max);
            prop_assert!(engine.pending_bytes() <= config.pending_bytes_max);
        }
    }
}

fn hostile_step() -> impl Strategy<Value = (u32, usize, u32, Option<u8>)> {
    (0..PEERS, 0..ITEMS, 0..ROUNDS + 2, prop::option::weighted(0.2, any::<u8>()))
}
