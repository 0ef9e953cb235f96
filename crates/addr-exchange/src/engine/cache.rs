use std::collections::BTreeMap;

use bruit_core::{Audience, Timestamp};

use crate::PeerAddr;

/// One answer for each audience, until its time is over or the book has doubled.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    answers: BTreeMap<Audience, Answer>,
    book_entries: usize,
}

#[derive(Clone, Debug)]
struct Answer {
    addrs: Vec<PeerAddr>,
    until: Timestamp,
    book_entries: usize,
}

impl Cache {
    pub(super) fn book_counted(&mut self, entries: usize) {
        self.book_entries = entries;
        self.answers.retain(|_, answer| answer.book_entries == 0 || entries < answer.book_entries.saturating_mul(2));
    }

    pub(super) fn clear(&mut self) {
        self.answers.clear();
    }

    pub(super) fn put(&mut self, audience: Audience, addrs: Vec<PeerAddr>, until: Timestamp) {
        self.answers.insert(audience, Answer { addrs, until, book_entries: self.book_entries });
    }

    pub(super) fn find(&self, audience: Audience, now: Timestamp) -> Option<&[PeerAddr]> {
        let answer = self.answers.get(&audience).filter(|answer| now < answer.until)?;
        Some(&answer.addrs)
    }
}
