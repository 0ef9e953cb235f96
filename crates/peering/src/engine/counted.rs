use std::collections::BTreeMap;

/// How often each thing is there, so that asking whether it is costs no look at all others.
#[derive(Debug)]
pub(super) struct Counted<K>(BTreeMap<K, u32>);

impl<K: Ord + Clone> Counted<K> {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn holds(&self, thing: &K) -> bool {
        self.0.contains_key(thing)
    }

    pub(super) fn add(&mut self, thing: &K) {
        let count = self.0.entry(thing.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes one away, if there is one.
    pub(super) fn remove(&mut self, thing: &K) {
        let Some(count) = self.0.get_mut(thing) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.0.remove(thing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_twice_is_there_until_it_was_removed_twice() {
        let mut counted = Counted::new();
        counted.remove(&1);
        counted.add(&1);
        counted.add(&1);
        counted.remove(&1);
        assert!(counted.holds(&1) && !counted.holds(&2));
        counted.remove(&1);
        assert!(!counted.holds(&1) && counted.0.is_empty());
    }
}
