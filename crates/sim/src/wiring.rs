use std::time::Duration;

use bruit_core::Seed;

use crate::{Latency, Overlay, Port};

/// The links of an overlay, each as both of its ends see it, in one row.
#[derive(Debug, Default)]
pub(crate) struct Wiring {
    /// Where the links of each node begin.
    begins: Vec<u32>,
    links: Vec<Link>,
}

/// A link as one of its two ends sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    pub(crate) peer: u32,
    /// Its number at the other end.
    port_there: u16,
    latency_micros: u32,
    /// Who dialled is at this end.
    pub(crate) is_outbound: bool,
}

impl Link {
    pub(crate) const fn port_there(self) -> u32 {
        self.port_there as u32
    }

    pub(crate) const fn latency(self) -> Duration {
        Duration::from_micros(self.latency_micros as u64)
    }
}

impl Wiring {
    /// Lays the links; a node numbers its own in the order in which the edges name it.
    pub(crate) fn lay(overlay: &Overlay, latency: &Latency, seed: &Seed) -> Self {
        let nodes = overlay.nodes();
        let mut rng = seed.derive("links", 0).rng();
        let regions = latency.regions_of(nodes as usize, seed);
        let mut begins = Vec::with_capacity(nodes as usize + 1);
        let mut all = 0;
        for node in 0..nodes {
            begins.push(all);
            all += overlay.neighbours(node).len() as u32;
        }
        begins.push(all);
        let mut links = vec![Link::default(); all as usize];
        let mut laid = vec![0_u32; nodes as usize];
        for (a, b) in overlay.edges().iter().copied() {
            let ends = [a, b].map(|node| regions.get(node as usize).copied().map_or(0, usize::from));
            let latency_micros = latency.draw(ends, &mut rng).as_micros() as u32;
            let [at_a, at_b] = [a, b].map(|node| laid[node as usize]);
            for (node, peer, here, port_there, is_outbound) in [(a, b, at_a, at_b, true), (b, a, at_b, at_a, false)] {
                let link = Link { peer, port_there: port_there as u16, latency_micros, is_outbound };
                links[(begins[node as usize] + here) as usize] = link;
                laid[node as usize] += 1;
            }
        }
        Self { begins, links }
    }

    pub(crate) fn links_of(&self, node: u32) -> &[Link] {
        let bounds = [node as usize, node as usize + 1].map(|index| self.begins.get(index).copied());
        let [Some(begin), Some(end)] = bounds else { return &[] };
        self.links.get(begin as usize..end as usize).unwrap_or_default()
    }

    pub(crate) fn link(&self, node: u32, port: Port) -> Option<Link> {
        self.links_of(node).get(port.0 as usize).copied()
    }
}
