use std::fmt;

use crate::{ConfigError, ItemId, Topic};

/// What the application says about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is good: relay it.
    Accept,
    /// It is bad, and whoever brought it is to blame: do not relay it. To be said of what every honest node would say it of, whatever
    /// it heard before and in which order; of all else say [`Ignore`](Self::Ignore). Else who sends one part of the network something
    /// else than another part makes honest peers blame each other for passing it on.
    Reject,
    /// Do not relay it; nobody is to blame.
    Ignore,
    /// Not yet: it depends on what is not here. Judge it again within `hold_timeout`; if `missing` names anything,
    /// [`Event::Resumed`](crate::Event::Resumed) tells when all of it came.
    Hold {
        /// What is missing, items or whatever else has ids of 32 bytes. Of more than 64 the first count.
        missing: Vec<ItemId>,
    },
}

/// What the application says of a copy at a glance, before its body is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precheck {
    /// Check it, and take it in.
    Pass,
    /// Do not take it in; nobody is to blame.
    Refuse,
    /// Do not take it in; whoever sent it could have seen that, and is to blame.
    Blame,
}

/// The numbers of an item that has finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Tally {
    /// How many peers have it, as far as is known.
    pub reached: u32,
    /// Copies pushed.
    pub pushes: u32,
    /// Peers that it was announced to.
    pub announced: u32,
    /// Peers that said they had it when it was announced.
    pub already_had: u32,
    /// Copies sent because they were asked for.
    pub answers: u32,
    /// Copies that came after the first.
    pub duplicates: u32,
}

/// Why nothing more is done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Finished {
    /// It was pushed, and that is all that its policy does.
    Pushed,
    /// Enough peers got it from here.
    TargetReached,
    /// Enough peers had it already.
    Saturated,
    /// Enough peers were tried.
    AttemptsSpent,
    /// Nobody is left who may lack it.
    NobodyLeft,
    /// Its time of being served has passed.
    TimeOver,
    /// Newer items needed the room.
    RoomNeeded,
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnouncementReceived {
    /// Its ids are known now, those apart for which there is no room.
    Applied,
    /// Its topic is not carried here.
    NotCarried,
    /// Whoever sent it is connected no more.
    StalePeer,
}

/// What became of the news that something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DependencyArrived {
    /// So many items had waited for nothing else, and can be judged now.
    Resumed(usize),
    /// Nothing had waited for it, or what had lacks more.
    NothingResumed,
}

/// What became of a copy that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Received {
    /// New, and now it awaits its verdict.
    Pending,
    /// New, accepted and relayed.
    Relayed,
    /// New and accepted, but on its last round: held, in case a copy with rounds left comes.
    AtLimit,
    /// Known; nothing follows.
    Duplicate,
    /// Known from a copy on its last round; this one has rounds left, and is relayed.
    RelayedLater,
    /// Not taken in.
    Refused(Refusal),
}

/// Why a copy is not taken in. None of these marks an id as seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Whoever brought it is connected no more.
    StalePeer,
    /// Its round is 0 or above the limit.
    Round,
    /// Its payload is larger than its topic allows.
    TooLarge,
    /// Its topic is not carried here.
    UnknownTopic,
    /// Its topic is for subscribers, and this node is none.
    NotSubscribed,
    /// It has expired.
    Expired,
    /// It expires later than its topic allows, so it could come back after it was forgotten.
    ExpiresTooLate,
    /// Too much awaits a verdict already.
    NoRoom,
    /// Whoever brought it brings more than it may, and did not stop when it was read no more.
    OverRate,
    /// The application rejected it before.
    Rejected,
    /// It is not known, and its body was not checked against its id.
    Unchecked,
    /// The application refused it at a glance.
    Precheck,
    /// Its topic wants authors' signatures, and it has none: who passed it on may be of a version that knows none.
    Unsigned,
    /// The signature beside it is not its author's.
    Signature,
}

/// What became of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// Accepted and relayed.
    Relayed,
    /// Accepted, but all copies came on their last round: held, in case one with rounds left comes.
    AtLimit,
    /// Accepted, but it has expired meanwhile: not relayed.
    Expired,
    /// Rejected; whoever brought it is blamed.
    Rejected,
    /// Ignored.
    Ignored,
    /// Held until it is judged again, or its time is over.
    Held,
    /// Not held, because too many are: ignored.
    NoRoom,
    /// The item awaits no verdict: it is not known, has its verdict, or the deadline has passed. Harmless.
    NotPending,
}

/// What became of a new peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerConnected {
    /// It is there from now on.
    Added,
    /// It was there already.
    AlreadyThere,
    /// Its slot is beyond `peers_max`.
    NoRoom,
}

/// What became of a control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlReceived {
    /// The peer's topics are up to date.
    Applied,
    /// It wants more topics than it may; those beyond the limit are ignored, and it is blamed.
    TooManyTopics,
    /// The peer is connected no more.
    StalePeer,
}

/// What became of an item that came by another way than gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenElsewhere {
    /// It was new: copies that come are duplicates from now on.
    Marked,
    /// It was known.
    AlreadySeen,
}

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// All peers are told.
    Added,
    /// It was there already.
    AlreadyThere,
}

/// What became of the end of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsubscribed {
    /// All peers are told.
    Removed,
    /// There was none.
    WasNotThere,
}

/// A subscription that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// The configuration does not carry this topic.
    #[error("the topic {0} is not carried by this node's configuration")]
    UnknownTopic(Topic),
    /// There are as many subscriptions as there may be.
    #[error("{0} topics are subscribed to, the most that may be")]
    TooMany(usize),
}

/// An item that cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The configuration does not carry this topic.
    #[error("the topic {0} is not carried by this node's configuration")]
    UnknownTopic(Topic),
    /// The payload is too large.
    #[error("the payload has {size} bytes, more than the topic's {size_max}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The topic's limit.
        size_max: usize,
    },
    /// The item has expired, or expires later than its topic allows.
    #[error("the item has expired, or expires later than its topic allows")]
    Expiry,
    /// The item is known already.
    #[error("the item was published or received before")]
    AlreadyKnown,
    /// The topic wants its author's signature.
    #[error("the topic wants its author's signature, which is missing or false")]
    Unsigned,
    /// The policy that it should be published by cannot work.
    #[error(transparent)]
    Policy(#[from] ConfigError),
    /// No connected peer takes items of this topic; nothing was sent, and the item may be published again.
    #[error("no connected peer takes items of this topic")]
    NoPeers,
}

impl Finished {
    /// The reason in a few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pushed => "pushed, and nothing more",
            Self::TargetReached => "enough peers got it from here",
            Self::Saturated => "enough peers had it already",
            Self::AttemptsSpent => "enough peers were tried",
            Self::NobodyLeft => "nobody is left who may lack it",
            Self::TimeOver => "its time of being served has passed",
            Self::RoomNeeded => "newer items needed the room",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StalePeer => "the peer is connected no more",
            Self::Round => "its round is 0 or above the limit",
            Self::TooLarge => "it is larger than its topic allows",
            Self::UnknownTopic => "its topic is not carried",
            Self::NotSubscribed => "its topic is for subscribers",
            Self::Expired => "it has expired",
            Self::ExpiresTooLate => "it expires later than its topic allows",
            Self::NoRoom => "too much awaits a verdict",
            Self::OverRate => "its bringer brings more than it may",
            Self::Rejected => "it was rejected before",
            Self::Unchecked => "its id is not known and was not checked",
            Self::Unsigned => "its author's signature is missing",
            Self::Signature => "the signature is not its author's",
            Self::Precheck => "the application refused it at a glance",
        })
    }
}
