//! What a node says of itself, as the API, the command line and the library see it. Fields are added, never changed.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use bruit_core::{Endpoint, PeerId};
use multiaddr::Multiaddr;
use serde::{Deserialize, Serialize};

use crate::{files::FileTotals, storage::StorageStatus};

/// The state of a node in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Who it is.
    pub peer_id: PeerId,
    /// Its network.
    pub network: String,
    /// Its profile.
    pub profile: String,
    /// What it says of its software.
    pub agent: String,
    /// The version of the software.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// For how long it runs.
    pub uptime_seconds: u64,
    /// Where it listens, without its peer id.
    pub listen: Vec<Multiaddr>,
    /// The socket of its API.
    pub api: Option<PathBuf>,
    /// Its data directory.
    pub data_dir: Option<PathBuf>,
    /// Its peers.
    pub peers: PeerCounts,
    /// Its address book.
    pub book: BookCounts,
    /// Its dials since the start.
    pub dials: DialCounts,
    /// What travelled through its sockets since the start.
    pub traffic: TrafficCounts,
    /// What gossip did since the start.
    pub gossip: GossipCounts,
    /// What rpc did since the start.
    pub rpc: RpcCounts,
    /// The files it holds.
    pub files: FileTotals,
    /// The topics it wants.
    pub subscriptions: Vec<String>,
    /// How its storage is.
    pub storage: StorageStatus,
    /// Where others see it.
    pub observed: Vec<Endpoint>,
    /// Where it may be dialled beyond `listen`, as far as others see it.
    #[serde(default)]
    pub own: Vec<OwnAddr>,
    /// What the operator should know.
    pub hint: Option<String>,
}

/// An address of a node that it does not listen on itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnAddr {
    /// The address.
    pub endpoint: Endpoint,
    /// Whether it is believed and told: enough witnesses agreed, and somebody has dialled it.
    pub adopted: bool,
    /// Who of the connected peers sees it.
    pub witnesses: Vec<PeerId>,
    /// In how many parts of the internet they are.
    pub groups: usize,
}

/// How many peers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCounts {
    /// Dialled and kept.
    pub outbound: usize,
    /// Came and kept.
    pub inbound: usize,
    /// Named by the operator and connected.
    pub manual: usize,
    /// How many to dial and keep.
    pub outbound_target: usize,
    /// How many of those that come are kept.
    pub inbound_max: usize,
    /// Dials under way.
    pub dialling: usize,
}

impl PeerCounts {
    /// All peers that take part.
    pub const fn total(&self) -> usize {
        self.outbound + self.inbound + self.manual
    }
}

/// How large the address book is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookCounts {
    /// Endpoints heard of.
    pub new: usize,
    /// Endpoints reached.
    pub tried: usize,
    /// Endpoints on disk now.
    pub stored: u64,
    /// Endpoints read from disk at the start.
    pub restored: usize,
}

/// How dials went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialCounts {
    /// Dials begun.
    pub attempted: u64,
    /// Dials that led to a connection.
    pub succeeded: u64,
    /// Ended dials to endpoints that were read from disk at the start.
    pub from_restored: u64,
}

/// What travelled, with everything that the transport adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficCounts {
    /// Bytes that came.
    pub bytes_in: u64,
    /// Bytes that left.
    pub bytes_out: u64,
}

/// What gossip did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GossipCounts {
    /// Items published here.
    pub published: u64,
    /// Items given to the application.
    pub delivered: u64,
    /// Items of others relayed.
    pub relayed: u64,
    /// First copies that came by push.
    pub first_by_push: u64,
    /// First copies by round; the index is the round.
    pub hops: Vec<u64>,
    /// The largest round of a first copy.
    pub hops_max: u32,
    /// Copies of what was known.
    pub duplicates: u64,
    /// Items that came on their last round.
    pub round_limited: u64,
    /// Copies sent unasked.
    pub pushes: u64,
    /// The most peers that one item was pushed to.
    pub pushes_max: u64,
    /// Items rejected.
    pub rejected: u64,
    /// Copies that a peer's full outbox did not take.
    pub frames_refused: u64,
    /// Items that were held for what they depend on.
    #[serde(default)]
    pub withheld: u64,
    /// Those of them whose dependencies did not come in time.
    #[serde(default)]
    pub withheld_overdue: u64,
}

/// What rpc did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcCounts {
    /// Calls that ended or are under way.
    pub calls: u64,
    /// Calls that ended with an answer.
    pub ok: u64,
    /// Calls that ended without one.
    pub failed: u64,
    /// Calls that asked a second peer.
    pub retried: u64,
    /// Answers taken from the node's own store.
    pub local: u64,
    /// Requests of others passed to methods.
    pub served: u64,
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Who.
    pub peer_id: PeerId,
    /// `outbound`, `inbound` or `manual`; `greeting` while it has no slot.
    pub direction: String,
    /// Where it was dialled, or from where it came.
    pub endpoint: Endpoint,
    /// How the node came to it: `seed`, `addnode`, `restored`, `book`, or `inbound`.
    pub origin: String,
    /// For how long it is connected.
    pub connected_seconds: u64,
    /// Its software.
    pub agent: String,
    /// Where it says it listens.
    pub listen: Vec<Endpoint>,
    /// Its quality, in thousandths of a point: the sum of the parts.
    pub quality: i32,
    /// What the quality is made of.
    pub parts: BTreeMap<String, i32>,
    /// The topics it wants.
    pub subscriptions: Vec<String>,
}

/// An endpoint of the address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookEntry {
    /// Where.
    pub endpoint: Endpoint,
    /// Who, if known.
    pub peer_id: Option<PeerId>,
    /// `new` or `tried`.
    pub table: String,
    /// The part of the internet it belongs to.
    pub group: String,
    /// How many seconds ago it last showed a sign of life.
    pub seen_seconds_ago: u64,
    /// How many seconds ago it was last reached.
    pub reached_seconds_ago: Option<u64>,
    /// How many dials failed since then.
    pub failures: u32,
    /// The quality of its peer, in thousandths of a point.
    pub quality: i32,
    /// Whether it is kept from others.
    pub is_special: bool,
    /// Whether it would be dropped when room is needed.
    #[serde(default)]
    pub would_be_dropped: bool,
}

/// The address book as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BookShape {
    /// How many groups its endpoints belong to.
    pub groups: usize,
    /// The group with most endpoints.
    pub largest_group: Option<String>,
    /// The share of all endpoints that are of that group, from 0 to 1.
    pub largest_group_share: f64,
    /// How many would be dropped when room is needed.
    pub would_be_dropped: usize,
    /// How many endpoints showed a sign of life within the last hour, day, week and month.
    pub ages: [usize; 4],
    /// How many reached endpoints wait until who holds their place was tested.
    pub waiting_for_tests: usize,
    /// Whether our own network seems to be out, so that nothing is held against anybody.
    pub is_offline: bool,
}

/// Why a peer is treated as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookWhy {
    /// Who.
    pub peer_id: PeerId,
    /// Its quality, in thousandths of a point: the sum of the parts.
    pub quality: i32,
    /// What the quality is made of.
    pub parts: BTreeMap<String, i32>,
    /// `good`, `unshared`, `ignored` or `bannable`.
    pub standing: String,
    /// For how many seconds it is connected.
    pub connected_seconds: Option<u64>,
    /// Whether it is kept from others.
    pub is_special: bool,
    /// How it answers calls.
    pub methods: Vec<MethodInfo>,
    /// Where it can be dialled.
    pub endpoints: Vec<BookEntry>,
    /// The ban on it.
    pub ban: Option<BanInfo>,
    /// Why it was last chosen to be dialled.
    pub last_choice: Option<ChoiceInfo>,
}

/// How a peer answers one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodInfo {
    /// The method.
    pub method: String,
    /// How many calls it answered lately.
    pub answered: u32,
    /// How many it answered falsely or not in time.
    pub failed: u32,
}

/// Why an endpoint was chosen to be dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceInfo {
    /// Where.
    pub endpoint: Endpoint,
    /// How many seconds ago.
    pub seconds_ago: u64,
    /// Its chance of being taken once it was drawn, in thousandths: the sum of the parts.
    pub chance: i32,
    /// What the chance had to exceed.
    pub needed: i32,
    /// What the chance was made of.
    pub parts: Vec<(String, i32)>,
    /// The largest reason without which another one would have been chosen.
    pub top: String,
}

/// What came of taking over another book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Endpoints taken over.
    pub entries: usize,
    /// How many of them in *tried*.
    pub tried: usize,
    /// Peers whose quality was taken over.
    pub peers: usize,
    /// Bans taken over.
    pub bans: usize,
    /// Endpoints refused: known already, our own, or not allowed here.
    pub refused: usize,
    /// Endpoints whose place is taken.
    pub displaced: usize,
    /// Lines that could not be read.
    pub unreadable: usize,
}

/// A peer that left, or that the node left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodbyeInfo {
    /// Who.
    pub peer_id: PeerId,
    /// How many seconds ago.
    pub seconds_ago: u64,
    /// Who ended it: `we`, `they` or `nobody`.
    pub by: String,
    /// Why.
    pub reason: String,
    /// For how many seconds not to come back.
    pub stay_away_seconds: u64,
}

/// A ban.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanInfo {
    /// A peer id, an IP address or a net.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// `rule` or `operator`.
    pub source: String,
    /// `banned`, or `discouraged`: may connect while there is room.
    #[serde(default)]
    pub severity: String,
    /// How many seconds ago it was made.
    #[serde(default)]
    pub seconds_ago: u64,
    /// How many seconds are left.
    pub seconds_left: u64,
    /// What a rule saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<BanEvidence>,
}

/// What a rule saw when it banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanEvidence {
    /// The quality, in thousandths of a point: the sum of the parts.
    pub quality: i32,
    /// What it was below.
    pub below: i32,
    /// The parts that were not 0.
    pub parts: BTreeMap<String, i32>,
    /// The parts without which there would be no ban, worst first.
    pub decided_by: Vec<String>,
    /// Where the peer was seen.
    pub seen_at: Option<IpAddr>,
}
