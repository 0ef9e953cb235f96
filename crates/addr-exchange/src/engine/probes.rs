//! Dials that only try an address: who waits for one, and which are under way.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bruit_core::{Endpoint, Timestamp, TokenBucket};

use crate::Config;

#[derive(Clone, Debug)]
pub(super) struct Probes<P> {
    waiting: VecDeque<(P, Endpoint)>,
    running: BTreeMap<P, (Endpoint, Timestamp)>,
    bucket: TokenBucket,
}

/// How many are begun at once after a while without any. 16: a guess, what eight seconds bring.
const BURST: u64 = 16;

impl<P: Copy + Ord> Probes<P> {
    pub(super) fn new(config: &Config) -> Self {
        let per_second = config.probes_per_minute as f64 / 60.0;
        let bucket = TokenBucket::new(per_second, BURST, BURST, Timestamp::default());
        Self { waiting: VecDeque::new(), running: BTreeMap::new(), bucket }
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
        if self.waiting.is_empty() || self.running.len() >= config.probes_max || !self.bucket.take(1, now) {
            return None;
        }
        let (peer, endpoint) = self.waiting.pop_front()?;
        self.running.insert(peer, (endpoint.clone(), now.after(Duration::from_secs(config.probe_secs))));
        Some((peer, endpoint))
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
        let may_begin = !self.waiting.is_empty() && self.running.len() < config.probes_max;
        let wait = may_begin.then(|| self.bucket.clone().wait_for(1, now)).flatten();
        overdue.into_iter().chain(wait.map(|wait| now.after(wait))).min()
    }
}
