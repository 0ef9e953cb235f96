use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt as _, path::PathBuf};

use bruit::{DataDir, PeerId, create_key, read_key};
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

pub(super) fn key(args: &KeyArgs, output: &Output) -> Result<Exit, Failure> {
    let dir = args.data_dir.clone().or_else(default_data_dir);
    let dir = dir.ok_or_else(|| Failure::configuration("name the data directory with --data-dir"))?;
    let path = DataDir::key_path(&dir);
    let key = match args.action {
        KeyAction::Show => read_key(&path)?
            .ok_or_else(|| Failure::data_directory(format!("there is no identity key at {}", path.display())))?,
        KeyAction::New => {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(|error| Failure::data_directory(format!("cannot make {}: {error}", dir.display())))?;
            create_key(&path)?
        }
    };
    let shown = Shown { peer_id: PeerId::from(key.public()), path };
    output.result(&shown, |shown| format!("{}\nin {}", shown.peer_id, shown.path.display()));
    Ok(Exit::Held)
}
