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
    by_target: BTreeMap<Target, VecDeque<Vain>>,
}

/// A dial that reached nobody yet.
#[derive(Clone, Copy, Debug)]
struct Vain {
    at: Timestamp,
    standing: Standing,
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
        Self { rate: rate(config, Timestamp::default()), by_target: BTreeMap::new() }
    }

    /// Takes other limits. Dials in vain stay counted: reading the settings again is no reason to repeat them.
    pub(super) fn reconfigure(&mut self, config: &Config, now: Timestamp) {
        self.rate = rate(config, now);
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
        if let Some(target) = Target::of(endpoint) {
            self.make_room(target);
            let dials = self.by_target.entry(target).or_default();
            dials.retain(|dial| now.since(dial.at) < COUNTED_FOR);
            dials.push_back(Vain { at: now, standing });
        }
        Allowance::Granted
    }

    /// Whether a dial there may begin, if any may.
    ///
    /// # Security
    /// Who tells of many dead ports at somebody's address does not hide him: dials to what was reached at an address count by
    /// themselves, and one teller's word is tried no more often than half of the times, rounded up. Where a name leads that was
    /// reached once is not known, so it counts with all others of its domain, as told by one.
    pub(super) fn admits(&self, endpoint: &Endpoint, standing: Standing, config: &Config, now: Timestamp) -> bool {
        let Some(target) = Target::of(endpoint) else { return true };
        if !config.dial_low_ports && may_be_usual_service(endpoint) {
            return false;
        }
        let in_vain_max = config.dials_per_ip_per_hour;
        let dials = self.by_target.get(&target).into_iter().flatten();
        let recent = dials.filter(|dial| now.since(dial.at) < COUNTED_FOR);
        let alike = recent.clone().filter(|dial| dial.standing == standing).count();
        match (target, standing) {
            (Target::Host(_), Standing::Reached) => alike < in_vain_max,
            (Target::Host(_), Standing::Told(_)) => {
                let told = recent.filter(|dial| dial.standing != Standing::Reached).count();
                told < in_vain_max && alike < in_vain_max.div_ceil(2)
            }
            (Target::Domain(_), _) => recent.count() < in_vain_max && alike < in_vain_max.div_ceil(2),
        }
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

fn rate(config: &Config, now: Timestamp) -> TokenBucket {
    let burst = config.dials_burst.into();
    TokenBucket::new(config.dials_per_second.into(), burst, burst, now)
}

#[cfg(test)]
mod tests;
