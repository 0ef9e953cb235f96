//! How often others are dialled: in all, and at one address.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bruit_core::{Endpoint, NetGroup, Target, Timestamp, TokenBucket, may_be_usual_service};

use crate::Config;

/// For how long a dial counts that reached nobody. An hour: a guess.
const COUNTED_FOR: Duration = Duration::from_secs(3_600);
/// How many addresses are remembered; beyond, the one whose last dial is oldest is forgotten. 4,096: a guess.
const IPS_MAX: usize = 4_096;

/// What is known of an endpoint that is proposed: it decides how often it, and others at its address, are dialled in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This node has reached it before.
    Reached,
    /// Somebody in this part of the internet told of it, as the first one, and this node never reached it.
    Told(NetGroup),
}

impl Standing {
    /// The standing of what an address book holds: whether this node has reached it, and which part of the internet first told of it.
    pub const fn of(was_reached: bool, told_by: NetGroup) -> Self {
        if was_reached { Self::Reached } else { Self::Told(told_by) }
    }
}

/// What dials there may be. Addresses that the operator named are not asked about here, nor are private ones limited by address.
#[derive(Debug)]
pub(super) struct Budget {
    rate: TokenBucket,
    by_target: BTreeMap<Target, VecDeque<Told>>,
}

/// A dial to an endpoint that was only told of, or to a name that led to somebody once: where it leads now is not known.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Timestamp,
    by: Option<NetGroup>,
}

/// Who stands for it that somebody of this network is at an endpoint; `None` if this node saw it itself, at an address.
const fn teller(target: Target, standing: Standing) -> Option<Option<NetGroup>> {
    match (target, standing) {
        (Target::Host(_), Standing::Reached) => None,
        (Target::Domain(_), Standing::Reached) => Some(None),
        (_, Standing::Told(by)) => Some(Some(by)),
    }
}

/// Whether a dial may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    Granted,
    /// This address was dialled in vain too often, or never may be.
    NotThere,
    /// No dial at all may begin now.
    NotNow,
}

impl Budget {
    pub(super) fn new(config: &Config) -> Self {
        let burst = config.dials_burst.into();
        let rate = TokenBucket::new(config.dials_per_second.into(), burst, burst, Timestamp::default());
        Self { rate, by_target: BTreeMap::new() }
    }

    /// Asks for one dial, and counts it when it is granted.
    pub(super) fn ask(
        &mut self,
        endpoint: &Endpoint,
        standing: Standing,
        config: &Config,
        now: Timestamp,
    ) -> Allowance {
        if !self.admits(endpoint, standing, config, now) {
            return Allowance::NotThere;
        }
        if !self.rate.take(1, now) {
            return Allowance::NotNow;
        }
        if let Some(target) = Target::of(endpoint)
            && let Some(by) = teller(target, standing)
        {
            self.make_room(target);
            let dials = self.by_target.entry(target).or_default();
            dials.retain(|dial| now.since(dial.at) < COUNTED_FOR);
            dials.push_back(Told { at: now, by });
        }
        Allowance::Granted
    }

    /// Whether a dial there may begin, if any may.
    ///
    /// # Security
    /// Who tells of many dead ports at somebody's address does not hide him: an endpoint that was reached before is dialled all the
    /// same, and of one that never was, at least one other teller's word is tried.
    pub(super) fn admits(&self, endpoint: &Endpoint, standing: Standing, config: &Config, now: Timestamp) -> bool {
        let Some(target) = Target::of(endpoint) else { return true };
        if !config.dial_low_ports && may_be_usual_service(endpoint) {
            return false;
        }
        let Some(by) = teller(target, standing) else { return true };
        let dials = self.by_target.get(&target).into_iter().flatten();
        let counted = dials.filter(|dial| now.since(dial.at) < COUNTED_FOR);
        let of_teller = counted.clone().filter(|dial| dial.by == by).count();
        counted.count() < config.dials_per_ip_per_hour && of_teller < config.dials_per_ip_per_hour.div_ceil(2)
    }

    /// Somebody of this network is there: dials to it were not in vain. Of those to a domain one was not; where its other names
    /// lead is not known.
    pub(super) fn reached(&mut self, endpoint: &Endpoint) {
        match Target::of(endpoint) {
            Some(target @ Target::Host(_)) => {
                self.by_target.remove(&target);
            }
            Some(target @ Target::Domain(_)) => {
                self.by_target.get_mut(&target).and_then(VecDeque::pop_back);
            }
            None => {}
        }
    }

    fn make_room(&mut self, target: Target) {
        if self.by_target.len() < IPS_MAX || self.by_target.contains_key(&target) {
            return;
        }
        let oldest =
            self.by_target.iter().min_by_key(|(_, dials)| dials.back().map(|dial| dial.at)).map(|(target, _)| *target);
        oldest.into_iter().for_each(|target| {
            self.by_target.remove(&target);
        });
    }
}

#[cfg(test)]
mod tests;
