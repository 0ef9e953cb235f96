use bruit_core::Timestamp;

use crate::{Finished, HopKind, Policy, Refusal, Reported, Tally};

/// What a node knows of an item: who brought it first, to whom it went and why, and how it stands.
///
/// The engine names peers by `Slot`, the behaviour by `PeerId`. Only the newest steps of all items together are kept, see
/// [`Config::explain_steps_max`](crate::Config), so the oldest may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<P> {
    /// How it stands.
    pub standing: Standing,
    /// The policy it spreads by, while it is held.
    pub policy: Option<Policy>,
    /// Its numbers so far, while it is held.
    pub tally: Option<Tally>,
    /// What happened to it, the oldest first.
    pub steps: Vec<(Timestamp, Step<P>)>,
}

/// How an item stands with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not known, or not any more.
    Unknown,
    /// It was announced, and is looked for.
    LookedFor,
    /// It awaits its verdict.
    Pending,
    /// It waits for what it depends on.
    Withheld,
    /// It was accepted, and waits for a copy with rounds left.
    AtLimit,
    /// Its policy has more to do, or peers may ask for it.
    Spreading,
    /// Nothing more happens.
    Done,
    /// The application rejected it.
    Rejected,
}

/// Something that happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<P> {
    /// It was published here.
    Published,
    /// A peer brought the first copy.
    Brought {
        /// Who.
        from: P,
        /// Which hop the copy came on, as its bringer claims.
        round: u32,
        /// Why it was sent, as its bringer claims.
        kind: HopKind,
    },
    /// A copy was not taken in.
    Refused {
        /// Who brought it.
        from: P,
        /// Why.
        refusal: Refusal,
    },
    /// A peer that had announced it was asked for it.
    Asked {
        /// Who.
        from: P,
    },
    /// The application judged it.
    Judged(Reported),
    /// A copy was pushed.
    Pushed {
        /// To whom.
        to: P,
        /// Which hop the copy is on.
        round: u32,
        /// Why to this peer.
        why: Why,
    },
    /// It was announced to peers, or is about to be.
    Announced {
        /// To how many.
        peers: u32,
    },
    /// A peer asked for it, and got it.
    Answered {
        /// Who.
        to: P,
    },
    /// A copy did not leave: the outbox was full.
    NotSent {
        /// To whom.
        to: P,
    },
    /// Nothing more is done with it by itself.
    Finished(Finished),
}

/// Why an item was pushed to a peer and not to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was drawn among those that may lack it.
    Drawn,
    /// The operator named it, so it gets what some get.
    Special,
    /// Everybody gets it who may lack it.
    Everybody,
    /// Its delay, drawn for this peer alone, was over.
    Delayed,
    /// Nobody who has it is known to reach this peer, or this node was designated to.
    Uncovered,
    /// It is next to this node on the tree that the item follows; without a tree some are drawn.
    Tree,
    /// It is where this node's private items begin.
    Private,
}

impl Why {
    pub(crate) const fn of(policy: &Policy) -> Self {
        match policy {
            Policy::Fanout { .. } | Policy::One { .. } | Policy::SqrtAnnounce(_) | Policy::Infection(_) => Self::Drawn,
            Policy::All { .. } | Policy::Flood { .. } => Self::Everybody,
            Policy::NeighbourCast(_) => Self::Uncovered,
            Policy::Diffusion { .. } => Self::Delayed,
            Policy::Proxy(_) | Policy::Dandelion(_) => Self::Private,
            Policy::Tree(_) => Self::Tree,
        }
    }

    /// The reason in a few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Drawn => "drawn",
            Self::Special => "named by the operator",
            Self::Everybody => "everybody gets it",
            Self::Delayed => "its delay was over",
            Self::Uncovered => "nobody else reaches it",
            Self::Tree => "next on the tree",
            Self::Private => "private beginning",
        }
    }
}

impl Standing {
    /// The name in text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::LookedFor => "looked_for",
            Self::Pending => "pending",
            Self::Withheld => "withheld",
            Self::AtLimit => "at_limit",
            Self::Spreading => "spreading",
            Self::Done => "done",
            Self::Rejected => "rejected",
        }
    }
}

impl<P> Explanation<P> {
    /// Names the peers otherwise.
    pub fn map_peers<Q>(self, mut name: impl FnMut(P) -> Q) -> Explanation<Q> {
        let Self { standing, policy, tally, steps } = self;
        let steps = steps.into_iter().map(|(at, step)| (at, step.map_peer(&mut name))).collect();
        Explanation { standing, policy, tally, steps }
    }

    /// Who brought the first copy.
    pub fn brought_by(&self) -> Option<&P> {
        self.steps.iter().find_map(|(_, step)| match step {
            Step::Brought { from, .. } => Some(from),
            Step::Published
            | Step::Refused { .. }
            | Step::Asked { .. }
            | Step::Judged(_)
            | Step::Pushed { .. }
            | Step::Announced { .. }
            | Step::Answered { .. }
            | Step::NotSent { .. }
            | Step::Finished(_) => None,
        })
    }
}

impl<P> Step<P> {
    fn map_peer<Q>(self, name: impl FnOnce(P) -> Q) -> Step<Q> {
        match self {
            Self::Published => Step::Published,
            Self::Brought { from, round, kind } => Step::Brought { from: name(from), round, kind },
            Self::Refused { from, refusal } => Step::Refused { from: name(from), refusal },
            Self::Asked { from } => Step::Asked { from: name(from) },
            Self::Judged(reported) => Step::Judged(reported),
            Self::Pushed { to, round, why } => Step::Pushed { to: name(to), round, why },
            Self::Announced { peers } => Step::Announced { peers },
            Self::Answered { to } => Step::Answered { to: name(to) },
            Self::NotSent { to } => Step::NotSent { to: name(to) },
            Self::Finished(why) => Step::Finished(why),
        }
    }
}
