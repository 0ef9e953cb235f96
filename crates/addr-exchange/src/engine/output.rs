use bruit_core::{Audience, Conduct, Endpoint, PeerId};

use crate::PeerAddr;

/// What the exchange wants done. `P` is how its owner calls a connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<P> {
    /// Ask a peer for addresses, and tell later of [`answer_received`](crate::Exchange::answer_received) or
    /// [`ask_failed`](crate::Exchange::ask_failed).
    Ask(P),
    /// Ask a peer for its neighbours, and tell of [`neighbours_received`](crate::Exchange::neighbours_received) if it answers.
    AskNeighbours(P),
    /// Draw a sample for this audience, hand it to [`pushed`](crate::Exchange::pushed), and send what comes back unasked.
    Push {
        /// To whom.
        to: P,
        /// From where it would dial what it is told.
        audience: Audience,
    },
    /// Send addresses unasked.
    Announce {
        /// To whom.
        to: P,
        /// Which.
        addrs: Vec<PeerAddr>,
    },
    /// Dial an endpoint on a fresh connection to see whether the peer is there, close that again, and tell of
    /// [`probe_ended`](crate::Exchange::probe_ended).
    Probe {
        /// Whom to find there.
        peer: P,
        /// Where.
        endpoint: Endpoint,
    },
    /// Ask a peer to dial this node, or tell of [`dial_back_put_off`](crate::Exchange::dial_back_put_off) if it cannot be asked.
    AskDialBack {
        /// Whom.
        to: P,
        /// Where this node may be.
        endpoint: Endpoint,
    },
    /// A connected peer was found at an endpoint on a fresh connection.
    Confirmed {
        /// The peer.
        peer: P,
        /// Where.
        endpoint: Endpoint,
    },
    /// A connected peer was not found where it says it listens.
    Unconfirmed {
        /// The peer.
        peer: P,
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
    Unreachable(P),
    /// This node can be dialled at an endpoint.
    Adopted(Endpoint),
    /// This node is no longer at an endpoint.
    Dropped(Endpoint),
    /// An exchange said something about a peer.
    Conduct(P, Conduct),
}
