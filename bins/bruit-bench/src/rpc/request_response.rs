use anyhow::{anyhow, bail};
use bytes::Bytes;
use libp2p::{
    PeerId,
    request_response::{Behaviour, Config, Event, Message, OutboundRequestId, ProtocolSupport, ResponseChannel},
};

use super::calls::{Calls, Lengths, Told};
use crate::codec::Fixed;

/// More than are ever under way here.
const STREAMS_MAX: usize = 16_384;

/// libp2p's: a stream for each request.
#[derive(Clone)]
pub(crate) struct RequestResponse(pub(crate) Lengths);

impl Calls for RequestResponse {
    type Behaviour = Behaviour<Fixed>;
    type Call = OutboundRequestId;
    type Ticket = ResponseChannel<Bytes>;

    const IS_READY_WHEN_CONNECTED: bool = true;

    fn lengths(&self) -> Lengths {
        self.0
    }

    fn behaviour(&self, _: bool) -> anyhow::Result<Behaviour<Fixed>> {
        let codec = Fixed { request_len: self.0.request, answer_len: self.0.answer };
        let config = Config::default().with_max_concurrent_streams(STREAMS_MAX);
        Ok(Behaviour::with_codec(codec, [("/bruit/bench-calls/1", ProtocolSupport::Full)], config))
    }

    fn ask(&self, behaviour: &mut Behaviour<Fixed>, server: PeerId, request: Bytes) -> anyhow::Result<Self::Call> {
        Ok(behaviour.send_request(&server, request))
    }

    fn answer(&self, behaviour: &mut Behaviour<Fixed>, ticket: Self::Ticket, answer: Bytes) -> anyhow::Result<()> {
        behaviour.send_response(ticket, answer).map_err(|_| anyhow!("an answer came too late"))
    }

    fn told(event: Event<Bytes, Bytes>) -> anyhow::Result<Told<Self>> {
        Ok(match event {
            Event::Message { message: Message::Request { channel, .. }, .. } => Told::Asked(channel),
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                Told::Answered(request_id, response)
            }
            Event::OutboundFailure { error, .. } => bail!(error),
            Event::InboundFailure { error, .. } => bail!(error),
            Event::ResponseSent { .. } => Told::Nothing,
        })
    }
}
