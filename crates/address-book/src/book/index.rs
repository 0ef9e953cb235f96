/// Numbers found by a hash of what they stand for: 4 bytes a place, at most three quarters full.
///
/// It keeps the rest of a place's 32 bits, beside the number's `BITS`, for a part of the hash, so that a look-up compares few
/// that it does not want.
#[derive(Clone, Debug)]
pub(crate) struct Index<const BITS: u32> {
    places: Vec<u32>,
    len: usize,
}

const EMPTY: u32 = u32::MAX;
const PLACES_MIN: usize = 16;

impl<const BITS: u32> Index<BITS> {
    /// The number in a place; also one more than the largest.
    const MASK: u32 = (1 << BITS) - 1;

    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), len: 0 }
    }

    /// The number with this hash for which `is_wanted` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(hash)?;
        loop {
            match *self.places.get(at)? {
                EMPTY => return None,
                place if place >> BITS == Self::tag(hash) && is_wanted(place & Self::MASK) => {
                    return Some(place & Self::MASK);
                }
                _ => at = self.next(at),
            }
        }
    }

    /// Adds a number that is not there yet; `hash_of` gives the hash of any number that is.
    pub(crate) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        assert!(number < Self::MASK, "the settings bound how many numbers there are");
        if (self.len + 1) * 4 > self.places.len() * 3 {
            let size = (self.places.len() * 2).max(PLACES_MIN);
            let old = std::mem::replace(&mut self.places, vec![EMPTY; size]);
            for place in old.into_iter().filter(|place| *place != EMPTY) {
                self.put(hash_of(place & Self::MASK), place & Self::MASK);
            }
        }
        self.put(hash, number);
        self.len += 1;
    }

    /// Takes a number out; `hash_of` gives the hash of any number that is there.
    pub(crate) fn remove(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        let Some(mut hole) = self.home(hash) else { return };
        loop {
            match self.places.get(hole).copied() {
                None | Some(EMPTY) => return,
                Some(place) if place & Self::MASK == number => break,
                Some(_) => hole = self.next(hole),
            }
        }
        self.len -= 1;
        // What was pushed on by the one that leaves moves back, so that no search ends too early.
        let mut at = hole;
        loop {
            at = self.next(at);
            let place = self.places.get(at).copied().unwrap_or(EMPTY);
            if place == EMPTY {
                break;
            }
            let home = self.home(hash_of(place & Self::MASK)).unwrap_or(at);
            let mask = self.places.len() - 1;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.set(hole, place);
                hole = at;
            }
        }
        self.set(hole, EMPTY);
    }

    fn put(&mut self, hash: u64, number: u32) {
        let Some(mut at) = self.home(hash) else { return };
        while self.places.get(at).is_some_and(|place| *place != EMPTY) {
            at = self.next(at);
        }
        self.set(at, Self::tag(hash) << BITS | number);
    }

    fn set(&mut self, at: usize, value: u32) {
        if let Some(place) = self.places.get_mut(at) {
            *place = value;
        }
    }

    #[inline]
    fn home(&self, hash: u64) -> Option<usize> {
        (!self.places.is_empty()).then(|| hash as usize & (self.places.len() - 1))
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    /// How many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<u32>()
    }

    const fn tag(hash: u64) -> u32 {
        (hash >> (32 + BITS)) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Few different hashes, so that places are contested.
    fn hash_of(number: u32) -> u64 {
        u64::from(number % 23).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn what_is_in_is_found_and_what_left_is_not() {
        let mut index = Index::<24>::new();
        let mut model = BTreeSet::new();
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (state >> 33) as u32 % 300;
            if model.remove(&number) {
                index.remove(hash_of(number), number, hash_of);
            } else {
                model.insert(number);
                index.insert(hash_of(number), number, hash_of);
            }
            let probe = (state >> 40) as u32 % 300;
            let found = index.find(hash_of(probe), |other| other == probe);
            assert_eq!(found.is_some(), model.contains(&probe));
        }
        assert!(model.iter().all(|number| index.find(hash_of(*number), |other| other == *number) == Some(*number)));
        assert!(index.bytes() <= 1_024 * 4);
    }
}
