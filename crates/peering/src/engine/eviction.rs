//! Who loses an inbound slot to a newcomer: what is hard to fake protects, and who comes in numbers from one place goes first.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use bruit_core::{NetGroup, PeerId, Seed, Timestamp, TokenBucket};

use crate::Config;

/// What speaks for an inbound peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Merit {
    pub(super) peer: PeerId,
    pub(super) group: NetGroup,
    /// The shortest time it took to answer.
    pub(super) latency: Option<Duration>,
    /// When it last was the first to deliver something.
    pub(super) useful_at: Option<Timestamp>,
    pub(super) since: Timestamp,
}

/// Of how many inbound peers the counts below are: Factom's maximum.
const MEASURE: usize = 150;
/// How many are protected for being from groups that nobody can choose. Bitcoin Core: 4.
const BY_GROUP: usize = 4;
/// How many are protected for answering fastest. Bitcoin Core: 8.
const BY_LATENCY: usize = 8;
/// How many are protected for what they delivered. Bitcoin Core: 4.
const BY_DELIVERY: usize = 4;

/// How often newcomers may take slots that others have.
///
/// # Security
/// Whoever comes again and again, with as many identities as he likes, takes one slot for each part of the internet that he has
/// until those who lost theirs may come back, and leaves the others to others.
#[derive(Debug)]
pub(super) struct Evictions {
    rate: TokenBucket,
    /// For which groups somebody had to go, and when; as many as the rate lets it be.
    made_for: BTreeMap<NetGroup, Timestamp>,
}

impl Evictions {
    pub(super) fn new(config: &Config) -> Self {
        let burst = u64::from(config.evictions_per_minute).div_ceil(4);
        let rate = TokenBucket::new(f64::from(config.evictions_per_minute) / 60.0, burst, burst, Timestamp::default());
        Self { rate, made_for: BTreeMap::new() }
    }

    /// Whether somebody has to go for one of a group now; not twice within `pause`.
    pub(super) fn take(&mut self, group: NetGroup, pause: Duration, now: Timestamp) -> bool {
        self.made_for.retain(|_, at| now.since(*at) < pause);
        if self.made_for.contains_key(&group) || !self.rate.take(1, now) {
            return false;
        }
        self.made_for.insert(group, now);
        true
    }
}

/// The youngest of the largest group among those whom nothing protects, or of one group, if there are any.
pub(super) fn victim(mut peers: Vec<Merit>, of: Option<NetGroup>, secret: &Seed) -> Option<PeerId> {
    let all = peers.len();
    let share = |of: usize| of.saturating_mul(all).div_ceil(MEASURE).min(of);
    // A group's rank is drawn anew with every start: nobody can place himself in the right ones.
    let mut ranks: Vec<(u64, NetGroup)> = Vec::new();
    for merit in &peers {
        let rank = (secret.keyed_hash(merit.group.to_string().as_bytes()), merit.group);
        if !ranks.contains(&rank) {
            ranks.push(rank);
        }
    }
    ranks.sort_unstable();
    for (_, group) in ranks.into_iter().take(share(BY_GROUP)) {
        let oldest = peers.iter().enumerate().filter(|(_, merit)| merit.group == group);
        if let Some(index) = oldest.min_by_key(|(_, merit)| merit.since).map(|(index, _)| index) {
            peers.remove(index);
        }
    }
    peers.sort_by_key(|merit| (merit.latency.unwrap_or(Duration::MAX), merit.peer));
    let fast = peers.iter().filter(|merit| merit.latency.is_some()).count();
    peers.drain(..share(BY_LATENCY).min(fast));
    peers.sort_by_key(|merit| (Reverse(merit.useful_at), merit.peer));
    let useful = peers.iter().filter(|merit| merit.useful_at.is_some()).count();
    peers.drain(..share(BY_DELIVERY).min(useful));
    peers.sort_by_key(|merit| (merit.since, merit.peer));
    peers.drain(..peers.len() / 2);
    peers.retain(|merit| of.is_none_or(|group| merit.group == group));

    let mut groups: BTreeMap<NetGroup, (usize, Timestamp, Option<PeerId>)> = BTreeMap::new();
    for merit in &peers {
        let (count, youngest, peer) = groups.entry(merit.group).or_default();
        *count = count.saturating_add(1);
        (*youngest, *peer) = (merit.since, Some(merit.peer));
    }
    groups.into_values().max_by_key(|(count, youngest, _)| (*count, *youngest)).and_then(|(.., peer)| peer)
}

#[cfg(test)]
mod tests {
    use libp2p_identity::Keypair;

    use super::*;

    fn merits(count: u8) -> Vec<Merit> {
        let merit = |number: u8| Merit {
            peer: Keypair::ed25519_from_bytes([number; 32]).unwrap().public().to_peer_id(),
            group: NetGroup::V4(number.into()),
            latency: None,
            useful_at: None,
            since: Timestamp::from_secs(number.into()),
        };
        (1..=count).map(merit).collect()
    }

    #[test]
    fn the_youngest_of_the_largest_group_goes() {
        let mut peers = merits(150);
        for merit in &mut peers[100..130] {
            merit.group = NetGroup::V4(1);
        }
        assert_eq!(victim(peers.clone(), None, &Seed::from_number(1)), Some(peers[129].peer));
    }

    #[test]
    fn fault_what_is_hard_to_fake_protects() {
        let mut peers = merits(150);
        for merit in &mut peers {
            merit.group = NetGroup::V4(1);
        }
        let youngest = peers[149].peer;
        let secret = Seed::from_number(1);
        assert_eq!(victim(peers.clone(), None, &secret), Some(youngest));
        let next = peers[148].peer;
        peers[149].latency = Some(Duration::from_millis(3));
        assert_eq!(victim(peers.clone(), None, &secret), Some(next), "the fastest stays");
        peers[149].latency = None;
        peers[149].useful_at = Some(Timestamp::from_secs(500));
        assert_eq!(victim(peers.clone(), None, &secret), Some(next), "who delivers stays");
        for _ in 0..20 {
            let gone = victim(peers.clone(), None, &secret).unwrap();
            assert!(peers[75..].iter().any(|merit| merit.peer == gone), "the older half stays");
            peers.retain(|merit| merit.peer != gone);
        }
    }

    #[test]
    fn so_many_are_protected_by_speed_and_so_many_by_delivery() {
        // The youngest of all has the least merit of those who have any: it goes once they are too many.
        let gone = |count: usize, give: fn(&mut Merit, u64)| {
            let mut peers = merits(150);
            peers.iter_mut().for_each(|merit| merit.group = NetGroup::V4(1));
            let with_merit = peers.iter_mut().rev().take(count);
            with_merit.zip(0..).for_each(|(merit, place)| give(merit, place));
            let gone = victim(peers.clone(), None, &Seed::from_number(1)).unwrap();
            150 - peers.iter().position(|merit| merit.peer == gone).unwrap()
        };
        let fast = |merit: &mut Merit, place| merit.latency = Some(Duration::from_millis(100 - place));
        assert_eq!([7, 8, 9].map(|count| gone(count, fast)), [8, 9, 1]);
        let useful = |merit: &mut Merit, place| merit.useful_at = Some(Timestamp::from_secs(1_000 + place));
        assert_eq!([3, 4, 5].map(|count| gone(count, useful)), [4, 5, 1]);
    }

    #[test]
    fn so_many_groups_that_chance_ranks_first_protect_their_oldest() {
        let secret = Seed::from_number(1);
        let mut groups: Vec<NetGroup> = merits(150).iter().map(|merit| merit.group).collect();
        groups.sort_unstable_by_key(|group| secret.keyed_hash(group.to_string().as_bytes()));
        let is_youngest_gone = |rank: usize| {
            let mut peers = merits(150);
            let before = std::mem::replace(&mut peers[149].group, groups[rank]);
            let other = peers[..149].iter_mut().find(|merit| merit.group == groups[rank]);
            other.into_iter().for_each(|other| other.group = before);
            victim(peers.clone(), None, &secret) == Some(peers[149].peer)
        };
        // Ranks count from 0.
        assert_eq!([2, 3, 4].map(is_youngest_gone), [false, false, true]);
    }

    #[test]
    fn fault_slots_held_from_as_many_groups_as_there_are_slots_can_be_taken_back() {
        assert!(victim(merits(150), None, &Seed::from_number(1)).is_some());
        assert_eq!(victim(Vec::new(), None, &Seed::from_number(1)), None);
        assert_eq!(victim(merits(1), None, &Seed::from_number(1)), None, "who is alone is from a protected group");
    }
}
