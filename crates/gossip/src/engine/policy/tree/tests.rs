use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Conduct, Timestamp};

use crate::{
    Announced, Announcement, AnnouncementReceived, Config, ControlMessage, Event, Hop, HopKind, ItemId, ItemMessage,
    Policy, Received, RootTag, TopicConfig, Tree, Validation,
    engine::{
        Message, Output,
        tests::{Node, START, base, peer, topic},
    },
};

/// What is said, in the order of saying it.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Copy(usize, HopKind, u32, u64),
    Id { to: usize, round: u32, root: u64, is_ahead: bool },
    Adopt(usize, u64),
    Drop(usize, u64),
    Want(usize),
}

pub(super) fn node(peers: u32) -> Node {
    let policy = Policy::Tree(Tree::default());
    let open = TopicConfig { policy, validation: Validation::Automatic, ..base() };
    Node::new(
        Config { topics: BTreeMap::from([(topic("open"), open)]), other_topics: None, ..Config::default() },
        peers,
    )
}

pub(super) fn said(node: &mut Node) -> Vec<Said> {
    let number = |root: Option<RootTag>| root.map_or(0, RootTag::number);
    let mut said = Vec::new();
    for output in node.outputs() {
        match output {
            Output::Send { to, message: Message::Item(item), .. } => {
                let hop = item.hop();
                said.push(Said::Copy(to.index(), hop.kind, hop.round, number(hop.root)));
            }
            Output::Send { to, message: Message::Announce(message), .. } => {
                let is_ahead = message.is_ahead;
                said.extend(message.items.iter().map(|item| Said::Id {
                    to: to.index(),
                    round: item.round,
                    root: number(item.root),
                    is_ahead,
                }));
            }
            Output::Send { to, message: Message::Control(message), .. } => {
                said.extend(message.adopt.iter().map(|root| Said::Adopt(to.index(), root.number())));
                said.extend(message.drop.iter().map(|root| Said::Drop(to.index(), root.number())));
                said.extend(message.want.iter().map(|_| Said::Want(to.index())));
            }
            Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => {}
        }
    }
    said
}

fn tag(number: u64) -> RootTag {
    RootTag::new(number).unwrap()
}

pub(super) fn hear(node: &mut Node, from: u32, id: ItemId, (round, root): (u32, u64), is_ahead: bool) {
    let items = vec![Announced { id, round, root: RootTag::new(root) }];
    let message = Announcement { topic: topic("open"), items, is_ahead };
    let received = node.engine.announcement_received(peer(from), message, node.now);
    assert_eq!(received, AnnouncementReceived::Applied);
}

pub(super) fn receive(
    node: &mut Node,
    from: u32,
    item: &ItemMessage,
    kind: HopKind,
    (round, root): (u32, u64),
) -> Received {
    let hop = Hop { round, kind, root: RootTag::new(root), ..Hop::default() };
    match node.engine.is_known(&item.id()) {
        true => node.engine.copy_received(peer(from), item.id(), hop, node.now),
        false => node.engine.item_received(peer(from), item.on(hop), node.now),
    }
}

pub(super) fn adopt(node: &mut Node, from: u32, root: u64) {
    let message = ControlMessage { adopt: vec![tag(root)], ..ControlMessage::default() };
    node.engine.control_received(peer(from), message, node.now);
}

/// A node of which peer 0 is the parent, and peers 1 and 2 are children, on the tree with root 8.
pub(super) fn on_a_tree() -> Node {
    let mut node = node(5);
    let first = node.item("open", b"first");
    hear(&mut node, 0, first.id(), (2, 8), true);
    adopt(&mut node, 1, 8);
    adopt(&mut node, 2, 8);
    assert_eq!(receive(&mut node, 0, &first, HopKind::Push, (2, 8)), Received::Relayed);
    let all_told = wait(&mut node, 10);
    node.engine.handle_timeout(all_told);
    said(&mut node);
    node
}

pub(super) fn wait(node: &mut Node, millis: u64) -> Timestamp {
    node.now = node.now.after(Duration::from_millis(millis));
    node.now
}

#[test]
fn the_sender_of_the_first_id_ahead_becomes_parent_and_the_id_is_passed_on() {
    let mut node = node(4);
    let item = node.item("open", b"1");
    hear(&mut node, 2, item.id(), (3, 8), true);
    let ids = [0, 1, 3].map(|to| Said::Id { to, round: 4, root: 8, is_ahead: true });
    let mut expected = vec![Said::Adopt(2, 8)];
    expected.extend(ids);
    assert_eq!(said(&mut node), expected);
    hear(&mut node, 0, item.id(), (2, 8), true);
    assert_eq!(said(&mut node), []);
}

#[test]
fn an_id_at_the_limit_is_not_passed_on_but_a_later_nearer_one_is() {
    let mut node = node(3);
    let item = node.item("open", b"1");
    hear(&mut node, 0, item.id(), (6, 8), true);
    assert_eq!(said(&mut node), [Said::Adopt(0, 8)]);
    hear(&mut node, 1, item.id(), (4, 8), true);
    let id = Said::Id { to: 2, round: 5, root: 8, is_ahead: true };
    assert_eq!(said(&mut node), [Said::Adopt(1, 8), Said::Drop(0, 8), id]);
}

#[test]
fn the_first_item_of_a_root_without_trees_goes_to_who_adopts_it() {
    let mut node = node(3);
    let item = node.item("open", b"1");
    node.engine.publish(item, START).unwrap();
    let first = said(&mut node);
    let Some(Said::Id { root, is_ahead: true, round: 1, .. }) = first.first() else { panic!("{first:?}") };
    assert_eq!(first.len(), 3);
    adopt(&mut node, 1, *root);
    assert_eq!(said(&mut node), [Said::Copy(1, HopKind::Push, 1, *root)]);
    adopt(&mut node, 1, *root);
    assert_eq!(said(&mut node), []);

    // The second goes along the tree at once, and is only told to the others.
    let now = wait(&mut node, 1_000);
    let second = node.item("open", b"2");
    node.engine.publish(second, now).unwrap();
    let ids = [0, 2].map(|to| Said::Id { to, round: 1, root: *root, is_ahead: false });
    let mut expected = vec![Said::Copy(1, HopKind::Push, 1, *root)];
    expected.extend(ids);
    assert_eq!(said(&mut node), expected);
}

#[test]
fn an_item_goes_from_the_parent_to_the_children_and_its_id_to_the_rest() {
    let mut node = on_a_tree();
    wait(&mut node, 1_000);
    let item = node.item("open", b"second");
    assert_eq!(receive(&mut node, 0, &item, HopKind::Push, (2, 8)), Received::Relayed);
    let copies = [1, 2].map(|to| Said::Copy(to, HopKind::Push, 3, 8));
    let ids = [3, 4].map(|to| Said::Id { to, round: 3, root: 8, is_ahead: false });
    let mut expected = Vec::from(copies);
    expected.extend(ids);
    assert_eq!(said(&mut node), expected);
}

#[test]
fn a_fresh_root_uses_the_tree_of_another_both_up_and_down() {
    let mut node = on_a_tree();
    let now = wait(&mut node, 1_000);
    let item = node.item("open", b"own");
    node.engine.publish(item, now).unwrap();
    let outputs = said(&mut node);
    let copies: Vec<&Said> = outputs.iter().filter(|said| matches!(said, Said::Copy(..))).collect();
    // The last bit says that the root did not publish it.
    assert_eq!(copies, [0, 1, 2].map(|to| Said::Copy(to, HopKind::Push, 1, 9)).iter().collect::<Vec<_>>());
    let ahead = outputs.iter().filter(|said| matches!(said, Said::Id { is_ahead: true, .. })).count();
    assert_eq!(ahead, 5);
}

#[test]
fn what_comes_up_from_a_child_on_a_used_tree_goes_to_all_other_links_of_it() {
    let mut node = on_a_tree();
    wait(&mut node, 1_000);
    let item = node.item("open", b"another's");
    assert_eq!(receive(&mut node, 1, &item, HopKind::Push, (1, 9)), Received::Relayed);
    let outputs = said(&mut node);
    let copies: Vec<&Said> = outputs.iter().filter(|said| matches!(said, Said::Copy(..))).collect();
    assert_eq!(copies, [0, 2].map(|to| Said::Copy(to, HopKind::Push, 2, 9)).iter().collect::<Vec<_>>());
}

#[test]
fn a_copy_from_who_is_not_the_parent_is_answered_with_a_drop() {
    let mut node = on_a_tree();
    wait(&mut node, 1_000);
    let item = node.item("open", b"second");
    assert_eq!(receive(&mut node, 0, &item, HopKind::Push, (2, 8)), Received::Relayed);
    said(&mut node);
    assert_eq!(receive(&mut node, 3, &item, HopKind::Push, (4, 8)), Received::Duplicate);
    assert_eq!(said(&mut node), [Said::Drop(3, 8)]);
    assert_eq!(receive(&mut node, 4, &item, HopKind::Answer, (1, 8)), Received::Duplicate);
    assert_eq!(said(&mut node), []);
}

#[test]
fn of_many_first_items_one_alone_grows_the_tree_until_it_had_time_to() {
    let mut node = node(3);
    let is_ahead = |node: &mut Node, payload: &[u8], millis: u64| {
        let now = wait(node, millis);
        let item = node.item("open", payload);
        node.engine.publish(item, now).unwrap();
        let told = wait(node, 50);
        node.engine.handle_timeout(told);
        let said = said(node);
        assert_eq!(said.len(), 3, "{said:?}");
        said.iter().all(|said| matches!(said, Said::Id { is_ahead: true, .. }))
    };
    assert!(is_ahead(&mut node, b"1", 0));
    assert!(!is_ahead(&mut node, b"2", 0));
    assert!(!is_ahead(&mut node, b"3", 300));
    assert!(is_ahead(&mut node, b"4", 100));
}

#[test]
fn an_id_without_its_body_is_asked_for_and_the_second_miss_moves_the_parent() {
    let mut node = on_a_tree();
    for (payload, moves) in [(b"a", false), (b"b", true)] {
        wait(&mut node, 1_000);
        let item = node.item("open", payload);
        hear(&mut node, 3, item.id(), (3, 8), false);
        for expected in [vec![], vec![], vec![Said::Want(3)]] {
            assert_eq!(said(&mut node), []);
            let now = wait(&mut node, 1);
            node.engine.handle_timeout(now);
            assert_eq!(said(&mut node), expected);
        }
        wait(&mut node, 10);
        assert_eq!(receive(&mut node, 3, &item, HopKind::Answer, (1, 8)), Received::Relayed);
        let outputs = said(&mut node);
        assert_eq!(outputs.contains(&Said::Adopt(3, 8)), moves);
        assert_eq!(outputs.contains(&Said::Drop(0, 8)), moves);
        assert!(outputs.contains(&Said::Copy(1, HopKind::Push, 2, 8)));
    }
    assert_eq!(node.engine.stats().trees_mended, 1);
}

#[test]
fn fault_ids_ahead_of_what_never_comes_stop_being_passed_on() {
    let mut node = node(4);
    let mut passed_on = 0;
    for number in 0..500_u32 {
        let mut bytes = [5; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        hear(&mut node, 0, ItemId::new(bytes), (1, u64::from(number + 1) * 2), true);
        wait(&mut node, 10);
        node.engine.handle_timeout(node.now);
        passed_on += said(&mut node).iter().filter(|said| matches!(said, Said::Id { is_ahead: true, .. })).count();
    }
    assert_eq!(passed_on, 64 * 3);
}

fn ids_ahead(node: &mut Node) -> usize {
    wait(node, 10);
    node.engine.handle_timeout(node.now);
    said(node).iter().filter(|said| matches!(said, Said::Id { is_ahead: true, .. })).count()
}

#[test]
fn fault_ids_ahead_of_what_is_held_are_passed_on_once_each() {
    let mut node = on_a_tree();
    wait(&mut node, 1_000);
    let items = [b"a", b"b"].map(|payload| node.item("open", payload));
    for item in &items {
        assert_eq!(receive(&mut node, 0, item, HopKind::Push, (2, 8)), Received::Relayed);
    }
    let own = node.item("open", b"own");
    node.engine.publish(own.clone(), node.now).unwrap();
    ids_ahead(&mut node);
    let mut passed_on = 0;
    for number in 0..100 {
        for item in items.iter().chain([&own]) {
            hear(&mut node, 3, item.id(), (1, 8), true);
            hear(&mut node, 3, item.id(), (1, 1_000 + 2 * number), true);
        }
        passed_on += ids_ahead(&mut node);
    }
    assert_eq!(passed_on, 2 * 3);
    assert!(node.engine.rooms.tree.get(tag(1_198)).is_none());
}

#[test]
fn fault_an_id_ahead_does_not_let_a_peer_ask_twice() {
    let mut node = on_a_tree();
    wait(&mut node, 1_000);
    let item = node.item("open", b"a");
    assert_eq!(receive(&mut node, 0, &item, HopKind::Push, (2, 8)), Received::Relayed);
    ids_ahead(&mut node);
    let want = ControlMessage { want: vec![item.id()], ..ControlMessage::default() };
    node.engine.control_received(peer(4), want.clone(), node.now);
    assert_eq!(said(&mut node), [Said::Copy(4, HopKind::Answer, 1, 8)]);
    hear(&mut node, 3, item.id(), (1, 8), true);
    assert_eq!(ids_ahead(&mut node), 3);
    node.engine.control_received(peer(4), want, node.now);
    assert_eq!((said(&mut node), node.engine.stats().wants_refused), (vec![], 1));
}

/// Lets a time pass, and says whom it brought blame.
fn blamed(node: &mut Node, millis: u64) -> Vec<usize> {
    let end = wait(node, millis);
    while let Some(at) = node.engine.next_timeout().filter(|at| *at <= end) {
        node.engine.handle_timeout(at);
    }
    let late = |output: Output| match output {
        Output::Event(Event::Conduct { peer, conduct: Conduct::TimedOut }) => Some(peer.index()),
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    };
    node.outputs().into_iter().filter_map(late).collect()
}

#[test]
fn fault_the_right_to_send_ahead_comes_back_when_nobody_has_the_items() {
    let mut node = node(4);
    let id = |number: u64| ItemId::new([(number + 1) as u8; 32]);
    for number in 0..65 {
        hear(&mut node, 0, id(number), (1, 8), true);
    }
    assert_eq!(node.engine.stats().ids_announced, 64 * 3);
    // Who only sent ahead never said that it has them.
    assert_eq!(blamed(&mut node, 31_000), []);
    hear(&mut node, 0, id(70), (1, 8), true);
    assert_eq!(node.engine.stats().ids_announced, 65 * 3);
}

#[test]
fn who_is_slower_than_usual_is_passed_over_and_only_who_is_too_late_is_blamed() {
    for (answers_after, blame) in [(2_000, vec![]), (5_004, vec![3])] {
        let mut node = on_a_tree();
        let item = node.item("open", b"a");
        hear(&mut node, 3, item.id(), (3, 8), false);
        hear(&mut node, 4, item.id(), (3, 8), false);
        let now = node.now.after(Duration::from_millis(3));
        node.engine.handle_timeout(now);
        assert_eq!(said(&mut node), [Said::Want(3)]);
        assert_eq!(blamed(&mut node, answers_after), []);
        assert_eq!(receive(&mut node, 1, &item, HopKind::Push, (3, 8)), Received::Relayed);
        assert_eq!(blamed(&mut node, 10), blame);
    }
}

#[test]
fn fault_who_announces_what_it_never_sends_is_blamed_in_the_end() {
    let mut node = on_a_tree();
    hear(&mut node, 3, ItemId::new([9; 32]), (3, 8), false);
    assert_eq!(blamed(&mut node, 40_000), [3]);
}

#[test]
fn fault_trees_end_at_their_limit() {
    let mut trees = super::Trees::new(1 << 40);
    for number in 1..=10_000_u64 {
        trees.get_or_make(tag(number * 2), 256, START.after(Duration::from_secs(number)));
    }
    assert_eq!((1..=10_000).filter(|number| trees.get(tag(number * 2)).is_some()).count(), 256);
    assert!(trees.get(tag(20_000)).is_some());
}

#[test]
fn a_parent_whose_copies_come_late_is_waited_for_and_kept() {
    let mut node = on_a_tree();
    let mut asked = Vec::new();
    for number in 0..12_u8 {
        let item = node.item("open", &[number]);
        hear(&mut node, 3, item.id(), (3, 8), false);
        let now = wait(&mut node, 30);
        node.engine.handle_timeout(now);
        let has_asked = said(&mut node).contains(&Said::Want(3));
        asked.push(has_asked);
        if has_asked {
            let _ = receive(&mut node, 3, &item, HopKind::Answer, (1, 8));
        }
        wait(&mut node, 10);
        let _ = receive(&mut node, 0, &item, HopKind::Push, (2, 8));
        let now = wait(&mut node, 1_000);
        node.engine.handle_timeout(now);
        let talk = said(&mut node);
        assert!(!talk.iter().any(|said| matches!(said, Said::Adopt(..) | Said::Drop(..))), "{talk:?}");
    }
    assert!(asked[0] && asked.iter().filter(|asked| **asked).count() <= 7, "{asked:?}");
}

#[test]
fn a_parent_whose_copy_is_faster_than_the_answer_is_slow_all_the_same() {
    let mut node = on_a_tree();
    let mut asked = Vec::new();
    for number in 0..20_u8 {
        let item = node.item("open", &[number]);
        hear(&mut node, 3, item.id(), (3, 8), false);
        let now = wait(&mut node, 30);
        node.engine.handle_timeout(now);
        asked.push(said(&mut node).contains(&Said::Want(3)));
        let _ = receive(&mut node, 0, &item, HopKind::Push, (2, 8));
        wait(&mut node, 10);
        let _ = receive(&mut node, 3, &item, HopKind::Answer, (1, 8));
    }
    assert!(asked.iter().filter(|asked| **asked).count() <= 3, "{asked:?}");
}

#[test]
fn who_had_to_ask_first_is_not_slow() {
    let mut node = on_a_tree();
    for number in 0..6_u8 {
        let item = node.item("open", &[number]);
        let now = wait(&mut node, 100);
        node.engine.handle_timeout(now);
        hear(&mut node, 3, item.id(), (3, 8), false);
        let now = wait(&mut node, 10);
        node.engine.handle_timeout(now);
        assert!(said(&mut node).contains(&Said::Want(3)), "after {number}");
        wait(&mut node, 90);
        // The way from the root to here has two hops; one less means that the parent had asked.
        let _ = receive(&mut node, 0, &item, HopKind::Push, (1, 8));
    }
}

/// Whether peer 3 is asked for an item within a time after it said that it has it.
fn asks_within(node: &mut Node, item: &ItemMessage, millis: u64) -> bool {
    hear(node, 3, item.id(), (3, 8), false);
    let end = wait(node, millis);
    while let Some(at) = node.engine.next_timeout().filter(|at| *at <= end) {
        node.engine.handle_timeout(at);
    }
    said(node).contains(&Said::Want(3))
}

#[test]
fn fault_a_slow_parent_is_waited_for_no_longer_than_half_a_second() {
    let mut node = on_a_tree();
    let slow = node.item("open", b"slow");
    assert!(asks_within(&mut node, &slow, 8_000));
    assert_eq!(receive(&mut node, 0, &slow, HopKind::Push, (2, 8)), Received::Relayed);
    let next = node.item("open", b"next");
    assert!(!asks_within(&mut node, &next, 499));
    let then = node.item("open", b"then");
    assert!(asks_within(&mut node, &then, 500));
}

#[test]
fn fault_copies_that_come_up_late_do_not_delay_for_longer_either() {
    let mut node = on_a_tree();
    for number in 0..8_u8 {
        let item = node.item("open", &[number]);
        hear(&mut node, 3, item.id(), (3, 9), false);
        let now = wait(&mut node, 8_000);
        node.engine.handle_timeout(now);
        assert_eq!(receive(&mut node, 1, &item, HopKind::Push, (3, 9)), Received::Relayed);
    }
    said(&mut node);
    let next = node.item("open", b"next");
    hear(&mut node, 3, next.id(), (3, 9), false);
    let now = wait(&mut node, 500);
    node.engine.handle_timeout(now);
    assert!(said(&mut node).contains(&Said::Want(3)));
}

#[test]
fn fault_a_parent_whose_copies_come_later_than_that_is_left_whatever_rounds_it_names() {
    let mut node = on_a_tree();
    let mut moved = 0;
    for number in 0..2_u8 {
        let item = node.item("open", &[number]);
        assert!(asks_within(&mut node, &item, 500));
        let _ = receive(&mut node, 3, &item, HopKind::Answer, (1, 8));
        moved += said(&mut node).iter().filter(|said| **said == Said::Adopt(3, 8)).count();
        let _ = receive(&mut node, 0, &item, HopKind::Push, (1, 8));
    }
    assert_eq!(moved, 1);
}

#[test]
fn a_new_parent_is_measured_by_its_own_rounds() {
    let mut node = on_a_tree();
    node.engine.peer_disconnected(peer(0), node.now);
    let first = node.item("open", b"of another");
    assert_eq!(receive(&mut node, 3, &first, HopKind::Push, (1, 8)), Received::Relayed);
    for number in 0..2_u8 {
        let item = node.item("open", &[number]);
        hear(&mut node, 4, item.id(), (3, 8), false);
        let now = wait(&mut node, 30);
        node.engine.handle_timeout(now);
        assert_eq!(said(&mut node).contains(&Said::Want(4)), number == 0);
        assert_eq!(receive(&mut node, 3, &item, HopKind::Push, (1, 8)), Received::Relayed);
    }
}

#[test]
fn an_answer_that_comes_after_the_next_source_was_asked_teaches_patience() {
    let mut node = on_a_tree();
    let mut wants_within = |millis: u64, payload: &[u8]| {
        let item = node.item("open", payload);
        hear(&mut node, 3, item.id(), (3, 8), false);
        hear(&mut node, 4, item.id(), (3, 8), false);
        let mut wants = Vec::new();
        for _ in 0..millis {
            let now = wait(&mut node, 1);
            node.engine.handle_timeout(now);
            wants.extend(said(&mut node).into_iter().filter(|said| matches!(said, Said::Want(_))));
        }
        let _ = receive(&mut node, 3, &item, HopKind::Answer, (1, 8));
        said(&mut node);
        wants
    };
    assert_eq!(wants_within(200, b"1"), [Said::Want(3), Said::Want(4)]);
    assert_eq!(wants_within(200, b"2"), [Said::Want(3)]);
}

#[test]
fn an_id_of_a_held_item_is_not_passed_back_to_who_sent_it_ahead() {
    let mut node = node(4);
    let item = node.item("open", b"1");
    assert_eq!(receive(&mut node, 0, &item, HopKind::Push, (2, 9)), Received::Relayed);
    let told = wait(&mut node, 100);
    node.engine.handle_timeout(told);
    said(&mut node);
    hear(&mut node, 2, item.id(), (2, 8), true);
    let now = wait(&mut node, 100);
    node.engine.handle_timeout(now);
    let ids: Vec<usize> = said(&mut node)
        .iter()
        .filter_map(|said| if let Said::Id { to, .. } = said { Some(*to) } else { None })
        .collect();
    assert!(ids.contains(&1) && !ids.contains(&2), "{ids:?}");
}
