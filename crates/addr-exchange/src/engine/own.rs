//! Where this node is, as far as others see it: what is believed, and who says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bruit_core::{AddrPolicy, Audience, Endpoint, NetGroup, Timestamp};

#[derive(Clone, Debug)]
pub(super) struct Own<P> {
    listens: Vec<Endpoint>,
    /// Those of `listens` at which somebody has reached this node.
    reached: BTreeSet<Endpoint>,
    sightings: BTreeMap<P, Sighting>,
    adopted: Vec<Endpoint>,
    trial: Option<Trial<P>>,
    given_up: Vec<(Endpoint, Timestamp)>,
}

#[derive(Clone, Debug)]
struct Sighting {
    endpoints: Vec<Endpoint>,
    group: NetGroup,
}

#[derive(Clone, Debug)]
pub(super) struct Trial<P> {
    pub(super) endpoint: Endpoint,
    pub(super) until: Timestamp,
    pub(super) asked: Vec<P>,
}

/// An own endpoint that peers see, and who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnView<P> {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Whether it is believed: agreed on, and confirmed by a dial.
    pub is_adopted: bool,
    /// The peers that see it and are connected.
    pub witnesses: Vec<P>,
    /// In how many parts of the internet they are.
    pub groups: usize,
}

/// For how long an own address is not tried again that nobody could dial. An hour: a guess.
const GIVEN_UP_FOR: Duration = Duration::from_secs(3_600);
/// How many own addresses are remembered as given up; beyond, the oldest may be tried again. 16: a guess.
const GIVEN_UP_MAX: usize = 16;
/// How many own addresses are believed, and told. 8: as many as one message names of a peer.
const TOLD_MAX: usize = 8;

impl<P: Copy + Ord> Own<P> {
    pub(super) const fn new() -> Self {
        Self {
            listens: Vec::new(),
            reached: BTreeSet::new(),
            sightings: BTreeMap::new(),
            adopted: Vec::new(),
            trial: None,
            given_up: Vec::new(),
        }
    }

    pub(super) fn listens(&mut self, endpoints: Vec<Endpoint>) {
        self.reached.retain(|endpoint| endpoints.contains(endpoint));
        self.listens = endpoints;
    }

    /// A peer says where it sees this node. Of a connection that this node dialled only the address means something, unless the
    /// port is one that this node listens on; a peer that dialled saw the whole endpoint work. Returns whether an own endpoint
    /// became known as reached.
    pub(super) fn seen(&mut self, by: P, group: NetGroup, observed: &Endpoint, is_dialled: bool) -> bool {
        if !is_dialled && self.listens.contains(observed) {
            return self.reached.insert(observed.clone());
        }
        let mut endpoints = if is_dialled { self.behind(observed) } else { vec![observed.clone()] };
        endpoints.retain(|endpoint| !self.listens.contains(endpoint));
        if !endpoints.is_empty() {
            self.sightings.insert(by, Sighting { endpoints, group });
        }
        false
    }

    fn behind(&self, observed: &Endpoint) -> Vec<Endpoint> {
        let Endpoint::Ip { ip, .. } = observed else { return Vec::new() };
        let mut endpoints = Vec::new();
        for listen in &self.listens {
            if let Endpoint::Ip { ip: local, port, transport } = listen
                && local.is_ipv4() == ip.is_ipv4()
            {
                let endpoint = Endpoint::Ip { ip: *ip, port: *port, transport: *transport };
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
        }
        endpoints.truncate(TOLD_MAX);
        endpoints
    }

    pub(super) fn forget(&mut self, peer: &P) {
        self.sightings.remove(peer);
    }

    fn groups(&self, endpoint: &Endpoint) -> usize {
        let seers = self.sightings.values().filter(|sighting| sighting.endpoints.contains(endpoint));
        seers.map(|sighting| sighting.group).collect::<BTreeSet<_>>().len()
    }

    pub(super) fn witnesses(&self, endpoint: &Endpoint) -> Vec<P> {
        let seers = self.sightings.iter().filter(|(_, sighting)| sighting.endpoints.contains(endpoint));
        seers.map(|(peer, _)| *peer).collect()
    }

    /// The endpoint on which most agree, beyond those known and those of others, if enough do.
    pub(super) fn agreed(
        &mut self,
        witnesses_min: usize,
        policy: AddrPolicy,
        is_others: impl Fn(&Endpoint) -> bool,
        now: Timestamp,
    ) -> Option<Endpoint> {
        self.given_up.retain(|(_, until)| *until > now);
        let seen: BTreeSet<&Endpoint> = self.sightings.values().flat_map(|sighting| &sighting.endpoints).collect();
        let fresh = seen.into_iter().filter(|endpoint| {
            !self.adopted.contains(endpoint)
                && !self.listens.contains(endpoint)
                && !self.given_up.iter().any(|(other, _)| other == *endpoint)
                && policy.check(endpoint).is_ok()
                && !is_others(endpoint)
        });
        let counted = fresh.map(|endpoint| (self.groups(endpoint), endpoint));
        let (_, endpoint) = counted.filter(|(groups, _)| *groups >= witnesses_min).max()?;
        Some(endpoint.clone())
    }

    /// Takes out those of the same kind as `other` that not enough peers see any more: the address has changed.
    pub(super) fn drop_changed(&mut self, other: &Endpoint, witnesses_min: usize) -> Vec<Endpoint> {
        let is_changed = |endpoint: &Endpoint| {
            is_alike(endpoint, other) && self.groups(endpoint) < witnesses_min && endpoint != other
        };
        let dropped: Vec<_> = self.adopted.iter().filter(|endpoint| is_changed(endpoint)).cloned().collect();
        self.adopted.retain(|endpoint| !dropped.contains(endpoint));
        dropped
    }

    pub(super) const fn trial(&self) -> Option<&Trial<P>> {
        self.trial.as_ref()
    }

    pub(super) fn set_trial(&mut self, trial: Trial<P>) {
        self.trial = Some(trial);
    }

    /// Ends a trial: the endpoint is adopted, or given up for an hour.
    pub(super) fn end_trial(&mut self, is_confirmed: bool, now: Timestamp) -> Option<Endpoint> {
        let Trial { endpoint, .. } = self.trial.take()?;
        if is_confirmed {
            if self.adopted.len() >= TOLD_MAX {
                self.adopted.remove(0);
            }
            self.adopted.push(endpoint.clone());
            return Some(endpoint);
        }
        if self.given_up.len() >= GIVEN_UP_MAX {
            self.given_up.remove(0);
        }
        self.given_up.push((endpoint, now.after(GIVEN_UP_FOR)));
        None
    }

    /// What others may be told: where this node was reached, and nothing that the audience could not use.
    pub(super) fn told(&self, audience: Audience, policy: AddrPolicy) -> Vec<Endpoint> {
        let all = self.adopted.iter().chain(&self.reached);
        let usable = all.filter(|endpoint| audience.can_use(endpoint) && policy.check(endpoint).is_ok());
        usable.take(TOLD_MAX).cloned().collect()
    }

    pub(super) fn views(&self) -> Vec<OwnView<P>> {
        let seen = self.sightings.values().flat_map(|sighting| &sighting.endpoints);
        let all: BTreeSet<&Endpoint> = self.adopted.iter().chain(seen).collect();
        let view = |endpoint: &Endpoint| OwnView {
            endpoint: endpoint.clone(),
            is_adopted: self.adopted.contains(endpoint),
            witnesses: self.witnesses(endpoint),
            groups: self.groups(endpoint),
        };
        all.into_iter().map(view).collect()
    }
}

/// Whether one node has no two of the kind: one address of each family.
fn is_alike(one: &Endpoint, other: &Endpoint) -> bool {
    match (one.ip(), other.ip()) {
        (Some(one), Some(other)) => one.is_ipv4() == other.is_ipv4(),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
