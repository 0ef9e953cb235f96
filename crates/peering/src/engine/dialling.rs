//! Whom to dial next: what is under way, manual peers, seed addresses, and when to look again.

use std::{collections::BTreeMap, time::Duration};

use bruit_core::{ChaCha8Rng, Endpoint, PeerId, Timestamp};
use rand::seq::IteratorRandom;

use super::{
    backoff::{Backoff, Growth},
    counted::Counted,
    seeds::Asked,
};
use crate::{Config, Intent, Strangeness};

/// What became of a proposal to dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum DialOutcome {
    /// The dial is under way.
    Started,
    /// The peer or the endpoint is connected, or it is our own.
    Connected,
    /// The endpoint or the peer is being dialled.
    UnderWay,
    /// It failed or sent us away not long ago.
    BackingOff,
    /// As many dials as allowed are under way, or no more peers are wanted.
    Enough,
    /// The operator does not want it.
    Forbidden,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Fill,
    Quiet,
    Manual,
    Visit,
}

impl Purpose {
    pub(super) const fn intent(self) -> Intent {
        match self {
            Self::Fill | Self::Manual => Intent::Stay,
            Self::Quiet => Intent::Quiet,
            Self::Visit => Intent::Visit,
        }
    }
}

/// How many times as long dials are waited for while none that began as late was answered: when all are silent it may well be this node,
/// or what it is connected by, that is slow. 3: a guess; a little more than half of what a handshake may take.
const PATIENCE_WITH_ALL: u32 = 3;
/// How many times as long as the last answer took others may take. 2: a guess.
const SLOWER_THAN_OTHERS: u32 = 2;

#[derive(Debug)]
pub(super) struct Dial {
    pub(super) peer: Option<PeerId>,
    pub(super) purpose: Purpose,
    since: Timestamp,
    /// It keeps no place any more, although it may still be answered.
    pub(super) is_overdue: bool,
}

impl Dial {
    pub(super) const fn new(peer: Option<PeerId>, purpose: Purpose, now: Timestamp) -> Self {
        Self { peer, purpose, since: now, is_overdue: false }
    }

    const fn keeps_a_place(&self) -> bool {
        !self.is_overdue && matches!(self.purpose, Purpose::Fill | Purpose::Quiet)
    }

    /// When it loses its place, where `answered` is the youngest dial that was answered.
    fn overdue_at(&self, patience: Duration, answered: Option<Answered>) -> Timestamp {
        let longest = patience.saturating_mul(PATIENCE_WITH_ALL);
        let others = answered.filter(|answered| self.since <= answered.since);
        let span = others.map_or(longest, |others| others.took.saturating_mul(SLOWER_THAN_OTHERS));
        self.since.after(span.clamp(patience, longest))
    }
}

/// A dial that was answered.
#[derive(Clone, Copy, Debug)]
struct Answered {
    since: Timestamp,
    took: Duration,
}

/// An address the operator named: a manual peer or a seed.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) endpoint: Endpoint,
    pub(super) peer: Option<PeerId>,
    /// Nobody named the peer: it is whoever was found there.
    is_bound: bool,
    /// How far it has been asked, if it is a seed.
    pub(super) asked: Asked,
}

impl Named {
    pub(super) const fn new(endpoint: Endpoint, peer: Option<PeerId>) -> Self {
        Self { endpoint, peer, is_bound: false, asked: Asked::No }
    }
}

#[derive(Debug)]
pub(super) struct Dialling {
    pub(super) under_way: BTreeMap<Endpoint, Dial>,
    /// Whom those dials lead to, as far as known.
    expected: Counted<PeerId>,
    /// Of the dials that were answered the one that began last.
    answered: Option<Answered>,
    pub(super) backoff: Backoff,
    pub(super) manual: Vec<Named>,
    pub(super) seeds: Vec<Named>,
    look_at: Timestamp,
    interval: Duration,
    seed_not_before: Timestamp,
}

impl Dialling {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            under_way: BTreeMap::new(),
            expected: Counted::new(),
            answered: None,
            backoff: Backoff::new(config.backoff_entries_max),
            manual: Vec::new(),
            seeds: Vec::new(),
            look_at: Timestamp::default(),
            interval: config.refill_interval_min,
            seed_not_before: Timestamp::default(),
        }
    }

    pub(super) fn is_under_way(&self, endpoint: &Endpoint, peer: Option<PeerId>) -> bool {
        self.under_way.contains_key(endpoint) || peer.is_some_and(|peer| self.expected.holds(&peer))
    }

    pub(super) fn begin(&mut self, endpoint: Endpoint, dial: Dial) {
        self.end(&endpoint);
        dial.peer.iter().for_each(|peer| self.expected.add(peer));
        self.under_way.insert(endpoint, dial);
    }

    /// A dial is under way no more; returns it if it was.
    pub(super) fn end(&mut self, endpoint: &Endpoint) -> Option<Dial> {
        let dial = self.under_way.remove(endpoint)?;
        dial.peer.iter().for_each(|peer| self.expected.remove(peer));
        Some(dial)
    }

    /// A dial has led to somebody; returns it if it was under way.
    pub(super) fn answer(&mut self, endpoint: &Endpoint, now: Timestamp) -> Option<Dial> {
        let dial = self.end(endpoint)?;
        if self.answered.is_none_or(|answered| answered.since <= dial.since) {
            self.answered = Some(Answered { since: dial.since, took: now.since(dial.since) });
        }
        Some(dial)
    }

    /// How many dials with a purpose keep a place.
    pub(super) fn under_way_for(&self, purpose: Purpose) -> usize {
        self.under_way.values().filter(|dial| dial.purpose == purpose && !dial.is_overdue).count()
    }

    /// How many dials keep no place any more.
    pub(super) fn overdue(&self) -> usize {
        self.under_way.values().filter(|dial| dial.is_overdue).count()
    }

    /// When the next dial loses its place.
    pub(super) fn next_overdue(&self, patience: Duration) -> Option<Timestamp> {
        let waited_for = self.under_way.values().filter(|dial| dial.keeps_a_place());
        waited_for.map(|dial| dial.overdue_at(patience, self.answered)).min()
    }

    /// Takes the place of those dials that had no answer for so long, and looks for others.
    pub(super) fn lose_patience(&mut self, config: &Config, now: Timestamp) {
        let (patience, answered) = (config.dial_patience, self.answered);
        let is_late = |dial: &&mut Dial| dial.keeps_a_place() && dial.overdue_at(patience, answered) <= now;
        let late = self.under_way.values_mut().filter(is_late).map(|dial| dial.is_overdue = true).count();
        if late > 0 {
            self.look_soon(config, now);
        }
    }

    pub(super) fn is_manual(&self, endpoint: &Endpoint, peer: PeerId) -> bool {
        self.manual.iter().any(|named| named.peer == Some(peer) || named.endpoint == *endpoint)
    }

    pub(super) fn is_named(&self, endpoint: &Endpoint) -> bool {
        self.manual.iter().chain(&self.seeds).any(|named| named.endpoint == *endpoint)
    }

    /// Binds named addresses without identity to the one that was proven there.
    pub(super) fn bind(&mut self, endpoint: &Endpoint, peer: PeerId) {
        let named = self.manual.iter_mut().chain(&mut self.seeds);
        named.filter(|named| named.endpoint == *endpoint && named.peer.is_none()).for_each(|named| {
            (named.peer, named.is_bound) = (Some(peer), true);
        });
    }

    /// Takes back what [`Self::bind`] did: somebody else lives there now.
    pub(super) fn unbind(&mut self, endpoint: &Endpoint) {
        let named = self.manual.iter_mut().chain(&mut self.seeds);
        named.filter(|named| named.endpoint == *endpoint && named.is_bound).for_each(|named| {
            (named.peer, named.is_bound) = (None, false);
        });
    }

    /// How long the operator's own addresses are left alone at most.
    fn longest_pause(&self, endpoint: &Endpoint, config: &Config) -> Option<Duration> {
        let is_in = |list: &[Named]| list.iter().any(|named| named.endpoint == *endpoint);
        let seed = is_in(&self.seeds).then_some(config.backoff_seed_max);
        if is_in(&self.manual) { Some(config.backoff_manual_max) } else { seed }
    }

    pub(super) fn failed(&mut self, endpoint: &Endpoint, config: &Config, rng: &mut ChaCha8Rng, now: Timestamp) {
        let max = self.longest_pause(endpoint, config).unwrap_or(config.backoff_max);
        if self.seeds.iter().any(|seed| seed.endpoint == *endpoint) {
            self.seed_not_before = now;
            self.seed_asked(endpoint);
        }
        self.backoff.failed(endpoint, Growth { base: config.backoff_base, max }, rng, now);
    }

    /// A seed has been asked, or nothing came of it.
    pub(super) fn seed_asked(&mut self, endpoint: &Endpoint) {
        let seeds = self.seeds.iter_mut().filter(|seed| seed.endpoint == *endpoint);
        seeds.for_each(|seed| seed.asked = Asked::Done);
    }

    /// A seed is being dialled.
    pub(super) fn seed_dialled(&mut self, endpoint: &Endpoint) {
        let seeds = self.seeds.iter_mut().filter(|seed| seed.endpoint == *endpoint);
        seeds.for_each(|seed| seed.asked = Asked::Dialled);
    }

    /// Somebody was found at a seed address.
    pub(super) fn seed_met(&mut self, endpoint: &Endpoint, now: Timestamp) {
        let seeds = self.seeds.iter_mut().filter(|seed| seed.endpoint == *endpoint && seed.asked != Asked::Done);
        seeds.for_each(|seed| seed.asked = Asked::Met(now));
    }

    /// No further seed is asked before then.
    pub(super) fn seeds_rest(&mut self, until: Timestamp) {
        self.seed_not_before = self.seed_not_before.max(until);
    }

    /// Stays away from an endpoint for as long as asked, or as the settings let it be asked; returns for how long.
    pub(super) fn stay_away(
        &mut self,
        endpoint: &Endpoint,
        span: Duration,
        config: &Config,
        now: Timestamp,
    ) -> Duration {
        let max = self.longest_pause(endpoint, config).unwrap_or(config.stay_away_honoured_max);
        let span = span.min(max).max(config.backoff_base);
        self.backoff.stay_away(endpoint, span, now);
        span
    }

    /// Somebody was at an endpoint with whom nothing can be begun. Who was silent may only have been busy, as all are while many
    /// nodes start at once, so it is tried again as one that could not be reached; who is of another network stays that.
    pub(super) fn strange(
        &mut self,
        endpoint: &Endpoint,
        reason: Strangeness,
        config: &Config,
        rng: &mut ChaCha8Rng,
        now: Timestamp,
    ) {
        match reason {
            Strangeness::Silent => self.failed(endpoint, config, rng, now),
            Strangeness::WrongNetwork | Strangeness::OtherProtocol => {
                self.stay_away(endpoint, config.backoff_max, config, now);
            }
        }
    }

    /// One seed that may be dialled now and is not connected. The next one is due after `patience`, in which this one can
    /// answer a question for addresses, or at once when it fails: else every node would hold on to all seeds.
    pub(super) fn next_seed(
        &mut self,
        is_connected: impl Fn(&Named) -> bool,
        patience: Duration,
        rng: &mut ChaCha8Rng,
        now: Timestamp,
    ) -> Option<Named> {
        if now < self.seed_not_before {
            return None;
        }
        let due = self.seeds.iter().filter(|seed| {
            !is_connected(seed)
                && !self.is_under_way(&seed.endpoint, seed.peer)
                && self.backoff.is_due(&seed.endpoint, now)
        });
        let seed = due.choose(rng).cloned()?;
        self.seed_not_before = now.after(patience);
        Some(seed)
    }

    /// The manual peers that are not connected and not being dialled, with the moment each may be.
    pub(super) fn manual_waiting(
        &self,
        is_connected: impl Fn(&Named) -> bool,
    ) -> impl Iterator<Item = (Timestamp, &Named)> {
        self.manual
            .iter()
            .filter(move |named| !is_connected(named) && !self.is_under_way(&named.endpoint, named.peer))
            .map(|named| (self.backoff.not_before(&named.endpoint).unwrap_or_default(), named))
    }

    pub(super) const fn look_at(&self) -> Timestamp {
        self.look_at
    }

    /// Looks again at once, and soon after that: something has changed.
    pub(super) fn look_soon(&mut self, config: &Config, now: Timestamp) {
        self.interval = config.refill_interval_min;
        self.look_at = self.look_at.min(now);
    }

    /// Takes the turn: the next one is an interval away, and intervals double while nothing changes.
    pub(super) fn take_turn(&mut self, config: &Config, now: Timestamp) {
        self.look_at = now.after(self.interval);
        self.interval = self.interval.saturating_mul(2).min(config.refill_interval_max);
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::Seed;

    use super::*;

    const T: Timestamp = Timestamp::from_secs(1_000);

    fn endpoint() -> Endpoint {
        Endpoint::tcp([1, 2, 3, 4].into(), 4_001)
    }

    /// Of many delays after so many failures the shortest and the longest, in rounded seconds.
    fn delays(config: &Config, failures: u32, name: fn(&mut Dialling)) -> [u64; 2] {
        let drawn = (0..500).map(|number| {
            let (mut dialling, mut rng) = (Dialling::new(config), Seed::from_number(number).rng());
            name(&mut dialling);
            (0..failures).for_each(|_| dialling.failed(&endpoint(), config, &mut rng, T));
            dialling.backoff.not_before(&endpoint()).unwrap().since(T)
        });
        let drawn: Vec<Duration> = drawn.collect();
        let rounded = |span: Option<&Duration>| (*span.unwrap() + Duration::from_millis(500)).as_secs();
        [rounded(drawn.iter().min()), rounded(drawn.iter().max())]
    }

    /// A quarter less and a quarter more.
    fn around(secs: u64) -> [u64; 2] {
        [secs / 4 * 3, secs / 4 * 5]
    }

    #[test]
    fn delays_begin_with_the_first_and_end_with_the_longest_of_those_who_failed() {
        let named = |dialling: &mut Dialling| vec![Named::new(endpoint(), None)].clone_into(&mut dialling.manual);
        let seed = |dialling: &mut Dialling| vec![Named::new(endpoint(), None)].clone_into(&mut dialling.seeds);
        let with = |base, manual, seed, other| Config {
            backoff_base: Duration::from_secs(base),
            backoff_manual_max: Duration::from_secs(manual),
            backoff_seed_max: Duration::from_secs(seed),
            backoff_max: Duration::from_secs(other),
            ..Config::default()
        };
        for secs in [4, 8, 12] {
            assert_eq!(delays(&with(secs, 50, 50, 50), 1, |_| ()), around(secs));
            assert_eq!(delays(&with(secs, 50, 50, 50), 2, |_| ()), around(2 * secs));
        }
        for secs in [36, 40, 44] {
            assert_eq!(delays(&with(1, secs, 90, 90), 9, named), around(secs));
            assert_eq!(delays(&with(1, 90, secs, 90), 9, seed), around(secs));
            assert_eq!(delays(&with(1, 90, 90, secs), 9, |_| ()), around(secs));
        }
    }
}
