use std::fmt;

use bruit_core::{Endpoint, PeerId, Timestamp};

use crate::{Goodbye, Hello, KnownPeer};

/// What peering tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer said hello and has a slot: other protocols may admit it.
    PeerUp {
        /// The peer.
        peer: PeerId,
        /// Which kind of slot.
        class: SlotClass,
        /// What it said.
        hello: Hello,
        /// Where it was dialled, or from where it came.
        remote: Endpoint,
    },
    /// A peer has its slot no longer.
    PeerDown {
        /// The peer.
        peer: PeerId,
    },
    /// A peer that has a slot is one that the operator named: its slot is a manual one from now on.
    Named {
        /// The peer.
        peer: PeerId,
    },
    /// More peers are wanted: propose some with `dial`, and say `candidates_exhausted` if there are fewer.
    CandidatesWanted {
        /// How many.
        count: usize,
    },
    /// It is time to test an address that was only heard of: name one with `visit`.
    FeelerWanted,
    /// Too few peers although all candidates were tried: more addresses are wanted from this source. Enter them as seeds or into
    /// the book, and say `addresses_learned`.
    SeedsWanted {
        /// From where.
        stage: SeedStage,
    },
    /// A peer was met that we do not stay with: a good moment to ask it for addresses.
    Met {
        /// The peer.
        peer: PeerId,
    },
    /// Nobody is left to propose or to dial: a good moment to ask for addresses.
    Starved,
    /// A dial began.
    DialStarted {
        /// Where.
        endpoint: Endpoint,
        /// Whom to find there, where that is known.
        peer: Option<PeerId>,
    },
    /// A dial led to a peer of this network, whether it has a slot for us or not.
    DialSucceeded {
        /// Where.
        endpoint: Endpoint,
        /// Who was there.
        peer: PeerId,
    },
    /// A dial failed.
    DialFailed {
        /// Where.
        endpoint: Endpoint,
        /// Whom to find there, where that is known.
        peer: Option<PeerId>,
        /// Why.
        reason: DialFailure,
    },
    /// A peer that we dialled has no slot for us, or gave ours to another one.
    Refused {
        /// The peer.
        peer: PeerId,
        /// Where it was dialled.
        remote: Endpoint,
        /// Whom it names instead.
        alternatives: Vec<KnownPeer>,
    },
    /// A peer was told that there is no slot for it.
    Turned {
        /// The peer.
        peer: PeerId,
        /// Where it says it listens: whom we have no slot for, others may have.
        listen: Vec<Endpoint>,
        /// From where it came.
        remote: Endpoint,
    },
    /// A connected peer is not of this network, or does not speak these protocols.
    Stranger {
        /// The peer.
        peer: PeerId,
        /// Where it was dialled, when we dialled it.
        endpoint: Option<Endpoint>,
        /// What was wrong.
        reason: Strangeness,
    },
    /// A peer sent something that breaks a rule.
    Misconduct {
        /// The peer.
        peer: PeerId,
    },
}

/// Which kind of slot a peer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum SlotClass {
    /// We chose and dialled it.
    Outbound,
    /// We chose and dialled it, and exchange no addresses with it: others cannot learn of the connection.
    Quiet,
    /// It dialled us.
    Inbound,
    /// The operator named it; it counts towards no limit.
    Manual,
}

/// Why a dial failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// Nobody answered, or the handshake broke.
    Unreachable,
    /// Somebody took the connection and ended it before saying hello: perhaps full, perhaps we are banned there.
    HungUp,
    /// It was our own address.
    OwnAddress,
    /// Somebody else was there.
    WrongIdentity {
        /// Who.
        found: PeerId,
    },
    /// We did not dial after all: another rule of this node forbade it.
    Denied,
}

/// Why a peer is a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Strangeness {
    /// It said hello for another network.
    WrongNetwork,
    /// It does not speak the protocol.
    OtherProtocol,
    /// It said no hello in time.
    Silent,
}

/// From where seed addresses come, in the order in which they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum SeedStage {
    /// Names that are resolved.
    Dns,
    /// A list, in a file or behind a URL.
    List,
    /// Addresses that come with the settings: only where nobody whom this node dialled is connected.
    Fixed,
}

impl fmt::Display for Strangeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongNetwork => "wrong network",
            Self::OtherProtocol => "speaks other protocols",
            Self::Silent => "said no hello",
        })
    }
}

/// A peer that left, or that we left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The peer.
    pub peer: PeerId,
    /// When.
    pub at: Timestamp,
    /// Whether this node had dialled it.
    pub was_dialled: bool,
    /// Who ended it and why.
    pub cause: DepartureCause,
}

/// Who ended a connection and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DepartureCause {
    /// We said goodbye.
    Sent(Goodbye),
    /// It said goodbye.
    Received(Goodbye),
    /// The connection was lost without a word.
    Lost,
    /// It was a stranger.
    Stranger(Strangeness),
    /// It did not answer any more.
    Silent,
    /// At its address somebody else answers now.
    Replaced {
        /// Where.
        endpoint: Endpoint,
        /// Who is there.
        by: PeerId,
    },
}
