//! How often others are dialled: in all, and at one address.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bruit_core::{Endpoint, Target, Timestamp, TokenBucket, may_be_usual_service};

use crate::Config;

/// For how long a dial counts that reached nobody. An hour: a guess.
const COUNTED_FOR: Duration = Duration::from_secs(3_600);
/// How many addresses are remembered; beyond, the one whose last dial is oldest is forgotten. 4,096: a guess.
const IPS_MAX: usize = 4_096;

/// What dials there may be. Addresses that the operator named are not asked about here, nor are private ones limited by address.
#[derive(Debug)]
pub(super) struct Budget {
    rate: TokenBucket,
    by_target: BTreeMap<Target, VecDeque<Timestamp>>,
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
    pub(super) fn ask(&mut self, endpoint: &Endpoint, config: &Config, now: Timestamp) -> Allowance {
        let Some(target) = Target::of(endpoint) else {
            return if self.rate.take(1, now) { Allowance::Granted } else { Allowance::NotNow };
        };
        if !self.admits(endpoint, config, now) {
            return Allowance::NotThere;
        }
        if !self.rate.take(1, now) {
            return Allowance::NotNow;
        }
        self.make_room(target);
        let times = self.by_target.entry(target).or_default();
        times.retain(|at| now.since(*at) < COUNTED_FOR);
        times.push_back(now);
        Allowance::Granted
    }

    /// Whether a dial there may begin, if any may.
    pub(super) fn admits(&self, endpoint: &Endpoint, config: &Config, now: Timestamp) -> bool {
        let Some(target) = Target::of(endpoint) else { return true };
        let counted =
            || self.by_target.get(&target).into_iter().flatten().filter(|at| now.since(**at) < COUNTED_FOR).count();
        (config.dial_low_ports || !may_be_usual_service(endpoint)) && counted() < config.dials_per_ip_per_hour
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
        let oldest = self.by_target.iter().min_by_key(|(_, times)| times.back().copied()).map(|(target, _)| *target);
        oldest.into_iter().for_each(|target| {
            self.by_target.remove(&target);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::from_secs(10_000);

    fn at(ip: [u8; 4], port: u16) -> Endpoint {
        Endpoint::tcp(ip.into(), port)
    }

    #[test]
    fn fault_a_victim_whose_ports_are_all_advertised_is_dialled_three_times_an_hour() {
        let config = Config::default();
        let mut budget = Budget::new(&config);
        let mut dialled = |from: Timestamp| {
            let ask = |port| (budget.ask(&at([8, 8, 8, 8], port), &config, from) == Allowance::Granted).then_some(port);
            (1..=u16::MAX).filter_map(ask).collect::<Vec<_>>()
        };
        assert_eq!(dialled(T), [1_024, 1_025, 1_026]);
        assert_eq!(dialled(T.after(COUNTED_FOR - Duration::from_secs(1))), [0_u16; 0]);
        assert_eq!(dialled(T.after(COUNTED_FOR)).len(), 3);
    }

    #[test]
    fn fault_names_do_not_lead_around_the_limits_of_an_address() {
        let config = Config { dials_burst: 10_000, ..Config::default() };
        let named = |name: String, port: u16| {
            let addr = format!("/dns4/{name}/tcp/{port}").parse().unwrap();
            Endpoint::from_multiaddr(&addr).unwrap().0
        };
        let mut budget = Budget::new(&config);
        let granted = |budget: &mut Budget, endpoint| budget.ask(&endpoint, &config, T) == Allowance::Granted;
        let granted_of = |budget: &mut Budget, port| {
            (0..1_000).filter(|number| granted(budget, named(format!("a{number}.evil.example"), port))).count()
        };
        assert_eq!(granted_of(&mut budget, 22), 0);
        assert_eq!(granted_of(&mut budget, 4_000), config.dials_per_ip_per_hour);
        budget.reached(&named("a0.evil.example".into(), 4_000));
        assert_eq!(granted_of(&mut budget, 4_000), 1, "who was reached says nothing of the others");
        assert!(granted(&mut budget, named("good.example".into(), 4_000)));
    }

    #[test]
    fn fault_no_more_dials_begin_than_the_rate_allows() {
        let config = Config::default();
        let mut budget = Budget::new(&config);
        let mut granted = 0;
        for second in 0..60 {
            for number in 0..1_000_u16 {
                let [a, b] = number.to_be_bytes();
                let to = at([20 + a, b, second, 1], 4_000);
                let now = T.after(Duration::from_secs(second.into()));
                granted += u32::from(budget.ask(&to, &config, now) == Allowance::Granted);
            }
        }
        assert_eq!(granted, config.dials_burst + 59 * config.dials_per_second);
    }

    #[test]
    fn fault_a_host_with_many_ipv6_addresses_is_dialled_as_one() {
        let config = Config { dials_burst: 100, ..Config::default() };
        let mut budget = Budget::new(&config);
        let granted = (1..=50_u16).filter(|last| {
            let ip = std::net::Ipv6Addr::new(0x2a00, 0x1450, 1, 2, 3, 4, 5, *last);
            budget.ask(&Endpoint::tcp(ip.into(), 4_000), &config, T) == Allowance::Granted
        });
        assert_eq!(granted.count(), config.dials_per_ip_per_hour);
    }

    #[test]
    fn what_was_reached_and_what_is_private_is_not_limited_by_address() {
        let config = Config { dials_burst: 100, ..Config::default() };
        let mut budget = Budget::new(&config);
        for _ in 0..10 {
            assert_eq!(budget.ask(&at([8, 8, 8, 8], 4_000), &config, T), Allowance::Granted);
            budget.reached(&at([8, 8, 8, 8], 4_000));
            assert_eq!(budget.ask(&at([127, 0, 0, 1], 80), &config, T), Allowance::Granted);
        }
    }

    #[test]
    fn addresses_are_remembered_up_to_a_limit() {
        let config = Config { dials_burst: 10_000, ..Config::default() };
        let mut budget = Budget::new(&config);
        for number in 0..=IPS_MAX as u64 {
            let [.., a, b] = number.to_be_bytes();
            assert_eq!(
                budget.ask(&at([20, a, b, 1], 4_000), &config, T.after(Duration::from_secs(number))),
                Allowance::Granted
            );
            assert_eq!(budget.by_target.len() as u64, (number + 1).min(IPS_MAX as u64));
        }
        assert!(!budget.by_target.contains_key(&Target::Host([20, 0, 0, 1].into())));
    }
}
