//! Who is connected to whom, as the nodes themselves say.
//!
//! Nodes are indices here. A link counts when both ends name it: one that is just opening or closing does not.

use std::collections::BTreeSet;

mod holders;

pub(crate) use holders::{Wanted, choose_frozen, choose_holders};

/// An undirected graph of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Overlay {
    neighbours: Vec<BTreeSet<usize>>,
}

impl Overlay {
    /// Makes the graph of what each node says its peers are.
    pub(crate) fn from_claims(claims: &[BTreeSet<usize>]) -> Self {
        let agreed = |from: usize, to: usize| claims.get(to).is_some_and(|back| to != from && back.contains(&from));
        let neighbours = claims.iter().enumerate();
        let neighbours = neighbours.map(|(from, peers)| peers.iter().copied().filter(|to| agreed(from, *to)).collect());
        Self { neighbours: neighbours.collect() }
    }

    /// How many nodes there are, connected or not.
    pub(crate) fn nodes(&self) -> usize {
        self.neighbours.len()
    }

    /// The nodes connected to a node.
    pub(crate) fn neighbours(&self, node: usize) -> &BTreeSet<usize> {
        &self.neighbours[node]
    }

    /// How many nodes one node is connected to, on average.
    pub(crate) fn degree_mean(&self) -> f64 {
        let ends: usize = self.neighbours.iter().map(BTreeSet::len).sum();
        if self.neighbours.is_empty() { 0.0 } else { ends as f64 / self.nodes() as f64 }
    }

    /// How many nodes the best connected node is connected to.
    pub(crate) fn degree_max(&self) -> usize {
        self.neighbours.iter().map(BTreeSet::len).max().unwrap_or_default()
    }

    /// Whether every node can reach every other one.
    pub(crate) fn is_connected(&self) -> bool {
        self.are_connected(&(0..self.nodes()).collect())
    }

    /// Whether some nodes can reach each other without passing through any other node.
    pub(crate) fn are_connected(&self, some: &BTreeSet<usize>) -> bool {
        let Some(first) = some.first() else { return true };
        let mut reached = BTreeSet::from([*first]);
        let mut open = vec![*first];
        while let Some(node) = open.pop() {
            for next in self.neighbours[node].intersection(some) {
                if reached.insert(*next) {
                    open.push(*next);
                }
            }
        }
        reached.len() == some.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(peers: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        peers.iter().map(|peers| peers.iter().copied().collect()).collect()
    }

    #[test]
    fn a_link_counts_when_both_ends_name_it() {
        let overlay = Overlay::from_claims(&claims(&[&[1, 2], &[0], &[]]));
        assert_eq!(overlay, Overlay { neighbours: claims(&[&[1], &[0], &[]]) });
    }

    #[test]
    fn claims_about_oneself_and_about_strangers_are_no_links() {
        let overlay = Overlay::from_claims(&claims(&[&[0, 1, 7], &[0, 1]]));
        assert_eq!(overlay, Overlay { neighbours: claims(&[&[1], &[0]]) });
    }

    #[test]
    fn degrees_are_of_links_not_of_claims() {
        let overlay = Overlay::from_claims(&claims(&[&[1, 2], &[0, 2], &[0, 1, 3], &[]]));
        assert_eq!(overlay.nodes(), 4);
        assert_eq!(overlay.degree_max(), 2);
        assert!((overlay.degree_mean() - 1.5).abs() < f64::EPSILON);
        assert!(Overlay::from_claims(&[]).degree_mean().abs() < f64::EPSILON);
    }

    #[test]
    fn connected_means_each_reaches_each() {
        let path = Overlay::from_claims(&claims(&[&[1], &[0, 2], &[1], &[4], &[3]]));
        assert!(!path.is_connected());
        assert!(path.are_connected(&BTreeSet::from([0, 1, 2])));
        assert!(!path.are_connected(&BTreeSet::from([0, 2])));
        assert!(path.are_connected(&BTreeSet::new()));
    }
}
