//! The folder of one node: whose it is, and that nobody else uses it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use bruit_core::{NetworkId, PeerId};
use libp2p::identity::Keypair;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::key::{KeyError, create_key, read_key};

/// A data directory that this process holds, until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Holds the lock as long as it is open.
    _lock: File,
}

/// A data directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made, read or written.
    #[error("cannot use the data directory {}: {error} ({})", path.display(), at.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// The file or directory at which it failed.
        at: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process uses it.
    #[error("the data directory {} is in use by {holder}; this is {own}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who uses it.
        holder: String,
        /// Who asks.
        own: String,
    },
    /// It belongs to another network.
    #[error("the data directory {} belongs to the network `{found}`, not to `{wanted}`", path.display())]
    OtherNetwork {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: NetworkId,
    },
    /// A later version of the program made it.
    #[error("the data directory {} has format {found}, and this program reads formats up to {FORMAT}", path.display())]
    Later {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// What it says of itself cannot be read.
    #[error("{} does not say whose data directory this is: {reason}", path.display())]
    NoMeta {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Its identity is gone.
    #[error(
        "{} is missing, though the data directory was made by {peer}; put it back, or make another identity with `bruit key new`",
        path.display()
    )]
    KeyMissing {
        /// The file.
        path: PathBuf,
        /// Whose it was.
        peer: String,
    },
    /// Its key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

const FORMAT: u32 = 1;
const META: &str = "meta.json";
const LOCK: &str = "lock";
const KEY: &str = "identity.key";
const BOOK: &str = "book.redb";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    format: u32,
    network: String,
    #[serde(default)]
    peer_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    network: String,
}

impl DataDir {
    /// Makes or opens a directory for a network and locks it for this process.
    ///
    /// # Errors
    /// It cannot be used, another process uses it, or it belongs to another network.
    pub fn open(path: &Path, network: &NetworkId) -> Result<Self, DataDirError> {
        let unusable = |at: &Path| {
            let (path, at) = (path.to_owned(), at.to_owned());
            move |error| DataDirError::Unusable { path, at, error }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable(path))?;
        fs::read_dir(path).map_err(unusable(path))?;
        let lock = take_lock(path, network)?;
        let dir = Self { path: path.to_owned(), _lock: lock };
        match dir.meta()? {
            Some(meta) if meta.format > FORMAT => {
                return Err(DataDirError::Later { path: path.to_owned(), found: meta.format });
            }
            Some(meta) if meta.network != network.as_str() => {
                let (path, wanted) = (path.to_owned(), network.clone());
                return Err(DataDirError::OtherNetwork { path, found: meta.network, wanted });
            }
            Some(_) => {}
            None => dir.write_meta(&Meta { format: FORMAT, network: network.to_string(), peer_id: None })?,
        }
        Ok(dir)
    }

    /// The identity kept here; the first start makes it.
    ///
    /// # Errors
    /// The key cannot be read or made, or it is gone though there was one.
    pub fn identity(&self) -> Result<Keypair, DataDirError> {
        let path = Self::key_path(&self.path);
        let meta = self.meta()?;
        let known = meta.as_ref().and_then(|meta| meta.peer_id.clone());
        let key = match (read_key(&path)?, &known) {
            (Some(key), _) => key,
            (None, Some(peer)) => return Err(DataDirError::KeyMissing { path, peer: peer.clone() }),
            (None, None) => create_key(&path)?,
        };
        let peer = PeerId::from(key.public()).to_string();
        match (meta, known) {
            (Some(meta), known) if known.as_ref() != Some(&peer) => {
                if let Some(known) = known {
                    tracing::warn!(was = known, is = peer, "the identity of this data directory was replaced");
                }
                self.write_meta(&Meta { peer_id: Some(peer), ..meta })?;
            }
            _ => {}
        }
        Ok(key)
    }

    /// Where the identity of a data directory is kept.
    pub fn key_path(dir: &Path) -> PathBuf {
        dir.join(KEY)
    }

    /// Where the address book is kept.
    pub fn book_path(&self) -> PathBuf {
        self.path.join(BOOK)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn meta(&self) -> Result<Option<Meta>, DataDirError> {
        let path = self.path.join(META);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DataDirError::Unusable { path: self.path.clone(), at: path, error }),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| DataDirError::NoMeta { path, reason: error.to_string() })
    }

    fn write_meta(&self, meta: &Meta) -> Result<(), DataDirError> {
        let (path, unfinished) = (self.path.join(META), self.path.join("meta.json.new"));
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(&serde_json::to_vec_pretty(meta)?)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| DataDirError::Unusable { path: self.path.clone(), at: path.clone(), error })
    }
}

/// The lock ends with the process, however it ends; what stands in the file is only for the message to the next one.
fn take_lock(dir: &Path, network: &NetworkId) -> Result<File, DataDirError> {
    let at = dir.join(LOCK);
    let unusable = |error| DataDirError::Unusable { path: dir.to_owned(), at: at.clone(), error };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&at)
        .map_err(unusable)?;
    let pid = std::process::id();
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            let holder = serde_json::from_str(&text).map_or_else(
                |_| "another process".to_owned(),
                |holder: Holder| format!("process {} (network `{}`)", holder.pid, holder.network),
            );
            let own = format!("process {pid} (network `{network}`)");
            return Err(DataDirError::InUse { path: dir.to_owned(), holder, own });
        }
        Err(error) => return Err(unusable(error.into())),
    }
    let holder = Holder { pid, network: network.to_string() };
    let text = serde_json::to_vec(&holder).unwrap_or_default();
    // On a full disk the lock holds all the same; only the next one's message will be poorer.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&text));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(name: &str) -> NetworkId {
        NetworkId::new(name).unwrap()
    }

    #[test]
    fn a_directory_keeps_its_identity() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/node");
        let dir = DataDir::open(&path, &network("one")).unwrap();
        let key = dir.identity().unwrap();
        assert_eq!(dir.identity().unwrap().public(), key.public());
        drop(dir);
        let dir = DataDir::open(&path, &network("one")).unwrap();
        assert_eq!(dir.identity().unwrap().public(), key.public());

        fs::remove_file(DataDir::key_path(&path)).unwrap();
        assert!(matches!(dir.identity(), Err(DataDirError::KeyMissing { .. })));
        let other = create_key(&DataDir::key_path(&path)).unwrap();
        assert_eq!(dir.identity().unwrap().public(), other.public());
    }

    #[test]
    fn fault_a_second_holder_is_told_both_names() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDir::open(parent.path(), &network("one")).unwrap();
        let refused = DataDir::open(parent.path(), &network("two")).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(refused.contains(&format!("in use by process {pid} (network `one`)")), "{refused}");
        assert!(refused.contains("(network `two`)"), "{refused}");
        drop(first);
        DataDir::open(parent.path(), &network("one")).unwrap();
    }

    #[test]
    fn fault_a_foreign_or_later_directory_is_refused_and_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        drop(DataDir::open(parent.path(), &network("one")).unwrap());
        let meta = parent.path().join(META);
        let before = fs::read(&meta).unwrap();
        let refused = DataDir::open(parent.path(), &network("two")).unwrap_err().to_string();
        assert!(refused.ends_with("belongs to the network `one`, not to `two`"), "{refused}");
        assert_eq!(fs::read(&meta).unwrap(), before);

        fs::write(&meta, r#"{"format":2,"network":"one"}"#).unwrap();
        assert!(matches!(DataDir::open(parent.path(), &network("one")), Err(DataDirError::Later { found: 2, .. })));
        fs::write(&meta, "{").unwrap();
        assert!(matches!(DataDir::open(parent.path(), &network("one")), Err(DataDirError::NoMeta { .. })));
        fs::remove_file(&meta).unwrap();
        fs::create_dir(&meta).unwrap();
        assert!(matches!(DataDir::open(parent.path(), &network("one")), Err(DataDirError::Unusable { .. })));
        fs::write(parent.path().join("file"), "").unwrap();
        let at = parent.path().join("file/node");
        assert!(matches!(DataDir::open(&at, &network("one")), Err(DataDirError::Unusable { .. })));
    }
}
