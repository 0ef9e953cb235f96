//! Old items sent again after a flood of new ones that was to flush their ids.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, time::Duration};

use bruit_core::{NetworkId, Seed, Slot, Timestamp};
use bruit_gossip::{
    Bytes, Config, Engine, Item, ItemMessage, Moment, Policy, Received, Sealer, SeenEviction, Topic, TopicConfig,
    Validation,
};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const HONEST: u32 = 4;
const HOSTILE: u32 = 4;
const OLD: u64 = 10_000;

/// A node that has room for twice as many ids as are old.
fn node(seen_eviction: SeenEviction) -> Engine {
    let policy = Policy::Fanout { peers: 3, rounds: 6 };
    let news = TopicConfig { policy, validation: Validation::Automatic, ..TopicConfig::default() };
    let topics = BTreeMap::from([(Topic::new("news").unwrap(), news)]);
    let config = Config { topics, seen_eviction, seen_entries_max: 2 * OLD as usize, ..Config::default() };
    let mut engine = Engine::new(config.validate().unwrap(), Seed::from_number(1));
    (0..HONEST + HOSTILE).for_each(|index| _ = engine.peer_connected(Slot::new(index, 0), NOW));
    engine
}

fn items(numbers: std::ops::Range<u64>) -> impl Iterator<Item = ItemMessage> {
    let (topic, sealer) = (Topic::new("news").unwrap(), Sealer::new(&NetworkId::new("test").unwrap()));
    let expires_at = NOW.after(Duration::from_secs(600));
    numbers.map(move |nonce| {
        let item = Item { topic: topic.clone(), author: None, nonce, expires_at, payload: Bytes::from_static(b"news") };
        sealer.seal(item, Moment { now: NOW, wall: NOW })
    })
}

/// How many of the items, brought in turn by some peers, are relayed.
fn relayed(engine: &mut Engine, items: impl Iterator<Item = ItemMessage>, by: std::ops::Range<u32>) -> usize {
    let mut count = 0;
    for (item, from) in items.zip(by.cycle()) {
        let received = engine.item_received(Slot::new(from, 0), item, NOW);
        count += usize::from(received == Received::Relayed);
        while engine.poll_output().is_some() {}
    }
    count
}

#[test]
fn fault_a_flood_of_unique_ids_does_not_let_old_items_be_relayed_again() {
    let mut node = node(SeenEviction::Quotas);
    assert_eq!(relayed(&mut node, items(0..OLD), 0..HONEST), OLD as usize);
    relayed(&mut node, items(OLD..6 * OLD), HONEST..HONEST + HOSTILE);
    assert_eq!(node.seen_count(), 2 * OLD as usize);
    let again = relayed(&mut node, items(0..OLD), HONEST..HONEST + HOSTILE);
    assert!(again <= OLD as usize / 1_000, "{again} of {OLD} were relayed again");
}

#[test]
fn where_the_oldest_of_all_is_forgotten_first_a_flood_brings_everything_back() {
    let mut node = node(SeenEviction::Fifo);
    relayed(&mut node, items(0..OLD), 0..HONEST);
    relayed(&mut node, items(OLD..6 * OLD), HONEST..HONEST + HOSTILE);
    assert_eq!(relayed(&mut node, items(0..OLD), HONEST..HONEST + HOSTILE), OLD as usize);
}
