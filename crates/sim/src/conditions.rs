use std::{collections::BTreeMap, time::Duration};

use bruit_core::Timestamp;

/// Something that goes wrong with a network, or right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nodes stop at once and lose what they hold in memory. Peers notice after `notice`.
    Crash {
        /// Which nodes.
        nodes: Vec<u32>,
        /// How long their peers take to notice, beside the latency.
        notice: Duration,
    },
    /// Nodes that stopped come back.
    Restart {
        /// Which nodes.
        nodes: Vec<u32>,
    },
    /// Nodes do nothing for a while; what comes meanwhile is read afterwards.
    Freeze {
        /// Which nodes.
        nodes: Vec<u32>,
        /// For how long.
        span: Duration,
    },
    /// No frame passes any more between nodes of different groups.
    Partition {
        /// The group of each node; those beyond the end are in group 0.
        groups: Vec<u8>,
    },
    /// Ends the partition and all cuts.
    Heal,
    /// No frame passes from some nodes to others; the other way all is well.
    Cut {
        /// From whom.
        from: Vec<u32>,
        /// To whom.
        to: Vec<u32>,
    },
    /// Whatever these nodes send takes so much longer.
    Slow {
        /// Which nodes.
        nodes: Vec<u32>,
        /// How much longer.
        delay: Duration,
    },
    /// The wall clocks of these nodes are ahead by so many microseconds, or behind.
    Skew {
        /// Which nodes.
        nodes: Vec<u32>,
        /// How many microseconds ahead.
        micros: i64,
    },
}

/// What is wrong at the moment.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) down: Marks,
    pub(crate) frozen: BTreeMap<u32, Timestamp>,
    groups: Vec<u8>,
    cuts: Vec<(Marks, Marks)>,
    slow: BTreeMap<u32, Duration>,
    skew: BTreeMap<u32, i64>,
}

/// A set of nodes.
#[derive(Debug, Default)]
pub(crate) struct Marks(Vec<u64>);

impl Marks {
    pub(crate) fn of(nodes: &[u32]) -> Self {
        let mut marks = Self::default();
        nodes.iter().for_each(|node| marks.insert(*node));
        marks
    }

    pub(crate) fn insert(&mut self, node: u32) {
        let word = node as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (node % 64);
    }

    pub(crate) fn remove(&mut self, node: u32) {
        if let Some(word) = self.0.get_mut(node as usize / 64) {
            *word &= !(1 << (node % 64));
        }
    }

    pub(crate) fn contains(&self, node: u32) -> bool {
        self.0.get(node as usize / 64).is_some_and(|word| word & 1 << (node % 64) != 0)
    }
}

impl Conditions {
    /// Whether a frame cannot pass.
    pub(crate) fn severs(&self, from: u32, to: u32) -> bool {
        let group = |node: u32| self.groups.get(node as usize).copied().unwrap_or(0);
        (!self.groups.is_empty() && group(from) != group(to))
            || self.cuts.iter().any(|(sources, targets)| sources.contains(from) && targets.contains(to))
    }

    pub(crate) fn delay_of(&self, node: u32) -> Duration {
        if self.slow.is_empty() { Duration::ZERO } else { self.slow.get(&node).copied().unwrap_or_default() }
    }

    pub(crate) fn skew_of(&self, node: u32) -> i64 {
        if self.skew.is_empty() { 0 } else { self.skew.get(&node).copied().unwrap_or(0) }
    }

    /// Until when a node is frozen.
    pub(crate) fn thaws(&self, node: u32, now: Timestamp) -> Option<Timestamp> {
        if self.frozen.is_empty() { None } else { self.frozen.get(&node).copied().filter(|until| *until > now) }
    }

    pub(crate) fn partition(&mut self, groups: Vec<u8>) {
        self.groups = groups;
    }

    pub(crate) fn cut(&mut self, from: &[u32], to: &[u32]) {
        self.cuts.push((Marks::of(from), Marks::of(to)));
    }

    pub(crate) fn heal(&mut self) {
        self.groups.clear();
        self.cuts.clear();
    }

    pub(crate) fn slow(&mut self, nodes: &[u32], delay: Duration) {
        self.slow.extend(nodes.iter().map(|node| (*node, delay)));
    }

    pub(crate) fn skew(&mut self, nodes: &[u32], micros: i64) {
        self.skew.extend(nodes.iter().map(|node| (*node, micros)));
    }
}
