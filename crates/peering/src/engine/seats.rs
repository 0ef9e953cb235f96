//! How many slots are taken and who gets one.

use bruit_core::{Audience, PeerId};
use rand::seq::IteratorRandom;

use super::{Endpoint, Engine, Hello, IpAddr, Origin, Peer, PeerView, SlotClass, State};
use crate::{Config, Departure, Goodbye, GoodbyeReason, KnownPeer};

/// How many peers a refusal names. Factom's rewrite: 3; more help a network that is nearly full.
const ALTERNATIVES: usize = 8;

impl<C: Copy + Ord> Engine<C> {
    /// Whether one more inbound connection may be made from here, with handshakes under way from these endpoints.
    ///
    /// # Security
    /// Who has not said hello yet holds a place without having proven anything. So handshakes and unfinished greetings together
    /// are limited per IP address and per group, but for loopback, where everybody has the same: one host or one operator that
    /// opens connections and goes silent does not keep newcomers out.
    pub fn accepts_inbound<'a>(&self, from: &Endpoint, pending: impl Iterator<Item = &'a Endpoint>) -> bool {
        let config = self.config();
        let (mut all, mut same_ip, mut same_group) = (0_usize, 0_usize, 0_usize);
        let is_counted = from.ip().is_some_and(|ip| !ip.is_loopback());
        let mut count = |other: &Endpoint| {
            same_ip += usize::from(is_counted && other.ip() == from.ip());
            same_group += usize::from(is_counted && other.group() == from.group());
        };
        for endpoint in pending {
            all += 1;
            count(endpoint);
        }
        let mut inbound = 0_usize;
        for known in self.peers.values() {
            for (_, origin) in &known.connections {
                let Origin::Accepted(remote) = origin else { continue };
                inbound += 1;
                if let State::Greeting { .. } = known.state {
                    count(remote);
                }
            }
        }
        let connections_max = config.inbound_max.saturating_add(config.inbound_slack);
        !self.stopping
            && all < config.pending_inbound_max
            && same_ip < config.strangers_per_ip_max
            && same_group < config.strangers_per_group_max
            && inbound < connections_max
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
            let (_, Origin::Dialled(remote) | Origin::Accepted(remote)) = known.connections.first()?;
            let (class, hello) = (self.class_of(peer), known.hello.clone());
            Some(PeerView { peer: *peer, class, remote: remote.clone(), since: known.since, hello })
        })
    }

    /// The endpoints that are being dialled.
    pub fn dials(&self) -> impl Iterator<Item = (&Endpoint, Option<PeerId>)> {
        self.dialling.under_way.iter().map(|(endpoint, dial)| (endpoint, dial.peer))
    }

    /// Who left and why, oldest first.
    pub fn departures(&self) -> impl Iterator<Item = &Departure> {
        self.history.iter()
    }

    /// How many outbound peers are missing, those being dialled or greeted not counted as missing.
    fn outbound_missing(&self) -> usize {
        let greeting = |known: &&Peer<C>| {
            matches!(known.state, State::Greeting { .. })
                && known.connections.iter().any(|(_, origin)| matches!(origin, Origin::Dialled(_)))
        };
        let coming = self.dialling.filling().saturating_add(self.peers.values().filter(greeting).count());
        self.config().outbound_target.saturating_sub(self.held(SlotClass::Outbound).saturating_add(coming))
    }

    /// How many more dials may begin now.
    pub(super) fn wanted(&self) -> usize {
        if self.stopping {
            return 0;
        }
        let free = self.config().dials_max.saturating_sub(self.dialling.under_way.len());
        self.outbound_missing().min(free)
    }

    pub(super) fn seat_for(&self, peer: PeerId, origin: &Origin, hello: &Hello) -> Option<SlotClass> {
        let (Origin::Dialled(remote) | Origin::Accepted(remote)) = origin;
        let claimed = hello.listen.iter().any(|endpoint| self.dialling.is_manual(endpoint, peer));
        if self.dialling.is_manual(remote, peer) || claimed && remote.ip().is_some_and(|ip| ip.is_loopback()) {
            return Some(SlotClass::Manual);
        }
        if let Origin::Dialled(_) = origin {
            return Some(SlotClass::Outbound);
        }
        if self.stopping || self.held(SlotClass::Inbound) >= self.config().inbound_max {
            return None;
        }
        let ip = counted_ip(remote, Some(hello));
        let same_ip = |known: &&Peer<C>| {
            let Some((_, Origin::Accepted(remote))) = known.connections.first() else { return false };
            known.state == State::Held(SlotClass::Inbound) && counted_ip(remote, known.hello.as_ref()) == ip
        };
        let crowded = ip.is_some() && self.peers.values().filter(same_ip).count() >= self.config().inbound_per_ip_max;
        (!crowded).then_some(SlotClass::Inbound)
    }

    /// A refusal that names some of our peers, at addresses that the asker can use and no private ones to the internet.
    pub(super) fn full(&mut self, asker: PeerId, origin: &Origin) -> Goodbye {
        let (Origin::Dialled(remote) | Origin::Accepted(remote)) = origin;
        let audience = Audience::of(remote);
        let known = self.peers.iter().filter(|(peer, known)| {
            **peer != asker && matches!(known.state, State::Held(SlotClass::Inbound | SlotClass::Outbound))
        });
        let known = known.filter_map(|(peer, known)| {
            let listen = &known.hello.as_ref()?.listen;
            // A manual peer that dialled us before we dialled it.
            if listen.iter().any(|endpoint| self.dialling.is_manual(endpoint, *peer)) {
                return None;
            }
            let endpoints: Vec<_> = listen.iter().filter(|endpoint| audience.can_use(endpoint)).cloned().collect();
            (!endpoints.is_empty()).then_some(KnownPeer { peer: *peer, endpoints, last_seen: None })
        });
        let alternatives = known.sample(&mut self.rng, ALTERNATIVES);
        Goodbye { reason: GoodbyeReason::Full, stay_away: self.valid.config.stay_away, alternatives }
    }
}

/// The IP that an inbound peer counts for: its remote one, or on loopback the one it claims, since every connection of one
/// machine comes from 127.0.0.1.
fn counted_ip(remote: &Endpoint, hello: Option<&Hello>) -> Option<IpAddr> {
    let ip = remote.ip()?;
    if !ip.is_loopback() {
        return Some(ip);
    }
    let claims = hello.into_iter().flat_map(|hello| &hello.listen).filter_map(Endpoint::ip);
    claims.into_iter().find(IpAddr::is_loopback).or(Some(ip))
}
