use std::collections::VecDeque;

use bruit_core::Seed;
use rand::RngExt;

use super::Overlay;
use crate::Figures;

/// From how many nodes shortest paths are measured at most.
const SOURCES_MAX: u32 = 64;
/// Of how many nodes the clustering is measured at most.
const CLUSTERING_NODES_MAX: u32 = 2_000;

/// The shape of an overlay in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct OverlayMetrics {
    /// The mean share of pairs of a node's neighbours that are neighbours themselves; of at most 2,000 nodes.
    pub clustering: f64,
    /// The mean number of hops between two nodes that are connected at all, from at most 64 of them.
    pub path: f64,
    /// The mean number of neighbours.
    pub degree: f64,
    /// The standard deviation of the number of neighbours.
    pub degree_deviation: f64,
    /// How many parts are not connected with each other.
    pub components: u32,
    /// The share of nodes in the largest of them.
    pub largest: f64,
}

impl Overlay {
    /// Measures the shape; where not all nodes are looked at, the seed draws which.
    pub fn metrics(&self, seed: &Seed) -> OverlayMetrics {
        let nodes = self.nodes();
        let degrees: crate::Sample = self.neighbours.iter().map(|neighbours| neighbours.len() as f64).collect();
        let mut rng = seed.derive("metrics", 0).rng();
        let mut draw = |most: u32| -> Vec<u32> {
            match nodes <= most {
                true => (0..nodes).collect(),
                false => (0..most).map(|_| rng.random_range(0..nodes)).collect(),
            }
        };
        let clustering: crate::Sample =
            draw(CLUSTERING_NODES_MAX).iter().map(|node| self.clustering_of(*node)).collect();
        let (mut hops, mut pairs) = (0_u64, 0_u64);
        for source in draw(SOURCES_MAX) {
            let distances = self.distances(source);
            hops += distances.iter().flatten().map(|hops| u64::from(*hops)).sum::<u64>();
            pairs += distances.iter().flatten().count() as u64 - 1;
        }
        let parts = self.parts();
        OverlayMetrics {
            clustering: clustering.mean,
            path: hops as f64 / pairs.max(1) as f64,
            degree: degrees.mean,
            degree_deviation: degrees.deviation,
            components: parts.len() as u32,
            largest: f64::from(parts.iter().max().copied().unwrap_or(0)) / f64::from(nodes.max(1)),
        }
    }

    fn clustering_of(&self, node: u32) -> f64 {
        let neighbours = self.neighbours(node);
        let pairs = neighbours.len() * neighbours.len().saturating_sub(1) / 2;
        let linked =
            neighbours.iter().enumerate().flat_map(|(index, a)| neighbours[..index].iter().map(move |b| (a, b)));
        let linked = linked.filter(|(a, b)| self.neighbours(**a).contains(*b)).count();
        linked as f64 / pairs.max(1) as f64
    }

    /// How many hops away each node is; `None` where no way leads.
    pub(crate) fn distances(&self, source: u32) -> Vec<Option<u32>> {
        let mut distances = vec![None; self.neighbours.len()];
        distances[source as usize] = Some(0);
        let mut edge = VecDeque::from([(source, 0)]);
        while let Some((node, hops)) = edge.pop_front() {
            for neighbour in self.neighbours(node) {
                let place = &mut distances[*neighbour as usize];
                if place.is_none() {
                    *place = Some(hops + 1);
                    edge.push_back((*neighbour, hops + 1));
                }
            }
        }
        distances
    }

    /// The sizes of the parts that are not connected with each other.
    fn parts(&self) -> Vec<u32> {
        let mut seen = vec![false; self.neighbours.len()];
        let mut parts = Vec::new();
        for node in 0..self.nodes() {
            let mut size = 0;
            let mut edge = vec![node];
            while let Some(node) = edge.pop() {
                if !std::mem::replace(&mut seen[node as usize], true) {
                    size += 1;
                    edge.extend(self.neighbours(node));
                }
            }
            parts.extend((size > 0).then_some(size));
        }
        parts
    }
}

impl OverlayMetrics {
    /// All of it by name.
    pub fn count_in(&self, figures: &mut Figures) {
        figures.mean("overlay_clustering", self.clustering);
        figures.mean("overlay_path", self.path);
        figures.mean("overlay_degree", self.degree);
        figures.mean("overlay_degree_spread", self.degree_deviation);
        figures.most("overlay_components", f64::from(self.components));
        figures.least("overlay_largest", self.largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_measured() {
        let seed = Seed::from_number(1);
        let full = Overlay::full(6).unwrap().metrics(&seed);
        assert_eq!((full.clustering, full.path, full.degree, full.components), (1.0, 1.0, 5.0, 1));
        let ring = Overlay::ring(6).unwrap().metrics(&seed);
        assert_eq!((ring.clustering, ring.path, ring.degree_deviation), (0.0, 1.8, 0.0));
        let parts = Overlay::of_edges(5, [(0, 1), (1, 2)]).unwrap().metrics(&seed);
        assert_eq!((parts.components, parts.largest), (3, 0.6));
    }
}
