//! Answering: places for requests, their deadlines, and what is refused at once.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

use bruit_core::{Conduct, Slot, Timestamp};
use bytes::Bytes;

use super::{Engine, Output, Timer, streams::OutStream};
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
    /// Whose end was handed out last. Its place is free when the next thing to do is asked for: the link has taken it then.
    pub(super) leaving: Option<Ticket>,
}

pub(super) struct Place {
    pub(super) from: Slot,
    pub(super) number: Option<NonZeroU64>,
    /// Whether somebody still waits. A place that was taken back stays taken until the application lets go of it: otherwise a
    /// peer could have more work done than it has places, by asking and taking back.
    pub(super) is_awaited: bool,
    pub(super) stream: Option<OutStream>,
    /// The answer is complete, and it, or the end of its stream, waits for the link. The place is kept meanwhile: otherwise a peer that reads
    /// nothing could have any number of answers kept for it.
    pub(super) has_ended: bool,
    bytes: usize,
    response_bytes_max: usize,
    deadline: Timestamp,
    /// How long the method may take, or stand still while it streams.
    timeout: Duration,
    /// When the peer stops waiting, where it said so.
    peer_waits_until: Option<Timestamp>,
    /// When the place is free at the latest, whatever the peer says or grants.
    ends_at: Timestamp,
}

impl Place {
    pub(super) fn takes_chunks(&self) -> bool {
        self.is_awaited && !self.has_ended
    }
}

impl Serving {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn place(&self, ticket: Ticket) -> Option<&Place> {
        self.places.get(&ticket)
    }

    pub(super) fn has_ended(&self, ticket: Ticket) -> bool {
        self.place(ticket).is_some_and(|place| place.has_ended)
    }

    pub(super) fn place_mut(&mut self, ticket: Ticket) -> Option<&mut Place> {
        self.places.get_mut(&ticket)
    }
}

impl Engine {
    /// Gives the answer to a request, or refuses it, and frees its place.
    pub fn answer(
        &mut self,
        ticket: Ticket,
        result: Result<Bytes, Refusal>,
        now: Timestamp,
    ) -> Result<(), AnswerError> {
        let place = self.serving.place(ticket).filter(|place| !place.has_ended).ok_or(AnswerError::Stale)?;
        let (number, is_awaited, max) = (place.number, place.is_awaited, place.response_bytes_max);
        let Some(number) = number.filter(|_| is_awaited) else {
            self.let_go(ticket);
            return if is_awaited { Ok(()) } else { Err(AnswerError::Stale) };
        };
        let bytes = result.as_ref().map_or(0, Bytes::len);
        let is_too_large = bytes > max;
        let result = if is_too_large {
            Err(Refusal::new(RefusalKind::Failed, "the answer is larger than the method allows"))
        } else {
            result
        };
        self.end_answer(ticket, Response { number, result, chunks: 0 }, now);
        if is_too_large { Err(AnswerError::TooLarge { bytes, max }) } else { Ok(()) }
    }

    pub(super) fn request_received(&mut self, from: Slot, request: Request, now: Timestamp) {
        let Some(peer) = self.peers.get(from) else { return };
        if request.number.is_some_and(|number| peer.asking.contains_key(&number)) {
            self.conduct(from, Conduct::BrokeProtocol);
            return;
        }
        match self.admit(from, &request, now) {
            Ok(method) => self.serve(from, request, &method, now),
            Err(refusal) => {
                self.stats.refused = self.stats.refused.saturating_add(1);
                if let Some(number) = request.number {
                    let waits_until = request.timeout.map(|timeout| now.after(timeout));
                    self.respond(from, Response { number, result: Err(refusal), chunks: 0 }, waits_until);
                }
            }
        }
    }

    fn admit(&mut self, from: Slot, request: &Request, now: Timestamp) -> Result<Method, Refusal> {
        let Some(method) = self.methods.get(&request.method) else {
            return Err(Refusal::new(RefusalKind::NoSuchMethod, ""));
        };
        let Some(peer) = self.peers.get_mut(from).filter(|peer| peer.may_use(method)) else {
            return Err(Refusal::new(RefusalKind::NotAllowed, ""));
        };
        if self.is_shutting_down {
            return Err(Refusal::new(RefusalKind::Overloaded, "shutting down"));
        }
        if request.payload.len() > method.request_bytes_max {
            return Err(Refusal::new(RefusalKind::BadRequest, "the request is larger than the method allows"));
        }
        let bytes = self.serving.bytes.saturating_add(request.payload.len());
        if peer.serving >= self.config.serving_per_peer_max
            || self.serving.len() >= self.config.serving_max
            || bytes > self.config.serving_bytes_max
        {
            return Err(Refusal::new(RefusalKind::Overloaded, ""));
        }
        if !peer.pay(method, now) {
            return Err(Refusal::new(RefusalKind::Overloaded, "too much asked for"));
        }
        Ok(method.clone())
    }

    fn serve(&mut self, from: Slot, request: Request, method: &Method, now: Timestamp) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        self.serving.given_out = self.serving.given_out.saturating_add(1);
        let ticket = Ticket(self.serving.given_out);
        let time_left = request.timeout.unwrap_or(method.timeout).min(method.timeout).min(LONGEST);
        let wants_stream = request.number.is_some() && request.stream_credit > 0;
        let place = Place {
            from,
            number: request.number,
            is_awaited: true,
            stream: wants_stream.then(|| OutStream::new(request.stream_credit)),
            has_ended: false,
            bytes: request.payload.len(),
            response_bytes_max: method.response_bytes_max,
            deadline: now.after(time_left),
            timeout: method.timeout.min(LONGEST),
            peer_waits_until: request.timeout.map(|timeout| now.after(timeout)),
            ends_at: now.after(request.timeout.unwrap_or(LONGEST).min(LONGEST)),
        };
        if let Some(number) = request.number {
            peer.asking.insert(number, ticket);
        }
        peer.serving = peer.serving.saturating_add(1);
        // A peer that owes us answers is refused instead: they come the same way as its requests.
        let is_to_rest = peer.serving >= self.config.serving_per_peer_max && peer.asked.is_empty() && !peer.is_client;
        if is_to_rest && !std::mem::replace(&mut peer.is_paused, true) {
            self.outputs.push_back(Output::Pause { from });
        }
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
            wants_stream,
        });
    }

    pub(super) fn cancel_received(&mut self, from: Slot, number: NonZeroU64) {
        // One that is not here was answered while its cancellation travelled.
        let Some(peer) = self.peers.get_mut(from) else { return };
        let Some(ticket) = peer.asking.remove(&number) else { return };
        peer.forget_unsent(number);
        self.cancel_serving(ticket, CancelCause::TakenBack);
    }

    pub(super) fn cancel_serving(&mut self, ticket: Ticket, cause: CancelCause) {
        let Some(place) = self.serving.places.get_mut(&ticket) else { return };
        place.is_awaited = false;
        if place.has_ended {
            self.let_go(ticket);
            return;
        }
        self.emit(Event::Cancelled { ticket, cause });
    }

    pub(super) fn serving_timed_out(&mut self, ticket: Ticket, now: Timestamp) {
        let Some(place) = self.serving.places.get(&ticket) else { return };
        self.stats.expired = self.stats.expired.saturating_add(u64::from(!place.has_ended));
        let (from, number, is_told) = (place.from, place.number, place.takes_chunks());
        let waits_longer = place.peer_waits_until.is_none_or(|until| until > place.deadline);
        if let (Some(number), Some(peer)) = (number, self.peers.get_mut(from)) {
            peer.forget_unsent(number);
        }
        match number.filter(|_| is_told && waits_longer) {
            Some(number) => {
                let result = Err(Refusal::new(RefusalKind::Failed, "out of time"));
                self.end_answer(ticket, Response { number, result, chunks: 0 }, now);
            }
            None => self.let_go(ticket),
        }
        if is_told {
            self.emit(Event::Cancelled { ticket, cause: CancelCause::OutOfTime });
        }
    }

    /// Frees a place for good.
    fn let_go(&mut self, ticket: Ticket) {
        self.free(ticket);
        self.tell_if_drained();
    }

    /// The place of an end that the link has taken is free.
    pub(super) fn free_what_left(&mut self) {
        if let Some(ticket) = self.serving.leaving.take() {
            self.let_go(ticket);
        }
    }

    fn free(&mut self, ticket: Ticket) {
        let Some(place) = self.serving.places.remove(&ticket) else { return };
        self.timers.remove(&(place.deadline, Timer::Ticket(ticket)));
        self.serving.bytes = self.serving.bytes.saturating_sub(place.bytes);
        if let Some(peer) = self.peers.get_mut(place.from) {
            peer.serving = peer.serving.saturating_sub(1);
            // Reading goes on when a quarter of the places is free: it is not turned on and off with every request.
            let is_free = peer.serving.saturating_mul(4) <= self.config.serving_per_peer_max.saturating_mul(3);
            if is_free && std::mem::take(&mut peer.is_paused) {
                self.outputs.push_back(Output::Resume { from: place.from });
            }
            if let Some(number) = place.number.filter(|_| place.is_awaited) {
                peer.asking.remove(&number);
            }
        }
    }

    /// Work on a streamed answer goes on: its time begins anew, as long as the peer waits.
    pub(super) fn postpone(&mut self, ticket: Ticket, now: Timestamp) {
        let Some(place) = self.serving.places.get_mut(&ticket) else { return };
        self.timers.remove(&(place.deadline, Timer::Ticket(ticket)));
        place.deadline = now.after(place.timeout).min(place.ends_at);
        self.timers.insert((place.deadline, Timer::Ticket(ticket)));
    }

    /// Responds. What ends a stream, or is large, waits until the link has room for it, and its place is free when it has left.
    fn end_answer(&mut self, ticket: Ticket, response: Response, now: Timestamp) {
        let Some(place) = self.serving.places.get_mut(&ticket) else { return };
        if place.stream.is_none() && Lane::of_payload(response.result.as_ref().map_or(0, Bytes::len)) == Lane::Calls {
            let (to, expires) = (place.from, place.peer_waits_until);
            self.let_go(ticket);
            self.respond(to, response, expires);
            return;
        }
        let response = Response { chunks: place.stream.as_ref().map_or(0, OutStream::sent), ..response };
        let bytes = response.result.as_ref().map_or(0, Bytes::len);
        let freed = std::mem::replace(&mut place.bytes, bytes);
        place.has_ended = true;
        let to = place.from;
        self.serving.bytes = self.serving.bytes.saturating_sub(freed).saturating_add(bytes);
        self.postpone(ticket, now);
        self.send_in_order(to, RpcMessage::Response(response));
    }

    fn respond(&mut self, to: Slot, response: Response, expires: Option<Timestamp>) {
        let lane = Lane::of_payload(response.result.as_ref().map_or(0, Bytes::len));
        self.outputs.push_back(Output::Send { to, message: RpcMessage::Response(response), lane, expires });
    }
}
