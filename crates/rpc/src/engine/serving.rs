//! Answering: places for requests, their deadlines, and what is refused at once.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::BTreeMap, num::NonZeroU64};

use bruit_core::{Conduct, Slot, Timestamp};
use bytes::Bytes;

use super::{Engine, Output, Timer};
use crate::{
    config::LONGEST,
    event::{CancelCause, Event, Ticket},
    message::{Lane, Refusal, RefusalKind, Request, Response, RpcMessage},
    method::Method,
    options::AnswerError,
};

/// The requests that hold a place.
#[derive(Default)]
pub(super) struct Serving {
    places: BTreeMap<Ticket, Place>,
    bytes: usize,
    given_out: u64,
}

struct Place {
    from: Slot,
    number: Option<NonZeroU64>,
    /// Whether somebody still waits. A place that was taken back stays taken until the application lets go of it: otherwise a
    /// peer could have more work done than it has places, by asking and taking back.
    is_awaited: bool,
    bytes: usize,
    response_bytes_max: usize,
    deadline: Timestamp,
    /// When the peer stops waiting, where it said so.
    peer_waits_until: Option<Timestamp>,
}

impl Serving {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

impl Engine {
    /// Gives the answer to a request, or refuses it, and frees its place.
    pub fn answer(
        &mut self,
        ticket: Ticket,
        result: Result<Bytes, Refusal>,
        _now: Timestamp,
    ) -> Result<(), AnswerError> {
        let place = self.free(ticket).filter(|place| place.is_awaited).ok_or(AnswerError::Stale)?;
        let Some(number) = place.number else { return Ok(()) };
        let (bytes, max) = (result.as_ref().map_or(0, Bytes::len), place.response_bytes_max);
        let is_too_large = bytes > max;
        let result = if is_too_large {
            Err(Refusal::new(RefusalKind::Failed, "the answer is larger than the method allows"))
        } else {
            result
        };
        self.respond(place.from, Response { number, result }, place.peer_waits_until);
        if is_too_large { Err(AnswerError::TooLarge { bytes, max }) } else { Ok(()) }
    }

    pub(super) fn request_received(&mut self, from: Slot, request: Request, now: Timestamp) {
        let Some(peer) = self.peers.get(from) else { return };
        if request.number.is_some_and(|number| peer.asking.contains_key(&number)) {
            self.conduct(from, Conduct::BrokeProtocol);
            return;
        }
        match self.admit(from, &request) {
            Ok(method) => self.serve(from, request, &method, now),
            Err(refusal) => {
                self.stats.refused = self.stats.refused.saturating_add(1);
                if let Some(number) = request.number {
                    let waits_until = request.timeout.map(|timeout| now.after(timeout));
                    self.respond(from, Response { number, result: Err(refusal) }, waits_until);
                }
            }
        }
    }

    fn admit(&self, from: Slot, request: &Request) -> Result<Method, Refusal> {
        let Some(method) = self.methods.get(&request.method) else {
            return Err(Refusal::new(RefusalKind::NoSuchMethod, ""));
        };
        if request.payload.len() > method.request_bytes_max {
            return Err(Refusal::new(RefusalKind::BadRequest, "the request is larger than the method allows"));
        }
        let bytes = self.serving.bytes.saturating_add(request.payload.len());
        let of_peer = self.peers.get(from).map_or(0, |peer| peer.serving);
        if of_peer >= self.config.serving_per_peer_max
            || self.serving.len() >= self.config.serving_max
            || bytes > self.config.serving_bytes_max
        {
            return Err(Refusal::new(RefusalKind::Overloaded, ""));
        }
        Ok(method.clone())
    }

    fn serve(&mut self, from: Slot, request: Request, method: &Method, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        self.serving.given_out = self.serving.given_out.saturating_add(1);
        let ticket = Ticket(self.serving.given_out);
        let time_left = request.timeout.unwrap_or(method.timeout).min(method.timeout).min(LONGEST);
        let place = Place {
            from,
            number: request.number,
            is_awaited: true,
            bytes: request.payload.len(),
            response_bytes_max: method.response_bytes_max,
            deadline: now.after(time_left),
            peer_waits_until: request.timeout.map(|timeout| now.after(timeout)),
        };
        if let Some(number) = request.number {
            peer.asking.insert(number, ticket);
        }
        peer.serving = peer.serving.saturating_add(1);
        self.serving.bytes = self.serving.bytes.saturating_add(place.bytes);
        self.timers.insert((place.deadline, Timer::Ticket(ticket)));
        self.serving.places.insert(ticket, place);
        self.stats.served = self.stats.served.saturating_add(1);
        self.emit(Event::Request {
            from,
            method: request.method,
            payload: request.payload,
            ticket,
            time_left,
            wants_answer: request.number.is_some(),
        });
    }

    pub(super) fn cancel_received(&mut self, from: Slot, number: NonZeroU64) {
        // One that is not here was answered while its cancellation travelled.
        let Some(ticket) = self.peers.get_mut(from).and_then(|peer| peer.asking.remove(&number)) else { return };
        self.cancel_serving(ticket, CancelCause::TakenBack);
    }

    pub(super) fn cancel_serving(&mut self, ticket: Ticket, cause: CancelCause) {
        let Some(place) = self.serving.places.get_mut(&ticket) else { return };
        place.is_awaited = false;
        self.emit(Event::Cancelled { ticket, cause });
    }

    pub(super) fn serving_timed_out(&mut self, ticket: Ticket) {
        let Some(place) = self.free(ticket) else { return };
        self.stats.expired = self.stats.expired.saturating_add(1);
        if !place.is_awaited {
            return;
        }
        let waits_longer = place.peer_waits_until.is_none_or(|until| until > place.deadline);
        if let Some(number) = place.number.filter(|_| waits_longer) {
            let result = Err(Refusal::new(RefusalKind::Failed, "out of time"));
            self.respond(place.from, Response { number, result }, place.peer_waits_until);
        }
        self.emit(Event::Cancelled { ticket, cause: CancelCause::OutOfTime });
    }

    fn free(&mut self, ticket: Ticket) -> Option<Place> {
        let place = self.serving.places.remove(&ticket)?;
        self.timers.remove(&(place.deadline, Timer::Ticket(ticket)));
        self.serving.bytes = self.serving.bytes.saturating_sub(place.bytes);
        if let Some(peer) = self.peers.get_mut(place.from) {
            peer.serving = peer.serving.saturating_sub(1);
            if let Some(number) = place.number.filter(|_| place.is_awaited) {
                peer.asking.remove(&number);
            }
        }
        Some(place)
    }

    fn respond(&mut self, to: Slot, response: Response, expires: Option<Timestamp>) {
        let lane = Lane::of_payload(response.result.as_ref().map_or(0, Bytes::len));
        self.outputs.push_back(Output::Send { to, message: RpcMessage::Response(response), lane, expires });
    }
}
