//! What travels between two exchanges.

use bruit_core::{Conduct, PeerId};
use bruit_wire::{UnreadableError, pb};
use libp2p_request_response::{self as request_response, OutboundFailure, OutboundRequestId};

use super::{Behaviour, Channel, EXCHANGES_MAX, RequestId, Sent};
use crate::{
    Asked, Event, FailReason, PeerAddr, Read, Request, answer_from_wire, answer_to_wire, neighbours_from_wire,
    neighbours_to_wire, request_from_wire, request_to_wire,
};

type Readable<T> = Result<T, UnreadableError>;
type Message = request_response::Message<Readable<pb::ExchangeRequest>, Readable<pb::ExchangeResponse>>;

impl Behaviour {
    pub(super) fn send(&mut self, peer: &PeerId, request: &Request, sent: Sent) {
        let id = self.inner.send_request(peer, Ok(request_to_wire(request)));
        self.sent.insert(id, (*peer, sent));
    }

    /// Sends what may as well be sent later, and returns whether it was sent.
    pub(super) fn send_if_idle(&mut self, peer: &PeerId, request: &Request, sent: Sent) -> bool {
        let under_way = self.sent.values().filter(|(to, _)| to == peer).count();
        let is_idle = self.inner.is_connected(peer) && under_way < EXCHANGES_MAX;
        if is_idle {
            self.send(peer, request, sent);
        }
        is_idle
    }

    pub(super) fn respond(&mut self, asker: PeerId, channel: Channel, mut addrs: Vec<PeerAddr>) {
        addrs.retain(|addr| addr.peer != Some(asker));
        self.respond_with(channel, answer_to_wire(&addrs));
    }

    fn respond_with(&mut self, channel: Channel, answer: pb::ExchangeResponse) {
        // A closed channel means that the peer is gone or no longer waits.
        let _ = self.inner.send_response(channel, Ok(answer));
        self.wake();
    }

    pub(super) fn on_inner(
        &mut self,
        event: request_response::Event<Readable<pb::ExchangeRequest>, Readable<pb::ExchangeResponse>>,
    ) {
        match event {
            request_response::Event::Message { peer, message, .. } => self.on_message(peer, message),
            request_response::Event::OutboundFailure { peer, request_id, error, .. } => {
                self.on_failure(peer, request_id, &error);
            }
            request_response::Event::InboundFailure { .. } => {
                self.requests.retain(|_, (asker, channel)| {
                    if !channel.is_open() {
                        self.exchange.request_ended(*asker);
                    }
                    channel.is_open()
                });
            }
            request_response::Event::ResponseSent { .. } => {}
        }
    }

    fn on_message(&mut self, peer: PeerId, message: Message) {
        match message {
            Message::Request { request: Ok(request), channel, .. } => self.on_request(peer, request, channel),
            Message::Request { request: Err(_), channel, .. } => {
                self.conduct(peer, Conduct::BrokeProtocol);
                self.respond(peer, channel, Vec::new());
            }
            Message::Response { request_id, response } => {
                let Some((_, sent)) = self.sent.remove(&request_id) else { return };
                if sent == Sent::Addr {
                    self.tell_waiting(&peer);
                }
                match response {
                    Ok(answer) => self.on_answer(peer, sent, answer),
                    Err(_) => {
                        self.conduct(peer, Conduct::BrokeProtocol);
                        self.failed(peer, sent, FailReason::Unreadable);
                    }
                }
            }
        }
    }

    fn on_answer(&mut self, peer: PeerId, sent: Sent, answer: pb::ExchangeResponse) {
        let now = self.clock.now();
        match sent {
            Sent::GetAddr => {
                let Read { value, nonsense } = answer_from_wire(answer);
                let taken = self.exchange.answer_received(peer, value, now);
                let dropped = taken.dropped.saturating_add(nonsense);
                self.say(Event::Received { peer, addrs: taken.addrs, asked: true, dropped, may_relay: false });
            }
            Sent::GetNeighbours => {
                let neighbours = self.exchange.neighbours_received(peer, neighbours_from_wire(answer), now);
                if !neighbours.is_empty() {
                    self.say(Event::Neighbours { peer, neighbours });
                }
            }
            Sent::Addr | Sent::DialBack => {}
        }
    }

    fn on_request(&mut self, peer: PeerId, request: pb::ExchangeRequest, channel: Channel) {
        let now = self.clock.now();
        let Some(Read { value, nonsense }) = request_from_wire(request) else {
            return self.respond(peer, channel, Vec::new());
        };
        match value {
            Request::GetAddr { count_max } => match self.exchange.asked(peer, count_max, now) {
                Asked::Cached(addrs) => self.respond(peer, channel, addrs),
                Asked::Refused(_) => self.respond(peer, channel, Vec::new()),
                Asked::Needed(audience) => {
                    let request = RequestId(self.next_request);
                    self.next_request = self.next_request.wrapping_add(1);
                    self.requests.insert(request, (peer, channel));
                    self.say(Event::Asked { peer, request, audience });
                }
            },
            Request::Addr(addrs) => {
                let taken = self.exchange.unasked_received(peer, addrs, now);
                let dropped = taken.dropped.saturating_add(nonsense);
                let may_relay = taken.may_relay;
                self.say(Event::Received { peer, addrs: taken.addrs, asked: false, dropped, may_relay });
                self.respond(peer, channel, Vec::new());
            }
            Request::GetNeighbours => {
                let neighbours = self.exchange.neighbours_asked(peer, now);
                self.respond_with(channel, neighbours_to_wire(&neighbours));
            }
            Request::DialBack(endpoint) => {
                self.exchange.dial_back_asked(peer, endpoint, now);
                self.respond(peer, channel, Vec::new());
            }
        }
    }

    fn on_failure(&mut self, peer: PeerId, request: OutboundRequestId, error: &OutboundFailure) {
        let Some((_, sent)) = self.sent.remove(&request) else { return };
        let reason = match error {
            OutboundFailure::Timeout => FailReason::TimedOut,
            OutboundFailure::UnsupportedProtocols => FailReason::Unsupported,
            OutboundFailure::Io(_) => FailReason::Stream,
            OutboundFailure::ConnectionClosed | OutboundFailure::DialFailure => FailReason::Disconnected,
        };
        if reason == FailReason::TimedOut {
            self.conduct(peer, Conduct::TimedOut);
        }
        self.failed(peer, sent, reason);
    }

    fn failed(&mut self, peer: PeerId, sent: Sent, reason: FailReason) {
        match sent {
            Sent::GetAddr => {
                self.exchange.ask_failed(peer, self.clock.now());
                self.say(Event::AskFailed { peer, reason });
            }
            Sent::Addr => {
                self.waiting.remove(&peer);
                self.say(Event::AnnounceFailed { peer, reason });
            }
            Sent::GetNeighbours | Sent::DialBack => {}
        }
    }

    fn conduct(&mut self, peer: PeerId, conduct: Conduct) {
        self.say(Event::Conduct { peer, conduct });
    }
}
