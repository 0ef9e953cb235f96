use bruit_core::Slot;

/// The peers known to have an item: a row of bits, one for each slot index.
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

    pub(super) fn contains(&self, slot: Slot) -> bool {
        let (word, bit) = place(slot);
        self.words.get(word).is_some_and(|word| word & bit != 0)
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
    }
}
