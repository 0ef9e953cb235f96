//! How often a host is dialled in vain, so that a list of addresses cannot turn a crawl against somebody.

use std::collections::BTreeMap;

use bruit_core::{Endpoint, Target};

/// What may be done with an endpoint now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It may be dialled.
    Now,
    /// When dials to its host have ended.
    Later,
    /// Its host was dialled in vain too often.
    Never,
}

/// The public hosts and the domains that were dialled: one for each address that is looked at, at most.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    dials: BTreeMap<Target, Dials>,
}

#[derive(Debug, Default)]
struct Dials {
    under_way: usize,
    failed: usize,
}

/// How many dials to one public host, or to the names of one domain, may fail. 3: as many as peering allows in an hour.
const FAILED_MAX: usize = 3;

impl Hosts {
    /// A dial to an endpoint is to begin; if it may, it counts as under way.
    pub(super) fn dial(&mut self, endpoint: &Endpoint) -> Turn {
        let Some(target) = Target::of(endpoint) else { return Turn::Now };
        let dials = self.dials.entry(target).or_default();
        if dials.failed >= FAILED_MAX {
            Turn::Never
        } else if dials.failed.saturating_add(dials.under_way) >= FAILED_MAX {
            Turn::Later
        } else {
            dials.under_way = dials.under_way.saturating_add(1);
            Turn::Now
        }
    }

    /// A dial has ended; on a host where somebody was, those before count no longer. Where other names lead is not known.
    pub(super) fn dial_ended(&mut self, endpoint: &Endpoint, is_reached: bool) {
        let Some(target) = Target::of(endpoint) else { return };
        let Some(dials) = self.dials.get_mut(&target) else { return };
        dials.under_way = dials.under_way.saturating_sub(1);
        match (is_reached, target) {
            (true, Target::Host(_)) => dials.failed = 0,
            (true, Target::Domain(_)) => {}
            (false, _) => dials.failed = dials.failed.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn victim(port: u16) -> Endpoint {
        Endpoint::tcp([8, 8, 8, 8].into(), port)
    }

    #[test]
    fn fault_a_host_whose_ports_are_all_named_is_dialled_three_times() {
        let mut hosts = Hosts::default();
        let turns: Vec<_> = (1..=4).map(|port| hosts.dial(&victim(port))).collect();
        assert_eq!(turns, [Turn::Now, Turn::Now, Turn::Now, Turn::Later]);
        (1..=3).for_each(|port| hosts.dial_ended(&victim(port), false));
        assert!((4..=u16::MAX).all(|port| hosts.dial(&victim(port)) == Turn::Never));
    }

    #[test]
    fn fault_names_of_one_domain_are_dialled_in_vain_three_times() {
        let named = |number: u32| {
            let addr = format!("/dns4/a{number}.evil.example/tcp/4000").parse().unwrap();
            Endpoint::from_multiaddr(&addr).unwrap().0
        };
        let mut hosts = Hosts::default();
        let mut in_vain = 0;
        for number in 0..100 {
            if hosts.dial(&named(2 * number)) == Turn::Now {
                hosts.dial_ended(&named(2 * number), false);
                in_vain += 1;
            }
            if hosts.dial(&named(2 * number + 1)) == Turn::Now {
                hosts.dial_ended(&named(2 * number + 1), true);
            }
        }
        assert_eq!(in_vain, 3, "also if some of them lead to nodes");
    }

    #[test]
    fn a_host_with_many_nodes_is_dialled_as_often_as_it_has_some() {
        let mut hosts = Hosts::default();
        for port in 1..=100 {
            assert_eq!(hosts.dial(&victim(port)), Turn::Now);
            hosts.dial_ended(&victim(port), true);
        }
        let private = |port| Endpoint::tcp([127, 0, 0, 1].into(), port);
        for port in 1..=100 {
            assert_eq!(hosts.dial(&private(port)), Turn::Now);
            hosts.dial_ended(&private(port), false);
        }
    }
}
