//! The world of whole nodes: address book, address exchange, peering, gossip and requests of every node, coupled as in a swarm.
//!
//! Nodes live at addresses of an internet of their own; dials take time, are refused, or lead nowhere. What the engines mean to
//! each other is carried out by `bruit_stack::Coupler`, the same as in a real node; nothing of it is decided here.

mod bot;
mod churn;
mod experiment;
mod host;
mod internet;
mod letter;
mod measures;
mod node;
mod observers;
mod parts;
mod section;

pub use bot::Attack;
pub use churn::Churn;
pub use experiment::{Experiment, Load};
pub use host::Host;
pub use internet::{Internet, Place};
pub use letter::{Content, Letter};
pub use node::{NetworkNode, Signal};
pub use observers::Observers;
pub use parts::Parts;
pub use section::{
    AttackSection, AttackWord, ChurnSection, LoadSection, NetworkSection, ObserversSection, RestartSection,
};
pub(crate) use section::{KNOWN, asks, check, run};
