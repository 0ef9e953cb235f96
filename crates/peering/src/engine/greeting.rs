//! Hellos: who is a peer of this network, which slot it gets, and what it is told.

use bruit_core::{Audience, PeerId, Timestamp};

use super::{Engine, HELLOS_MAX, HelloFailure, Origin, Output, Peer, State};
use crate::{DepartureCause, Event, Goodbye, GoodbyeReason, Hello, Intent, SlotClass, Strangeness};

impl<C: Copy + Ord> Engine<C> {
    /// A peer said hello; returns what to answer, or `None` to answer nothing.
    pub fn hello_received(&mut self, peer: PeerId, hello: Hello, now: Timestamp) -> Option<Hello> {
        self.replace_dead_connection(peer, now);
        let known = self.peers.get(&peer)?;
        let origin = known.connections.first().map(|(_, origin)| origin.clone())?;
        let mut answer = self.hello_to(&origin, Intent::Stay);
        if hello.network != self.valid.network.as_str() {
            answer.refused = Some(Goodbye::because(GoodbyeReason::WrongNetwork));
            self.estrange(peer, Strangeness::WrongNetwork, now);
            return Some(answer);
        }
        match known.state {
            State::Held(_) => {}
            State::Leaving { .. } => answer.refused = Some(self.full(peer, &origin)),
            State::Greeting { .. } if hello.intent == Intent::Visit && !origin.is_dialled() => {
                self.leave_after(peer, now)
            }
            State::Greeting { .. } => match self.seat_for(peer, &origin, &hello, now) {
                Some(class) => self.hold(peer, class, hello, now),
                None => {
                    let goodbye = self.full(peer, &origin);
                    answer.refused = Some(goodbye.clone());
                    self.depart(peer, DepartureCause::Sent(goodbye), now);
                    self.leave_after(peer, now);
                    let remote = origin.endpoint().clone();
                    self.tell(Event::Turned { peer, listen: hello.listen.clone(), remote });
                    self.said_hello(peer, hello);
                }
            },
        }
        Some(answer)
    }

    /// A peer answered our hello.
    pub fn hello_answered(&mut self, peer: PeerId, hello: Hello, now: Timestamp) {
        let Some(known) = self.peers.get(&peer) else { return };
        let Some(origin) = known.connections.first().map(|(_, origin)| origin.clone()) else { return };
        if hello.network != self.valid.network.as_str() {
            self.estrange(peer, Strangeness::WrongNetwork, now);
            return;
        }
        if let Some(goodbye) = hello.refused {
            self.refused(peer, &origin, goodbye, now);
            return;
        }
        if let State::Greeting { .. } = known.state {
            match self.class_for(peer, &origin) {
                // Both dialled at once, and the connection that the other side made is the one that stays.
                Some(SlotClass::Inbound) => match self.seat_for(peer, &origin, &hello, now) {
                    Some(class) => self.hold(peer, class, hello, now),
                    None => {
                        self.was_reached(peer, now);
                        self.said_hello(peer, hello);
                        self.turn_away(peer, &origin, now);
                    }
                },
                Some(class) => self.hold(peer, class, hello, now),
                None => self.visited(peer, now),
            }
        }
    }

    /// Who said hello and is turned away all the same: it did not refuse us, so that we do not leave before it has our goodbye.
    fn said_hello(&mut self, peer: PeerId, hello: Hello) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.hello = Some(hello);
        }
    }

    /// Our hello was not answered.
    pub fn hello_failed(&mut self, peer: PeerId, failure: HelloFailure, now: Timestamp) {
        let Some(known) = self.peers.get(&peer) else { return };
        let State::Greeting { .. } = known.state else { return };
        match failure {
            HelloFailure::Unsupported => self.estrange(peer, Strangeness::OtherProtocol, now),
            HelloFailure::TimedOut => self.estrange(peer, Strangeness::Silent, now),
            HelloFailure::Malformed => self.malformed_received(peer, now),
            HelloFailure::Lost => {
                let is_dialled = known.connections.iter().any(|(_, origin)| origin.is_dialled());
                if is_dialled && known.hellos < HELLOS_MAX {
                    self.send_hello(peer);
                }
            }
        }
    }

    pub(super) fn send_hello(&mut self, peer: PeerId) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(origin) = known.connections.first().map(|(_, origin)| origin.clone()) else { return };
        known.hellos = known.hellos.saturating_add(1);
        let intent = known.purpose.intent();
        let hello = self.hello_to(&origin, intent);
        self.outputs.push_back(Output::SendHello { peer, hello });
    }

    pub(super) fn hello_to(&self, origin: &Origin, intent: Intent) -> Hello {
        let remote = origin.endpoint();
        Hello {
            network: self.valid.network.as_str().to_owned(),
            agent: self.valid.agent.clone(),
            // What the peer could not dial is none of its business: private addresses stay on their site.
            listen: self.listen.iter().filter(|own| Audience::of(remote).can_use(own)).cloned().collect(),
            features: self.features.clone(),
            observed: Some(remote.clone()),
            refused: None,
            intent,
        }
    }

    pub(super) fn hold(&mut self, peer: PeerId, class: SlotClass, hello: Hello, now: Timestamp) {
        let Some(known) = self.peers.get_mut(&peer) else { return };
        let Some(remote) = known.connections.first().map(|(_, origin)| origin.endpoint().clone()) else { return };
        let before = known.state;
        known.state = State::Held(class);
        known.hello = Some(hello.clone());
        self.clear_deadline(peer, before);
        self.was_reached(peer, now);
        self.begin_pulse(peer, now);
        self.tell(Event::PeerUp { peer, class, hello, remote });
        self.dialling.look_soon(&self.valid.config, now);
        self.look_for_peers(now);
    }

    pub(super) fn estrange(&mut self, peer: PeerId, reason: Strangeness, now: Timestamp) {
        if self.peers.get(&peer).is_none_or(Peer::is_leaving) {
            return;
        }
        let endpoint = self.dialled_endpoints(peer).into_iter().next();
        if let Some(endpoint) = &endpoint {
            self.dialling.strange(endpoint, reason, &self.valid.config, &mut self.rng, now);
        }
        self.depart(peer, DepartureCause::Stranger(reason), now);
        self.leave_after(peer, now);
        self.tell(Event::Stranger { peer, endpoint, reason });
        if reason != Strangeness::WrongNetwork {
            self.close(peer);
        }
    }
}
