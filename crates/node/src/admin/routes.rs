use std::time::{Duration, Instant};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bruit_stack::{
    address_book::{BanSubject, Severity},
    rpc::Failure,
};
use bytes::Bytes;
use futures::StreamExt as _;

use crate::{
    admin::{
        message::{
            AddNode, Asked, BanRequest, Bans, Book, CallOutcome, CallRequest, Done, FetchRequest, Files, Goodbyes,
            Limit, OfPeer, OfTopic, Peers, PublishTo, PublishedItem, Recent, RecentWish, Refused, WaitRequest, shown,
        },
        stream,
    },
    config::{FILES_TOPIC, FileSettings},
    files::{ManifestId, unhex},
    handle::{CallFailure, CallOptions, Handle},
};

type Answer<T> = Result<Json<T>, Fault>;

/// Why a request is not carried out.
pub(crate) struct Fault(StatusCode, String);

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, Json(Refused { error: self.1 })).into_response()
    }
}

/// A ban without an end is none: a day is what Bitcoin Core takes.
const BAN: Duration = Duration::from_secs(24 * 3_600);
const TOPIC_TRY_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn router(handle: Handle) -> Router {
    let body_max = usize::try_from(FileSettings::FILE_BYTES_MAX).unwrap_or(usize::MAX);
    Router::new()
        .route("/v1/status", get(async |State(handle): State<Handle>| Ok::<_, Fault>(Json(handle.status().await?))))
        .route("/v1/peers", get(peers))
        .route("/v1/book", get(book))
        .route("/v1/goodbyes", get(goodbyes))
        .route("/v1/bans", get(bans))
        .route("/v1/files", get(files))
        .route("/v1/files/{manifest}", get(file))
        .route("/v1/publish", post(publish))
        .route("/v1/subscribe", post(stream::subscribe))
        .route("/v1/unsubscribe", post(unsubscribe))
        .route("/v1/fetch", post(fetch))
        .route("/v1/recent", post(recent))
        .route("/v1/call", post(call))
        .route("/v1/wait", post(wait))
        .route("/v1/addnode", post(addnode))
        .route("/v1/disconnect", post(disconnect))
        .route("/v1/ban", post(ban))
        .route("/v1/unban", post(unban))
        .route("/v1/shutdown", post(shutdown))
        .layer(DefaultBodyLimit::max(body_max))
        .with_state(handle)
}

async fn peers(State(handle): State<Handle>) -> Answer<Peers> {
    Ok(Json(Peers { peers: handle.peers().await? }))
}

async fn book(State(handle): State<Handle>, Query(Limit { limit }): Query<Limit>) -> Answer<Book> {
    let counts = handle.status().await?.book;
    Ok(Json(Book { new: counts.new, tried: counts.tried, entries: handle.book(limit).await? }))
}

async fn goodbyes(State(handle): State<Handle>) -> Answer<Goodbyes> {
    Ok(Json(Goodbyes { goodbyes: handle.goodbyes().await? }))
}

async fn bans(State(handle): State<Handle>) -> Answer<Bans> {
    Ok(Json(Bans { bans: handle.bans().await? }))
}

async fn files(State(handle): State<Handle>) -> Json<Files> {
    let files = handle.files().lock().views();
    Json(Files { files })
}

async fn file(State(handle): State<Handle>, Path(manifest): Path<ManifestId>) -> Result<Response, Fault> {
    let Some((_, chunks)) = handle.whole_file(manifest) else {
        return Err(Fault(StatusCode::NOT_FOUND, format!("the file {manifest} is not here, or not whole")));
    };
    Ok(Body::from_stream(futures::stream::iter(chunks).map(Ok::<_, std::convert::Infallible>)).into_response())
}

async fn publish(State(handle): State<Handle>, Query(to): Query<PublishTo>, body: Bytes) -> Result<Response, Fault> {
    if let Some(name) = &to.name {
        return Ok(Json(handle.publish_file(&to.topic, name, body).await?).into_response());
    }
    let bytes = body.len() as u64;
    let item = handle.publish(&to.topic, body).await?.to_string();
    Ok(Json(PublishedItem { item, topic: to.topic, bytes }).into_response())
}

async fn unsubscribe(State(handle): State<Handle>, Json(of): Json<OfTopic>) -> Answer<Done> {
    handle.unsubscribe(&of.topic).await?;
    Ok(Json(Done { done: true }))
}

/// A line of JSON, then the file.
async fn fetch(State(handle): State<Handle>, Json(request): Json<FetchRequest>) -> Result<Response, Fault> {
    let mut fetched = handle.fetch(&request.wish).await;
    fetched.report.manifest.get_or_insert(request.wish.manifest);
    let mut line = serde_json::to_vec(&fetched.report)?;
    line.push(b'\n');
    let is_whole = request.with_content && fetched.report.sha256_ok == Some(true);
    let content = if is_whole { fetched.chunks } else { Default::default() };
    let parts = std::iter::once(Bytes::from(line)).chain(content.into_values());
    let parts: Vec<_> = parts.map(Ok::<_, std::convert::Infallible>).collect();
    Ok(Body::from_stream(futures::stream::iter(parts)).into_response())
}

async fn recent(State(handle): State<Handle>, Json(wish): Json<RecentWish>) -> Answer<Recent> {
    let options = CallOptions {
        try_timeout: Some(TOPIC_TRY_TIMEOUT),
        tries_max: Some(handle.config().files.tries_max),
        ..CallOptions::idempotent()
    };
    let topic = if wish.topic.is_empty() { FILES_TOPIC } else { &wish.topic };
    let (manifests, by, tries) = handle.recent(topic, wish.since_seconds, options).await?;
    Ok(Json(Recent { manifests, by, tries }))
}

async fn call(State(handle): State<Handle>, Json(request): Json<CallRequest>) -> Answer<CallOutcome> {
    let Some(payload) = unhex(&request.payload_hex) else {
        return Err(Fault(StatusCode::BAD_REQUEST, "payload_hex has an even number of hexadecimal digits".to_owned()));
    };
    let settings = &handle.config().files;
    let try_timeout = request.timeout_ms.map_or(settings.try_timeout(), Duration::from_millis);
    let tries_max = request.tries.unwrap_or(settings.tries_max);
    let options = CallOptions {
        try_timeout: Some(try_timeout),
        tries_max: Some(tries_max),
        deadline: Some(try_timeout.saturating_mul(tries_max.saturating_add(1))),
        pin: request.pin,
        ..CallOptions::idempotent()
    };
    #[allow(clippy::disallowed_methods, reason = "how long a person waited is no rule's business")]
    let started = Instant::now();
    let method = request.method;
    let result = match request.peer {
        Some(peer) => handle.call_peer(peer, &method, payload.into(), options).await,
        None => handle.call(&method, payload.into(), options).await,
    };
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let outcome = CallOutcome { method, milliseconds, ..CallOutcome::default() };
    Ok(Json(match result {
        Ok(answered) => {
            let (text, hex) = shown(&answered.payload);
            let (by, bytes) = (Some(answered.from), answered.payload.len() as u64);
            CallOutcome { ok: true, by, tries: answered.tries, bytes, text, hex, ..outcome }
        }
        Err(failure) => failed(outcome, &failure),
    }))
}

fn failed(outcome: CallOutcome, failure: &CallFailure) -> CallOutcome {
    let asked = match failure {
        CallFailure::Failed { error, .. } => error.tried.as_slice(),
        CallFailure::Stopped(_) | CallFailure::Method(_) | CallFailure::NotStarted(_) => &[],
    };
    let asked = asked.iter().map(|tried| Asked { peer: tried.peer, outcome: name_of(&tried.failure) }).collect();
    CallOutcome {
        error: Some(failure.to_string()),
        may_have_executed: failure.may_have_run(),
        tries: failure.tries(),
        asked,
        ..outcome
    }
}

fn name_of(failure: &Failure) -> String {
    failure.to_string().split(':').next().unwrap_or_default().replace(' ', "_")
}

async fn wait(State(handle): State<Handle>, Json(request): Json<WaitRequest>) -> Answer<crate::handle::Waited> {
    let limit = Duration::try_from_secs_f64(request.limit_seconds)?;
    Ok(Json(handle.wait(&request.wanted, limit).await?))
}

async fn addnode(State(handle): State<Handle>, Json(wish): Json<AddNode>) -> Answer<Done> {
    if wish.remove {
        handle.remove_node(&wish.addr).await?;
    } else {
        handle.add_node(&wish.addr).await?;
    }
    Ok(Json(Done { done: true }))
}

async fn disconnect(State(handle): State<Handle>, Json(of): Json<OfPeer>) -> Answer<Done> {
    handle.disconnect(of.peer).await?;
    Ok(Json(Done { done: true }))
}

async fn ban(State(handle): State<Handle>, Json(request): Json<BanRequest>) -> Answer<Done> {
    let span = request.seconds.map_or(BAN, Duration::from_secs);
    let severity = if request.discourage { Severity::Discouraged } else { Severity::Banned };
    handle.ban(subject(&request.subject)?, severity, span).await?;
    Ok(Json(Done { done: true }))
}

async fn unban(State(handle): State<Handle>, Json(request): Json<BanRequest>) -> Answer<Done> {
    handle.unban(subject(&request.subject)?).await?;
    Ok(Json(Done { done: true }))
}

fn subject(text: &str) -> Result<BanSubject, Fault> {
    text.parse().map_err(|error| Fault(StatusCode::BAD_REQUEST, format!("`{text}`: {error}")))
}

async fn shutdown(State(handle): State<Handle>) -> Json<Done> {
    tokio::spawn(async move { handle.shutdown().await });
    Json(Done { done: true })
}
