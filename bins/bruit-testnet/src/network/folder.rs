//! Where a network's folders and logs are, and whether they stay.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::failure::Failure;

/// The folder of a network. A temporary one goes when this is dropped, unless it was kept.
pub(crate) struct Folder {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Folder {
    /// Makes the folder: the one that the user named, which must be empty, or a temporary one.
    ///
    /// # Errors
    /// It cannot be made, or something is in it already.
    pub(crate) fn new(named: Option<&Path>) -> Result<Self, Failure> {
        let Some(named) = named else {
            let temporary = tempfile::Builder::new().prefix("bruit-").tempdir();
            let temporary =
                temporary.map_err(|error| Failure::data_directory(format!("no temporary folder: {error}")))?;
            return Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) });
        };
        let trouble = |error| Failure::data_directory(format!("{}: {error}", named.display()));
        fs::create_dir_all(named).map_err(trouble)?;
        if fs::read_dir(named).map_err(trouble)?.next().is_some() {
            let text = format!("{} is not empty; a new network needs a new folder", named.display());
            return Err(Failure::data_directory(text));
        }
        let path = std::path::absolute(named).map_err(trouble)?;
        Ok(Self { path, temporary: None })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the folder stay.
    pub(crate) fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            self.path = temporary.keep();
        }
    }

    /// Whether it stays.
    pub(crate) fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }
}
