//! What survives a restart: rows of bytes in one redb file, written by one thread, one transaction a turn.
//!
//! A file that cannot be read is set aside under a new name. A write that fails is tried again, later and later, with
//! everything that came since: the node goes on without it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use serde::{Deserialize, Serialize};

mod file;
mod worker;

pub(crate) use file::{FileOpener, Opener};

/// Which table a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowTable {
    /// Endpoints of the address book.
    Entries,
    /// Peers of the address book.
    Peers,
    /// Bans.
    Bans,
    /// The peers to dial first.
    Anchors,
}

/// Rows to be written (`Some`) or removed.
pub(crate) type Batch = BTreeMap<(RowTable, Vec<u8>), Option<Vec<u8>>>;

/// What was in the file.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// All rows, in the order of their keys.
    pub(crate) rows: Vec<(RowTable, Vec<u8>, Vec<u8>)>,
}

/// Whether what shall be stored is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageState {
    /// Nothing is stored, because no data directory is set.
    #[default]
    Off,
    /// It is.
    Ok,
    /// Writing fails and is tried again; what is to be stored waits in memory.
    Failed,
}

/// How storage is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageStatus {
    /// Whether what shall be stored is stored.
    pub state: StorageState,
    /// What is wrong, for a person.
    pub message: Option<String>,
    /// Files that could not be read, under their new names.
    pub set_aside: Vec<PathBuf>,
    /// How many endpoints are in the file.
    pub stored: u64,
    /// How many rows wait to be written.
    pub waiting: u64,
    /// How many transactions were written.
    pub commits: u64,
    /// How many failed.
    pub failures: u64,
}

/// A storage file that cannot be opened at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {error}", path.display())]
pub struct StorageError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// The open storage. Dropping it without [`Storage::close`] gives up what waits.
#[derive(Debug)]
pub(crate) struct Storage {
    shared: Arc<Shared>,
    worker: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Batch,
    status: StorageStatus,
    /// What was stored is not in the file any more: it is to be given again.
    is_lost: bool,
    is_closing: bool,
}

/// When a failed write is tried again: after one second, then twice as long each time, up to a minute.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Shared {
    /// No code that holds the lock can leave what it guards half-changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage {
    /// Opens a file, reads all of it, and starts the thread that writes.
    ///
    /// # Errors
    /// The file cannot be opened for want of permission. Damage and a full disk are no errors: see [`StorageStatus`].
    pub(crate) fn open(path: &Path, book_version: u32) -> Result<(Self, Loaded), StorageError> {
        Self::open_with(Box::new(FileOpener::new(path, book_version)), RETRY)
    }

    fn open_with(mut opener: Box<dyn Opener>, retry: (Duration, Duration)) -> Result<(Self, Loaded), StorageError> {
        let mut status = StorageStatus::default();
        let (database, loaded) = worker::open(opener.as_mut(), &mut status)?;
        let shared = Arc::new(Shared { inner: Mutex::new(Inner { status, ..Inner::default() }), ..Shared::default() });
        let for_thread = Arc::clone(&shared);
        let path = opener.path().to_owned();
        let worker = std::thread::Builder::new()
            .name("bruit-storage".to_owned())
            .spawn(move || worker::run(&for_thread, opener, database, retry))
            .map_err(|error| StorageError { path, error })?;
        Ok((Self { shared, worker: Some(worker) }, loaded))
    }

    /// Gives rows to be written; never waits.
    pub(crate) fn save(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let mut inner = self.shared.lock();
        inner.waiting.extend(batch);
        inner.status.waiting = inner.waiting.len() as u64;
        drop(inner);
        self.shared.changed.notify_one();
    }

    /// Whether what was stored before is lost, and all of it is to be given again; told once.
    pub(crate) fn take_loss(&self) -> bool {
        std::mem::take(&mut self.shared.lock().is_lost)
    }

    /// How storage is now.
    pub(crate) fn status(&self) -> StorageStatus {
        self.shared.lock().status.clone()
    }

    /// Writes what waits, once, and ends the thread. Blocks.
    pub(crate) fn close(mut self) -> StorageStatus {
        self.stop();
        self.status()
    }

    fn stop(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.changed.notify_one();
        if let Some(worker) = self.worker.take() {
            // A panic of the thread has been logged by the panic hook, and there is nothing left to save.
            let _ = worker.join();
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
