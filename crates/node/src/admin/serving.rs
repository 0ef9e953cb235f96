//! Methods that another process answers: requests go out as lines of one response, answers come back one by one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bruit_stack::rpc::{Method, Refusal, RefusalKind};
use futures::{StreamExt as _, future::BoxFuture, stream, stream::FuturesUnordered};
use tokio::sync::Notify;

use crate::{
    admin::{
        calls::payload,
        message::{AnswerRequest, Done, ServeLine, ServeRequest},
        routes::{Answer, Fault, json_line},
    },
    files::hex,
    handle::{Handle, Request, Requests},
};

/// How many requests one process may be given at a time; what a node serves in all by default.
const AT_ONCE_MAX: usize = 1_024;

/// The methods that other processes answer at the moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<SessionsInner>);

#[derive(Debug, Default)]
struct SessionsInner {
    last: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<Session>>>,
}

/// The requests that were given out and are not answered yet.
#[derive(Debug, Default)]
struct Session {
    open: Mutex<BTreeMap<u64, Request>>,
    freed: Notify,
}

/// Serves a method as long as the response is read.
struct Serving {
    handle: Handle,
    requests: Requests,
    at_once: usize,
    sessions: Sessions,
    id: u64,
    session: Arc<Session>,
    last: u64,
    /// Numbers of requests whose callers wait no longer; `None` for those that were answered.
    cancelled: FuturesUnordered<BoxFuture<'static, Option<u64>>>,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Session>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Request>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, number: u64) -> Option<Request> {
        let request = self.lock().remove(&number);
        self.freed.notify_one();
        request
    }
}

pub(super) async fn serve(
    State(handle): State<Handle>,
    Extension(sessions): Extension<Sessions>,
    Json(wish): Json<ServeRequest>,
) -> Result<Response, Fault> {
    if !(1..=AT_ONCE_MAX).contains(&wish.at_once) {
        return Err(Fault(StatusCode::BAD_REQUEST, format!("at_once is 1 to {AT_ONCE_MAX}, not {}", wish.at_once)));
    }
    let base = Method::new(&wish.method)?;
    let method = Method {
        request_bytes_max: wish.request_bytes_max.unwrap_or(base.request_bytes_max),
        response_bytes_max: wish.answer_bytes_max.unwrap_or(base.response_bytes_max),
        timeout: wish.timeout_ms.map_or(base.timeout, Duration::from_millis),
        is_idempotent: wish.idempotent,
        ..base
    };
    let requests = handle.serve(method).await?;
    let id = sessions.0.last.fetch_add(1, Ordering::Relaxed);
    let session = Arc::<Session>::default();
    sessions.lock().insert(id, session.clone());
    let first = ServeLine::Serving { method: wish.method, session: id };
    let serving = Serving {
        handle: handle.clone(),
        requests,
        at_once: wish.at_once,
        sessions,
        id,
        session,
        last: 0,
        cancelled: FuturesUnordered::new(),
    };
    let later = stream::unfold(serving, async |mut serving| Some((serving.next().await?, serving)));
    let stopped = async move {
        handle.stopped().await;
    };
    let lines = stream::iter([first]).chain(later).take_until(Box::pin(stopped)).map(|line| json_line(&line));
    Ok(Body::from_stream(lines).into_response())
}

pub(super) async fn answer(
    State(handle): State<Handle>,
    Extension(sessions): Extension<Sessions>,
    Json(answer): Json<AnswerRequest>,
) -> Answer<Done> {
    let result = match answer.declined {
        Some(declined) => Err(declined.into()),
        None => Ok(payload(&answer.payload_hex)?),
    };
    let session = sessions.lock().get(&answer.session).cloned();
    if answer.more {
        let part = result.map_err(|_| Fault(StatusCode::BAD_REQUEST, "a refusal is the end".to_owned()))?;
        let chunks = session.and_then(|session| session.lock().get(&answer.number).map(Request::chunks));
        let done = match chunks {
            Some(chunks) => handle.send_chunk(&chunks, part).await.is_ok(),
            None => false,
        };
        return Ok(Json(Done { done }));
    }
    let request = session.and_then(|session| session.take(answer.number));
    let done = match request {
        Some(request) => handle.answer(request, result).await,
        None => false,
    };
    Ok(Json(Done { done }))
}

impl Serving {
    async fn next(&mut self) -> Option<ServeLine> {
        loop {
            let has_room = self.session.lock().len() < self.at_once;
            tokio::select! {
                request = self.requests.next(), if has_room => {
                    let request = request?;
                    if let Some(line) = self.give_out(request) {
                        return Some(line);
                    }
                }
                Some(cancelled) = self.cancelled.next() => {
                    if let Some(number) = cancelled
                        && let Some(request) = self.session.take(number)
                    {
                        self.handle.refuse(request, Refusal::new(RefusalKind::Failed, "cancelled"));
                        return Some(ServeLine::Cancelled { number });
                    }
                }
                () = self.session.freed.notified(), if !has_room => {}
            }
        }
    }

    /// `None` for a request that nobody waits for any more.
    fn give_out(&mut self, request: Request) -> Option<ServeLine> {
        if request.is_cancelled() {
            self.handle.refuse(request, Refusal::new(RefusalKind::Failed, "cancelled"));
            return None;
        }
        self.last += 1;
        let number = self.last;
        let cancellation = request.cancellation();
        self.cancelled.push(Box::pin(async move { cancellation.cancelled().await.map(|_| number) }));
        let line = ServeLine::Request {
            number,
            from: request.from,
            payload_hex: hex(&request.payload),
            time_left_ms: u64::try_from(request.time_left.as_millis()).unwrap_or(u64::MAX),
            wants_answer: request.wants_answer,
            wants_stream: request.wants_stream,
        };
        self.session.lock().insert(number, request);
        Some(line)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.id);
        let open = std::mem::take(&mut *self.session.lock());
        for request in open.into_values() {
            // It may have been executed in part.
            self.handle.refuse(request, Refusal::new(RefusalKind::Failed, "the method is served no longer"));
        }
    }
}
