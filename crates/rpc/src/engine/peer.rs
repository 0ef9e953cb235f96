//! What is kept for each connected peer.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use bruit_core::Timestamp;

use super::choice::{Outcome, Record};
use crate::{
    config::Config,
    event::{CallId, Ticket},
    method::MethodName,
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
    /// The link takes nothing for it at the moment.
    pub(super) is_full: bool,
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
}

impl Peer {
    /// `next_number` is the first number that a request to this peer could have.
    pub(super) fn new(is_client: bool, next_number: NonZeroU64) -> Self {
        Self {
            is_client,
            told: None,
            quality: 0.5,
            is_full: false,
            owes_methods: false,
            asked: BTreeMap::new(),
            asking: BTreeMap::new(),
            serving: 0,
            records: BTreeMap::new(),
            numbers: Numbers { late_before: next_number.get(), given_up: BTreeSet::new() },
        }
    }

    pub(super) fn has_told_of(&self, method: &MethodName) -> bool {
        self.told.as_ref().is_some_and(|told| told.contains(method))
    }

    pub(super) fn refuses(&self, method: &MethodName) -> bool {
        self.told.as_ref().is_some_and(|told| !told.contains(method))
    }

    pub(super) fn has_place(&self, config: &Config) -> bool {
        !self.is_full && self.asked.len() < config.pending_per_peer_max
    }

    pub(super) fn record(&self, method: &MethodName, now: Timestamp) -> Record {
        self.records.get(method).copied().unwrap_or(Record::unknown(now))
    }

    pub(super) fn weight(&self, method: &MethodName, config: &Config, now: Timestamp) -> f64 {
        self.record(method, now).weight(self.asked.len(), self.quality, config, now)
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

    #[test]
    fn late_answers_are_told_from_unasked_ones() {
        let mut peer = Peer::new(false, number(10));
        peer.asked.insert(number(10), CallId(1));
        peer.give_up(number(10));
        assert_eq!(peer.unexpected(number(9)), Unexpected::Late, "of an earlier connection");
        assert_eq!(peer.unexpected(number(10)), Unexpected::Late);
        assert_eq!(peer.unexpected(number(10)), Unexpected::Unasked, "the second time");
        assert_eq!(peer.unexpected(number(11)), Unexpected::Unasked);
    }

    #[test]
    fn given_up_numbers_are_bounded_and_forgetting_does_the_peer_no_harm() {
        let mut peer = Peer::new(false, number(1));
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
        let mut peer = Peer::new(false, number(1));
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
