use bruit_core::{Audience, Conduct, PeerId};

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
        /// How many more it told that were nonsense or too many.
        dropped: usize,
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
