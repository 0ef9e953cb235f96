use bruit_core::{Conduct, PeerId, Timestamp};
use bytes::Bytes;

use crate::{Finished, ItemId, Refusal, Tally, Topic};

/// What the application is told. The engine names peers by `Slot`, the behaviour by `PeerId`; nothing else differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<P> {
    /// An item of a subscribed topic came, for the first time.
    Item {
        /// Its id.
        id: ItemId,
        /// Who brought it.
        from: P,
        /// What it is about.
        topic: Topic,
        /// Who wrote it, as the publisher claims.
        author: Option<PeerId>,
        /// The application's bytes.
        payload: Bytes,
        /// Which hop the copy came on, as its bringer claims.
        round: u32,
        /// Until when a verdict is awaited; `None` when the topic needs none.
        deadline: Option<Timestamp>,
    },
    /// No verdict came in time: the item is ignored.
    VerdictOverdue {
        /// The item.
        id: ItemId,
    },
    /// An item was not taken in.
    Refused {
        /// Who brought it.
        peer: P,
        /// Its id.
        id: ItemId,
        /// Why.
        refusal: Refusal,
    },
    /// A peer did something that says how good it is.
    Conduct {
        /// The peer.
        peer: P,
        /// What it did.
        conduct: Conduct,
    },
    /// A peer wants a topic.
    PeerSubscribed {
        /// The peer.
        peer: P,
        /// The topic.
        topic: Topic,
    },
    /// A peer wants a topic no longer.
    PeerUnsubscribed {
        /// The peer.
        peer: P,
        /// The topic.
        topic: Topic,
    },
    /// A copy did not leave: the peer reads too slowly, and its outbox is full.
    FrameRefused {
        /// The peer.
        peer: P,
        /// The item.
        id: ItemId,
    },
    /// An announcement did not leave: the peer reads too slowly, and its outbox is full. Others may tell it.
    AnnouncementNotSent {
        /// The peer.
        peer: P,
        /// How many ids it named.
        ids: usize,
    },
    /// A control message did not leave: the peer reads too slowly, and its outbox is full. Subscriptions in it are told again.
    ControlNotSent {
        /// The peer.
        peer: P,
    },
    /// Frames to a peer were lost after they had been taken: expired, or cut off by a closing connection.
    FramesLost {
        /// The peer.
        peer: P,
        /// How many.
        frames: u64,
    },
    /// All that a held item had waited for came: judge it, until the deadline.
    Resumed {
        /// The item.
        id: ItemId,
        /// Until when a verdict is awaited.
        deadline: Timestamp,
    },
    /// What a held item depends on did not come in time: the item is ignored.
    DependencyWithheld {
        /// Who brought the item.
        peer: P,
        /// The item.
        id: ItemId,
        /// What was missing to the end.
        missing: Vec<ItemId>,
    },
    /// Announced ids were not remembered: too much awaits a verdict, or the peer has announced too much.
    AnnouncementRefused {
        /// Who announced them.
        peer: P,
        /// How many.
        ids: usize,
    },
    /// Nothing more is done with an item by itself. Told if [`Config::finished_events`](crate::Config) says so.
    Finished {
        /// The item.
        id: ItemId,
        /// Its numbers.
        tally: Tally,
        /// Why.
        why: Finished,
    },
    /// An item was forgotten before its verdict came, because ids of newer items needed the room.
    Forgotten {
        /// The item.
        id: ItemId,
    },
}

impl<P> Event<P> {
    /// Names the peer otherwise; `None` if the new name is not known.
    pub fn map_peer<Q>(self, name: impl FnOnce(P) -> Option<Q>) -> Option<Event<Q>> {
        Some(match self {
            Self::Item { id, from, topic, author, payload, round, deadline } => {
                Event::Item { id, from: name(from)?, topic, author, payload, round, deadline }
            }
            Self::VerdictOverdue { id } => Event::VerdictOverdue { id },
            Self::Refused { peer, id, refusal } => Event::Refused { peer: name(peer)?, id, refusal },
            Self::Conduct { peer, conduct } => Event::Conduct { peer: name(peer)?, conduct },
            Self::PeerSubscribed { peer, topic } => Event::PeerSubscribed { peer: name(peer)?, topic },
            Self::PeerUnsubscribed { peer, topic } => Event::PeerUnsubscribed { peer: name(peer)?, topic },
            Self::FrameRefused { peer, id } => Event::FrameRefused { peer: name(peer)?, id },
            Self::AnnouncementNotSent { peer, ids } => Event::AnnouncementNotSent { peer: name(peer)?, ids },
            Self::ControlNotSent { peer } => Event::ControlNotSent { peer: name(peer)? },
            Self::FramesLost { peer, frames } => Event::FramesLost { peer: name(peer)?, frames },
            Self::Resumed { id, deadline } => Event::Resumed { id, deadline },
            Self::DependencyWithheld { peer, id, missing } => {
                Event::DependencyWithheld { peer: name(peer)?, id, missing }
            }
            Self::AnnouncementRefused { peer, ids } => Event::AnnouncementRefused { peer: name(peer)?, ids },
            Self::Finished { id, tally, why } => Event::Finished { id, tally, why },
            Self::Forgotten { id } => Event::Forgotten { id },
        })
    }
}
