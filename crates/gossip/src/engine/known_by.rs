use bruit_core::Slot;

/// A set of peers, such as those known to have an item: a row of bits, one for each slot index.
///
/// Most nodes have fewer peers than a word has bits, so the first word needs no room of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownBy {
    first: u64,
    more: Box<[u64]>,
}

impl KnownBy {
    pub(super) fn of(slot: Slot) -> Self {
        let mut known_by = Self::default();
        known_by.insert(slot);
        known_by
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        let (place, bit) = place(slot);
        self.make_room(place);
        if let Some(word) = self.word_mut(place) {
            *word |= bit;
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let (place, bit) = place(slot);
        if let Some(word) = self.word_mut(place) {
            *word &= !bit;
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.words().map(u64::count_ones).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words().all(|word| word == 0)
    }

    pub(super) fn insert_all(&mut self, other: &Self) {
        self.make_room(other.more.len());
        self.words_mut().zip(other.words()).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn remove_all(&mut self, other: &Self) {
        self.words_mut().zip(other.words()).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        let (place, bit) = place(slot);
        let word = match place.checked_sub(1) {
            None => Some(&self.first),
            Some(place) => self.more.get(place),
        };
        word.is_some_and(|word| word & bit != 0)
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    fn words_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        std::iter::once(&mut self.first).chain(&mut self.more)
    }

    fn word_mut(&mut self, place: usize) -> Option<&mut u64> {
        match place.checked_sub(1) {
            None => Some(&mut self.first),
            Some(place) => self.more.get_mut(place),
        }
    }

    /// Makes room for so many words beside the first one.
    fn make_room(&mut self, more: usize) {
        if self.more.len() < more {
            let mut words = std::mem::take(&mut self.more).into_vec();
            words.resize(more, 0);
            self.more = words.into();
        }
    }
}

impl FromIterator<Slot> for KnownBy {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut known_by = Self::default();
        slots.into_iter().for_each(|slot| known_by.insert(slot));
        known_by
    }
}

const fn place(slot: Slot) -> (usize, u64) {
    (slot.index() / 64, 1 << (slot.index() % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_come_and_go_one_by_one() {
        let [a, b] = [Slot::new(63, 0), Slot::new(4_095, 0)];
        let mut row = KnownBy::of(a);
        assert!(row.contains(a) && !row.contains(b) && !row.contains(Slot::new(62, 0)));
        row.insert(b);
        row.remove(a);
        assert!(row.contains(b) && !row.contains(a));
        row.remove(b);
        assert_eq!(row, KnownBy { first: 0, more: vec![0; 63].into() });
        assert!(row.is_empty());
    }

    #[test]
    fn rows_are_added_and_taken_away() {
        let [a, b] = [Slot::new(3, 0), Slot::new(100, 0)];
        let mut row = KnownBy::of(a);
        row.insert_all(&KnownBy::of(b));
        assert_eq!((row.len(), row.contains(a), row.contains(b)), (2, true, true));
        row.remove_all(&KnownBy::of(a));
        assert_eq!((row.len(), row.contains(a), row.contains(b)), (1, false, true));
    }
}
