use std::{collections::BTreeMap, time::Duration};

use bruit_core::{ChaCha8Rng, Endpoint, Timestamp};
use rand::RngExt;

/// When an endpoint may be dialled again. Bounded: beyond its limit the entry that ends first is forgotten.
#[derive(Debug)]
pub(super) struct Backoff {
    entries: BTreeMap<Endpoint, Entry>,
    entries_max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    not_before: Timestamp,
}

/// How delays grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    pub(super) base: Duration,
    pub(super) max: Duration,
}

impl Backoff {
    pub(super) const fn new(entries_max: usize) -> Self {
        Self { entries: BTreeMap::new(), entries_max }
    }

    pub(super) fn is_due(&self, endpoint: &Endpoint, now: Timestamp) -> bool {
        self.not_before(endpoint).is_none_or(|moment| moment <= now)
    }

    pub(super) fn not_before(&self, endpoint: &Endpoint) -> Option<Timestamp> {
        self.entries.get(endpoint).map(|entry| entry.not_before)
    }

    pub(super) fn failed(&mut self, endpoint: &Endpoint, growth: Growth, rng: &mut ChaCha8Rng, now: Timestamp) {
        let failures = self.entries.get(endpoint).map_or(0, |entry| entry.failures);
        let delay = growth.base.saturating_mul(2_u32.saturating_pow(failures)).min(growth.max);
        let jittered = delay.mul_f64(rng.random_range(0.75..1.25));
        self.put(endpoint, Entry { failures: failures.saturating_add(1), not_before: now.after(jittered) }, now);
    }

    pub(super) fn succeeded(&mut self, endpoint: &Endpoint) {
        self.entries.remove(endpoint);
    }

    pub(super) fn stay_away(&mut self, endpoint: &Endpoint, span: Duration, now: Timestamp) {
        let known = self.entries.get(endpoint).copied().unwrap_or(Entry { failures: 0, not_before: now });
        self.put(endpoint, Entry { not_before: known.not_before.max(now.after(span)), ..known }, now);
    }

    fn put(&mut self, endpoint: &Endpoint, entry: Entry, now: Timestamp) {
        if self.entries.len() >= self.entries_max && !self.entries.contains_key(endpoint) {
            self.entries.retain(|_, entry| entry.not_before > now);
        }
        if self.entries.len() >= self.entries_max
            && !self.entries.contains_key(endpoint)
            && let Some(first) = self.entries.iter().min_by_key(|(_, entry)| entry.not_before)
        {
            let first = first.0.clone();
            self.entries.remove(&first);
        }
        self.entries.insert(endpoint.clone(), entry);
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::Seed;

    use super::*;

    const GROWTH: Growth = Growth { base: Duration::from_secs(1), max: Duration::from_secs(60) };

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::tcp([1, 2, 3, 4].into(), port)
    }

    #[test]
    fn delays_double_with_jitter_up_to_the_maximum() {
        let (mut backoff, mut rng) = (Backoff::new(10), Seed::from_number(1).rng());
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let now = Timestamp::from_secs(1_000);
            backoff.failed(&endpoint(1), GROWTH, &mut rng, now);
            let delay = backoff.not_before(&endpoint(1)).unwrap().since(now).as_secs_f64();
            let expected = f64::from(expected);
            assert!((expected * 0.75..=expected * 1.25).contains(&delay), "{delay} for {expected}");
        }
        backoff.succeeded(&endpoint(1));
        assert!(backoff.is_due(&endpoint(1), Timestamp::from_secs(1_000)));
    }

    #[test]
    fn so_many_endpoints_are_remembered() {
        let remembered = |count: u16| {
            let mut backoff = Backoff::new(10);
            let span = |port: u16| Duration::from_secs(port.into());
            (1..=count).for_each(|port| backoff.stay_away(&endpoint(port), span(port), Timestamp::from_secs(1)));
            backoff.entries.len()
        };
        assert_eq!([9, 10, 11].map(remembered), [9, 10, 10]);
    }

    #[test]
    fn at_the_limit_the_entry_that_ends_first_is_forgotten() {
        let mut backoff = Backoff::new(2);
        let now = Timestamp::from_secs(1);
        backoff.stay_away(&endpoint(1), Duration::from_secs(20), now);
        backoff.stay_away(&endpoint(2), Duration::from_secs(10), now);
        backoff.stay_away(&endpoint(3), Duration::from_secs(30), now);
        let due = |port| backoff.is_due(&endpoint(port), now);
        assert_eq!((due(1), due(2), due(3)), (false, true, false));
    }
}
