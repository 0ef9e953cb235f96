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

/// The lines of a list that shall be addresses, each with its number and what it says; `#` begins a comment.
pub(crate) fn seed_lines(text: &str) -> impl Iterator<Item = (usize, &str, Result<Multiaddr, multiaddr::Error>)> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    (1..).zip(lines).filter(|(_, line)| !line.is_empty()).map(|(number, line)| (number, line, line.parse()))
}

/// Reads seed addresses, one a line; `#` begins a comment.
///
/// # Errors
/// The file cannot be read, or a line is no multiaddr.
pub fn read_seed_file(path: &Path) -> Result<Vec<Multiaddr>, SeedFileError> {
    let text = fs::read_to_string(path).map_err(|error| SeedFileError::Unreadable { path: path.to_owned(), error })?;
    let no_address = |line, text: &str, error: multiaddr::Error| SeedFileError::NoAddress {
        path: path.to_owned(),
        line,
        text: text.to_owned(),
        reason: error.to_string(),
    };
    seed_lines(&text).map(|(line, text, addr)| addr.map_err(|error| no_address(line, text, error))).collect()
}
