use std::{cmp::Reverse, collections::BinaryHeap};

use crate::wiring::Wiring;

/// How many microseconds a flood from a node takes to reach each node: the least that any way of spreading can take. `None`
/// where no way leads.
pub(crate) fn flood_micros(wiring: &Wiring, nodes: u32, origin: u32) -> Vec<Option<u64>> {
    let mut reached: Vec<Option<u64>> = vec![None; nodes as usize];
    let mut edge = BinaryHeap::from([Reverse((0, origin))]);
    while let Some(Reverse((micros, node))) = edge.pop() {
        let place = &mut reached[node as usize];
        if place.is_some() {
            continue;
        }
        *place = Some(micros);
        for link in wiring.links_of(node).iter().filter(|link| reached[link.peer as usize].is_none()) {
            edge.push(Reverse((micros.saturating_add(link.latency().as_micros() as u64), link.peer)));
        }
    }
    reached
}
