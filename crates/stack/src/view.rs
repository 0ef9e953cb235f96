//! What people see of a node: plain values, ready to be shown or sent.

use bruit_addr_exchange::OwnView;
use bruit_core::{Endpoint, PeerId, Timestamp};
use bruit_peering::{Departure, DepartureCause, SlotClass};

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PeerView {
    /// The peer.
    pub peer: PeerId,
    /// Its slot; `None` while it is greeting or leaving.
    pub class: Option<SlotClass>,
    /// Where it was dialled, or from where it came.
    pub remote: Endpoint,
    /// Where it says it listens.
    pub listen: Vec<Endpoint>,
    /// The software it says it runs.
    pub agent: String,
    /// For how many seconds it is connected.
    pub connected_secs: u64,
    /// The shortest time that an answer to a ping took, in microseconds.
    pub latency_micros: Option<u64>,
    /// Its quality in thousandths of a point.
    pub quality: i32,
    /// The topics it wants.
    pub topics: Vec<String>,
}

/// A peer that left, or that we left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GoodbyeView {
    /// The peer.
    pub peer: PeerId,
    /// How many seconds ago.
    pub secs_ago: u64,
    /// Whether this node had dialled it.
    pub was_dialled: bool,
    /// Who ended it: `we`, `they` or `nobody`.
    pub by: &'static str,
    /// Why.
    pub reason: String,
    /// For how many seconds not to come back.
    pub stay_away_secs: u64,
}

impl GoodbyeView {
    pub(crate) fn of(departure: &Departure, now: Timestamp) -> Self {
        let (by, reason, stay_away) = match &departure.cause {
            DepartureCause::Sent(goodbye) => ("we", goodbye.reason.to_string(), goodbye.stay_away),
            DepartureCause::Received(goodbye) => ("they", goodbye.reason.to_string(), goodbye.stay_away),
            DepartureCause::Lost => ("nobody", "connection lost".to_owned(), Default::default()),
            DepartureCause::Silent => ("we", "did not answer any more".to_owned(), Default::default()),
            DepartureCause::Replaced { endpoint, by } => {
                ("nobody", format!("at {endpoint} lives {by} now"), Default::default())
            }
            DepartureCause::Stranger(strangeness) => ("we", strangeness.to_string(), Default::default()),
        };
        let secs_ago = now.since(departure.at).as_secs();
        let Departure { peer, was_dialled, .. } = *departure;
        Self { peer, secs_ago, was_dialled, by, reason, stay_away_secs: stay_away.as_secs() }
    }
}

/// Where a peer sees us.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ObservedView {
    /// The address it sees; the port is meaningful only if we dialled from our listening port.
    pub endpoint: Endpoint,
    /// Who sees it.
    pub witnesses: Vec<PeerId>,
}

/// An address of our own that we do not listen on ourselves: a router's, or that of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OwnAddrView {
    /// The address.
    pub endpoint: Endpoint,
    /// Whether it is believed and told: enough witnesses agreed, and somebody has dialled it.
    pub is_adopted: bool,
    /// Who of the connected peers sees it.
    pub witnesses: Vec<PeerId>,
    /// In how many parts of the internet they are.
    pub groups: usize,
}

impl OwnAddrView {
    pub(crate) fn of(view: OwnView<PeerId>) -> Self {
        let OwnView { endpoint, is_adopted, witnesses, groups } = view;
        Self { endpoint, is_adopted, witnesses, groups }
    }
}

/// A node's state in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct StatusView {
    /// Who we are.
    pub peer: PeerId,
    /// The network.
    pub network: String,
    /// Where we listen.
    pub listen: Vec<Endpoint>,
    /// Where others see us.
    pub observed: Vec<ObservedView>,
    /// Where we may be dialled beyond `listen`, as far as others see it.
    pub own: Vec<OwnAddrView>,
    /// How many peers we dialled and keep.
    pub outbound: usize,
    /// How many peers we want to dial and keep.
    pub outbound_target: usize,
    /// How many quiet peers we dialled and keep.
    pub quiet: usize,
    /// How many peers dialled us and are kept.
    pub inbound: usize,
    /// How many of those we keep at most.
    pub inbound_max: usize,
    /// How many peers the operator named are connected.
    pub manual: usize,
    /// How many dials are under way.
    pub dialling: usize,
    /// How many entries the book has.
    pub book_entries: usize,
    /// How many of them were reached.
    pub book_tried: usize,
}
