//! The rules of asking and serving, pure.
//!
//! This file holds the facts about peers, the timers and the queries; `engine/calls.rs` and `engine/tries.rs` ask,
//! `engine/choice.rs` draws whom, `engine/serving.rs` answers, `engine/peer.rs` keeps what is known about one peer.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU64,
    time::Duration,
};

use bruit_core::{ChaCha8Rng, Conduct, Seed, Slot, SlotMap, Timestamp, TokenBucket};
use bruit_wire::limits::METHODS_MAX;

use crate::{
    config::ValidConfig,
    event::{CallId, CancelCause, Event, Failure, Ticket, Tried},
    message::{Lane, RpcMessage},
    method::{Askers, Class, Method, MethodName, RegisterError},
};

mod calls;
mod choice;
mod joins;
mod latencies;
mod peer;
mod serving;
mod streams;
mod tries;

use calls::Calls;
use latencies::Latencies;
use peer::Peer;
use serving::Serving;

/// What the owner of an engine has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send a message.
    Send {
        /// Whom to.
        to: Slot,
        /// What.
        message: RpcMessage,
        /// On which lane. A cancellation follows its request.
        lane: Lane,
        /// When it is of no use any more.
        expires: Option<Timestamp>,
    },
    /// Read nothing more of a peer until it may be read again: it has as many requests here as it may.
    Pause {
        /// Whom.
        from: Slot,
    },
    /// Read a peer again.
    Resume {
        /// Whom.
        from: Slot,
    },
    /// Pass an event on.
    Event(Event<Slot>),
}

/// Counters since the start. `calls` is the sum of `ok`, `failed`, `cancelled` and those under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Calls started.
    pub calls: u64,
    /// Calls that ended with an answer.
    pub ok: u64,
    /// Calls that ended without one.
    pub failed: u64,
    /// Calls that the caller took back.
    pub cancelled: u64,
    /// Requests sent for calls.
    pub tries: u64,
    /// Calls that asked a second peer.
    pub retried: u64,
    /// Requests sent because the first peer was slow.
    pub hedged: u64,
    /// Calls that shared the answer of an equal one.
    pub joined: u64,
    /// Messages sent without waiting for an answer.
    pub sent: u64,
    /// Requests passed to the application.
    pub served: u64,
    /// Requests refused here: no such method, overloaded, too large.
    pub refused: u64,
    /// Requests whose time was over before the application answered.
    pub expired: u64,
    /// Answers that came after they were given up.
    pub late: u64,
    /// Answers that nobody asked for.
    pub unasked: u64,
    /// Messages that the link did not take.
    pub not_sent: u64,
    /// Frames that the link took and then lost: too old, or their connection ended.
    pub frames_lost: u64,
    /// Frames that were no message.
    pub garbage: u64,
}

/// How likely a peer is to be asked, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Candidate<P> {
    /// The peer.
    pub peer: P,
    /// The chance that the next global call of the method asks it first, 0 to 1; all chances add up to 1.
    pub chance: f64,
    /// The share of its answers that were good, the latest counting most.
    pub success: f64,
    /// Its answer time.
    pub latency: Duration,
    /// How many of our requests it has not answered yet.
    pub pending: usize,
    /// Its quality, as the owner set it.
    pub quality: f64,
    /// Its class, as the owner set it.
    pub class: Class,
    /// For how long it is chosen by the floor alone, because it failed more than it answered.
    pub rests_for: Duration,
}

impl<P> Candidate<P> {
    /// Names the peer in another way; `None` if it has no name.
    pub fn map<Q>(self, name: impl FnOnce(P) -> Option<Q>) -> Option<Candidate<Q>> {
        let Self { peer, chance, success, latency, pending, quality, class, rests_for } = self;
        Some(Candidate { peer: name(peer)?, chance, success, latency, pending, quality, class, rests_for })
    }
}

/// Decides whom to ask, when to ask somebody else, and what is served to whom.
///
/// # Security
/// Peers choose what they answer and when. Each answer is matched by number, slot and generation, so that a late, doubled or
/// invented one never resolves another call; places and bytes are limited per peer and in all; a time-out lowers a weight and
/// closes nothing.
pub struct Engine {
    config: ValidConfig,
    rng: ChaCha8Rng,
    methods: BTreeMap<MethodName, Method>,
    peers: SlotMap<Peer>,
    calls: Calls,
    serving: Serving,
    /// Peers for whom there are parts of streamed answers that the link may take.
    streaming: BTreeSet<Slot>,
    timers: BTreeSet<(Timestamp, Timer)>,
    latencies: BTreeMap<MethodName, Latencies>,
    /// When somebody who failed and has rested may be tried again.
    second_chances: TokenBucket,
    /// Until when links to more peers are expected to come up.
    expected_until: Option<Timestamp>,
    is_shutting_down: bool,
    has_told_drained: bool,
    /// Never starts anew, so that an answer of an earlier connection fits no request of a later one.
    next_number: NonZeroU64,
    stats: Stats,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Call(CallId),
    Ticket(Ticket),
    Expected,
}

/// How long a call waits for a peer that is connected to speak the protocol (a guess: some round trips of a slow one).
const ARRIVAL_MAX: Duration = Duration::from_secs(2);
/// How many second chances may be saved up (a guess: hardly noticed by callers).
const SECOND_CHANCES_MAX: u64 = 2;
/// How many timers one call of `handle_timeout` works off.
const TIMERS_AT_ONCE: usize = 256;

impl Engine {
    /// Makes an engine that knows nobody.
    pub fn new(config: ValidConfig, seed: Seed) -> Self {
        let per_second = config.second_chance_every.as_secs_f64().recip();
        let second_chances = TokenBucket::new(per_second, SECOND_CHANCES_MAX, 1, Timestamp::default());
        Self {
            second_chances,
            config,
            rng: seed.rng(),
            methods: BTreeMap::new(),
            peers: SlotMap::new(),
            calls: Calls::default(),
            serving: Serving::default(),
            streaming: BTreeSet::new(),
            timers: BTreeSet::new(),
            latencies: BTreeMap::new(),
            expected_until: None,
            is_shutting_down: false,
            has_told_drained: false,
            next_number: NonZeroU64::MIN,
            stats: Stats::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Serves a method from now on, and tells all peers. Replaces what was registered under the same name.
    pub fn register(&mut self, method: Method, _now: Timestamp) -> Result<(), RegisterError> {
        RegisterError::check(&method)?;
        let max = self.config.methods_max;
        if self.methods.len() >= max && !self.methods.contains_key(&method.name) {
            return Err(RegisterError::TooMany { max });
        }
        let name = method.name.clone();
        let askers = method.askers;
        self.peers.iter_mut().for_each(|(_, peer)| peer.forget_budget(&name));
        if self.methods.insert(name, method).is_none_or(|before| before.askers != askers) {
            self.tell_everybody();
        }
        Ok(())
    }

    /// Serves a method no longer, and tells all peers. Requests that are being served may still be answered.
    pub fn unregister(&mut self, method: &MethodName, _now: Timestamp) {
        if self.methods.remove(method).is_some() {
            self.peers.iter_mut().for_each(|(_, peer)| peer.forget_budget(method));
            self.tell_everybody();
        }
    }

    /// Starts no call and serves no request from now on. What is under way may end; then comes [`Event::Drained`].
    pub fn shut_down(&mut self, _now: Timestamp) {
        if !std::mem::replace(&mut self.is_shutting_down, true) {
            self.tell_everybody();
            self.tell_if_drained();
        }
    }

    /// Says what kind of peer somebody is. New peers are ordinary.
    pub fn set_class(&mut self, slot: Slot, class: Class, _now: Timestamp) {
        let Some(peer) = self.peers.get_mut(slot) else { return };
        let is_other = std::mem::replace(&mut peer.class, class) != class;
        let matters = |method: &Method| matches!(method.askers, Askers::Class(_));
        if is_other && !peer.is_client && self.methods.values().any(matters) {
            self.tell_methods(slot);
        }
    }

    /// A peer is connected whose link may come up. For two seconds a global call that finds nobody to ask waits, instead of failing
    /// a moment too early.
    pub fn peer_expected(&mut self, now: Timestamp) {
        self.expect_until(Some(now.after(ARRIVAL_MAX)), now);
    }

    /// No link is going to come up soon.
    pub fn nobody_expected(&mut self, now: Timestamp) {
        self.expect_until(None, now);
    }

    fn expect_until(&mut self, until: Option<Timestamp>, now: Timestamp) {
        if let Some(before) = std::mem::replace(&mut self.expected_until, until) {
            self.timers.remove(&(before, Timer::Expected));
        }
        match until {
            Some(until) => _ = self.timers.insert((until, Timer::Expected)),
            None => self.reconsider_waiting(now),
        }
    }

    /// A link to a peer is up.
    pub fn peer_connected(&mut self, slot: Slot, now: Timestamp) {
        self.add_peer(slot, false, now);
        self.tell_methods(slot);
        self.use_places(slot, now);
    }

    /// A client has come that asks and is never asked itself.
    pub fn client_connected(&mut self, slot: Slot, now: Timestamp) {
        self.add_peer(slot, true, now);
    }

    /// A peer came back under another slot while calls still remember that it was asked: they do not ask it again.
    pub fn peer_returned(&mut self, before: Slot, slot: Slot, _now: Timestamp) {
        self.calls.peer_returned(before, slot);
    }

    /// A peer or client is gone: what it was asked is lost, what it asked is cancelled.
    pub fn peer_disconnected(&mut self, slot: Slot, now: Timestamp) {
        let Some(peer) = self.peers.remove(slot) else { return };
        self.streaming.remove(&slot);
        for ticket in peer.asking.into_values() {
            self.cancel_serving(ticket, CancelCause::Disconnected);
        }
        for (number, call) in peer.asked {
            if let Some(ask) = self.take_ask(call, number) {
                let elapsed = now.since(ask.since);
                self.try_failed(call, Tried { peer: slot, failure: Failure::Lost, elapsed }, now);
            }
        }
        self.reconsider_waiting(now);
    }

    /// A message of a peer came.
    pub fn message_received(&mut self, from: Slot, message: RpcMessage, now: Timestamp) {
        if !self.peers.contains(from) {
            return;
        }
        match message {
            RpcMessage::Request(request) => self.request_received(from, request, now),
            RpcMessage::Response(response) => self.response_received(from, response, now),
            RpcMessage::Cancel(number) => self.cancel_received(from, number),
            RpcMessage::Methods(names) => self.methods_received(from, names, now),
            RpcMessage::Chunk(chunk) => self.chunk_received(from, chunk, now),
            RpcMessage::Credit(credit) => self.credit_received(from, credit, now),
        }
    }

    /// A frame came that is no message.
    pub fn garbage_received(&mut self, from: Slot, _now: Timestamp) {
        if self.peers.contains(from) {
            self.stats.garbage = self.stats.garbage.saturating_add(1);
            self.conduct(from, Conduct::BrokeProtocol);
        }
    }

    /// The link did not take a message that was to be sent. The peer is asked nothing more on that lane until it is writable
    /// again.
    pub fn message_not_sent(&mut self, to: Slot, message: &RpcMessage, lane: Lane, now: Timestamp) {
        self.stats.not_sent = self.stats.not_sent.saturating_add(1);
        let Some(peer) = self.peers.get_mut(to) else { return };
        peer.set_full(lane, true);
        if lane == Lane::Bulk {
            self.streaming.remove(&to);
        }
        match message {
            RpcMessage::Request(request) => match request.number {
                Some(number) => self.request_not_sent(to, number, now),
                None => self.emit(Event::NotSent { to, method: request.method.clone() }),
            },
            RpcMessage::Methods(_) => peer.owes_methods = true,
            // The peer's own deadline covers all but what belongs to a stream.
            RpcMessage::Chunk(_) | RpcMessage::Response(_) => self.stream_not_sent(to, message),
            RpcMessage::Cancel(_) | RpcMessage::Credit(_) => {}
        }
    }

    /// The link lost frames that it had taken. Whom they were for notices by the time that passes.
    pub fn frames_lost(&mut self, count: u64) {
        self.stats.frames_lost = self.stats.frames_lost.saturating_add(count);
    }

    /// The link takes messages for a peer again on a lane.
    pub fn peer_writable(&mut self, slot: Slot, lane: Lane, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(slot) else { return };
        peer.set_full(lane, false);
        if peer.owes_methods && lane == Lane::Calls {
            self.tell_methods(slot);
        }
        if lane == Lane::Bulk {
            self.resume_streams(slot);
        }
        self.use_places(slot, now);
    }

    /// Sets what the owner thinks of a peer, 0 to 1; what is not a number changes nothing. New peers have 1/2.
    pub fn set_quality(&mut self, slot: Slot, quality: f32) {
        if let Some(peer) = self.peers.get_mut(slot).filter(|_| !quality.is_nan()) {
            peer.quality = f64::from(quality.clamp(0.0, 1.0));
        }
    }

    /// The next thing to do.
    ///
    /// An end of a streamed answer frees its place only when the next thing is asked for: what the link did not take of it is to
    /// be told before that.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.free_what_left();
        self.outputs.pop_front().or_else(|| self.poll_streams())
    }

    /// When `handle_timeout` is due.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Works off what is due, at most 256 deadlines a call.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        for _ in 0..TIMERS_AT_ONCE {
            let Some(first) = self.timers.first().copied().filter(|(due, _)| *due <= now) else { return };
            self.timers.remove(&first);
            match first.1 {
                Timer::Call(call) => self.call_timed_out(call, now),
                Timer::Ticket(ticket) => self.serving_timed_out(ticket, now),
                Timer::Expected => self.nobody_expected(now),
            }
        }
    }

    /// The counters.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// How many calls are under way.
    pub fn calls_pending(&self) -> usize {
        self.calls.len()
    }

    /// How many requests hold a place here.
    pub fn serving(&self) -> usize {
        self.serving.len()
    }

    /// Whether a call under way has asked this slot, or awaits a verdict on its answer; also true for a stale one.
    pub fn remembers(&self, slot: Slot) -> bool {
        self.calls.remember(slot)
    }

    /// The connected peers that said that they serve a method.
    pub fn peers_serving(&self, method: &MethodName) -> impl Iterator<Item = Slot> {
        self.peers.iter().filter(|(_, peer)| peer.has_told_of(method)).map(|(slot, _)| slot)
    }

    /// Whom a global call of a method could ask now, and how likely.
    pub fn explain(&self, method: &MethodName, now: Timestamp) -> Vec<Candidate<Slot>> {
        let slots = self.candidates(method, |_| true);
        self.chances_of(&slots, method, now)
            .into_iter()
            .zip(slots)
            .filter_map(|(chance, slot)| {
                let peer = self.peers.get(slot)?;
                let record = peer.record(method, now);
                Some(Candidate {
                    peer: slot,
                    chance,
                    success: record.success_at(&self.config, now),
                    latency: record.latency(),
                    pending: peer.asked.len(),
                    quality: peer.quality,
                    class: peer.class,
                    rests_for: record.rests_for(now),
                })
            })
            .collect()
    }

    fn add_peer(&mut self, slot: Slot, is_client: bool, now: Timestamp) {
        if let Some((earlier, _)) = self.peers.at_index(slot.index()) {
            self.peer_disconnected(earlier, now);
        }
        self.peers.insert(slot, Peer::new(is_client, self.next_number, &self.config, now));
    }

    fn methods_received(&mut self, from: Slot, names: Vec<MethodName>, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(from).filter(|peer| !peer.is_client && names.len() <= METHODS_MAX as usize)
        else {
            self.conduct(from, Conduct::BrokeProtocol);
            return;
        };
        let told = Some(names.iter().cloned().collect());
        if peer.told == told {
            return;
        }
        peer.told = told;
        self.emit(Event::Told { peer: from, methods: names });
        self.reconsider_waiting(now);
        self.use_places(from, now);
    }

    fn tell_everybody(&mut self) {
        let linked: Vec<Slot> = self.peers.iter().filter(|(_, peer)| !peer.is_client).map(|(slot, _)| slot).collect();
        linked.into_iter().for_each(|slot| self.tell_methods(slot));
    }

    fn tell_methods(&mut self, slot: Slot) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.owes_methods = false;
        }
        let Some(peer) = self.peers.get(slot) else { return };
        let told = self.methods.values().filter(|method| !self.is_shutting_down && peer.may_use(method));
        let message = RpcMessage::Methods(told.map(|method| method.name.clone()).collect());
        self.outputs.push_back(Output::Send { to: slot, message, lane: Lane::Calls, expires: None });
    }

    fn tell_if_drained(&mut self) {
        let is_drained = self.is_shutting_down && self.calls.len() == 0 && self.serving.len() == 0;
        if is_drained && !std::mem::replace(&mut self.has_told_drained, true) {
            self.emit(Event::Drained);
        }
    }

    fn conduct(&mut self, peer: Slot, conduct: Conduct) {
        self.emit(Event::Conduct { peer, conduct });
    }

    fn emit(&mut self, event: Event<Slot>) {
        self.outputs.push_back(Output::Event(event));
    }
}

#[cfg(test)]
mod tests;
