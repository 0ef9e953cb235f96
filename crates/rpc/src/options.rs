use std::time::Duration;

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
        let Self { deadline, try_timeout, tries_max, is_idempotent, validate, pin, exclude } = self;
        let pin = pin.and_then(&mut name);
        let exclude = exclude.into_iter().filter_map(name).collect();
        CallOptions { deadline, try_timeout, tries_max, is_idempotent, validate, pin, exclude }
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
    /// There is no answer to judge.
    #[error("there is no answer to judge")]
    NotAnswered,
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
