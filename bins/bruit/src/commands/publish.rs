use std::{fs, path::Path};

use bruit::FileView;

use crate::{
    args::PublishArgs,
    commands::{block_on, client},
    exit::{Exit, Failure},
    output::Output,
    table::size,
};

pub(super) fn publish(args: &PublishArgs, output: &Output) -> Result<Exit, Failure> {
    let client = client(&args.api)?;
    if let Some(path) = &args.file {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Failure::configuration(format!("{} has no name in UTF-8", path.display())))?;
        let file = read(path)?;
        let view = block_on(async { Ok(client.publish_file(&args.topic, name, file.into()).await?) })?;
        output.result(&view, text_of);
    } else {
        let text = args.text.clone().unwrap_or_default();
        let published = block_on(async { Ok(client.publish(&args.topic, text.into()).await?) })?;
        output.result(&published, |published| format!("{} on {}", published.item, published.topic));
    }
    Ok(Exit::Held)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::configuration(format!("cannot read {}: {error}", path.display())))
}

fn text_of(view: &FileView) -> String {
    format!(
        "{} on {}\n{} ({} in {} chunks)\nSHA-256 {}",
        view.manifest,
        view.topic,
        view.name,
        size(view.size),
        view.chunks,
        view.sha256
    )
}
