use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bruit_core::{Audience, ChaCha8Rng, Conduct, PeerId, Seed, Timestamp};
use bytes::Bytes;
use libp2p_identity::Keypair;
use rand::{Rng, RngExt};

use crate::{Admission, PeerAddr, SignedRecord, ValidConfig};

mod announcing;
mod asking;
mod cache;
mod locating;
mod neighbours;
mod output;
mod own;
mod peer;
mod probes;
mod records;
mod relayed;

pub use asking::Ask;
pub use cache::BookSize;
use cache::Cache;
pub use locating::{DialBack, PeerHello};
pub use output::Output;
use own::Own;
pub use own::OwnView;
pub use peer::Link;
use peer::{Answered, Asking, Peer, Pending, Proof};
use probes::Probes;
use records::{Checked, Records};
use relayed::Relayed;

/// Who asks, who is answered, what is passed on, and how much is taken. `P` is how its owner calls a connected peer.
///
/// Facts are told in the past tense; `now` comes last and never runs backwards. After each call the owner asks
/// [`Exchange::poll_output`] until it is `None`, and calls it again at [`Exchange::next_timeout`].
#[derive(Clone, Debug)]
pub struct Exchange<P> {
    config: ValidConfig,
    seed: Seed,
    rng: ChaCha8Rng,
    peers: BTreeMap<P, Peer<P>>,
    cache: Cache,
    is_more_wanted: bool,
    records: Records,
    relayed: Relayed,
    own: Own<P>,
    probes: Probes<P>,
    identity: Option<PeerId>,
    key: Option<Keypair>,
    own_records: BTreeMap<Audience, SignedRecord>,
    outputs: VecDeque<Output<P>>,
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
    /// How many were too many, or carried a record that has expired or is not the newest.
    pub dropped: usize,
    /// Whether what was unknown may be handed to [`Exchange::relay`]: it came unasked, in a short message.
    pub may_relay: bool,
}

impl<P: Copy + Ord> Exchange<P> {
    /// Makes an exchange without peers.
    pub fn new(config: ValidConfig, seed: Seed) -> Self {
        let seed = seed.derive("address exchange", 0);
        Self {
            rng: seed.rng(),
            seed,
            peers: BTreeMap::new(),
            cache: Cache::default(),
            is_more_wanted: true,
            records: Records::default(),
            relayed: Relayed::default(),
            own: Own::new(),
            probes: Probes::new(config.settings()),
            identity: None,
            key: None,
            own_records: BTreeMap::new(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Tells who this node is.
    pub fn own_peer(&mut self, peer: PeerId) {
        self.identity = Some(peer);
    }

    /// Gives the key with which own addresses are signed from now on. Without it they are told as hearsay.
    pub fn sign_as(&mut self, key: Keypair) {
        self.identity = Some(key.public().to_peer_id());
        self.key = Some(key);
        self.own_records.clear();
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
        self.peers.insert(peer, Peer::new(link, self.rng.next_u64(), settings, now));
        if settings.admission == Admission::Automatic {
            self.peer_admitted(peer, now);
        }
        Connected::Added
    }

    /// Tells that a peer is connected no longer.
    pub fn peer_disconnected(&mut self, peer: P, now: Timestamp) {
        if self.peers.remove(&peer).is_none() {
            return;
        }
        self.probes.forget(peer);
        self.own.forget(&peer);
        self.review_own(now);
    }

    /// Tells that a peer is served from now on: it is asked, told where this node is, and tried where it listens.
    pub fn peer_admitted(&mut self, peer: P, now: Timestamp) {
        let settings = self.config.settings().clone();
        let Some(state) = self.peers.get_mut(&peer).filter(|state| !state.is_admitted) else { return };
        state.is_admitted = true;
        if state.is_asked(&settings) && state.asking == Asking::Never {
            let first = Duration::from_secs(settings.ask_first_secs);
            state.asking = Asking::First(now.after(around(first, 5, &mut self.rng)));
        }
        state.own_at = Some(now);
        if let Some(secs) = settings.neighbours_secs {
            state.neighbours_at = Some(now.after(around(Duration::from_secs(secs), 1, &mut self.rng) / 2));
        }
        if settings.push_peers_on_connect && !state.link.is_dialled {
            let audience = state.link.audience();
            self.outputs.push_back(Output::Push { to: peer, audience });
        }
        self.confirm(peer, now);
        self.review_own(now);
    }

    /// Tells that a peer is served no longer.
    pub fn peer_dismissed(&mut self, peer: P) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.is_admitted = false;
        (state.own_at, state.neighbours_at, state.proof) = (None, None, Proof::NotWanted);
        state.neighbours.clear();
        if state.asking != Asking::InFlight {
            state.asking = Asking::Never;
        }
        self.probes.forget(peer);
    }

    /// Tells that a peer is never to be named to others.
    pub fn peer_hidden(&mut self, peer: P) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.is_hidden = true;
            state.proof = Proof::NotWanted;
        }
    }

    /// Forgets the answers that are kept: they may name somebody who is to be named no longer.
    pub fn forget_answers(&mut self) {
        self.cache.clear();
    }

    /// Tells how much the owner's address book holds: a cached answer is dropped when the book, or what of it was reached, has
    /// doubled. A node that others begin with fills its book with those who come, and can tell of them when it has reached them.
    pub fn book_counted(&mut self, book: BookSize) {
        self.cache.book_counted(book);
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
        let audience = state.link.audience();
        match self.cache.find(audience, now) {
            Some(_) if state.gets_small_answers_only(settings) => Asked::Refused(AskRefusal::Dialled),
            Some(cached) => {
                state.answered = Some(Answered { at: now, is_small: false });
                let answer = cached.iter().take(count_max).cloned().collect();
                Asked::Cached(self.with_records(answer, audience, now))
            }
            None => {
                state.pending = Some(Pending { count_max });
                Asked::Needed(audience)
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
        let audience = state.link.audience();
        if !is_small {
            let lifetime = around(Duration::from_secs(settings.cache_secs), 4, &mut self.rng);
            self.cache.put(audience, sample.clone(), now.after(lifetime));
        }
        sample.truncate(pending.count_max);
        self.with_records(sample, audience, now)
    }

    /// Tells that a peer waits no longer for the answer to its request: it may ask again.
    pub fn request_ended(&mut self, peer: P) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.pending = None;
        }
    }

    /// Tells that a peer has answered, and returns what of it is taken.
    ///
    /// # Security
    /// A record in it that is not signed by its peer proves that the sender did not check it: that entry is dropped, and the
    /// sender loses quality.
    pub fn answer_received(&mut self, peer: P, mut addrs: Vec<PeerAddr>, now: Timestamp) -> Taken {
        self.asked_with(peer, addrs.len(), now);
        let dropped = addrs.len().saturating_sub(self.config.settings().addrs_taken_max);
        addrs.truncate(self.config.settings().addrs_taken_max);
        self.check_records(peer, Taken { addrs, dropped, may_relay: false }, now)
    }

    /// Tells that a peer has brought addresses unasked, and returns what of it is taken.
    ///
    /// # Security
    /// One in ten seconds on average: a flood costs its sender and changes nothing.
    pub fn unasked_received(&mut self, peer: P, mut addrs: Vec<PeerAddr>, now: Timestamp) -> Taken {
        let settings = self.config.settings();
        let count = addrs.len();
        let may_relay = count <= settings.addrs_per_announcement_max;
        let Some(state) = self.peers.get_mut(&peer).filter(|state| state.is_admitted) else {
            return Taken { addrs: Vec::new(), dropped: count, may_relay: false };
        };
        let pushed = state.push_until.take_if(|_| !may_relay).filter(|until| now <= *until);
        let taken = match pushed {
            Some(_) => count.min(settings.push_taken_max),
            None => usize::try_from(state.unasked.take_up_to(count as u64, now)).unwrap_or(count),
        };
        addrs.truncate(taken);
        let dropped = count.saturating_sub(addrs.len());
        self.check_records(peer, Taken { addrs, dropped, may_relay }, now)
    }

    /// The newest signed record of a peer, unless it has expired.
    pub fn record_of(&self, peer: &PeerId, now: Timestamp) -> Option<&SignedRecord> {
        self.records.find(peer, now)
    }

    /// How many signed records are kept.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// What a message brings is worth what its records say: the newest one of each peer replaces its addresses.
    fn check_records(&mut self, peer: P, taken: Taken, now: Timestamp) -> Taken {
        let settings = self.config.settings();
        let Taken { addrs, mut dropped, may_relay } = taken;
        let mut kept = Vec::with_capacity(addrs.len());
        let (mut checks, mut is_forged) = (0, false);
        for mut addr in addrs {
            let Some(bytes) = addr.record.take() else {
                kept.push(addr);
                continue;
            };
            if !self.records.is_known(addr.peer.as_ref(), &bytes) {
                if checks >= settings.records_checked_max {
                    kept.push(addr);
                    continue;
                }
                checks = checks.saturating_add(1);
            }
            match self.records.check(addr.peer.as_ref(), &bytes, settings, now) {
                Checked::Newest(record) => {
                    addr.peer = Some(record.peer());
                    addr.endpoints = record.endpoints().to_vec();
                    kept.push(addr);
                }
                Checked::Outdated | Checked::Expired => dropped = dropped.saturating_add(1),
                Checked::Forged => {
                    dropped = dropped.saturating_add(1);
                    is_forged = true;
                }
            }
        }
        if is_forged {
            self.outputs.push_back(Output::Conduct(peer, Conduct::BrokeProtocol));
        }
        Taken { addrs: kept, dropped, may_relay }
    }

    /// Adds the signed records of those who gave one: none that has expired, and none that names what the audience could not use.
    fn with_records(&self, mut addrs: Vec<PeerAddr>, audience: Audience, now: Timestamp) -> Vec<PeerAddr> {
        let policy = self.config.policy();
        for addr in &mut addrs {
            let known = addr.peer.and_then(|peer| self.records.find(&peer, now));
            let usable = known.filter(|record| {
                let mut endpoints = record.endpoints().iter();
                endpoints.all(|endpoint| audience.can_use(endpoint) && policy.check(endpoint).is_ok())
            });
            addr.record = usable.map(|record| Bytes::clone(record.bytes()));
        }
        addrs
    }

    /// The next thing to do. Empty until [`next_timeout`](Self::next_timeout) or the next call once it is `None`.
    pub fn poll_output(&mut self, now: Timestamp) -> Option<Output<P>> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        self.ask_due(now).or_else(|| self.neighbours_due(now)).or_else(|| self.own_due(now)).or_else(|| {
            self.locating_due(now);
            self.outputs.pop_front()
        })
    }

    /// When [`Exchange::poll_output`] will have something again; `now` is the present.
    pub fn next_timeout(&self, now: Timestamp) -> Option<Timestamp> {
        let of_peer = |state: &Peer<P>| {
            let asks_at = state.asks_at(self.is_more_wanted);
            [asks_at, state.neighbours_at, state.own_at, state.proof.due_at()].into_iter().flatten().min()
        };
        let peers = self.peers.values().filter_map(of_peer).min();
        let trial = self.own.trial().map(|trial| trial.until);
        let probes = self.probes.next_timeout(self.config.settings(), now);
        [peers, trial, probes, self.own.doubted_at()].into_iter().flatten().min()
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
