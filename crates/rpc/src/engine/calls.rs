//! Asking: the commands, the answers, and how calls begin and end. What lies between is in `tries.rs`.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU64,
    time::Duration,
};

use bruit_core::{Conduct, Slot, Timestamp};
use bruit_wire::limits::PAYLOAD_BYTES_MAX;
use bytes::Bytes;

use super::{
    Engine, Output, Timer,
    choice::Outcome,
    joins::Joins,
    peer::Unexpected,
    streams::{InStream, Taken},
};
use crate::{
    config::LONGEST,
    event::{Answer, CallError, CallId, EndCause, Event, Failure, Tried},
    message::{Lane, RefusalKind, Request, Response, RpcMessage},
    method::{Class, MethodName},
    options::{CallOptions, CallStateError, StartError, Verdict},
};

/// The calls under way.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) calls: BTreeMap<CallId, Call>,
    /// Those whose candidates all have their limit of requests, oldest first.
    pub(super) waiting: BTreeSet<CallId>,
    pub(super) joins: Joins,
    bytes: usize,
    started: u64,
}

pub(super) struct Call {
    pub(super) target: Target,
    pub(super) method: MethodName,
    pub(super) payload: Bytes,
    pub(super) response_bytes_max: usize,
    pub(super) is_idempotent: bool,
    pub(super) validate: bool,
    pub(super) hedge: bool,
    pub(super) prefer: Option<Class>,
    pub(super) pin: Option<Slot>,
    pub(super) excluded: Vec<Slot>,
    pub(super) tries_max: usize,
    pub(super) try_timeout: Duration,
    pub(super) deadline: Timestamp,
    pub(super) tried: Vec<Tried<Slot>>,
    /// Requests that are not answered yet: one, or two after a hedge.
    pub(super) asks: Vec<Ask>,
    /// The answer that awaits its verdict.
    pub(super) judged: Option<Answer<Slot>>,
    /// The answer that awaits its turn: at most one, since there are at most two requests.
    pub(super) answers: VecDeque<Answer<Slot>>,
    pub(super) stream: Option<InStream>,
    pub(super) hedge_at: Option<Timestamp>,
    pub(super) wakes_at: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Anybody,
    Only(Slot),
}

/// A request under way.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) peer: Slot,
    pub(super) number: NonZeroU64,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Call {
    pub(super) fn lane(&self) -> Lane {
        Lane::of_payload(self.payload.len())
    }

    pub(super) fn may_ask(&self, slot: Slot) -> bool {
        self.tried.iter().all(|tried| tried.peer != slot)
            && self.asks.iter().all(|ask| ask.peer != slot)
            && self.judged.iter().chain(&self.answers).all(|answer| answer.from != slot)
            && !self.excluded.contains(&slot)
    }

    /// How many peers were asked.
    pub(super) fn tries(&self) -> usize {
        let answered = self.answers.len().saturating_add(usize::from(self.judged.is_some()));
        self.tried.len().saturating_add(self.asks.len()).saturating_add(answered)
    }

    pub(super) fn has_chunks(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.has_begun())
    }
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.calls.len().saturating_add(self.joins.len())
    }

    pub(super) fn remember(&self, slot: Slot) -> bool {
        self.calls.values().any(|call| !call.may_ask(slot))
    }

    pub(super) fn peer_returned(&mut self, before: Slot, slot: Slot) {
        self.calls.values_mut().filter(|call| !call.may_ask(before)).for_each(|call| call.excluded.push(slot));
    }

    pub(super) fn next_id(&mut self) -> CallId {
        self.started = self.started.saturating_add(1);
        CallId(self.started)
    }
}

impl Engine {
    /// Asks some connected peer that serves the method, and the next one if that was in vain.
    ///
    /// Who did not tell yet what it serves is asked only when nobody is left who did. While all who could be asked have their
    /// limit of our requests, the call waits. It ends with one [`Event::Done`], at its deadline at the latest.
    pub fn call(
        &mut self,
        method: &MethodName,
        payload: Bytes,
        options: CallOptions<Slot>,
        now: Timestamp,
    ) -> Result<CallId, StartError> {
        self.start(Target::Anybody, method, payload, options, now)
    }

    /// Asks one connected peer, once.
    pub fn call_peer(
        &mut self,
        peer: Slot,
        method: &MethodName,
        payload: Bytes,
        options: CallOptions<Slot>,
        now: Timestamp,
    ) -> Result<CallId, StartError> {
        self.check_peer(peer, method)?;
        let options = CallOptions { tries_max: Some(1), join: false, pin: None, exclude: Vec::new(), ..options };
        self.start(Target::Only(peer), method, payload, options, now)
    }

    /// Sends a request to a connected peer and waits for nothing.
    pub fn send(&mut self, peer: Slot, method: &MethodName, payload: Bytes, now: Timestamp) -> Result<(), StartError> {
        self.check_peer(peer, method)?;
        self.check_size(method, payload.len())?;
        self.stats.sent = self.stats.sent.saturating_add(1);
        let lane = Lane::of_payload(payload.len());
        let request = Request { number: None, method: method.clone(), timeout: None, stream_credit: 0, payload };
        let expires = Some(now.after(self.config.try_timeout));
        self.outputs.push_back(Output::Send { to: peer, message: RpcMessage::Request(request), lane, expires });
        Ok(())
    }

    /// Judges the answer of a call with `validate`.
    pub fn verdict(&mut self, id: CallId, verdict: Verdict, now: Timestamp) -> Result<(), CallStateError> {
        let call = self.calls.calls.get_mut(&id).ok_or(CallStateError::Ended)?;
        let answer = call.judged.take().ok_or(CallStateError::NotAnswered)?;
        let failure = match verdict {
            Verdict::Good => {
                self.succeed(id, answer, now);
                return Ok(());
            }
            Verdict::Useless => Failure::Useless,
            Verdict::Invalid => Failure::Invalid,
        };
        let next = call.answers.pop_front();
        call.judged.clone_from(&next);
        self.try_failed(id, Tried { peer: answer.from, failure, elapsed: answer.elapsed }, now);
        if let Some(next) = next {
            self.judge(id, next);
        }
        Ok(())
    }

    /// Takes a call back; the peers that work on it are told.
    pub fn cancel(&mut self, id: CallId, now: Timestamp) -> Result<(), CallStateError> {
        if self.leave_join(id, EndCause::Cancelled) || self.hand_over(id, EndCause::Cancelled, now) {
            return Ok(());
        }
        if !self.calls.calls.contains_key(&id) {
            return Err(CallStateError::Ended);
        }
        self.fail(id, EndCause::Cancelled, now);
        Ok(())
    }

    pub(super) fn check_peer(&self, slot: Slot, method: &MethodName) -> Result<(), StartError> {
        let peer = self.peers.get(slot).filter(|peer| !peer.is_client).ok_or(StartError::NotConnected)?;
        if peer.refuses(method) { Err(StartError::NotServed) } else { Ok(()) }
    }

    fn check_size(&self, method: &MethodName, bytes: usize) -> Result<(), StartError> {
        let max = self.methods.get(method).map_or(PAYLOAD_BYTES_MAX, |method| method.request_bytes_max);
        if bytes > max { Err(StartError::TooLarge { bytes, max }) } else { Ok(()) }
    }

    fn check_limits(&self, method: &MethodName, bytes: usize) -> Result<(), StartError> {
        if self.is_shutting_down {
            return Err(StartError::ShuttingDown);
        }
        self.check_size(method, bytes)?;
        if self.calls.len() >= self.config.calls_max {
            return Err(StartError::TooManyCalls { max: self.config.calls_max });
        }
        let max = self.config.calls_bytes_max;
        if self.calls.bytes.saturating_add(bytes) > max { Err(StartError::TooManyBytes { max }) } else { Ok(()) }
    }

    fn start(
        &mut self,
        target: Target,
        method: &MethodName,
        payload: Bytes,
        options: CallOptions<Slot>,
        now: Timestamp,
    ) -> Result<CallId, StartError> {
        self.check_limits(method, payload.len())?;
        self.stats.calls = self.stats.calls.saturating_add(1);
        let deadline = now.after(options.deadline.unwrap_or(self.config.deadline).min(LONGEST));
        let is_joinable = options.join && !options.stream && target == Target::Anybody;
        if is_joinable && let Some(id) = self.join(method, &payload, options.validate, deadline) {
            return Ok(id);
        }
        self.calls.bytes = self.calls.bytes.saturating_add(payload.len());
        let id = self.calls.next_id();
        if is_joinable {
            self.calls.joins.lead(method.clone(), payload.clone(), id);
        }
        let known = self.methods.get(method);
        let is_idempotent = options.is_idempotent.unwrap_or(known.is_some_and(|method| method.is_idempotent));
        let call = Call {
            target,
            method: method.clone(),
            payload,
            response_bytes_max: known.map_or(PAYLOAD_BYTES_MAX, |method| method.response_bytes_max),
            is_idempotent,
            validate: options.validate && !options.stream,
            hedge: is_idempotent && target == Target::Anybody && options.hedge.unwrap_or(self.config.hedge),
            prefer: options.prefer,
            pin: options.pin,
            excluded: options.exclude,
            tries_max: options.tries_max.unwrap_or(self.config.tries_max).max(1) as usize,
            try_timeout: options.try_timeout.unwrap_or(self.config.try_timeout),
            deadline,
            tried: Vec::new(),
            asks: Vec::new(),
            judged: None,
            answers: VecDeque::new(),
            stream: options.stream.then(|| InStream::new(&self.config, options.idle_timeout, options.stream_bytes_max)),
            hedge_at: None,
            wakes_at: None,
        };
        self.calls.calls.insert(id, call);
        self.advance(id, now);
        Ok(id)
    }

    pub(super) fn response_received(&mut self, from: Slot, response: Response, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        let Some(id) = peer.asked.remove(&response.number) else {
            match peer.unexpected(response.number) {
                Unexpected::Late => self.stats.late = self.stats.late.saturating_add(1),
                Unexpected::Unasked => {
                    self.stats.unasked = self.stats.unasked.saturating_add(1);
                    self.conduct(from, Conduct::BrokeProtocol);
                }
            }
            return;
        };
        let Some(ask) = self.take_ask(id, response.number) else { return };
        let elapsed = now.since(ask.since);
        match response.result {
            Ok(_) if self.lacks_chunks(id, response.chunks) => {
                self.try_failed(id, Tried { peer: from, failure: Failure::Incomplete, elapsed }, now);
            }
            Ok(payload) => self.answered(id, Answer { from, payload, elapsed }, now),
            Err(refusal) => {
                let serves_less = matches!(refusal.kind, RefusalKind::NoSuchMethod | RefusalKind::NotAllowed);
                self.try_failed(id, Tried { peer: from, failure: Failure::Refused(refusal), elapsed }, now);
                if serves_less {
                    self.reconsider_waiting(now);
                }
            }
        }
        self.use_places(from, now);
    }

    /// Whether other chunks of a streamed answer came than its end says.
    fn lacks_chunks(&self, id: CallId, sent: u32) -> bool {
        let stream = self.calls.calls.get(&id).and_then(|call| call.stream.as_ref());
        stream.is_some_and(|stream| stream.received() != sent)
    }

    fn answered(&mut self, id: CallId, answer: Answer<Slot>, now: Timestamp) {
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        if answer.payload.len() > call.response_bytes_max {
            self.try_failed(id, Tried { peer: answer.from, failure: Failure::Invalid, elapsed: answer.elapsed }, now);
        } else if !call.validate {
            self.succeed(id, answer, now);
        } else if call.judged.is_some() {
            call.answers.push_back(answer);
        } else {
            self.judge(id, answer);
            self.rewake(id);
        }
    }

    /// Has an answer judged. Requests that are still under way stay so: it may be false.
    pub(super) fn judge(&mut self, id: CallId, answer: Answer<Slot>) {
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        let (from, payload) = (answer.from, answer.payload.clone());
        call.hedge_at = None;
        call.judged = Some(answer);
        self.emit(Event::Answered { call: id, from, payload });
    }

    pub(super) fn request_not_sent(&mut self, to: Slot, number: NonZeroU64, now: Timestamp) {
        let Some(id) = self.peers.get_mut(to).and_then(|peer| peer.asked.remove(&number)) else { return };
        let Some(ask) = self.take_ask(id, number) else { return };
        let Some(call) = self.calls.calls.get(&id) else { return };
        if call.target == Target::Anybody {
            // That was no try: somebody else is asked, or the first who has room.
            self.stats.tries = self.stats.tries.saturating_sub(1);
            self.stats.retried = self.stats.retried.saturating_sub(u64::from(call.tries() == 1));
            if call.asks.is_empty() && call.judged.is_none() {
                self.advance(id, now);
            } else {
                self.rewake(id);
            }
            return;
        }
        let elapsed = now.since(ask.since);
        self.try_failed(id, Tried { peer: to, failure: Failure::NotSent, elapsed }, now);
    }

    pub(super) fn call_timed_out(&mut self, id: CallId, now: Timestamp) {
        if self.leave_join_at(id, now) {
            return;
        }
        while let Some(ask) = self.due_ask(id, now) {
            if let Some(peer) = self.peers.get_mut(ask.peer) {
                peer.give_up(ask.number);
            }
            let elapsed = now.since(ask.since);
            self.try_failed(id, Tried { peer: ask.peer, failure: Failure::TimedOut, elapsed }, now);
            self.use_places(ask.peer, now);
        }
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        if now >= call.deadline {
            if !self.hand_over(id, EndCause::OutOfTime, now) {
                self.fail(id, EndCause::OutOfTime, now);
            }
        } else if call.hedge_at.is_some_and(|at| at <= now) {
            call.hedge_at = None;
            self.hedge(id, now);
        }
    }

    fn due_ask(&mut self, id: CallId, now: Timestamp) -> Option<Ask> {
        let call = self.calls.calls.get(&id)?;
        let number = call.asks.iter().find(|ask| ask.until <= now)?.number;
        self.take_ask(id, number)
    }

    pub(super) fn take_ask(&mut self, id: CallId, number: NonZeroU64) -> Option<Ask> {
        let asks = &mut self.calls.calls.get_mut(&id)?.asks;
        let position = asks.iter().position(|ask| ask.number == number)?;
        Some(asks.remove(position))
    }

    pub(super) fn succeed(&mut self, id: CallId, answer: Answer<Slot>, now: Timestamp) {
        let Some((call, asks)) = self.remove(id, now) else { return };
        self.stats.ok = self.stats.ok.saturating_add(1);
        let elapsed = call.stream.as_ref().and_then(InStream::first_after).unwrap_or(answer.elapsed);
        self.note_latency(&call.method, elapsed);
        self.note_overtaken(&asks, &call.method, &answer, now);
        if let Some(peer) = self.peers.get_mut(answer.from) {
            peer.note(&call.method, Outcome::Good(elapsed), &self.config, now);
            self.conduct(answer.from, Conduct::Answered { elapsed });
        }
        let tries = count(call.tried.len().saturating_add(1));
        for follower in self.calls.joins.end(&call.method, &call.payload, id) {
            self.end_joined(&follower);
            self.stats.ok = self.stats.ok.saturating_add(1);
            self.emit(Event::Done { call: follower.id, result: Ok(answer.clone()), tries });
        }
        let from = answer.from;
        self.emit(Event::Done { call: id, result: Ok(answer), tries });
        self.withdraw(&asks, Lane::of_payload(call.payload.len()), now);
        // Who had failed before counts as good again: calls may wait for that.
        self.use_places(from, now);
        self.tell_if_drained();
    }

    pub(super) fn fail(&mut self, id: CallId, cause: EndCause, now: Timestamp) {
        let Some((call, asks)) = self.remove(id, now) else { return };
        let lane = call.lane();
        let tries = count(call.tried.len());
        let followers = self.calls.joins.end(&call.method, &call.payload, id);
        let error = CallError { method: call.method, cause, tried: call.tried };
        for follower in followers {
            self.end_joined(&follower);
            self.count_failed(cause);
            self.emit(Event::Done { call: follower.id, result: Err(error.clone()), tries });
        }
        self.count_failed(cause);
        self.emit(Event::Done { call: id, result: Err(error), tries });
        self.withdraw(&asks, lane, now);
        self.tell_if_drained();
    }

    pub(super) fn count_failed(&mut self, cause: EndCause) {
        let counter = match cause {
            EndCause::Cancelled => &mut self.stats.cancelled,
            EndCause::NoPeer
            | EndCause::Exhausted
            | EndCause::NotRepeatable
            | EndCause::BrokenOff
            | EndCause::OutOfTime => &mut self.stats.failed,
        };
        *counter = counter.saturating_add(1);
    }

    /// Takes a call out, and returns what was still asked: that is written down as given up, and to be withdrawn.
    fn remove(&mut self, id: CallId, now: Timestamp) -> Option<(Call, Vec<Ask>)> {
        let mut call = self.calls.calls.remove(&id)?;
        self.calls.waiting.remove(&id);
        self.calls.bytes = self.calls.bytes.saturating_sub(call.payload.len());
        if let Some(at) = call.wakes_at {
            self.timers.remove(&(at, Timer::Call(id)));
        }
        for answer in call.judged.take().into_iter().chain(call.answers.drain(..)) {
            call.tried.push(Tried { peer: answer.from, failure: Failure::GivenUp, elapsed: answer.elapsed });
        }
        let asks = std::mem::take(&mut call.asks);
        for ask in &asks {
            let elapsed = now.since(ask.since);
            if call.hedge {
                // Who was slower than somebody else took at least so long; leaving that out would make all look fast.
                self.note_latency(&call.method, elapsed);
            }
            call.tried.push(Tried { peer: ask.peer, failure: Failure::GivenUp, elapsed });
        }
        Some((call, asks))
    }

    /// Tells peers that their answers are not wanted any more.
    pub(super) fn withdraw(&mut self, asks: &[Ask], lane: Lane, now: Timestamp) {
        for ask in asks {
            if let Some(peer) = self.peers.get_mut(ask.peer) {
                peer.give_up(ask.number);
                let message = RpcMessage::Cancel(ask.number);
                self.outputs.push_back(Output::Send { to: ask.peer, message, lane, expires: None });
                self.use_places(ask.peer, now);
            }
        }
    }

    /// The reader of a streamed answer has taken a chunk: there is room for another.
    pub fn chunk_taken(&mut self, id: CallId, now: Timestamp) -> Result<(), CallStateError> {
        let call = self.calls.calls.get_mut(&id).ok_or(CallStateError::Ended)?;
        let stream = call.stream.as_mut().ok_or(CallStateError::NotAnswered)?;
        let Some(ask) = call.asks.first_mut() else { return Err(CallStateError::NotAnswered) };
        match stream.take(&self.config, now) {
            Taken::Nothing => return Err(CallStateError::NotAnswered),
            Taken::Chunk { credit, stands_still_at } => {
                ask.until = stands_still_at.unwrap_or(call.deadline).min(call.deadline);
                if let Some(bytes) = credit {
                    let message = RpcMessage::Credit(crate::Credit { number: ask.number, bytes });
                    let (to, lane) = (ask.peer, Lane::Calls);
                    self.outputs.push_back(Output::Send { to, message, lane, expires: None });
                }
            }
        }
        self.rewake(id);
        Ok(())
    }
}

pub(super) fn count(tries: usize) -> u32 {
    u32::try_from(tries).unwrap_or(u32::MAX)
}
