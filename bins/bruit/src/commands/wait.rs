use std::time::Duration;

use bruit::{
    WaitFor, Waited,
    admin::{Client, message::WaitRequest},
};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::{
    args::WaitArgs,
    commands::{block_on, client, is_unreachable, seconds},
    exit::{Exit, Failure},
    output::Output,
};

/// How often it is looked for a node that is not up yet.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

pub(super) fn wait(args: &WaitArgs, output: &Output) -> Result<Exit, Failure> {
    let wanted = WaitFor {
        outbound: args.outbound,
        peers: args.peers,
        files: args.file.clone(),
        files_of: args.files.iter().map(|text| files_of(text)).collect::<Result<_, _>>()?,
        book_stored: args.book_stored,
    };
    let client = client(&args.api)?;
    let limit = seconds(args.timeout)?;
    // It shows only where stderr is a terminal.
    let spinner = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner()).with_message("waiting");
    spinner.enable_steady_tick(Duration::from_millis(200));
    let waited = block_on(until(&client, wanted, limit));
    spinner.finish_and_clear();
    let waited = waited?;
    output.result(&waited, |waited| match waited.held {
        true => format!("so after {:.1} s", waited.seconds),
        false => format!("not so after {:.1} s: {}", waited.seconds, waited.missing.join("; ")),
    });
    Ok(if waited.held { Exit::Held } else { Exit::Failed })
}

async fn until(client: &Client, wanted: WaitFor, limit: Duration) -> Result<Waited, Failure> {
    let started = Instant::now();
    loop {
        let limit_seconds = limit.saturating_sub(started.elapsed()).as_secs_f64();
        match client.wait(&WaitRequest { wanted: wanted.clone(), limit_seconds }).await {
            Ok(waited) => return Ok(Waited { seconds: started.elapsed().as_secs_f64(), ..waited }),
            Err(error) if is_unreachable(&error) && started.elapsed() < limit => {
                tokio::time::sleep(LOOK_INTERVAL).await
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn files_of(text: &str) -> Result<(String, usize), Failure> {
    let parsed = text.rsplit_once('=').and_then(|(topic, count)| Some((topic.to_owned(), count.parse().ok()?)));
    parsed.ok_or_else(|| Failure::configuration(format!("--files: TOPIC=COUNT is wanted, not `{text}`")))
}
