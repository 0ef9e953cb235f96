use bruit_core::{SLOTS_MAX, Seed};
use serde::Deserialize;

use super::{Invalid, Scenario};
use crate::Overlay;

/// Who is connected to whom.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlaySection {
    /// Every node dials so many others.
    Random {
        /// How many.
        dials: u32,
    },
    /// Every node has exactly so many neighbours.
    Regular {
        /// How many.
        degree: u32,
    },
    /// A circle.
    Ring,
    /// Everybody with everybody.
    Full,
    /// A circle of neighbours, some of whose edges lead elsewhere.
    SmallWorld {
        /// How many neighbours each node has.
        degree: u32,
        /// The share of edges that lead elsewhere.
        rewired: f64,
    },
    /// Newcomers link to those that have many links.
    ScaleFree {
        /// How many links a newcomer makes.
        links: u32,
    },
    /// These edges.
    Edges(Vec<[u32; 2]>),
    /// The edges in a text of the form that an edge file has.
    EdgeText(String),
}

impl Scenario {
    /// The overlay of a run.
    pub(crate) fn overlay(&self, seed: &Seed) -> Result<Overlay, Invalid> {
        let nodes = self.file.nodes;
        let Some(section) = &self.file.overlay else {
            return Err(self.invalid(
                "overlay",
                "this kind of scenario needs an overlay, for instance { random = { dials = 16 } }",
            ));
        };
        let made = match section {
            OverlaySection::Random { dials } => Overlay::random(nodes, *dials, seed),
            OverlaySection::Regular { degree } => Overlay::regular(nodes, *degree, seed),
            OverlaySection::Ring => Overlay::ring(nodes),
            OverlaySection::Full => Overlay::full(nodes),
            OverlaySection::SmallWorld { degree, rewired } => {
                let rewired = self.share("overlay.small_world.rewired", *rewired)?;
                Overlay::small_world(nodes, *degree, rewired, seed)
            }
            OverlaySection::ScaleFree { links } => Overlay::scale_free(nodes, *links, seed),
            OverlaySection::Edges(edges) => Overlay::of_edges(nodes, edges.iter().map(|[a, b]| (*a, *b))),
            OverlaySection::EdgeText(text) => {
                Overlay::from_text(text).and_then(|read| Overlay::of_edges(nodes, read.edges().iter().copied()))
            }
        };
        made.map_err(|error| self.invalid("overlay", error.to_string()))
    }

    /// Refuses what no run could make; cheaper than making it.
    pub(crate) fn check_overlay(&self) -> Result<(), Invalid> {
        let nodes = self.file.nodes;
        if let Some(OverlaySection::SmallWorld { rewired, .. }) = &self.file.overlay {
            self.share("overlay.small_world.rewired", *rewired)?;
        }
        match &self.file.overlay {
            Some(OverlaySection::Regular { degree }) if nodes % 2 == 1 && degree % 2 == 1 => {
                return Err(self.odd("regular", *degree, "an odd number of nodes cannot all have an odd degree"));
            }
            Some(OverlaySection::SmallWorld { degree, .. }) if degree % 2 == 1 => {
                return Err(self.odd("small_world", *degree, "there are as many neighbours on either side"));
            }
            Some(_) | None => {}
        }
        let most = match &self.file.overlay {
            Some(OverlaySection::Random { dials: degree } | OverlaySection::ScaleFree { links: degree }) => *degree,
            Some(OverlaySection::Regular { degree } | OverlaySection::SmallWorld { degree, .. }) => *degree,
            Some(OverlaySection::Full) if nodes > 4_097 => {
                return Err(
                    self.invalid("overlay", format!("{nodes} nodes cannot all be connected: a node has 4096 slots"))
                );
            }
            Some(OverlaySection::Ring | OverlaySection::Full) => 0,
            Some(OverlaySection::Edges(_) | OverlaySection::EdgeText(_)) | None => {
                return self.overlay(&Seed::from_number(0)).map(drop);
            }
        };
        let is_dialled = matches!(&self.file.overlay, Some(OverlaySection::Random { .. }));
        if is_dialled && most as usize > SLOTS_MAX / 2 {
            let reason = format!("{most} dials each are twice as many links, but a node has {SLOTS_MAX} slots");
            return Err(self.invalid("overlay.random.dials", reason));
        }
        let is_bare = !matches!(&self.file.overlay, Some(OverlaySection::Ring | OverlaySection::Full));
        if is_bare && most == 0 && nodes > 1 {
            return Err(self.invalid("overlay", "0 links for each node connect nobody"));
        }
        match most < nodes {
            true => Ok(()),
            false => Err(self
                .invalid("overlay", format!("{most} links for each of {nodes} nodes are more than there are pairs"))),
        }
    }

    /// A degree that must be even, with the next one that can be.
    fn odd(&self, shape: &str, degree: u32, reason: &str) -> Invalid {
        let even = if degree.saturating_add(1) < self.file.nodes { degree.saturating_add(1) } else { degree - 1 };
        let invalid = self.invalid(&format!("overlay.{shape}.degree"), format!("{degree} cannot be: {reason}"));
        invalid.with_nearest(Some(even.to_string()))
    }
}
