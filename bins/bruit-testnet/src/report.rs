//! What a demo measured, what it claims, and which claims failed.
//!
//! Nothing here talks to a node: numbers go in, the report and its verdict come out.

use serde::Serialize;

mod claims;
mod measure;
mod table;

pub(crate) use claims::{Terms, failed_claims, not_applicable};
pub(crate) use measure::{FileSample, GossipSample, RpcSample, coverage, spread};
pub(crate) use table::table;

/// How many steps a demo has.
pub(crate) const STEPS: usize = 6;

/// All that a demo says at its end, in the order in which it says it. What was not reached is 0, empty or false.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// How many nodes were asked for.
    pub(crate) nodes: usize,
    /// How many nodes one node was connected to, on average, when they had found each other.
    pub(crate) degree_mean: f64,
    /// The largest round at which a push was a first delivery.
    pub(crate) hops_max: u32,
    /// First deliveries by push at each round; entry 0 is round 0, which nobody sends.
    pub(crate) hops_histogram: Vec<u64>,
    /// Deliveries that were not relayed because of their round.
    pub(crate) round_limited: u64,
    /// Of the pairs of a node and a chunk, the publisher's left out: those that gossip brought.
    pub(crate) coverage_gossip: f64,
    /// The same of all that arrived, by whatever way.
    pub(crate) coverage: f64,
    /// How many nodes, the publisher left out, have the file with the original's SHA-256.
    pub(crate) sha256_ok: usize,
    /// Copies of what was there already, for each first delivery.
    pub(crate) duplicates_per_delivery: f64,
    /// Bytes that came through all sockets while the file spread and was repaired, for each delivery.
    pub(crate) bytes_per_delivery: f64,
    /// Calls the fetchers made.
    pub(crate) rpc_calls: u64,
    /// Those that succeeded.
    pub(crate) rpc_ok: u64,
    /// Those that asked more than one peer.
    pub(crate) rpc_retried: u64,
    /// Those that were answered from the fetcher's own store.
    pub(crate) rpc_local: u64,
    /// Tries of theirs that were in vain.
    pub(crate) rpc_wasted: u64,
    /// Parts that a fetcher took for true and that are not.
    pub(crate) rpc_false_accepted: u64,
    /// How many nodes serve objects wrongly.
    pub(crate) bad_nodes: usize,
    /// How often they were asked, and how many false answers they gave, in all steps.
    pub(crate) bad_asked: u64,
    pub(crate) bad_false_answers: u64,
    /// Whether the restarted node is connected again.
    pub(crate) rejoined: bool,
    /// Whether it came back by dialling an address of its stored book.
    pub(crate) rejoined_outbound: bool,
    /// Whether it has the file that was published without it.
    pub(crate) caught_up: bool,
    /// How many nodes were killed at once.
    pub(crate) killed: usize,
    /// Of the nodes that were not, the publisher's left out: those that have the file published after that.
    pub(crate) coverage_living: f64,
    /// How long all of it took.
    pub(crate) seconds: f64,
    /// How many steps were done.
    pub(crate) steps_done: usize,
    /// Whether every claim held.
    pub(crate) ok: bool,
    /// The largest number of peers that one node pushed one message to.
    pub(crate) pushes_max: u64,
    /// The largest resident memory of a node, in MiB; nothing where the system does not tell.
    pub(crate) rss_mib_max: Option<f64>,
    /// The steps one by one.
    pub(crate) steps: Vec<Step>,
    /// The claims that failed, in words.
    pub(crate) failed: Vec<String>,
    /// What this many nodes cannot show, in words.
    pub(crate) not_applicable: Vec<String>,
    /// Why the demo ended early.
    pub(crate) error: Option<String>,
    /// Where the nodes' folders are, if they were kept.
    pub(crate) dir: Option<String>,
}

/// How one step went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Step {
    /// Its number, from 1.
    pub(crate) step: usize,
    /// What it is about.
    pub(crate) name: &'static str,
    /// Whether it did all that it should.
    pub(crate) done: bool,
    /// How long it took.
    pub(crate) seconds: f64,
    /// What a person may want to know about it.
    pub(crate) note: String,
}
