//! One try after the other: whom a call asks, when it waits, and what a failure leads to.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::time::Duration;

use bruit_core::{Conduct, Slot, Timestamp};

use super::{
    Engine, Output, Peer, Timer,
    calls::{Ask, Call, Target},
    choice::{Outcome, Weight, admit_rested, chances, draw},
    latencies::Latencies,
};
use crate::{
    event::{Answer, CallId, EndCause, Failure, Tried},
    message::{Chunk, RefusalKind, Request, RpcMessage, whole_millis},
    method::MethodName,
};

/// For how many methods it is remembered how long answers take.
const LATENCIES_MAX: usize = 128;
/// When a peer counts as slow while little is known: a part of the time that it has.
const SLOW_UNKNOWN: u32 = 8;

enum Step {
    Ask(Slot),
    Wait,
    End(EndCause),
}

impl Engine {
    pub(super) fn advance(&mut self, id: CallId, now: Timestamp) {
        match self.next_step(id, now) {
            Some(Step::Ask(slot)) => self.ask(id, slot, now),
            Some(Step::Wait) => {
                self.calls.waiting.insert(id);
                self.rewake(id);
            }
            Some(Step::End(EndCause::OutOfTime)) if self.hand_over(id, EndCause::OutOfTime, now) => {}
            Some(Step::End(cause)) => self.fail(id, cause, now),
            None => {}
        }
    }

    fn next_step(&mut self, id: CallId, now: Timestamp) -> Option<Step> {
        let call = self.calls.calls.get(&id)?;
        if now >= call.deadline {
            return Some(Step::End(EndCause::OutOfTime));
        }
        if call.tries() >= call.tries_max {
            return Some(Step::End(EndCause::Exhausted));
        }
        if let Some(pin) = call.pin.filter(|pin| self.is_pin_usable(call, *pin)) {
            return Some(Step::Ask(pin));
        }
        let slots = self.whom_to_ask(call);
        if slots.is_empty() {
            if matches!(call.target, Target::Anybody) && self.expected_until.is_some_and(|until| now < until) {
                return Some(Step::Wait);
            }
            let cause = if call.tries() == 0 { EndCause::NoPeer } else { EndCause::Exhausted };
            return Some(Step::End(cause));
        }
        Some(self.choose(id, slots, now).map_or(Step::Wait, Step::Ask))
    }

    /// Whom a call may ask, whether or not they have a place.
    fn whom_to_ask(&self, call: &Call) -> Vec<Slot> {
        match call.target {
            Target::Anybody => self.candidates(&call.method, |slot| call.may_ask(slot)),
            Target::Only(slot) if self.check_peer(slot, &call.method).is_ok() => vec![slot],
            Target::Only(_) => Vec::new(),
        }
    }

    /// Draws one of those that have a place, those of the preferred class first.
    fn choose(&mut self, id: CallId, mut slots: Vec<Slot>, now: Timestamp) -> Option<Slot> {
        let call = self.calls.calls.get(&id)?;
        let lane = call.lane();
        let is_fit = |slot: &Slot| self.is_fit(*slot, &call.method, now);
        let some_are_fit = slots.iter().any(is_fit);
        slots.retain(|slot| self.peers.get(*slot).is_some_and(|peer| peer.has_place(lane, &self.config)));
        if some_are_fit && !slots.iter().any(is_fit) {
            // What the good have no place for is not for those who failed: it waits.
            return None;
        }
        if let Some(class) = call.prefer {
            let is_preferred = |slot: &Slot| {
                self.peers
                    .get(*slot)
                    .is_some_and(|peer| peer.class == class && !peer.record(&call.method, now).is_resting(now))
            };
            if slots.iter().any(is_preferred) {
                slots.retain(is_preferred);
            }
        }
        let chances = self.chances_of(&slots, &call.method, now);
        let slot = draw(&chances, &mut self.rng).and_then(|position| slots.get(position)).copied()?;
        if self.peers.get(slot).is_some_and(|peer| peer.record(&call.method, now).has_rested(now)) {
            self.second_chances.take(1, now);
        }
        Some(slot)
    }

    /// Whether a peer neither rests nor has rested: what it did last was no failure.
    fn is_fit(&self, slot: Slot, method: &MethodName, now: Timestamp) -> bool {
        let record = self.peers.get(slot).map(|peer| peer.record(method, now));
        record.is_some_and(|record| !record.is_resting(now) && !record.has_rested(now))
    }

    fn is_pin_usable(&self, call: &Call, pin: Slot) -> bool {
        let is_fit =
            |peer: &Peer| !peer.is_client && !peer.refuses(&call.method) && peer.has_place(call.lane(), &self.config);
        call.tries() == 0 && call.may_ask(pin) && self.peers.get(pin).is_some_and(is_fit)
    }

    /// Those who told that they serve the method; where there is none, those who told nothing yet.
    pub(super) fn candidates(&self, method: &MethodName, may_ask: impl Fn(Slot) -> bool) -> Vec<Slot> {
        let linked = || self.peers.iter().filter(|(slot, peer)| !peer.is_client && may_ask(*slot));
        let serving: Vec<Slot> = linked().filter(|(_, peer)| peer.has_told_of(method)).map(|(slot, _)| slot).collect();
        if !serving.is_empty() {
            return serving;
        }
        linked().filter(|(_, peer)| peer.told.is_none()).map(|(slot, _)| slot).collect()
    }

    pub(super) fn chances_of(&self, slots: &[Slot], method: &MethodName, now: Timestamp) -> Vec<f64> {
        let nothing = Weight { weight: 0.0, has_rested: false };
        let weight = |slot: &Slot| self.peers.get(*slot).map_or(nothing, |peer| peer.weight(method, &self.config, now));
        let weights: Vec<Weight> = slots.iter().map(weight).collect();
        let is_their_turn = self.second_chances.clone().available(now) > 0;
        chances(&admit_rested(&weights, is_their_turn), self.config.floor)
    }

    fn ask(&mut self, id: CallId, slot: Slot, now: Timestamp) {
        let (Some(call), Some(peer)) = (self.calls.calls.get_mut(&id), self.peers.get_mut(slot)) else { return };
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        peer.asked.insert(number, id);
        self.calls.waiting.remove(&id);
        self.stats.tries = self.stats.tries.saturating_add(1);
        self.stats.retried = self.stats.retried.saturating_add(u64::from(call.tries() == 1));
        if std::mem::take(&mut peer.is_paused) {
            // Its answer comes the same way as its requests.
            self.outputs.push_back(Output::Resume { from: slot });
        }

        let try_timeout = call.stream.as_ref().map_or(call.try_timeout, |stream| stream.idle_timeout());
        let until = call.deadline.min(now.after(try_timeout));
        let expires = if call.stream.is_some() { call.deadline } else { until };
        let request = Request {
            number: Some(number),
            method: call.method.clone(),
            timeout: Some(Duration::from_millis(whole_millis(expires.since(now)).into())),
            stream_credit: call.stream.as_ref().map_or(0, |stream| stream.window()),
            payload: call.payload.clone(),
        };
        call.asks.push(Ask { peer: slot, number, since: now, until });
        let slow_after = || {
            let known = self.latencies.get(&call.method).and_then(|known| known.quantile(self.config.hedge_quantile));
            known.or(try_timeout.checked_div(SLOW_UNKNOWN)).unwrap_or(try_timeout)
        };
        let is_alone = call.asks.len() == 1 && call.judged.is_none();
        call.hedge_at = (call.hedge && is_alone).then(|| now.after(slow_after()));
        let (message, lane) = (RpcMessage::Request(request), call.lane());
        self.outputs.push_back(Output::Send { to: slot, message, lane, expires: Some(until) });
        self.rewake(id);
    }

    /// Asks a second peer, if there is one with a place and a try left.
    pub(super) fn hedge(&mut self, id: CallId, now: Timestamp) {
        let Some(call) = self.calls.calls.get(&id) else { return };
        if call.tries() < call.tries_max && !call.has_chunks() {
            let slots = self.whom_to_ask(call);
            if let Some(slot) = self.choose(id, slots, now) {
                self.stats.hedged = self.stats.hedged.saturating_add(1);
                self.ask(id, slot, now);
                return;
            }
        }
        self.rewake(id);
    }

    /// Sets a call's timer to what comes first for it.
    pub(super) fn rewake(&mut self, id: CallId) {
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        let first = call.asks.iter().map(|ask| ask.until).chain(call.hedge_at).fold(call.deadline, Timestamp::min);
        if call.wakes_at == Some(first) {
            return;
        }
        if let Some(before) = call.wakes_at.replace(first) {
            self.timers.remove(&(before, Timer::Call(id)));
        }
        self.timers.insert((first, Timer::Call(id)));
    }

    /// Gives waiting calls the places that a peer has, in the order in which they came.
    pub(super) fn use_places(&mut self, slot: Slot, now: Timestamp) {
        while let Some(id) = self.calls.waiting.iter().copied().find(|id| self.is_place_for(*id, slot, now)) {
            self.ask(id, slot, now);
        }
    }

    fn is_place_for(&self, id: CallId, slot: Slot, now: Timestamp) -> bool {
        let Some(call) = self.calls.calls.get(&id).filter(|call| now < call.deadline) else { return false };
        let Some(peer) = self.peers.get(slot).filter(|peer| peer.has_place(call.lane(), &self.config)) else {
            return false;
        };
        let serves = match call.target {
            Target::Anybody => peer.has_told_of(&call.method) || (peer.told.is_none() && !self.is_served(call)),
            Target::Only(only) => only == slot,
        };
        serves
            && call.may_ask(slot)
            && self.check_peer(slot, &call.method).is_ok()
            && (self.is_fit(slot, &call.method, now) || !self.somebody_is_fit(call, now))
    }

    fn somebody_is_fit(&self, call: &Call, now: Timestamp) -> bool {
        self.whom_to_ask(call).into_iter().any(|slot| self.is_fit(slot, &call.method, now))
    }

    /// Whether somebody is left for a call who told that it serves the method.
    fn is_served(&self, call: &Call) -> bool {
        self.peers.iter().any(|(slot, peer)| peer.has_told_of(&call.method) && call.may_ask(slot))
    }

    /// Looks again at waiting calls, now that a peer is gone, serves less or rests: whom they waited for may not come any more.
    pub(super) fn reconsider_waiting(&mut self, now: Timestamp) {
        let ids: Vec<CallId> = self.calls.waiting.iter().copied().collect();
        ids.into_iter().for_each(|id| self.advance(id, now));
    }

    /// One try of a call was in vain: the next peer is asked, or the call ends, unless another try is under way.
    pub(super) fn try_failed(&mut self, id: CallId, tried: Tried<Slot>, now: Timestamp) {
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        call.tried.push(tried.clone());
        let has_chunks = call.has_chunks();
        let is_final = tried.failure.may_have_run() && !call.is_idempotent;
        let (method, full_time) = (call.method.clone(), call.try_timeout);
        let full_time = call.stream.as_ref().map_or(full_time, |stream| stream.idle_timeout());
        let waited = call.stream.as_ref().and_then(|stream| stream.waited(now)).unwrap_or(tried.elapsed);
        let is_under_way = !call.asks.is_empty() || call.judged.is_some() || !call.answers.is_empty();
        self.note_failure(&tried, &method, waited >= full_time, now);
        if has_chunks {
            self.fail(id, EndCause::BrokenOff, now);
        } else if is_final {
            self.fail(id, EndCause::NotRepeatable, now);
        } else if !is_under_way {
            self.advance(id, now);
        } else if self.calls.calls.get(&id).is_some_and(|call| call.hedge && call.judged.is_none()) {
            self.hedge(id, now);
        } else {
            self.rewake(id);
        }
        self.reconsider_if_resting(tried.peer, &method, now);
    }

    fn reconsider_if_resting(&mut self, slot: Slot, method: &MethodName, now: Timestamp) {
        if self.peers.get(slot).is_some_and(|peer| peer.record(method, now).is_resting(now)) {
            self.reconsider_waiting(now);
        }
    }

    /// The first chunk of one peer decides: others that were asked are taken back.
    pub(super) fn give_up_others(&mut self, id: CallId, chunk: &Chunk, now: Timestamp) {
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        call.hedge_at = None;
        let Some(position) = call.asks.iter().position(|ask| ask.number != chunk.number) else { return };
        let ask = call.asks.remove(position);
        let elapsed = now.since(ask.since);
        call.tried.push(Tried { peer: ask.peer, failure: Failure::GivenUp, elapsed });
        let lane = call.lane();
        self.withdraw(&[ask], lane, now);
    }

    /// Who was slow enough for somebody else to be asked, and was overtaken, counts as out of time: it may be silent, and with
    /// hedges nobody would ever wait long enough to see it.
    pub(super) fn note_overtaken(&mut self, asks: &[Ask], method: &MethodName, answer: &Answer<Slot>, now: Timestamp) {
        for ask in asks.iter().filter(|ask| now.since(ask.since) > answer.elapsed) {
            if let Some(peer) = self.peers.get_mut(ask.peer) {
                peer.note(method, Outcome::TimedOut, &self.config, now);
            }
            self.reconsider_if_resting(ask.peer, method, now);
        }
    }

    pub(super) fn note_latency(&mut self, method: &MethodName, elapsed: Duration) {
        if let Some(known) = self.latencies.get_mut(method) {
            known.note(elapsed);
        } else if self.latencies.len() < LATENCIES_MAX {
            let mut latencies = Latencies::new();
            latencies.note(elapsed);
            self.latencies.insert(method.clone(), latencies);
        }
    }

    fn note_failure(&mut self, tried: &Tried<Slot>, method: &MethodName, had_its_time: bool, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(tried.peer) else { return };
        let (outcome, conduct) = match &tried.failure {
            Failure::TimedOut if had_its_time => (Some(Outcome::TimedOut), Some(Conduct::TimedOut)),
            // Nothing is known of a peer that had less than its time, or of one that was not reached.
            Failure::TimedOut | Failure::Lost | Failure::NotSent | Failure::GivenUp => (None, None),
            // What was lost may have been lost by a link: it lowers the weight, and is not held against the peer.
            Failure::Incomplete => (Some(Outcome::InVain), None),
            Failure::Useless => (Some(Outcome::InVain), Some(Conduct::CouldNotSatisfy)),
            Failure::Invalid => (Some(Outcome::False), Some(Conduct::AnsweredFalsely)),
            Failure::Refused(refusal) => match refusal.kind {
                RefusalKind::CannotSatisfy => (Some(Outcome::InVain), Some(Conduct::CouldNotSatisfy)),
                RefusalKind::NoSuchMethod | RefusalKind::NotAllowed => {
                    if let Some(told) = &mut peer.told {
                        told.remove(method);
                    }
                    (None, None)
                }
                RefusalKind::Overloaded | RefusalKind::BadRequest | RefusalKind::Failed => {
                    (Some(Outcome::InVain), None)
                }
            },
        };
        if let Some(outcome) = outcome {
            peer.note(method, outcome, &self.config, now);
        }
        if let Some(conduct) = conduct {
            self.conduct(tried.peer, conduct);
        }
    }
}
