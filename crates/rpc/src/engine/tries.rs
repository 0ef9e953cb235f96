//! One try after the other: whom a call asks, when it waits, and what a failure leads to.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bruit_core::{Conduct, Slot, Timestamp};

use super::{
    Engine, Output, Peer, Timer,
    calls::{Call, Stage, Target},
    choice::{Outcome, chances, draw},
};
use crate::{
    event::{CallId, EndCause, Failure, Tried},
    message::{RefusalKind, Request, RpcMessage},
    method::MethodName,
};

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
            }
            Some(Step::End(cause)) => self.fail(id, cause),
            None => {}
        }
    }

    fn next_step(&mut self, id: CallId, now: Timestamp) -> Option<Step> {
        let call = self.calls.calls.get(&id)?;
        if now >= call.deadline {
            return Some(Step::End(EndCause::OutOfTime));
        }
        if call.tried.len() >= call.tries_max {
            return Some(Step::End(EndCause::Exhausted));
        }
        if let Some(pin) = call.pin.filter(|pin| self.is_pin_usable(call, *pin)) {
            return Some(Step::Ask(pin));
        }
        let mut slots = match call.target {
            Target::Anybody => self.candidates(&call.method, |slot| call.may_ask(slot)),
            Target::Only(slot) => vec![slot],
        };
        slots.retain(|slot| self.check_peer(*slot, &call.method).is_ok());
        if slots.is_empty() {
            let cause = if call.tried.is_empty() { EndCause::NoPeer } else { EndCause::Exhausted };
            return Some(Step::End(cause));
        }
        slots.retain(|slot| self.peers.get(*slot).is_some_and(|peer| peer.has_place(&self.config)));
        let chances = self.chances_of(&slots, &call.method, now);
        let drawn = draw(&chances, &mut self.rng).and_then(|position| slots.get(position));
        Some(drawn.map_or(Step::Wait, |slot| Step::Ask(*slot)))
    }

    fn is_pin_usable(&self, call: &Call, pin: Slot) -> bool {
        let is_fit = |peer: &Peer| !peer.is_client && !peer.refuses(&call.method) && peer.has_place(&self.config);
        call.tried.is_empty() && call.may_ask(pin) && self.peers.get(pin).is_some_and(is_fit)
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
        let weight = |slot: &Slot| self.peers.get(*slot).map_or(0.0, |peer| peer.weight(method, &self.config, now));
        let weights: Vec<f64> = slots.iter().map(weight).collect();
        chances(&weights, self.config.floor)
    }

    fn ask(&mut self, id: CallId, slot: Slot, now: Timestamp) {
        let (Some(call), Some(peer)) = (self.calls.calls.get_mut(&id), self.peers.get_mut(slot)) else { return };
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        peer.asked.insert(number, id);
        self.calls.waiting.remove(&id);
        self.stats.tries = self.stats.tries.saturating_add(1);
        self.stats.retried = self.stats.retried.saturating_add(u64::from(call.tried.len() == 1));

        let until = call.deadline.min(now.after(call.try_timeout));
        call.stage = Stage::Asked { peer: slot, number, since: now };
        let request = Request {
            number: Some(number),
            method: call.method.clone(),
            timeout: Some(until.since(now)),
            payload: call.payload.clone(),
        };
        let (message, lane) = (RpcMessage::Request(request), call.lane());
        self.outputs.push_back(Output::Send { to: slot, message, lane, expires: Some(until) });
        self.wake_at(id, until);
    }

    pub(super) fn wake_at(&mut self, id: CallId, at: Timestamp) {
        let Some(call) = self.calls.calls.get_mut(&id) else { return };
        self.timers.remove(&(call.wakes_at, Timer::Call(id)));
        call.wakes_at = at;
        self.timers.insert((at, Timer::Call(id)));
    }

    /// Gives waiting calls the places that a peer has, in the order in which they came.
    pub(super) fn use_places(&mut self, slot: Slot, now: Timestamp) {
        while let Some(id) = self.calls.waiting.iter().copied().find(|id| self.is_place_for(*id, slot, now)) {
            self.ask(id, slot, now);
        }
    }

    fn is_place_for(&self, id: CallId, slot: Slot, now: Timestamp) -> bool {
        let Some(call) = self.calls.calls.get(&id).filter(|call| now < call.deadline) else { return false };
        let Some(peer) = self.peers.get(slot).filter(|peer| peer.has_place(&self.config)) else { return false };
        let is_fit = match call.target {
            Target::Anybody => peer.has_told_of(&call.method) || (peer.told.is_none() && !self.is_served(call)),
            Target::Only(only) => only == slot,
        };
        is_fit && call.may_ask(slot) && self.check_peer(slot, &call.method).is_ok()
    }

    /// Whether somebody is left for a call who told that it serves the method.
    fn is_served(&self, call: &Call) -> bool {
        self.peers.iter().any(|(slot, peer)| peer.has_told_of(&call.method) && call.may_ask(slot))
    }

    /// Looks again at waiting calls, now that a peer is gone or serves less: whom they waited for may not be there any more.
    pub(super) fn reconsider_waiting(&mut self, slot: Slot, now: Timestamp) {
        let is_affected = |id: &CallId| {
            self.calls.calls.get(id).is_some_and(|call| match call.target {
                Target::Anybody => !self.is_served(call),
                Target::Only(only) => only == slot,
            })
        };
        let ids: Vec<CallId> = self.calls.waiting.iter().copied().filter(is_affected).collect();
        ids.into_iter().for_each(|id| self.advance(id, now));
    }

    /// The try of a call was in vain: the next peer is asked, or the call ends.
    pub(super) fn try_failed(&mut self, id: CallId, failure: Failure, now: Timestamp) {
        let Some(tried) = self.end_try(id, failure, now) else { return };
        let Some(call) = self.calls.calls.get(&id) else { return };
        let is_final = tried.failure.may_have_run() && !call.is_idempotent;
        let (method, deadline, is_full_time) = (call.method.clone(), call.deadline, tried.elapsed >= call.try_timeout);
        self.note_failure(&tried, &method, is_full_time, now);
        self.wake_at(id, deadline);
        if is_final {
            self.fail(id, EndCause::NotRepeatable);
        } else {
            self.advance(id, now);
        }
    }

    /// Ends a call's try without anything to be said about the peer.
    pub(super) fn give_up_try(&mut self, id: CallId, now: Timestamp) {
        let stage = self.calls.calls.get(&id).map(|call| call.stage.clone());
        if let Some(Stage::Asked { peer: slot, number, .. }) = stage
            && let Some(peer) = self.peers.get_mut(slot)
        {
            peer.give_up(number);
        }
        self.end_try(id, Failure::GivenUp, now);
    }

    /// Writes down that a call's try failed; `None` if it has none.
    fn end_try(&mut self, id: CallId, failure: Failure, now: Timestamp) -> Option<Tried<Slot>> {
        let call = self.calls.calls.get_mut(&id)?;
        let (peer, elapsed) = match &call.stage {
            Stage::Waiting => return None,
            Stage::Asked { peer, since, .. } => (*peer, now.since(*since)),
            Stage::Judged(answer) => (answer.from, answer.elapsed),
        };
        call.stage = Stage::Waiting;
        let tried = Tried { peer, failure, elapsed };
        call.tried.push(tried.clone());
        Some(tried)
    }

    fn note_failure(&mut self, tried: &Tried<Slot>, method: &MethodName, is_full_time: bool, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(tried.peer) else { return };
        let (outcome, conduct) = match &tried.failure {
            Failure::TimedOut if is_full_time => (Some(Outcome::TimedOut(tried.elapsed)), Some(Conduct::TimedOut)),
            // Nothing is known of a peer that had less than its time, or of one that was not reached.
            Failure::TimedOut | Failure::Lost | Failure::NotSent | Failure::GivenUp => (None, None),
            Failure::Useless => (Some(Outcome::InVain), Some(Conduct::CouldNotSatisfy)),
            Failure::Invalid => (Some(Outcome::False), Some(Conduct::AnsweredFalsely)),
            Failure::Refused(refusal) => match refusal.kind {
                RefusalKind::CannotSatisfy => (Some(Outcome::InVain), Some(Conduct::CouldNotSatisfy)),
                RefusalKind::NoSuchMethod => {
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
