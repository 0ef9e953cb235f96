use bruit::{
    FetchReport, FetchWish, ManifestId,
    admin::{
        Client,
        message::{FetchRequest, RecentWish},
    },
};
use serde::Serialize;

use crate::{
    args::FetchArgs,
    commands::{block_on, client, folder},
    exit::{Exit, Failure},
    output::Output,
    table::size,
};

#[derive(Serialize)]
struct One {
    #[serde(flatten)]
    report: FetchReport,
    path: Option<String>,
}

#[derive(Serialize)]
struct OfTopic {
    topic: String,
    manifests: Vec<ManifestId>,
    fetched: Vec<One>,
    calls: u32,
    ok: u32,
    retried: u32,
    local: u32,
}

pub(super) fn fetch(args: &FetchArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    block_on(async {
        if let Some(manifest) = args.manifest {
            let one = fetch_one(args, &client, manifest).await?;
            let is_whole = one.is_as_wished();
            output.result(&one, text_of);
            return Ok(if is_whole { Exit::Held } else { Exit::Failed });
        }
        let topic = args.topic.clone().unwrap_or_default();
        let recent = client.recent(&RecentWish { topic: topic.clone(), since_seconds: 0 }).await?;
        let mut fetched = Vec::new();
        for manifest in &recent.manifests {
            fetched.push(fetch_one(args, &client, *manifest).await?);
        }
        let sum = |count: fn(&FetchReport) -> u32| fetched.iter().map(|one| count(&one.report)).sum::<u32>();
        let of_topic = OfTopic {
            topic,
            calls: sum(|report| report.calls) + 1,
            ok: sum(|report| report.ok) + 1,
            retried: sum(|report| report.retried) + u32::from(recent.tries > 1),
            local: sum(|report| report.local),
            manifests: recent.manifests,
            fetched,
        };
        let is_whole = of_topic.fetched.iter().all(One::is_as_wished);
        output.result(&of_topic, |of_topic| of_topic.fetched.iter().map(text_of).collect::<Vec<_>>().join("\n"));
        Ok(if is_whole { Exit::Held } else { Exit::Failed })
    })
}

async fn fetch_one(args: &FetchArgs, client: &Client, manifest: ManifestId) -> Result<One, Failure> {
    let wish = FetchWish {
        manifest,
        chunks: args.chunks,
        pin: args.tries.pin_first,
        try_timeout_ms: args.tries.timeout_ms,
        tries_max: args.tries.tries,
        use_own: args.local,
    };
    let (report, content) = client.fetch(&FetchRequest { wish, with_content: args.out.is_some() }).await?;
    let mut path = None;
    if let (Some(dir), Some(true)) = (&args.out, report.sha256_ok) {
        path = Some(folder::write(dir, &report.name, &content, &folder::hex_sha256(&content))?.display().to_string());
    }
    Ok(One { report, path })
}

impl One {
    fn is_as_wished(&self) -> bool {
        let report = &self.report;
        report.failures.is_empty() && report.fetched >= report.wanted && report.sha256_ok != Some(false)
    }
}

fn text_of(one: &One) -> String {
    let report = &one.report;
    let state = match report.sha256_ok {
        Some(true) => "whole, SHA-256 right",
        Some(false) => "whole, but its SHA-256 is WRONG",
        None => "not whole",
    };
    let path = one.path.as_ref().map(|path| format!(" -> {path}")).unwrap_or_default();
    let mut text = format!(
        "{} ({}): {} of {} chunks in {} calls, {} of them to a second peer, {} from here; {state}{path}",
        report.name,
        size(report.size),
        report.fetched,
        report.chunks,
        report.calls,
        report.retried,
        report.local
    );
    for failure in &report.failures {
        text.push_str("\n  ");
        text.push_str(failure);
    }
    text
}
