//! What connections tell: how dials ended, and which of two connections to one peer stays.

use bruit_core::{Endpoint, PeerId, Timestamp};

use super::{Engine, Origin, Output, Peer, Pulse, Purpose, SlotClass, State, hearing};
use crate::{DepartureCause, DialFailure, Event, Goodbye, GoodbyeReason};

/// How many connections a peer may have. 2: both sides may have dialled at once, and a peer that lost us comes back beside its
/// dead connection.
const CONNECTIONS_PER_PEER_MAX: usize = 2;

impl<C: Copy + Ord> Engine<C> {
    /// A connection was made.
    pub fn connection_established(&mut self, connection: C, peer: PeerId, origin: Origin, now: Timestamp) {
        let is_dialled = origin.is_dialled();
        let dial = if is_dialled { self.dialling.answer(origin.endpoint(), now) } else { None };
        let purpose = dial.map_or(Purpose::Fill, |dial| self.purpose_when_answered(&dial));
        if !self.is_admitted(Some(&peer), origin.endpoint().ip()) {
            if is_dialled {
                self.dialling.stay_away(origin.endpoint(), self.valid.config.backoff_max, &self.valid.config, now);
            }
            self.outputs.push_back(Output::Close { peer, connection });
            return;
        }
        if self.peers.get(&peer).is_none_or(|known| known.connections.len() < CONNECTIONS_PER_PEER_MAX) {
            self.make_way(peer, &origin, now);
        }
        if self.peers.contains_key(&peer) {
            self.connected_again(connection, peer, origin, purpose, now);
            return;
        }
        let deadline = now.after(self.config().hello_timeout);
        let state = State::Greeting { deadline };
        self.count(&origin);
        let connections = vec![(connection, origin)];
        let greeted = Peer {
            connections,
            state,
            hello: None,
            found_at: None,
            hellos: 0,
            requests: hearing::requests(now),
            since: now,
            newest_since: now,
            purpose,
            pulse: Pulse::default(),
        };
        self.peers.insert(peer, greeted);
        self.deadlines.insert((deadline, peer));
        if self.stopping {
            self.say_goodbye(peer, GoodbyeReason::ShuttingDown, now);
        } else if is_dialled {
            self.send_hello(peer);
        }
    }

    fn count(&mut self, origin: &Origin) {
        if let Origin::Dialled(endpoint) = origin {
            self.dialled_at.add(endpoint);
        }
    }

    fn connected_again(&mut self, connection: C, peer: PeerId, origin: Origin, purpose: Purpose, now: Timestamp) {
        let is_settled = self.is_settled(&peer, now);
        if let (true, Origin::Dialled(endpoint)) = (self.is_held(&peer), &origin) {
            self.was_reached_at(endpoint.clone(), peer, now);
            self.recognize(peer, now);
        }
        self.count(&origin);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let is_dialled = origin.is_dialled();
        let is_greeting = matches!(known.state, State::Greeting { .. });
        if is_dialled && known.connections.iter().all(|(_, other)| !other.is_dialled()) {
            known.purpose = purpose;
        }
        known.connections.push((connection, origin));
        known.newest_since = now;
        let is_too_much = known.is_leaving() || known.connections.len() > CONNECTIONS_PER_PEER_MAX;
        // One side decides, so that both never close a different one. A peer that had its slot for long has not dialled at the
        // same moment: its hello will say whether it lost us.
        let closes_second = self.local < peer && (is_dialled || !is_settled);
        if is_too_much || closes_second {
            self.outputs.push_back(Output::Close { peer, connection });
        } else if is_dialled && is_greeting {
            // Both dialled at once, and the other side may close the connection that its own hello went by.
            self.send_hello(peer);
        }
    }

    /// A connection has ended.
    pub fn connection_closed(&mut self, connection: C, peer: PeerId, now: Timestamp) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(index) = known.connections.iter().position(|(other, _)| *other == connection) else { return };
        let (_, closed) = known.connections.remove(index);
        if let Origin::Dialled(endpoint) = &closed {
            self.dialled_at.remove(endpoint);
        }
        if let Some(origin) = known.connections.first().map(|(_, origin)| origin.clone()) {
            self.left_with(peer, &origin, now);
            if let Origin::Dialled(endpoint) = closed {
                self.let_rest(&endpoint, now);
            }
            return;
        }
        let state = known.state;
        if let State::Held(_) = state {
            self.depart(peer, DepartureCause::Lost, now);
        }
        self.end_pulse(peer);
        self.peers.remove(&peer);
        self.clear_deadline(peer, state);
        if let State::Held(_) = state {
            self.tell(Event::PeerDown { peer });
        }
        if let Origin::Dialled(endpoint) = closed {
            self.dialling.seed_asked(&endpoint);
            self.dialled_ended(endpoint, peer, state, now);
        }
        self.dialling.look_soon(&self.valid.config, now);
    }

    /// Of two connections to a peer one is left: who made it decides about the slot. Where there is no such slot, an inbound peer
    /// stays one, and an outbound one has to go.
    fn left_with(&mut self, peer: PeerId, origin: &Origin, now: Timestamp) {
        let Some(known) = self.peers.get(&peer) else { return };
        let class = match (known.state, class_of(origin)) {
            (State::Held(SlotClass::Inbound), SlotClass::Outbound) if self.has_outbound_room() => {
                Some(SlotClass::Outbound)
            }
            (State::Held(SlotClass::Outbound), SlotClass::Inbound) => {
                let hello = known.hello.clone().unwrap_or_default();
                self.seat_for(peer, origin, &hello, now)
            }
            (State::Held(_) | State::Greeting { .. } | State::Leaving { .. }, _) => return,
        };
        match (class, self.peers.get_mut(&peer)) {
            (Some(class), Some(known)) => known.state = State::Held(class),
            (None, Some(_)) => self.turn_away(peer, origin, now),
            (_, None) => {}
        }
    }

    fn dialled_ended(&mut self, endpoint: Endpoint, peer: PeerId, state: State, now: Timestamp) {
        match state {
            State::Greeting { .. } => {
                self.dialling.failed(&endpoint, &self.valid.config, &mut self.rng, now);
                let failed = Event::DialFailed { endpoint, peer: Some(peer), reason: DialFailure::HungUp };
                self.tell(failed);
            }
            State::Held(_) | State::Leaving { .. } => self.let_rest(&endpoint, now),
        }
    }

    /// Does not dial again in the same moment, or the two would connect and part as fast as they can.
    fn let_rest(&mut self, endpoint: &Endpoint, now: Timestamp) {
        let span = self.config().backoff_base;
        self.dialling.stay_away(endpoint, span, &self.valid.config, now);
    }

    /// A dial has failed.
    pub fn dial_failed(&mut self, endpoint: &Endpoint, reason: DialFailure, now: Timestamp) {
        let Some(dial) = self.dialling.end(endpoint) else { return };
        self.dialling.failed(endpoint, &self.valid.config, &mut self.rng, now);
        match reason {
            DialFailure::OwnAddress => self.dialling.seeds.retain(|seed| seed.endpoint != *endpoint),
            DialFailure::WrongIdentity { found } => {
                self.dialling.unbind(endpoint);
                if let Some(peer) = dial.peer {
                    let cause = DepartureCause::Replaced { endpoint: endpoint.clone(), by: found };
                    self.depart(peer, cause, now);
                }
            }
            DialFailure::Unreachable | DialFailure::HungUp | DialFailure::Denied => {}
        }
        let event = Event::DialFailed { endpoint: endpoint.clone(), peer: dial.peer, reason };
        self.tell(event);
        self.dialling.look_soon(&self.valid.config, now);
        self.look_for_peers(now);
    }

    /// A visit has shown what it should; a seed is asked one question.
    pub(super) fn visited(&mut self, peer: PeerId, now: Timestamp) {
        self.was_reached(peer, now);
        let is_seed = |endpoint| self.dialling.seeds.iter().any(|seed| seed.endpoint == endpoint);
        if self.dialled_endpoints(peer).into_iter().any(is_seed) {
            self.leave_after(peer, now);
            self.tell(Event::Met { peer });
        } else {
            self.say_goodbye(peer, GoodbyeReason::Done, now);
        }
    }

    pub(super) fn refused(&mut self, peer: PeerId, origin: &Origin, goodbye: Goodbye, now: Timestamp) {
        self.was_reached(peer, now);
        let goodbye = self.follow(peer, goodbye, now);
        let alternatives = goodbye.alternatives.clone();
        self.depart(peer, DepartureCause::Received(goodbye), now);
        self.leave_after(peer, now);
        self.tell(Event::Refused { peer, remote: origin.endpoint().clone(), alternatives });
    }

    /// A peer of this network answered: only now a dial has succeeded, since anything may listen at an address.
    pub(super) fn was_reached(&mut self, peer: PeerId, now: Timestamp) {
        for endpoint in self.dialled_endpoints(peer) {
            self.was_reached_at(endpoint, peer, now);
        }
    }

    fn was_reached_at(&mut self, endpoint: Endpoint, peer: PeerId, now: Timestamp) {
        self.dialling.seed_met(&endpoint, now);
        self.dialling.backoff.succeeded(&endpoint);
        self.dialling.bind(&endpoint, peer);
        self.budget.reached(&endpoint);
        self.found(peer, endpoint.clone());
        self.tell(Event::DialSucceeded { endpoint, peer });
    }

    /// This node has dialled a peer, by whatever protocol, and found it there: others may be sent to it.
    pub fn found(&mut self, peer: PeerId, endpoint: Endpoint) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.found_at = Some(endpoint);
        }
    }

    /// A peer that has had its slot for long and says hello on a second connection has lost the first: it starts anew, and the
    /// other protocols with it.
    pub(super) fn replace_dead_connection(&mut self, peer: PeerId, now: Timestamp) {
        if !self.is_settled(&peer, now) {
            return;
        }
        if self.peers.get(&peer).is_none_or(|known| known.connections.len() < 2) {
            return;
        }
        self.depart(peer, DepartureCause::Lost, now);
        let deadline = now.after(self.config().hello_timeout);
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let newest = known.connections.split_off(known.connections.len() - 1);
        let dead = std::mem::replace(&mut known.connections, newest);
        let dialled = dead.iter().filter(|(_, origin)| origin.is_dialled());
        dialled.for_each(|(_, origin)| self.dialled_at.remove(origin.endpoint()));
        (known.state, known.hello, known.since) = (State::Greeting { deadline }, None, now);
        self.deadlines.insert((deadline, peer));
        self.outputs.extend(dead.into_iter().map(|(connection, _)| Output::Close { peer, connection }));
        self.end_pulse(peer);
        self.tell(Event::PeerDown { peer });
    }

    /// Whether a peer has its slot for so long that a hello under way cannot have crossed one of ours.
    fn is_settled(&self, peer: &PeerId, now: Timestamp) -> bool {
        let is_settled = |known: &Peer<C>| {
            matches!(known.state, State::Held(_)) && now.since(known.since) > self.config().hello_timeout
        };
        self.peers.get(peer).is_some_and(is_settled)
    }

    pub(super) fn dialled_endpoints(&self, peer: PeerId) -> Vec<Endpoint> {
        let connections = self.peers.get(&peer).map(|known| known.connections.as_slice()).unwrap_or_default();
        let dialled = connections.iter().filter_map(|(_, origin)| match origin {
            Origin::Dialled(endpoint) => Some(endpoint.clone()),
            Origin::Accepted(_) => None,
        });
        dialled.collect()
    }
}

pub(super) const fn class_of(origin: &Origin) -> SlotClass {
    match origin {
        Origin::Dialled(_) => SlotClass::Outbound,
        Origin::Accepted(_) => SlotClass::Inbound,
    }
}
