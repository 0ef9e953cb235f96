use std::{collections::BTreeMap, time::Duration};

use bruit::{
    PeerId,
    admin::{
        Client,
        message::{AnswerRequest, Declined, ServeLine, ServeRequest, Why, hex, unhex},
    },
};
use serde::Serialize;
use serde_json::json;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use crate::{
    args::ServeArgs,
    commands::{block_on, client, script::Script},
    exit::{Exit, Failure},
    output::Output,
};

/// What a frame carries.
const ANSWER_MAX: usize = 192 * 1024;
/// How much longer than the command the node waits, so that the caller is told that it took too long.
const GRACE_MS: u64 = 1_000;

/// How a request ended.
#[derive(Serialize)]
struct Served {
    event: &'static str,
    from: PeerId,
    /// `answered`, or how it was refused; `cancelled` where nobody waited any more.
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    bytes: usize,
    milliseconds: u64,
}

/// A request as it was given out.
struct Given {
    session: u64,
    number: u64,
    from: PeerId,
    payload_hex: String,
    limit: Duration,
    /// Whether the limit is the caller's time, so that nobody waits after it.
    is_callers_limit: bool,
}

pub(super) fn serve(args: &ServeArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    if args.parallel == 0 {
        return Err(Failure::configuration("--parallel is at least 1"));
    }
    block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            exit = serve_requests(args, &client, output) => exit,
            _ = interrupt.recv() => Ok(Exit::Held),
            _ = terminate.recv() => Ok(Exit::Held),
        }
    })
}

async fn serve_requests(args: &ServeArgs, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let request = ServeRequest {
        method: args.method.clone(),
        request_bytes_max: args.request_max,
        // What is passed on in parts has no size to be checked before.
        answer_bytes_max: args.answer_max.map(|max| max.min(ANSWER_MAX)),
        timeout_ms: Some(args.timeout_ms.saturating_add(GRACE_MS)),
        idempotent: args.idempotent,
        at_once: args.parallel,
    };
    let script = Script {
        command: args.exec.clone(),
        method: args.method.clone(),
        answer_max: args.answer_max.unwrap_or(ANSWER_MAX),
    };
    let streaming = args.stream.then(|| Script { answer_max: args.answer_max.unwrap_or(usize::MAX), ..script.clone() });
    let mut lines = client.serve(&request).await?;
    let mut session = 0;
    let mut running: JoinSet<(u64, Result<Served, Failure>)> = JoinSet::new();
    let mut handles: BTreeMap<u64, (PeerId, AbortHandle)> = BTreeMap::new();
    let mut left = args.count;
    while left != Some(0) {
        tokio::select! {
            line = lines.next() => match line? {
                None => return Err(Failure::failed("the node has stopped")),
                Some(ServeLine::Serving { method, session: id }) => {
                    session = id;
                    let serving = json!({ "event": "serving", "method": method });
                    output.result(&serving, |_| format!("{method} is served; Ctrl-C ends it"));
                }
                Some(ServeLine::Request { number, from, payload_hex, time_left_ms, wants_stream, .. }) => {
                    let limit = Duration::from_millis(time_left_ms.min(args.timeout_ms));
                    let is_callers_limit = time_left_ms <= args.timeout_ms;
                    let given = Given { session, number, from, payload_hex, limit, is_callers_limit };
                    let handle = match streaming.clone().filter(|_| wants_stream) {
                        Some(script) => running.spawn(stream(script, client.clone(), given)),
                        None => running.spawn(answer(script.clone(), client.clone(), given)),
                    };
                    handles.insert(number, (from, handle));
                }
                Some(ServeLine::Cancelled { number }) => {
                    if let Some((from, handle)) = handles.remove(&number) {
                        handle.abort();
                        output.result(&Served::cancelled(from), Served::text);
                        left = left.map(|left| left.saturating_sub(1));
                    }
                }
            },
            Some(ended) = running.join_next() => {
                // Those that were taken back are told above.
                if let Ok((number, served)) = ended && handles.remove(&number).is_some() {
                    output.result(&served?, Served::text);
                    left = left.map(|left| left.saturating_sub(1));
                }
            }
        }
    }
    Ok(Exit::Held)
}

/// Passes on what the command writes. Its end, or why there is none, follows as in [`answer`].
async fn stream(script: Script, client: Client, given: Given) -> (u64, Result<Served, Failure>) {
    let started = Instant::now();
    let (session, number) = (given.session, given.number);
    let pass_on = |part: &[u8]| {
        let part = AnswerRequest { session, number, payload_hex: hex(part), declined: None, more: true };
        let client = client.clone();
        async move { client.answer(&part).await.is_ok_and(|taken| taken.done) }
    };
    let result = script.stream(given.from, unhex(&given.payload_hex).unwrap_or_default(), given.limit, pass_on).await;
    // Its end is empty: all of it came before.
    let (bytes, result) = result.map_or_else(|declined| (0, Err(declined)), |bytes| (bytes, Ok(Vec::new())));
    let (number, served) = end(&client, given, started, result).await;
    (number, served.map(|served| Served { bytes: bytes.max(served.bytes), ..served }))
}

async fn answer(script: Script, client: Client, given: Given) -> (u64, Result<Served, Failure>) {
    let started = Instant::now();
    let result = script.run(given.from, unhex(&given.payload_hex).unwrap_or_default(), given.limit).await;
    end(&client, given, started, result).await
}

async fn end(
    client: &Client,
    given: Given,
    started: Instant,
    result: Result<Vec<u8>, Declined>,
) -> (u64, Result<Served, Failure>) {
    let Given { session, number, from, limit, is_callers_limit, .. } = given;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut served = Served::cancelled(from);
    served.milliseconds = milliseconds;
    let request = match result {
        Ok(answer) => {
            (served.outcome, served.bytes) = ("answered".to_owned(), answer.len());
            AnswerRequest { session, number, payload_hex: hex(&answer), declined: None, more: false }
        }
        Err(declined) => {
            let nobody_waits = is_callers_limit && started.elapsed() >= limit;
            if !nobody_waits {
                served.outcome = name_of(declined.why).to_owned();
                served.reason = Some(declined.reason.clone()).filter(|reason| !reason.is_empty());
            }
            AnswerRequest { session, number, payload_hex: String::new(), declined: Some(declined), more: false }
        }
    };
    let served = match client.answer(&request).await {
        Ok(done) if done.done => Ok(served),
        Ok(_) => Ok(Served { milliseconds, ..Served::cancelled(from) }),
        Err(error) => Err(error.into()),
    };
    (number, served)
}

const fn name_of(why: Why) -> &'static str {
    match why {
        Why::CannotSatisfy => "cannot_satisfy",
        Why::BadRequest => "bad_request",
        Why::Overloaded => "overloaded",
        Why::Failed => "failed",
    }
}

impl Served {
    fn cancelled(from: PeerId) -> Self {
        Self { event: "request", from, outcome: "cancelled".to_owned(), reason: None, bytes: 0, milliseconds: 0 }
    }

    fn text(&self) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{} {}{reason} ({} bytes, {} ms)", self.from, self.outcome, self.bytes, self.milliseconds)
    }
}
