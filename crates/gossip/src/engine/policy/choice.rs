//! Whom an item may go to, and how some of these are drawn.

use bruit_core::{ChaCha8Rng, Slot};
use rand::RngExt;

use super::super::{Engine, known_by::KnownBy};
use crate::{Carry, Choice, PeerClass, Topic};

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

    /// Keeps `count` of the targets, all equally likely; those that the operator named stay, on top.
    pub(in crate::engine) fn keep_some(&mut self, count: usize) {
        self.keep_with_specials(count, Choice::Any);
    }

    /// Keeps `count` of the targets by the topic's choice; those that the operator named stay, on top.
    pub(in crate::engine) fn keep_with_specials(&mut self, count: usize, choice: Choice) {
        if !self.peers.has_specials() {
            return self.keep_chosen(count, choice);
        }
        let is_special = |slot: &Slot| self.peers.get(*slot).is_some_and(|peer| peer.traits.is_special);
        let specials: Vec<Slot> = self.targets.extract_if(.., |slot| is_special(slot)).collect();
        self.keep_chosen(count, choice);
        self.targets.extend(specials);
    }

    /// Keeps `count` of the targets by the topic's choice.
    pub(in crate::engine) fn keep_chosen(&mut self, count: usize, choice: Choice) {
        match choice {
            Choice::Any => keep_random(&mut self.targets, count, &mut self.rng),
            Choice::Mixed => self.keep_mixed(count),
        }
    }

    /// Keeps `count` of the targets, half of each class. Nothing is drawn when all stay.
    fn keep_mixed(&mut self, count: usize) {
        if self.targets.len() <= count {
            return;
        }
        let class_of = |slot: &Slot| self.peers.get(*slot).map(|peer| peer.traits.class);
        let (mut first, mut second): (Vec<Slot>, Vec<Slot>) =
            self.targets.drain(..).partition(|slot| class_of(slot) == Some(PeerClass::Validator));
        if self.rng.random() {
            std::mem::swap(&mut first, &mut second);
        }
        let of_first = count.saturating_sub((count / 2).min(second.len())).min(first.len());
        keep_random(&mut first, of_first, &mut self.rng);
        keep_random(&mut second, count.saturating_sub(of_first), &mut self.rng);
        self.targets.extend(first.into_iter().chain(second));
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
    use std::{collections::BTreeMap, time::Duration};

    use bruit_core::Seed;

    use super::*;
    use crate::{
        Config, Infection, PeerTraits, Policy, TopicConfig, Validation,
        engine::{
            Output,
            tests::{Node, START, base, peer, topic},
        },
    };

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

    const VALIDATORS: std::ops::Range<u32> = 0..5;

    /// A node of a mixing topic, with five validators among its peers.
    fn mixing(policy: Policy, peers: u32) -> Node {
        let open = TopicConfig { policy, choice: Choice::Mixed, validation: Validation::Automatic, ..base() };
        let topics = BTreeMap::from([(topic("open"), open)]);
        let mut node = Node::new(Config { topics, other_topics: None, ..Config::default() }, peers);
        for index in VALIDATORS {
            let traits = PeerTraits { class: PeerClass::Validator, ..PeerTraits::default() };
            node.engine.peer_described(peer(index), traits, START);
        }
        node
    }

    /// For many items: how many validators and how many others got each, or its id.
    fn published(node: &mut Node) -> Vec<(usize, usize)> {
        let one = |number: u16| {
            let item = node.item("open", &number.to_le_bytes());
            node.engine.publish(item, START.after(Duration::from_secs(number.into()))).unwrap();
            let outputs = node.outputs();
            let to = outputs.iter().filter_map(|output| match output {
                Output::Send { to, .. } => Some(to.index() as u32),
                Output::Pause { .. } | Output::Resume { .. } | Output::Event(_) => None,
            });
            let (validators, others): (Vec<u32>, Vec<u32>) = to.partition(|index| VALIDATORS.contains(index));
            (validators.len(), others.len())
        };
        (0..50).map(one).collect()
    }

    #[test]
    fn a_mixed_choice_is_half_validators_and_a_coin_gives_the_odd_one() {
        let mut even = mixing(Policy::Fanout { peers: 4, rounds: 6 }, 40);
        assert!(published(&mut even).iter().all(|counts| *counts == (2, 2)));
        let odd = [Policy::Fanout { peers: 3, rounds: 6 }, Policy::Infection(Infection::default())];
        for mut node in odd.map(|policy| mixing(policy, 40)) {
            let counts = published(&mut node);
            let more_validators = counts.iter().filter(|counts| **counts == (2, 1)).count();
            assert_eq!(counts.iter().filter(|counts| **counts == (1, 2)).count(), 50 - more_validators);
            assert!((10..40).contains(&more_validators), "{more_validators}");
        }
        let counts = published(&mut mixing(Policy::One { rounds: 1 }, 40));
        assert!(counts.contains(&(1, 0)) && counts.contains(&(0, 1)), "{counts:?}");
    }

    #[test]
    fn what_one_class_lacks_the_other_gives() {
        let fanout = Policy::Fanout { peers: 12, rounds: 6 };
        assert!(published(&mut mixing(fanout, 40)).iter().all(|counts| *counts == (5, 7)));
        assert!(published(&mut mixing(fanout, 8)).iter().all(|counts| *counts == (5, 3)));
        let few = Policy::Fanout { peers: 3, rounds: 6 };
        assert!(published(&mut mixing(few, 5)).iter().all(|counts| *counts == (3, 0)));
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
