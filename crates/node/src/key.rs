//! Keys in files of their own: the identity of a node, an Ed25519 key, and the key that all nodes of a private network share.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use libp2p::{identity::Keypair, pnet::PreSharedKey};

use crate::randomness;

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read.
    #[error("cannot read the key {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds no Ed25519 key.
    #[error("{} holds no Ed25519 identity key", .0.display())]
    NoKey(PathBuf),
    /// It holds no key of a private network.
    #[error(
        "{} holds no key of a private network ({reason}): `/key/swarm/psk/1.0.0/`, `/base16/` and 64 hexadecimal digits, a line \
         each, are wanted", path.display()
    )]
    NoSharedKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It is there already, and is never overwritten.
    #[error("{} exists; a key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write the key {}: {error}", path.display())]
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
    let bytes = match read_secret(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(KeyError::NoKey(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let key = Keypair::from_protobuf_encoding(&bytes).map_err(|_| KeyError::NoKey(path.to_owned()))?;
    key.clone().try_into_ed25519().map_err(|_| KeyError::NoKey(path.to_owned()))?;
    Ok(Some(key))
}

/// Reads the key that all nodes of a private network share, in the form of go-libp2p and IPFS (`swarm.key`).
///
/// # Errors
/// The file cannot be read or holds no such key.
pub fn read_shared_key(path: &Path) -> Result<PreSharedKey, KeyError> {
    let refused = |reason: String| KeyError::NoSharedKey { path: path.to_owned(), reason };
    let bytes = read_secret(path).map_err(|error| KeyError::Unreadable { path: path.to_owned(), error })?;
    let bytes = bytes.ok_or_else(|| refused("it is no file, or too large".to_owned()))?;
    // Digits are cut by bytes.
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| refused("it is no text".to_owned()))?;
    text.parse().map_err(|error: libp2p::pnet::KeyParseError| refused(error.to_string()))
}

/// Makes a key for a private network and its file, readable by its owner only. The file is there whole or not at all.
///
/// # Errors
/// There is a file already, it cannot be written, or the system gives no randomness.
pub fn create_shared_key(path: &Path) -> Result<PreSharedKey, KeyError> {
    let bytes = randomness::bytes().map_err(|error| KeyError::Unwritable { path: path.to_owned(), error })?;
    let key = PreSharedKey::new(bytes);
    write_secret(path, key.to_key_file().as_bytes())?;
    Ok(key)
}

/// The content of a small file; `None` if it is something else. Warns if others may read it.
fn read_secret(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > SIZE_MAX {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    if metadata.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others may read this key; run chmod 600");
    }
    Ok(Some(bytes))
}

/// Makes a new key and its file, readable by its owner only. The file is there whole or not at all.
///
/// # Errors
/// There is a file already, or it cannot be written.
pub fn create_key(path: &Path) -> Result<Keypair, KeyError> {
    let key = Keypair::generate_ed25519();
    let unwritable = |error| KeyError::Unwritable { path: path.to_owned(), error };
    let bytes = key.to_protobuf_encoding().map_err(|error| unwritable(io::Error::other(error)))?;
    write_secret(path, &bytes)?;
    Ok(key)
}

fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let unwritable = |error| KeyError::Unwritable { path: path.to_owned(), error };
    let unfinished = path.with_extension(format!("new-{}", std::process::id()));
    let created = write_whole(&unfinished, bytes).and_then(|()| fs::hard_link(&unfinished, path));
    // Whatever became of the link, the unfinished file is of no use any more.
    let _ = fs::remove_file(&unfinished);
    match created {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(KeyError::Exists(path.to_owned())),
        Err(error) => return Err(unwritable(error)),
    }
    if let Some(dir) = path.parent() {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(unwritable)?;
    }
    Ok(())
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

    #[test]
    fn a_shared_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("swarm.key");
        let key = create_shared_key(&path).unwrap();
        assert_eq!(read_shared_key(&path).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(create_shared_key(&path), Err(KeyError::Exists(_))));
        assert_ne!(create_shared_key(&dir.path().join("other.key")).unwrap(), key);
    }

    #[test]
    fn fault_what_is_no_shared_key_says_what_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("swarm.key");
        assert!(matches!(read_shared_key(&path), Err(KeyError::Unreadable { .. })));
        assert!(matches!(read_shared_key(dir.path()), Err(KeyError::NoSharedKey { .. })));
        let head = "/key/swarm/psk/1.0.0/\n/base16/\n";
        let [short, wrong, split] = ["ab".repeat(31), "zz".repeat(32), format!("a\u{e9}{}", "a".repeat(61))];
        for text in ["", "x", head, &format!("{head}{short}"), &format!("{head}{wrong}"), &format!("{head}{split}")] {
            fs::write(&path, text).unwrap();
            let error = read_shared_key(&path).unwrap_err();
            assert!(matches!(&error, KeyError::NoSharedKey { .. }), "{text}");
            assert!(error.to_string().contains("64 hexadecimal digits"), "{error}");
        }
    }
}
