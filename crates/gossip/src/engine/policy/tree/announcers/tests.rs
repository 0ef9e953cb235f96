use std::{collections::BTreeSet, time::Duration};

use bruit_core::{Slot, Timestamp};

use crate::{
    ControlMessage, HopKind, ItemMessage, PeerTraits,
    engine::{
        Message, Output,
        policy::tree::tests::{Said, adopt, hear, node, receive, said, wait},
        tests::{Node, peer, topic},
    },
};

/// What a node asked of its peers.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    choose: BTreeSet<usize>,
    unchoose: BTreeSet<usize>,
    pull: BTreeSet<usize>,
}

impl Asked {
    fn of(outputs: Vec<Output>) -> Self {
        let mut asked = Self::default();
        for output in outputs {
            let Output::Send { to, message: Message::Control(message), .. } = output else { continue };
            let parts = [
                (&message.choose, &mut asked.choose),
                (&message.unchoose, &mut asked.unchoose),
                (&message.pull, &mut asked.pull),
            ];
            for (topics, slots) in parts {
                if topics == &[topic("open")] {
                    slots.insert(to.index());
                }
            }
        }
        asked
    }
}

/// A node with 12 peers, of which it dialled 6 to 11. Peer 0 is the parent on the tree with root 8.
fn watching() -> Node {
    let mut node = node(12);
    for slot in 6..12 {
        let traits = PeerTraits { is_outbound: true, ..PeerTraits::default() };
        node.engine.peer_described(peer(slot), traits, node.now);
    }
    let first = node.item("open", b"first");
    hear(&mut node, 0, first.id(), (2, 8), true);
    let _ = receive(&mut node, 0, &first, HopKind::Push, (2, 8));
    node.outputs();
    node
}

/// So many items of the parent come, then a second passes.
fn second(node: &mut Node, items: u32) -> Asked {
    for _ in 0..items {
        bring(node, HopKind::Push);
    }
    let end = node.engine.rooms.announcers.next.unwrap_or(node.now.after(Duration::from_secs(1)));
    node.now = end;
    let mut outputs = Vec::new();
    while let Some(at) = node.engine.next_timeout().filter(|at| *at <= end) {
        node.engine.handle_timeout(at);
        outputs.extend(node.outputs());
    }
    Asked::of(outputs)
}

fn bring(node: &mut Node, kind: HopKind) -> ItemMessage {
    let count = node.engine.stats().copies_received;
    let item = node.item("open", &count.to_be_bytes());
    let _ = receive(node, 0, &item, kind, (2, 8));
    node.outputs();
    item
}

/// So many items come because they were asked for.
fn lacking(node: &mut Node, payload: &[u8]) -> Vec<ItemMessage> {
    let items: Vec<ItemMessage> = payload.iter().map(|byte| node.item("open", &[*byte])).collect();
    items.iter().for_each(|item| hear(node, 3, item.id(), (3, 8), false));
    let now = wait(node, 250);
    node.engine.handle_timeout(now);
    assert!(said(node).contains(&Said::Want(3)));
    for item in &items {
        let _ = receive(node, 3, item, HopKind::Answer, (1, 8));
    }
    node.outputs();
    items
}

/// Who is not asked to be silent, after as many seconds as it takes.
fn settled() -> (Node, BTreeSet<usize>) {
    let mut node = watching();
    let asked = [(); 3].map(|()| second(&mut node, 40));
    let spared: BTreeSet<usize> = asked.iter().flat_map(|asked| asked.unchoose.clone()).collect();
    assert_eq!(spared.len(), 8);
    assert!(asked.iter().all(|asked| asked.choose.is_empty() && asked.pull.is_empty()));
    (node, (0..12).filter(|slot| !spared.contains(slot)).collect())
}

#[test]
fn a_busy_node_that_lacks_nothing_keeps_four_announcers_of_those_it_dialled() {
    let (mut node, chosen) = settled();
    assert!(chosen.len() == 4 && chosen.iter().all(|slot| *slot >= 6), "{chosen:?}");
    assert_eq!(second(&mut node, 40), Asked::default());
}

#[test]
fn who_gets_few_items_or_has_few_peers_hears_all_announcements() {
    let mut node = watching();
    for _ in 0..5 {
        assert_eq!(second(&mut node, 19), Asked::default());
    }
    assert_eq!(second(&mut node, 20), Asked::default());
    assert_eq!(second(&mut node, 20).unchoose.len(), 8);
    let mut few = super::super::tests::node(4);
    for _ in 0..5 {
        assert_eq!(second(&mut few, 40), Asked::default());
    }
}

#[test]
fn who_lacks_more_than_one_item_in_fifty_asks_all_to_announce_and_three_what_was_missed() {
    let (mut node, chosen) = settled();
    lacking(&mut node, &[1]);
    assert_eq!(second(&mut node, 49), Asked::default());
    // An answer that nobody asked for says nothing.
    bring(&mut node, HopKind::Answer);
    bring(&mut node, HopKind::Answer);
    assert_eq!(second(&mut node, 40), Asked::default());
    lacking(&mut node, &[2, 3]);
    let asked = second(&mut node, 48);
    let spared: BTreeSet<usize> = (0..12).filter(|slot| !chosen.contains(slot)).collect();
    assert_eq!((&asked.choose, asked.pull.len()), (&spared, 3));
    assert!(asked.pull.is_subset(&spared) && asked.unchoose.is_empty());
}

#[test]
fn an_item_that_its_tree_brings_after_it_was_asked_for_was_not_lacking() {
    let pushed_by = |from: u32| {
        let (mut node, _) = settled();
        let items = lacking(&mut node, &[1]);
        let _ = receive(&mut node, from, &items[0], HopKind::Push, (2, 8));
        node.outputs();
        second(&mut node, 40)
    };
    assert_eq!(pushed_by(0), Asked::default());
    // Who is no part of the tree hides nothing.
    assert_ne!(pushed_by(5), Asked::default());
}

#[test]
fn fault_copies_of_one_item_hide_no_other_and_none_of_a_later_span() {
    for (is_later, is_hidden) in [(false, true), (true, false)] {
        let (mut node, _) = settled();
        let items = lacking(&mut node, &[1]);
        if is_later {
            assert_eq!(second(&mut node, 60), Asked::default());
            lacking(&mut node, &[2]);
        }
        for _ in 0..3 {
            let _ = receive(&mut node, 0, &items[0], HopKind::Push, (2, 8));
        }
        node.outputs();
        assert_eq!(second(&mut node, 40) == Asked::default(), is_hidden);
    }
}

#[test]
fn who_gets_nothing_any_more_asks_all_again() {
    let (mut node, _) = settled();
    assert_eq!(second(&mut node, 10), Asked::default());
    let asked = second(&mut node, 9);
    assert_eq!((asked.choose.len(), asked.pull.len()), (8, 3));
    assert_eq!(second(&mut node, 0), Asked::default());
    assert_eq!(node.engine.rooms.announcers.next, None);
}

#[test]
fn announcers_take_turns_and_whoever_comes_tells_what_was_missed() {
    let (mut node, mut chosen) = settled();
    for _ in 0..10 {
        let asked: Vec<Asked> =
            (0..16).map(|_| second(&mut node, 40)).filter(|asked| *asked != Asked::default()).collect();
        let [asked] = asked.as_slice() else { panic!("{asked:?}") };
        assert_eq!((asked.choose.len(), asked.unchoose.len()), (1, 1));
        assert_eq!(asked.choose, asked.pull);
        assert!(asked.unchoose.is_subset(&chosen) && asked.choose.is_disjoint(&chosen));
        chosen.retain(|slot| !asked.unchoose.contains(slot));
        chosen.extend(&asked.choose);
        assert!(chosen.iter().all(|slot| *slot >= 6), "{chosen:?}");
    }
}

#[test]
fn fault_newcomers_do_not_keep_turns_from_coming() {
    let (mut node, _) = settled();
    let mut pulls = 0;
    for number in 0..64 {
        let newcomer = Slot::new(20 + number, 0);
        node.engine.peer_connected(newcomer, node.now);
        let subscribe = ControlMessage { subscribe: vec![topic("open")], ..ControlMessage::default() };
        node.engine.control_received(newcomer, subscribe, node.now);
        node.outputs();
        pulls += second(&mut node, 40).pull.len();
    }
    assert_eq!(pulls, 4);
}

#[test]
fn a_lost_announcer_is_replaced() {
    let (mut node, chosen) = settled();
    let lost = *chosen.first().unwrap();
    node.engine.peer_disconnected(peer(lost as u32), node.now);
    node.outputs();
    let asked = second(&mut node, 40);
    assert_eq!((asked.choose.len(), asked.pull.len(), asked.unchoose.len()), (1, 1, 0));
    assert!(asked.choose.is_disjoint(&chosen));
}

#[test]
fn fault_what_a_full_outbox_did_not_take_is_said_again() {
    let (mut node, _) = settled();
    let asked = second(&mut node, 0);
    let [first, second_slot] = [0, 1].map(|place| *asked.choose.iter().nth(place).unwrap());
    for slot in [first, second_slot] {
        let message = ControlMessage { choose: vec![topic("open")], ..ControlMessage::default() };
        node.engine.control_refused(peer(slot as u32), message, node.now);
    }
    node.engine.peer_disconnected(peer(second_slot as u32), node.now);
    node.outputs();
    assert_eq!(second(&mut node, 0).choose, BTreeSet::from([first]));
    assert_eq!(second(&mut node, 0), Asked::default());
}

#[test]
fn fault_who_may_not_have_heard_is_asked_to_announce() {
    let (mut node, chosen) = settled();
    let any = *chosen.first().unwrap();
    node.engine.frames_lost(peer(any as u32), 3, node.now);
    assert_eq!(Asked::of(node.outputs()).choose, BTreeSet::from([any]));
    // Also when all have been asked, and this was what was lost.
    second(&mut node, 0);
    node.engine.frames_lost(peer(1), 3, node.now);
    assert_eq!(Asked::of(node.outputs()).choose, BTreeSet::from([1]));
}

/// Peer `slot` asks to be told of the topic, or not to be.
fn say(node: &mut Node, slot: u32, does_choose: bool, pull: bool) {
    let open = vec![topic("open")];
    let (choose, unchoose) = if does_choose { (open.clone(), Vec::new()) } else { (Vec::new(), open.clone()) };
    let pull = if pull { open } else { Vec::new() };
    node.engine.control_received(
        peer(slot),
        ControlMessage { choose, unchoose, pull, ..ControlMessage::default() },
        node.now,
    );
}

fn told(node: &mut Node) -> Vec<usize> {
    let now = wait(node, 300);
    node.engine.handle_timeout(now);
    let ids = said(node).into_iter().filter_map(|said| if let Said::Id { to, .. } = said { Some(to) } else { None });
    ids.collect()
}

#[test]
fn who_asked_not_to_be_told_is_told_of_what_makes_trees_grow_alone_until_it_asks_again() {
    let mut node = watching();
    adopt(&mut node, 1, 8);
    told(&mut node);
    say(&mut node, 2, false, false);
    let missed = node.item("open", b"1");
    let _ = receive(&mut node, 0, &missed, HopKind::Push, (2, 8));
    assert_eq!(told(&mut node), (3..12).collect::<Vec<usize>>());
    let ahead = node.item("open", b"2");
    hear(&mut node, 0, ahead.id(), (2, 8), true);
    assert!(told(&mut node).contains(&2));

    // Nobody may ask for what it was not told.
    let want = ControlMessage { want: vec![missed.id()], ..ControlMessage::default() };
    node.engine.control_received(peer(2), want.clone(), node.now);
    assert_eq!(said(&mut node), []);
    say(&mut node, 2, true, true);
    assert!(told(&mut node).contains(&2));
    node.engine.control_received(peer(2), want, node.now);
    assert_eq!(said(&mut node), [Said::Copy(2, HopKind::Answer, 1, 8)]);
    let last = node.item("open", b"3");
    let _ = receive(&mut node, 0, &last, HopKind::Push, (2, 8));
    // The id that ran ahead has made the tree grow anew, and nobody has adopted this node since.
    assert_eq!(told(&mut node), (1..12).collect::<Vec<usize>>());
}

#[test]
fn fault_who_declined_nothing_is_told_nothing_by_asking_for_all() {
    let mut node = watching();
    let before = node.item("open", b"1");
    let _ = receive(&mut node, 0, &before, HopKind::Push, (2, 8));
    told(&mut node);
    let newcomer = 12;
    node.engine.peer_connected(peer(newcomer), node.now);
    let subscribe = ControlMessage { subscribe: vec![topic("open")], ..ControlMessage::default() };
    node.engine.control_received(peer(newcomer), subscribe, node.now);
    say(&mut node, newcomer, true, true);
    assert_eq!(told(&mut node), []);
    say(&mut node, newcomer, false, false);
    let since = node.item("open", b"2");
    let _ = receive(&mut node, 0, &since, HopKind::Push, (2, 8));
    told(&mut node);
    wait(&mut node, 2_000);
    say(&mut node, newcomer, true, true);
    assert_eq!(told(&mut node), [newcomer as usize]);
}

#[test]
fn fault_nothing_is_remembered_of_topics_that_are_not_carried_or_of_peers_that_are_gone() {
    let mut node = watching();
    let message = ControlMessage { unchoose: vec![topic("other")], ..ControlMessage::default() };
    node.engine.control_received(peer(2), message, node.now);
    assert!(node.engine.rooms.announcers.declined_by.is_empty());
    say(&mut node, 2, false, false);
    say(&mut node, 3, false, false);
    node.engine.peer_disconnected(peer(2), node.now);
    assert!(node.engine.rooms.announcers.declined_by(&topic("open")).is_some());
    node.engine.peer_disconnected(peer(3), node.now);
    assert!(node.engine.rooms.announcers.declined_by.is_empty());
}

#[test]
fn a_busy_node_that_lacks_nothing_is_patient() {
    let first_want = |node: &mut Node| -> Duration {
        let item = node.item("open", b"late");
        hear(node, 3, item.id(), (3, 8), false);
        let heard = node.now;
        let is_want = |output: &Output| match output {
            Output::Send { message: Message::Control(message), .. } => !message.want.is_empty(),
            Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => false,
        };
        loop {
            let at: Timestamp = node.engine.next_timeout().unwrap();
            node.now = at;
            node.engine.handle_timeout(at);
            if node.outputs().iter().any(is_want) {
                return at.since(heard);
            }
        }
    };
    assert!(first_want(&mut watching()) <= Duration::from_millis(6));
    let (mut busy, _) = settled();
    assert_eq!(first_want(&mut busy), Duration::from_millis(250));
}
