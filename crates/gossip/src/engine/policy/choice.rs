//! Whom an item may go to, and how some of these are drawn.

use bruit_core::{ChaCha8Rng, Slot};
use rand::RngExt;

use super::super::{Engine, known_by::KnownBy};
use crate::{Carry, Topic};

impl Engine {
    /// All peers that want items of a topic and are not known to have this one, into `targets`, in the order of slots.
    pub(in crate::engine) fn choose_all(&mut self, topic: &Topic, carry: Carry, known_by: &KnownBy) {
        self.targets.clear();
        self.targets.reserve_exact(self.peers.len());
        let wanting = self.peers.iter().filter(|(slot, peer)| {
            !known_by.contains(*slot)
                && match carry {
                    Carry::Everybody => true,
                    Carry::Subscribers => peer.topics.contains(topic),
                }
        });
        self.targets.extend(wanting.map(|(slot, _)| slot));
    }

    /// Keeps `count` of the targets, drawn by chance; those that the operator named stay, on top.
    pub(in crate::engine) fn keep_some(&mut self, count: usize) {
        let is_special = |slot: &Slot| self.peers.get(*slot).is_some_and(|peer| peer.traits.is_special);
        let specials: Vec<Slot> = self.targets.iter().copied().filter(is_special).collect();
        self.targets.retain(|slot| !specials.contains(slot));
        keep_random(&mut self.targets, count, &mut self.rng);
        self.targets.extend(specials);
    }
}

/// Keeps `count` of the slots, every choice being equally likely. Nothing is drawn when all stay.
pub(in crate::engine) fn keep_random(slots: &mut Vec<Slot>, count: usize, rng: &mut ChaCha8Rng) {
    if slots.len() <= count {
        return;
    }
    for place in 0..count {
        let chosen = rng.random_range(place..slots.len());
        slots.swap(place, chosen);
    }
    slots.truncate(count);
}

#[cfg(test)]
mod tests {
    use bruit_core::Seed;

    use super::*;

    #[test]
    fn every_slot_is_chosen_equally_often() {
        let mut rng = Seed::from_number(1).rng();
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            let mut slots: Vec<Slot> = (0..10).map(|index| Slot::new(index, 0)).collect();
            keep_random(&mut slots, 4, &mut rng);
            assert_eq!(slots.len(), 4);
            slots.iter().for_each(|slot| counts[slot.index()] += 1);
        }
        // 4,000 expected each; five standard deviations are 245.
        assert!(counts.iter().all(|count| count.abs_diff(4_000) < 245), "{counts:?}");
    }

    #[test]
    fn nothing_is_drawn_when_all_stay() {
        let mut rng = Seed::from_number(1).rng();
        let mut slots: Vec<Slot> = (0..4).map(|index| Slot::new(index, 0)).collect();
        keep_random(&mut slots, 4, &mut rng);
        assert_eq!(slots.len(), 4);
        assert_eq!(rng, Seed::from_number(1).rng());
    }
}
