use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Conduct, Slot};

use super::super::{
    Engine, Message, Output, Received, Refusal,
    tests::{Node, START, base, peer, topic},
};
use crate::{
    Announced, Announcement, AnnouncementReceived, Config, ControlMessage, Event, Finished, HopKind, ItemId,
    ItemMessage, PeerTraits, Policy, SqrtAnnounce, Tally, TopicConfig, Validation,
};

/// A node with one topic, `open`, that needs no verdict.
pub(super) fn node(policy: Policy, peers: u32) -> Node {
    let open = TopicConfig { policy, validation: Validation::Automatic, ..base() };
    let topics = BTreeMap::from([(topic("open"), open)]);
    Node::new(Config { topics, other_topics: None, finished_events: true, ..Config::default() }, peers)
}

pub(super) fn sent(outputs: &[Output], expected: &ItemMessage) -> Vec<(usize, HopKind, u32)> {
    let mut sent: Vec<_> = outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send { to, message: Message::Item(message), .. } => {
                assert_eq!(message.id(), expected.id());
                Some((to.index(), message.hop().kind, message.round()))
            }
            Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
        })
        .collect();
    sent.sort_unstable_by_key(|(slot, _, round)| (*slot, *round));
    sent
}

pub(super) fn announced(outputs: &[Output]) -> Vec<(usize, ItemId, u32)> {
    let ids = |output: &Output| match output {
        Output::Send { to, message: Message::Announce(message), .. } => {
            message.items.iter().map(|item| (to.index(), item.id, item.round)).collect()
        }
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => Vec::new(),
    };
    outputs.iter().flat_map(ids).collect()
}

pub(super) fn wanted(outputs: &[Output]) -> Vec<(usize, Vec<ItemId>)> {
    let want = |output: &Output| match output {
        Output::Send { to, message: Message::Control(message), .. } => Some((to.index(), message.want.clone())),
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(want).collect()
}

pub(super) fn announcement(ids: &[ItemId]) -> Announcement {
    let items = ids.iter().map(|id| Announced { id: *id, round: 2, root: None }).collect();
    Announcement { topic: topic("open"), items, is_ahead: false }
}

pub(super) fn hear(engine: &mut Engine, from: u32, ids: &[ItemId], now: bruit_core::Timestamp) {
    assert_eq!(engine.announcement_received(peer(from), announcement(ids), now), AnnouncementReceived::Applied);
}

pub(super) fn want(ids: &[ItemId]) -> ControlMessage {
    ControlMessage { want: ids.to_vec(), ..ControlMessage::default() }
}

pub(super) fn finished(message: &ItemMessage, tally: Tally, why: Finished) -> Output {
    Output::Event(Event::Finished { id: message.id(), tally, why })
}

#[test]
fn all_pushes_to_every_peer_but_the_sender_and_is_done() {
    let mut node = node(Policy::All { rounds: 1 }, 20);
    let own = node.item("open", b"own");
    node.engine.publish(own.clone(), START).unwrap();
    let pushes: Vec<_> = (0..20).map(|slot| (slot, HopKind::Push, 1)).collect();
    assert_eq!(sent(&node.outputs(), &own), pushes);
    let other = node.item("open", b"other");
    assert_eq!(node.receive(3, &other, 1), Received::AtLimit);
    assert_eq!(sent(&node.outputs(), &other), []);
}

#[test]
fn one_pushes_to_one_peer() {
    let mut node = node(Policy::One { rounds: 1 }, 20);
    let item = node.item("open", b"1");
    node.engine.publish(item.clone(), START).unwrap();
    let outputs = node.outputs();
    assert_eq!(sent(&outputs, &item).len(), 1);
}

#[test]
fn an_item_may_be_published_by_a_policy_of_its_own() {
    let mut node = node(Policy::One { rounds: 1 }, 20);
    let item = node.item("open", b"urgent");
    node.engine.publish_by(item.clone(), Policy::All { rounds: 6 }, START).unwrap();
    assert_eq!(sent(&node.outputs(), &item).len(), 20);
}

#[test]
fn specials_come_on_top_of_those_drawn_by_chance() {
    let mut node = node(Policy::Fanout { peers: 3, rounds: 6 }, 20);
    for slot in [5, 7] {
        let traits = PeerTraits { is_special: true, ..PeerTraits::default() };
        node.engine.peer_described(peer(slot), traits, START);
    }
    for byte in 0..50 {
        let item = node.item("open", &[byte]);
        node.engine.publish(item.clone(), START).unwrap();
        let slots: Vec<usize> = sent(&node.outputs(), &item).into_iter().map(|(slot, ..)| slot).collect();
        assert!(slots.len() == 5 && slots.contains(&5) && slots.contains(&7), "{slots:?}");
    }
}

#[test]
fn flood_waits_and_passes_over_who_sent_it_meanwhile() {
    let delay = Duration::from_millis(200);
    let mut node = node(Policy::Flood { delay }, 4);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    assert_eq!(node.outputs(), [Output::Event(Event::Conduct { peer: peer(0), conduct: Conduct::DeliveredFirst })]);
    assert_eq!(node.receive(2, &item, 3), Received::Duplicate);
    let due = node.engine.next_timeout().unwrap();
    assert_eq!(due, START.after(delay));
    node.engine.handle_timeout(due);
    let outputs = node.outputs();
    assert_eq!(sent(&outputs, &item), [(1, HopKind::Push, 2), (3, HopKind::Push, 2)]);
    let tally = Tally { reached: 4, pushes: 2, duplicates: 1, ..Tally::default() };
    assert_eq!(outputs.last(), Some(&finished(&item, tally, Finished::Pushed)));
    node.engine.handle_timeout(node.engine.next_timeout().unwrap());
    assert_eq!((node.outputs(), node.engine.next_timeout()), (vec![], None));
}

#[test]
fn flood_without_delay_keeps_nothing() {
    let mut node = node(Policy::Flood { delay: Duration::ZERO }, 4);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 31), Received::Relayed);
    assert_eq!(sent(&node.outputs(), &item).len(), 3);
    assert_eq!(node.engine.next_timeout(), None);
}

#[test]
fn sqrt_announce_pushes_to_the_root_of_its_peers_and_announces_to_the_rest() {
    let mut node = node(Policy::SqrtAnnounce(SqrtAnnounce::default()), 20);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    let outputs = node.outputs();
    let pushed: Vec<usize> = sent(&outputs, &item).into_iter().map(|(slot, ..)| slot).collect();
    let told: Vec<usize> = announced(&outputs).into_iter().map(|(slot, ..)| slot).collect();
    assert_eq!((pushed.len(), told.len()), (4, 15));
    let mut all = [pushed, told.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (1..20).collect::<Vec<_>>());

    // Who was told may ask, once; who was not told may not.
    let asker = peer(told[0] as u32);
    node.engine.control_received(asker, want(&[item.id()]), START);
    assert_eq!(sent(&node.outputs(), &item), [(told[0], HopKind::Answer, 1)]);
    node.engine.control_received(asker, want(&[item.id()]), START);
    node.engine.control_received(peer(0), want(&[item.id()]), START);
    assert_eq!(node.outputs(), []);
    assert_eq!((node.engine.stats().wants_answered, node.engine.stats().wants_refused), (1, 2));
}

#[test]
fn sqrt_announce_repairs_beyond_the_limit_of_rounds() {
    let mut node = node(Policy::SqrtAnnounce(SqrtAnnounce::default()), 9);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 6), Received::Relayed);
    let outputs = node.outputs();
    assert_eq!((sent(&outputs, &item).len(), announced(&outputs).len()), (0, 8));
}

#[test]
fn an_announced_item_is_asked_for_in_turn_until_it_comes() {
    let mut node = node(Policy::SqrtAnnounce(SqrtAnnounce::default()), 4);
    let item = node.item("open", b"1");
    for from in [2, 0, 3] {
        hear(&mut node.engine, from, &[item.id()], START);
    }
    assert_eq!(node.outputs(), []);
    let first = node.engine.next_timeout().unwrap();
    assert_eq!(first, START.after(Duration::from_secs(1)));
    node.engine.handle_timeout(first);
    assert_eq!(wanted(&node.outputs()), [(2, vec![item.id()])]);
    let second = node.engine.next_timeout().unwrap();
    assert_eq!(second, first.after(Duration::from_secs(5)));
    node.engine.handle_timeout(second);
    let outputs = node.outputs();
    assert_eq!(outputs[0], Output::Event(Event::Conduct { peer: peer(2), conduct: Conduct::TimedOut }));
    assert_eq!(wanted(&outputs), [(0, vec![item.id()])]);

    // Asked and gone: the next one is asked at once.
    node.engine.peer_disconnected(peer(0), second);
    assert_eq!(wanted(&node.outputs()), [(3, vec![item.id()])]);
    node.now = second;
    assert_eq!(node.receive(3, &item, 1), Received::Relayed);
    // Who announced it has it: one peer is left, and the square root of three is one.
    assert_eq!(sent(&node.outputs(), &item), [(1, HopKind::Push, 2)]);
    assert_eq!(node.engine.stats().wants_sent, 3);
}

#[test]
fn an_item_that_comes_by_itself_is_not_asked_for() {
    let mut node = node(Policy::SqrtAnnounce(SqrtAnnounce::default()), 3);
    let item = node.item("open", b"1");
    hear(&mut node.engine, 0, &[item.id()], START);
    assert_eq!(node.receive(1, &item, 1), Received::Relayed);
    node.outputs();
    while let Some(at) = node.engine.next_timeout() {
        node.engine.handle_timeout(at);
    }
    assert_eq!(node.engine.stats().wants_sent, 0);
}

#[test]
fn announcements_gather_under_load_and_ride_with_items() {
    let mut node = node(Policy::SqrtAnnounce(SqrtAnnounce::default()), 9);
    let items: Vec<ItemMessage> = (0..40).map(|byte| node.item("open", &[byte])).collect();
    let mut told = 0;
    for (number, item) in items.iter().enumerate() {
        node.engine.publish(item.clone(), node.now).unwrap();
        let outputs = node.outputs();
        let to: Vec<usize> = sent(&outputs, item).into_iter().map(|(slot, ..)| slot).collect();
        let ids = announced(&outputs);
        told += ids.len();
        // Nobody gets a packet for ids alone once there is load.
        if number > 25 {
            assert!(ids.iter().all(|(slot, ..)| to.contains(slot)), "{ids:?} beside {to:?}");
        }
        node.now = node.now.after(Duration::from_millis(1));
    }
    node.engine.handle_timeout(node.engine.next_timeout().unwrap());
    let rest = announced(&node.outputs());
    assert_eq!(told + rest.len(), 40 * 6);
}

#[test]
fn fault_announcements_of_what_does_not_exist_are_bounded_and_harm_nobody() {
    let mut node = node(Policy::SqrtAnnounce(SqrtAnnounce::default()), 3);
    let id = |number: u32| {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        ItemId::new(bytes)
    };
    let item = node.item("open", b"real");
    for start in (0..100_000).step_by(250) {
        let ids: Vec<ItemId> = (start..start + 250).map(id).collect();
        hear(&mut node.engine, 0, &ids, START);
    }
    hear(&mut node.engine, 0, &[item.id()], START);
    hear(&mut node.engine, 1, &[item.id()], START);
    let refused = |output: &Output| matches!(output, Output::Event(Event::AnnouncementRefused { ids: 250, .. }));
    assert!(node.outputs().iter().any(refused));
    assert!(node.engine.stats().ids_refused > 98_000);

    let mut asked_of_liar = 0;
    let end = START.after(Duration::from_secs(3));
    while let Some(at) = node.engine.next_timeout().filter(|at| *at < end) {
        node.engine.handle_timeout(at);
        for (slot, ids) in wanted(&node.outputs()) {
            asked_of_liar += if slot == 0 { ids.len() } else { 0 };
            assert!(slot == 0 || (slot == 1 && ids == [item.id()]));
            if slot == 1 {
                node.now = at;
                assert_eq!(node.receive(1, &item, 1), Received::Relayed);
            }
        }
    }
    assert_eq!(asked_of_liar, 16);
    assert!(node.engine.is_known(&item.id()));
    // What nobody sends is given up, all of it.
    while let Some(at) = node.engine.next_timeout() {
        node.engine.handle_timeout(at);
    }
    assert_eq!(node.engine.stats().fetches_given_up, 1_024);
}

#[test]
fn what_is_known_by_another_way_or_was_refused_is_not_looked_for() {
    let policy = Policy::SqrtAnnounce(SqrtAnnounce::default());
    let ends: [fn(&mut Node, &ItemMessage); 3] = [
        |node, item| _ = node.engine.seen_elsewhere(item.id(), node.now),
        |node, item| _ = node.engine.publish(item.clone(), node.now).unwrap(),
        |node, item| {
            node.now = node.now.after(Duration::from_secs(61));
            assert_eq!(node.receive(0, item, 1), Received::Refused(Refusal::Expired));
        },
    ];
    for end in ends {
        let mut node = node(policy, 4);
        let item = node.item("open", b"1");
        let heard = node.now.after(Duration::from_secs(40));
        node.now = heard;
        for from in [0, 2] {
            hear(&mut node.engine, from, &[item.id()], heard);
        }
        end(&mut node, &item);
        node.outputs();
        while let Some(at) = node.engine.next_timeout() {
            node.engine.handle_timeout(at);
            let outputs = node.outputs();
            assert_eq!(wanted(&outputs), []);
            assert!(!outputs.iter().any(|output| matches!(output, Output::Event(Event::Conduct { .. }))));
        }
        assert_eq!((node.engine.stats().wants_sent, node.engine.stats().fetches_given_up), (0, 0));
    }
}

#[test]
fn who_answered_is_not_blamed_although_its_answer_was_refused() {
    let mut node = node(Policy::SqrtAnnounce(SqrtAnnounce::default()), 2);
    let item = node.item("open", b"1");
    hear(&mut node.engine, 0, &[item.id()], START);
    node.engine.handle_timeout(node.engine.next_timeout().unwrap());
    assert_eq!(wanted(&node.outputs()), [(0, vec![item.id()])]);
    assert_eq!(node.receive(0, &item, 7), Received::Refused(Refusal::Round));
    node.outputs();
    while let Some(at) = node.engine.next_timeout() {
        node.engine.handle_timeout(at);
    }
    assert_eq!(node.outputs(), []);
}

#[test]
fn fault_a_peer_that_uses_the_room_for_verdicts_does_not_stop_the_repair_of_others() {
    let judged = TopicConfig { policy: Policy::SqrtAnnounce(SqrtAnnounce::default()), ..base() };
    let topics = BTreeMap::from([(topic("open"), judged)]);
    let config = Config { topics, other_topics: None, pending_items_max: 100, ..Config::default() };
    let mut node = Node::new(config, 4);
    node.engine.subscribe(topic("open")).unwrap();
    for byte in 0..24 {
        let item = node.item("open", &[byte]);
        assert_eq!(node.receive(3, &item, 1), Received::Pending);
    }
    node.outputs();
    hear(&mut node.engine, 3, &[ItemId::new([7; 32])], START);
    let refused = Output::Event(Event::AnnouncementRefused { peer: peer(3), ids: 1 });
    assert_eq!(node.outputs(), [refused]);
    let item = node.item("open", b"honest");
    hear(&mut node.engine, 0, &[item.id()], START);
    node.engine.handle_timeout(START.after(Duration::from_secs(1)));
    assert_eq!(wanted(&node.outputs()), [(0, vec![item.id()])]);
    assert_eq!(node.receive(0, &item, 1), Received::Pending);
}

#[test]
fn fault_a_want_for_what_was_not_announced_costs_nothing() {
    let mut node = node(Policy::Fanout { peers: 3, rounds: 6 }, 4);
    let item = node.item("open", b"1");
    node.engine.publish(item.clone(), START).unwrap();
    node.outputs();
    for from in 0..4 {
        node.engine.control_received(peer(from), want(&[item.id(), ItemId::new([0; 32])]), START);
    }
    assert_eq!(node.outputs(), []);
    assert_eq!(node.engine.stats().wants_refused, 8);
}

#[test]
fn a_stale_or_uncarried_announcement_is_named() {
    let mut node = node(Policy::SqrtAnnounce(SqrtAnnounce::default()), 1);
    let stale = node.engine.announcement_received(Slot::new(0, 7), announcement(&[]), START);
    assert_eq!(stale, AnnouncementReceived::StalePeer);
    let other = Announcement { topic: topic("other"), ..announcement(&[]) };
    assert_eq!(node.engine.announcement_received(peer(0), other, START), AnnouncementReceived::NotCarried);
}

#[test]
fn what_is_served_is_bounded_in_bytes_and_time() {
    let open = TopicConfig {
        policy: Policy::SqrtAnnounce(SqrtAnnounce::default()),
        validation: Validation::Automatic,
        ..base()
    };
    let config = Config {
        topics: BTreeMap::from([(topic("open"), open)]),
        other_topics: None,
        serve_bytes_max: 400_000,
        ..Config::default()
    };
    let mut node = Node::new(config, 4);
    for byte in 0..10 {
        let item = node.item("open", &[byte; 100_000]);
        node.engine.publish(item, START).unwrap();
    }
    assert_eq!(node.engine.held.len(), 3);
    while let Some(at) = node.engine.next_timeout() {
        assert!(at <= START.after(Duration::from_secs(30)));
        node.engine.handle_timeout(at);
    }
    assert_eq!(node.engine.held.len(), 0);
}
