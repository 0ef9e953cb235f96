//! Nodes as their operators run them: real processes, real sockets, real signals.

#[path = "nodes/faults.rs"]
mod faults;
#[path = "nodes/life.rs"]
mod life;
#[path = "nodes/process.rs"]
mod process;
