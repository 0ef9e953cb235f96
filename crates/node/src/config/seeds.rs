use std::{
    fs, io,
    path::{Path, PathBuf},
};

use multiaddr::Multiaddr;

use crate::config::error::ADDR_EXAMPLE;

/// A seed file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedFileError {
    /// It cannot be read.
    #[error("cannot read the seed file {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line is no address.
    #[error("{}, line {line}: `{text}` is no address: {reason}; {ADDR_EXAMPLE}", path.display())]
    NoAddress {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// Why it is none.
        reason: String,
    },
}

/// Reads seed addresses, one a line; `#` begins a comment.
///
/// # Errors
/// The file cannot be read, or a line is no multiaddr.
pub fn read_seed_file(path: &Path) -> Result<Vec<Multiaddr>, SeedFileError> {
    let text = fs::read_to_string(path).map_err(|error| SeedFileError::Unreadable { path: path.to_owned(), error })?;
    let mut addrs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let addr = line.parse().map_err(|error: multiaddr::Error| SeedFileError::NoAddress {
            path: path.to_owned(),
            line: index + 1,
            text: line.to_owned(),
            reason: error.to_string(),
        })?;
        addrs.push(addr);
    }
    Ok(addrs)
}
