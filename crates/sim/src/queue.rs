//! What is to happen, in the order of time: a calendar of two levels.
//!
//! A page is 131 ms long and has 4,096 days of 32 us. What lies within the present page is put into its day unsorted, what lies
//! later is put on its page; a day is sorted when it comes. So nothing is moved more than thrice, whatever there is.
//!
//! What is due at the same moment comes node by node, so that a node is in the processor's caches once for all that happens to
//! it then, and at a node in the order in which it was caused. Which of two nodes comes first is as good as chance at every
//! moment anew. Nodes whose numbers are close come close to each other, since they are neighbours in memory too. What a moment
//! causes for itself comes after all that was there.

use std::collections::{BTreeMap, VecDeque};

use bruit_core::Timestamp;

const DAY_BITS: u32 = 5;
const PAGE_BITS: u32 = 12;
const DAYS: usize = 1 << PAGE_BITS;
/// How much one leaf of a later page holds: a page that is opened is given back leaf by leaf.
const LEAF_LEN: usize = 4_096;
/// From how much on a day is parted into crowds before it is sorted.
const CROWDED_LEN: usize = 1 << PLACE_BITS;
/// How many bits of a key say where among the others it stood.
const PLACE_BITS: u32 = 16;
/// Into how many crowds each moment of a crowded day is parted: a power of two.
const CROWDS_BITS: u32 = 10;
/// Buffers of days longer than this are given back, so that one crowded moment does not hold its memory for ever.
const SPARE_LEN_MAX: usize = 4_096;

pub(crate) struct Queue<T> {
    turns: Turns,
    /// The day that is open, counted from 1970.
    today: u64,
    due: VecDeque<(Timestamp, T)>,
    /// What else there is today, if today is crowded.
    crowds: VecDeque<Crowd<T>>,
    page: u64,
    days: Vec<Vec<(Timestamp, T)>>,
    /// Which days of the page have something, one bit each.
    busy: [u64; DAYS / 64],
    later: BTreeMap<u64, Vec<Vec<(Timestamp, T)>>>,
    spare: Vec<Vec<(Timestamp, T)>>,
}

/// What happens to somebody.
pub(crate) trait Happens {
    /// To whom.
    fn whose(&self) -> u32;
}

/// A part of what is due at one moment, in the order in which it was put there.
struct Crowd<T> {
    at: Timestamp,
    items: Vec<(Timestamp, T)>,
    /// The moment itself caused it: it keeps its order.
    is_late: bool,
}

impl<T: Happens> Queue<T> {
    /// Makes an empty queue for what happens to so many.
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            turns: Turns::of(nodes),
            today: 0,
            due: VecDeque::new(),
            crowds: VecDeque::new(),
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
            self.push_today(at, item);
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
            if !self.open_next_crowd() && !self.open_next_day() {
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

    /// Puts something after all that is due until that moment.
    fn push_today(&mut self, at: Timestamp, item: T) {
        let place = self.crowds.partition_point(|crowd| crowd.at <= at);
        let Some(before) = place.checked_sub(1) else {
            let after = self.due.partition_point(|(due, _)| *due <= at);
            self.due.insert(after, (at, item));
            return;
        };
        match self.crowds.get_mut(before).filter(|crowd| crowd.is_late && crowd.at == at) {
            Some(crowd) => crowd.items.push((at, item)),
            None => self.crowds.insert(place, Crowd { at, items: vec![(at, item)], is_late: true }),
        }
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
        if day.len() < CROWDED_LEN {
            self.turns.sort(&mut day);
            self.serve(day);
        } else {
            self.part(day);
        }
        true
    }

    /// Parts a crowded day by moments, and each by ranks, giving back the memory of the day on the way.
    fn part(&mut self, mut day: Vec<(Timestamp, T)>) {
        let mut crowds: Vec<Vec<(Timestamp, T)>> = Vec::new();
        crowds.resize_with(1 << (DAY_BITS + CROWDS_BITS), Vec::new);
        while !day.is_empty() {
            // From the end on, since only the end of a buffer can be given back.
            for (at, item) in day.split_off(day.len().saturating_sub(CROWDED_LEN)).into_iter().rev() {
                let moment = at.as_micros() as usize % (1 << DAY_BITS);
                let crowd = (moment << CROWDS_BITS) | self.turns.crowd(at, &item);
                crowds[crowd].push((at, item));
            }
            day.shrink_to_fit();
        }
        self.crowds.extend(crowds.into_iter().filter_map(|mut items| {
            let at = items.first()?.0;
            items.reverse();
            Some(Crowd { at, items, is_late: false })
        }));
    }

    fn open_next_crowd(&mut self) -> bool {
        let Some(Crowd { mut items, is_late, .. }) = self.crowds.pop_front() else { return false };
        if !is_late {
            self.turns.sort(&mut items);
        }
        self.serve(items);
        true
    }

    fn serve(&mut self, sorted: Vec<(Timestamp, T)>) {
        let used = Vec::from(std::mem::replace(&mut self.due, VecDeque::from(sorted)));
        if used.capacity() > 0 && used.capacity() <= SPARE_LEN_MAX {
            self.spare.push(used);
        }
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

/// Whose turn is when at a moment.
#[derive(Clone, Copy, Debug)]
struct Turns {
    /// How many bits the largest number has.
    bits: u32,
}

impl Turns {
    fn of(nodes: usize) -> Self {
        let last = u32::try_from(nodes.saturating_sub(1)).unwrap_or(u32::MAX);
        Self { bits: u32::BITS - last.leading_zeros() }
    }

    /// Different for any two. The first bit in which two numbers differ decides between them, and each moment turns some bits
    /// over.
    fn rank<T: Happens>(self, at: Timestamp, item: &T) -> u32 {
        let moment = at.as_micros().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let all = u32::MAX.checked_shr(u32::BITS - self.bits).unwrap_or(0);
        item.whose() ^ ((moment >> 32) as u32 & all)
    }

    /// Puts what is due on one day in order; what is equal in moment and rank stays as it is.
    ///
    /// What is sorted are keys of 8 bytes: the moment within the day, the rank, and the place. What they stand for is larger, and
    /// moved once.
    fn sort<T: Happens>(self, items: &mut [(Timestamp, T)]) {
        let moment = |at: Timestamp| at.as_micros() % (1 << DAY_BITS);
        if items.len() > 1 << PLACE_BITS {
            items.sort_by_key(|(at, item)| (moment(*at), self.rank(*at, item)));
            return;
        }
        let key =
            |(at, item): &(Timestamp, T)| (moment(*at) << u32::BITS | u64::from(self.rank(*at, item))) << PLACE_BITS;
        let mut keys: Vec<u64> = (0..).zip(&*items).map(|(place, item)| key(item) | place).collect();
        keys.sort_unstable();
        for place in 0..keys.len() {
            let mut from = keys[place] as usize % (1 << PLACE_BITS);
            // What stood there was moved to where it came from instead, once or more.
            while from < place {
                from = keys[from] as usize;
            }
            keys[place] = from as u64;
            items.swap(place, from);
        }
    }

    /// The part of a crowded moment: the first bits of the rank.
    fn crowd<T: Happens>(self, at: Timestamp, item: &T) -> usize {
        let crowd = self.rank(at, item) >> self.bits.saturating_sub(CROWDS_BITS);
        (crowd as usize).min((1 << CROWDS_BITS) - 1)
    }
}

#[cfg(test)]
mod tests;
