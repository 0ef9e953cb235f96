use bruit::admin::{Client, ClientError, message::Line};
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
                match &args.out {
                    None => true,
                    Some(dir) => {
                        let bytes = match client.file(*manifest).await {
                            Ok(bytes) => Some(bytes),
                            // It has made room for others meanwhile: the line says so by having no path.
                            Err(ClientError::Refused(_)) => None,
                            Err(error) => return Err(error.into()),
                        };
                        let write = |bytes: &[u8]| folder::write(dir, name, bytes, sha256);
                        *path = bytes.as_deref().map(write).transpose()?.map(|path| path.display().to_string());
                        path.is_some()
                    }
                }
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

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixListener,
    };

    use super::*;
    use crate::args::Api;

    #[test]
    fn fault_a_file_that_had_to_make_room_does_not_end_a_subscription() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let manifest = "ab".repeat(32);
        let file = json!({
            "event": "file", "topic": "t", "manifest": manifest, "name": "gone", "size": 1, "sha256": "", "path": null,
        });
        let answers = [
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{file}\n"),
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ];
        let node = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4_096]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let out = folder.path().join("out");
        let args = SubscribeArgs {
            api: Api { api: Some(socket), data_dir: None },
            topic: "t".to_owned(),
            out: Some(out.clone()),
            count: None,
            timeout: Some(60.0),
            detach: false,
        };
        assert!(matches!(subscribe(&args, &Output::new(true)), Ok(Exit::Held)));
        assert!(!out.exists());
        node.join().unwrap();
    }
}
