use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
    time::Instant,
};

use futures::task::AtomicWaker;
use libp2p::identity::PublicKey;

use super::payload::Head;

/// How many messages of one publisher may be under way.
const UNDER_WAY_MAX: u64 = 4_096;

/// What all nodes write their deliveries to.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) started: Instant,
    pub(crate) keys: Vec<PublicKey>,
    nodes: Vec<NodeLedger>,
    publishers: Vec<Publisher>,
    are_times_kept: AtomicBool,
    /// Links over which the other end's wish was heard; each counts twice.
    ready: AtomicU64,
    refused: AtomicU64,
}

/// What one node got.
#[derive(Debug, Default)]
struct NodeLedger {
    deliveries: AtomicU64,
    /// Of all sequence numbers together: with the count it shows both losses and doubles.
    sum: AtomicU64,
    micros: Mutex<Vec<u32>>,
}

/// How far the messages of one publisher are.
#[derive(Debug)]
struct Publisher {
    published: AtomicU64,
    done: AtomicU64,
    /// At the place of a message's number: how many nodes lack it.
    lacking: Vec<AtomicU32>,
    waiting: AtomicWaker,
}

impl Board {
    pub(crate) fn new(keys: Vec<PublicKey>, publishers: usize) -> Self {
        let publisher = |_| Publisher {
            published: AtomicU64::new(0),
            done: AtomicU64::new(0),
            lacking: (0..UNDER_WAY_MAX).map(|_| AtomicU32::new(0)).collect(),
            waiting: AtomicWaker::new(),
        };
        Self {
            started: Instant::now(),
            nodes: keys.iter().map(|_| NodeLedger::default()).collect(),
            publishers: (0..publishers).map(publisher).collect(),
            keys,
            are_times_kept: AtomicBool::new(false),
            ready: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// The number of the next message of a publisher, if it may have one more than so many under way.
    pub(crate) fn next_number(&self, publisher: usize, under_way_max: u64) -> Option<u64> {
        let publisher = self.publishers.get(publisher)?;
        let published = publisher.published.load(Ordering::Relaxed);
        let under_way = published - publisher.done.load(Ordering::Acquire);
        (under_way < under_way_max.min(UNDER_WAY_MAX)).then_some(published)
    }

    /// A message is about to be published.
    pub(crate) fn publishing(&self, head: Head) {
        let Some((publisher, lacking)) = self.place(head) else { return };
        lacking.store(u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX), Ordering::Release);
        publisher.published.store(head.number + 1, Ordering::Release);
    }

    /// It could not be published.
    pub(crate) fn not_published(&self, head: Head) {
        if let Some((publisher, _)) = self.place(head) {
            publisher.published.store(head.number, Ordering::Release);
        }
    }

    pub(crate) fn delivered(&self, node: usize, head: Head) {
        let Some(ledger) = self.nodes.get(node) else { return };
        ledger.deliveries.fetch_add(1, Ordering::Relaxed);
        ledger.sum.fetch_add(head.number, Ordering::Relaxed);
        if self.are_times_kept.load(Ordering::Relaxed) {
            let micros = self.now_nanos().saturating_sub(head.nanos) / 1_000;
            let mut kept = ledger.micros.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
        let Some((publisher, lacking)) = self.place(head) else { return };
        if lacking.fetch_sub(1, Ordering::AcqRel) == 1 {
            publisher.done.fetch_add(1, Ordering::AcqRel);
            publisher.waiting.wake();
        }
    }

    pub(crate) fn now_nanos(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Wakes the publisher when one more of its messages is everywhere.
    pub(crate) fn wait(&self, publisher: usize, waker: &Waker) {
        if let Some(publisher) = self.publishers.get(publisher) {
            publisher.waiting.register(waker);
        }
    }

    pub(crate) fn link_ready(&self) {
        self.ready.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn links_ready(&self) -> u64 {
        self.ready.load(Ordering::Relaxed) / 2
    }

    pub(crate) fn frames_refused(&self, frames: u64) {
        self.refused.fetch_add(frames, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn keep_times(&self, on: bool) {
        self.are_times_kept.store(on, Ordering::Relaxed);
    }

    /// The times of all deliveries while they were kept, in microseconds, sorted.
    pub(crate) fn take_times(&self) -> Vec<u32> {
        let take = |node: &NodeLedger| std::mem::take(&mut *node.micros.lock().unwrap_or_else(PoisonError::into_inner));
        let mut times: Vec<u32> = self.nodes.iter().flat_map(take).collect();
        times.sort_unstable();
        times
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.nodes.iter().map(|node| node.deliveries.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn published(&self) -> u64 {
        self.publishers.iter().map(|publisher| publisher.published.load(Ordering::Relaxed)).sum()
    }

    /// How many deliveries of what was published have not happened; doubles count against it too.
    pub(crate) fn lost(&self) -> u64 {
        let all: Vec<u64> =
            self.publishers.iter().map(|publisher| publisher.published.load(Ordering::Relaxed)).collect();
        let sums = |published: &u64| published * published.saturating_sub(1) / 2;
        let mut lost = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let own = all.get(index).copied().unwrap_or_default();
            let expected = all.iter().sum::<u64>() - own;
            let expected_sum = all.iter().map(sums).sum::<u64>() - sums(&own);
            let count = node.deliveries.load(Ordering::Relaxed);
            lost += expected.abs_diff(count);
            lost += u64::from(expected == count && expected_sum != node.sum.load(Ordering::Relaxed));
        }
        lost
    }

    fn place(&self, head: Head) -> Option<(&Publisher, &AtomicU32)> {
        let publisher = self.publishers.get(head.publisher)?;
        let lacking = publisher.lacking.get((head.number % UNDER_WAY_MAX) as usize)?;
        Some((publisher, lacking))
    }
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    fn board() -> Board {
        Board::new((0..3).map(|_| Keypair::generate_ed25519().public()).collect(), 2)
    }

    #[test]
    fn a_message_is_done_when_all_others_have_it() {
        let board = board();
        let head = Head { publisher: 1, number: 0, nanos: 0 };
        assert_eq!(board.next_number(1, 1), Some(0));
        board.publishing(head);
        board.delivered(0, head);
        assert_eq!((board.next_number(1, 1), board.lost()), (None, 1));
        board.delivered(2, head);
        assert_eq!((board.next_number(1, 1), board.lost(), board.deliveries()), (Some(1), 0, 2));
    }

    #[test]
    fn a_double_does_not_make_up_for_a_loss() {
        let board = board();
        for number in 0..2 {
            board.publishing(Head { publisher: 1, number, nanos: 0 });
        }
        for (node, number) in [(0, 0), (0, 0), (2, 0), (2, 1)] {
            board.delivered(node, Head { publisher: 1, number, nanos: 0 });
        }
        assert_eq!(board.lost(), 1);
    }
}
