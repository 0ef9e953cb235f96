//! Frames to messages and back: here bytes become trusted.
//!
//! It decides what a well-formed message is beyond the wire's limits: a name that is one, a number where one is due, a known
//! status. It does not decide what a message means at the moment it comes.
#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{num::NonZeroU64, time::Duration};

use bruit_wire::{DecodeError, pb};
use bytes::Bytes;
use pb::rpc_frame::Kind;

use crate::method::{MethodName, MethodNameError};

/// What peers say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpcMessage {
    /// Asks for something.
    Request(Request),
    /// Answers a request.
    Response(Response),
    /// Takes a request back; the number is the request's.
    Cancel(NonZeroU64),
    /// All methods that the sender serves.
    Methods(Vec<MethodName>),
    /// A part of a streamed answer.
    Chunk(Chunk),
    /// Room for more of a streamed answer.
    Credit(Credit),
}

/// Asks a peer to do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The sender's number for it; `None` when no answer is wanted.
    pub number: Option<NonZeroU64>,
    /// What is asked for.
    pub method: MethodName,
    /// How long the sender will wait, where it says so; in whole milliseconds on the wire, and so in what an engine sends.
    pub timeout: Option<Duration>,
    /// How many bytes of chunks the sender takes for now; 0 where the answer is to come in one piece.
    pub stream_credit: u32,
    /// The arguments.
    pub payload: Bytes,
}

/// A part of a streamed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The number of the request.
    pub number: NonZeroU64,
    /// Its position in the answer, from 0.
    pub index: u32,
    /// The part.
    pub payload: Bytes,
}

impl Chunk {
    /// What a chunk counts besides its bytes, so that empty ones are not endless either.
    pub const OVERHEAD: u32 = 64;

    /// What a chunk of `len` bytes takes of the credit.
    pub(crate) fn cost(len: usize) -> u64 {
        (len as u64).saturating_add(u64::from(Self::OVERHEAD))
    }
}

/// Says that more of a streamed answer may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The number of the request.
    pub number: NonZeroU64,
    /// How many bytes more; each chunk counts [`Chunk::OVERHEAD`] besides its own.
    pub bytes: u32,
}

/// Answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The number of the request.
    pub number: NonZeroU64,
    /// The result, or why there is none.
    pub result: Result<Bytes, Refusal>,
    /// How many chunks came before, if the answer is streamed.
    pub chunks: u32,
}

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}{reason}", if reason.is_empty() { "" } else { ": " })]
pub struct Refusal {
    /// What kind of refusal it is.
    pub kind: RefusalKind,
    /// Why, for a person; what is beyond 256 bytes is not sent.
    pub reason: String,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum RefusalKind {
    /// The peer does not have what was asked for; somebody else may.
    #[error("cannot satisfy")]
    CannotSatisfy,
    /// The peer serves no such method.
    #[error("no such method")]
    NoSuchMethod,
    /// The peer has too much to do.
    #[error("overloaded")]
    Overloaded,
    /// The request makes no sense to the method.
    #[error("bad request")]
    BadRequest,
    /// The method failed; it may have been executed in part.
    #[error("failed")]
    Failed,
    /// The peer does not let us use the method.
    #[error("not allowed")]
    NotAllowed,
}

impl Refusal {
    /// Refuses, with a reason for a person.
    pub fn new(kind: RefusalKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// Says that the thing asked for is not here, but may be elsewhere.
    pub fn cannot_satisfy(reason: impl Into<String>) -> Self {
        Self::new(RefusalKind::CannotSatisfy, reason)
    }
}

/// A frame that is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The wire refuses it.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A method's name is none.
    #[error(transparent)]
    Name(#[from] MethodNameError),
    /// A response or cancellation has no number.
    #[error("there is no number of a call")]
    NoNumber,
    /// A response says neither result nor refusal.
    #[error("a response has no status")]
    NoStatus,
}

/// Which lane of the protocol a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Lane 0, for all that is small.
    Calls,
    /// Lane 1, for large payloads, which must not delay the small ones.
    Bulk,
}

impl Lane {
    pub(crate) const COUNT: usize = 2;

    /// A payload above this many bytes travels in bulk: one full write of a link.
    pub const BULK_ABOVE: usize = 16 * 1024;

    /// The lane of a payload of `len` bytes.
    pub const fn of_payload(len: usize) -> Self {
        if len > Self::BULK_ABOVE { Self::Bulk } else { Self::Calls }
    }

    /// The lane of a number; what is not lane 0 is bulk.
    pub const fn numbered(number: u32) -> Self {
        if number == 0 { Self::Calls } else { Self::Bulk }
    }

    /// Its number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::Calls => 0,
            Self::Bulk => 1,
        }
    }
}

const REASON_BYTES_MAX: usize = 256;
/// Frames up to this size share the memory of the buffer that they were read into.
const COPIED_MAX: usize = 4 * 1024;
/// More than a frame has besides its payload: a name or a reason, numbers and keys.
const FRAME_BESIDES_MAX: usize = 512;

impl RpcMessage {
    /// Decodes a frame without its length prefix; `None` for a kind that this version does not know, which is ignored.
    ///
    /// # Security
    /// A payload gets memory of its own if it is small or its frame has much besides it: it may be kept for long, and would
    /// hold the whole buffer that it came in.
    pub fn decode(frame: Bytes) -> Result<Option<Self>, MessageError> {
        let frame_len = frame.len();
        let mut message = Self::from_frame(bruit_wire::decode(frame)?)?;
        if let Some(
            Self::Request(Request { payload, .. })
            | Self::Response(Response { result: Ok(payload), .. })
            | Self::Chunk(Chunk { payload, .. }),
        ) = &mut message
            && (payload.len() <= COPIED_MAX || frame_len.saturating_sub(payload.len()) > FRAME_BESIDES_MAX)
        {
            *payload = Bytes::copy_from_slice(payload);
        }
        Ok(message)
    }

    /// Checks a decoded frame; `None` for a kind that this version does not know.
    pub fn from_frame(frame: pb::RpcFrame) -> Result<Option<Self>, MessageError> {
        let Some(kind) = frame.kind else { return Ok(None) };
        Ok(Some(match kind {
            Kind::Request(request) => Self::Request(Request {
                number: NonZeroU64::new(request.call),
                method: request.method.try_into()?,
                timeout: Some(request.timeout_ms)
                    .filter(|millis| *millis > 0)
                    .map(|millis| Duration::from_millis(millis.into())),
                stream_credit: request.stream_credit,
                payload: request.payload,
            }),
            Kind::Response(response) => Self::Response(Response {
                number: number(response.call)?,
                chunks: response.chunks,
                result: result_of(response)?,
            }),
            Kind::Cancel(cancel) => Self::Cancel(number(cancel.call)?),
            Kind::Methods(methods) => {
                Self::Methods(methods.names.into_iter().map(MethodName::try_from).collect::<Result<_, _>>()?)
            }
            Kind::Chunk(chunk) => {
                Self::Chunk(Chunk { number: number(chunk.call)?, index: chunk.index, payload: chunk.payload })
            }
            Kind::Credit(credit) => Self::Credit(Credit { number: number(credit.call)?, bytes: credit.bytes }),
        }))
    }

    /// The message as the wire has it.
    pub fn to_frame(&self) -> pb::RpcFrame {
        let kind = match self {
            Self::Request(request) => Kind::Request(pb::RpcRequest {
                call: request.number.map_or(0, NonZeroU64::get),
                method: request.method.as_str().into(),
                timeout_ms: request.timeout.map_or(0, whole_millis),
                stream_credit: request.stream_credit,
                payload: request.payload.clone(),
            }),
            Self::Response(response) => Kind::Response(response_of(response)),
            Self::Cancel(number) => Kind::Cancel(pb::RpcCancel { call: number.get() }),
            Self::Methods(names) => {
                Kind::Methods(pb::RpcMethods { names: names.iter().cloned().map(String::from).collect() })
            }
            Self::Chunk(Chunk { number, index, payload }) => {
                Kind::Chunk(pb::RpcChunk { call: number.get(), index: *index, payload: payload.clone() })
            }
            Self::Credit(Credit { number, bytes }) => Kind::Credit(pb::RpcCredit { call: number.get(), bytes: *bytes }),
        };
        pb::RpcFrame { kind: Some(kind) }
    }

    /// Encodes the message as a frame with its length prefix.
    pub fn encode(&self) -> Bytes {
        bruit_wire::frame(&self.to_frame())
    }
}

fn number(call: u64) -> Result<NonZeroU64, MessageError> {
    NonZeroU64::new(call).ok_or(MessageError::NoNumber)
}

/// A time to wait as the wire has it: at least 1 ms, because 0 would say nothing.
pub(crate) fn whole_millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn result_of(response: pb::RpcResponse) -> Result<Result<Bytes, Refusal>, MessageError> {
    let kind = match pb::RpcStatus::try_from(response.status) {
        Ok(pb::RpcStatus::Unspecified) => return Err(MessageError::NoStatus),
        Ok(pb::RpcStatus::Ok) => return Ok(Ok(response.payload)),
        Ok(pb::RpcStatus::CannotSatisfy) => RefusalKind::CannotSatisfy,
        Ok(pb::RpcStatus::NoSuchMethod) => RefusalKind::NoSuchMethod,
        Ok(pb::RpcStatus::Overloaded) => RefusalKind::Overloaded,
        Ok(pb::RpcStatus::BadRequest) => RefusalKind::BadRequest,
        Ok(pb::RpcStatus::NotAllowed) => RefusalKind::NotAllowed,
        // A later version's status is a failure of which no more is known.
        Ok(pb::RpcStatus::Failed) | Err(_) => RefusalKind::Failed,
    };
    Ok(Err(Refusal { kind, reason: response.reason }))
}

fn response_of(response: &Response) -> pb::RpcResponse {
    let (call, chunks) = (response.number.get(), response.chunks);
    let refusal = match &response.result {
        Ok(payload) => {
            let (status, payload) = (pb::RpcStatus::Ok.into(), payload.clone());
            return pb::RpcResponse { call, status, reason: String::new(), chunks, payload };
        }
        Err(refusal) => refusal,
    };
    let status = match refusal.kind {
        RefusalKind::CannotSatisfy => pb::RpcStatus::CannotSatisfy,
        RefusalKind::NoSuchMethod => pb::RpcStatus::NoSuchMethod,
        RefusalKind::Overloaded => pb::RpcStatus::Overloaded,
        RefusalKind::BadRequest => pb::RpcStatus::BadRequest,
        RefusalKind::Failed => pb::RpcStatus::Failed,
        RefusalKind::NotAllowed => pb::RpcStatus::NotAllowed,
    };
    pb::RpcResponse { call, status: status.into(), reason: cut(&refusal.reason), chunks, payload: Bytes::new() }
}

fn cut(reason: &str) -> String {
    let end = (0..=reason.len().min(REASON_BYTES_MAX)).rev().find(|end| reason.is_char_boundary(*end));
    end.and_then(|end| reason.get(..end)).unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
