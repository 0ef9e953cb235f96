//! Who is let in: what those who came and have no slot may hold, so that they keep nobody out.

use std::{cmp::Reverse, collections::BTreeMap};

use bruit_core::{NetGroup, PeerId, Timestamp, host_ip};

use super::{Endpoint, Engine, Origin, Output, SlotClass, State};
use crate::Mode;

/// Of the places for handshakes that are free when it comes, one in so many is for one group. 8: a guess; of 256 places 12
/// groups leave 63, and it takes 33 to fill them all.
const FREE_PLACES_ONE_IN: usize = 8;
/// How many handshakes of a group may be under way however few places are free. 2: a guess; neighbours come at the same time.
const HANDSHAKES_PER_GROUP_MIN: usize = 2;

/// A connection that came and has no slot: its peer has none, or has it for an older one.
struct Slotless<'a, C> {
    peer: PeerId,
    connection: C,
    from: &'a Endpoint,
    /// Since when it is there.
    since: Timestamp,
    /// Whether the peer has a slot for another connection.
    is_second: bool,
}

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
    /// so that it takes many groups to hold them all. When all connections are taken, a group that has more of those without a slot
    /// gives one to a newcomer.
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
        for other in self.slotless() {
            strangers.of_ip += usize::from(is_of_ip(other.from));
            strangers.of_group += usize::from(is_of_group(other.from));
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
            && self.has_place_for(from, connections_max)
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
            && self.has_place_for(from, self.places_for(false))
            && self.has_room_for_stranger(from, &self.strangers(from, pending))
    }

    fn has_place_for(&self, from: &Endpoint, places: usize) -> bool {
        self.inbound_connections() < places || self.who_gives_way(from).is_some()
    }

    /// Closes the connection that gives its place to one that was accepted, if all are taken.
    pub(super) fn make_way(&mut self, peer: PeerId, origin: &Origin, now: Timestamp) {
        let Origin::Accepted(from) = origin else { return };
        if self.is_manual_at(peer, from) || self.inbound_connections() < self.places_for(false) {
            return;
        }
        if let Some((peer, connection)) = self.who_gives_way(from) {
            self.outputs.push_back(Output::Close { peer, connection });
            self.connection_closed(connection, peer, now);
        }
    }

    /// The connection whose place one from here may have when all are taken: of the group that has most without a slot, and more
    /// than the newcomer's will have, the one whose peer is there for longest; or else a second one of a peer that has its slot.
    ///
    /// # Security
    /// However many come and say nothing, it takes as many groups as there are places to keep a group out that has nobody there.
    fn who_gives_way(&self, from: &Endpoint) -> Option<(PeerId, C)> {
        let mut of_group: BTreeMap<NetGroup, usize> = BTreeMap::new();
        for other in self.slotless() {
            let count = of_group.entry(other.from.group()).or_default();
            *count = count.saturating_add(1);
        }
        let count_of = |endpoint: &Endpoint| of_group.get(&endpoint.group()).copied().unwrap_or_default();
        let with_newcomer = count_of(from).saturating_add(1);
        let ranked = self.slotless().filter_map(|other| {
            let crowd = Some(count_of(other.from)).filter(|count| *count > with_newcomer);
            (crowd.is_some() || other.is_second).then_some((crowd, Reverse(other.since), other))
        });
        let first = ranked.max_by_key(|(crowd, since, _)| (*crowd, *since));
        first.map(|(_, _, other)| (other.peer, other.connection))
    }

    fn slotless(&self) -> impl Iterator<Item = Slotless<'_, C>> {
        let others = self.peers.iter().filter(|(_, known)| known.state != State::Held(SlotClass::Manual));
        others.flat_map(|(peer, known)| {
            let has_slot = matches!(known.state, State::Held(_));
            let came = known.connections.iter().skip(usize::from(has_slot)).filter(|(_, origin)| !origin.is_dialled());
            came.map(move |(connection, origin)| Slotless {
                peer: *peer,
                connection: *connection,
                from: origin.endpoint(),
                since: known.newest_since,
                is_second: has_slot,
            })
        })
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
