use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    config::FileSettings,
    files::{FileStore, FileTotals, Limits, ManifestId, Taken},
    handle::{Delivery, Handle},
};

/// The files of a node, for all its tasks.
#[derive(Clone, Debug)]
pub(crate) struct SharedFiles(Arc<Mutex<FileStore>>);

impl SharedFiles {
    pub(crate) fn new(settings: &FileSettings) -> Self {
        let limits = Limits {
            bytes_max: settings.bytes_max,
            files_max: settings.files_max,
            orphan_bytes_max: settings.orphan_bytes_max,
        };
        Self(Arc::new(Mutex::new(FileStore::new(limits))))
    }

    /// No holder of the lock waits for anything.
    pub(crate) fn lock(&self) -> MutexGuard<'_, FileStore> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn totals(&self) -> FileTotals {
        self.lock().totals()
    }

    /// Tells subscribers, and those who wait, of a file that has become whole.
    pub(crate) fn note(&self, handle: &Handle, manifest: ManifestId, taken: Taken) {
        if taken != Taken::Completed {
            return;
        }
        let Some(view) = self.lock().view(manifest) else { return };
        tracing::debug!(%manifest, name = view.name, "a file is whole");
        let topic = view.topic.clone();
        handle.feeds().deliver(&topic, Delivery::File(view));
        handle.announce_change();
    }
}
