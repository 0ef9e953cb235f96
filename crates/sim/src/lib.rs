//! A deterministic network for the engines: links, faults and measures.
//!
//! A [`World`] runs the shipped engines, thousands of them in one thread, in a time of its own. It decides when a frame
//! arrives, if it does; what follows is the engines' decision alone. It knows no swarm, no clock and no chance but the seed's:
//! equal scenarios give equal traces, byte for byte. A [`Scenario`] is a whole experiment with its [`Measures`].
//!
//! ```
//! use bruit_core::Seed;
//! use bruit_gossip::Policy;
//! use bruit_sim::{Overlay, Scenario};
//!
//! // On a ring of 20 nodes six rounds reach six nodes on either side.
//! let policy = Policy::Fanout { peers: 16, rounds: 6 };
//! let measures = Scenario::new(Overlay::ring(20)?, policy, Seed::from_number(1)).run()?;
//! assert_eq!(measures.messages[0].reached, 1 + 12);
//! assert_eq!(measures.last_hop().mean, 6.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod links;
mod measures;
mod overlay;
mod scenario;
mod trace;
mod world;

pub use links::{Latency, Links};
pub use measures::{Measures, Sample, Spread, TraceHash};
pub use overlay::{Overlay, OverlayError};
pub use scenario::{Origin, Scenario, ScenarioError, Subscribers};
pub use world::{Reach, Rules, World};
