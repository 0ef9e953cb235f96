//! What the exchange keeps of a connected peer.

use std::{collections::BTreeSet, time::Duration};

use bruit_core::{Audience, Endpoint, NetGroup, PeerId, Timestamp, TokenBucket};

use super::AskRefusal;
use crate::{AnswersPerConnection, AskWhom, Config, NeighboursFor, ValidConfig};

/// How a peer is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether this node dialled.
    pub is_dialled: bool,
    /// Where it was dialled, or from where it came.
    pub seen_at: Endpoint,
}

impl Link {
    /// From where the peer would dial what it is told.
    pub fn audience(&self) -> Audience {
        Audience::of(&self.seen_at)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Peer<P> {
    pub(super) link: Link,
    /// Decides, with what is passed on and the day, whether it is passed on to this peer.
    pub(super) token: u64,
    pub(super) is_admitted: bool,
    /// Never named to others.
    pub(super) is_hidden: bool,
    pub(super) identity: Option<PeerId>,
    pub(super) claimed: Vec<Endpoint>,
    pub(super) pending: Option<Pending>,
    pub(super) answered: Option<Answered>,
    pub(super) unasked: TokenBucket,
    /// Until when one message may bring more than the bucket holds.
    pub(super) push_until: Option<Timestamp>,
    pub(super) asking: Asking,
    pub(super) asked_at: Option<Timestamp>,
    pub(super) small_pause: Duration,
    pub(super) best_answer: usize,
    pub(super) own_at: Option<Timestamp>,
    pub(super) proof: Proof,
    pub(super) dialled_back: Option<Timestamp>,
    pub(super) neighbours: BTreeSet<P>,
    pub(super) neighbours_at: Option<Timestamp>,
    pub(super) neighbours_told: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) count_max: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) at: Timestamp,
    pub(super) is_small: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    Never,
    First(Timestamp),
    /// If more is wanted then, or anyway.
    Again {
        if_wanted: Timestamp,
        anyway: Option<Timestamp>,
    },
    InFlight,
}

/// Whether a peer must be found where it says it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It was found, or may stay without.
    NotWanted,
    /// It waits to be dialled: what others make it wait for does not count against it.
    Awaited,
    /// By then it must be found.
    Due(Timestamp),
}

impl Proof {
    pub(super) const fn due_at(self) -> Option<Timestamp> {
        match self {
            Self::NotWanted | Self::Awaited => None,
            Self::Due(at) => Some(at),
        }
    }

    /// It was looked for and not found.
    pub(super) const fn fail(&mut self, now: Timestamp) {
        match self {
            Self::NotWanted => {}
            Self::Awaited | Self::Due(_) => *self = Self::Due(now),
        }
    }
}

/// For how long after connecting a peer may push. 60 s: a guess.
const PUSH_TIME: Duration = Duration::from_secs(60);

impl<P: Copy + Ord> Peer<P> {
    pub(super) fn new(link: Link, token: u64, settings: &Config, now: Timestamp) -> Self {
        let unasked =
            TokenBucket::new(settings.unasked_per_second, settings.unasked_burst, settings.unasked_start, now);
        let may_push = link.is_dialled && settings.push_taken_max > 0;
        Self {
            link,
            token,
            is_admitted: false,
            is_hidden: false,
            identity: None,
            claimed: Vec::new(),
            pending: None,
            answered: None,
            unasked,
            push_until: may_push.then(|| now.after(PUSH_TIME)),
            asking: Asking::Never,
            asked_at: None,
            small_pause: Duration::from_secs(settings.ask_small_secs),
            best_answer: 0,
            own_at: None,
            proof: Proof::NotWanted,
            dialled_back: None,
            neighbours: BTreeSet::new(),
            neighbours_at: None,
            neighbours_told: None,
        }
    }

    /// Whether the peer can tell if this node is at an endpoint: it dials none but the host that it sees this node at, so none of
    /// another family than its connection's.
    pub(super) fn may_dial_back(&self, endpoint: &Endpoint) -> bool {
        match (self.link.seen_at.ip(), endpoint.ip()) {
            (Some(seen_at), Some(ip)) => seen_at.is_ipv4() == ip.is_ipv4(),
            (None, _) | (_, None) => true,
        }
    }

    /// The part of the internet that the peer counts for as a witness; all that were dialled by names count for one. A loopback
    /// connection shows one address whatever the other node listens on, so that such a peer counts for what it claims.
    pub(super) fn group(&self) -> NetGroup {
        let seen_at = &self.link.seen_at;
        let is_loopback = |endpoint: &Endpoint| endpoint.ip().is_some_and(|ip| ip.is_loopback());
        if is_loopback(seen_at)
            && let Some(claimed) = self.claimed.iter().find(|endpoint| is_loopback(endpoint))
        {
            return claimed.group();
        }
        seen_at.group().names_as_one()
    }

    pub(super) const fn is_asked(&self, settings: &Config) -> bool {
        match settings.ask {
            AskWhom::Nobody => false,
            AskWhom::Dialled => self.link.is_dialled,
            AskWhom::Everybody => true,
        }
    }

    pub(super) const fn may_know_neighbours(&self, settings: &Config) -> bool {
        match settings.neighbours_for {
            NeighboursFor::Nobody => false,
            NeighboursFor::Dialled => self.is_admitted && self.link.is_dialled,
            NeighboursFor::Everybody => self.is_admitted,
        }
    }

    pub(super) fn refusal(&self, config: &ValidConfig, now: Timestamp) -> Option<AskRefusal> {
        let settings = config.settings();
        if self.pending.is_some() {
            return Some(AskRefusal::Pending);
        }
        let answered = self.answered?;
        let since = now.since(answered.at);
        let may_again = match settings.answers_per_connection {
            _ if !self.is_admitted => false,
            _ if answered.is_small => since >= Duration::from_secs(settings.small_answer_pause_secs),
            AnswersPerConnection::Once => false,
            AnswersPerConnection::EverySecs(secs) => since >= Duration::from_secs(secs),
        };
        (!may_again).then_some(AskRefusal::Answered)
    }

    /// Whom this node dialled learns nothing about a large network by asking; in a small one, somebody whom all others dialled
    /// could ask nobody else.
    pub(super) const fn gets_small_answers_only(&self, settings: &Config) -> bool {
        self.link.is_dialled && !settings.answer_dialled
    }

    pub(super) const fn asks_at(&self, is_more_wanted: bool) -> Option<Timestamp> {
        match self.asking {
            Asking::First(at) => Some(at),
            Asking::Again { if_wanted, .. } if is_more_wanted => Some(if_wanted),
            Asking::Again { anyway, .. } => anyway,
            Asking::Never | Asking::InFlight => None,
        }
    }

    /// Of the places where the peer says it listens the one that may be tried: on the host that it is seen at, so that nobody
    /// can make a node dial somebody else.
    pub(super) fn to_confirm(&self, config: &ValidConfig) -> Option<Endpoint> {
        let mut claimed = self.claimed.iter();
        claimed.find(|endpoint| config.may_try(endpoint) && is_same_host(endpoint, &self.link.seen_at)).cloned()
    }
}

pub(super) fn is_same_host(one: &Endpoint, other: &Endpoint) -> bool {
    match (one, other) {
        (Endpoint::Ip { ip: one, .. }, Endpoint::Ip { ip: other, .. }) => {
            one == other || one.is_loopback() && other.is_loopback()
        }
        // Addresses inside of this process have no host.
        (Endpoint::Other(_), Endpoint::Other(_)) => true,
        (Endpoint::Ip { .. } | Endpoint::Dns { .. } | Endpoint::Relayed { .. } | Endpoint::Other(_), _) => false,
    }
}
