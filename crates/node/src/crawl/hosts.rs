//! How often a host is dialled in vain, so that a list of addresses cannot turn a crawl against somebody.

use std::{collections::BTreeMap, net::IpAddr};

use bruit_core::{Endpoint, Scope, host_ip, scope_of};

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

/// The public hosts that were dialled: one for each address that is looked at, at most.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    dials: BTreeMap<IpAddr, Dials>,
}

#[derive(Debug, Default)]
struct Dials {
    under_way: usize,
    failed: usize,
}

/// How many dials to one public host may fail. 3: as many as peering allows in an hour.
const FAILED_MAX: usize = 3;

impl Hosts {
    /// A dial to an endpoint is to begin; if it may, it counts as under way.
    pub(super) fn dial(&mut self, endpoint: &Endpoint) -> Turn {
        let Some(ip) = public_host(endpoint) else { return Turn::Now };
        let dials = self.dials.entry(ip).or_default();
        if dials.failed >= FAILED_MAX {
            Turn::Never
        } else if dials.failed.saturating_add(dials.under_way) >= FAILED_MAX {
            Turn::Later
        } else {
            dials.under_way = dials.under_way.saturating_add(1);
            Turn::Now
        }
    }

    /// A dial has ended; where somebody was, those before count no longer.
    pub(super) fn dial_ended(&mut self, endpoint: &Endpoint, is_reached: bool) {
        let Some(dials) = public_host(endpoint).and_then(|ip| self.dials.get_mut(&ip)) else { return };
        dials.under_way = dials.under_way.saturating_sub(1);
        dials.failed = if is_reached { 0 } else { dials.failed.saturating_add(1) };
    }
}

fn public_host(endpoint: &Endpoint) -> Option<IpAddr> {
    endpoint.ip().filter(|ip| scope_of(*ip) == Scope::Global).map(host_ip)
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
