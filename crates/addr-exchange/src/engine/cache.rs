use std::collections::BTreeMap;

use bruit_core::{Audience, Timestamp};

use crate::PeerAddr;

/// How much the owner's address book holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookSize {
    /// Its entries.
    pub entries: usize,
    /// Those of them that this node has reached.
    pub reached: usize,
}

impl BookSize {
    /// Whether there is twice as much of something as there was.
    const fn is_twice(self, before: Self) -> bool {
        const fn is(now: usize, before: usize) -> bool {
            before > 0 && now >= before.saturating_mul(2)
        }
        is(self.entries, before.entries) || is(self.reached, before.reached)
    }
}

/// One answer for each audience, until its time is over or the book has doubled.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    answers: BTreeMap<Audience, Answer>,
    book: BookSize,
}

#[derive(Clone, Debug)]
struct Answer {
    addrs: Vec<PeerAddr>,
    until: Timestamp,
    book: BookSize,
}

impl Cache {
    pub(super) fn book_counted(&mut self, book: BookSize) {
        self.book = book;
        self.answers.retain(|_, answer| !book.is_twice(answer.book));
    }

    pub(super) fn clear(&mut self) {
        self.answers.clear();
    }

    pub(super) fn put(&mut self, audience: Audience, addrs: Vec<PeerAddr>, until: Timestamp) {
        self.answers.insert(audience, Answer { addrs, until, book: self.book });
    }

    pub(super) fn find(&self, audience: Audience, now: Timestamp) -> Option<&[PeerAddr]> {
        let answer = self.answers.get(&audience).filter(|answer| now < answer.until)?;
        Some(&answer.addrs)
    }
}
