#![allow(clippy::disallowed_types, reason = "wrapped so that its order cannot be seen")]

use std::{
    borrow::Borrow,
    collections::{HashMap, hash_map},
    hash::Hash,
};

/// A hash map without iteration: fast look-ups by keys that peers choose, and no order that could reach an output.
///
/// # Security
/// The hasher is keyed by the standard library's per-process secret, so colliding keys cannot be prepared.
#[derive(Clone, Debug)]
pub struct LookupMap<K, V> {
    map: HashMap<K, V>,
}

impl<K: Eq + Hash, V> LookupMap<K, V> {
    /// Makes an empty map.
    pub fn new() -> Self {
        Self { map: HashMap::new() }
    }

    /// The value of a key.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.map.get(key)
    }

    /// The value of a key.
    pub fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.map.get_mut(key)
    }

    /// Whether a key has a value.
    pub fn contains_key<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.map.contains_key(key)
    }

    /// Puts a value, and returns the one it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.map.insert(key, value)
    }

    /// The place of a key.
    pub fn entry(&mut self, key: K) -> hash_map::Entry<'_, K, V> {
        self.map.entry(key)
    }

    /// Takes a value out.
    pub fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.map.remove(key)
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.map.clear();
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

impl<K: Eq + Hash, V> Default for LookupMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}
