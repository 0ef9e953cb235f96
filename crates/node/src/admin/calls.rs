use std::time::{Duration, Instant};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use bruit_core::PeerId;
use bruit_stack::rpc::{Candidate, EndCause, Failure};
use bytes::Bytes;
use futures::stream;

use crate::{
    admin::{
        message::{
            Asked, CallOutcome, CallRequest, ExplainRequest, PartLine, Plan, PlanEntry, SendRequest, Sent, shown,
        },
        routes::{Answer, Fault, json_line},
    },
    files::{hex, unhex},
    handle::{AnswerStream, CallFailure, CallOptions, Handle},
};

pub(super) async fn call(State(handle): State<Handle>, Json(request): Json<CallRequest>) -> Answer<CallOutcome> {
    let payload = payload(&request.payload_hex)?;
    let options = options(&handle, &request);
    #[allow(clippy::disallowed_methods, reason = "how long a person waited is no rule's business")]
    let started = Instant::now();
    let method = request.method;
    let result = match request.peer {
        Some(peer) => handle.call_peer(peer, &method, payload, options).await,
        None => handle.call(&method, payload, options).await,
    };
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let outcome = CallOutcome { method, milliseconds, ..CallOutcome::default() };
    Ok(Json(match result {
        Ok(answered) => {
            let (text, hex) = shown(&answered.payload);
            let (by, bytes) = (Some(answered.from), answered.payload.len() as u64);
            CallOutcome { ok: true, by, tries: answered.tries, bytes, text, hex, ..outcome }
        }
        Err(failure) => failed(&handle, outcome, &failure).await?,
    }))
}

/// As [`call`], with the answer's parts as lines of JSON, and how it ended as the last one.
pub(super) async fn call_stream(
    State(handle): State<Handle>,
    Json(request): Json<CallRequest>,
) -> Result<Response, Fault> {
    let payload = payload(&request.payload_hex)?;
    let options = options(&handle, &request);
    #[allow(clippy::disallowed_methods, reason = "how long a person waited is no rule's business")]
    let started = Instant::now();
    let method = request.method;
    let outcome = CallOutcome { method, ..CallOutcome::default() };
    let answer = match request.peer {
        Some(peer) => handle.call_peer_stream(peer, &outcome.method, payload, options).await,
        None => handle.call_stream(&outcome.method, payload, options).await,
    };
    let answer = match answer {
        Ok(answer) => Parts { answer, outcome, started, handle },
        Err(failure) => {
            let end = PartLine::End(Box::new(failed(&handle, outcome, &failure).await?));
            return Ok(Body::from_stream(stream::iter([json_line(&end)])).into_response());
        }
    };
    let lines = stream::unfold(Some(answer), async |parts| {
        let mut parts = parts?;
        let line = parts.next().await;
        let rest = matches!(line, PartLine::Part { .. }).then_some(parts);
        Some((json_line(&line), rest))
    });
    Ok(Body::from_stream(lines).into_response())
}

/// An answer that is being read.
struct Parts {
    answer: AnswerStream,
    outcome: CallOutcome,
    started: Instant,
    handle: Handle,
}

impl Parts {
    async fn next(&mut self) -> PartLine {
        let failure = match self.answer.next().await {
            Ok(Some(part)) => {
                self.outcome.bytes = self.outcome.bytes.saturating_add(part.len() as u64);
                return PartLine::Part { hex: hex(&part) };
            }
            Ok(None) => None,
            Err(failure) => Some(failure),
        };
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(failure) = failure {
            let told = failed(&self.handle, outcome.clone(), &failure).await;
            let told = told.unwrap_or(CallOutcome { error: Some(failure.to_string()), ..outcome });
            return PartLine::End(Box::new(told));
        }
        if let Some(answered) = self.answer.answered() {
            outcome = CallOutcome { ok: true, by: Some(answered.from), tries: answered.tries, ..outcome };
        }
        PartLine::End(Box::new(outcome))
    }
}

/// A call that says how long a try takes, or how many, has time for all of them.
fn options(handle: &Handle, request: &CallRequest) -> CallOptions {
    let settings = &handle.config().rpc;
    let try_timeout = request.timeout_ms.map(Duration::from_millis);
    let all_tries = || {
        let tries = request.tries.unwrap_or(settings.tries_max).saturating_add(1);
        try_timeout.unwrap_or(settings.try_timeout).saturating_mul(tries)
    };
    let deadline = match request.deadline_ms {
        Some(deadline) => Some(Duration::from_millis(deadline)),
        None => (try_timeout.is_some() || request.tries.is_some()).then(all_tries),
    };
    CallOptions {
        try_timeout,
        deadline,
        tries_max: request.tries,
        pin: request.pin,
        exclude: request.exclude.clone(),
        is_idempotent: request.idempotent,
        ..CallOptions::default()
    }
}

async fn failed(handle: &Handle, outcome: CallOutcome, failure: &CallFailure) -> Result<CallOutcome, Fault> {
    let (asked, cause) = match failure {
        CallFailure::Failed { error, .. } => (error.tried.as_slice(), Some(error.cause)),
        CallFailure::Stopped(_) | CallFailure::Method(_) | CallFailure::TooLarge(_) | CallFailure::NotStarted(_) => {
            ([].as_slice(), None)
        }
    };
    let asked = asked.iter().map(|tried| Asked { peer: tried.peer, outcome: name_of(&tried.failure) }).collect();
    let error = if cause == Some(EndCause::NoPeer) && handle.peers_serving(&outcome.method).await?.is_empty() {
        let peers = handle.status().await?.peers.total();
        format!("nobody serves `{}`: none of {peers} connected peers says so", outcome.method)
    } else {
        failure.to_string()
    };
    Ok(CallOutcome {
        error: Some(error),
        may_have_executed: failure.may_have_run(),
        tries: failure.tries(),
        asked,
        ..outcome
    })
}

fn name_of(failure: &Failure) -> String {
    failure.to_string().split(':').next().unwrap_or_default().replace(' ', "_")
}

pub(super) async fn explain(State(handle): State<Handle>, Json(request): Json<ExplainRequest>) -> Answer<Plan> {
    let mut candidates: Vec<PlanEntry> = handle.explain(&request.method).await?.into_iter().map(entry_of).collect();
    candidates.sort_by(|a, b| b.chance.total_cmp(&a.chance).then(a.peer.cmp(&b.peer)));
    let connected = handle.status().await?.peers.total();
    Ok(Json(Plan { method: request.method, connected, candidates }))
}

fn entry_of(candidate: Candidate<PeerId>) -> PlanEntry {
    let Candidate { peer, chance, success, latency, pending, quality, .. } = candidate;
    PlanEntry { peer, chance, success, latency_ms: latency.as_secs_f64() * 1e3, pending, quality }
}

pub(super) async fn send(State(handle): State<Handle>, Json(request): Json<SendRequest>) -> Answer<Sent> {
    let payload = payload(&request.payload_hex)?;
    let peers = if request.all { handle.peers_serving(&request.method).await? } else { request.peers };
    let mut sent = Sent { method: request.method, ..Sent::default() };
    for peer in peers {
        match handle.send(peer, &sent.method, payload.clone()).await {
            Ok(()) => sent.to.push(peer),
            Err(failure) => sent.failed.push(Asked { peer, outcome: failure.to_string() }),
        }
    }
    Ok(Json(sent))
}

pub(super) fn payload(hex: &str) -> Result<Bytes, Fault> {
    let fault = || Fault(StatusCode::BAD_REQUEST, "payload_hex has an even number of hexadecimal digits".to_owned());
    unhex(hex).map(Bytes::from).ok_or_else(fault)
}
