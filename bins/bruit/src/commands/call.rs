use bruit::{
    ManifestId,
    admin::message::{CallOutcome, CallRequest},
    object_arguments, recent_arguments,
};

use crate::{
    args::{CallArgs, Payload},
    commands::{block_on, client, publish::read},
    exit::{Exit, Failure},
    output::Output,
};

pub(super) fn call(args: &CallArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    let request = CallRequest {
        method: args.method.clone(),
        payload_hex: payload_hex(&args.payload)?,
        peer: args.peer,
        pin: args.tries.pin_first,
        timeout_ms: args.tries.timeout_ms,
        tries: args.tries.tries,
    };
    let outcome = block_on(async { Ok(client.call(&request).await?) })?;
    output.result(&outcome, text_of);
    Ok(if outcome.ok { Exit::Held } else { Exit::Failed })
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
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn text_of(outcome: &CallOutcome) -> String {
    let Some(by) = outcome.by else {
        return outcome.error.clone().unwrap_or_default();
    };
    let shown = outcome.text.as_ref().or(outcome.hex.as_ref()).cloned().unwrap_or_default();
    format!("{shown}\nby {by}, {} bytes, {} ms, {} asked", outcome.bytes, outcome.milliseconds, outcome.tries)
}
