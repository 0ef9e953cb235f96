#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt, time::Duration};

use bruit_core::{Endpoint, PeerId, Timestamp};
use bruit_wire::{
    limits::{ADDRS_PER_PEER_MAX, ALTERNATIVES_MAX, FEATURES_MAX},
    pb,
};
use multiaddr::Multiaddr;

/// What two nodes say to each other first.
///
/// # Security
/// All of it is a claim. Only the peer id and the remote address of the connection are proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The name of the network.
    pub network: String,
    /// The software, at most 64 bytes.
    pub agent: String,
    /// Where the peer says it listens, at most 8.
    pub listen: Vec<Endpoint>,
    /// What the peer says it can do, at most 32 names.
    pub features: Vec<String>,
    /// Where the peer sees us.
    pub observed: Option<Endpoint>,
    /// The peer has no slot for us.
    pub refused: Option<Goodbye>,
    /// What the peer that dialled wants of the connection.
    pub intent: Intent,
}

/// What a dialler wants of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intent {
    /// To stay as a full peer.
    #[default]
    Stay,
    /// To stay, but to be told of no addresses.
    Quiet,
    /// To see that somebody is there, perhaps to ask once for addresses, and to leave: it takes no slot.
    Visit,
}

/// The last thing a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goodbye {
    /// Why.
    pub reason: GoodbyeReason,
    /// For how long not to come back.
    pub stay_away: Duration,
    /// Whom to try instead, at most 16.
    pub alternatives: Vec<KnownPeer>,
}

/// Why a node says goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum GoodbyeReason {
    /// None was given, or one that we do not know.
    Unknown,
    /// All slots are taken.
    Full,
    /// The node stops.
    ShuttingDown,
    /// The hello named another network.
    WrongNetwork,
    /// A rule was broken.
    Misconduct,
    /// There is another connection to the same peer.
    Duplicate,
    /// The operator asked for it.
    Requested,
    /// The sender has what it came for.
    Done,
    /// The sender changes its peers from time to time.
    Rotated,
}

/// A peer and where it can be dialled, as told by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPeer {
    /// Who it is.
    pub peer: PeerId,
    /// Where, at most 8.
    pub endpoints: Vec<Endpoint>,
    /// When it was last seen, in whole hours.
    pub last_seen: Option<Timestamp>,
}

impl fmt::Display for GoodbyeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no reason given",
            Self::Full => "full",
            Self::ShuttingDown => "shutting down",
            Self::WrongNetwork => "wrong network",
            Self::Misconduct => "misconduct",
            Self::Duplicate => "duplicate connection",
            Self::Requested => "requested",
            Self::Done => "visit done",
            Self::Rotated => "rotation of peers",
        })
    }
}

impl GoodbyeReason {
    fn from_wire(reason: i32) -> Self {
        match pb::GoodbyeReason::try_from(reason) {
            Ok(pb::GoodbyeReason::Full) => Self::Full,
            Ok(pb::GoodbyeReason::ShuttingDown) => Self::ShuttingDown,
            Ok(pb::GoodbyeReason::WrongNetwork) => Self::WrongNetwork,
            Ok(pb::GoodbyeReason::Misconduct) => Self::Misconduct,
            Ok(pb::GoodbyeReason::Duplicate) => Self::Duplicate,
            Ok(pb::GoodbyeReason::Requested) => Self::Requested,
            Ok(pb::GoodbyeReason::Done) => Self::Done,
            Ok(pb::GoodbyeReason::Rotated) => Self::Rotated,
            Ok(pb::GoodbyeReason::Unspecified) | Err(_) => Self::Unknown,
        }
    }

    const fn to_wire(self) -> pb::GoodbyeReason {
        match self {
            Self::Unknown => pb::GoodbyeReason::Unspecified,
            Self::Full => pb::GoodbyeReason::Full,
            Self::ShuttingDown => pb::GoodbyeReason::ShuttingDown,
            Self::WrongNetwork => pb::GoodbyeReason::WrongNetwork,
            Self::Misconduct => pb::GoodbyeReason::Misconduct,
            Self::Duplicate => pb::GoodbyeReason::Duplicate,
            Self::Requested => pb::GoodbyeReason::Requested,
            Self::Done => pb::GoodbyeReason::Done,
            Self::Rotated => pb::GoodbyeReason::Rotated,
        }
    }
}

impl Hello {
    /// Reads a hello. Addresses that are none are left out.
    pub fn from_wire(hello: pb::Hello) -> Self {
        Self {
            network: hello.network,
            agent: hello.agent,
            listen: hello.listen_addrs.into_iter().filter_map(|addr| endpoint(&addr)).collect(),
            features: hello.features,
            observed: endpoint(&hello.observed_addr),
            refused: hello.refused.map(Goodbye::from_wire),
            intent: Intent::from_wire(hello.intent),
        }
    }

    /// Writes a hello. What is beyond a limit of the wire is left out.
    pub fn into_wire(self) -> pb::Hello {
        pb::Hello {
            network: self.network,
            agent: self.agent,
            listen_addrs: self.listen.iter().take(ADDRS_PER_PEER_MAX as usize).map(bytes_of).collect(),
            features: self.features.into_iter().take(FEATURES_MAX as usize).collect(),
            observed_addr: self.observed.as_ref().map(bytes_of).unwrap_or_default(),
            refused: self.refused.map(Goodbye::into_wire),
            intent: self.intent.to_wire().into(),
        }
    }
}

impl Intent {
    /// What a later version may want, and we do not know, is to stay.
    fn from_wire(intent: i32) -> Self {
        match pb::Intent::try_from(intent) {
            Ok(pb::Intent::Quiet) => Self::Quiet,
            Ok(pb::Intent::Visit) => Self::Visit,
            Ok(pb::Intent::Stay) | Err(_) => Self::Stay,
        }
    }

    const fn to_wire(self) -> pb::Intent {
        match self {
            Self::Stay => pb::Intent::Stay,
            Self::Quiet => pb::Intent::Quiet,
            Self::Visit => pb::Intent::Visit,
        }
    }
}

impl Goodbye {
    /// A goodbye that says only why.
    pub const fn because(reason: GoodbyeReason) -> Self {
        Self { reason, stay_away: Duration::ZERO, alternatives: Vec::new() }
    }

    /// Reads a goodbye. Alternatives without identity or address are left out.
    pub fn from_wire(goodbye: pb::Goodbye) -> Self {
        Self {
            reason: GoodbyeReason::from_wire(goodbye.reason),
            stay_away: Duration::from_secs(goodbye.not_before_seconds.into()),
            alternatives: goodbye.alternatives.into_iter().filter_map(KnownPeer::from_wire).collect(),
        }
    }

    /// Writes a goodbye.
    pub fn into_wire(self) -> pb::Goodbye {
        let alternatives = self.alternatives.into_iter().take(ALTERNATIVES_MAX as usize);
        pb::Goodbye {
            reason: self.reason.to_wire().into(),
            not_before_seconds: u32::try_from(self.stay_away.as_secs()).unwrap_or(u32::MAX),
            alternatives: alternatives.map(KnownPeer::into_wire).collect(),
        }
    }
}

impl KnownPeer {
    fn from_wire(known: pb::PeerAddr) -> Option<Self> {
        let peer = PeerId::from_bytes(&known.peer_id).ok()?;
        let endpoints: Vec<_> = known.addrs.iter().filter_map(|addr| endpoint(addr)).collect();
        let last_seen = Some(known.last_seen_seconds).filter(|secs| *secs > 0).map(Timestamp::from_secs);
        (!endpoints.is_empty()).then_some(Self { peer, endpoints, last_seen })
    }

    fn into_wire(self) -> pb::PeerAddr {
        let last_seen = self.last_seen.unwrap_or_default().as_secs();
        pb::PeerAddr {
            peer_id: self.peer.to_bytes().into(),
            addrs: self.endpoints.iter().take(ADDRS_PER_PEER_MAX as usize).map(bytes_of).collect(),
            last_seen_seconds: last_seen.saturating_sub(last_seen.checked_rem(3_600).unwrap_or(0)),
            ..Default::default()
        }
    }
}

fn endpoint(bytes: &[u8]) -> Option<Endpoint> {
    let addr = Multiaddr::try_from(bytes.to_vec()).ok()?;
    Endpoint::from_multiaddr(&addr).ok().map(|(endpoint, _)| endpoint)
}

fn bytes_of(endpoint: &Endpoint) -> bytes::Bytes {
    endpoint.to_multiaddr().to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_survives_the_wire_and_nonsense_is_left_out() {
        let peer = PeerId::random();
        let endpoint = Endpoint::tcp([1, 2, 3, 4].into(), 5);
        let known = KnownPeer { peer, endpoints: vec![endpoint.clone()], last_seen: Some(Timestamp::from_secs(7_200)) };
        let goodbye =
            Goodbye { reason: GoodbyeReason::Full, stay_away: Duration::from_secs(300), alternatives: vec![known] };
        let hello = Hello {
            network: "demo".into(),
            agent: "a".into(),
            listen: vec![endpoint.clone()],
            features: vec!["gossip/1".into()],
            observed: Some(endpoint),
            refused: Some(goodbye),
            intent: Intent::Quiet,
        };
        let mut wire = hello.clone().into_wire();
        wire.listen_addrs.push(vec![0xff, 0xff].into());
        if let Some(refused) = &mut wire.refused {
            refused.alternatives.push(pb::PeerAddr::default());
        }
        assert_eq!(Hello::from_wire(wire), hello);
    }
}
