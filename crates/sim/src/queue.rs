//! What is to happen, in the order of time: a calendar of two levels.
//!
//! A page is 131 ms long and has 4,096 days of 32 us. What lies within the present page is put into its day unsorted, what lies
//! later is put on its page; a day is sorted when it comes. So nothing is moved more than twice, whatever there is, and what is
//! due at the same moment stays in the order in which it was put there.

use std::collections::{BTreeMap, VecDeque};

use bruit_core::Timestamp;

const DAY_BITS: u32 = 5;
const PAGE_BITS: u32 = 12;
const DAYS: usize = 1 << PAGE_BITS;
/// How much one leaf of a later page holds: a page that is opened is given back leaf by leaf.
const LEAF_LEN: usize = 4_096;
/// Buffers of days longer than this are given back, so that one crowded moment does not hold its memory for ever.
const SPARE_LEN_MAX: usize = 4_096;

pub(crate) struct Queue<T> {
    /// The day that is open, counted from 1970.
    today: u64,
    due: VecDeque<(Timestamp, T)>,
    page: u64,
    days: Vec<Vec<(Timestamp, T)>>,
    /// Which days of the page have something, one bit each.
    busy: [u64; DAYS / 64],
    later: BTreeMap<u64, Vec<Vec<(Timestamp, T)>>>,
    spare: Vec<Vec<(Timestamp, T)>>,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            today: 0,
            due: VecDeque::new(),
            page: 0,
            days: std::iter::repeat_with(Vec::new).take(DAYS).collect(),
            busy: [0; DAYS / 64],
            later: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, at: Timestamp, item: T) {
        let day = at.as_micros() >> DAY_BITS;
        let page = day >> PAGE_BITS;
        if day <= self.today {
            let after = self.due.partition_point(|(due, _)| *due <= at);
            self.due.insert(after, (at, item));
        } else if page == self.page {
            self.put(day, at, item);
        } else {
            let leaves = self.later.entry(page).or_default();
            match leaves.last_mut().filter(|leaf| leaf.len() < LEAF_LEN) {
                Some(leaf) => leaf.push((at, item)),
                None => leaves.push(vec![(at, item)]),
            }
        }
    }

    /// Takes what is due next, if it is due up to and at `until`.
    pub(crate) fn pop_until(&mut self, until: Timestamp) -> Option<(Timestamp, T)> {
        while self.due.is_empty() {
            if !self.open_next_day() {
                return None;
            }
        }
        if self.due.front().is_none_or(|(at, _)| *at > until) {
            return None;
        }
        self.due.pop_front()
    }

    /// The first of what comes next, as far as it is known by now.
    pub(crate) fn upcoming(&self) -> impl Iterator<Item = &T> {
        self.due.iter().map(|(_, item)| item)
    }

    fn put(&mut self, day: u64, at: Timestamp, item: T) {
        let index = day as usize % DAYS;
        self.busy[index / 64] |= 1 << (index % 64);
        self.days[index].push((at, item));
    }

    fn open_next_day(&mut self) -> bool {
        let Some(index) = self.next_busy_day() else { return self.open_next_page() };
        self.busy[index / 64] &= !(1 << (index % 64));
        self.today = (self.page << PAGE_BITS) | index as u64;
        let mut day = std::mem::replace(&mut self.days[index], self.spare.pop().unwrap_or_default());
        day.sort_by_key(|(at, _)| *at);
        let used = Vec::from(std::mem::replace(&mut self.due, VecDeque::from(day)));
        if used.capacity() > 0 && used.capacity() <= SPARE_LEN_MAX {
            self.spare.push(used);
        }
        true
    }

    fn open_next_page(&mut self) -> bool {
        let Some((page, leaves)) = self.later.pop_first() else { return false };
        self.page = page;
        for (at, item) in leaves.into_iter().flatten() {
            self.put(at.as_micros() >> DAY_BITS, at, item);
        }
        true
    }

    /// The first day of the page that has something. Days before today have nothing.
    fn next_busy_day(&self) -> Option<usize> {
        let words = self.busy.iter().enumerate();
        words.into_iter().find(|(_, word)| **word != 0).map(|(index, word)| index * 64 + word.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::Seed;
    use rand::RngExt;

    use super::*;

    fn drain(queue: &mut Queue<u32>, until: u64) -> Vec<(u64, u32)> {
        let until = Timestamp::from_micros(until);
        std::iter::from_fn(|| queue.pop_until(until)).map(|(at, item)| (at.as_micros(), item)).collect()
    }

    #[test]
    fn what_is_due_at_the_same_moment_keeps_its_order() {
        let mut queue = Queue::new();
        let far = 10_000_000_000;
        for (item, at) in [(0, far), (1, 5), (2, far), (3, 5), (4, 4), (5, far - 1)] {
            queue.push(Timestamp::from_micros(at), item);
        }
        assert_eq!(drain(&mut queue, 5), [(4, 4), (5, 1), (5, 3)]);
        assert_eq!(drain(&mut queue, far - 2), []);
        queue.push(Timestamp::from_micros(7), 6);
        queue.push(Timestamp::from_micros(far), 7);
        assert_eq!(drain(&mut queue, far), [(7, 6), (far - 1, 5), (far, 0), (far, 2), (far, 7)]);
        assert_eq!(drain(&mut queue, u64::MAX), []);
    }

    #[test]
    fn any_order_of_pushing_comes_out_sorted_and_stable() {
        let mut rng = Seed::from_number(1).rng();
        let (mut queue, mut model, mut now) = (Queue::new(), BTreeMap::new(), 1_700_000_000_000_000_u64);
        for number in 0..20_000_u32 {
            let spans = [1, 40, 1_000, 131_072, 5_000_000];
            let span = spans[rng.random_range(0..spans.len())];
            let at = now + rng.random_range(0..span);
            queue.push(Timestamp::from_micros(at), number);
            model.insert((at, number), ());
            if rng.random_bool(0.3) {
                now += rng.random_range(0..20_000);
                let due: Vec<_> = model.range(..=(now, u32::MAX)).map(|(key, ())| *key).collect();
                assert_eq!(drain(&mut queue, now), due);
                due.iter().for_each(|key| _ = model.remove(key));
            }
        }
        assert_eq!(drain(&mut queue, u64::MAX).len(), model.len());
    }
}
