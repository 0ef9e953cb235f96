//! A deterministic network for the engines: links, faults and measures.
//!
//! A [`World`] runs nodes of any kind, up to a million of them in one thread, in a time of its own. It decides when a frame
//! arrives, if it does; what follows is the nodes' decision alone. It knows no swarm, no clock and no chance but the seed's:
//! equal scenarios give equal traces, byte for byte. What lives in a world is a [`Node`]: a shipped engine, several of them, or
//! somebody else's (`examples/rumour.rs`).
//!
//! A [`Scenario`] is a whole experiment as a file, with faults, adversaries and claims; [`gossip::Experiment`] is one as a value:
//!
//! ```
//! use bruit_core::Seed;
//! use bruit_gossip::Policy;
//! use bruit_sim::{Overlay, gossip::Experiment};
//!
//! // On a ring of 20 nodes six rounds reach six nodes on either side.
//! let policy = Policy::Fanout { peers: 16, rounds: 6 };
//! let measures = Experiment::new(Overlay::ring(20)?, policy, Seed::from_number(1)).run()?;
//! assert_eq!(measures.messages[0].reached, 1 + 12);
//! assert_eq!(measures.last_hop().mean, 6.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod conditions;
mod figures;
pub mod gossip;
mod links;
mod net;
pub mod network;
mod optimum;
mod overlay;
mod queue;
pub mod rpc;
pub mod scenario;
mod trace;
mod trace_lines;
mod wiring;
mod world;

pub use conditions::Fault;
pub use figures::{Figure, Figures, Sample};
pub use links::{Latency, Links, Model, Regions};
pub use net::{Net, Traffic, Wire};
pub use overlay::{Overlay, OverlayError, OverlayMetrics};
pub use scenario::{Invalid, Options, Outcome, Scenario};
pub use trace::{Trace, TraceHash};
pub use trace_lines::TraceLines;
pub use world::{Frame, Node, Port, World};

use bruit_core::Timestamp;

/// When every simulation starts: 1 January 2026.
pub const START: Timestamp = Timestamp::from_secs(1_767_225_600);
