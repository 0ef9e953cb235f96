//! Equal calls under way share one answer: who leads, and who follows.
//!
//! The leader is a call like any other. A follower is no more than an id and a deadline; when its leader is taken back or out of
//! time, a follower goes on in its place with all that is under way. Who judges answers follows only who judges them too, and
//! takes the leader's judgement for its own.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use bruit_core::Timestamp;
use bytes::Bytes;

use super::{Engine, Timer, calls::count};
use crate::{
    event::{CallError, CallId, EndCause, Event},
    method::MethodName,
};

/// Who shares whose answer.
#[derive(Default)]
pub(super) struct Joins {
    leaders: BTreeMap<MethodName, BTreeMap<Bytes, CallId>>,
    followers: BTreeMap<CallId, Follower>,
    by_leader: BTreeMap<CallId, Vec<CallId>>,
}

/// A call that waits for the answer of another.
#[derive(Clone, Copy)]
pub(super) struct Follower {
    pub(super) id: CallId,
    leader: CallId,
    deadline: Timestamp,
    validate: bool,
}

impl Joins {
    pub(super) fn len(&self) -> usize {
        self.followers.len()
    }

    pub(super) fn lead(&mut self, method: MethodName, payload: Bytes, id: CallId) {
        self.leaders.entry(method).or_default().insert(payload, id);
    }

    /// A follower leads in its leader's place, unless another call has taken the lead meanwhile.
    fn succeed(&mut self, method: &MethodName, payload: &Bytes, leader: CallId, heir: CallId) {
        if let Some(leading) = self.leaders.get_mut(method).and_then(|leaders| leaders.get_mut(payload))
            && *leading == leader
        {
            *leading = heir;
        }
    }

    /// The leader ends; returns who followed it.
    pub(super) fn end(&mut self, method: &MethodName, payload: &Bytes, id: CallId) -> Vec<Follower> {
        if let Some(leaders) = self.leaders.get_mut(method)
            && leaders.get(payload) == Some(&id)
        {
            leaders.remove(payload);
            if leaders.is_empty() {
                self.leaders.remove(method);
            }
        }
        let ids = self.by_leader.remove(&id).unwrap_or_default();
        ids.into_iter().filter_map(|id| self.followers.remove(&id)).collect()
    }

    fn leave(&mut self, id: CallId) -> Option<Follower> {
        let follower = self.followers.remove(&id)?;
        if let Some(ids) = self.by_leader.get_mut(&follower.leader) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_leader.remove(&follower.leader);
            }
        }
        Some(follower)
    }
}

impl Engine {
    /// Lets a call share the answer of an equal one; `None` where there is none.
    pub(super) fn join(
        &mut self,
        method: &MethodName,
        payload: &Bytes,
        validate: bool,
        deadline: Timestamp,
    ) -> Option<CallId> {
        let leader = *self.calls.joins.leaders.get(method)?.get(payload)?;
        if validate && !self.calls.calls.get(&leader)?.validate {
            return None;
        }
        let id = self.calls.next_id();
        self.calls.joins.followers.insert(id, Follower { id, leader, deadline, validate });
        self.calls.joins.by_leader.entry(leader).or_default().push(id);
        self.timers.insert((deadline, Timer::Call(id)));
        self.stats.joined = self.stats.joined.saturating_add(1);
        Some(id)
    }

    /// Ends a call that shares another's answer; false if it does not.
    pub(super) fn leave_join(&mut self, id: CallId, cause: EndCause) -> bool {
        let Some(follower) = self.calls.joins.leave(id) else { return false };
        self.end_joined(&follower);
        self.count_failed(cause);
        let leader = self.calls.calls.get(&follower.leader);
        let method = leader.map(|call| call.method.clone());
        if let Some(method) = method {
            let error = CallError { method, cause, tried: Vec::new() };
            self.emit(Event::Done { call: id, result: Err(error), tries: 0 });
        }
        self.tell_if_drained();
        true
    }

    pub(super) fn leave_join_at(&mut self, id: CallId, now: Timestamp) -> bool {
        let is_due = self.calls.joins.followers.get(&id).is_some_and(|follower| follower.deadline <= now);
        is_due && self.leave_join(id, EndCause::OutOfTime)
    }

    pub(super) fn end_joined(&mut self, follower: &Follower) {
        self.timers.remove(&(follower.deadline, Timer::Call(follower.id)));
    }

    /// Ends a call whose answer others want too: the first of them that judges answers goes on in its place, or else the first.
    /// False if nobody with time left is there.
    pub(super) fn hand_over(&mut self, id: CallId, cause: EndCause, now: Timestamp) -> bool {
        for follower in self.calls.joins.by_leader.get(&id).cloned().unwrap_or_default() {
            self.leave_join_at(follower, now);
        }
        let joins = &self.calls.joins;
        let Some(ids) = joins.by_leader.get(&id) else { return false };
        let judges = |id: &&CallId| joins.followers.get(*id).is_some_and(|follower| follower.validate);
        let Some(heir) = ids.iter().find(judges).or(ids.first()).copied() else { return false };
        let (Some(mut call), Some(follower)) = (self.calls.calls.remove(&id), self.calls.joins.leave(heir)) else {
            return false;
        };
        self.end_joined(&follower);
        let is_waiting = self.calls.waiting.remove(&id);
        if let Some(at) = call.wakes_at.take() {
            self.timers.remove(&(at, Timer::Call(id)));
        }
        let joins = &mut self.calls.joins;
        let others = joins.by_leader.remove(&id).unwrap_or_default();
        for other in &others {
            if let Some(follower) = joins.followers.get_mut(other) {
                follower.leader = heir;
            }
        }
        if !others.is_empty() {
            joins.by_leader.insert(heir, others);
        }
        joins.succeed(&call.method, &call.payload, id, heir);
        for ask in &call.asks {
            if let Some(peer) = self.peers.get_mut(ask.peer) {
                peer.asked.insert(ask.number, heir);
            }
        }
        self.count_failed(cause);
        let tries = count(call.tried.len());
        let error = CallError { method: call.method.clone(), cause, tried: call.tried.clone() };
        self.emit(Event::Done { call: id, result: Err(error), tries });

        let judged = call.judged.take();
        (call.deadline, call.validate) = (follower.deadline, follower.validate);
        let is_idle = call.asks.is_empty() && judged.is_none();
        self.calls.calls.insert(heir, call);
        match judged {
            Some(answer) if follower.validate => self.judge(heir, answer),
            Some(answer) => {
                self.succeed(heir, answer, now);
                return true;
            }
            None => {}
        }
        if is_waiting || is_idle {
            self.advance(heir, now);
        }
        self.rewake(heir);
        true
    }
}
