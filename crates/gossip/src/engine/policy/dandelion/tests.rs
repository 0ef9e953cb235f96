use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::super::{
    super::{
        Message, Output, Received,
        tests::{Node, START, base, peer, topic},
    },
    tests::{announced, hear, node, sent, want},
};
use crate::{
    Announced, Announcement, Config, Dandelion, HopKind, Inner, ItemMessage, PeerTraits, Policy, TopicConfig,
    Validation,
};

const INBOUND: std::ops::Range<u32> = 8..16;

fn settings() -> Dandelion {
    Dandelion { inner: Inner::Flood, fluff: 0.001, ..Dandelion::default() }
}

/// Slots 0 to 7 are outbound peers, 8 to 15 inbound ones.
fn with(settings: Dandelion) -> Node {
    let mut node = node(Policy::Dandelion(settings), 16);
    let traits = PeerTraits { is_outbound: true, ..PeerTraits::default() };
    (0..8).for_each(|slot| node.engine.peer_described(peer(slot), traits, START));
    node
}

fn stem(node: &mut Node, from: u32, item: &ItemMessage) -> Received {
    let copy = item.on(crate::Hop { kind: HopKind::Stem, ..crate::Hop::on_round(1) });
    node.engine.item_received(peer(from), copy, node.now)
}

fn sends(node: &mut Node, item: &ItemMessage) -> Vec<(usize, HopKind, u32)> {
    let outputs = node.outputs();
    assert_eq!(announced(&outputs), []);
    sent(&outputs, item)
}

/// To whom an item goes until nothing waits any more.
fn rest(node: &mut Node, item: &ItemMessage) -> Vec<usize> {
    let mut all = Vec::new();
    while let Some(at) = node.engine.next_timeout() {
        node.engine.handle_timeout(at);
        all.extend(sends(node, item).into_iter().map(|(slot, kind, _)| {
            assert_eq!(kind, HopKind::Push);
            slot
        }));
    }
    all.sort_unstable();
    all
}

/// The single peer that an item goes to on its stem.
fn relay_of(node: &mut Node, item: &ItemMessage) -> usize {
    let sends = sends(node, item);
    let [(relay, HopKind::Stem, 1)] = sends[..] else { panic!("{sends:?}") };
    relay
}

#[test]
fn a_stem_leads_to_one_outbound_peer_and_says_nothing_of_its_length() {
    let mut node = with(settings());
    let own = node.item("open", b"own");
    node.engine.publish(own.clone(), START).unwrap();
    let relay = relay_of(&mut node, &own);
    assert!(relay < 8);
    // With one relay everybody's items take it, for the whole epoch.
    for from in INBOUND {
        let item = node.item("open", &from.to_le_bytes());
        assert_eq!(stem(&mut node, from, &item), Received::Relayed);
        assert_eq!(relay_of(&mut node, &item), relay);
    }
}

#[test]
fn two_relays_share_the_inbound_peers_evenly_and_each_keeps_its_way() {
    let mut node = with(Dandelion { relays: 2, ..settings() });
    let mut ways = Vec::new();
    for turn in 0..2 {
        for from in INBOUND {
            let item = node.item("open", &[turn, from as u8]);
            assert_eq!(stem(&mut node, from, &item), Received::Relayed);
            ways.push(relay_of(&mut node, &item));
        }
    }
    let relays: BTreeSet<usize> = ways.iter().copied().collect();
    assert_eq!(relays.len(), 2);
    assert_eq!(ways[..8], ways[8..]);
    assert!(relays.iter().all(|relay| ways[..8].iter().filter(|way| *way == relay).count() == 4));
}

#[test]
fn epochs_end_and_bring_other_relays() {
    let mut node = with(settings());
    let mut relays = BTreeSet::new();
    for byte in 0..100 {
        node.now = START.after(Duration::from_secs(6_000 * u64::from(byte)));
        let item = node.item("open", &[byte]);
        node.engine.publish(item.clone(), node.now).unwrap();
        relays.insert(relay_of(&mut node, &item));
    }
    assert_eq!(relays, (0..8).collect());
}

#[test]
fn a_coin_for_each_epoch_ends_stems_but_never_own_ones() {
    let mut node = with(Dandelion { fluff: 0.2, ..settings() });
    let mut ended = 0;
    for epoch in 0..500_u32 {
        node.now = START.after(Duration::from_secs(60_000 * u64::from(epoch)));
        node.engine.handle_timeout(node.now);
        node.outputs();
        let own = node.item("open", &[&b"own"[..], &epoch.to_le_bytes()].concat());
        node.engine.publish(own.clone(), node.now).unwrap();
        relay_of(&mut node, &own);
        let item = node.item("open", &epoch.to_le_bytes());
        assert_eq!(stem(&mut node, 9, &item), Received::Relayed);
        ended += u32::from(sends(&mut node, &item).iter().all(|(_, kind, _)| *kind == HopKind::Push));
        while let Some(at) = node.engine.next_timeout() {
            node.engine.handle_timeout(at);
        }
        node.outputs();
    }
    // Expected 100; five standard deviations are 45.
    assert!(ended.abs_diff(100) < 45, "{ended}");
}

#[test]
fn an_ended_stem_is_spread_by_the_inner_policy_from_round_1() {
    let mut node = with(Dandelion { fluff: 1.0, ..settings() });
    let item = node.item("open", b"1");
    assert_eq!(stem(&mut node, 9, &item), Received::Relayed);
    node.engine.handle_timeout(START);
    let all: Vec<_> = (0..16).filter(|slot| *slot != 9).map(|slot| (slot, HopKind::Push, 1)).collect();
    assert_eq!(sends(&mut node, &item), all);
}

#[test]
fn what_is_on_its_stem_is_not_served() {
    let mut node = with(settings());
    let item = node.item("open", b"1");
    assert_eq!(stem(&mut node, 9, &item), Received::Relayed);
    relay_of(&mut node, &item);
    for from in 0..16 {
        node.engine.control_received(peer(from), want(&[item.id()]), START);
    }
    assert_eq!((sends(&mut node, &item), node.engine.stats().wants_refused), (vec![], 16));
}

#[test]
fn fault_every_black_holed_item_is_spread_after_its_embargo() {
    for number in 0..200_u32 {
        let mut node = with(settings());
        node.now = START.after(Duration::from_secs(u64::from(number)));
        let item = node.item("open", &number.to_le_bytes());
        if number % 2 == 0 {
            node.engine.publish(item.clone(), node.now).unwrap();
        } else {
            assert_eq!(stem(&mut node, 9, &item), Received::Relayed);
        }
        let relay = relay_of(&mut node, &item);
        let spread = rest(&mut node, &item);
        let from = if number % 2 == 0 { relay } else { 9 };
        assert_eq!(spread, (0..16).filter(|slot| ![relay, from].contains(slot)).collect::<Vec<_>>());
    }
}

#[test]
fn an_embargo_ends_when_the_item_is_seen_in_public() {
    for kind in [HopKind::Push, HopKind::Answer] {
        let mut node = with(settings());
        let item = node.item("open", b"1");
        node.engine.publish(item.clone(), START).unwrap();
        let relay = relay_of(&mut node, &item);
        let hop = crate::Hop { kind, ..crate::Hop::on_round(3) };
        assert_eq!(node.engine.copy_received(peer(9), item.id(), hop, START), Received::Duplicate);
        node.engine.handle_timeout(START);
        let others: Vec<_> =
            (0..16).filter(|slot| ![relay, 9].contains(slot)).map(|slot| (slot, HopKind::Push, 4)).collect();
        assert_eq!(sends(&mut node, &item), others);
    }
}

#[test]
fn fault_a_forged_announcement_neither_ends_an_embargo_nor_shows_who_has_the_item() {
    for round in [1, 31, u32::MAX] {
        let mut node = with(settings());
        let item = node.item("open", b"1");
        assert_eq!(stem(&mut node, 9, &item), Received::Relayed);
        let relay = relay_of(&mut node, &item);
        for is_ahead in [false, true] {
            let items = vec![Announced { id: item.id(), round, root: None }];
            let message = Announcement { topic: topic("open"), items, is_ahead };
            node.engine.announcement_received(peer(12), message, START);
        }
        assert_eq!(node.outputs(), []);
        let others: Vec<_> = (0..16).filter(|slot| ![relay, 9, 12].contains(slot)).collect();
        assert_eq!(rest(&mut node, &item), others);
    }
}

#[test]
fn fault_an_id_that_ran_ahead_does_not_get_a_stem_served() {
    let mut node = with(Dandelion { inner: Inner::Tree, ..settings() });
    let item = node.item("open", b"1");
    let items = vec![Announced { id: item.id(), round: 1, root: crate::RootTag::new(8) }];
    let message = Announcement { topic: topic("open"), items, is_ahead: true };
    node.engine.announcement_received(peer(12), message, START);
    node.engine.control_received(peer(13), want(&[item.id()]), START);
    node.outputs();
    assert_eq!(stem(&mut node, 9, &item), Received::Relayed);
    relay_of(&mut node, &item);
    node.engine.control_received(peer(14), want(&[item.id()]), START);
    assert_eq!(sends(&mut node, &item), []);
    // Both are answered when the embargo is over.
    let mut answered = Vec::new();
    while let Some(at) = node.engine.next_timeout() {
        node.engine.handle_timeout(at);
        answered.extend(sent(&node.outputs(), &item).into_iter().filter(|(_, kind, _)| *kind == HopKind::Answer));
    }
    assert_eq!(answered, [13, 14].map(|slot| (slot, HopKind::Answer, 1)));
}

#[test]
fn fault_an_announcement_does_not_let_an_item_past_its_verdict() {
    let judged = TopicConfig { policy: Policy::Dandelion(settings()), ..base() };
    let topics = BTreeMap::from([(topic("open"), judged)]);
    let mut node = Node::new(Config { topics, other_topics: None, ..Config::default() }, 16);
    node.engine.subscribe(topic("open")).unwrap();
    let item = node.item("open", b"1");
    assert_eq!(stem(&mut node, 9, &item), Received::Pending);
    node.outputs();
    hear(&mut node.engine, 12, &[item.id()], START);
    node.engine.handle_timeout(START);
    assert_eq!(node.outputs(), []);
}

#[test]
fn fault_a_forged_round_leaves_an_item_half_of_its_way() {
    let inner = Inner::Fanout;
    let embargo = Duration::from_secs(30);
    for policy in [Policy::Dandelion(Dandelion { inner, ..settings() }), Policy::Proxy(crate::Proxy { embargo, inner })]
    {
        let mut node = node(policy, 16);
        let traits = PeerTraits { is_outbound: true, ..PeerTraits::default() };
        node.engine.peer_described(peer(0), traits, START);
        let item = node.item("open", b"1");
        node.engine.publish(item.clone(), START).unwrap();
        node.outputs();
        assert_eq!(node.receive(9, &item, 6), Received::Duplicate);
        let sends = sends(&mut node, &item);
        assert_eq!(sends.len(), 14);
        assert!(sends.iter().all(|(_, kind, round)| (*kind, *round) == (HopKind::Push, 3)), "{sends:?}");
    }
}

#[test]
fn a_loop_ends_the_stem() {
    let mut node = with(settings());
    let item = node.item("open", b"1");
    assert_eq!(stem(&mut node, 9, &item), Received::Relayed);
    let relay = relay_of(&mut node, &item);
    assert_eq!(stem(&mut node, 10, &item), Received::Duplicate);
    node.engine.handle_timeout(START);
    assert_eq!(sends(&mut node, &item).len(), 16 - 3);
    assert!(relay < 8);

    // So does a stem that comes from where it would go.
    let back = node.item("open", b"2");
    assert_eq!(stem(&mut node, relay as u32, &back), Received::Relayed);
    node.engine.handle_timeout(START);
    assert_eq!(sends(&mut node, &back).len(), 15);
}

#[test]
fn a_missing_relay_ends_the_stem_and_one_that_left_is_replaced() {
    let mut alone = node(Policy::Dandelion(settings()), 4);
    let item = alone.item("open", b"1");
    assert_eq!(stem(&mut alone, 0, &item), Received::Relayed);
    alone.engine.handle_timeout(START);
    assert_eq!(sends(&mut alone, &item).len(), 3);

    let mut node = with(settings());
    let mut used = BTreeSet::new();
    for byte in 0..8 {
        let item = node.item("open", &[byte]);
        node.engine.publish(item.clone(), START).unwrap();
        let relay = relay_of(&mut node, &item);
        assert!(used.insert(relay));
        node.engine.peer_disconnected(peer(relay as u32), START);
    }
}

#[test]
fn fault_a_peer_has_room_for_so_many_stems_and_the_rest_is_spread() {
    let mut node = with(Dandelion { stem_items_max: 3, ..settings() });
    let items: Vec<ItemMessage> = (0..5).map(|byte| node.item("open", &[byte])).collect();
    for item in &items[..3] {
        assert_eq!(stem(&mut node, 9, item), Received::Relayed);
        relay_of(&mut node, item);
    }
    assert_eq!(stem(&mut node, 9, &items[3]), Received::Relayed);
    node.engine.handle_timeout(START);
    assert_eq!(sends(&mut node, &items[3]).len(), 15);
    // Another peer has its own room, and there is room again when one of three was seen in public.
    let other = node.item("open", b"other");
    assert_eq!(stem(&mut node, 10, &other), Received::Relayed);
    relay_of(&mut node, &other);
    assert_eq!(node.receive(12, &items[0], 2), Received::Duplicate);
    node.engine.handle_timeout(START);
    node.outputs();
    assert_eq!(stem(&mut node, 9, &items[4]), Received::Relayed);
    relay_of(&mut node, &items[4]);
}

#[test]
fn a_relay_can_be_fixed_and_freed() {
    let mut node = with(settings());
    node.engine.fix_stem_relay(Some(peer(13)));
    let item = node.item("open", b"1");
    node.engine.publish(item.clone(), START).unwrap();
    assert_eq!(relay_of(&mut node, &item), 13);
    node.engine.fix_stem_relay(None);
    let item = node.item("open", b"2");
    node.engine.publish(item.clone(), START).unwrap();
    assert!(relay_of(&mut node, &item) < 8);
}

/// A node that may hold four items of 100,000 bytes, with a fixed relay, peer 0.
fn small() -> Node {
    let open = TopicConfig { policy: Policy::Dandelion(settings()), validation: Validation::Automatic, ..base() };
    let topics = BTreeMap::from([(topic("open"), open)]);
    let mut node = Node::new(Config { topics, other_topics: None, serve_bytes_max: 402_000, ..Config::default() }, 16);
    node.engine.fix_stem_relay(Some(peer(0)));
    node
}

/// How many copies of each item go out.
fn copies(node: &mut Node, items: &[ItemMessage]) -> Vec<usize> {
    let mut copies = vec![0; items.len()];
    for output in node.outputs() {
        if let Output::Send { message: Message::Item(message), .. } = output {
            copies[items.iter().position(|item| item.id() == message.id()).unwrap()] += 1;
        }
    }
    copies
}

#[test]
fn what_must_go_for_want_of_room_is_spread_first() {
    let mut node = small();
    let items: Vec<ItemMessage> = (0..5).map(|byte| node.item("open", &[byte; 100_000])).collect();
    for (from, item) in (9..).zip(&items[..4]) {
        assert_eq!(stem(&mut node, from, item), Received::Relayed);
        assert_eq!(relay_of(&mut node, item), 0);
    }
    assert_eq!(stem(&mut node, 13, &items[4]), Received::Relayed);
    assert_eq!(copies(&mut node, &items), [14, 0, 0, 0, 1]);
}

#[test]
fn fault_stems_of_others_do_not_force_out_own_secrets() {
    let mut node = small();
    let mut items = vec![node.item("open", &[100; 100_000])];
    node.engine.publish(items[0].clone(), START).unwrap();
    assert_eq!(relay_of(&mut node, &items[0]), 0);
    items.extend((0..40).map(|byte| node.item("open", &[byte; 100_000])));
    for (number, item) in items[1..].iter().enumerate() {
        assert_eq!(stem(&mut node, 1 + number as u32 % 15, item), Received::Relayed);
    }
    let copies = copies(&mut node, &items);
    assert_eq!(copies[0], 0);
    assert!(copies[1..].iter().all(|copies| *copies > 0));
}

#[test]
fn fault_the_stems_of_one_peer_have_room_for_so_many_bytes() {
    let mut node = small();
    let items: Vec<ItemMessage> = (0..10).map(|byte| node.item("open", &[byte; 20_000])).collect();
    for item in &items {
        assert_eq!(stem(&mut node, 9, item), Received::Relayed);
    }
    let copies = copies(&mut node, &items);
    assert_eq!(copies.iter().filter(|copies| **copies == 1).count(), 2);
    assert_eq!(copies[2], 15);
}
