use std::hash::Hash;

use bruit_core::LookupMap;

use super::slab::Slab;

/// Values that many share, each kept once under a small number for as long as somebody holds it.
#[derive(Clone, Debug)]
pub(crate) struct Interned<T> {
    slab: Slab<Held<T>>,
    numbers: LookupMap<T, u32>,
}

#[derive(Clone, Debug)]
struct Held<T> {
    value: T,
    holders: u32,
}

impl<T: Copy + Eq + Hash> Interned<T> {
    pub(crate) fn new() -> Self {
        Self { slab: Slab::new(), numbers: LookupMap::new() }
    }

    /// The number of a value, for one more holder.
    pub(crate) fn hold(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value).copied()
            && let Some(held) = self.slab.get_mut(number)
        {
            held.holders += 1;
            return number;
        }
        let number = self.slab.insert(Held { value, holders: 1 });
        self.numbers.insert(value, number);
        number
    }

    /// The number of a value that somebody holds.
    pub(crate) fn find(&self, value: &T) -> Option<u32> {
        self.numbers.get(value).copied()
    }

    /// Gives up one hold.
    pub(crate) fn release(&mut self, number: u32) {
        let Some(held) = self.slab.get_mut(number) else { return };
        held.holders -= 1;
        if held.holders == 0
            && let Some(gone) = self.slab.remove(number)
        {
            self.numbers.remove(&gone.value);
        }
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<T> {
        self.slab.get(number).map(|held| held.value)
    }

    /// Every value and how many hold it, in the order of the numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (T, u32)> {
        self.slab.iter().map(|(_, held)| (held.value, held.holders))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_until_its_last_holder_leaves() {
        let mut interned = Interned::new();
        let (one, two) = (interned.hold("a"), interned.hold("b"));
        assert_eq!((interned.hold("a"), interned.find(&"a")), (one, Some(one)));
        interned.release(one);
        assert_eq!((interned.get(one), interned.iter().collect::<Vec<_>>()), (Some("a"), vec![("a", 1), ("b", 1)]));
        interned.release(one);
        assert_eq!((interned.get(one), interned.find(&"a"), interned.get(two)), (None, None, Some("b")));
        assert_eq!(interned.hold("c"), one);
    }
}
