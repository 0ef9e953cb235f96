//! Calls on substreams of their own: one request frame, one response frame, close.
//!
//! Who calls so needs no link. Each call is a client of its own to the engine, under a slot above those of the links.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    task::{Context, Poll},
};

use bruit_core::{NetworkId, PeerId, Slot, SlotTable};
use bruit_wire::{BoundedCodec, FRAME_MAX, pb};
use libp2p_request_response::{self as request_response, InboundRequestId, Message, ProtocolSupport, ResponseChannel};
use libp2p_swarm::{NetworkBehaviour, ToSwarm};

use crate::{
    config::Config,
    message::{Refusal, RefusalKind, Request, Response, RpcMessage},
};

type Codec = BoundedCodec<pb::RpcFrame, pb::RpcFrame>;
pub(super) type Exchange = request_response::Behaviour<Codec>;
type ExchangeEvent = <Exchange as NetworkBehaviour>::ToSwarm;
type Channel = ResponseChannel<<Codec as request_response::Codec>::Response>;

/// More at a time on one connection are dropped unread.
const STREAMS_PER_CONNECTION_MAX: usize = 4;
/// The number of a client's only call, as the engine knows it; on the wire it may have any, or none.
const ONLY: NonZeroU64 = NonZeroU64::MIN;

pub(super) struct Foreign {
    pub(super) exchange: Exchange,
    first_index: u32,
    calls_max: usize,
    calls: SlotTable<Call>,
    slots: BTreeMap<InboundRequestId, Slot>,
    /// Who is served, where that is the owner's to say.
    admitted: Option<BTreeSet<PeerId>>,
}

struct Call {
    request: InboundRequestId,
    /// The number that the caller gave it.
    number: u64,
    channel: Channel,
}

/// What became of a call.
pub(super) enum ForeignEvent {
    /// A request came under a slot of its own.
    Requested(Slot, PeerId, RpcMessage),
    /// The caller is gone, or its time is over.
    Closed(Slot),
    /// What came is no request.
    Garbage(PeerId),
}

/// What became of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Responded {
    /// It is on its way.
    Sent,
    /// The slot is none of these.
    NoSuchCall,
}

impl Foreign {
    pub(super) fn new(network: &NetworkId, config: &Config, is_open: bool) -> Self {
        let name = network.protocol_name("rpc-call", 1);
        let settings = request_response::Config::default()
            .with_request_timeout(config.deadline)
            .with_max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
        let codec = BoundedCodec::new(FRAME_MAX, FRAME_MAX);
        Self {
            exchange: Exchange::with_codec(codec, [(name, ProtocolSupport::Inbound)], settings),
            first_index: u32::try_from(config.peers_max).unwrap_or(u32::MAX),
            calls_max: config.foreign_max,
            calls: SlotTable::new(config.foreign_max),
            slots: BTreeMap::new(),
            admitted: (!is_open).then(BTreeSet::new),
        }
    }

    pub(super) fn admit(&mut self, peer: PeerId) {
        if let Some(admitted) = &mut self.admitted {
            admitted.insert(peer);
        }
    }

    pub(super) fn dismiss(&mut self, peer: &PeerId) {
        if let Some(admitted) = &mut self.admitted {
            admitted.remove(peer);
        }
    }

    /// Gives out what happens; an exchange that only answers asks nothing of the swarm.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ForeignEvent> {
        while let Poll::Ready(to_swarm) = self.exchange.poll(cx) {
            if let ToSwarm::GenerateEvent(event) = to_swarm
                && let Some(event) = self.take(event)
            {
                return Poll::Ready(event);
            }
        }
        Poll::Pending
    }

    fn take(&mut self, event: ExchangeEvent) -> Option<ForeignEvent> {
        match event {
            request_response::Event::Message {
                peer,
                message: Message::Request { request_id, request, channel },
                ..
            } => {
                if self.admitted.as_ref().is_some_and(|admitted| !admitted.contains(&peer)) {
                    return None;
                }
                let message = request.ok().and_then(|frame| RpcMessage::from_frame(frame).ok().flatten());
                let Some(RpcMessage::Request(request)) = message else { return Some(ForeignEvent::Garbage(peer)) };
                let number = request.number.map_or(0, NonZeroU64::get);
                let slot = self.insert(Call { request: request_id, number, channel })?;
                // There is one response: in chunks, the first would be all.
                let message = RpcMessage::Request(Request { number: Some(ONLY), stream_credit: 0, ..request });
                Some(ForeignEvent::Requested(slot, peer, message))
            }
            request_response::Event::InboundFailure { request_id, .. } => {
                let slot = self.slots.get(&request_id).copied()?;
                self.remove(slot)?;
                Some(ForeignEvent::Closed(slot))
            }
            _ => None,
        }
    }

    /// Sends a response, if the slot is that of a call here; the slot is free then.
    pub(super) fn respond(&mut self, to: Slot, message: &RpcMessage) -> Responded {
        let Some(call) = self.remove(to) else { return Responded::NoSuchCall };
        self.send(call, message);
        Responded::Sent
    }

    /// Takes a place; where there is none, the caller is told so.
    fn insert(&mut self, call: Call) -> Option<Slot> {
        if self.calls.len() >= self.calls_max {
            let result = Err(Refusal::new(RefusalKind::Overloaded, ""));
            self.send(call, &RpcMessage::Response(Response { number: ONLY, result, chunks: 0 }));
            return None;
        }
        let request = call.request;
        let inner = self.calls.insert(call).ok()?;
        let slot = Slot::new(self.first_index.saturating_add(index(inner)), inner.generation());
        self.slots.insert(request, slot);
        Some(slot)
    }

    fn remove(&mut self, slot: Slot) -> Option<Call> {
        let inner = Slot::new(index(slot).checked_sub(self.first_index)?, slot.generation());
        let call = self.calls.remove(inner)?;
        self.slots.remove(&call.request);
        Some(call)
    }

    fn send(&mut self, call: Call, message: &RpcMessage) {
        let mut frame = message.to_frame();
        if let Some(pb::rpc_frame::Kind::Response(response)) = &mut frame.kind {
            response.call = call.number;
        }
        // The frame comes back when the caller is gone; then nobody misses it.
        drop(self.exchange.send_response(call.channel, Ok(frame)));
    }
}

fn index(slot: Slot) -> u32 {
    u32::try_from(slot.index()).unwrap_or(u32::MAX)
}
