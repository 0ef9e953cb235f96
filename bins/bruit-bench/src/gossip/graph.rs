use std::collections::BTreeSet;

use anyhow::ensure;
use bruit_core::Seed;
use rand::{RngExt, seq::SliceRandom};

/// How often each edge is swapped with another, on average.
const SWAPS_PER_EDGE: usize = 10;

/// A simple, connected graph in which every node has the same number of neighbours.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) nodes: usize,
    /// Each edge once; the first of the two dials.
    pub(crate) edges: Vec<(usize, usize)>,
}

impl Graph {
    /// Draws one by chance.
    pub(crate) fn random(nodes: usize, degree: usize, seed: &Seed) -> anyhow::Result<Self> {
        ensure!(degree >= 2 && degree < nodes, "--degree is at least 2 and below --nodes");
        ensure!((nodes * degree).is_multiple_of(2), "--nodes or --degree is even");
        let mut rng = seed.derive("graph", 0).rng();
        loop {
            let mut graph = Self::ring(nodes, degree);
            let mut present: BTreeSet<(usize, usize)> = graph.edges.iter().copied().map(ordered).collect();
            for _ in 0..SWAPS_PER_EDGE * graph.edges.len() {
                let [first, second] = [0; 2].map(|_| rng.random_range(0..graph.edges.len()));
                graph.swap_ends(first, second, &mut present);
            }
            graph.edges.shuffle(&mut rng);
            if graph.is_connected() {
                return Ok(graph);
            }
        }
    }

    /// Every node with its nearest on a ring, and with the opposite one when the degree is odd.
    fn ring(nodes: usize, degree: usize) -> Self {
        let near = (0..nodes).flat_map(|node| (1..=degree / 2).map(move |step| (node, (node + step) % nodes)));
        let opposite = (0..nodes / 2).filter(|_| degree % 2 == 1).map(|node| (node, node + nodes / 2));
        Self { nodes, edges: near.chain(opposite).collect() }
    }

    /// a-b and c-d become a-d and c-b, unless that makes a loop or a double edge.
    fn swap_ends(&mut self, first: usize, second: usize, present: &mut BTreeSet<(usize, usize)>) {
        let (Some(&(a, b)), Some(&(c, d))) = (self.edges.get(first), self.edges.get(second)) else { return };
        let (new, other) = ((a, d), (c, b));
        if a == d || c == b || present.contains(&ordered(new)) || present.contains(&ordered(other)) {
            return;
        }
        for edge in [(a, b), (c, d)] {
            present.remove(&ordered(edge));
        }
        present.extend([new, other].map(ordered));
        for (place, edge) in [(first, new), (second, other)] {
            if let Some(at) = self.edges.get_mut(place) {
                *at = edge;
            }
        }
    }

    fn is_connected(&self) -> bool {
        let mut reached = BTreeSet::from([0]);
        loop {
            let before = reached.len();
            for (a, b) in &self.edges {
                if reached.contains(a) || reached.contains(b) {
                    reached.extend([*a, *b]);
                }
            }
            if reached.len() == before {
                return before == self.nodes;
            }
        }
    }
}

fn ordered((a, b): (usize, usize)) -> (usize, usize) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_the_same_number_of_neighbours_and_no_edge_is_double() {
        for (nodes, degree) in [(50, 16), (10, 3), (7, 6)] {
            let graph = Graph::random(nodes, degree, &Seed::from_number(1)).unwrap();
            let different: BTreeSet<_> = graph.edges.iter().copied().map(ordered).collect();
            assert_eq!(different.len(), nodes * degree / 2);
            for node in 0..nodes {
                assert_eq!(different.iter().filter(|(a, b)| *a == node || *b == node).count(), degree);
            }
            assert!(different.iter().all(|(a, b)| a != b) && graph.is_connected());
        }
    }

    #[test]
    fn other_seeds_give_other_graphs() {
        let edges = |seed| Graph::random(50, 16, &Seed::from_number(seed)).unwrap().edges;
        assert!(edges(1) == edges(1) && edges(1) != edges(2));
    }

    #[test]
    fn impossible_graphs_are_refused() {
        for (nodes, degree) in [(5, 5), (5, 3), (5, 1)] {
            assert!(Graph::random(nodes, degree, &Seed::from_number(1)).is_err());
        }
    }
}
