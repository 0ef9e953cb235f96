use std::{
    io::{self, Write},
    path::Path,
};

use bruit::admin::{
    Client,
    message::{CallOutcome, CallRequest, PartLine, unhex},
};
use tempfile::NamedTempFile;

use crate::{
    commands::block_on,
    exit::{Exit, Failure},
    output::Output,
};

/// Makes a call whose answer comes in parts.
pub(super) fn call(
    client: &Client,
    request: &CallRequest,
    out: Option<&Path>,
    output: &Output,
) -> Result<Exit, Failure> {
    let Some(path) = out else {
        if output.is_json() {
            return Err(Failure::configuration("with --json, --stream needs --out: standard output is for the object"));
        }
        let outcome = block_on(parts(client, request, &mut io::stdout().lock()))?;
        output.note(&text_of(&outcome));
        return Ok(exit_of(&outcome));
    };
    let failed = |error| Failure::failed(format!("{}: {error}", path.display()));
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(dir).map_err(failed)?;
    let outcome = block_on(parts(client, request, &mut file))?;
    if outcome.ok {
        file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    }
    output.result(&outcome, text_of);
    Ok(exit_of(&outcome))
}

async fn parts(client: &Client, request: &CallRequest, to: &mut impl Write) -> Result<CallOutcome, Failure> {
    let written = |error: io::Error| Failure::failed(format!("the answer cannot be written: {error}"));
    let garbled = || Failure::failed("the node tells what is no hexadecimal text");
    let mut lines = client.call_stream(request).await?;
    loop {
        match lines.next().await? {
            Some(PartLine::Part { hex }) => to.write_all(&unhex(&hex).ok_or_else(garbled)?).map_err(written)?,
            Some(PartLine::End(outcome)) => {
                to.flush().map_err(written)?;
                return Ok(*outcome);
            }
            None => return Err(Failure::failed("the node has stopped")),
        }
    }
}

fn text_of(outcome: &CallOutcome) -> String {
    match outcome.by {
        Some(by) => format!("by {by}, {} bytes, {} ms", outcome.bytes, outcome.milliseconds),
        None => outcome.error.clone().unwrap_or_default(),
    }
}

const fn exit_of(outcome: &CallOutcome) -> Exit {
    if outcome.ok { Exit::Held } else { Exit::Failed }
}
