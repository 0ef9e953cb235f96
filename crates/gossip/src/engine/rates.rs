//! How much a peer may bring: items and bytes a second, by its class.
//!
//! A peer that has used up its burst is not read until it has it back, as in Casper, where an allowance may go below zero and
//! then waits. What was read already is still taken in, up to a second burst; beyond it, copies are refused.

use bruit_core::{Slot, Timestamp, TokenBucket};

use super::{Engine, Output, peers::PeerClass, timers::Deadline};
use crate::{Rate, Rates};

/// For how many seconds of its rate a peer may bring at once. 2: Casper.
const BURST_SECS: u64 = 2;

/// What a peer may still bring.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    buckets: Option<Box<Buckets>>,
    /// Until when it is not read.
    rests_until: Option<Timestamp>,
}

/// Twice a burst each: the second half is for what was read already when the reader stopped.
#[derive(Debug)]
struct Buckets {
    class: PeerClass,
    items: Option<Bucket>,
    bytes: Option<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: TokenBucket,
    burst: u64,
}

impl Bucket {
    fn new(per_second: u32, now: Timestamp) -> Option<Self> {
        let burst = u64::from(per_second).saturating_mul(BURST_SECS);
        let full = burst.saturating_mul(2);
        (per_second > 0).then(|| Self { tokens: TokenBucket::new(per_second.into(), full, full, now), burst })
    }

    fn has(&mut self, count: u64, now: Timestamp) -> bool {
        self.tokens.available(now) >= count
    }
}

impl Buckets {
    fn new(class: PeerClass, rate: Rate, now: Timestamp) -> Self {
        let [items, bytes] = [rate.items_per_second, rate.bytes_per_second].map(|rate| Bucket::new(rate, now));
        Self { class, items, bytes }
    }

    /// Takes one item of so many bytes, if both are there.
    fn take(&mut self, bytes: u64, now: Timestamp) -> bool {
        let wanted = [(&mut self.items, 1), (&mut self.bytes, bytes)];
        let mut wanted = wanted.map(|(bucket, count)| (bucket.as_mut(), count));
        let has = |(bucket, count): &mut (Option<&mut Bucket>, u64)| match bucket {
            Some(bucket) => bucket.has(*count, now),
            None => true,
        };
        let is_there = wanted.iter_mut().all(has);
        if is_there {
            wanted.into_iter().for_each(|(bucket, count)| _ = bucket.map(|bucket| bucket.tokens.take(count, now)));
        }
        is_there
    }

    /// When a whole burst is there again, if it is not now.
    fn whole_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let buckets = [&mut self.items, &mut self.bytes].into_iter().flatten();
        let waits = buckets.filter_map(|bucket| bucket.tokens.wait_for(bucket.burst, now));
        waits.max().filter(|wait| !wait.is_zero()).map(|wait| now.after(wait))
    }
}

impl Allowance {
    /// Nothing was brought.
    pub(super) const fn new() -> Self {
        Self { buckets: None, rests_until: None }
    }

    pub(super) const fn rests(&self) -> bool {
        self.rests_until.is_some()
    }
}

impl Engine {
    /// Counts what a peer brought; `false` if it is more than it may bring.
    pub(super) fn brought(&mut self, from: Slot, bytes: usize, now: Timestamp) -> bool {
        // Told apart first: where nobody is limited, a copy does not touch its peer.
        if self.config.rates == Rates::UNLIMITED {
            return true;
        }
        let Some(peer) = self.peers.get_mut(from) else { return true };
        let class = peer.traits.class;
        let rate = self.config.rates.of(class);
        if rate == Rate::UNLIMITED {
            return true;
        }
        let allowance = &mut peer.allowance;
        let buckets = match &mut allowance.buckets {
            Some(buckets) if buckets.class == class => buckets,
            other => other.insert(Box::new(Buckets::new(class, rate, now))),
        };
        let is_within = buckets.take(bytes as u64, now);
        if allowance.rests_until.is_none()
            && let Some(until) = buckets.whole_at(now)
        {
            allowance.rests_until = Some(until);
            let is_paused = peer.is_paused;
            self.timers.replace(None, Some(until), Deadline::Rest(from));
            self.stats.rests += 1;
            if !is_paused {
                self.outputs.push_back(Output::Pause { to: from });
            }
        }
        is_within
    }

    /// A peer may be read again, as far as its rate is concerned.
    pub(super) fn rest_over(&mut self, slot: Slot) {
        let Some(peer) = self.peers.get_mut(slot) else { return };
        if peer.allowance.rests_until.take().is_some() && !peer.is_paused {
            self.outputs.push_back(Output::Resume { to: slot });
        }
    }

    /// A peer is gone, and nothing about it is waited for.
    pub(super) fn rests_no_more(&mut self, slot: Slot, allowance: &Allowance) {
        self.timers.replace(allowance.rests_until, None, Deadline::Rest(slot));
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::{
        Config, PeerTraits, Rates, Received, Refusal, TopicConfig, Validation,
        engine::tests::{Node, START, base, peer, topic},
    };

    fn limited(items_per_second: u32, bytes_per_second: u32) -> Node {
        let open = TopicConfig { validation: Validation::Automatic, ..base() };
        let topics = BTreeMap::from([(topic("open"), open)]);
        let ordinary = Rate { items_per_second, bytes_per_second };
        let rates = Rates { ordinary, validator: Rate::UNLIMITED };
        Node::new(Config { topics, rates, other_topics: None, ..Config::default() }, 6)
    }

    /// How many of so many new items are relayed, and what is said to readers.
    fn flood(node: &mut Node, from: u32, count: u32, payload_len: usize) -> (usize, Vec<Output>) {
        let (mut relayed, mut told) = (0, Vec::new());
        for _ in 0..count {
            let mut payload = vec![0; payload_len];
            let salt = node.engine.stats().copies_received;
            payload.splice(..8, salt.to_le_bytes());
            let item = node.item("open", &payload);
            let received = node.receive(from, &item, 1);
            assert!(matches!(received, Received::Relayed | Received::Refused(Refusal::OverRate)), "{received:?}");
            relayed += usize::from(received == Received::Relayed);
            let is_told = |output: &Output| matches!(output, Output::Pause { .. } | Output::Resume { .. });
            told.extend(node.outputs().into_iter().filter(is_told));
        }
        (relayed, told)
    }

    #[test]
    fn fault_who_floods_unique_items_is_not_read_until_its_burst_is_back() {
        let mut node = limited(10, 0);
        let pause = Output::Pause { to: peer(0) };
        assert_eq!(flood(&mut node, 0, 20, 8), (20, vec![]), "a burst of two seconds");
        assert_eq!(flood(&mut node, 1, 1, 8), (1, vec![]), "nobody else's");
        let resume_at = START.after(Duration::from_micros(100_001));
        node.engine.handle_timeout(START);
        assert_eq!(flood(&mut node, 0, 1, 8), (1, vec![pause]));
        assert_eq!(node.engine.next_timeout(), Some(resume_at));
        assert_eq!(flood(&mut node, 0, 100, 8), (19, vec![]), "what was read already, up to a second burst");
        node.engine.handle_timeout(resume_at);
        assert_eq!(node.outputs(), [Output::Resume { to: peer(0) }]);
        assert_eq!(node.engine.stats().rests, 1);
    }

    #[test]
    fn fault_amplification_is_at_most_the_fan_out_times_the_quota() {
        let mut node = limited(10, 0);
        let mut relayed = 0;
        for second in 0..60 {
            node.now = START.after(Duration::from_secs(second));
            node.engine.handle_timeout(node.now);
            relayed += flood(&mut node, 0, 200, 8).0;
        }
        assert_eq!(relayed, 40 + 59 * 10);
        assert_eq!(node.engine.stats().pushes, 3 * relayed as u64);
    }

    #[test]
    fn bytes_count_too_and_known_items_cost_no_bytes() {
        let mut node = limited(0, 131_072);
        let item = node.item("open", &[7; 100_000]);
        assert_eq!(node.receive(1, &item, 1), Received::Relayed);
        node.outputs();
        for _ in 0..100 {
            assert_eq!(node.receive(0, &item, 1), Received::Duplicate);
        }
        assert_eq!(node.outputs(), []);
        let (relayed, told) = flood(&mut node, 0, 9, 65_536);
        assert_eq!((relayed, told), (7, vec![Output::Pause { to: peer(0) }]));
    }

    #[test]
    fn validators_have_a_rate_of_their_own_also_who_becomes_one() {
        let mut node = limited(1, 0);
        assert_eq!(flood(&mut node, 0, 10, 8).0, 4);
        let traits = PeerTraits { class: PeerClass::Validator, ..PeerTraits::default() };
        node.engine.peer_described(peer(0), traits, START);
        assert_eq!(flood(&mut node, 0, 100, 8), (100, vec![]));
    }

    #[test]
    fn who_leaves_while_it_rests_leaves_nothing_behind() {
        let mut node = limited(1, 0);
        flood(&mut node, 0, 3, 8);
        node.engine.peer_disconnected(peer(0), START);
        assert_eq!(node.engine.next_timeout(), None);
        assert_eq!(node.outputs(), []);
    }
}
