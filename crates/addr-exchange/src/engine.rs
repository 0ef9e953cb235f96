use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Audience, ChaCha8Rng, Seed, Timestamp, TokenBucket};
use rand::RngExt;

use crate::{Admission, AnswersPerConnection, Config, PeerAddr, ValidConfig};

mod cache;

use cache::Cache;

/// Who asks, who is answered, and how much is taken. `P` is how its owner calls a connected peer.
///
/// Facts are told in the past tense; `now` comes last and never runs backwards. After each call the owner asks
/// [`Exchange::poll_ask`] until it is `None`, and calls it again at [`Exchange::next_timeout`].
#[derive(Clone, Debug)]
pub struct Exchange<P> {
    config: ValidConfig,
    rng: ChaCha8Rng,
    peers: BTreeMap<P, Peer>,
    cache: Cache,
    is_more_wanted: bool,
}

/// How a peer is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether this node dialled.
    pub is_dialled: bool,
    /// From where the peer would dial what it is told.
    pub audience: Audience,
}

/// What came of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connected {
    /// The peer is known now.
    Added,
    /// It was connected already.
    Known,
    /// There are as many peers as there may be: it is not answered.
    Full,
}

/// What to do with a peer that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Answer with this.
    Cached(Vec<PeerAddr>),
    /// Draw a sample for this audience and hand it to [`Exchange::sampled`].
    Needed(Audience),
    /// Answer with nothing.
    Refused(AskRefusal),
}

/// Why a peer gets an empty answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskRefusal {
    /// It is not connected, or there are too many peers.
    Unknown,
    /// This node dialled it.
    Dialled,
    /// Its last request is not answered yet.
    Pending,
    /// It was answered, and it is too early for another answer.
    Answered,
}

/// Addresses that were taken, and how many were not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What is to be believed as far as claims are.
    pub addrs: Vec<PeerAddr>,
    /// How many were too many.
    pub dropped: usize,
}

#[derive(Clone, Debug)]
struct Peer {
    link: Link,
    is_admitted: bool,
    pending: Option<Pending>,
    answered: Option<Answered>,
    unasked: TokenBucket,
    asking: Asking,
    small_pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    count_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Answered {
    at: Timestamp,
    is_small: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    Never,
    First(Timestamp),
    Again(Timestamp),
    InFlight,
}

impl<P: Copy + Ord> Exchange<P> {
    /// Makes an exchange without peers.
    pub fn new(config: ValidConfig, seed: Seed) -> Self {
        let rng = seed.derive("address exchange", 0).rng();
        Self { config, rng, peers: BTreeMap::new(), cache: Cache::default(), is_more_wanted: true }
    }

    /// Tells that a peer is connected.
    pub fn peer_connected(&mut self, peer: P, link: Link, now: Timestamp) -> Connected {
        let settings = self.config.settings();
        if self.peers.contains_key(&peer) {
            return Connected::Known;
        }
        if self.peers.len() >= settings.peers_max {
            return Connected::Full;
        }
        let unasked =
            TokenBucket::new(settings.unasked_per_second, settings.unasked_burst, settings.unasked_start, now);
        let state = Peer {
            link,
            is_admitted: false,
            pending: None,
            answered: None,
            unasked,
            asking: Asking::Never,
            small_pause: Duration::from_secs(settings.ask_small_secs),
        };
        let is_automatic = settings.admission == Admission::Automatic;
        self.peers.insert(peer, state);
        if is_automatic {
            self.peer_admitted(peer, now);
        }
        Connected::Added
    }

    /// Tells that a peer is connected no longer.
    pub fn peer_disconnected(&mut self, peer: P) {
        self.peers.remove(&peer);
    }

    /// Tells that a peer is served from now on: one that this node dialled is asked.
    pub fn peer_admitted(&mut self, peer: P, now: Timestamp) {
        let asks = self.config.settings().ask_dialled;
        let Some(state) = self.peers.get_mut(&peer).filter(|state| !state.is_admitted) else { return };
        state.is_admitted = true;
        if asks && state.link.is_dialled && state.asking == Asking::Never {
            state.asking = Asking::First(now);
        }
    }

    /// Tells that a peer is served no longer.
    pub fn peer_dismissed(&mut self, peer: P) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.is_admitted = false;
        if state.asking != Asking::InFlight {
            state.asking = Asking::Never;
        }
    }

    /// Tells whether more addresses are wanted; while not, nobody is asked a second time.
    pub fn more_wanted(&mut self, is_more_wanted: bool) {
        self.is_more_wanted = is_more_wanted;
    }

    /// Tells how many entries the owner's address book has: a cached answer is dropped when the book has doubled.
    pub fn book_counted(&mut self, entries: usize) {
        self.cache.book_counted(entries);
    }

    /// Tells that a peer asks for at most `count_max` addresses; 0 stands for no limit of its own.
    ///
    /// # Security
    /// One answer per connection that stays the same for a day: who asks often, or over many connections, learns no more.
    pub fn asked(&mut self, peer: P, count_max: u32, now: Timestamp) -> Asked {
        let settings = self.config.settings();
        let Some(state) = self.peers.get_mut(&peer) else { return Asked::Refused(AskRefusal::Unknown) };
        if let Some(refusal) = state.refusal(&self.config, now) {
            return Asked::Refused(refusal);
        }
        let asked_for = if count_max == 0 { usize::MAX } else { usize::try_from(count_max).unwrap_or(usize::MAX) };
        let count_max = asked_for.min(settings.addrs_per_answer_max);
        match self.cache.find(state.link.audience, now) {
            Some(_) if state.gets_small_answers_only(settings) => Asked::Refused(AskRefusal::Dialled),
            Some(cached) => {
                state.answered = Some(Answered { at: now, is_small: false });
                Asked::Cached(cached.iter().take(count_max).cloned().collect())
            }
            None => {
                state.pending = Some(Pending { count_max });
                Asked::Needed(state.link.audience)
            }
        }
    }

    /// Hands over the sample that a peer's request needed, and returns its answer: empty if it needed none.
    pub fn sampled(&mut self, peer: P, mut sample: Vec<PeerAddr>, now: Timestamp) -> Vec<PeerAddr> {
        let settings = self.config.settings();
        let Some(state) = self.peers.get_mut(&peer) else { return Vec::new() };
        let Some(pending) = state.pending.take() else { return Vec::new() };
        sample.truncate(settings.addrs_per_answer_max);
        let is_small = sample.len() < settings.small_answer;
        state.answered = Some(Answered { at: now, is_small });
        if !is_small && state.gets_small_answers_only(settings) {
            return Vec::new();
        }
        if !is_small {
            let lifetime = around(Duration::from_secs(settings.cache_secs), 4, &mut self.rng);
            self.cache.put(state.link.audience, sample.clone(), now.after(lifetime));
        }
        sample.truncate(pending.count_max);
        sample
    }

    /// Tells that a peer waits no longer for the answer to its request: it may ask again.
    pub fn request_ended(&mut self, peer: P) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.pending = None;
        }
    }

    /// Commands that a peer be asked as soon as possible; false if it is not connected.
    pub fn ask(&mut self, peer: P, now: Timestamp) -> bool {
        let Some(state) = self.peers.get_mut(&peer) else { return false };
        if state.asking != Asking::InFlight {
            state.asking = Asking::First(now);
        }
        true
    }

    /// A peer to ask now. The owner asks it, and later tells of [`Exchange::answer_received`] or [`Exchange::ask_failed`].
    pub fn poll_ask(&mut self, now: Timestamp) -> Option<P> {
        let is_more_wanted = self.is_more_wanted;
        let due = |state: &Peer| state.asks_at(is_more_wanted).is_some_and(|at| at <= now);
        let (peer, state) = self.peers.iter_mut().find(|(_, state)| due(state))?;
        state.asking = Asking::InFlight;
        Some(*peer)
    }

    /// When [`Exchange::poll_ask`] will have something again.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        self.peers.values().filter_map(|state| state.asks_at(self.is_more_wanted)).min()
    }

    /// Tells that a peer has answered, and returns what of it is taken.
    pub fn answer_received(&mut self, peer: P, mut addrs: Vec<PeerAddr>, now: Timestamp) -> Taken {
        let settings = self.config.settings();
        let is_small = addrs.len() < settings.small_answer;
        self.ask_later(peer, is_small, now);
        let dropped = addrs.len().saturating_sub(self.config.settings().addrs_taken_max);
        addrs.truncate(self.config.settings().addrs_taken_max);
        Taken { addrs, dropped }
    }

    /// Tells that a request to a peer has failed.
    pub fn ask_failed(&mut self, peer: P, now: Timestamp) {
        self.ask_later(peer, true, now);
    }

    /// Tells that a peer has brought addresses unasked, and returns what of it is taken.
    ///
    /// # Security
    /// One in ten seconds on average: a flood costs its sender and changes nothing.
    pub fn unasked_received(&mut self, peer: P, mut addrs: Vec<PeerAddr>, now: Timestamp) -> Taken {
        let state = self.peers.get_mut(&peer).filter(|state| state.is_admitted);
        let count = addrs.len();
        let taken = state.map_or(0, |state| state.unasked.take_up_to(count as u64, now));
        addrs.truncate(usize::try_from(taken).unwrap_or(count));
        Taken { dropped: count.saturating_sub(addrs.len()), addrs }
    }

    fn ask_later(&mut self, peer: P, is_small: bool, now: Timestamp) {
        let settings = self.config.settings();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let pause = if is_small {
            let pause = state.small_pause;
            state.small_pause = pause.saturating_mul(2).min(Duration::from_secs(settings.ask_small_secs_max));
            Some(pause)
        } else {
            settings.ask_again_secs.map(Duration::from_secs)
        };
        state.asking = match pause {
            Some(pause) if state.is_admitted && state.link.is_dialled && settings.ask_dialled => {
                Asking::Again(now.after(around(pause, 5, &mut self.rng)))
            }
            _ => Asking::Never,
        };
    }
}

impl Peer {
    fn refusal(&self, config: &ValidConfig, now: Timestamp) -> Option<AskRefusal> {
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
    const fn gets_small_answers_only(&self, settings: &Config) -> bool {
        self.link.is_dialled && !settings.answer_dialled
    }

    const fn asks_at(&self, is_more_wanted: bool) -> Option<Timestamp> {
        match self.asking {
            Asking::First(at) => Some(at),
            Asking::Again(at) if is_more_wanted => Some(at),
            Asking::Again(_) | Asking::Never | Asking::InFlight => None,
        }
    }
}

/// A span, up to a `part`th of it more or less.
fn around(span: Duration, part: u32, rng: &mut ChaCha8Rng) -> Duration {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let width = micros / u64::from(part.max(1));
    let least = micros - width;
    Duration::from_micros(rng.random_range(least..=least.saturating_add(width.saturating_mul(2))))
}

#[cfg(test)]
mod tests;
