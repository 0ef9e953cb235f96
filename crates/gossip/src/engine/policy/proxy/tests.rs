use std::{collections::BTreeMap, time::Duration};

use super::super::{
    super::{
        Received,
        tests::{Node, START, base, peer, topic},
    },
    tests::{announced, node, sent},
};
use crate::{Config, HopKind, Inner, ItemId, PeerTraits, Policy, Proxy, TopicConfig};

const EMBARGO: Duration = Duration::from_secs(30);

/// Slots 0 to 3 are outbound peers, 4 to 7 inbound ones.
fn with_peers() -> Node {
    let mut node = node(Policy::Proxy(Proxy { embargo: EMBARGO, inner: Inner::Flood }), 8);
    let traits = PeerTraits { is_outbound: true, ..PeerTraits::default() };
    (0..4).for_each(|slot| node.engine.peer_described(peer(slot), traits, START));
    node
}

fn slots(node: &mut Node, item: &crate::ItemMessage) -> Vec<usize> {
    sent(&node.outputs(), item).into_iter().map(|(slot, ..)| slot).collect()
}

/// Lets time pass until nothing waits any more, and says who got an item.
fn rest(node: &mut Node, item: &crate::ItemMessage) -> Vec<usize> {
    let mut all = slots(node, item);
    while let Some(at) = node.engine.next_timeout() {
        node.engine.handle_timeout(at);
        all.append(&mut slots(node, item));
    }
    all.sort_unstable();
    all
}

#[test]
fn an_own_item_goes_to_one_outbound_peer_and_looks_like_any() {
    let mut node = with_peers();
    let mut seen = [0; 8];
    for byte in 0..100 {
        let item = node.item("open", &[byte]);
        node.engine.publish(item.clone(), START).unwrap();
        let outputs = node.outputs();
        let sent = sent(&outputs, &item);
        assert!(announced(&outputs).is_empty());
        let [(slot, HopKind::Push, 1)] = sent[..] else { panic!("{sent:?}") };
        seen[slot] += 1;
    }
    assert!(seen[..4].iter().all(|count| *count > 10) && seen[4..] == [0; 4], "{seen:?}");
}

#[test]
fn an_own_item_that_comes_back_is_relayed_as_if_it_were_new() {
    let mut node = with_peers();
    let item = node.item("open", b"1");
    node.engine.publish(item.clone(), START).unwrap();
    let proxy = slots(&mut node, &item)[0];
    assert_eq!(node.receive(5, &item, 3), Received::Duplicate);
    let relayed = rest(&mut node, &item);
    let others: Vec<usize> = (0..8).filter(|slot| *slot != 5 && *slot != proxy).collect();
    assert_eq!(relayed, others);
}

#[test]
fn an_own_item_that_does_not_come_back_is_spread_after_its_embargo() {
    let mut node = with_peers();
    let item = node.item("open", b"1");
    node.engine.publish(item.clone(), START).unwrap();
    let proxy = slots(&mut node, &item)[0];
    assert!(node.engine.next_timeout().unwrap() > START);
    let spread = rest(&mut node, &item);
    assert_eq!(spread, (0..8).filter(|slot| *slot != proxy).collect::<Vec<_>>());
}

#[test]
fn an_item_of_another_is_spread_at_once() {
    let mut node = with_peers();
    let item = node.item("open", b"1");
    assert_eq!(node.receive(6, &item, 1), Received::Relayed);
    assert_eq!(rest(&mut node, &item), [0, 1, 2, 3, 4, 5, 7]);
}

#[test]
fn without_outbound_peers_nothing_is_hidden_and_nothing_lost() {
    let mut node = node(Policy::Proxy(Proxy { embargo: EMBARGO, inner: Inner::Flood }), 3);
    let item = node.item("open", b"1");
    node.engine.publish(item.clone(), START).unwrap();
    assert_eq!(rest(&mut node, &item), [0, 1, 2]);
}

#[test]
fn fault_an_item_whose_id_is_flushed_before_its_embargo_is_spread_all_the_same() {
    let policy = Policy::Proxy(Proxy::default());
    let topics = BTreeMap::from([(topic("open"), TopicConfig { policy, ..base() })]);
    let seen = Config { seen_entries_max: 16, pending_items_max: 16, ..Config::default() };
    let mut node = Node::new(Config { topics, ..seen }, 8);
    let traits = PeerTraits { is_outbound: true, ..PeerTraits::default() };
    node.engine.peer_described(peer(0), traits, START);
    let own = node.item("open", b"own");
    node.engine.publish(own.clone(), START).unwrap();
    assert_eq!(slots(&mut node, &own), [0]);
    for byte in 0..16 {
        _ = node.engine.seen_elsewhere(ItemId::new([byte; 32]), START);
    }
    assert!(!node.engine.is_known(&own.id()));
    assert_eq!(slots(&mut node, &own), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(node.engine.next_timeout(), None);
}
