//! Peers that the operator named: connected to for ever, beside all limits.

use bruit_core::{Endpoint, PeerId, Timestamp};

use super::{DialOutcome, Engine, Event, Named, Origin, Purpose, SlotClass, State, add, is_connected};

impl<C: Copy + Ord> Engine<C> {
    /// Names a peer to be connected to for ever, beside all limits. One that has a slot keeps it as a manual one. Beyond
    /// `manual_max` it is not taken.
    pub fn add_node(&mut self, endpoint: Endpoint, peer: Option<PeerId>, now: Timestamp) -> bool {
        let max = self.config().manual_max;
        let who = peer.or_else(|| self.held_at(&endpoint));
        let added = add(&mut self.dialling.manual, Named::new(endpoint.clone(), peer), max);
        if let Some(who) = who.filter(|_| added) {
            self.dialling.bind(&endpoint, who);
            self.recognize(who, now);
        }
        self.dial_manual(now);
        added
    }

    /// Takes a manual peer off the list; its connection stays.
    pub fn remove_node(&mut self, endpoint: &Endpoint) -> bool {
        let before = self.dialling.manual.len();
        self.dialling.manual.retain(|named| named.endpoint != *endpoint);
        self.dialling.manual.len() < before
    }

    /// Makes the slot of a peer a manual one, if the operator named it.
    pub(super) fn recognize(&mut self, peer: PeerId, now: Timestamp) {
        if !self.dialling.manual.iter().any(|named| named.peer == Some(peer)) {
            return;
        }
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let State::Held(class @ (SlotClass::Inbound | SlotClass::Outbound | SlotClass::Quiet)) = &mut known.state
        else {
            return;
        };
        *class = SlotClass::Manual;
        self.tell(Event::Named { peer });
        self.dialling.look_soon(&self.valid.config, now);
        self.look_for_peers(now);
    }

    pub(super) fn dial_manual(&mut self, now: Timestamp) {
        if self.stopping {
            return;
        }
        let waiting = self
            .dialling
            .manual_waiting(|named| is_connected(&self.peers, &self.dialled_at, &named.endpoint, named.peer));
        let due: Vec<_> = waiting.filter(|(at, _)| *at <= now).map(|(_, named)| named.clone()).collect();
        for named in due {
            let endpoint = named.endpoint.clone();
            if matches!(
                self.start_dial(named, Purpose::Manual, None, now),
                DialOutcome::Connected | DialOutcome::Forbidden
            ) {
                self.dialling.failed(&endpoint, &self.valid.config, &mut self.rng, now);
            }
        }
    }

    /// Who has a slot and was dialled at an endpoint.
    fn held_at(&self, endpoint: &Endpoint) -> Option<PeerId> {
        let is_there = |(_, origin): &(C, Origin)| matches!(origin, Origin::Dialled(dialled) if dialled == endpoint);
        let held = self.peers.iter().filter(|(_, known)| matches!(known.state, State::Held(_)));
        held.filter(|(_, known)| known.connections.iter().any(is_there)).map(|(peer, _)| *peer).next()
    }
}
