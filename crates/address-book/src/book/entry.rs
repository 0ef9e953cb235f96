use std::time::Duration;

use bruit_core::{Endpoint, LookupMap, NetGroup, PeerId, Timestamp};

use super::slab::Slab;

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) endpoint: Endpoint,
    pub(crate) group: NetGroup,
    /// The number of the peer.
    pub(crate) peer: Option<u32>,
    pub(crate) is_tried: bool,
    /// One for each place in *new*; in *tried* only the first, for the way back.
    pub(crate) source_groups: Vec<NetGroup>,
    /// Who answers for the entry until it was reached or found dead.
    pub(crate) told_by: Option<PeerId>,
    pub(crate) is_own_claim: bool,
    pub(crate) first_seen: Timestamp,
    pub(crate) last_seen: Timestamp,
    pub(crate) last_attempt: Option<Timestamp>,
    pub(crate) last_success: Option<Timestamp>,
    /// When a failure was last counted.
    pub(crate) counted: Option<Timestamp>,
    pub(crate) failures: u32,
    pub(crate) is_stored: bool,
}

/// Dials that failed before anything succeeded: Bitcoin Core's number for an entry never reached.
pub(crate) const FAILURES_NEVER_REACHED: u32 = 3;
const FAILURES_SINCE_SUCCESS: u32 = 10;
const SUCCESS_COUNTS_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);
const FUTURE_MAX: Duration = Duration::from_secs(10 * 60);
const JUST_TRIED: Duration = Duration::from_secs(60);
const TRIED_LATELY: Duration = Duration::from_secs(10 * 60);

impl Entry {
    /// In how many buckets it stands.
    pub(crate) fn places(&self) -> usize {
        if self.is_tried { 1 } else { self.source_groups.len() }
    }

    /// What it rests on: 2 when this node reached it, 1 when its peer named it, 0 when others did.
    pub(crate) fn standing(&self) -> u8 {
        if self.is_tried { 2 } else { u8::from(self.is_own_claim) }
    }

    /// Whether it is not worth its place, by Bitcoin Core's rules.
    pub(crate) fn is_terrible(&self, horizon: Duration, now: Timestamp) -> bool {
        if self.last_attempt.is_some_and(|attempt| now.since(attempt) < JUST_TRIED) {
            return false;
        }
        if self.last_seen > now.after(FUTURE_MAX) || now.since(self.last_seen) > horizon {
            return true;
        }
        match self.last_success {
            None => self.failures >= FAILURES_NEVER_REACHED,
            Some(success) => self.failures >= FAILURES_SINCE_SUCCESS && now.since(success) > SUCCESS_COUNTS_FOR,
        }
    }

    /// How likely it is taken when it is drawn, by Bitcoin Core's rule.
    pub(crate) fn chance(&self, now: Timestamp) -> f64 {
        let lately = self.last_attempt.is_some_and(|attempt| now.since(attempt) < TRIED_LATELY);
        let exponent = i32::try_from(self.failures.min(8)).unwrap_or(8);
        0.66_f64.powi(exponent) * if lately { 0.01 } else { 1.0 }
    }
}

/// All entries, found by number or by endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    slab: Slab<Entry>,
    by_endpoint: LookupMap<Endpoint, u32>,
}

impl Entries {
    pub(crate) fn new() -> Self {
        Self { slab: Slab::new(), by_endpoint: LookupMap::new() }
    }

    pub(crate) fn find(&self, endpoint: &Endpoint) -> Option<u32> {
        self.by_endpoint.get(endpoint).copied()
    }

    pub(crate) fn insert(&mut self, entry: Entry) -> u32 {
        let endpoint = entry.endpoint.clone();
        let number = self.slab.insert(entry);
        self.by_endpoint.insert(endpoint, number);
        number
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Entry> {
        let entry = self.slab.remove(number)?;
        self.by_endpoint.remove(&entry.endpoint);
        Some(entry)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Entry> {
        self.slab.get(number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.slab.get_mut(number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.slab.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn numbers(&self) -> u32 {
        self.slab.numbers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZON: Duration = Duration::from_secs(30 * 24 * 3_600);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000_000 + secs)
    }

    fn entry() -> Entry {
        Entry {
            endpoint: Endpoint::tcp([1, 2, 3, 4].into(), 5),
            group: NetGroup::V4(0x0102),
            peer: None,
            is_tried: false,
            source_groups: vec![NetGroup::V4(7)],
            told_by: None,
            is_own_claim: false,
            first_seen: at(0),
            last_seen: at(0),
            last_attempt: None,
            last_success: None,
            counted: None,
            failures: 0,
            is_stored: false,
        }
    }

    #[test]
    fn an_entry_is_terrible_by_age_and_by_failures() {
        let horizon = HORIZON.as_secs();
        assert!(!entry().is_terrible(HORIZON, at(horizon)));
        assert!(entry().is_terrible(HORIZON, at(horizon + 1)));
        let never = |failures| Entry { failures, ..entry() }.is_terrible(HORIZON, at(100));
        assert_eq!([never(2), never(3)], [false, true]);
        let week = SUCCESS_COUNTS_FOR.as_secs();
        let once =
            |failures, secs| Entry { failures, last_success: Some(at(0)), ..entry() }.is_terrible(HORIZON, at(secs));
        assert_eq!([once(10, week), once(9, week + 1), once(10, week + 1)], [false, false, true]);
        let just_tried = Entry { failures: 9, last_attempt: Some(at(0)), ..entry() };
        assert_eq!([59, 60].map(|secs| just_tried.is_terrible(HORIZON, at(secs))), [false, true]);
    }

    #[test]
    fn chance_falls_with_failures_and_right_after_an_attempt() {
        let chance = |failures, secs| Entry { failures, last_attempt: Some(at(0)), ..entry() }.chance(at(secs));
        assert_eq!(entry().chance(at(0)), 1.0);
        assert_eq!(chance(0, 600), 1.0);
        assert_eq!(chance(0, 599), 0.01);
        assert!((chance(2, 600) - 0.4356).abs() < 1e-9);
        assert_eq!(chance(8, 600), chance(u32::MAX, 600));
    }
}
