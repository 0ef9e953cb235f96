//! The world of gossip alone: the shipped engine at every node of a given overlay.

mod attack;
mod experiment;
mod measures;
mod message;
mod node;
mod section;
mod spies;
mod taps;

pub use attack::{Attack, AttackKind, Hostile};
pub use experiment::{Experiment, ExperimentError, Laid, Origin, Role, Subscribers};
pub use measures::{Measures, Spread, Unmasking};
pub(crate) use message::{sealer, the_topic};
pub use node::{Call, GossipNode, Reach, Rules, Spreads};
pub use section::{AttackSection, GossipSection, LoadSection, OriginWord, SubscribersWord};
pub(crate) use section::{KNOWN, asks, check, run};
