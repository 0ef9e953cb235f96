//! What is told unasked: fresh addresses to two peers, own ones to all, now and then.

use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Audience, PeerId, Timestamp};
use rand::RngExt;

use super::{Exchange, Output, around};
use crate::{OwnAnnounce, PeerAddr, SignedRecord, message::whole_hours};

/// For how long an address goes to the same peers. A day: Bitcoin Core.
const TARGETS_SAME_FOR_SECS: u64 = 24 * 3_600;
/// How far ahead the time of an address may lie that is passed on. 10 min: Bitcoin Core.
const AHEAD_MAX: Duration = Duration::from_secs(600);
/// After how long own addresses are signed anew. A day: a guess, a seventh of the time after which others forget a record.
const OWN_RECORD_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How many average pauses one pause lasts at most. 10: a guess; one in 22,000 would be longer.
const PAUSES_MAX: f64 = 10.0;
/// In how many seconds all peers hear of an own address that is new. 30: a guess.
const NEWS_SECS: u64 = 30;

impl<P: Copy + Ord> Exchange<P> {
    /// Passes on addresses that were unknown or changed, and that a peer told unasked. The owner has left out what must not be
    /// told. Only fresh ones go on, each to the same two peers for a day, and not again for hours.
    ///
    /// # Security
    /// What one peer may have passed on is bounded by its own token bucket; two peers a hop, and a pause for each address, keep
    /// it from becoming more on its way.
    pub fn relay(&mut self, from: P, addrs: Vec<PeerAddr>, now: Timestamp) {
        let settings = self.config.settings().clone();
        let again = Duration::from_secs(settings.relay_again_secs);
        let mut messages: BTreeMap<P, Vec<PeerAddr>> = BTreeMap::new();
        for addr in addrs {
            let Some(first) = addr.endpoints.first() else { continue };
            if !is_fresh(&addr, Duration::from_secs(settings.relay_fresh_secs), now)
                || !self.relayed.take(first, again, settings.relayed_max, now)
            {
                continue;
            }
            for to in self.targets(&addr, from, settings.relay_to, now) {
                let message = messages.entry(to).or_default();
                if message.len() < settings.addrs_per_announcement_max {
                    message.extend(self.usable_by(to, &addr));
                }
            }
        }
        for (to, addrs) in messages.into_iter().filter(|(_, addrs)| !addrs.is_empty()) {
            let Some(audience) = self.peers.get(&to).map(|state| state.link.audience()) else { continue };
            let addrs = self.with_records(addrs, audience, now);
            self.outputs.push_back(Output::Announce { to, addrs });
        }
    }

    /// How many addresses are remembered as passed on.
    pub fn relayed(&self) -> usize {
        self.relayed.len()
    }

    /// The peers that hear of an address: those that rank first for it today.
    fn targets(&self, addr: &PeerAddr, from: P, count: usize, now: Timestamp) -> Vec<P> {
        let Some(first) = addr.endpoints.first() else { return Vec::new() };
        let subject = self.seed.keyed_hash(first.to_multiaddr().as_ref());
        let day = now.as_secs().wrapping_add(subject % TARGETS_SAME_FOR_SECS) / TARGETS_SAME_FOR_SECS;
        let epoch = self.rank(day, subject);
        let others = self.peers.iter().filter(|(peer, state)| {
            **peer != from && state.is_admitted && (addr.peer.is_none() || state.identity != addr.peer)
        });
        let mut ranked: Vec<(u64, P)> = others.map(|(peer, state)| (self.rank(epoch, state.token), *peer)).collect();
        ranked.sort_unstable();
        ranked.truncate(count);
        ranked.into_iter().map(|(_, peer)| peer).collect()
    }

    fn usable_by(&self, peer: P, addr: &PeerAddr) -> Option<PeerAddr> {
        let audience = self.peers.get(&peer)?.link.audience();
        let policy = self.config.policy();
        let mut addr = addr.clone();
        addr.endpoints.retain(|endpoint| audience.can_use(endpoint) && policy.check(endpoint).is_ok());
        (!addr.endpoints.is_empty()).then_some(addr)
    }

    /// Hands over the sample that a push needed, and returns what to send.
    pub fn pushed(&mut self, to: P, mut sample: Vec<PeerAddr>, now: Timestamp) -> Vec<PeerAddr> {
        let Some(state) = self.peers.get(&to).filter(|state| state.is_admitted) else { return Vec::new() };
        let audience = state.link.audience();
        sample.truncate(self.config.settings().addrs_per_answer_max);
        self.with_records(sample, audience, now)
    }

    pub(super) fn own_due(&mut self, now: Timestamp) -> Option<Output<P>> {
        loop {
            let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
            let (to, state) = self.peers.iter_mut().find(|(_, state)| is_due(state.own_at))?;
            let (to, audience) = (*to, state.link.audience());
            let pause = match self.config.settings().own_announce {
                OwnAnnounce::Never => None,
                OwnAnnounce::MeanSecs(secs) => Some(exponential(Duration::from_secs(secs), &mut self.rng)),
                OwnAnnounce::EverySecs(secs) => Some(around(Duration::from_secs(secs), 5, &mut self.rng)),
            };
            state.own_at = pause.map(|pause| now.after(pause));
            if let Some(own) = pause.and_then(|_| self.own_addr(audience, now)) {
                return Some(Output::Announce { to, addrs: vec![own] });
            }
        }
    }

    /// All peers hear soon of an own address that is new.
    pub(super) fn own_changed(&mut self, now: Timestamp) {
        self.own_records.clear();
        for state in self.peers.values_mut().filter(|state| state.is_admitted) {
            let soon = now.after(Duration::from_millis(self.rng.random_range(0..=NEWS_SECS * 1_000)));
            state.own_at = Some(state.own_at.map_or(soon, |at| at.min(soon)));
        }
    }

    /// Where this node can be dialled, as it is told to an audience; `None` where nobody is known to have reached it.
    pub fn own_addr(&mut self, audience: Audience, now: Timestamp) -> Option<PeerAddr> {
        let endpoints = self.own.told(audience, self.config.policy());
        if endpoints.is_empty() {
            return None;
        }
        let record = self.own_record(audience, &endpoints, now).map(|record| record.bytes().clone());
        Some(PeerAddr { peer: self.identity, endpoints, last_seen: Some(whole_hours(now)), record })
    }

    /// A record that is not older than a day: others forget it after a week.
    fn own_record(
        &mut self,
        audience: Audience,
        endpoints: &[bruit_core::Endpoint],
        now: Timestamp,
    ) -> Option<SignedRecord> {
        let key = self.key.as_ref()?;
        let known = self.own_records.get(&audience).filter(|record| {
            let age = record.signed_at(now).map_or(Duration::MAX, |at| now.since(at));
            record.endpoints() == endpoints && age < OWN_RECORD_FOR
        });
        if let Some(record) = known {
            return Some(record.clone());
        }
        let record = SignedRecord::sign(key, endpoints, now.as_secs()).ok()?;
        self.own_records.insert(audience, record.clone());
        Some(record)
    }

    /// Who this node is, if it was told.
    pub const fn identity(&self) -> Option<PeerId> {
        self.identity
    }
}

/// Times are rounded down to the hour by whoever told them.
fn is_fresh(addr: &PeerAddr, most: Duration, now: Timestamp) -> bool {
    let Some(seen) = addr.last_seen else { return false };
    seen <= Timestamp::from_secs(now.as_secs()).after(AHEAD_MAX) && now.since(seen) <= most
}

fn exponential(mean: Duration, rng: &mut bruit_core::ChaCha8Rng) -> Duration {
    let share: f64 = 1.0 - rng.random::<f64>();
    mean.mul_f64((-share.ln()).min(PAUSES_MAX))
}
