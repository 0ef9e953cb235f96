//! Accepted payloads of judged topics, by the hash of their bytes: what later ones may depend on, and peers may ask for.

use std::collections::BTreeMap;

use bruit_stack::gossip::ItemId;
use bytes::Bytes;

/// How many bytes are kept; the oldest go first. 16 MiB: as much as gossip lets await a verdict.
const BYTES_MAX: usize = 16 << 20;
/// How many are kept. A guess: what a chain of small objects makes in an hour.
const OBJECTS_MAX: usize = 65_536;

/// The id by which an item's payload is missed, asked for and given: the BLAKE3 hash of its bytes.
pub fn object_id(payload: &[u8]) -> ItemId {
    ItemId::new(*blake3::hash(payload).as_bytes())
}

/// Payloads by id, bounded.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    payloads: BTreeMap<ItemId, (u64, Bytes)>,
    by_age: BTreeMap<u64, ItemId>,
    bytes: usize,
    last: u64,
}

impl Objects {
    /// Keeps a payload; false if it is there already.
    pub(crate) fn keep(&mut self, id: ItemId, payload: &Bytes) -> bool {
        if self.payloads.contains_key(&id) {
            return false;
        }
        self.last += 1;
        self.bytes += payload.len();
        self.payloads.insert(id, (self.last, Bytes::copy_from_slice(payload)));
        self.by_age.insert(self.last, id);
        while self.bytes > BYTES_MAX || self.payloads.len() > OBJECTS_MAX {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.bytes -= self.payloads.remove(&oldest).map_or(0, |(_, payload)| payload.len());
        }
        true
    }

    pub(crate) fn get(&self, id: &ItemId) -> Option<Bytes> {
        self.payloads.get(id).map(|(_, payload)| payload.clone())
    }

    pub(crate) fn has(&self, id: &ItemId) -> bool {
        self.payloads.contains_key(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let mut objects = Objects::default();
        let large = |byte: u8| Bytes::from(vec![byte; BYTES_MAX / 2]);
        let [a, b, c] = [1, 2, 3].map(|byte| object_id(&large(byte)));
        assert!(objects.keep(a, &large(1)) && objects.keep(b, &large(2)) && !objects.keep(a, &large(1)));
        assert!(objects.has(&a) && objects.has(&b));
        assert!(objects.keep(c, &large(3)));
        assert!(!objects.has(&a) && objects.get(&b) == Some(large(2)) && objects.bytes == 2 * (BYTES_MAX / 2));
    }

    #[test]
    fn fault_small_ones_are_bounded_in_number() {
        let mut objects = Objects::default();
        for number in 0..OBJECTS_MAX as u64 + 10 {
            let payload = Bytes::copy_from_slice(&number.to_be_bytes());
            assert!(objects.keep(object_id(&payload), &payload));
        }
        assert_eq!(
            (objects.payloads.len(), objects.by_age.len(), objects.bytes),
            (OBJECTS_MAX, OBJECTS_MAX, 8 * OBJECTS_MAX)
        );
    }
}
