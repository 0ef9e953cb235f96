use std::{fmt, time::Duration};

use bruit_core::Conduct;
use bytes::Bytes;

use crate::{
    message::{Refusal, RefusalKind},
    method::MethodName,
};

/// What happened. The engine names peers by slot, the behaviour by peer id; nothing else differs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<P> {
    /// A peer asks for a method that is registered here. Its place is taken until [`answer`](crate::Engine::answer) is
    /// called, also when no answer is wanted or it was cancelled, or its time is over.
    Request {
        /// Who asks.
        from: P,
        /// What is asked for.
        method: MethodName,
        /// The arguments.
        payload: Bytes,
        /// What the answer is given with.
        ticket: Ticket,
        /// For how long an answer is of use.
        time_left: Duration,
        /// False for a request sent without waiting for its answer.
        wants_answer: bool,
        /// Whether the answer may come in chunks.
        wants_stream: bool,
    },
    /// The reader of a streamed answer took some: more can be sent, after a chunk was refused for want of room.
    Room {
        /// The request's ticket.
        ticket: Ticket,
        /// How many bytes one chunk may have now.
        bytes: usize,
    },
    /// A part of a streamed answer came; [`chunk_taken`](crate::Engine::chunk_taken) makes room for more.
    Chunk {
        /// The call.
        call: CallId,
        /// Who answers.
        from: P,
        /// The part.
        payload: Bytes,
    },
    /// After shutting down: no call is under way and no request is served any more.
    Drained,
    /// Nobody waits for the answer any more.
    Cancelled {
        /// The request's ticket.
        ticket: Ticket,
        /// Why.
        cause: CancelCause,
    },
    /// A peer answered a call that wants its answers judged; [`verdict`](crate::Engine::verdict) is awaited until the
    /// call's deadline.
    Answered {
        /// The call.
        call: CallId,
        /// Who answered.
        from: P,
        /// The answer.
        payload: Bytes,
    },
    /// A call ended; comes exactly once for each.
    Done {
        /// The call.
        call: CallId,
        /// The answer, or why there is none.
        result: Result<Answer<P>, CallError<P>>,
        /// How many peers were asked.
        tries: u32,
    },
    /// A message sent without waiting for an answer did not leave: the peer takes nothing at the moment.
    NotSent {
        /// Whom it was for.
        to: P,
        /// Its method.
        method: MethodName,
    },
    /// A peer told which methods it serves, for the first time or others than before.
    Told {
        /// The peer.
        peer: P,
        /// All its methods.
        methods: Vec<MethodName>,
    },
    /// What an exchange said about a peer.
    Conduct {
        /// The peer.
        peer: P,
        /// What it did.
        conduct: Conduct,
    },
}

/// Names a call that was started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) u64);

/// Names a request that is served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// Why nobody waits for an answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelCause {
    /// The peer took the request back.
    TakenBack,
    /// The peer is gone.
    Disconnected,
    /// The time for it is over; its place is free.
    OutOfTime,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<P> {
    /// Who gave it.
    pub from: P,
    /// The result.
    pub payload: Bytes,
    /// From asking this peer to having its answer.
    pub elapsed: Duration,
}

/// A peer that was asked in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried<P> {
    /// Whom.
    pub peer: P,
    /// Why it was in vain.
    pub failure: Failure,
    /// After how long that was clear.
    pub elapsed: Duration,
}

/// Why one try failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No answer came in time.
    #[error("timed out")]
    TimedOut,
    /// The peer disconnected before it answered.
    #[error("connection lost")]
    Lost,
    /// The request did not leave: the peer takes nothing at the moment.
    #[error("not sent")]
    NotSent,
    /// The peer refused.
    #[error(transparent)]
    Refused(Refusal),
    /// The caller had no use for the answer.
    #[error("useless answer")]
    Useless,
    /// The answer was false.
    #[error("false answer")]
    Invalid,
    /// A part of a streamed answer is missing.
    #[error("a part is missing")]
    Incomplete,
    /// The caller waits no longer, or somebody else was faster.
    #[error("given up")]
    GivenUp,
}

impl Failure {
    /// Whether the peer may have executed the request. A refusal is taken at the peer's word.
    pub const fn may_have_run(&self) -> bool {
        match self {
            Self::NotSent => false,
            Self::Refused(refusal) => matches!(refusal.kind, RefusalKind::Failed),
            Self::TimedOut | Self::Lost | Self::Useless | Self::Invalid | Self::Incomplete | Self::GivenUp => true,
        }
    }
}

/// A call ended without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError<P> {
    /// What was asked for.
    pub method: MethodName,
    /// Why the call ended.
    pub cause: EndCause,
    /// Who was asked, in order, and why each try failed.
    pub tried: Vec<Tried<P>>,
}

/// Why a call ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndCause {
    /// No connected peer could be asked.
    #[error("no peer to ask")]
    NoPeer,
    /// Nobody is left to ask, or as many peers were asked as may be.
    #[error("all tries failed")]
    Exhausted,
    /// A peer may have executed a request that must not be executed twice.
    #[error("it must not be tried again")]
    NotRepeatable,
    /// A streamed answer failed after its first chunk, which cannot be taken back.
    #[error("the answer broke off")]
    BrokenOff,
    /// The time for the whole call is over.
    #[error("out of time")]
    OutOfTime,
    /// The caller took it back.
    #[error("cancelled")]
    Cancelled,
}

impl<P> CallError<P> {
    /// Whether any of the peers may have executed the request.
    pub fn may_have_run(&self) -> bool {
        self.tried.iter().any(|tried| tried.failure.may_have_run())
    }
}

impl<P: fmt::Debug> fmt::Display for CallError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer to {:?}: {}", self.method, self.cause)?;
        for Tried { peer, failure, elapsed } in &self.tried {
            write!(f, "; {peer:?}: {failure} after {} ms", elapsed.as_millis())?;
        }
        f.write_str(if self.may_have_run() { "; it may have been executed" } else { "; it was not executed" })
    }
}

impl<P: fmt::Debug> std::error::Error for CallError<P> {}

impl<P> Event<P> {
    /// Names the peers in another way. `None` when a peer has no name any more that the event cannot do without; a try
    /// whose peer has none is left out.
    pub fn map<Q>(self, mut name: impl FnMut(P) -> Option<Q>) -> Option<Event<Q>> {
        Some(match self {
            Self::Request { from, method, payload, ticket, time_left, wants_answer, wants_stream } => {
                Event::Request { from: name(from)?, method, payload, ticket, time_left, wants_answer, wants_stream }
            }
            Self::Room { ticket, bytes } => Event::Room { ticket, bytes },
            Self::Chunk { call, from, payload } => Event::Chunk { call, from: name(from)?, payload },
            Self::Drained => Event::Drained,
            Self::Cancelled { ticket, cause } => Event::Cancelled { ticket, cause },
            Self::Answered { call, from, payload } => Event::Answered { call, from: name(from)?, payload },
            Self::Done { call, result: Ok(Answer { from, payload, elapsed }), tries } => {
                Event::Done { call, result: Ok(Answer { from: name(from)?, payload, elapsed }), tries }
            }
            Self::Done { call, result: Err(CallError { method, cause, tried }), tries } => {
                let tried = tried
                    .into_iter()
                    .filter_map(|Tried { peer, failure, elapsed }| Some(Tried { peer: name(peer)?, failure, elapsed }))
                    .collect();
                Event::Done { call, result: Err(CallError { method, cause, tried }), tries }
            }
            Self::NotSent { to, method } => Event::NotSent { to: name(to)?, method },
            Self::Told { peer, methods } => Event::Told { peer: name(peer)?, methods },
            Self::Conduct { peer, conduct } => Event::Conduct { peer: name(peer)?, conduct },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_everybody_and_says_whether_it_may_have_run() {
        let tried = |failure| Tried { peer: "ada", failure, elapsed: Duration::from_millis(3) };
        let refused = Failure::Refused(Refusal::cannot_satisfy("unknown key"));
        let mut error = CallError {
            method: MethodName::new("get").unwrap(),
            cause: EndCause::Exhausted,
            tried: vec![tried(refused)],
        };
        assert_eq!(
            error.to_string(),
            "no answer to \"get\": all tries failed; \"ada\": cannot satisfy: unknown key after 3 ms; it was not executed"
        );
        error.tried.push(tried(Failure::TimedOut));
        assert!(error.to_string().ends_with("\"ada\": timed out after 3 ms; it may have been executed"));
    }
}
