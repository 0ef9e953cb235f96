//! The files that the demo lets travel.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use bruit::admin::message::hex;
use bruit_core::Seed;
use bytes::Bytes;
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The file that is published unless the user names one: every checkout has it, and it makes several chunks.
const DEFAULT_NAME: &str = "Cargo.lock";

/// A file in memory.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

impl Source {
    /// Reads the file that the user named, or the `Cargo.lock` nearest to the user, or else to this program.
    ///
    /// # Errors
    /// There is none, it cannot be read, or it is empty.
    pub(super) fn new(named: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = named.map(Path::to_owned).or_else(default_path) else {
            return Err(Failure::configuration(format!("no {DEFAULT_NAME} here or above; name a file with --file")));
        };
        let trouble = |text: &str| Failure::configuration(format!("{}: {text}", path.display()));
        let bytes = fs::read(&path).map_err(|error| trouble(&error.to_string()))?;
        if bytes.is_empty() {
            return Err(trouble("an empty file has nothing to spread"));
        }
        let name = path.file_name().ok_or_else(|| trouble("this is no file"))?;
        Ok(Self { name: name.to_string_lossy().into_owned(), bytes: bytes.into() })
    }

    /// Makes a file that no compression shortens; equal names give equal files.
    pub(super) fn generated(name: &str, bytes: usize) -> Self {
        let mut content = vec![0; bytes];
        Seed::from_number(1).derive(name, 0).rng().fill_bytes(&mut content);
        Self { name: name.to_owned(), bytes: content.into() }
    }

    /// The SHA-256 in hex.
    pub(super) fn sha256(&self) -> String {
        sha256(&self.bytes)
    }
}

/// The SHA-256 of some bytes in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn default_path() -> Option<PathBuf> {
    let places = [env::current_dir(), env::current_exe()];
    let above = places.iter().flatten().flat_map(|place| place.ancestors());
    above.map(|folder| folder.join(DEFAULT_NAME)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha256_in_hex() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), expected);
    }

    #[test]
    fn generated_files_are_repeatable_and_differ_by_name() {
        let one = Source::generated("one", 1_000);
        assert_eq!(one.bytes.len(), 1_000);
        assert_eq!(one.sha256(), Source::generated("one", 1_000).sha256());
        assert_ne!(one.sha256(), Source::generated("other", 1_000).sha256());
    }

    #[test]
    fn a_file_that_is_not_there_or_empty_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let path = dir.path().join("empty");
        assert_eq!(Source::new(Some(&path)).map(drop).map_err(|failure| failure.code), Err(2));
        fs::write(&path, b"").expect("a file can be written");
        assert_eq!(Source::new(Some(&path)).map(drop).map_err(|failure| failure.code), Err(2));
        fs::write(&path, b"x").expect("a file can be written");
        assert_eq!(Source::new(Some(&path)).map(|source| source.name), Ok("empty".to_owned()));
    }
}
