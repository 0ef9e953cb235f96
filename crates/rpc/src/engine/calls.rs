//! Asking: the commands, the answers, and how calls begin and end. What lies between is in `tries.rs`.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    time::Duration,
};

use bruit_core::{Conduct, Slot, Timestamp};
use bruit_wire::limits::PAYLOAD_BYTES_MAX;
use bytes::Bytes;

use super::{Engine, Output, Timer, choice::Outcome, peer::Unexpected};
use crate::{
    config::LONGEST,
    event::{Answer, CallError, CallId, EndCause, Event, Failure, Tried},
    message::{Lane, RefusalKind, Request, Response, RpcMessage},
    method::MethodName,
    options::{CallOptions, CallStateError, StartError, Verdict},
};

/// The calls under way.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) calls: BTreeMap<CallId, Call>,
    /// Those whose candidates all have their limit of requests, oldest first.
    pub(super) waiting: BTreeSet<CallId>,
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
    pub(super) pin: Option<Slot>,
    pub(super) excluded: Vec<Slot>,
    pub(super) tries_max: usize,
    pub(super) try_timeout: Duration,
    pub(super) deadline: Timestamp,
    pub(super) tried: Vec<Tried<Slot>>,
    pub(super) stage: Stage,
    pub(super) wakes_at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Anybody,
    Only(Slot),
}

#[derive(Clone)]
pub(super) enum Stage {
    Waiting,
    Asked { peer: Slot, number: NonZeroU64, since: Timestamp },
    Judged(Answer<Slot>),
}

impl Call {
    pub(super) fn lane(&self) -> Lane {
        Lane::of_payload(self.payload.len())
    }

    pub(super) fn may_ask(&self, slot: Slot) -> bool {
        self.tried.iter().all(|tried| tried.peer != slot) && !self.excluded.contains(&slot)
    }

    fn knows(&self, slot: Slot) -> bool {
        let is_at = match &self.stage {
            Stage::Waiting => false,
            Stage::Asked { peer, .. } => *peer == slot,
            Stage::Judged(answer) => answer.from == slot,
        };
        is_at || !self.may_ask(slot)
    }
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn remember(&self, slot: Slot) -> bool {
        self.calls.values().any(|call| call.knows(slot))
    }

    pub(super) fn peer_returned(&mut self, before: Slot, slot: Slot) {
        self.calls.values_mut().filter(|call| call.knows(before)).for_each(|call| call.excluded.push(slot));
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
        let options = CallOptions { tries_max: Some(1), pin: None, exclude: Vec::new(), ..options };
        self.start(Target::Only(peer), method, payload, options, now)
    }

    /// Sends a request to a connected peer and waits for nothing.
    pub fn send(&mut self, peer: Slot, method: &MethodName, payload: Bytes, now: Timestamp) -> Result<(), StartError> {
        self.check_peer(peer, method)?;
        self.check_size(method, payload.len())?;
        self.stats.sent = self.stats.sent.saturating_add(1);
        let lane = Lane::of_payload(payload.len());
        let message = RpcMessage::Request(Request { number: None, method: method.clone(), timeout: None, payload });
        let expires = Some(now.after(self.config.try_timeout));
        self.outputs.push_back(Output::Send { to: peer, message, lane, expires });
        Ok(())
    }

    /// Judges the answer of a call with `validate`.
    pub fn verdict(&mut self, call: CallId, verdict: Verdict, now: Timestamp) -> Result<(), CallStateError> {
        let stage = &self.calls.calls.get(&call).ok_or(CallStateError::Ended)?.stage;
        let Stage::Judged(answer) = stage else { return Err(CallStateError::NotAnswered) };
        match verdict {
            Verdict::Good => {
                let answer = answer.clone();
                self.succeed(call, answer, now);
            }
            Verdict::Useless => self.try_failed(call, Failure::Useless, now),
            Verdict::Invalid => self.try_failed(call, Failure::Invalid, now),
        }
        Ok(())
    }

    /// Takes a call back; the peer that works on it is told.
    pub fn cancel(&mut self, call: CallId, now: Timestamp) -> Result<(), CallStateError> {
        let state = self.calls.calls.get(&call).ok_or(CallStateError::Ended)?;
        let (stage, lane) = (state.stage.clone(), state.lane());
        self.give_up_try(call, now);
        self.fail(call, EndCause::Cancelled);
        if let Stage::Asked { peer, number, .. } = stage {
            let message = RpcMessage::Cancel(number);
            self.outputs.push_back(Output::Send { to: peer, message, lane, expires: None });
            self.use_places(peer, now);
        }
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

    fn start(
        &mut self,
        target: Target,
        method: &MethodName,
        payload: Bytes,
        options: CallOptions<Slot>,
        now: Timestamp,
    ) -> Result<CallId, StartError> {
        self.check_size(method, payload.len())?;
        if self.calls.len() >= self.config.calls_max {
            return Err(StartError::TooManyCalls { max: self.config.calls_max });
        }
        let bytes = self.calls.bytes.saturating_add(payload.len());
        if bytes > self.config.calls_bytes_max {
            return Err(StartError::TooManyBytes { max: self.config.calls_bytes_max });
        }
        self.calls.bytes = bytes;
        self.calls.started = self.calls.started.saturating_add(1);
        self.stats.calls = self.stats.calls.saturating_add(1);
        let id = CallId(self.calls.started);
        let known = self.methods.get(method);
        let deadline = now.after(options.deadline.unwrap_or(self.config.deadline).min(LONGEST));
        let call = Call {
            target,
            method: method.clone(),
            payload,
            response_bytes_max: known.map_or(PAYLOAD_BYTES_MAX, |method| method.response_bytes_max),
            is_idempotent: options.is_idempotent.unwrap_or(known.is_some_and(|method| method.is_idempotent)),
            validate: options.validate,
            pin: options.pin,
            excluded: options.exclude,
            tries_max: options.tries_max.unwrap_or(self.config.tries_max).max(1) as usize,
            try_timeout: options.try_timeout.unwrap_or(self.config.try_timeout),
            deadline,
            tried: Vec::new(),
            stage: Stage::Waiting,
            wakes_at: deadline,
        };
        self.calls.calls.insert(id, call);
        self.timers.insert((deadline, Timer::Call(id)));
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
        match response.result {
            Ok(payload) => self.answered(id, payload, now),
            Err(refusal) => {
                let serves_less = refusal.kind == RefusalKind::NoSuchMethod;
                self.try_failed(id, Failure::Refused(refusal), now);
                if serves_less {
                    self.reconsider_waiting(from, now);
                }
            }
        }
        self.use_places(from, now);
    }

    fn answered(&mut self, id: CallId, payload: Bytes, now: Timestamp) {
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        let Stage::Asked { peer: from, since, .. } = call.stage else { return };
        if payload.len() > call.response_bytes_max {
            self.try_failed(id, Failure::Invalid, now);
            return;
        }
        let answer = Answer { from, payload: payload.clone(), elapsed: now.since(since) };
        if !call.validate {
            self.succeed(id, answer, now);
            return;
        }
        call.stage = Stage::Judged(answer);
        let deadline = call.deadline;
        self.wake_at(id, deadline);
        self.emit(Event::Answered { call: id, from, payload });
    }

    pub(super) fn request_not_sent(&mut self, to: Slot, number: NonZeroU64, now: Timestamp) {
        let Some(id) = self.peers.get_mut(to).and_then(|peer| peer.asked.remove(&number)) else { return };
        self.try_failed(id, Failure::NotSent, now);
    }

    pub(super) fn call_timed_out(&mut self, id: CallId, now: Timestamp) {
        let Some(call) = self.calls.calls.get(&id) else { return };
        match call.stage {
            Stage::Asked { peer: slot, number, .. } => {
                if let Some(peer) = self.peers.get_mut(slot) {
                    peer.give_up(number);
                }
                self.try_failed(id, Failure::TimedOut, now);
                self.use_places(slot, now);
            }
            Stage::Waiting | Stage::Judged(_) => {
                self.give_up_try(id, now);
                self.fail(id, EndCause::OutOfTime);
            }
        }
    }

    fn succeed(&mut self, id: CallId, answer: Answer<Slot>, now: Timestamp) {
        let Some(call) = self.remove(id) else { return };
        self.stats.ok = self.stats.ok.saturating_add(1);
        if let Some(peer) = self.peers.get_mut(answer.from) {
            peer.note(&call.method, Outcome::Good(answer.elapsed), &self.config, now);
            self.conduct(answer.from, Conduct::Answered { elapsed: answer.elapsed });
        }
        let tries = tries(&call).saturating_add(1);
        self.emit(Event::Done { call: id, result: Ok(answer), tries });
    }

    pub(super) fn fail(&mut self, id: CallId, cause: EndCause) {
        let Some(call) = self.remove(id) else { return };
        match cause {
            EndCause::Cancelled => self.stats.cancelled = self.stats.cancelled.saturating_add(1),
            EndCause::NoPeer | EndCause::Exhausted | EndCause::NotRepeatable | EndCause::OutOfTime => {
                self.stats.failed = self.stats.failed.saturating_add(1);
            }
        }
        let tries = tries(&call);
        let error = CallError { method: call.method, cause, tried: call.tried };
        self.emit(Event::Done { call: id, result: Err(error), tries });
    }

    fn remove(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.calls.remove(&id)?;
        self.calls.waiting.remove(&id);
        self.calls.bytes = self.calls.bytes.saturating_sub(call.payload.len());
        self.timers.remove(&(call.wakes_at, Timer::Call(id)));
        Some(call)
    }
}

fn tries(call: &Call) -> u32 {
    u32::try_from(call.tried.len()).unwrap_or(u32::MAX)
}
