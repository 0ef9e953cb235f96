//! Who is let in: what those who came and have no slot may hold, so that they keep nobody out.

use bruit_core::{PeerId, host_ip};

use super::{Endpoint, Engine, SlotClass, State};
use crate::Mode;

/// Of the places for handshakes that are free when it comes, one in so many is for one group. 8: a guess; of 256 places 12
/// groups leave 63, and it takes 33 to fill them all.
const FREE_PLACES_ONE_IN: usize = 8;
/// How many handshakes of a group may be under way however few places are free. 2: a guess; neighbours come at the same time.
const HANDSHAKES_PER_GROUP_MIN: usize = 2;

/// Who is there without having said hello, seen from one who comes.
#[derive(Default)]
struct Strangers {
    handshakes: usize,
    handshakes_of_group: usize,
    of_ip: usize,
    of_group: usize,
}

impl<C: Copy + Ord> Engine<C> {
    /// Whether one more inbound connection may be made from here, with handshakes under way from these endpoints.
    ///
    /// # Security
    /// Who has not said hello yet holds a place without having proven anything. So handshakes and unfinished greetings together
    /// are limited per IP address and per group, but for loopback, where everybody has the same: one host or one operator that
    /// opens connections and goes silent does not keep newcomers out. The fewer places are free, the fewer of them a group gets,
    /// so that it takes many groups to hold them all.
    pub fn accepts_inbound<'a>(&self, from: &Endpoint, pending: impl Iterator<Item = &'a Endpoint>) -> bool {
        let strangers = self.strangers(from, pending);
        let free = self.config().pending_inbound_max.saturating_sub(strangers.handshakes);
        let share = (free / FREE_PLACES_ONE_IN).max(HANDSHAKES_PER_GROUP_MIN);
        free > 0 && strangers.handshakes_of_group < share && self.has_room_for_stranger(from, &strangers)
    }

    fn strangers<'a>(&self, from: &Endpoint, pending: impl Iterator<Item = &'a Endpoint>) -> Strangers {
        let is_counted = from.ip().is_some_and(|ip| !ip.is_loopback());
        let is_of_ip = |other: &Endpoint| is_counted && other.ip().map(host_ip) == from.ip().map(host_ip);
        let is_of_group = |other: &Endpoint| is_counted && other.group() == from.group();
        let mut strangers = Strangers::default();
        for endpoint in pending {
            strangers.handshakes += 1;
            strangers.handshakes_of_group += usize::from(is_of_group(endpoint));
            strangers.of_ip += usize::from(is_of_ip(endpoint));
        }
        strangers.of_group = strangers.handshakes_of_group;
        for known in self.peers.values().filter(|known| !matches!(known.state, State::Held(_))) {
            for (_, origin) in known.connections.iter().filter(|(_, origin)| !origin.is_dialled()) {
                strangers.of_ip += usize::from(is_of_ip(origin.endpoint()));
                strangers.of_group += usize::from(is_of_group(origin.endpoint()));
            }
        }
        strangers
    }

    fn has_room_for_stranger(&self, from: &Endpoint, strangers: &Strangers) -> bool {
        let config = self.config();
        let is_awaited = self.manual().any(|(_, peer)| peer.is_none_or(|peer| !self.peers.contains_key(&peer)));
        let connections_max = self.places_for(is_awaited);
        !self.stopping
            && !self.is_denied(None, from.ip())
            && strangers.of_ip < config.strangers_per_ip_max
            && strangers.of_group < config.strangers_per_group_max
            && self.inbound_connections() < connections_max
    }

    /// Whether a connection from here, whose handshake has shown who is there, may stay, with other handshakes under way. Its place
    /// among handshakes is free again, however many hold the others.
    pub fn accepts_peer<'a>(
        &self,
        peer: &PeerId,
        from: &Endpoint,
        pending: impl Iterator<Item = &'a Endpoint>,
    ) -> bool {
        if self.is_manual_at(*peer, from) {
            let inbound = self.inbound_connections();
            return !self.stopping && !self.is_denied(Some(peer), from.ip()) && inbound < self.places_for(true);
        }
        // On loopback everybody comes from one address; who is manual shows in the hello.
        let is_loopback = from.ip().is_some_and(|ip| ip.is_loopback());
        let is_excluded = self.config().mode == Mode::ExclusiveIn && !is_loopback;
        !is_excluded
            && self.is_admitted(Some(peer), from.ip())
            && self.inbound_connections() < self.places_for(false)
            && self.has_room_for_stranger(from, &self.strangers(from, pending))
    }

    /// How many inbound connections there may be.
    fn places_for(&self, is_manual: bool) -> usize {
        let config = self.config();
        let reserved = if is_manual { config.reserved } else { 0 };
        config.inbound_max.saturating_add(config.inbound_slack).saturating_add(reserved)
    }

    /// How many inbound connections there are, those of manual peers apart.
    fn inbound_connections(&self) -> usize {
        let others = self.peers.values().filter(|known| known.state != State::Held(SlotClass::Manual));
        others.flat_map(|known| &known.connections).filter(|(_, origin)| !origin.is_dialled()).count()
    }
}
