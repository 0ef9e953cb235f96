//! Global calls alone: one node asks, all others serve one method each in their own way.
//!
//! What it shows depends on whom the engine of requests chooses, when it goes on to the next, and what it makes of time-outs and
//! lies. How long an answer takes is drawn anew for each exchange; links carry what they are given.

mod experiment;
mod message;
mod node;
mod section;

pub use section::RpcSection;
pub(crate) use section::{KNOWN, asks, check, run};
