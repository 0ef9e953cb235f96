use std::{sync::Arc, time::Duration};

use bruit_core::PeerId;
use bruit_stack::rpc::{
    AnswerError, Behaviour, CancelCause, ChunkError, Method, MethodName, Refusal, RefusalKind, RegisterError, Ticket,
};
use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    handle::{Handle, StoppedError},
    runtime::Runtime,
};

/// How large a part of an answer is at most: several fit in a window, so that they are made while others travel.
const CHUNK_MAX: usize = 64 * 1024;
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
    /// Whether the answer may come in parts: [`Requests::send_chunk`].
    pub wants_stream: bool,
    room: Arc<Notify>,
    ticket: Ticket,
    cancelled: watch::Receiver<Option<CancelCause>>,
}

/// What the swarm's task keeps of a request that is being served.
#[derive(Debug)]
pub(crate) struct Served {
    /// Tells whoever serves that nobody waits any more.
    pub(crate) cancel: watch::Sender<Option<CancelCause>>,
    /// Tells whoever streams an answer that there is room again.
    pub(crate) room: Arc<Notify>,
}

/// Names the answer to which parts belong.
#[derive(Clone, Debug)]
pub(crate) struct Chunks {
    ticket: Ticket,
    room: Arc<Notify>,
    cancelled: watch::Receiver<Option<CancelCause>>,
}

/// A part of an answer that was not taken: the caller took the request back, is gone or out of time, or wants no parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes parts of this answer")]
pub struct ChunkRefused;

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
        [wants_answer, wants_stream]: [bool; 2],
    ) -> (Self, Served) {
        let (cancel, cancelled) = watch::channel(None);
        let room = Arc::new(Notify::new());
        let request =
            Self { from, payload, time_left, wants_answer, wants_stream, room: room.clone(), ticket, cancelled };
        (request, Served { cancel, room })
    }

    /// What is needed to send parts of the answer while the request itself is kept.
    pub(crate) fn chunks(&self) -> Chunks {
        Chunks { ticket: self.ticket, room: self.room.clone(), cancelled: self.cancelled.clone() }
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

    /// Sends a part of an answer, as the caller has room for it.
    pub(crate) async fn send_chunk(&self, chunks: &Chunks, mut payload: Bytes) -> Result<(), ChunkRefused> {
        let ticket = chunks.ticket;
        while !payload.is_empty() {
            let rest = payload.clone();
            let sent = self.ask(move |runtime| send_some(runtime.swarm.behaviour_mut().rpc(), ticket, &rest));
            match sent.await.map_err(|StoppedError| ChunkRefused)? {
                Ok(sent) => payload = payload.split_off(sent.min(payload.len())),
                Err(ChunkError::NoRoom) => {
                    let mut cancelled = chunks.cancelled.clone();
                    tokio::select! {
                        () = chunks.room.notified() => {}
                        _ = cancelled.wait_for(Option::is_some) => return Err(ChunkRefused),
                    }
                }
                Err(_) => return Err(ChunkRefused),
            }
        }
        Ok(())
    }

    /// Refuses a request without waiting for it.
    pub(crate) fn refuse(&self, request: Request, refusal: Refusal) {
        self.tell(move |runtime| {
            // Nobody waits for it any more.
            let _ = answer(runtime, request.ticket, Err(refusal));
        });
    }
}

/// Sends as much as there is room for; how much that was.
fn send_some(rpc: &mut Behaviour, ticket: Ticket, payload: &Bytes) -> Result<usize, ChunkError> {
    let room = match rpc.room(ticket) {
        // Refused, it is told when there is room.
        0 => payload.len().min(CHUNK_MAX),
        room => room.min(payload.len()).min(CHUNK_MAX),
    };
    rpc.send_chunk(ticket, payload.slice(..room)).map(|()| room)
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

    /// Sends a part of an answer, and waits while the caller has no room; [`answer`](Self::answer) ends it. Parts are cut as
    /// the caller's room asks for.
    ///
    /// # Errors
    /// Nobody takes it any more, or the caller wants no parts.
    pub async fn send_chunk(&self, request: &Request, payload: Bytes) -> Result<(), ChunkRefused> {
        self.handle.send_chunk(&request.chunks(), payload).await
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
