use std::time::Duration;

use bruit_core::Timestamp;

/// Whether our own network is out: then failures say nothing about others.
///
/// It is out when so many dials failed in a row, to as many different endpoints and over some time, and nobody was reached or
/// heard of meanwhile. One sign of life ends it.
#[derive(Clone, Debug, Default)]
pub(super) struct Outage {
    /// When anybody was last reached.
    last_reached: Option<Timestamp>,
    /// Who failed since the last sign of life.
    failed: Vec<u32>,
    failing_since: Option<Timestamp>,
    is_offline: bool,
}

/// How many endpoints in a row must fail before our own network counts as out. 8: as many as are dialled at once, so that one
/// round of dials must have failed whole.
const OUTAGE_FAILURES_MIN: usize = 8;
/// How long nothing but failures must come before our own network counts as out. 10 s: a guess, two timeouts of a dial.
const OUTAGE_AFTER: Duration = Duration::from_secs(10);

impl Outage {
    /// Tells that somebody was reached.
    pub(super) fn reached(&mut self, now: Timestamp) {
        self.last_reached = Some(now);
        self.heard();
    }

    /// Tells of any sign of life of anybody.
    pub(super) fn heard(&mut self) {
        self.failed.clear();
        self.failing_since = None;
        self.is_offline = false;
    }

    /// Tells that the dial of an entry failed.
    pub(super) fn failed(&mut self, number: u32, now: Timestamp) {
        let since = *self.failing_since.get_or_insert(now);
        if self.failed.len() < OUTAGE_FAILURES_MIN && !self.failed.contains(&number) {
            self.failed.push(number);
        }
        self.is_offline |= self.failed.len() >= OUTAGE_FAILURES_MIN && now.since(since) >= OUTAGE_AFTER;
    }

    pub(super) const fn last_reached(&self) -> Option<Timestamp> {
        self.last_reached
    }

    pub(super) const fn is_offline(&self) -> bool {
        self.is_offline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(endpoints: u32, secs: u64) -> Outage {
        let mut outage = Outage::default();
        let at = Timestamp::from_secs;
        outage.reached(at(90));
        outage.failed(0, at(100));
        outage.failed(0, at(101));
        (1..endpoints).for_each(|number| outage.failed(number, at(100 + secs)));
        outage
    }

    #[test]
    fn so_many_endpoints_must_fail_for_so_long() {
        let is_offline = |(endpoints, secs)| after(endpoints, secs).is_offline();
        assert_eq!([(7, 10), (8, 10), (9, 10)].map(is_offline), [false, true, true]);
        assert_eq!([(8, 9), (8, 10), (8, 11)].map(is_offline), [false, true, true]);
    }

    #[test]
    fn one_sign_of_life_ends_it() {
        let mut outage = after(20, 60);
        outage.heard();
        assert!(!outage.is_offline());
        assert_eq!(outage.last_reached(), Some(Timestamp::from_secs(90)));
        outage.failed(1, Timestamp::from_secs(200));
        assert!(!outage.is_offline());
    }
}
