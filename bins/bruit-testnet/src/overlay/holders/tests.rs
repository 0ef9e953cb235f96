use std::collections::BTreeSet;

use bruit_core::Seed;
use rand::RngExt;

use super::{Wanted, choose_frozen, choose_holders};
use crate::overlay::Overlay;

fn overlay(nodes: usize, links: &[(usize, usize)]) -> Overlay {
    let mut claims = vec![BTreeSet::new(); nodes];
    for (one, other) in links {
        claims[*one].insert(*other);
        claims[*other].insert(*one);
    }
    Overlay::from_claims(&claims)
}

/// Every node dials as many others, as nodes do.
fn dialled(nodes: usize, outbound: usize, number: u64) -> Overlay {
    let mut rng = Seed::from_number(number).rng();
    let mut links = Vec::new();
    for node in 0..nodes {
        let mut targets = BTreeSet::new();
        while targets.len() < outbound {
            let target = rng.random_range(0..nodes);
            if target != node {
                targets.insert(target);
            }
        }
        links.extend(targets.into_iter().map(|target| (node, target)));
    }
    overlay(nodes, &links)
}

fn holds(overlay: &Overlay, wanted: Wanted, holders: &BTreeSet<usize>) -> bool {
    let outside = (0..overlay.nodes()).filter(|node| !holders.contains(node));
    let mut known = outside.map(|node| overlay.neighbours(node).intersection(holders).count());
    holders.len() == wanted.holders
        && overlay.are_connected(holders)
        && known.all(|known| known >= wanted.neighbours_min)
}

fn exists(overlay: &Overlay, wanted: Wanted) -> bool {
    let sets = 0..1_u32 << overlay.nodes();
    let members = |bits: u32| (0..overlay.nodes()).filter(|node| bits >> node & 1 == 1).collect::<BTreeSet<usize>>();
    sets.filter(|bits| bits.count_ones() as usize == wanted.holders).any(|bits| holds(overlay, wanted, &members(bits)))
}

fn half(nodes: usize) -> Wanted {
    Wanted { holders: nodes.div_ceil(2), neighbours_min: 2 }
}

#[test]
fn in_small_graphs_a_set_is_found_where_one_exists_and_only_there() {
    let mut found = 0;
    let mut absent = 0;
    for number in 0..400 {
        let nodes = 3 + (number % 6) as usize;
        let mut rng = Seed::from_number(number).rng();
        let pairs = (0..nodes).flat_map(|one| (one + 1..nodes).map(move |other| (one, other)));
        let links: Vec<(usize, usize)> = pairs.filter(|_| rng.random_bool(0.5)).collect();
        let overlay = overlay(nodes, &links);
        let holders = choose_holders(&overlay, half(nodes), &BTreeSet::new(), &Seed::from_number(number));
        assert_eq!(holders.is_some(), exists(&overlay, half(nodes)), "graph {number}: {links:?}");
        match holders {
            Some(holders) => {
                assert!(holds(&overlay, half(nodes), &holders), "graph {number}: {holders:?} of {links:?}");
                found += 1;
            }
            None => absent += 1,
        }
    }
    assert!(found > 50 && absent > 50, "{found} graphs with such a set and {absent} without prove little");
}

#[test]
fn in_networks_as_nodes_build_them_a_set_is_found() {
    for (nodes, outbound) in [(16, 4), (50, 8), (254, 8), (16, 3)] {
        for number in 0..10 {
            let overlay = dialled(nodes, outbound, number);
            let holders = choose_holders(&overlay, half(nodes), &BTreeSet::new(), &Seed::from_number(number));
            let holders = holders.unwrap_or_else(|| panic!("none for {nodes} nodes, network {number}"));
            assert!(holds(&overlay, half(nodes), &holders), "{nodes} nodes, network {number}");
        }
    }
}

#[test]
fn equal_networks_and_seeds_give_equal_sets() {
    let overlay = dialled(16, 4, 1);
    let choose = || choose_holders(&overlay, half(16), &BTreeSet::new(), &Seed::from_number(7));
    assert!(choose().is_some());
    assert_eq!(choose(), choose());
}

#[test]
fn a_ring_has_no_such_set() {
    let ring: Vec<(usize, usize)> = (0..8).map(|node| (node, (node + 1) % 8)).collect();
    assert_eq!(choose_holders(&overlay(8, &ring), half(8), &BTreeSet::new(), &Seed::from_number(1)), None);
}

#[test]
fn what_cannot_be_is_not_searched_for() {
    let pair = overlay(2, &[(0, 1)]);
    assert_eq!(
        choose_holders(&pair, Wanted { holders: 3, neighbours_min: 1 }, &BTreeSet::new(), &Seed::from_number(1)),
        None
    );
    assert_eq!(
        choose_holders(&pair, Wanted { holders: 0, neighbours_min: 0 }, &BTreeSet::new(), &Seed::from_number(1)),
        None
    );
    let one = choose_holders(&pair, Wanted { holders: 1, neighbours_min: 1 }, &BTreeSet::new(), &Seed::from_number(1));
    assert_eq!(one.map(|holders| holders.len()), Some(1));
}

#[test]
fn the_holder_most_fetchers_know_is_frozen() {
    // 0, 1 and 2 hold; 3 and 4 know 1 and 2, 5 knows 0 and 1.
    let links = [(0, 1), (1, 2), (3, 1), (3, 2), (4, 1), (4, 2), (5, 0), (5, 1)];
    let overlay = overlay(6, &links);
    let holders = BTreeSet::from([0, 1, 2]);
    assert_eq!(choose_frozen(&overlay, &holders, &BTreeSet::new()), Some(1));
    assert_eq!(choose_frozen(&overlay, &holders, &BTreeSet::from([1])), Some(2));
    assert_eq!(choose_frozen(&overlay, &holders, &holders), Some(1));
}

#[test]
fn a_holder_that_somebody_depends_on_is_not_frozen() {
    let lone = overlay(3, &[(0, 1), (0, 2)]);
    assert_eq!(choose_frozen(&lone, &BTreeSet::from([0]), &BTreeSet::new()), None);
    // 0 is the only holder that 3 knows; 1 has a fetcher with another choice.
    let overlay = overlay(4, &[(0, 1), (0, 3), (2, 0), (2, 1)]);
    assert_eq!(choose_frozen(&overlay, &BTreeSet::from([0, 1]), &BTreeSet::new()), Some(1));
}
