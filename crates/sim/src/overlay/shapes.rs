//! Graphs by name. All are drawn from the seed alone.

use bruit_core::Seed;
use rand::RngExt;

use super::{Overlay, OverlayError};
use crate::scenario::NODES_MAX;

impl Overlay {
    /// Every node has exactly `degree` neighbours: a circle of neighbours whose edges were swapped by chance, ten times each.
    pub fn regular(nodes: u32, degree: u32, seed: &Seed) -> Result<Self, OverlayError> {
        if degree >= nodes || nodes % 2 == 1 && degree % 2 == 1 {
            return Err(OverlayError::NotRegular { nodes, degree });
        }
        let mut edges = circle(nodes, degree);
        let mut rng = seed.derive("overlay", 0).rng();
        let mut neighbours: Vec<Vec<u32>> = vec![Vec::new(); nodes as usize];
        for (a, b) in edges.iter().copied() {
            neighbours[a as usize].push(b);
            neighbours[b as usize].push(a);
        }
        for _ in 0..edges.len() * 10 {
            let [first, second] = [(); 2].map(|()| rng.random_range(0..edges.len()));
            let ((a, b), (c, d)) = (edges[first], edges[second]);
            let (c, d) = if rng.random() { (c, d) } else { (d, c) };
            // a-b and c-d become a-d and c-b.
            let is_loop = a == d || c == b || a == c || b == d;
            if is_loop || neighbours[a as usize].contains(&d) || neighbours[c as usize].contains(&b) {
                continue;
            }
            for (node, old, new) in [(a, b, d), (b, a, c), (c, d, b), (d, c, a)] {
                let mut all = neighbours[node as usize].iter_mut();
                if let Some(place) = all.find(|other| **other == old) {
                    *place = new;
                }
            }
            (edges[first], edges[second]) = ((a, d), (c, b));
        }
        Self::of_edges(nodes, edges)
    }

    /// A circle in which every node is linked to its `degree` nearest, and each edge leads elsewhere with a chance of `rewired`
    /// (Watts and Strogatz).
    pub fn small_world(nodes: u32, degree: u32, rewired: f64, seed: &Seed) -> Result<Self, OverlayError> {
        if degree >= nodes || degree % 2 == 1 {
            return Err(OverlayError::NotRegular { nodes, degree });
        }
        let mut rng = seed.derive("overlay", 0).rng();
        let rewired = rewired.clamp(0.0, 1.0);
        let mut overlay = Self { neighbours: vec![Vec::new(); nodes as usize], edges: Vec::new() };
        for (a, b) in circle(nodes, degree) {
            let elsewhere = rng.random_bool(rewired).then(|| rng.random_range(0..nodes));
            let b = elsewhere.filter(|other| *other != a && !overlay.neighbours(a).contains(other)).unwrap_or(b);
            overlay.connect(a, b);
        }
        overlay.check()
    }

    /// Nodes come one after the other and link to `links` of those that are there, the more probably the more links those have
    /// (Barabasi and Albert).
    pub fn scale_free(nodes: u32, links: u32, seed: &Seed) -> Result<Self, OverlayError> {
        if links == 0 || links >= nodes {
            return Err(OverlayError::TooManyDials { nodes, dials: links });
        }
        let mut rng = seed.derive("overlay", 0).rng();
        let mut overlay = Self { neighbours: vec![Vec::new(); nodes as usize], edges: Vec::new() };
        let mut ends: Vec<u32> = Vec::new();
        for node in 1..nodes {
            let wanted = links.min(node) as usize;
            while overlay.neighbours(node).len() < wanted {
                let is_first = ends.is_empty();
                let other = if is_first { 0 } else { ends[rng.random_range(0..ends.len())] };
                if other != node && !overlay.neighbours(node).contains(&other) {
                    overlay.connect(node, other);
                    ends.push(other);
                }
            }
            ends.extend(std::iter::repeat_n(node, wanted));
        }
        overlay.check()
    }

    /// Reads edges, one in a line as two numbers; what follows a `#` is a remark. There are as many nodes as the largest number
    /// says.
    pub fn from_text(text: &str) -> Result<Self, OverlayError> {
        let mut edges = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let content = line.split('#').next().unwrap_or_default().trim();
            if content.is_empty() {
                continue;
            }
            let mut ends = content.split_whitespace().map(str::parse::<u32>);
            match (ends.next(), ends.next(), ends.next()) {
                (Some(Ok(a)), Some(Ok(b)), None) => edges.push((a, b)),
                _ => return Err(OverlayError::NoEdge { line: number }),
            }
        }
        let last = edges.iter().map(|(a, b)| *a.max(b)).max();
        if let Some(node) = last.filter(|node| *node >= NODES_MAX) {
            return Err(OverlayError::NoSuchNode { node, nodes: NODES_MAX });
        }
        let nodes = last.map_or(0, |node| node + 1);
        Self::of_edges(nodes, edges)
    }

    /// Writes edges as [`from_text`](Self::from_text) reads them.
    pub fn to_text(&self) -> String {
        use std::fmt::Write;
        self.edges.iter().fold(String::new(), |mut text, (a, b)| {
            let _ = writeln!(text, "{a} {b}");
            text
        })
    }
}

/// Every node is linked to its `degree` nearest on a circle; for an odd degree also to the one opposite.
fn circle(nodes: u32, degree: u32) -> Vec<(u32, u32)> {
    let near = (0..nodes).flat_map(|node| (1..=degree / 2).map(move |far| (node, (node + far) % nodes)));
    let opposite = (0..nodes / 2).filter(|_| degree % 2 == 1).map(|node| (node, node + nodes / 2));
    near.chain(opposite).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_degrees_of_their_name() {
        let seed = Seed::from_number(1);
        for degree in [3, 16] {
            let regular = Overlay::regular(500, degree, &seed).unwrap();
            assert!((0..500).all(|node| regular.neighbours(node).len() == degree as usize));
            assert!(regular.metrics(&seed).clustering < 0.06);
        }
        let small = Overlay::small_world(500, 10, 0.1, &seed).unwrap();
        assert!(small.metrics(&seed).clustering > 0.4);
        let free = Overlay::scale_free(500, 3, &seed).unwrap();
        assert_eq!(free.edges().len(), 1 + 2 + 497 * 3);
        assert!(free.degree_max() > 40, "{}", free.degree_max());
        assert_eq!(Overlay::regular(5, 3, &seed), Err(OverlayError::NotRegular { nodes: 5, degree: 3 }));
        assert_eq!(Overlay::regular(4, 4, &seed), Err(OverlayError::NotRegular { nodes: 4, degree: 4 }));
    }

    #[test]
    fn edges_survive_the_way_through_text() {
        let overlay = Overlay::random(50, 3, &Seed::from_number(1)).unwrap();
        assert_eq!(Overlay::from_text(&overlay.to_text()), Ok(overlay));
        assert_eq!(Overlay::from_text("0 1 # a\n\n# b\n2 1").unwrap().edges(), [(0, 1), (2, 1)]);
        assert_eq!(Overlay::from_text("0 1\n0 x"), Err(OverlayError::NoEdge { line: 2 }));
        for node in [NODES_MAX, u32::MAX] {
            let none = Err(OverlayError::NoSuchNode { node, nodes: NODES_MAX });
            assert_eq!(Overlay::from_text(&format!("0 {node}")), none);
        }
    }
}
