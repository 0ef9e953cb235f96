use std::time::Duration;

use bruit_core::PeerId;
use bruit_stack::rpc::{AnswerError, CancelCause, Method, MethodName, Refusal, RefusalKind, RegisterError, Ticket};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::{
    handle::{Handle, StoppedError},
    runtime::Runtime,
};

/// How many requests of one method may wait for whoever serves it. 256: as many as the largest profile has peers.
const WAITING_MAX: usize = 256;

/// A request of a peer, to be answered with [`Requests::answer`].
#[derive(Debug)]
pub struct Request {
    /// Who asks.
    pub from: PeerId,
    /// The arguments.
    pub payload: Bytes,
    /// For how long an answer is of use.
    pub time_left: Duration,
    /// False for a request sent without waiting for its answer.
    pub wants_answer: bool,
    ticket: Ticket,
    cancelled: watch::Receiver<Option<CancelCause>>,
}

/// Tells when nobody waits for the answer to a request any more.
#[derive(Debug)]
pub struct Cancellation(watch::Receiver<Option<CancelCause>>);

/// The requests for one method. When it is dropped, the method is served no longer.
#[derive(Debug)]
pub struct Requests {
    handle: Handle,
    method: MethodName,
    waiting: mpsc::Receiver<Request>,
}

/// A method that cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] RegisterError),
    /// Somebody in this process serves it already.
    #[error("this method is served already")]
    Taken,
}

impl Request {
    pub(crate) fn new(
        from: PeerId,
        payload: Bytes,
        ticket: Ticket,
        time_left: Duration,
        wants_answer: bool,
    ) -> (Self, watch::Sender<Option<CancelCause>>) {
        let (sender, cancelled) = watch::channel(None);
        (Self { from, payload, time_left, wants_answer, ticket, cancelled }, sender)
    }

    /// What tells when the caller took the request back, is gone, or has no time left.
    pub fn cancellation(&self) -> Cancellation {
        Cancellation(self.cancelled.clone())
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.borrow().is_some()
    }

    pub(crate) fn overloaded() -> Refusal {
        Refusal::new(RefusalKind::Overloaded, "too many requests wait")
    }
}

impl Cancellation {
    /// Waits until nobody waits for the answer any more; `None` when it was given before.
    pub async fn cancelled(mut self) -> Option<CancelCause> {
        // Its sender goes when the request is answered.
        self.0.wait_for(Option::is_some).await.ok().and_then(|cause| *cause)
    }
}

impl Handle {
    /// Serves a method from now on.
    ///
    /// # Errors
    /// The node has stopped, the method is served already, or there are too many.
    pub async fn serve(&self, method: Method) -> Result<Requests, ServeError> {
        let name = method.name.clone();
        let waiting = self.ask(move |runtime| register(runtime, method)).await??;
        Ok(Requests::new(self, name, waiting))
    }

    /// Answers or refuses a request; says whether anybody still waited for it.
    pub(crate) async fn answer(&self, request: Request, result: Result<Bytes, Refusal>) -> bool {
        let answered = self.ask(move |runtime| answer(runtime, request.ticket, result)).await;
        match answered {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "an answer was not sent");
                false
            }
            Err(StoppedError) => false,
        }
    }

    /// Refuses a request without waiting for it.
    pub(crate) fn refuse(&self, request: Request, refusal: Refusal) {
        self.tell(move |runtime| {
            // Nobody waits for it any more.
            let _ = answer(runtime, request.ticket, Err(refusal));
        });
    }
}

fn answer(runtime: &mut Runtime, ticket: Ticket, result: Result<Bytes, Refusal>) -> Result<(), AnswerError> {
    runtime.serving.remove(&ticket);
    runtime.swarm.behaviour_mut().rpc().answer(ticket, result)
}

/// Serves a method from now on; its requests come out of the channel.
pub(crate) fn register(runtime: &mut Runtime, method: Method) -> Result<mpsc::Receiver<Request>, ServeError> {
    if runtime.methods.contains_key(&method.name) {
        return Err(ServeError::Taken);
    }
    let (sender, waiting) = mpsc::channel(WAITING_MAX);
    let name = method.name.clone();
    runtime.swarm.behaviour_mut().rpc().register(method)?;
    runtime.methods.insert(name, sender);
    Ok(waiting)
}

impl Requests {
    pub(crate) fn new(handle: &Handle, method: MethodName, waiting: mpsc::Receiver<Request>) -> Self {
        Self { handle: handle.clone(), method, waiting }
    }

    /// The next request; `None` when the node has stopped.
    pub async fn next(&mut self) -> Option<Request> {
        self.waiting.recv().await
    }

    /// Answers or refuses a request. An answer that nobody waits for any more is dropped.
    pub async fn answer(&self, request: Request, result: Result<Bytes, Refusal>) {
        self.handle.answer(request, result).await;
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        let method = self.method.clone();
        self.handle.tell(move |runtime| {
            runtime.methods.remove(&method);
            runtime.swarm.behaviour_mut().rpc().unregister(&method);
        });
    }
}
