use std::time::Duration;

use crate::method::Class;

/// How one call is made. What is not given is taken from the method's registration, then from the [`Config`](crate::Config).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOptions<P> {
    /// How long the call may take in all.
    pub deadline: Option<Duration>,
    /// How long one peer may take.
    pub try_timeout: Option<Duration>,
    /// How many peers are asked at most; at least 1.
    pub tries_max: Option<u32>,
    /// Whether executing the request twice does no harm. Where nobody says, it counts as harmful, and the call is tried
    /// again only when the peer surely did not execute it.
    pub is_idempotent: Option<bool>,
    /// Whether the caller judges each answer before it counts.
    pub validate: bool,
    /// Whether a second peer is asked when the first one is slower than most, and the slower of them forgotten. Only for what
    /// may be executed twice.
    pub hedge: Option<bool>,
    /// Whether the call may share the answer of an equal one that is under way: for what proves itself, as content under its
    /// hash does. The first caller's verdict is good for all.
    pub join: bool,
    /// Peers of which class are asked before others, as long as one of them is fit.
    pub prefer: Option<Class>,
    /// Whether the answer is to come in chunks, each told by `Event::Chunk`. It is not judged with `validate`.
    pub stream: bool,
    /// How long a streamed answer may stand still while its reader waits.
    pub idle_timeout: Option<Duration>,
    /// How many bytes a streamed answer may have.
    pub stream_bytes_max: Option<u64>,
    /// Who is asked first, if connected and serving the method.
    pub pin: Option<P>,
    /// Who is never asked, among those connected when the call starts.
    pub exclude: Vec<P>,
}

impl<P> Default for CallOptions<P> {
    fn default() -> Self {
        Self {
            deadline: None,
            try_timeout: None,
            tries_max: None,
            is_idempotent: None,
            validate: false,
            hedge: None,
            join: false,
            prefer: None,
            stream: false,
            idle_timeout: None,
            stream_bytes_max: None,
            pin: None,
            exclude: Vec::new(),
        }
    }
}

impl<P> CallOptions<P> {
    /// The options of a call that may be executed twice without harm.
    pub fn idempotent() -> Self {
        Self { is_idempotent: Some(true), ..Self::default() }
    }

    /// Names the peers in another way; who has no name is left out.
    pub fn map<Q>(self, mut name: impl FnMut(P) -> Option<Q>) -> CallOptions<Q> {
        CallOptions {
            deadline: self.deadline,
            try_timeout: self.try_timeout,
            tries_max: self.tries_max,
            is_idempotent: self.is_idempotent,
            validate: self.validate,
            hedge: self.hedge,
            join: self.join,
            prefer: self.prefer,
            stream: self.stream,
            idle_timeout: self.idle_timeout,
            stream_bytes_max: self.stream_bytes_max,
            pin: self.pin.and_then(&mut name),
            exclude: self.exclude.into_iter().filter_map(name).collect(),
        }
    }
}

/// Why a request does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// As many calls are under way as may be.
    #[error("{max} calls are under way, which is the limit")]
    TooManyCalls {
        /// The limit.
        max: usize,
    },
    /// The calls under way hold as many bytes as they may.
    #[error("the calls under way hold {max} bytes, which is the limit")]
    TooManyBytes {
        /// The limit.
        max: usize,
    },
    /// The arguments are too large for the method.
    #[error("a request of {bytes} bytes, more than {max}")]
    TooLarge {
        /// The size of the arguments.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The peer is not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// The peer said that it does not serve the method.
    #[error("the peer does not serve this method")]
    NotServed,
    /// No call starts any more.
    #[error("no more calls are made")]
    ShuttingDown,
}

/// What the caller says about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was asked for; the call ends with it.
    Good,
    /// It may be true, but is of no use; somebody else is asked.
    Useless,
    /// It is false: this is held against the peer, and somebody else is asked.
    Invalid,
}

/// Why a verdict or cancellation had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallStateError {
    /// The call has ended.
    #[error("the call has ended")]
    Ended,
    /// There is no answer to judge, or no chunk to take.
    #[error("there is no answer to judge")]
    NotAnswered,
}

/// Why a chunk was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Nobody waits for it: too late, cancelled, given already, or the peer is gone.
    #[error("nobody waits for this answer")]
    Stale,
    /// The peer wants the answer in one piece.
    #[error("the answer is wanted in one piece")]
    NotWanted,
    /// It is larger than a frame carries.
    #[error("a chunk of {bytes} bytes, more than {max}")]
    TooLarge {
        /// The size of the chunk.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The reader has to take some first; `Event::Room` comes then.
    #[error("the reader has not taken enough yet")]
    NoRoom,
}

/// Why an answer was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nobody waits for it: too late, cancelled, given already, or the peer is gone.
    #[error("nobody waits for this answer")]
    Stale,
    /// It is larger than its method allows; the peer was told that the method failed.
    #[error("an answer of {bytes} bytes, more than {max}")]
    TooLarge {
        /// The size of the answer.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}
