use bruit::admin::{Client, message::Line};
use serde_json::json;

use crate::{
    args::SubscribeArgs,
    commands::{block_on, client, folder, seconds},
    exit::{Exit, Failure},
    output::Output,
    table::size,
};

pub(super) fn subscribe(args: &SubscribeArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    let limit = args.timeout.map(seconds).transpose()?;
    block_on(async {
        let followed = follow(args, &client, output);
        match limit {
            None => followed.await,
            Some(limit) => tokio::time::timeout(limit, followed)
                .await
                .unwrap_or_else(|_| Err(Failure::failed("not everything came in time"))),
        }
    })
}

async fn follow(args: &SubscribeArgs, client: &Client, output: &Output) -> Result<Exit, Failure> {
    let mut lines = client.subscribe(&args.topic).await?;
    let mut left = args.count;
    while left != Some(0) {
        let Some(mut line) = lines.next().await? else {
            return if left.is_some() { Err(Failure::failed("the node has stopped")) } else { Ok(Exit::Held) };
        };
        let counts = match &mut line {
            Line::Subscribed { topic } => {
                if args.detach {
                    output.result(&json!({ "subscribed": topic }), |_| format!("{topic} is wanted"));
                    return Ok(Exit::Held);
                }
                false
            }
            Line::File { manifest, name, sha256, path, .. } => {
                if let Some(dir) = &args.out {
                    let bytes = client.file(*manifest).await?;
                    *path = Some(folder::write(dir, name, &bytes, sha256)?.display().to_string());
                }
                true
            }
            Line::Item { .. } => true,
            Line::Lagged { .. } => false,
        };
        output.result(&line, text_of);
        left = left.map(|left| left.saturating_sub(u64::from(counts)));
    }
    Ok(Exit::Held)
}

fn text_of(line: &Line) -> String {
    match line {
        Line::Subscribed { topic } => format!("{topic} is wanted; what comes follows"),
        Line::Item { item, text, hex, .. } => {
            let shown = text.as_ref().or(hex.as_ref()).cloned().unwrap_or_default();
            format!("item {}: {shown}", item.get(..16).unwrap_or(item))
        }
        Line::File { manifest, name, size: bytes, path, .. } => {
            let path = path.as_ref().map(|path| format!(" -> {path}")).unwrap_or_default();
            format!("file {manifest}: {name} ({}){path}", size(*bytes))
        }
        Line::Lagged { missed } => format!("too slow: {missed} missed"),
    }
}
