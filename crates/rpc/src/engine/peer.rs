//! What is kept for each connected peer.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU64,
};

use bruit_core::{Timestamp, TokenBucket};

use super::choice::{Outcome, Record, Weight};
use crate::{
    config::Config,
    event::{CallId, Ticket},
    message::{Lane, RpcMessage},
    method::{Askers, Class, Method, MethodName},
};

/// How many methods are remembered per peer: as many as one may serve.
const RECORDS_MAX: usize = 128;
/// How many numbers given up are remembered per peer, to tell a late answer from an invented one (a guess: four times the
/// requests that a peer may have at a time).
const GIVEN_UP_MAX: usize = 128;

pub(super) struct Peer {
    /// A client asks and is never asked.
    pub(super) is_client: bool,
    /// `None` until it has told.
    pub(super) told: Option<BTreeSet<MethodName>>,
    pub(super) quality: f64,
    pub(super) class: Class,
    /// The link takes nothing for it at the moment, on either lane.
    pub(super) is_full: [bool; Lane::COUNT],
    /// Parts of streamed answers, and their ends, that the link has not taken. No part is added while its lane is full, and each
    /// end has a place.
    pub(super) unsent: VecDeque<RpcMessage>,
    /// Its requests are not read at the moment.
    pub(super) is_paused: bool,
    /// Our list of methods did not leave.
    pub(super) owes_methods: bool,
    /// Our requests that it has not answered yet.
    pub(super) asked: BTreeMap<NonZeroU64, CallId>,
    /// Its requests that somebody waits for.
    pub(super) asking: BTreeMap<NonZeroU64, Ticket>,
    /// How many of its requests hold a place.
    pub(super) serving: usize,
    records: BTreeMap<MethodName, Record>,
    numbers: Numbers,
    budget: TokenBucket,
    budgets: BTreeMap<MethodName, TokenBucket>,
}

impl Peer {
    /// `next_number` is the first number that a request to this peer could have.
    pub(super) fn new(is_client: bool, next_number: NonZeroU64, config: &Config, now: Timestamp) -> Self {
        Self {
            is_client,
            told: None,
            quality: 0.5,
            class: Class::ORDINARY,
            is_full: [false; Lane::COUNT],
            unsent: VecDeque::new(),
            is_paused: false,
            owes_methods: false,
            asked: BTreeMap::new(),
            asking: BTreeMap::new(),
            serving: 0,
            records: BTreeMap::new(),
            numbers: Numbers { late_before: next_number.get(), given_up: BTreeSet::new() },
            budget: TokenBucket::new(config.cost_per_second, config.cost_burst, config.cost_burst, now),
            budgets: BTreeMap::new(),
        }
    }

    pub(super) fn has_told_of(&self, method: &MethodName) -> bool {
        self.told.as_ref().is_some_and(|told| told.contains(method))
    }

    pub(super) fn refuses(&self, method: &MethodName) -> bool {
        self.told.as_ref().is_some_and(|told| !told.contains(method))
    }

    pub(super) fn has_place(&self, lane: Lane, config: &Config) -> bool {
        !self.is_lane_full(lane) && self.asked.len() < config.pending_per_peer_max
    }

    pub(super) fn is_lane_full(&self, lane: Lane) -> bool {
        let [calls, bulk] = self.is_full;
        match lane {
            Lane::Calls => calls,
            Lane::Bulk => bulk,
        }
    }

    pub(super) fn set_full(&mut self, lane: Lane, is_full: bool) {
        let [calls, bulk] = &mut self.is_full;
        match lane {
            Lane::Calls => *calls = is_full,
            Lane::Bulk => *bulk = is_full,
        }
    }

    /// Forgets what the link has not taken of a streamed answer.
    pub(super) fn forget_unsent(&mut self, number: NonZeroU64) {
        self.unsent.retain(|message| match message {
            RpcMessage::Chunk(chunk) => chunk.number != number,
            RpcMessage::Response(response) => response.number != number,
            RpcMessage::Request(_) | RpcMessage::Cancel(_) | RpcMessage::Methods(_) | RpcMessage::Credit(_) => true,
        });
    }

    pub(super) fn may_use(&self, method: &Method) -> bool {
        match method.askers {
            Askers::Everybody => true,
            Askers::Linked => !self.is_client,
            Askers::Class(class) => !self.is_client && self.class == class,
        }
    }

    /// Takes the cost of a request from its budgets, if both have as much.
    pub(super) fn pay(&mut self, method: &Method, now: Timestamp) -> bool {
        let cost = u64::from(method.cost);
        if cost == 0 {
            return true;
        }
        if let Some(rate) = method.rate {
            let fresh = || TokenBucket::new(rate.per_second, rate.burst, rate.burst, now);
            let budget = self.budgets.entry(method.name.clone()).or_insert_with(fresh);
            if budget.available(now) < cost || !self.budget.take(cost, now) {
                return false;
            }
            return budget.take(cost, now);
        }
        self.budget.take(cost, now)
    }

    /// Forgets a budget, because its method is registered anew or no longer.
    pub(super) fn forget_budget(&mut self, method: &MethodName) {
        self.budgets.remove(method);
    }

    pub(super) fn record(&self, method: &MethodName, now: Timestamp) -> Record {
        self.records.get(method).copied().unwrap_or(Record::unknown(now))
    }

    pub(super) fn weight(&self, method: &MethodName, config: &Config, now: Timestamp) -> Weight {
        let record = self.record(method, now);
        let weight = record.weight(self.asked.len(), self.quality, config, now);
        Weight { weight, has_rested: record.has_rested(now) }
    }

    pub(super) fn note(&mut self, method: &MethodName, outcome: Outcome, config: &Config, now: Timestamp) {
        let mut record = self.record(method, now);
        record.note(outcome, config, now);
        self.records.insert(method.clone(), record);
        if self.records.len() > RECORDS_MAX {
            let oldest = self.records.iter().min_by_key(|(_, record)| record.at()).map(|(method, _)| method.clone());
            oldest.and_then(|method| self.records.remove(&method));
        }
    }

    /// Stops waiting for an answer that may still come.
    pub(super) fn give_up(&mut self, number: NonZeroU64) {
        if self.asked.remove(&number).is_some() {
            self.numbers.give_up(number.get());
        }
    }

    /// Whether a part of an answer comes only late; that may happen to many parts of one.
    pub(super) fn is_late(&self, number: NonZeroU64) -> bool {
        self.numbers.is_late(number.get())
    }

    /// What an answer is that no call waits for.
    pub(super) fn unexpected(&mut self, number: NonZeroU64) -> Unexpected {
        self.numbers.unexpected(number.get())
    }
}

/// An answer that no call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unexpected {
    /// It was asked for and given up.
    Late,
    /// It was never asked for, or answered already.
    Unasked,
}

/// Numbers whose answers may still come.
struct Numbers {
    /// An answer to a smaller number counts as late: it belongs to an earlier connection, or its number is forgotten.
    late_before: u64,
    given_up: BTreeSet<u64>,
}

impl Numbers {
    fn give_up(&mut self, number: u64) {
        self.given_up.insert(number);
        if self.given_up.len() > GIVEN_UP_MAX
            && let Some(oldest) = self.given_up.pop_first()
        {
            self.late_before = self.late_before.max(oldest.saturating_add(1));
        }
    }

    fn is_late(&self, number: u64) -> bool {
        number < self.late_before || self.given_up.contains(&number)
    }

    fn unexpected(&mut self, number: u64) -> Unexpected {
        if number < self.late_before || self.given_up.remove(&number) { Unexpected::Late } else { Unexpected::Unasked }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn number(n: u64) -> NonZeroU64 {
        NonZeroU64::new(n).unwrap()
    }

    fn peer(next_number: u64) -> Peer {
        Peer::new(false, number(next_number), &Config::default(), Timestamp::from_secs(0))
    }

    #[test]
    fn late_answers_are_told_from_unasked_ones() {
        let mut peer = peer(10);
        peer.asked.insert(number(10), CallId(1));
        peer.give_up(number(10));
        assert_eq!(peer.unexpected(number(9)), Unexpected::Late, "of an earlier connection");
        assert_eq!(peer.unexpected(number(10)), Unexpected::Late);
        assert_eq!(peer.unexpected(number(10)), Unexpected::Unasked, "the second time");
        assert_eq!(peer.unexpected(number(11)), Unexpected::Unasked);
    }

    #[test]
    fn given_up_numbers_are_bounded_and_forgetting_does_the_peer_no_harm() {
        let mut peer = peer(1);
        for n in 1..=GIVEN_UP_MAX as u64 + 5 {
            peer.asked.insert(number(n), CallId(n));
            peer.give_up(number(n));
        }
        assert_eq!(peer.numbers.given_up.len(), GIVEN_UP_MAX);
        assert_eq!(peer.unexpected(number(2)), Unexpected::Late);
        assert_eq!(peer.unexpected(number(6)), Unexpected::Late);
        assert_eq!(peer.unexpected(number(GIVEN_UP_MAX as u64 + 6)), Unexpected::Unasked);
    }

    #[test]
    fn records_are_bounded_and_the_oldest_goes() {
        let config = Config::default();
        let mut peer = peer(1);
        let good = Outcome::Good(Duration::ZERO);
        for n in 0..=RECORDS_MAX as u64 {
            let method = MethodName::new(&format!("m{n}")).unwrap();
            peer.note(&method, good, &config, Timestamp::from_secs(n));
        }
        assert_eq!(peer.records.len(), RECORDS_MAX);
        assert!(!peer.records.contains_key("m0"));
        assert!(peer.records.contains_key("m128"));
    }
}
