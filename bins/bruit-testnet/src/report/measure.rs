//! Sums over all nodes of what each of them counted.

/// What one node counted about gossip since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GossipSample {
    pub(crate) delivered: u64,
    /// First deliveries by push at each round.
    pub(crate) hops: Vec<u64>,
    pub(crate) duplicates: u64,
    pub(crate) round_limited: u64,
    /// Bytes that came through its sockets.
    pub(crate) bytes_in: u64,
}

/// What one node holds of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSample {
    pub(crate) held: u64,
    pub(crate) by_gossip: u64,
    /// Whether all of it is there and was verified.
    pub(crate) is_whole: bool,
}

/// What one fetcher said about its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RpcSample {
    pub(crate) calls: u64,
    pub(crate) ok: u64,
    pub(crate) retried: u64,
    pub(crate) local: u64,
    pub(crate) tries: u64,
}

/// How something spread between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) hops_max: u32,
    pub(crate) hops_histogram: Vec<u64>,
    pub(crate) round_limited: u64,
    pub(crate) duplicates_per_delivery: f64,
    pub(crate) bytes_per_delivery: f64,
}

/// How much of a file the nodes other than its publisher have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Coverage {
    pub(crate) by_gossip: f64,
    pub(crate) held: f64,
}

impl std::iter::Sum for RpcSample {
    fn sum<I: Iterator<Item = Self>>(samples: I) -> Self {
        samples.fold(Self::default(), |sum, sample| Self {
            calls: sum.calls + sample.calls,
            ok: sum.ok + sample.ok,
            retried: sum.retried + sample.retried,
            local: sum.local + sample.local,
            tries: sum.tries + sample.tries,
        })
    }
}

/// Sums what was counted between two moments. The samples stand in the same order of nodes in both.
pub(crate) fn spread(before: &[GossipSample], after: &[GossipSample]) -> Spread {
    let grown = |count: fn(&GossipSample) -> u64| {
        let sum = |samples: &[GossipSample]| samples.iter().map(count).sum::<u64>();
        sum(after).saturating_sub(sum(before))
    };
    let rounds = after.iter().map(|sample| sample.hops.len()).max().unwrap_or_default();
    let at = |samples: &[GossipSample], round: usize| {
        samples.iter().filter_map(|sample| sample.hops.get(round)).sum::<u64>()
    };
    let hops_histogram: Vec<u64> =
        (0..rounds).map(|round| at(after, round).saturating_sub(at(before, round))).collect();
    let last = hops_histogram.iter().rposition(|deliveries| *deliveries > 0).unwrap_or_default();
    let delivered = grown(|sample| sample.delivered);
    Spread {
        hops_max: u32::try_from(last).unwrap_or(u32::MAX),
        hops_histogram,
        round_limited: grown(|sample| sample.round_limited),
        duplicates_per_delivery: ratio(grown(|sample| sample.duplicates), delivered),
        bytes_per_delivery: ratio(grown(|sample| sample.bytes_in), delivered),
    }
}

/// Sums what the nodes other than the publisher hold of a file of so many chunks; a node that never heard of it is `None`.
pub(crate) fn coverage(chunks: u64, others: &[Option<FileSample>]) -> Coverage {
    let pairs = chunks * others.len() as u64;
    let known = || others.iter().flatten();
    Coverage {
        by_gossip: ratio(known().map(|sample| sample.by_gossip.min(chunks)).sum(), pairs),
        held: ratio(known().map(|sample| sample.held.min(chunks)).sum(), pairs),
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(delivered: u64, hops: &[u64]) -> GossipSample {
        GossipSample {
            delivered,
            hops: hops.to_vec(),
            duplicates: delivered * 2,
            round_limited: delivered / 10,
            bytes_in: delivered * 100,
        }
    }

    #[test]
    fn what_was_counted_before_does_not_count() {
        let before = [sample(10, &[0, 10, 0]), sample(0, &[0, 0, 0, 0])];
        let after = [sample(30, &[0, 20, 10]), sample(20, &[0, 5, 10, 5])];
        let expected = Spread {
            hops_max: 3,
            hops_histogram: vec![0, 15, 20, 5],
            round_limited: 4,
            duplicates_per_delivery: 2.0,
            bytes_per_delivery: 100.0,
        };
        assert_eq!(spread(&before, &after), expected);
    }

    #[test]
    fn nothing_delivered_is_no_division_by_zero() {
        let nothing = Spread { hops_histogram: vec![0, 0], ..Spread::default() };
        assert_eq!(spread(&[sample(5, &[0, 5])], &[sample(5, &[0, 5])]), nothing);
        assert_eq!(spread(&[], &[]), Spread::default());
        assert_eq!(coverage(5, &[]), Coverage::default());
    }

    #[test]
    fn coverage_is_of_pairs_and_a_node_that_knows_nothing_counts() {
        let file = |held, by_gossip| Some(FileSample { held, by_gossip, is_whole: held == 4 });
        let others = [file(4, 3), file(4, 4), file(2, 2), None];
        assert_eq!(coverage(4, &others), Coverage { by_gossip: 9.0 / 16.0, held: 10.0 / 16.0 });
    }

    #[test]
    fn all_pairs_are_exactly_one() {
        let whole = Some(FileSample { held: 7, by_gossip: 6, is_whole: true });
        let all = coverage(7, &vec![whole; 49]);
        assert_eq!(all, Coverage { by_gossip: 6.0 / 7.0, held: 1.0 });
    }

    #[test]
    fn calls_add_up() {
        let one = RpcSample { calls: 11, ok: 10, retried: 3, local: 0, tries: 15 };
        let other = RpcSample { calls: 1, ok: 1, retried: 0, local: 1, tries: 1 };
        let sum: RpcSample = [one, other].into_iter().sum();
        assert_eq!(sum, RpcSample { calls: 12, ok: 11, retried: 3, local: 1, tries: 16 });
    }
}
