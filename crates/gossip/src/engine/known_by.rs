use bruit_core::Slot;

/// A set of peers, such as those known to have an item: a row of bits, one for each slot index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownBy {
    words: Vec<u64>,
}

impl KnownBy {
    pub(super) fn of(slot: Slot) -> Self {
        let mut known_by = Self::default();
        known_by.insert(slot);
        known_by
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        let (word, bit) = place(slot);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let (word, bit) = place(slot);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn insert_all(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn remove_all(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn contains(&self, slot: Slot) -> bool {
        let (word, bit) = place(slot);
        self.words.get(word).is_some_and(|word| word & bit != 0)
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
        assert_eq!(row, KnownBy { words: vec![0; 64] });
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
