//! Dials that only try an address: who waits for one, and which are under way.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bruit_core::{Endpoint, NetGroup, Timestamp, TokenBucket};

use crate::Config;

#[derive(Clone, Debug)]
pub(super) struct Probes<P> {
    waiting: VecDeque<(P, Endpoint)>,
    running: BTreeMap<P, (Endpoint, Timestamp)>,
    /// When one was last begun in each part of the internet in which somebody waits or is dialled.
    begun: BTreeMap<NetGroup, Timestamp>,
    bucket: TokenBucket,
}

/// How many are begun at once after a while without any. 16: a guess, what eight seconds bring.
const BURST: u64 = 16;
/// Of all that may begin yet, one in so many may be in one part of the internet, and one at least. 4: a guess; who has the dials to him
/// take long fills all from as many parts as may be under way.
const GROUP_ONE_IN: usize = 4;

impl<P: Copy + Ord> Probes<P> {
    pub(super) fn new(config: &Config) -> Self {
        let per_second = config.probes_per_minute as f64 / 60.0;
        let bucket = TokenBucket::new(per_second, BURST, BURST, Timestamp::default());
        Self { waiting: VecDeque::new(), running: BTreeMap::new(), begun: BTreeMap::new(), bucket }
    }

    /// Puts a peer in line that wants to be dialled; false if it is there already or many are.
    pub(super) fn want(&mut self, peer: P, endpoint: Endpoint, config: &Config) -> bool {
        if self.waiting.len() >= config.probes_waiting_max {
            return false;
        }
        self.confirm(peer, endpoint)
    }

    /// Puts a peer in line that is to be found; false if it is there already. However long the line is: every connected peer has
    /// one place in it, and nobody has to go for others having been quicker.
    pub(super) fn confirm(&mut self, peer: P, endpoint: Endpoint) -> bool {
        if self.running.contains_key(&peer) || self.waiting.iter().any(|(other, _)| *other == peer) {
            return false;
        }
        self.waiting.push_back((peer, endpoint));
        true
    }

    pub(super) fn forget(&mut self, peer: P) {
        self.running.remove(&peer);
        self.waiting.retain(|(other, _)| *other != peer);
    }

    /// The next one to begin.
    pub(super) fn begin(&mut self, config: &Config, now: Timestamp) -> Option<(P, Endpoint)> {
        if self.waiting.is_empty() || self.bucket.available(now) == 0 {
            return None;
        }
        let next = self.next(config)?;
        self.bucket.take(1, now);
        let (peer, endpoint) = self.waiting.remove(next)?;
        self.running.insert(peer, (endpoint.clone(), now.after(Duration::from_secs(config.probe_secs))));
        self.begun.insert(endpoint.group(), now);
        let waiting = self.waiting.iter().map(|(_, endpoint)| endpoint);
        let known = waiting.chain(self.running.values().map(|(endpoint, _)| endpoint));
        let groups: BTreeSet<NetGroup> = known.map(Endpoint::group).collect();
        self.begun.retain(|group, _| groups.contains(group));
        Some((peer, endpoint))
    }

    /// Whose turn it is: that of the part of the internet where fewest are under way and where one was begun longest ago, and there
    /// of whoever waits longest.
    ///
    /// # Security
    /// Who has many identities and lets dials to them take as long as they can holds up his own part of the internet, no other.
    fn next(&self, config: &Config) -> Option<usize> {
        let free = config.probes_max.saturating_sub(self.running.len());
        if free == 0 || self.waiting.is_empty() {
            return None;
        }
        let mut running: BTreeMap<NetGroup, usize> = BTreeMap::new();
        for (endpoint, _) in self.running.values() {
            let count = running.entry(endpoint.group()).or_default();
            *count = count.saturating_add(1);
        }
        let turns = self.waiting.iter().enumerate().map(|(index, (_, endpoint))| {
            let group = endpoint.group();
            (running.get(&group).copied().unwrap_or_default(), self.begun.get(&group).copied(), index)
        });
        let most = (free / GROUP_ONE_IN).max(1);
        turns.filter(|(running, ..)| *running < most).min().map(|(.., index)| index)
    }

    /// Whether one was under way, which it is no longer.
    pub(super) fn end(&mut self, peer: P, endpoint: &Endpoint) -> bool {
        let is_running = self.running.get(&peer).is_some_and(|(running, _)| running == endpoint);
        if is_running {
            self.running.remove(&peer);
        }
        is_running
    }

    /// One that takes too long.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<(P, Endpoint)> {
        let overdue = self.running.iter().find(|(_, (_, until))| *until <= now);
        overdue.map(|(peer, (endpoint, _))| (*peer, endpoint.clone()))
    }

    pub(super) fn next_timeout(&self, config: &Config, now: Timestamp) -> Option<Timestamp> {
        let overdue = self.running.values().map(|(_, until)| *until).min();
        let wait = if self.waiting.is_empty() { None } else { self.bucket.clone().wait_for(1, now) };
        let begins = wait.filter(|wait| !wait.is_zero() || self.next(config).is_some()).map(|wait| now.after(wait));
        overdue.into_iter().chain(begins).min()
    }
}
