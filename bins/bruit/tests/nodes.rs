//! Nodes as their operators run them: real processes, real sockets, real signals.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

#[path = "nodes/calls.rs"]
mod calls;
#[path = "nodes/faults.rs"]
mod faults;
#[path = "nodes/life.rs"]
mod life;
#[path = "nodes/process.rs"]
mod process;
#[path = "nodes/reload.rs"]
mod reload;
#[path = "nodes/usage.rs"]
mod usage;
