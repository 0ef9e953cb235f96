//! The identity of a node: an Ed25519 key in a file of its own.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use libp2p::identity::Keypair;

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read the identity key {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds no Ed25519 key.
    #[error("{} holds no Ed25519 identity key", .0.display())]
    NoKey(PathBuf),
    /// It is there already, and is never overwritten.
    #[error("{} exists; an identity key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write the identity key {}: {error}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

const SIZE_MAX: u64 = 4_096;

/// Reads a key file, in libp2p's own encoding of private keys; `None` if there is none.
///
/// # Errors
/// The file cannot be read or holds no Ed25519 key.
pub fn read_key(path: &Path) -> Result<Option<Keypair>, KeyError> {
    let unreadable = |error| KeyError::Unreadable { path: path.to_owned(), error };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if !metadata.is_file() || metadata.len() > SIZE_MAX {
        return Err(KeyError::NoKey(path.to_owned()));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others may read the identity key; run chmod 600");
    }
    let key = Keypair::from_protobuf_encoding(&bytes).map_err(|_| KeyError::NoKey(path.to_owned()))?;
    key.clone().try_into_ed25519().map_err(|_| KeyError::NoKey(path.to_owned()))?;
    Ok(Some(key))
}

/// Makes a new key and its file, readable by its owner only. The file is there whole or not at all.
///
/// # Errors
/// There is a file already, or it cannot be written.
pub fn create_key(path: &Path) -> Result<Keypair, KeyError> {
    let key = Keypair::generate_ed25519();
    let unwritable = |error| KeyError::Unwritable { path: path.to_owned(), error };
    let bytes = key.to_protobuf_encoding().map_err(|error| unwritable(io::Error::other(error)))?;
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let created = write_whole(&unfinished, &bytes).and_then(|()| fs::hard_link(&unfinished, path));
    // Whatever became of the link, the unfinished file is of no use any more.
    let _ = fs::remove_file(&unfinished);
    match created {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(KeyError::Exists(path.to_owned())),
        Err(error) => return Err(unwritable(error)),
    }
    if let Some(dir) = path.parent() {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(unwritable)?;
    }
    Ok(key)
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        assert!(read_key(&path).unwrap().is_none());
        let key = create_key(&path).unwrap();
        assert_eq!(read_key(&path).unwrap().unwrap().public(), key.public());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(create_key(&path), Err(KeyError::Exists(_))));
        assert_eq!(read_key(&path).unwrap().unwrap().public(), key.public());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn fault_what_is_no_key_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        for bytes in [&b""[..], b"no key", &[7; 5_000]] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(read_key(&path), Err(KeyError::NoKey(_))));
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert!(matches!(read_key(dir.path()), Err(KeyError::NoKey(_))));
        assert!(matches!(create_key(&dir.path().join("no/identity.key")), Err(KeyError::Unwritable { .. })));
    }
}
