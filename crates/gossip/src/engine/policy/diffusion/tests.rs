use std::time::Duration;

use bruit_core::Slot;

use super::super::{
    super::{
        Output, Received,
        tests::{START, peer},
    },
    tests::{finished, node, sent},
};
use crate::{Finished, PeerTraits, Policy, Tally};

const MEAN: Duration = Duration::from_secs(2);

fn outbound(node: &mut super::super::super::tests::Node, slots: std::ops::Range<u32>) {
    let traits = PeerTraits { is_outbound: true, ..PeerTraits::default() };
    slots.for_each(|slot| node.engine.peer_described(peer(slot), traits, START));
}

#[test]
fn outbound_peers_have_their_own_moments_and_inbound_ones_share_theirs() {
    let mut node = node(Policy::Diffusion { mean: MEAN }, 20);
    outbound(&mut node, 0..10);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    node.outputs();
    let mut moments = Vec::new();
    let mut end = None;
    while let Some(at) = node.engine.next_timeout().filter(|_| end.is_none()) {
        node.engine.handle_timeout(at);
        let outputs = node.outputs();
        let slots: Vec<usize> = sent(&outputs, &item).into_iter().map(|(slot, ..)| slot).collect();
        let tally = Tally { reached: 20, pushes: 19, ..Tally::default() };
        end = outputs.contains(&finished(&item, tally, Finished::Pushed)).then_some(at);
        moments.push(slots);
    }
    // Nine of their own and one together.
    assert_eq!(moments.len(), 10);
    assert!(moments.contains(&(10..20).collect()));
    assert_eq!(moments.concat().len(), 19);
}

#[test]
fn items_that_wait_for_inbound_peers_leave_together() {
    let mut node = node(Policy::Diffusion { mean: MEAN }, 3);
    let items = [node.item("open", b"1"), node.item("open", b"2")];
    items.iter().for_each(|item| _ = node.engine.publish(item.clone(), START).unwrap());
    let at = node.engine.next_timeout().unwrap();
    node.engine.handle_timeout(at);
    let is_send = |output: &Output| matches!(output, Output::Send { .. });
    assert_eq!(node.outputs().iter().filter(|output| is_send(output)).count(), 6);
}

#[test]
fn who_has_it_by_then_or_is_gone_is_passed_over() {
    let mut node = node(Policy::Diffusion { mean: MEAN }, 4);
    let item = node.item("open", b"1");
    assert_eq!(node.receive(0, &item, 1), Received::Relayed);
    assert_eq!(node.receive(1, &item, 2), Received::Duplicate);
    node.engine.peer_disconnected(peer(2), START);
    // Somebody else sits there now.
    _ = node.engine.peer_connected(Slot::new(2, 1), START);
    node.outputs();
    node.engine.handle_timeout(node.engine.next_timeout().unwrap());
    let slots: Vec<usize> = sent(&node.outputs(), &item).into_iter().map(|(slot, ..)| slot).collect();
    assert_eq!(slots, [3]);
}

#[test]
fn a_long_delay_outlives_the_time_of_being_served() {
    let mut node = node(Policy::Diffusion { mean: Duration::from_secs(600) }, 8);
    outbound(&mut node, 0..8);
    let item = node.item("open", b"1");
    node.engine.publish(item.clone(), START).unwrap();
    let mut pushed = 0;
    while let Some(at) = node.engine.next_timeout() {
        node.engine.handle_timeout(at);
        pushed += sent(&node.outputs(), &item).len();
    }
    assert_eq!((pushed, node.engine.next_timeout()), (8, None));
}
