use bruit_core::PeerId;
use bruit_peering::{SeedStage, SlotClass};

/// What the composed behaviour tells the application.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A peer has a slot: it takes part in everything.
    PeerUp {
        /// The peer.
        peer: PeerId,
        /// Which kind of slot.
        class: SlotClass,
    },
    /// A peer takes part no longer.
    PeerDown {
        /// The peer.
        peer: PeerId,
    },
    /// More addresses are wanted from this source: look there and tell by `seeds_found`, or do nothing if there is no such source.
    SeedsWanted {
        /// From where.
        stage: SeedStage,
    },
    /// Something that gossip tells.
    Gossip(bruit_gossip::Event<PeerId>),
    /// Something that rpc tells.
    Rpc(bruit_rpc::Event<PeerId>),
    /// After `stop`: everybody has been told goodbye, and no connection is left.
    Drained,
}
