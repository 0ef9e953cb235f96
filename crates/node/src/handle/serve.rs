use std::time::Duration;

use bruit_core::PeerId;
use bruit_stack::rpc::{Method, MethodName, Refusal, RefusalKind, RegisterError, Ticket};
use bytes::Bytes;
use tokio::sync::mpsc;

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
}

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
    pub(crate) const fn new(
        from: PeerId,
        payload: Bytes,
        ticket: Ticket,
        time_left: Duration,
        wants_answer: bool,
    ) -> Self {
        Self { from, payload, time_left, wants_answer, ticket }
    }

    pub(crate) fn overloaded() -> Refusal {
        Refusal::new(RefusalKind::Overloaded, "too many requests wait")
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
        let ticket = request.ticket;
        let answered = self.handle.ask(move |runtime| runtime.swarm.behaviour_mut().rpc().answer(ticket, result));
        if let Ok(Err(error)) = answered.await {
            tracing::debug!(method = %self.method, %error, "an answer was not sent");
        }
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
