//! Test before evict: who was reached, and whose place in *tried* somebody holds, waits until that somebody was dialled again.

use bruit_core::{Endpoint, Timestamp};
use rand::RngExt;

use super::{AddressBook, Choice, spot::Secs};

/// Entries of *new* that wait for a place in *tried*.
#[derive(Clone, Debug, Default)]
pub(super) struct Collisions {
    /// Numbers of entries, and since when each waits.
    waiting: Vec<(u32, Timestamp)>,
}

/// How many wait at most. 10: Bitcoin Core.
const COLLISIONS_MAX: usize = 10;
/// Who was reached so lately keeps its place without a test. 4 h: Bitcoin Core.
const REPLACEMENT_SECS: u32 = 4 * 3_600;
/// How long after an attempt a test counts as failed. 60 s: Bitcoin Core.
const TEST_SECS: u32 = 60;
/// How long one waits at most. 40 min: Bitcoin Core, which then evicts untested; here the holder keeps its place.
const TEST_WINDOW_SECS: u32 = 40 * 60;

/// What came of those that waited for a place in *tried*.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Endpoints that have the place now: the one before was dialled in vain.
    pub promoted: Vec<Endpoint>,
    /// How many wait no longer: the holder was reached, or could not be tested in time.
    pub given_up: usize,
}

impl Collisions {
    /// Lets an entry wait; when enough do, it does not.
    pub(super) fn add(&mut self, number: u32, now: Timestamp) {
        if self.waiting.len() < COLLISIONS_MAX && self.waiting.iter().all(|(waiting, _)| *waiting != number) {
            self.waiting.push((number, now));
        }
    }

    pub(super) fn forget(&mut self, number: u32) {
        self.waiting.retain(|(waiting, _)| *waiting != number);
    }

    pub(super) const fn len(&self) -> usize {
        self.waiting.len()
    }
}

enum Verdict {
    Waits,
    Promoted,
    GivenUp,
}

impl AddressBook {
    /// Whom a feeler should dial first: an entry of *tried* whose place somebody waits for. `None` if nobody waits, or whoever
    /// is to be tested was dialled a minute ago.
    pub fn select_collision(&mut self, now: Timestamp) -> Option<Choice> {
        self.resolve_collisions(now);
        let holders: Vec<u32> =
            self.collisions.waiting.iter().filter_map(|(number, _)| self.holder_of(*number)).collect();
        let second = Secs::of(now);
        let untested = |number: &u32| {
            let attempt = self.entries.get(*number).map(|entry| entry.last_attempt);
            attempt.is_some_and(|attempt| attempt.is_never() || second.since(attempt) > TEST_SECS)
        };
        let untested: Vec<u32> = holders.into_iter().filter(untested).collect();
        let index = (!untested.is_empty()).then(|| self.rng.random_range(0..untested.len()))?;
        untested.get(index).and_then(|number| self.entries.get(*number)).map(|entry| self.choice(entry))
    }

    /// Decides about those that wait for a place in *tried*, as far as that can be.
    ///
    /// # Security
    /// Nobody loses its place untested: who floods a book with endpoints that answer can at most have old ones dialled.
    pub fn resolve_collisions(&mut self, now: Timestamp) -> Resolved {
        let mut resolved = Resolved::default();
        for (number, since) in self.collisions.waiting.clone() {
            match self.verdict(number, since, now) {
                Verdict::Waits => {}
                Verdict::GivenUp => {
                    self.collisions.forget(number);
                    resolved.given_up += 1;
                }
                Verdict::Promoted => {
                    let endpoint = self.entries.get(number).map(|entry| entry.spot.endpoint());
                    self.promote_over(number, now);
                    resolved.promoted.extend(endpoint);
                }
            }
        }
        resolved
    }

    /// How many wait for a place in *tried*.
    pub const fn collisions(&self) -> usize {
        self.collisions.len()
    }

    fn holder_of(&self, number: u32) -> Option<u32> {
        let entry = self.entries.get(number)?;
        self.tried.rival(self.place_in_tried(entry))
    }

    fn verdict(&self, number: u32, since: Timestamp, now: Timestamp) -> Verdict {
        let Some(holder) = self.holder_of(number).and_then(|holder| self.entries.get(holder)) else {
            return Verdict::Promoted;
        };
        let second = Secs::of(now);
        if second.since(holder.last_success) < REPLACEMENT_SECS {
            return Verdict::GivenUp;
        }
        let was_tested = holder.failures > 0 && holder.counted >= Secs::of(since);
        if was_tested && second.since(holder.last_attempt) >= TEST_SECS {
            return Verdict::Promoted;
        }
        if now.since(since).as_secs() > u64::from(TEST_WINDOW_SECS) { Verdict::GivenUp } else { Verdict::Waits }
    }
}
