use std::fmt;

/// How many slots can exist at once: the largest value of a behaviour's `peers_max`.
pub const SLOTS_MAX: usize = 1 << INDEX_BITS;

const INDEX_BITS: u32 = 12;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
const GENERATION_MASK: u32 = (1 << (32 - INDEX_BITS)) - 1;

/// A number for a connected peer: 12 bits of index, 20 bits of generation.
///
/// It is given out by one behaviour (or by the simulator), never leaves it and never crosses to another engine. What is stored
/// beyond the current call keeps the full slot, so that something late never reaches the next holder of the index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    /// Makes a slot; for tests and the simulator. Bits beyond 12 and 20 are cut off.
    pub const fn new(index: u32, generation: u32) -> Self {
        Self(((generation & GENERATION_MASK) << INDEX_BITS) | (index & INDEX_MASK))
    }

    /// The position in a table, below [`SLOTS_MAX`].
    pub const fn index(self) -> usize {
        (self.0 & INDEX_MASK) as usize
    }

    /// How many holders this index had before, modulo 2^20.
    pub const fn generation(self) -> u32 {
        self.0 >> INDEX_BITS
    }

    const fn next_holder(self) -> Self {
        Self::new(self.0, self.generation().wrapping_add(1))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({}.{})", self.index(), self.generation())
    }
}

/// All slots are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {peers_max} slots are taken")]
pub struct SlotsFullError {
    /// How many there are.
    pub peers_max: usize,
}

/// Gives out slots, and keeps a value for each one that is taken.
#[derive(Clone, Debug)]
pub struct SlotTable<T> {
    entries: Vec<(Slot, Option<T>)>,
    free: Vec<u32>,
    peers_max: usize,
}

impl<T> SlotTable<T> {
    /// Makes an empty table of at most `peers_max` slots, itself at most [`SLOTS_MAX`].
    pub fn new(peers_max: usize) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), peers_max: peers_max.min(SLOTS_MAX) }
    }

    /// Takes a slot for `value`. The index freed longest ago comes last, so that small tables stay dense.
    pub fn insert(&mut self, value: T) -> Result<Slot, SlotsFullError> {
        if let Some(index) = self.free.pop()
            && let Some((slot, place)) = self.entries.get_mut(index as usize)
        {
            *place = Some(value);
            return Ok(*slot);
        }
        let Some(index) = u32::try_from(self.entries.len()).ok().filter(|_| self.entries.len() < self.peers_max) else {
            return Err(SlotsFullError { peers_max: self.peers_max });
        };
        let slot = Slot::new(index, 0);
        self.entries.push((slot, Some(value)));
        Ok(slot)
    }

    /// Frees a slot; `None` if it is stale.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let (holder, place) = self.entries.get_mut(slot.index())?;
        if *holder != slot {
            return None;
        }
        let value = place.take()?;
        *holder = slot.next_holder();
        self.free.push(slot.0 & INDEX_MASK);
        Some(value)
    }

    /// The value of a slot; `None` if it is stale.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.entries.get(slot.index()).filter(|(holder, _)| *holder == slot)?.1.as_ref()
    }

    /// The value of a slot; `None` if it is stale.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.entries.get_mut(slot.index()).filter(|(holder, _)| *holder == slot)?.1.as_mut()
    }

    /// All taken slots in the order of their index.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.entries.iter().filter_map(|(slot, value)| Some((*slot, value.as_ref()?)))
    }

    /// All taken slots in the order of their index.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut T)> {
        self.entries.iter_mut().filter_map(|(slot, value)| Some((*slot, value.as_mut()?)))
    }

    /// How many slots are taken.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether no slot is taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Values by slot, for an engine that is told of slots given out elsewhere. A stale slot finds nothing.
#[derive(Clone, Debug)]
pub struct SlotMap<T> {
    /// Who holds each index, apart from the values so that a look at it alone costs little memory; where nobody does, a slot
    /// of another index.
    holders: Vec<Slot>,
    values: Vec<Option<T>>,
    len: usize,
}

impl<T> SlotMap<T> {
    /// Makes an empty map.
    pub const fn new() -> Self {
        Self { holders: Vec::new(), values: Vec::new(), len: 0 }
    }

    /// Makes room for the indices below `len`.
    pub fn reserve(&mut self, len: usize) {
        self.values.reserve_exact(len.saturating_sub(self.values.len()));
        self.holders.reserve_exact(len.saturating_sub(self.holders.len()));
    }

    /// Puts a value; returns the one that was at the same index, also that of an earlier holder.
    pub fn insert(&mut self, slot: Slot, value: T) -> Option<(Slot, T)> {
        let index = slot.index();
        if self.values.len() <= index {
            self.make_room(index + 1);
            self.holders.extend((self.holders.len()..=index).map(Self::nobody));
            self.values.resize_with(index + 1, || None);
        }
        let holder = self.holders.get_mut(index).map(|holder| std::mem::replace(holder, slot))?;
        let old = self.values.get_mut(index).and_then(|place| place.replace(value));
        self.len += usize::from(old.is_none());
        old.map(|value| (holder, value))
    }

    /// Takes a value out; `None` if the slot is stale.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let holder = self.holders.get_mut(slot.index()).filter(|holder| **holder == slot)?;
        *holder = Self::nobody(slot.index());
        self.len -= 1;
        self.values.get_mut(slot.index())?.take()
    }

    /// The value of a slot; `None` if it is stale.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        if self.contains(slot) { self.values.get(slot.index())?.as_ref() } else { None }
    }

    /// The value of a slot; `None` if it is stale.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        if self.contains(slot) { self.values.get_mut(slot.index())?.as_mut() } else { None }
    }

    /// Whether the slot has a value.
    pub fn contains(&self, slot: Slot) -> bool {
        self.holders.get(slot.index()) == Some(&slot)
    }

    /// The slot and value at an index, whoever holds it now.
    pub fn at_index(&self, index: usize) -> Option<(Slot, &T)> {
        let value = self.values.get(index)?.as_ref()?;
        self.holders.get(index).map(|slot| (*slot, value))
    }

    /// All values in the order of their index.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.holders.iter().zip(&self.values).filter_map(|(slot, value)| Some((*slot, value.as_ref()?)))
    }

    /// All values in the order of their index.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut T)> {
        self.holders.iter().zip(&mut self.values).filter_map(|(slot, value)| Some((*slot, value.as_mut()?)))
    }

    /// How many values there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What no slot of this index equals.
    const fn nobody(index: usize) -> Slot {
        Slot::new(index as u32 ^ 1, 0)
    }

    /// Grows by an eighth instead of doubling: tables are many in a simulation, and none is long.
    fn make_room(&mut self, len: usize) {
        if len > self.values.capacity() {
            self.reserve(len.max(self.values.len() + self.values.len() / 8 + 4));
        }
    }
}

impl<T> Default for SlotMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_slot_never_finds_the_next_holder() {
        let mut table = SlotTable::new(2);
        let a = table.insert('a').unwrap();
        assert_eq!(table.remove(a), Some('a'));
        let b = table.insert('b').unwrap();
        assert_eq!(a.index(), b.index());
        assert_ne!(a, b);
        assert_eq!((table.get(a), table.get(b)), (None, Some(&'b')));
        assert_eq!(table.remove(a), None);

        let mut map = SlotMap::new();
        map.insert(b, 1);
        assert_eq!((map.get(a), map.get(b), map.len()), (None, Some(&1), 1));
        assert_eq!(map.remove(a), None);
        assert_eq!(map.insert(a, 2), Some((b, 1)));
        assert_eq!((map.remove(b), map.len(), map.at_index(0)), (None, 1, Some((a, &2))));
        assert_eq!((map.remove(a), map.remove(a), map.len(), map.at_index(0)), (Some(2), None, 0, None));
        assert_eq!(map.iter().next(), None);
        map.insert(Slot::new(3, 0), 3);
        assert!((0..5).all(|index| map.contains(Slot::new(index, 0)) == (index == 3)));
        assert_eq!((map.insert(a, 4), map.iter().count()), (None, 2));
    }

    #[test]
    fn the_table_is_full_at_its_limit() {
        let mut table = SlotTable::new(SLOTS_MAX + 5);
        for n in 0..SLOTS_MAX {
            table.insert(n).unwrap();
        }
        assert_eq!(table.insert(0), Err(SlotsFullError { peers_max: SLOTS_MAX }));
        table.remove(Slot::new(9, 0)).unwrap();
        assert_eq!(table.insert(0).unwrap(), Slot::new(9, 1));
        assert_eq!(table.len(), SLOTS_MAX);
    }

    #[test]
    fn generations_wrap_after_two_to_the_twentieth() {
        let last = Slot::new(3, GENERATION_MASK);
        assert_eq!(last.next_holder(), Slot::new(3, 0));
    }
}
