//! What the numbers look like to who scrapes them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bruit_core::{Slot, Timestamp};
use bruit_gossip::{
    Bytes, Config, Engine, Item, ItemMessage, Metrics, Moment, NetworkId, Received, Sealer, Seed, Topic,
};
use prometheus_client::{encoding::text::encode, registry::Registry};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn item(topic: &Topic, payload: &'static [u8]) -> ItemMessage {
    let (topic, expires_at) = (topic.clone(), NOW.after(Duration::from_secs(60)));
    let item = Item { topic, author: None, nonce: 0, expires_at, payload: Bytes::from_static(payload) };
    Sealer::new(&NetworkId::new("test").unwrap()).seal(item, Moment { now: NOW, wall: NOW })
}

fn text_of(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    text
}

#[test]
fn what_was_done_and_what_is_held_can_be_scraped() {
    let mut registry = Registry::default();
    let metrics = Metrics::register(registry.sub_registry_with_prefix("gossip"));
    let mut engine = Engine::new(Config::default().validate().unwrap(), Seed::from_number(1));
    let news = Topic::new("news").unwrap();
    engine.subscribe(news.clone()).unwrap();
    let peer = Slot::new(0, 0);
    engine.peer_connected(peer, NOW);
    let first = item(&news, b"first");
    assert_eq!(engine.item_received(peer, first.at_round(2), NOW), Received::Pending);
    assert_eq!(engine.item_received(peer, first.at_round(3), NOW), Received::Duplicate);

    assert!(text_of(&registry).contains("\ngossip_peers 0\n"), "nothing was looked at yet");
    metrics.clone().observe(&engine);
    let text = text_of(&registry);
    for line in [
        "# HELP gossip_peers Peers that take part.",
        "# TYPE gossip_peers gauge",
        "gossip_peers 1",
        "gossip_topics 1",
        "gossip_seen 1",
        "gossip_pending_items 1",
        "# UNIT gossip_pending_bytes bytes",
        "# TYPE gossip_copies_received counter",
        "gossip_copies_received_total 2",
        "gossip_duplicates_total 1",
        "gossip_delivered_total 1",
        "gossip_relayed_total 0",
        "gossip_first_copies_total{round=\"2\"} 1",
        &format!("gossip_pending_bytes {}", engine.pending_bytes()),
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn every_number_has_a_name_of_its_own_and_a_sentence() {
    let mut registry = Registry::default();
    let _metrics = Metrics::register(&mut registry);
    let text = text_of(&registry);
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
    let count = names.len();
    assert!(names.iter().all(|name| name.split_whitespace().count() > 2), "{names:?}");
    names.sort_by_key(|line| line.split(' ').next());
    names.dedup_by_key(|line| line.split(' ').next());
    assert_eq!(names.len(), count);
}
