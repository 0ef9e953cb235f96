use bruit_core::{ChaCha8Rng, Slot};
use rand::RngExt;

use super::{known_by::KnownBy, peers::Peers};
use crate::{Carry, Policy, Topic, TopicConfig};

/// Chooses whom an item is pushed to, when it is published or relayed, into `targets`.
pub(super) fn choose(
    topic: &Topic,
    config: &TopicConfig,
    peers: &Peers,
    known_by: &KnownBy,
    rng: &mut ChaCha8Rng,
    targets: &mut Vec<Slot>,
) {
    targets.clear();
    let wants = |peer_topics: &std::collections::BTreeSet<Topic>| match config.carry {
        Carry::Everybody => true,
        Carry::Subscribers => peer_topics.contains(topic),
    };
    targets.extend(
        peers.iter().filter(|(slot, peer)| !known_by.contains(*slot) && wants(&peer.topics)).map(|(slot, _)| slot),
    );
    match config.policy {
        Policy::Fanout { peers, .. } => keep_random(targets, peers as usize, rng),
    }
}

/// Keeps `count` of the slots, every choice being equally likely. Nothing is drawn when all stay.
fn keep_random(slots: &mut Vec<Slot>, count: usize, rng: &mut ChaCha8Rng) {
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
