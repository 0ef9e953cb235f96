//! `GET /metrics` in the OpenMetrics format, made anew from the node's own counters at each request.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tokio::net::TcpListener;

use crate::{capped::Capped, handle::Handle, status::Status, storage::StorageState};

/// How many connections there may be at once. 64: a guess, many times what a monitoring system opens.
const CONNECTIONS_MAX: usize = 64;
/// How long a connection may bring nothing. A minute: as long as monitoring systems wait between two requests, or they connect anew.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Opens the port.
pub(crate) async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(addr).await
}

/// Serves metrics until the node stops.
pub(crate) async fn serve(handle: Handle, socket: TcpListener) {
    let stopped = {
        let handle = handle.clone();
        async move {
            handle.stopped().await;
        }
    };
    let router = Router::new().route("/metrics", get(metrics)).with_state(handle);
    let listener = Capped::new(socket, CONNECTIONS_MAX).without_idle(IDLE_MAX);
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "metrics ended");
    }
}

async fn metrics(State(handle): State<Handle>) -> impl IntoResponse {
    let text = match handle.status().await {
        Ok(status) => text_of(&status),
        Err(_) => "# EOF\n".to_owned(),
    };
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

fn text_of(status: &Status) -> String {
    let mut registry = Registry::with_prefix("bruit");
    let mut gauge = |name: &str, help: &str, value: u64| {
        let metric: Gauge = Gauge::default();
        metric.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, metric);
    };
    gauge("uptime_seconds", "For how long the node runs", status.uptime_seconds);
    gauge("book_new", "Endpoints heard of", status.book.new as u64);
    gauge("book_tried", "Endpoints reached", status.book.tried as u64);
    gauge("book_stored", "Endpoints on disk", status.book.stored);
    gauge("storage_failed", "Whether writing to disk fails", u64::from(status.storage.state == StorageState::Failed));
    gauge("storage_set_aside", "Files that could not be read", status.storage.set_aside.len() as u64);
    gauge("storage_waiting", "Rows that wait to be written", status.storage.waiting);
    gauge("files_complete", "Files held whole", status.files.complete);
    gauge("files_bytes", "Bytes of files held", status.files.bytes);

    let peers: Family<[(&str, &str); 1], Gauge> = Family::default();
    for (kind, count) in
        [("outbound", status.peers.outbound), ("inbound", status.peers.inbound), ("manual", status.peers.manual)]
    {
        peers.get_or_create(&[("kind", kind)]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    registry.register("peers", "Connected peers", peers);

    let mut counter = |name: &str, help: &str, value: u64| {
        let metric: Counter = Counter::default();
        metric.inc_by(value);
        registry.register(name, help, metric);
    };
    counter("dials", "Dials begun", status.dials.attempted);
    counter("gossip_published", "Items published here", status.gossip.published);
    counter("gossip_delivered", "Items given to the application", status.gossip.delivered);
    counter("gossip_duplicates", "Copies of what was known", status.gossip.duplicates);
    counter("gossip_pushes", "Copies sent unasked", status.gossip.pushes);
    counter("gossip_rejected", "Items rejected", status.gossip.rejected);
    counter("bytes_in", "Bytes that came through all sockets", status.traffic.bytes_in);
    counter("bytes_out", "Bytes that left through all sockets", status.traffic.bytes_out);
    counter("rpc_calls", "Calls started", status.rpc.calls);
    counter("rpc_failed", "Calls that ended without an answer", status.rpc.failed);
    counter("rpc_retried", "Calls that asked a second peer", status.rpc.retried);
    counter("rpc_served", "Requests of others passed to methods", status.rpc.served);
    counter("chunks_by_gossip", "Chunks that gossip brought", status.files.chunks_by_gossip);
    counter("chunks_by_rpc", "Chunks that were fetched", status.files.chunks_by_rpc);
    counter("storage_failures", "Writes that failed", status.storage.failures);

    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string cannot fail");
    text
}
