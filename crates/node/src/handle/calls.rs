use std::{fmt, time::Duration};

use bruit_core::PeerId;
use bruit_stack::rpc::{
    Answer, CallError, CallId, Candidate, Message, MethodName, MethodNameError, StartError, TooLargeError, Typed,
    Verdict,
};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::handle::{Handle, StoppedError};

/// How a call is made; see [`bruit_stack::rpc::CallOptions`].
pub type CallOptions = bruit_stack::rpc::CallOptions<PeerId>;

/// What the swarm's task tells a caller.
#[derive(Debug)]
pub(crate) enum CallEvent {
    Answered { from: PeerId, payload: Bytes },
    Chunk { payload: Bytes },
    Done { result: Result<Answer<PeerId>, CallError<PeerId>>, tries: u32 },
}

/// An answer, and what it took to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Who gave it.
    pub from: PeerId,
    /// The result.
    pub payload: Bytes,
    /// How many peers were asked.
    pub tries: u32,
    /// From asking this peer to having its answer.
    pub elapsed: Duration,
}

/// An answer, and what its judge made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedAnswer<T> {
    /// What the judge made of the payload.
    pub value: T,
    /// Who gave it.
    pub from: PeerId,
    /// How many peers were asked.
    pub tries: u32,
}

/// A call that brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// The method's name is none.
    #[error(transparent)]
    Method(#[from] MethodNameError),
    /// Its request is larger than a payload may be.
    #[error(transparent)]
    TooLarge(#[from] TooLargeError),
    /// It did not start.
    #[error(transparent)]
    NotStarted(#[from] StartError),
    /// It ended without an answer.
    #[error("{error}")]
    Failed {
        /// Who was asked and why it was in vain.
        error: CallError<PeerId>,
        /// How many peers were asked.
        tries: u32,
    },
}

impl CallFailure {
    /// Whether any peer may have executed the request.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Stopped(_) | Self::Method(_) | Self::TooLarge(_) | Self::NotStarted(_) => false,
            Self::Failed { error, .. } => error.may_have_run(),
        }
    }

    /// How many peers were asked.
    pub const fn tries(&self) -> u32 {
        match self {
            Self::Stopped(_) | Self::Method(_) | Self::TooLarge(_) | Self::NotStarted(_) => 0,
            Self::Failed { tries, .. } => *tries,
        }
    }
}

/// A call under way; dropping it takes the call back.
struct Pending {
    handle: Handle,
    call: CallId,
    events: mpsc::UnboundedReceiver<CallEvent>,
    is_done: bool,
}

/// An answer that comes in parts. Dropping it takes the call back; who reads slowly is waited for.
pub struct AnswerStream {
    pending: Pending,
    /// The last part is the end's own.
    ended: Option<Answered>,
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream").field("call", &self.pending.call).field("ended", &self.ended).finish()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_done {
            let call = self.call;
            self.handle.tell(move |runtime| {
                runtime.calls.remove(&call);
                // It may have ended in the meantime.
                let _ = runtime.swarm.behaviour_mut().rpc().cancel(call);
            });
        }
    }
}

impl Handle {
    /// Asks some connected peer that serves a method, and the next one if that was in vain. Dropping the future takes the
    /// call back.
    ///
    /// # Errors
    /// Nobody answered; the error names who was asked, and says whether anybody may have executed the request.
    pub async fn call(&self, method: &str, payload: Bytes, options: CallOptions) -> Result<Answered, CallFailure> {
        let mut pending =
            self.start_call(None, method, payload, CallOptions { validate: false, stream: false, ..options }).await?;
        pending.answer(|_, _| Verdict::Good).await
    }

    /// As [`call`](Self::call), with a judge of the answers: an answer that it returns an error for does not count, and the
    /// next peer is asked.
    ///
    /// # Errors
    /// Nobody gave an answer that the judge accepts.
    pub async fn call_judged<T>(
        &self,
        method: &str,
        payload: Bytes,
        options: CallOptions,
        judge: impl FnMut(PeerId, Bytes) -> Result<T, Verdict>,
    ) -> Result<JudgedAnswer<T>, CallFailure> {
        self.judged(None, (method, payload), options, judge).await
    }

    /// As [`call`](Self::call), of a method whose requests and answers are protobuf messages. An answer that is none is held
    /// against who gave it, and the next peer is asked.
    ///
    /// # Errors
    /// The request is too large, or nobody gave an answer that is one.
    pub async fn call_typed<Q: Message + Default, A: Message + Default>(
        &self,
        method: &Typed<Q, A>,
        request: &Q,
        options: CallOptions,
    ) -> Result<JudgedAnswer<A>, CallFailure> {
        let payload = method.encode_request(request)?;
        self.call_judged(method.name().as_str(), payload, options, |_, answer| method.decode_answer(&answer)).await
    }

    /// As [`call_peer`](Self::call_peer), with a judge of the answer.
    ///
    /// # Errors
    /// The peer did not give an answer that the judge accepts.
    pub async fn call_peer_judged<T>(
        &self,
        peer: PeerId,
        method: &str,
        payload: Bytes,
        options: CallOptions,
        judge: impl FnMut(PeerId, Bytes) -> Result<T, Verdict>,
    ) -> Result<JudgedAnswer<T>, CallFailure> {
        self.judged(Some(peer), (method, payload), options, judge).await
    }

    async fn judged<T>(
        &self,
        peer: Option<PeerId>,
        (method, payload): (&str, Bytes),
        options: CallOptions,
        mut judge: impl FnMut(PeerId, Bytes) -> Result<T, Verdict>,
    ) -> Result<JudgedAnswer<T>, CallFailure> {
        let mut pending =
            self.start_call(peer, method, payload, CallOptions { validate: true, stream: false, ..options }).await?;
        let mut accepted = None;
        let mut judge = |from, payload| match judge(from, payload) {
            Ok(value) => {
                accepted = Some(value);
                Verdict::Good
            }
            Err(verdict) => verdict,
        };
        let answered = pending.answer(&mut judge).await?;
        let value = accepted.ok_or(StoppedError)?;
        Ok(JudgedAnswer { value, from: answered.from, tries: answered.tries })
    }

    /// Asks one connected peer, once.
    ///
    /// # Errors
    /// The peer is not connected, does not serve the method, or did not answer.
    pub async fn call_peer(
        &self,
        peer: PeerId,
        method: &str,
        payload: Bytes,
        options: CallOptions,
    ) -> Result<Answered, CallFailure> {
        let options = CallOptions { validate: false, stream: false, ..options };
        let mut pending = self.start_call(Some(peer), method, payload, options).await?;
        pending.answer(|_, _| Verdict::Good).await
    }

    /// As [`call`](Self::call), for an answer that comes in parts, of any length that `options.stream_bytes_max` allows. Nobody
    /// else is asked after the first part.
    ///
    /// # Errors
    /// The call did not start. How it ends is told by [`AnswerStream::next`].
    pub async fn call_stream(
        &self,
        method: &str,
        payload: Bytes,
        options: CallOptions,
    ) -> Result<AnswerStream, CallFailure> {
        let options = CallOptions { stream: true, validate: false, ..options };
        Ok(AnswerStream { pending: self.start_call(None, method, payload, options).await?, ended: None })
    }

    /// As [`call_stream`](Self::call_stream), of one connected peer.
    ///
    /// # Errors
    /// The call did not start.
    pub async fn call_peer_stream(
        &self,
        peer: PeerId,
        method: &str,
        payload: Bytes,
        options: CallOptions,
    ) -> Result<AnswerStream, CallFailure> {
        let options = CallOptions { stream: true, validate: false, ..options };
        Ok(AnswerStream { pending: self.start_call(Some(peer), method, payload, options).await?, ended: None })
    }

    /// Sends a request to a connected peer and waits for nothing.
    ///
    /// # Errors
    /// The peer is not connected, or does not serve the method.
    pub async fn send(&self, peer: PeerId, method: &str, payload: Bytes) -> Result<(), CallFailure> {
        let method = MethodName::new(method)?;
        let sent = self.ask(move |runtime| runtime.swarm.behaviour_mut().rpc().send(&peer, &method, payload));
        Ok(sent.await??)
    }

    /// Whom a global call of a method could ask now, and how likely each is asked first.
    ///
    /// # Errors
    /// The node has stopped, or the method's name is none.
    pub async fn explain(&self, method: &str) -> Result<Vec<Candidate<PeerId>>, CallFailure> {
        let method = MethodName::new(method)?;
        Ok(self.ask(move |runtime| runtime.swarm.behaviour_mut().rpc().explain(&method)).await?)
    }

    /// The connected peers that said that they serve a method.
    ///
    /// # Errors
    /// The node has stopped, or the method's name is none.
    pub async fn peers_serving(&self, method: &str) -> Result<Vec<PeerId>, CallFailure> {
        let method = MethodName::new(method)?;
        Ok(self.ask(move |runtime| runtime.swarm.behaviour_mut().rpc().peers_serving(&method)).await?)
    }

    async fn start_call(
        &self,
        peer: Option<PeerId>,
        method: &str,
        payload: Bytes,
        options: CallOptions,
    ) -> Result<Pending, CallFailure> {
        let method = MethodName::new(method)?;
        // A call has one answer to be judged and its end to tell, a stream what its window holds and its end.
        let (sender, events) = mpsc::unbounded_channel();
        let handle = self.clone();
        let started = self.ask(move |runtime| {
            let rpc = runtime.swarm.behaviour_mut().rpc();
            let started = match peer {
                Some(peer) => rpc.call_peer(&peer, &method, payload, options),
                None => rpc.call(&method, payload, options),
            };
            started.map(|call| {
                runtime.calls.insert(call, sender);
                // Made here: a caller that has gone meanwhile takes the call back by not receiving it.
                Pending { handle, call, events, is_done: false }
            })
        });
        Ok(started.await??)
    }
}

impl Pending {
    async fn answer(&mut self, mut judge: impl FnMut(PeerId, Bytes) -> Verdict) -> Result<Answered, CallFailure> {
        let call = self.call;
        loop {
            match self.events.recv().await.ok_or(StoppedError)? {
                CallEvent::Answered { from, payload } => {
                    let verdict = judge(from, payload);
                    // Out of time meanwhile: `Done` says so.
                    let _ = self
                        .handle
                        .ask(move |runtime| runtime.swarm.behaviour_mut().rpc().verdict(call, verdict))
                        .await?;
                }
                CallEvent::Done { result, tries } => return self.done(result, tries),
                // It was not asked for in parts.
                CallEvent::Chunk { .. } => {}
            }
        }
    }

    fn done(&mut self, result: Result<Answer<PeerId>, CallError<PeerId>>, tries: u32) -> Result<Answered, CallFailure> {
        self.is_done = true;
        let Answer { from, payload, elapsed } = result.map_err(|error| CallFailure::Failed { error, tries })?;
        Ok(Answered { from, payload, tries, elapsed })
    }
}

impl AnswerStream {
    /// The next part; `None` when there is no more: unless an error came before, the answer is complete.
    ///
    /// # Errors
    /// The answer broke off, or nobody gave one. What came before is then no answer.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallFailure> {
        if self.pending.is_done {
            return Ok(None);
        }
        let call = self.pending.call;
        loop {
            match self.pending.events.recv().await.ok_or(StoppedError)? {
                CallEvent::Chunk { payload } => {
                    self.pending.handle.tell(move |runtime| {
                        // The call may have ended in the meantime.
                        let _ = runtime.swarm.behaviour_mut().rpc().chunk_taken(call);
                    });
                    return Ok(Some(payload));
                }
                CallEvent::Done { result, tries } => {
                    let answered = self.pending.done(result, tries)?;
                    let last = Some(answered.payload.clone()).filter(|last| !last.is_empty());
                    self.ended = Some(answered);
                    return Ok(last);
                }
                CallEvent::Answered { .. } => {}
            }
        }
    }

    /// Who gave the answer, once it is complete; its payload is the last part.
    pub const fn answered(&self) -> Option<&Answered> {
        self.ended.as_ref()
    }
}
