use std::{collections::BTreeMap, time::Duration};

use super::{
    super::{
        super::{
            Message, Output, Received,
            tests::{Node, START, peer},
        },
        tests::{announced, node, sent, want},
    },
    *,
};
use crate::{ItemMessage, PeerTraits};

fn name(number: usize) -> ShortId {
    ShortId::of(&number.to_le_bytes())
}

/// A node named 1,000 whose peer in slot n is named n.
fn named(peers: u32) -> Node {
    let mut node = node(Policy::NeighbourCast(NeighbourCast::default()), peers);
    node.engine.self_described(name(1_000));
    for slot in 0..peers {
        let traits = PeerTraits { short_id: name(slot as usize), ..PeerTraits::default() };
        node.engine.peer_described(peer(slot), traits, START);
    }
    node
}

fn tell(node: &mut Node, from: u32, neighbours: &[usize]) {
    let neighbours = Some(neighbours.iter().map(|number| name(*number)).collect());
    node.engine.control_received(peer(from), ControlMessage { neighbours, ..ControlMessage::default() }, START);
}

fn told_lists(outputs: &[Output]) -> Vec<(usize, usize)> {
    let list = |output: &Output| match output {
        Output::Send { to, message: Message::Control(message), .. } => {
            message.neighbours.as_ref().map(|list| (to.index(), list.len()))
        }
        Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
    };
    outputs.iter().filter_map(list).collect()
}

fn targets(node: &mut Node, item: &ItemMessage) -> Vec<usize> {
    sent(&node.outputs(), item).into_iter().map(|(slot, ..)| slot).collect()
}

#[test]
fn lists_are_told_soon_at_first_and_then_more_and_more_rarely() {
    let mut node = named(3);
    node.engine.handle_timeout(START.after(Duration::from_millis(10)));
    assert_eq!(told_lists(&node.outputs()), [(0, 3), (1, 3), (2, 3)]);
    let mut times = Vec::new();
    let mut now = START.after(Duration::from_millis(10));
    for _ in 0..8 {
        node.engine.peer_disconnected(peer(2), now);
        _ = node.engine.peer_connected(peer(2), now);
        let at = node.engine.next_timeout().unwrap();
        node.engine.handle_timeout(at);
        assert_eq!(told_lists(&node.outputs()).len(), 3);
        times.push(at.since(now).as_secs());
        now = at;
    }
    assert_eq!(times, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(node.engine.next_timeout(), None);
}

#[test]
fn an_item_of_the_origin_goes_to_whom_it_does_not_reach_if_nobody_else_is_designated() {
    // Peer 0 is the origin: it reaches 1, this node and 2,000. Peer 2 is reached by this node and 2,000, peer 3 by this
    // node alone.
    let mut designated = [0, 0];
    for byte in 0..100 {
        let mut node = named(4);
        tell(&mut node, 0, &[1, 1_000, 2_000]);
        tell(&mut node, 1, &[0, 1_000]);
        tell(&mut node, 2, &[1_000, 2_000]);
        tell(&mut node, 3, &[1_000, 500]);
        let item = node.item("open", &[byte]);
        assert_eq!(node.receive(0, &item, 1), Received::Relayed);
        let targets = targets(&mut node, &item);
        assert!(!targets.contains(&1) && targets.contains(&3));
        designated[usize::from(targets.contains(&2))] += 1;
    }
    // A fair hash: 50 expected, five standard deviations are 25.
    assert!(designated.iter().all(|count: &i32| (25..75).contains(count)), "{designated:?}");
}

#[test]
fn copies_beyond_the_origin_say_whom_it_covers() {
    let mut node = named(2);
    tell(&mut node, 0, &[7, 8, 1_000]);
    tell(&mut node, 1, &[1_000]);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    let covers: Vec<Vec<ShortId>> = node
        .outputs()
        .iter()
        .filter_map(|output| match output {
            Output::Send { message: Message::Item(message), .. } => Some(message.hop().covered().collect()),
            Output::Send { .. } | Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
        })
        .collect();
    assert_eq!(covers.len(), 1);
    let mut cover = covers[0].clone();
    cover.sort_unstable();
    let mut expected = [0, 7, 8, 1_000].map(name);
    expected.sort_unstable();
    assert_eq!(cover, expected);
}

#[test]
fn the_second_hop_passes_over_whom_the_cover_reaches_and_the_third_tells_ids_only() {
    let mut node = named(4);
    tell(&mut node, 1, &[1_000, 50]);
    tell(&mut node, 2, &[1_000, 60]);
    let cover = ShortId::join([name(40), name(50)]);
    let item = node.item("open", b"1");
    let second = item.on(Hop { cover: cover.clone(), ..Hop::on_round(2) });
    assert_eq!(node.engine.item_received(peer(0), second, START), Received::Relayed);
    // Peer 3 has told nothing of itself, so it is told the id.
    assert_eq!(targets(&mut node, &item), [2]);
    node.engine.handle_timeout(START.after(Duration::from_millis(100)));
    let ids: Vec<usize> = announced(&node.outputs()).into_iter().map(|(slot, ..)| slot).collect();
    assert_eq!(ids, [1, 3]);

    let item = node.item("open", b"2");
    let third = item.on(Hop { cover, ..Hop::on_round(3) });
    assert_eq!(node.engine.item_received(peer(0), third, START), Received::Relayed);
    assert_eq!(targets(&mut node, &item), []);
}

#[test]
fn what_was_asked_for_is_told_by_id_only_and_served() {
    let mut node = named(3);
    (1..3).for_each(|slot| tell(&mut node, slot, &[1_000]));
    tell(&mut node, 0, &[1_000]);
    let item = node.item("open", b"1");
    let answer = item.on(Hop { kind: HopKind::Answer, ..Hop::on_round(1) });
    assert_eq!(node.engine.item_received(peer(0), answer, START), Received::Relayed);
    assert_eq!(targets(&mut node, &item), []);
    node.engine.handle_timeout(START.after(Duration::from_millis(100)));
    assert_eq!(announced(&node.outputs()).len(), 2);
    node.engine.control_received(peer(2), want(&[item.id()]), START);
    assert_eq!(sent(&node.outputs(), &item), [(2, HopKind::Answer, 1)]);
}

#[test]
fn fault_who_claims_everybody_starves_itself_and_nobody_else() {
    let everybody: Vec<usize> = (0..2_000).collect();
    let mut node = named(4);
    tell(&mut node, 0, &[1_000, 5]);
    tell(&mut node, 1, &everybody);
    tell(&mut node, 2, &[1_000, 9]);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    assert_eq!(targets(&mut node, &item), [2]);
    // It is told the id like anybody.
    node.engine.handle_timeout(START.after(Duration::from_millis(100)));
    let ids: Vec<usize> = announced(&node.outputs()).into_iter().map(|(slot, ..)| slot).collect();
    assert_eq!(ids, [1, 3]);
}

#[test]
fn all_nodes_agree_who_is_designated() {
    let id = ItemId::new([9; 32]);
    let mut least: BTreeMap<usize, u32> = BTreeMap::new();
    for target in 0..1_000 {
        let ranks = (0..10).map(|node| (rank(&id, name(target), name(node)), node));
        *least.entry(ranks.min().unwrap().1).or_default() += 1;
    }
    // 100 expected each; five standard deviations are 47.
    assert!(least.len() == 10 && least.values().all(|count| count.abs_diff(100) < 47), "{least:?}");
}
