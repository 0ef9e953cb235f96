use std::{io, time::Duration};

use crate::storage::{
    Inner, Loaded, Opener, Shared, StorageError, StorageState, StorageStatus,
    file::{FileError, Store},
};

/// Opens the file and reads it; sets it aside and makes a new one if it cannot be read.
pub(super) fn open(
    opener: &mut dyn Opener,
    status: &mut StorageStatus,
) -> Result<(Option<Store>, Loaded), StorageError> {
    match open_once(opener, status) {
        Ok((store, loaded)) => Ok((Some(store), loaded)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(StorageError { path: opener.path().to_owned(), error })
        }
        Err(error) => {
            failed(status, &error);
            Ok((None, Loaded::default()))
        }
    }
}

fn open_once(opener: &mut dyn Opener, status: &mut StorageStatus) -> Result<(Store, Loaded), io::Error> {
    let opened = opener.open().and_then(|store| {
        let loaded = store.load();
        loaded.map(|loaded| (store, loaded))
    });
    let (store, loaded) = match opened {
        Ok(opened) => {
            if opened.0.is_mended() {
                tracing::warn!(file = %opener.path().display(), "the storage file was damaged and was mended");
                let text = "was damaged and was mended; what was stored last may be missing";
                status.message = Some(format!("{} {text}", opener.path().display()));
            }
            opened
        }
        Err(FileError::Refused(error)) => return Err(error),
        Err(FileError::Damaged(text)) => {
            let path = opener.set_aside()?;
            tracing::warn!(file = %opener.path().display(), reason = text, set_aside = %path.display(), "the storage file cannot be read and was set aside");
            status.message = Some(format!("{} could not be read ({text}) and was set aside", opener.path().display()));
            status.set_aside.push(path);
            (opener.open().map_err(io::Error::other)?, Loaded::default())
        }
    };
    status.state = StorageState::Ok;
    status.stored = loaded.rows.iter().filter(|(table, ..)| *table == super::RowTable::Entries).count() as u64;
    Ok((store, loaded))
}

fn failed(status: &mut StorageStatus, error: &dyn std::fmt::Display) {
    if status.state != StorageState::Failed {
        tracing::error!(%error, "storage fails; the node goes on and tries again");
    }
    status.state = StorageState::Failed;
    status.message = Some(error.to_string());
    status.failures += 1;
}

/// Writes what comes until the storage is closed.
pub(super) fn run(shared: &Shared, mut opener: Box<dyn Opener>, mut store: Option<Store>, retry: (Duration, Duration)) {
    let (first, longest) = retry;
    let mut delay = first;
    while let Some((batch, is_last)) = next_batch(shared, store.is_none().then_some(delay)) {
        let written = match &store {
            Some(store) => store.write(&batch),
            None => reopen(shared, opener.as_mut()).and_then(|opened| store.insert(opened).write(&batch)),
        };
        let mut inner = shared.lock();
        match written {
            Ok(stored) => {
                delay = first;
                recovered(&mut inner, stored);
            }
            Err(error) => {
                // After an error redb refuses all further work: the next try opens the file anew.
                let damaged = matches!(error, FileError::Damaged(_)).then(|| opener.set_aside());
                failed(&mut inner.status, &error);
                if let Some(Ok(path)) = damaged {
                    inner.status.set_aside.push(path);
                    inner.is_lost = true;
                }
                for (row, value) in batch {
                    inner.waiting.entry(row).or_insert(value);
                }
                inner.status.waiting = inner.waiting.len() as u64;
                delay = delay.saturating_mul(2).min(longest);
                drop(inner);
                if let Some(store) = store.take() {
                    store.close();
                }
            }
        }
        if is_last {
            break;
        }
    }
    if let Some(store) = store.take() {
        store.close();
    }
}

fn reopen(shared: &Shared, opener: &mut dyn Opener) -> Result<Store, FileError> {
    let mut status = shared.lock().status.clone();
    let known = status.set_aside.len();
    let opened = open_once(opener, &mut status);
    let mut inner = shared.lock();
    // A file that was mended lacks what was stored last, a new one everything.
    inner.is_lost |= status.set_aside.len() > known || opened.as_ref().is_ok_and(|(store, _)| store.is_mended());
    inner.status.set_aside = status.set_aside;
    opened.map(|(store, _)| store).map_err(FileError::Refused)
}

fn recovered(inner: &mut Inner, stored: u64) {
    if inner.status.state == StorageState::Failed {
        tracing::info!("storage works again");
        inner.status.message = None;
    }
    inner.status.state = StorageState::Ok;
    inner.status.stored = stored;
    inner.status.commits += 1;
    inner.status.waiting = inner.waiting.len() as u64;
}

/// Waits for rows, and whether they are the last; with a delay, for that long before it takes them.
fn next_batch(shared: &Shared, delay: Option<Duration>) -> Option<(super::Batch, bool)> {
    let mut inner = shared.lock();
    if let Some(delay) = delay {
        let waited = shared.changed.wait_timeout_while(inner, delay, |inner| !inner.is_closing);
        inner = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(inner, _)| inner);
    }
    while inner.waiting.is_empty() && !inner.is_closing {
        inner = shared.changed.wait(inner).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    let is_last = inner.is_closing;
    if inner.waiting.is_empty() {
        return None;
    }
    Some((std::mem::take(&mut inner.waiting), is_last))
}
