use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use bruit::{DataDir, PeerId, create_key, create_shared_key, read_key};
use serde::Serialize;

use crate::{
    args::{KeyAction, KeyArgs},
    exit::{Exit, Failure},
    output::Output,
    settings::default_data_dir,
};

#[derive(Serialize)]
struct Shown {
    peer_id: PeerId,
    path: PathBuf,
}

#[derive(Serialize)]
struct SharedKey {
    fingerprint: String,
    path: PathBuf,
}

pub(super) fn key(args: &KeyArgs, output: &Output) -> Result<Exit, Failure> {
    match &args.action {
        KeyAction::Show => show(args, output, |path| {
            let key = read_key(path)?;
            let missing = || Failure::data_directory(format!("there is no identity key at {}", path.display()));
            Ok(key.ok_or_else(missing)?.public().into())
        }),
        KeyAction::New => show(args, output, |path| {
            let dir = path.parent().unwrap_or(path);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
            made.map_err(|error| Failure::data_directory(format!("cannot make {}: {error}", dir.display())))?;
            Ok(create_key(path)?.public().into())
        }),
        KeyAction::Shared { file } => {
            let fingerprint = create_shared_key(file)?.fingerprint().to_string();
            let shared = SharedKey { fingerprint, path: file.clone() };
            output
                .result(&shared, |shared| format!("fingerprint {}\nin {}", shared.fingerprint, shared.path.display()));
            Ok(Exit::Held)
        }
    }
}

fn show(
    args: &KeyArgs,
    output: &Output,
    identity: impl FnOnce(&Path) -> Result<PeerId, Failure>,
) -> Result<Exit, Failure> {
    let dir = args.data_dir.clone().or_else(default_data_dir);
    let dir = dir.ok_or_else(|| Failure::configuration("name the data directory with --data-dir"))?;
    let path = DataDir::key_path(&dir);
    let shown = Shown { peer_id: identity(&path)?, path };
    output.result(&shown, |shown| format!("{}\nin {}", shown.peer_id, shown.path.display()));
    Ok(Exit::Held)
}
