use bruit::{
    ManifestId,
    admin::message::{CallOutcome, CallRequest, ExplainRequest, Plan, SendRequest, Sent, hex},
    object_arguments, recent_arguments,
};

use crate::{
    args::{CallArgs, Payload, SendArgs},
    commands::{block_on, client, publish::read},
    exit::{Exit, Failure},
    output::Output,
    table::{Table, counted},
};

mod stream;

pub(super) fn call(args: &CallArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    if args.explain {
        let plan = block_on(async { Ok(client.explain(&ExplainRequest { method: args.method.clone() }).await?) })?;
        let is_served = !plan.candidates.is_empty();
        output.result(&plan, table_of);
        return Ok(if is_served { Exit::Held } else { Exit::Failed });
    }
    let request = CallRequest {
        method: args.method.clone(),
        payload_hex: payload_hex(&args.payload)?,
        peer: args.peer,
        pin: args.pin_first,
        exclude: args.exclude.clone(),
        timeout_ms: args.timeout_ms,
        deadline_ms: args.deadline_ms,
        tries: args.tries,
        idempotent: args.idempotent.then_some(true),
    };
    if args.stream {
        return stream::call(&client, &request, args.out.as_deref(), output);
    }
    let outcome = block_on(async { Ok(client.call(&request).await?) })?;
    output.result(&outcome, text_of);
    Ok(if outcome.ok { Exit::Held } else { Exit::Failed })
}

pub(super) fn send(args: &SendArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    let request = SendRequest {
        method: args.method.clone(),
        payload_hex: payload_hex(&args.payload)?,
        peers: args.peer.clone(),
        all: args.all,
    };
    let sent = block_on(async { Ok(client.send_request(&request).await?) })?;
    output.result(&sent, sent_text);
    Ok(if sent.failed.is_empty() && !sent.to.is_empty() { Exit::Held } else { Exit::Failed })
}

fn sent_text(sent: &Sent) -> String {
    let mut lines: Vec<String> = sent.to.iter().map(|peer| format!("sent to {peer}")).collect();
    lines.extend(sent.failed.iter().map(|failed| format!("not sent to {}: {}", failed.peer, failed.outcome)));
    if lines.is_empty() {
        lines.push(format!("no connected peer serves `{}`", sent.method));
    }
    lines.join("\n")
}

fn table_of(plan: &Plan) -> String {
    if plan.candidates.is_empty() {
        return format!(
            "nobody serves `{}`: none of {} says so",
            plan.method,
            counted(plan.connected as u64, "connected peer")
        );
    }
    let mut table = Table::new(&["PEER", "ASKED FIRST", "GOOD ANSWERS", "ANSWERS IN", "UNANSWERED", "QUALITY"]);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    for entry in &plan.candidates {
        table.row([
            entry.peer.to_string(),
            percent(entry.chance),
            percent(entry.success),
            format!("{:.1} ms", entry.latency_ms),
            entry.pending.to_string(),
            format!("{:.2}", entry.quality),
        ]);
    }
    let (serving, connected) = (plan.candidates.len(), counted(plan.connected as u64, "connected peer"));
    format!("{table}\n{serving} of {connected} serve `{}`; who is asked next is drawn from the others", plan.method)
}

fn payload_hex(payload: &Payload) -> Result<String, Failure> {
    if let Some(hex) = &payload.payload_hex {
        return Ok(hex.clone());
    }
    let bytes = if let Some(text) = &payload.payload {
        text.clone().into_bytes()
    } else if let Some(path) = &payload.file {
        read(path)?
    } else if let Some(object) = &payload.object {
        let (manifest, index) = object.split_once(':').map_or((object.as_str(), None), |(id, index)| (id, Some(index)));
        let manifest: ManifestId = manifest.parse().map_err(Failure::configuration)?;
        let index = index.map(str::parse).transpose();
        let index = index.map_err(|_| Failure::configuration("the index of a chunk is a whole number"))?;
        object_arguments(manifest, index).to_vec()
    } else if let Some(topic) = &payload.topic {
        recent_arguments(topic, 0).to_vec()
    } else {
        Vec::new()
    };
    Ok(hex(&bytes))
}

fn text_of(outcome: &CallOutcome) -> String {
    let Some(by) = outcome.by else {
        return outcome.error.clone().unwrap_or_default();
    };
    let shown = outcome.text.as_ref().or(outcome.hex.as_ref()).cloned().unwrap_or_default();
    format!("{shown}\nby {by}, {} bytes, {} ms, {} asked", outcome.bytes, outcome.milliseconds, outcome.tries)
}
