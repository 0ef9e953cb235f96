//! Rounds are claims that nobody signs. In whatever order true and forged ones come, and whenever the verdict falls:
//! 1. an item is relayed once, to at most as many as the policy says, and to nobody who brought it before;
//! 2. on one above the lowest round that had come by then, which is never above the limit;
//! 3. it is relayed whenever one copy with rounds left came, so that who claims the last round keeps nothing back;
//! 4. a round of 0 or above the limit is refused, marks nothing, and is held against nobody.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bruit_core::{NetworkId, Seed, Slot, Timestamp};
use bruit_gossip::{
    Bytes, Conduct, Config, Engine, Event, Item, ItemMessage, Message, Moment, Output, Policy, Received, Refusal,
    Reported, Sealer, Topic, TopicConfig, Validation, Verdict,
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const PEERS: u32 = 8;
const ROUNDS: u32 = 6;

struct World {
    engine: Engine,
    item: ItemMessage,
    fan_out: usize,
    is_judged: bool,
    /// The lowest round that was taken, and who brought the item.
    lowest: Option<u32>,
    bringers: BTreeSet<Slot>,
    is_accepted: bool,
    was_relayed: bool,
}

impl World {
    fn new(policy: Policy, is_judged: bool) -> Self {
        let fan_out = if let Policy::Fanout { peers, .. } = policy { peers } else { PEERS };
        let validation = if is_judged { Validation::Application } else { Validation::Automatic };
        let topic = Topic::new("news").unwrap();
        let topics = BTreeMap::from([(topic.clone(), TopicConfig { policy, validation, ..TopicConfig::default() })]);
        let config = Config { topics, ..Config::default() }.validate().unwrap();
        let mut engine = Engine::new(config, Seed::from_number(1));
        engine.subscribe(topic.clone()).unwrap();
        (0..PEERS).for_each(|index| _ = engine.peer_connected(Slot::new(index, 0), NOW));
        while engine.poll_output().is_some() {}
        let expires_at = NOW.after(Duration::from_secs(60));
        let item = Item { topic, author: None, nonce: 0, expires_at, payload: Bytes::from_static(b"news") };
        let item = Sealer::new(&NetworkId::new("test").unwrap()).seal(item, Moment { now: NOW, wall: NOW });
        Self {
            engine,
            item,
            fan_out: fan_out as usize,
            is_judged,
            lowest: None,
            bringers: BTreeSet::new(),
            is_accepted: !is_judged,
            was_relayed: false,
        }
    }

    fn receive(&mut self, from: u32, round: u32) {
        let (from, is_first) = (Slot::new(from, 0), self.lowest.is_none());
        let received = self.engine.item_received(from, self.item.at_round(round), NOW);
        if !(1..=ROUNDS).contains(&round) {
            assert_eq!(received, Received::Refused(Refusal::Round), "4: round {round}");
            assert_eq!(self.engine.is_known(&self.item.id()), !is_first, "4");
            let told = Event::Refused { peer: from, id: self.item.id(), refusal: Refusal::Round };
            assert_eq!(self.engine.poll_output(), Some(Output::Event(told)), "4");
            assert_eq!(self.engine.poll_output(), None, "4");
            return;
        }
        self.lowest = Some(self.lowest.map_or(round, |lowest| lowest.min(round)));
        self.bringers.insert(from);
        self.drain();
    }

    fn accept(&mut self) {
        let reported = self.engine.report(self.item.id(), Verdict::Accept, NOW);
        if self.is_judged && self.lowest.is_some() && !self.is_accepted {
            self.is_accepted = true;
            let expected = if self.lowest < Some(ROUNDS) { Reported::Relayed } else { Reported::AtLimit };
            assert_eq!(reported, expected);
        } else {
            assert_eq!(reported, Reported::NotPending);
        }
        self.drain();
    }

    fn drain(&mut self) {
        let mut targets = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Send { to, message: Message::Item(copy), .. } => {
                    assert_eq!(Some(copy.round()), self.lowest.map(|lowest| lowest + 1), "2");
                    assert!(copy.round() <= ROUNDS, "2");
                    assert!(!self.bringers.contains(&to), "1: back to {to:?}");
                    targets.push(to);
                }
                Output::Event(Event::Conduct { conduct, .. }) => assert_eq!(conduct, Conduct::DeliveredFirst, "4"),
                Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => {}
            }
        }
        let is_due = self.is_accepted && !self.was_relayed && self.lowest.is_some_and(|lowest| lowest < ROUNDS);
        let free = PEERS as usize - self.bringers.len();
        assert_eq!(targets.len(), if is_due { self.fan_out.min(free) } else { 0 }, "1, 3");
        assert_eq!(targets.iter().collect::<BTreeSet<_>>().len(), targets.len(), "1");
        self.was_relayed |= is_due;
    }
}

fn round() -> impl Strategy<Value = u32> {
    let forged = prop_oneof![Just(0), Just(ROUNDS + 1), Just(u32::MAX), any::<u32>()];
    prop_oneof![2 => Just(ROUNDS), 3 => 1..=ROUNDS, 2 => forged]
}

proptest! {
    #[test]
    fn fault_no_order_of_forged_rounds_keeps_an_item_back_or_sends_it_twice(
        copies in prop::collection::vec((0..PEERS, round()), 1..16),
        accepted_after in 0..16_usize,
        is_judged in any::<bool>(),
        is_fanout in any::<bool>(),
    ) {
        let policy = if is_fanout { Policy::Fanout { peers: 3, rounds: ROUNDS } } else { Policy::All { rounds: ROUNDS } };
        let mut world = World::new(policy, is_judged);
        for (number, (from, round)) in copies.into_iter().enumerate() {
            world.receive(from, round);
            if number == accepted_after {
                world.accept();
            }
        }
        world.accept();
        let has_rounds_left = world.lowest.is_some_and(|lowest| lowest < ROUNDS);
        prop_assert_eq!(world.was_relayed, has_rounds_left, "3");
    }
}
