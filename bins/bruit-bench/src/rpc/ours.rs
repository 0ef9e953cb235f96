#![allow(clippy::wildcard_enum_match_arm, reason = "the events are non-exhaustive")]

use anyhow::anyhow;
use bruit_rpc::{
    Admission, Answer, Behaviour, CallId, CallOptions, Config, Event, Method, MethodName, NetworkId, Seed, Ticket,
};
use bytes::Bytes;
use libp2p::PeerId;

use super::calls::{Calls, Lengths, Told};

/// More than is ever under way here.
const CALLS_MAX: usize = 16_384;
const METHOD: &str = "bench";

/// The project's own calls.
#[derive(Clone)]
pub(crate) struct Ours {
    lengths: Lengths,
    method: MethodName,
}

impl Ours {
    /// The longest answer that fits into one frame.
    pub(crate) const ANSWER_MAX: usize = 192 * 1024;

    pub(crate) fn new(lengths: Lengths) -> anyhow::Result<Self> {
        Ok(Self { lengths, method: MethodName::new(METHOD)? })
    }
}

impl Calls for Ours {
    type Behaviour = Behaviour;
    type Call = CallId;
    type Ticket = Ticket;

    const IS_READY_WHEN_CONNECTED: bool = false;

    fn lengths(&self) -> Lengths {
        self.lengths
    }

    fn behaviour(&self, serves: bool) -> anyhow::Result<Behaviour> {
        let config = Config {
            calls_max: CALLS_MAX,
            pending_per_peer_max: CALLS_MAX,
            serving_max: CALLS_MAX,
            serving_per_peer_max: CALLS_MAX,
            ..Config::default()
        };
        let network = NetworkId::new("bench")?;
        let mut behaviour =
            Behaviour::new(&network, config.validate()?, Seed::from_number(u64::from(serves)), Admission::Automatic);
        if serves {
            behaviour.register(Method { cost: 0, ..Method::idempotent(METHOD)? })?;
        }
        Ok(behaviour)
    }

    fn ask(&self, behaviour: &mut Behaviour, server: PeerId, request: Bytes) -> anyhow::Result<CallId> {
        Ok(behaviour.call_peer(&server, &self.method, request, CallOptions::idempotent())?)
    }

    fn answer(&self, behaviour: &mut Behaviour, ticket: Ticket, answer: Bytes) -> anyhow::Result<()> {
        Ok(behaviour.answer(ticket, Ok(answer))?)
    }

    fn told(event: Event<PeerId>) -> anyhow::Result<Told<Self>> {
        Ok(match event {
            Event::Told { peer, methods } if !methods.is_empty() => Told::Ready(peer),
            Event::Request { ticket, .. } => Told::Asked(ticket),
            Event::Done { call, result: Ok(Answer { payload, .. }), .. } => Told::Answered(call, payload),
            Event::Done { result: Err(error), .. } => return Err(anyhow!("{error}")),
            _ => Told::Nothing,
        })
    }
}
