use std::time::Duration;

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bruit_core::PeerId;
use bruit_stack::{
    address_book::{BanSubject, Severity},
    gossip::ItemId,
};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Serialize;

use crate::{
    admin::{
        calls,
        message::{
            AddNode, BanRequest, Bans, Book, Done, FetchRequest, Files, Goodbyes, Limit, Limits, OfPeer, OfTopic,
            Peers, PublishTo, PublishedItem, Recent, RecentWish, Refused, WaitRequest,
        },
        serving::{self, Sessions},
        stream,
    },
    config::{FILES_TOPIC, FileSettings},
    files::ManifestId,
    handle::{CallOptions, Handle},
    item_why::ItemWhy,
    status::{BookWhy, ImportReport},
};

pub(super) type Answer<T> = Result<Json<T>, Fault>;

/// Why a request is not carried out.
pub(crate) struct Fault(pub(super) StatusCode, pub(super) String);

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
        .route("/v1/book/why/{peer}", get(book_why))
        .route("/v1/book/export", get(book_export))
        .route("/v1/book/import", post(book_import))
        .route("/v1/goodbyes", get(goodbyes))
        .route("/v1/bans", get(bans))
        .route("/v1/limits", get(limits))
        .route("/v1/items/{item}/why", get(item_why))
        .route("/v1/files", get(files))
        .route("/v1/files/{manifest}", get(file))
        .route("/v1/publish", post(publish))
        .route("/v1/subscribe", post(stream::subscribe))
        .route("/v1/unsubscribe", post(unsubscribe))
        .route("/v1/fetch", post(fetch))
        .route("/v1/recent", post(recent))
        .route("/v1/call", post(calls::call))
        .route("/v1/call-stream", post(calls::call_stream))
        .route("/v1/explain", post(calls::explain))
        .route("/v1/send", post(calls::send))
        .route("/v1/serve", post(serving::serve))
        .route("/v1/answer", post(serving::answer))
        .route("/v1/wait", post(wait))
        .route("/v1/addnode", post(addnode))
        .route("/v1/disconnect", post(disconnect))
        .route("/v1/ban", post(ban))
        .route("/v1/unban", post(unban))
        .route("/v1/shutdown", post(shutdown))
        .layer(DefaultBodyLimit::max(body_max))
        .layer(Extension(Sessions::default()))
        .with_state(handle)
}

async fn peers(State(handle): State<Handle>) -> Answer<Peers> {
    Ok(Json(Peers { peers: handle.peers().await? }))
}

async fn book(State(handle): State<Handle>, Query(Limit { limit }): Query<Limit>) -> Answer<Book> {
    let counts = handle.status().await?.book;
    let shape = handle.book_shape().await?;
    Ok(Json(Book { new: counts.new, tried: counts.tried, shape, entries: handle.book(limit).await? }))
}

async fn book_why(State(handle): State<Handle>, Path(peer): Path<String>) -> Answer<BookWhy> {
    let peer: PeerId = peer.parse().map_err(|_| Fault(StatusCode::BAD_REQUEST, format!("`{peer}` is no peer id")))?;
    let why = handle.book_why(peer).await?;
    why.map(Json).ok_or_else(|| Fault(StatusCode::NOT_FOUND, format!("nothing is known of {peer}")))
}

async fn item_why(State(handle): State<Handle>, Path(item): Path<String>) -> Answer<ItemWhy> {
    let id: ItemId = item.parse().map_err(|error| Fault(StatusCode::BAD_REQUEST, format!("`{item}`: {error}")))?;
    let why = handle.explain_item(id).await?;
    why.map(Json).ok_or_else(|| Fault(StatusCode::NOT_FOUND, format!("nothing is known of the item {id}")))
}

async fn book_export(State(handle): State<Handle>) -> Result<Response, Fault> {
    Ok(handle.book_export().await?.into_response())
}

async fn book_import(State(handle): State<Handle>, lines: String) -> Answer<ImportReport> {
    Ok(Json(handle.book_import(lines).await?))
}

async fn goodbyes(State(handle): State<Handle>) -> Answer<Goodbyes> {
    Ok(Json(Goodbyes { goodbyes: handle.goodbyes().await? }))
}

async fn bans(State(handle): State<Handle>) -> Answer<Bans> {
    Ok(Json(Bans { bans: handle.bans().await? }))
}

async fn limits(State(handle): State<Handle>) -> Answer<Limits> {
    Ok(Json(Limits { limits: handle.limits().await? }))
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

/// A line of JSON.
pub(super) fn json_line(value: &impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line.into())
}

/// A line of JSON, then the file.
async fn fetch(State(handle): State<Handle>, Json(request): Json<FetchRequest>) -> Result<Response, Fault> {
    let mut fetched = handle.fetch(&request.wish).await;
    fetched.report.manifest.get_or_insert(request.wish.manifest);
    let line = json_line(&fetched.report)?;
    let is_whole = request.with_content && fetched.report.sha256_ok == Some(true);
    let content = if is_whole { fetched.chunks } else { Default::default() };
    let parts = std::iter::once(line).chain(content.into_values());
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
