use bruit_core::{Audience, Conduct, Endpoint, PeerId};

use crate::{PeerAddr, RequestId};

/// What the exchange tells its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer asks, and no cached answer serves it: to be answered by [`Behaviour::answer`](crate::Behaviour::answer).
    Asked {
        /// Who.
        peer: PeerId,
        /// Which request.
        request: RequestId,
        /// From where the peer would dial what it is told.
        audience: Audience,
    },
    /// A peer has told addresses.
    Received {
        /// Who.
        peer: PeerId,
        /// What.
        addrs: Vec<PeerAddr>,
        /// Whether it was asked.
        asked: bool,
        /// How many more it told that were nonsense, outdated or too many.
        dropped: usize,
        /// Whether what is new of it may be passed on with [`Behaviour::relay`](crate::Behaviour::relay).
        may_relay: bool,
    },
    /// A peer is to be sent addresses before it asks: draw a sample for [`Behaviour::push`](crate::Behaviour::push).
    PushWanted {
        /// To whom.
        peer: PeerId,
        /// From where the peer would dial what it is told.
        audience: Audience,
    },
    /// A peer has said whom it is connected to.
    Neighbours {
        /// Who.
        peer: PeerId,
        /// Whom.
        neighbours: Vec<PeerId>,
    },
    /// A dial began that only tries where a connected peer says it listens.
    ProbeStarted {
        /// Where.
        endpoint: Endpoint,
    },
    /// A connected peer was found at an endpoint on a fresh connection.
    Confirmed {
        /// The peer.
        peer: PeerId,
        /// Where.
        endpoint: Endpoint,
    },
    /// A connected peer was not found where it says it listens.
    Unconfirmed {
        /// The peer.
        peer: PeerId,
        /// Where.
        endpoint: Endpoint,
    },
    /// Another peer was found where a connected one says it listens.
    OtherFound {
        /// Where.
        endpoint: Endpoint,
        /// Who was there.
        found: PeerId,
    },
    /// A peer could not be dialled in time, and such peers are not to be kept.
    Unreachable {
        /// The peer.
        peer: PeerId,
    },
    /// This node can be dialled at an endpoint: peers agreed, and one has dialled it.
    OwnAdopted {
        /// Where.
        endpoint: Endpoint,
    },
    /// This node is at an endpoint no longer.
    OwnDropped {
        /// Where.
        endpoint: Endpoint,
    },
    /// A peer that was asked did not answer.
    AskFailed {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: FailReason,
    },
    /// Addresses that were to be told unasked did not arrive.
    AnnounceFailed {
        /// To whom.
        peer: PeerId,
        /// Why.
        reason: FailReason,
    },
    /// An exchange said something about a peer.
    Conduct {
        /// Who.
        peer: PeerId,
        /// What.
        conduct: Conduct,
    },
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FailReason {
    /// The peer did not answer in time.
    TimedOut,
    /// The connection closed.
    Disconnected,
    /// The peer does not speak the protocol of this network.
    Unsupported,
    /// The answer was no acceptable message.
    Unreadable,
    /// The stream broke.
    Stream,
}
