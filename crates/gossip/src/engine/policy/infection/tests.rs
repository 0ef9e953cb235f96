use std::time::Duration;

use bruit_core::Timestamp;

use super::super::{
    super::{
        Message, Output, Received,
        tests::{Node, START, peer},
    },
    tests::{announced, finished, hear, node, sent, want, wanted},
};
use crate::{ControlMessage, Finished, HopKind, Infection, ItemMessage, Policy, Tally};

fn exact(peers: u32) -> Node {
    node(Policy::Infection(Infection::default()), peers)
}

/// Publishes an item, and says to whom it was announced.
fn publish(node: &mut Node) -> (ItemMessage, Vec<u32>) {
    let item = node.item("open", b"1");
    node.engine.publish(item.clone(), START).unwrap();
    let told = told(&node.outputs());
    (item, told)
}

fn told(outputs: &[Output]) -> Vec<u32> {
    announced(outputs).into_iter().map(|(slot, ..)| slot as u32).collect()
}

fn have(node: &mut Node, from: u32, item: &ItemMessage) -> Vec<Output> {
    let have = ControlMessage { have: vec![item.id()], ..ControlMessage::default() };
    node.engine.control_received(peer(from), have, START);
    settle(node, START)
}

fn get(node: &mut Node, from: u32, item: &ItemMessage) -> Vec<Output> {
    node.engine.control_received(peer(from), want(&[item.id()]), START);
    settle(node, START)
}

/// Announcements gather for a few milliseconds.
fn settle(node: &mut Node, now: Timestamp) -> Vec<Output> {
    node.engine.handle_timeout(now.after(Duration::from_millis(60)));
    node.outputs()
}

fn haves(outputs: &[Output]) -> Vec<usize> {
    let have = |output: &Output| match output {
        Output::Send { to, message: Message::Control(message), .. } if !message.have.is_empty() => Some(to.index()),
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(have).collect()
}

#[test]
fn it_stops_when_enough_peers_got_it_from_here() {
    let mut node = exact(50);
    let (item, told) = publish(&mut node);
    assert_eq!(told.len(), 3);
    for (count, to) in told.iter().enumerate() {
        let outputs = get(&mut node, *to, &item);
        assert_eq!(sent(&outputs, &item), [(*to as usize, HopKind::Answer, 1)]);
        assert_eq!(announced(&outputs), []);
        let tally = Tally { reached: 3, announced: 3, answers: 3, ..Tally::default() };
        assert_eq!(outputs.contains(&finished(&item, tally, Finished::TargetReached)), count == 2);
    }
}

#[test]
fn it_tries_one_more_for_each_that_had_it_and_stops_when_enough_had() {
    let mut node = exact(50);
    let (item, mut waiting) = publish(&mut node);
    for already in 1..=12 {
        let from = waiting.remove(0);
        let outputs = have(&mut node, from, &item);
        let more = told(&outputs);
        assert_eq!(more.len(), usize::from(already < 12));
        waiting.extend(more);
        let tally = Tally { reached: 12, announced: 14, already_had: 12, ..Tally::default() };
        assert_eq!(outputs.contains(&finished(&item, tally, Finished::Saturated)), already == 12, "{outputs:?}");
    }
}

#[test]
fn it_stops_when_enough_were_tried() {
    let mut node = exact(50);
    let (item, mut tried) = publish(&mut node);
    // Nobody answers: after ten seconds others are tried.
    let mut end = false;
    while let Some(at) = node.engine.next_timeout().filter(|_| !end) {
        node.engine.handle_timeout(at);
        let outputs = node.outputs();
        tried.extend(told(&outputs));
        let tally = Tally { announced: 15, ..Tally::default() };
        end = outputs.contains(&finished(&item, tally, Finished::AttemptsSpent));
    }
    assert!(end);
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried.len(), 15);
}

#[test]
fn it_stops_when_nobody_is_left() {
    let mut node = exact(2);
    let (item, told) = publish(&mut node);
    assert_eq!(told.len(), 2);
    assert_eq!(announced(&have(&mut node, told[0], &item)), []);
    let outputs = get(&mut node, told[1], &item);
    let tally = Tally { reached: 2, announced: 2, already_had: 1, answers: 1, ..Tally::default() };
    assert!(outputs.contains(&finished(&item, tally, Finished::NobodyLeft)));
}

#[test]
fn an_unknown_item_is_asked_for_and_a_known_one_answered() {
    let mut node = exact(3);
    let item = node.item("open", b"1");
    hear(&mut node.engine, 0, &[item.id()], START);
    assert_eq!(wanted(&node.outputs()), [(0, vec![item.id()])]);
    // It is on its way: the next one need not wait for an answer.
    hear(&mut node.engine, 1, &[item.id()], START);
    assert_eq!(haves(&node.outputs()), [1]);
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    let outputs = node.outputs();
    assert_eq!((sent(&outputs, &item), told(&outputs)), (vec![], vec![2]));
    hear(&mut node.engine, 2, &[item.id()], START);
    assert_eq!(haves(&node.outputs()), [2]);
}

#[test]
fn who_said_that_it_had_it_may_still_ask_once() {
    let mut node = exact(50);
    let (item, told) = publish(&mut node);
    have(&mut node, told[0], &item);
    assert_eq!(sent(&get(&mut node, told[0], &item), &item).len(), 1);
    assert_eq!(sent(&get(&mut node, told[0], &item), &item).len(), 0);
}

#[test]
fn fault_answers_of_who_was_not_asked_count_for_nothing() {
    let mut node = exact(50);
    let (item, told) = publish(&mut node);
    let liars: Vec<u32> = (0..50).filter(|slot| !told.contains(slot)).collect();
    for liar in &liars {
        let outputs = [have(&mut node, *liar, &item), get(&mut node, *liar, &item)].concat();
        assert_eq!(outputs, []);
    }
    // Nor do those of one peer count twice.
    for _ in 0..20 {
        have(&mut node, told[0], &item);
    }
    let outputs = get(&mut node, told[1], &item);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Event(_))));
}

fn adaptive(peers: u32) -> Node {
    let mut node = node(Policy::Infection(Infection { adaptive: 4, ..Infection::default() }), peers);
    node.engine.handle_timeout(START.after(Duration::from_millis(100)));
    node
}

fn choices(outputs: &[Output]) -> Vec<usize> {
    let choose = |output: &Output| match output {
        Output::Send { to, message: Message::Control(message), .. } if !message.choose.is_empty() => Some(to.index()),
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(choose).collect()
}

#[test]
fn adaptive_each_node_asks_so_many_and_replaces_who_leaves() {
    let mut node = adaptive(20);
    let chosen = choices(&node.outputs());
    assert_eq!(chosen.len(), 4);
    node.engine.peer_disconnected(peer(chosen[0] as u32), START);
    node.engine.handle_timeout(START.after(Duration::from_millis(200)));
    let more = choices(&node.outputs());
    assert!(more.len() == 1 && !chosen.contains(&more[0]));
}

#[test]
fn adaptive_the_origin_tells_everybody_and_others_whoever_asked() {
    let mut node = adaptive(20);
    let choose =
        ControlMessage { choose: vec![super::super::super::tests::topic("open")], ..ControlMessage::default() };
    for from in [3, 7, 11] {
        node.engine.control_received(peer(from), choose.clone(), START);
    }
    node.outputs();
    let item = node.item("open", b"1");
    assert_eq!(node.receive(7, &item, 1), Received::Relayed);
    assert_eq!(told(&node.outputs()), [3, 11]);
    node.now = START.after(Duration::from_secs(1));
    let own = node.item("open", b"2");
    node.engine.publish(own, node.now).unwrap();
    assert_eq!(told(&node.outputs()).len(), 20);
}

#[test]
fn adaptive_a_pull_is_told_what_is_there_but_not_more_often_than_once_a_second() {
    let mut node = adaptive(20);
    node.outputs();
    let item = node.item("open", b"1");
    assert_eq!(node.receive(7, &item, 1), Received::Relayed);
    node.outputs();
    let pull = ControlMessage { pull: vec![super::super::super::tests::topic("open")], ..ControlMessage::default() };
    node.engine.control_received(peer(5), pull.clone(), START);
    assert_eq!(told(&settle(&mut node, START)), [5]);
    node.engine.control_received(peer(6), pull.clone(), START);
    node.engine.control_received(peer(6), pull.clone(), START);
    assert_eq!(told(&settle(&mut node, START)), [6]);
    // Who was told already is not told again.
    node.engine.control_received(peer(6), pull, START.after(Duration::from_secs(2)));
    assert_eq!(told(&settle(&mut node, START.after(Duration::from_secs(2)))), []);
}
