//! How many slots are taken and who gets one.

use std::collections::BTreeMap;

use bruit_core::{Audience, NetGroup, PeerId, Timestamp, host_ip};
use rand::seq::IteratorRandom;

use super::{
    Dial, Endpoint, Engine, Hello, IpAddr, Named, Origin, Peer, PeerView, Pulse, Purpose, SlotClass, State,
    eviction::{self, Merit},
};
use crate::{Config, Goodbye, GoodbyeReason, KnownPeer, Mode};

/// How many peers a refusal names. Factom's rewrite: 3; more help a network that is nearly full.
const ALTERNATIVES: usize = 8;

impl<C: Copy + Ord> Engine<C> {
    pub(super) fn is_denied(&self, peer: Option<&PeerId>, ip: Option<IpAddr>) -> bool {
        self.config().deny.iter().any(|subject| subject.is(peer, ip))
    }

    /// Whether the operator's lists let a peer be connected. Who is not known yet is let through by the allow list.
    pub(super) fn is_admitted(&self, peer: Option<&PeerId>, ip: Option<IpAddr>) -> bool {
        let allow = &self.config().allow;
        let is_manual = |peer: &PeerId| self.dialling.manual.iter().any(|named| named.peer.as_ref() == Some(peer));
        let is_manual_ip = || self.dialling.manual.iter().any(|named| named.endpoint.ip() == ip && ip.is_some());
        let is_allowed = || {
            allow.is_empty()
                || peer.is_none_or(is_manual)
                || is_manual_ip()
                || allow.iter().any(|subject| subject.is(peer, ip))
        };
        !self.is_denied(peer, ip) && is_allowed()
    }

    /// Whether the operator named this peer, or the address it comes from without saying who lives there.
    pub(super) fn is_manual_at(&self, peer: PeerId, from: &Endpoint) -> bool {
        let is_its_ip = |named: &Named| {
            named.peer.is_none() && named.endpoint.ip() == from.ip() && from.ip().is_some_and(|ip| !ip.is_loopback())
        };
        self.dialling.is_manual(from, peer) || self.dialling.manual.iter().any(is_its_ip)
    }

    /// The settings.
    pub const fn settings(&self) -> &Config {
        &self.valid.config
    }

    /// How many slots of a class are taken.
    pub fn held(&self, class: SlotClass) -> usize {
        self.peers.values().filter(|known| known.state == State::Held(class)).count()
    }

    /// Whether a peer has a slot.
    pub fn is_held(&self, peer: &PeerId) -> bool {
        self.class_of(peer).is_some()
    }

    /// The slot that a peer has.
    pub fn class_of(&self, peer: &PeerId) -> Option<SlotClass> {
        match self.peers.get(peer)?.state {
            State::Held(class) => Some(class),
            State::Greeting { .. } | State::Leaving { .. } => None,
        }
    }

    /// The manual peers, and who each is as far as known.
    pub fn manual(&self) -> impl Iterator<Item = (&Endpoint, Option<PeerId>)> {
        self.dialling.manual.iter().map(|named| (&named.endpoint, named.peer))
    }

    /// Whether a peer is connected, with or without slot.
    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    /// How many peers are connected, with or without slot.
    pub fn connected(&self) -> usize {
        self.peers.len()
    }

    /// All connected peers, by peer id.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> + '_ {
        self.peers.iter().filter_map(|(peer, known)| {
            let remote = known.connections.first()?.1.endpoint().clone();
            let (class, hello, latency) = (self.class_of(peer), known.hello.clone(), known.pulse.latency);
            Some(PeerView { peer: *peer, class, remote, since: known.since, latency, hello })
        })
    }

    /// The endpoints that are being dialled.
    pub fn dials(&self) -> impl Iterator<Item = (&Endpoint, Option<PeerId>)> {
        self.dialling.under_way.iter().map(|(endpoint, dial)| (endpoint, dial.peer))
    }

    /// Where the peers are that have, or may soon have, a slot because we dialled them: dialled, greeted, or kept.
    pub fn dialled(&self) -> impl Iterator<Item = &Endpoint> {
        let may_stay = |known: &&Peer<C>| match known.state {
            State::Held(class) => matches!(class, SlotClass::Outbound | SlotClass::Quiet),
            State::Greeting { .. } => known.purpose != Purpose::Visit,
            State::Leaving { .. } => false,
        };
        let endpoints = self.peers.values().filter(may_stay).filter_map(|known| {
            let mut origins = known.connections.iter().map(|(_, origin)| origin);
            let dialled = origins.clone().find(|origin| origin.is_dialled());
            // Who has a slot was dialled, even if only the connection that it made is left.
            let held = || origins.next().filter(|_| matches!(known.state, State::Held(_)));
            dialled.or_else(held).map(Origin::endpoint)
        });
        endpoints.chain(self.dialling.under_way.keys())
    }

    /// How many dials have had no answer for so long that others were begun beside them.
    pub fn unanswered(&self) -> usize {
        self.dialling.overdue()
    }

    /// What is wanted of a peer whose dial has led to it: when others have its place by now, only to know that it is there. Who is
    /// only being dialled has none: else a node that is slow itself would send away everybody whom it reaches.
    pub(super) fn purpose_when_answered(&self, dial: &Dial) -> Purpose {
        let config = self.config();
        let (class, most) = match dial.purpose {
            Purpose::Fill => (SlotClass::Outbound, config.outbound_max()),
            Purpose::Quiet => (SlotClass::Quiet, config.quiet_target),
            Purpose::Manual | Purpose::Visit => return dial.purpose,
        };
        let is_full = self.held(class).saturating_add(self.greeting(dial.purpose)) >= most;
        if is_full { Purpose::Visit } else { dial.purpose }
    }

    /// How many peers with a purpose are greeted right now.
    fn greeting(&self, purpose: Purpose) -> usize {
        let is_greeting = |known: &&Peer<C>| {
            matches!(known.state, State::Greeting { .. })
                && known.purpose == purpose
                && known.connections.iter().any(|(_, origin)| origin.is_dialled())
        };
        self.peers.values().filter(is_greeting).count()
    }

    /// How many peers with a purpose are greeted right now or are dialled in good time.
    fn coming(&self, purpose: Purpose) -> usize {
        self.dialling.under_way_for(purpose).saturating_add(self.greeting(purpose))
    }

    /// Whether whoever is dialled next shall be a quiet peer: all others are there.
    pub(super) fn wants_quiet(&self) -> bool {
        self.held(SlotClass::Outbound) >= self.config().outbound_target
    }

    /// How many more dials may begin now. While outbound peers are missing more are dialled at once than needed: not all will
    /// succeed, and few more than wanted are no harm.
    pub(super) fn wanted(&self) -> usize {
        let config = self.config();
        if self.stopping || config.mode != Mode::Open {
            return 0;
        }
        let (class, purpose, most) = if self.wants_quiet() {
            (SlotClass::Quiet, Purpose::Quiet, config.quiet_target)
        } else {
            (SlotClass::Outbound, Purpose::Fill, config.outbound_max())
        };
        let missing = most.saturating_sub(self.held(class).saturating_add(self.coming(purpose)));
        missing.min(config.dials_max.saturating_sub(self.dialling.under_way.len()))
    }

    /// The slot for a peer that answered our hello; `None` after a visit.
    pub(super) fn class_for(&self, peer: PeerId, origin: &Origin) -> Option<SlotClass> {
        if self.dialling.is_manual(origin.endpoint(), peer) {
            return Some(SlotClass::Manual);
        }
        match (origin, self.peers.get(&peer)?.purpose) {
            (Origin::Accepted(_), _) => Some(SlotClass::Inbound),
            (Origin::Dialled(_), Purpose::Fill | Purpose::Manual) => {
                self.has_outbound_room().then_some(SlotClass::Outbound)
            }
            (Origin::Dialled(_), Purpose::Quiet) => Some(SlotClass::Quiet),
            (Origin::Dialled(_), Purpose::Visit) => None,
        }
    }

    /// Whether one more outbound peer may be kept: those who came may have become outbound ones while others were dialled.
    pub(super) fn has_outbound_room(&self) -> bool {
        self.held(SlotClass::Outbound) < self.config().outbound_max()
    }

    /// The slot for a peer that says hello. When all are taken, a peer without merit may have to make room.
    ///
    /// # Security
    /// One IP address and one group hold no more than their share, and who holds a slot by numbers alone loses it to a newcomer.
    pub(super) fn seat_for(
        &mut self,
        peer: PeerId,
        origin: &Origin,
        hello: &Hello,
        now: Timestamp,
    ) -> Option<SlotClass> {
        let remote = origin.endpoint();
        let claimed = hello.listen.iter().any(|endpoint| self.dialling.is_manual(endpoint, peer));
        if self.is_manual_at(peer, remote) || claimed && remote.ip().is_some_and(|ip| ip.is_loopback()) {
            return Some(SlotClass::Manual);
        }
        if let Some(class @ (SlotClass::Outbound | SlotClass::Quiet)) = self.class_for(peer, origin) {
            return Some(class);
        }
        if self.stopping || self.config().mode == Mode::ExclusiveIn {
            return None;
        }
        let config = self.config();
        let (ip, group) = (counted_ip(remote, Some(hello)), counted_group(remote, Some(hello)));
        let (mut held, mut same_ip, mut same_group) = (0_usize, 0_usize, 0_usize);
        for known in self.peers.values().filter(|known| known.state == State::Held(SlotClass::Inbound)) {
            let Some(from) = known.connections.first().map(|(_, origin)| origin.endpoint()) else { continue };
            held += 1;
            same_ip += usize::from(ip.is_some() && counted_ip(from, known.hello.as_ref()) == ip);
            same_group += usize::from(counted_group(from, known.hello.as_ref()) == group);
        }
        let group_max = if group == NetGroup::Local { usize::MAX } else { config.inbound_per_group_max };
        if same_ip >= config.inbound_per_ip_max || same_group >= group_max {
            return None;
        }
        (held < config.inbound_max || self.make_room(group, same_group, now)).then_some(SlotClass::Inbound)
    }

    /// Has a peer without merit make room for one of a group that has so many already: one of a larger group, or else of the same.
    fn make_room(&mut self, group: NetGroup, of_group: usize, now: Timestamp) -> bool {
        if !self.config().inbound_eviction || self.config().inbound_max == 0 {
            return false;
        }
        let merits = self.peers.iter().filter(|(_, known)| known.state == State::Held(SlotClass::Inbound));
        let merits = merits.filter_map(|(peer, known)| {
            let from = known.connections.first()?.1.endpoint();
            let group = counted_group(from, known.hello.as_ref());
            let Pulse { latency, useful_at, .. } = known.pulse;
            Some(Merit { peer: *peer, group, latency, useful_at, since: known.since })
        });
        let merits: Vec<_> = merits.collect();
        let of_groups = merits.iter().map(|merit| (merit.peer, merit.group)).collect::<BTreeMap<_, _>>();
        let is_larger = |victim: &PeerId| {
            let of_victims = of_groups.values().filter(|other| Some(*other) == of_groups.get(victim)).count();
            of_group == 0 || of_group.saturating_add(1) < of_victims
        };
        let victim = eviction::victim(merits.clone(), None, &self.secret).filter(is_larger);
        let Some(victim) = victim.or_else(|| eviction::victim(merits, Some(group), &self.secret)) else { return false };
        if !self.evictions.take(group, self.valid.config.stay_away, now) {
            return false;
        }
        let origin = self.peers.get(&victim).and_then(|known| known.connections.first()).map(|(_, origin)| origin);
        let Some(origin) = origin.cloned() else { return false };
        self.turn_away(victim, &origin, now);
        true
    }

    /// Says goodbye to a peer for which there is no slot.
    pub(super) fn turn_away(&mut self, peer: PeerId, origin: &Origin, now: Timestamp) {
        let goodbye = self.full(peer, origin);
        self.part(peer, goodbye, now);
    }

    /// A refusal that names some of our peers, at addresses that the asker can use and no private ones to the internet.
    ///
    /// # Security
    /// Whom this node dialled and found comes first, at the place where that was: who only comes is named where he says that he
    /// listens, and only as far as there are too few others. Else whoever comes with many identities would be told to newcomers.
    pub(super) fn full(&mut self, asker: PeerId, origin: &Origin) -> Goodbye {
        let audience = Audience::of(origin.endpoint());
        let known = self.peers.iter().filter(|(peer, known)| {
            **peer != asker && matches!(known.state, State::Held(SlotClass::Inbound | SlotClass::Outbound))
        });
        let (mut found, mut claimed) = (Vec::new(), Vec::new());
        for (peer, known) in known {
            let listen = known.hello.iter().flat_map(|hello| &hello.listen);
            // A manual peer that dialled us before we dialled it.
            if listen.clone().chain(&known.found_at).any(|endpoint| self.dialling.is_manual(endpoint, *peer)) {
                continue;
            }
            let named = |endpoints| KnownPeer { peer: *peer, endpoints, last_seen: None };
            if let Some(endpoint) = known.found_at.iter().find(|endpoint| audience.can_use(endpoint)) {
                found.push(named(vec![endpoint.clone()]));
                continue;
            }
            let endpoints: Vec<_> = listen.filter(|endpoint| audience.can_use(endpoint)).cloned().collect();
            if !endpoints.is_empty() {
                claimed.push(named(endpoints));
            }
        }
        let mut alternatives = found.into_iter().sample(&mut self.rng, ALTERNATIVES);
        let others = ALTERNATIVES.saturating_sub(alternatives.len());
        alternatives.extend(claimed.into_iter().sample(&mut self.rng, others));
        Goodbye { reason: GoodbyeReason::Full, stay_away: self.valid.config.stay_away, alternatives }
    }
}

/// The group that an inbound peer counts for.
fn counted_group(remote: &Endpoint, hello: Option<&Hello>) -> NetGroup {
    counted_ip(remote, hello).map_or_else(|| remote.group(), NetGroup::of_ip)
}

/// The IP that an inbound peer counts for: that of its host, or on loopback the one it claims, since every connection of one
/// machine comes from 127.0.0.1.
fn counted_ip(remote: &Endpoint, hello: Option<&Hello>) -> Option<IpAddr> {
    let ip = remote.ip()?;
    if !ip.is_loopback() {
        return Some(host_ip(ip));
    }
    let claims = hello.into_iter().flat_map(|hello| &hello.listen).filter_map(Endpoint::ip);
    claims.into_iter().find(IpAddr::is_loopback).or(Some(ip))
}
