//! Where this node is, as far as others see it: what is believed, and who says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use bruit_core::{AddrPolicy, Audience, Endpoint, NetGroup, Timestamp};

use super::locating::DIAL_BACK_PAUSE;

#[derive(Clone, Debug)]
pub(super) struct Own<P> {
    listens: Vec<Endpoint>,
    /// Those of `listens` at which somebody has reached this node.
    reached: BTreeSet<Endpoint>,
    sightings: BTreeMap<P, Sighting>,
    adopted: Vec<Adopted>,
    trial: Option<Trial<P>>,
    given_up: Vec<(Endpoint, Timestamp)>,
    /// When those may be asked to dial again who were asked last.
    rested_at: Timestamp,
}

#[derive(Clone, Debug)]
struct Sighting {
    endpoints: Vec<Endpoint>,
    group: NetGroup,
    /// Of a peer that this node dialled.
    is_dialled: bool,
}

#[derive(Clone, Debug)]
struct Adopted {
    endpoint: Endpoint,
    /// When it is asked again whether it is right.
    doubted_at: Timestamp,
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The endpoint is believed from now on.
    Adopted(Endpoint),
    /// It was believed already.
    Confirmed,
    /// It was believed, and is no longer.
    Dropped(Endpoint),
    /// It is not believed.
    GivenUp,
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
/// After how long it is looked at again whether peers see an own address that is believed; if they do not, it is tried anew. An hour: a
/// guess, as long as one is not tried that failed.
const BELIEVED_FOR: Duration = Duration::from_secs(3_600);
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
            rested_at: Timestamp::from_secs(0),
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
        let endpoints = if is_dialled { self.behind(observed) } else { vec![observed.clone()] };
        if !endpoints.is_empty() {
            self.sightings.insert(by, Sighting { endpoints, group, is_dialled });
        }
        !is_dialled && self.listens.contains(observed) && self.reached.insert(observed.clone())
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
        self.groups_of(|sighting| sighting.endpoints.contains(endpoint))
    }

    fn groups_of(&self, is_meant: impl Fn(&Sighting) -> bool) -> usize {
        let meant = self.sightings.values().filter(|sighting| is_meant(sighting));
        meant.map(|sighting| sighting.group).collect::<BTreeSet<_>>().len()
    }

    /// In how many parts of the internet those are whom this node dialled and who see its host there.
    fn groups_dialled(&self, host: IpAddr) -> usize {
        let is_there = |endpoint: &Endpoint| endpoint.ip() == Some(host);
        self.groups_of(|sighting| sighting.is_dialled && sighting.endpoints.iter().any(is_there))
    }

    /// Whether those whom this node dialled may see its host there: not when more of them agree on another one.
    fn may_be_host(&self, host: IpAddr, witnesses_min: usize) -> bool {
        let dialled = self.sightings.values().filter(|sighting| sighting.is_dialled);
        let hosts = dialled.flat_map(|sighting| &sighting.endpoints).filter_map(Endpoint::ip);
        let alike: BTreeSet<IpAddr> = hosts.filter(|other| other.is_ipv4() == host.is_ipv4()).collect();
        let agree = alike.into_iter().map(|other| self.groups_dialled(other)).max().unwrap_or_default();
        self.groups_dialled(host) >= agree.min(witnesses_min)
    }

    pub(super) fn witnesses(&self, endpoint: &Endpoint) -> Vec<P> {
        let seers = self.sightings.iter().filter(|(_, sighting)| sighting.endpoints.contains(endpoint));
        seers.map(|(peer, _)| *peer).collect()
    }

    /// The endpoint on which most agree, beyond those known and those of others, if enough do.
    ///
    /// # Security
    /// Whoever likes may come and say where he sees this node, from as many parts of the internet as he has. So his word counts only
    /// for a host that those see too whom this node chose to dial; of what they do not see, as a port behind a router, he may tell.
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
            !self.is_adopted(endpoint)
                && !self.listens.contains(endpoint)
                && !self.given_up.iter().any(|(other, _)| other == *endpoint)
                && policy.check(endpoint).is_ok()
                && !is_others(endpoint)
        });
        let counted = fresh.map(|endpoint| (self.groups(endpoint), endpoint));
        let agreed = counted.filter(|(groups, endpoint)| {
            *groups >= witnesses_min
                && match endpoint {
                    Endpoint::Ip { ip, .. } => self.may_be_host(*ip, witnesses_min),
                    // Nobody honest dials a name back, or by a relay: he could not tell that it is the asker's.
                    Endpoint::Dns { .. } | Endpoint::Relayed { .. } => false,
                    Endpoint::Other(_) => true,
                }
        });
        let (_, endpoint) = agreed.max()?;
        Some(endpoint.clone())
    }

    /// Takes out those of the same kind as `other` but of another host that not enough peers see any more: the address has changed.
    pub(super) fn drop_changed(&mut self, other: &Endpoint, witnesses_min: usize) -> Vec<Endpoint> {
        let is_changed = |endpoint: &Endpoint| {
            is_alike(endpoint, other) && self.groups(endpoint) < witnesses_min && endpoint.ip() != other.ip()
        };
        let believed = self.adopted.iter().map(|adopted| &adopted.endpoint);
        let dropped: Vec<_> = believed.filter(|endpoint| is_changed(endpoint)).cloned().collect();
        self.adopted.retain(|adopted| !dropped.contains(&adopted.endpoint));
        dropped
    }

    fn is_adopted(&self, endpoint: &Endpoint) -> bool {
        self.adopted.iter().any(|adopted| adopted.endpoint == *endpoint)
    }

    /// When it is next looked at whether what is believed is still seen; not while something is tried, and not before whoever was
    /// asked to dial may be asked again.
    pub(super) fn doubted_at(&self) -> Option<Timestamp> {
        let moments = self.adopted.iter().map(|adopted| adopted.doubted_at);
        moments.min().filter(|_| self.trial.is_none()).map(|at| at.max(self.rested_at))
    }

    /// Whether something that is believed waits to be looked at.
    pub(super) fn has_doubts(&self, now: Timestamp) -> bool {
        self.adopted.iter().any(|adopted| adopted.doubted_at <= now)
    }

    /// An endpoint that is to be tried anew: believed for long enough, and seen no more. Where nobody may be asked, nobody could tell.
    pub(super) fn doubted(
        &mut self,
        witnesses_min: usize,
        may_ask: impl Fn(&Endpoint) -> bool,
        now: Timestamp,
    ) -> Option<Endpoint> {
        while self.doubted_at().is_some_and(|at| at <= now) {
            let endpoint = self.adopted.iter().min_by_key(|adopted| adopted.doubted_at)?.endpoint.clone();
            if may_ask(&endpoint) && !self.is_seen(&endpoint, witnesses_min) {
                return Some(endpoint);
            }
            self.believe(&endpoint, now);
        }
        None
    }

    /// Whether peers see an endpoint, and not enough of them something else in its place. Whom this node dialled, if anybody, is
    /// asked alone: whoever comes by himself may come to lie.
    fn is_seen(&self, endpoint: &Endpoint, witnesses_min: usize) -> bool {
        let has_dialled = self.sightings.values().any(|sighting| sighting.is_dialled);
        let asked = || self.sightings.values().filter(|sighting| sighting.is_dialled || !has_dialled);
        let groups = |is_meant: &dyn Fn(&Sighting) -> bool| {
            asked().filter(|sighting| is_meant(sighting)).map(|sighting| sighting.group).collect::<BTreeSet<_>>().len()
        };
        let sees = |sighting: &Sighting| sighting.endpoints.contains(endpoint);
        let sees_other =
            |sighting: &Sighting| !sees(sighting) && sighting.endpoints.iter().any(|other| is_alike(other, endpoint));
        let witnesses = groups(&sees);
        witnesses >= witnesses_min || witnesses > 0 && groups(&sees_other) < witnesses_min
    }

    fn believe(&mut self, endpoint: &Endpoint, now: Timestamp) {
        let known = self.adopted.iter_mut().filter(|adopted| adopted.endpoint == *endpoint);
        known.for_each(|adopted| adopted.doubted_at = now.after(BELIEVED_FOR));
    }

    pub(super) const fn trial(&self) -> Option<&Trial<P>> {
        self.trial.as_ref()
    }

    pub(super) fn set_trial(&mut self, trial: Trial<P>) {
        self.trial = Some(trial);
    }

    /// Who was asked last was not: it does not count, and may be asked again.
    pub(super) fn put_off(&mut self, peer: P) {
        if let Some(trial) = &mut self.trial {
            trial.asked.pop_if(|asked| *asked == peer);
        }
    }

    /// Ends a trial: the endpoint is believed, or given up for an hour. What else is doubted waits until those who were asked may
    /// be asked again.
    pub(super) fn end_trial(&mut self, is_confirmed: bool, now: Timestamp) -> Verdict {
        let Some(Trial { endpoint, .. }) = self.trial.take() else { return Verdict::GivenUp };
        self.rested_at = now.after(DIAL_BACK_PAUSE);
        let was_adopted = self.is_adopted(&endpoint);
        if is_confirmed && was_adopted {
            self.believe(&endpoint, now);
            return Verdict::Confirmed;
        }
        if is_confirmed {
            if self.adopted.len() >= TOLD_MAX {
                self.forget_least_seen();
            }
            self.adopted.push(Adopted { endpoint: endpoint.clone(), doubted_at: now.after(BELIEVED_FOR) });
            return Verdict::Adopted(endpoint);
        }
        if self.given_up.len() >= GIVEN_UP_MAX {
            self.given_up.remove(0);
        }
        self.given_up.push((endpoint.clone(), now.after(GIVEN_UP_FOR)));
        if was_adopted {
            self.adopted.retain(|adopted| adopted.endpoint != endpoint);
            return Verdict::Dropped(endpoint);
        }
        Verdict::GivenUp
    }

    /// Forgets the address that fewest of those see whom this node dialled; of several the oldest.
    fn forget_least_seen(&mut self) {
        let dialled_see = |endpoint: &Endpoint| {
            self.groups_of(|sighting| sighting.is_dialled && sighting.endpoints.contains(endpoint))
        };
        let seen = self.adopted.iter().map(|adopted| dialled_see(&adopted.endpoint)).enumerate();
        if let Some((index, _)) = seen.min_by_key(|(_, groups)| *groups) {
            self.adopted.remove(index);
        }
    }

    /// What others may be told: where this node was reached, and nothing that the audience could not use. First come the addresses
    /// that it listens on: what is only believed does not drive them out.
    pub(super) fn told(&self, audience: Audience, policy: AddrPolicy) -> Vec<Endpoint> {
        let all = self.reached.iter().chain(self.adopted.iter().map(|adopted| &adopted.endpoint));
        let usable = all.filter(|endpoint| audience.can_use(endpoint) && policy.check(endpoint).is_ok());
        usable.take(TOLD_MAX).cloned().collect()
    }

    pub(super) fn views(&self) -> Vec<OwnView<P>> {
        let seen = self.sightings.values().flat_map(|sighting| &sighting.endpoints);
        let seen = seen.filter(|endpoint| !self.listens.contains(endpoint));
        let all: BTreeSet<&Endpoint> = self.adopted.iter().map(|adopted| &adopted.endpoint).chain(seen).collect();
        let view = |endpoint: &Endpoint| OwnView {
            endpoint: endpoint.clone(),
            is_adopted: self.is_adopted(endpoint),
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
