use bruit_core::{SLOTS_MAX, Seed};
use rand::RngExt;

mod metrics;
mod shapes;

pub use metrics::OverlayMetrics;

/// Who is connected to whom: an undirected graph without loops and double edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    neighbours: Vec<Vec<u32>>,
    edges: Vec<(u32, u32)>,
}

/// A graph that cannot be an overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverlayError {
    /// An edge names a node that does not exist.
    #[error("there is no node {node} among {nodes}")]
    NoSuchNode {
        /// The node.
        node: u32,
        /// How many nodes there are.
        nodes: u32,
    },
    /// An edge leads from a node to itself.
    #[error("node {0} is connected to itself")]
    Loop(u32),
    /// A node has more neighbours than an engine has slots.
    #[error("node {node} has {degree} neighbours, more than {}", SLOTS_MAX)]
    TooManyNeighbours {
        /// The node.
        node: u32,
        /// How many neighbours it has.
        degree: usize,
    },
    /// No graph has so many nodes that all have this many neighbours.
    #[error("{nodes} nodes cannot have {degree} neighbours each in this shape")]
    NotRegular {
        /// How many nodes there are.
        nodes: u32,
        /// How many neighbours each should have.
        degree: u32,
    },
    /// A line of an edge file is no edge.
    #[error("line {line} of the edges is not two numbers")]
    NoEdge {
        /// Which line, from 1.
        line: usize,
    },
    /// More dials are asked for than there are other nodes.
    #[error("{nodes} nodes cannot dial {dials} others each")]
    TooManyDials {
        /// How many nodes there are.
        nodes: u32,
        /// How many dials each should make.
        dials: u32,
    },
}

impl Overlay {
    /// Connects nodes `0..nodes` by these edges. An edge given twice, also backwards, counts once.
    pub fn of_edges(nodes: u32, edges: impl IntoIterator<Item = (u32, u32)>) -> Result<Self, OverlayError> {
        let mut overlay = Self { neighbours: vec![Vec::new(); nodes as usize], edges: Vec::new() };
        for (a, b) in edges {
            if let Some(node) = [a, b].into_iter().find(|node| *node >= nodes) {
                return Err(OverlayError::NoSuchNode { node, nodes });
            }
            if a == b {
                return Err(OverlayError::Loop(a));
            }
            overlay.connect(a, b);
        }
        overlay.check()
    }

    /// Every node dials `dials` others, drawn by chance: a node's degree is about twice that.
    pub fn random(nodes: u32, dials: u32, seed: &Seed) -> Result<Self, OverlayError> {
        if dials >= nodes {
            return Err(OverlayError::TooManyDials { nodes, dials });
        }
        let mut rng = seed.derive("overlay", 0).rng();
        let mut overlay = Self { neighbours: vec![Vec::new(); nodes as usize], edges: Vec::new() };
        let mut dialled: Vec<u32> = Vec::new();
        for node in 0..nodes {
            dialled.clear();
            while dialled.len() < dials as usize {
                let other = rng.random_range(0..nodes);
                if other != node && !dialled.contains(&other) {
                    dialled.push(other);
                    overlay.connect(node, other);
                }
            }
        }
        overlay.check()
    }

    /// Every node is connected to the one before it and the one after it.
    pub fn ring(nodes: u32) -> Result<Self, OverlayError> {
        Self::of_edges(nodes, (0..nodes).map(|node| (node, (node + 1) % nodes)))
    }

    /// Every node is connected to every other.
    pub fn full(nodes: u32) -> Result<Self, OverlayError> {
        Self::of_edges(nodes, (0..nodes).flat_map(|a| (0..a).map(move |b| (b, a))))
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> u32 {
        self.neighbours.len() as u32
    }

    /// The edges: who dials, and who is dialled.
    pub fn edges(&self) -> &[(u32, u32)] {
        &self.edges
    }

    /// The neighbours of a node; none if it does not exist.
    pub fn neighbours(&self, node: u32) -> &[u32] {
        self.neighbours.get(node as usize).map_or(&[], Vec::as_slice)
    }

    /// The largest number of neighbours that a node has.
    pub fn degree_max(&self) -> usize {
        self.neighbours.iter().map(Vec::len).max().unwrap_or(0)
    }

    fn connect(&mut self, a: u32, b: u32) {
        if self.neighbours(a).contains(&b) {
            return;
        }
        for (node, other) in [(a, b), (b, a)] {
            if let Some(neighbours) = self.neighbours.get_mut(node as usize) {
                neighbours.push(other);
            }
        }
        self.edges.push((a, b));
    }

    fn check(mut self) -> Result<Self, OverlayError> {
        self.edges.shrink_to_fit();
        self.neighbours.iter_mut().for_each(Vec::shrink_to_fit);
        let degrees = self.neighbours.iter().map(Vec::len).enumerate();
        match degrees.max_by_key(|(_, degree)| *degree).filter(|(_, degree)| *degree > SLOTS_MAX) {
            Some((node, degree)) => Err(OverlayError::TooManyNeighbours { node: node as u32, degree }),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_have_the_shape_of_their_name() {
        let ring = Overlay::ring(5).unwrap();
        assert_eq!((ring.nodes(), ring.edges().len(), ring.degree_max()), (5, 5, 2));
        assert_eq!(ring.neighbours(0), [1, 4]);
        let full = Overlay::full(5).unwrap();
        assert_eq!((full.edges().len(), full.degree_max()), (10, 4));
        let random = Overlay::random(1_000, 4, &Seed::from_number(1)).unwrap();
        assert!((3_950..=4_000).contains(&random.edges().len()), "{}", random.edges().len());
        assert!((0..1_000).all(|node| random.neighbours(node).len() >= 4));
        assert_eq!(random, Overlay::random(1_000, 4, &Seed::from_number(1)).unwrap());
        assert_ne!(random, Overlay::random(1_000, 4, &Seed::from_number(2)).unwrap());
    }

    #[test]
    fn what_is_no_overlay_is_refused() {
        assert_eq!(Overlay::of_edges(2, [(0, 2)]), Err(OverlayError::NoSuchNode { node: 2, nodes: 2 }));
        assert_eq!(Overlay::of_edges(2, [(1, 1)]), Err(OverlayError::Loop(1)));
        assert_eq!(Overlay::of_edges(2, [(0, 1), (1, 0)]).unwrap().edges(), [(0, 1)]);
        let nodes = SLOTS_MAX as u32 + 2;
        let star = |edges: u32| Overlay::of_edges(nodes, (1..=edges).map(|node| (0, node)));
        assert!(star(nodes - 2).is_ok());
        assert_eq!(star(nodes - 1), Err(OverlayError::TooManyNeighbours { node: 0, degree: SLOTS_MAX + 1 }));
        assert_eq!(
            Overlay::random(4, 4, &Seed::from_number(1)),
            Err(OverlayError::TooManyDials { nodes: 4, dials: 4 })
        );
    }
}
