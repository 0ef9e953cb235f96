use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bruit::admin::message::hex;
use sha2::{Digest as _, Sha256};

use crate::exit::Failure;

/// How long the name of a file can be.
const NAME_BYTES_MAX: usize = 255;
const HASH_DIGITS: usize = 32;

/// Writes a file into a folder under its own name, whole or not at all. A file that is there is never changed: another one
/// of the same name gets the beginning of its SHA-256 appended, and the end of its name cut off if that is too long.
///
/// # Security
/// Strangers choose names and contents: the part of the SHA-256 is long enough that nobody finds two files that share it.
pub(super) fn write(dir: &Path, name: &str, bytes: &[u8], sha256: &str) -> Result<PathBuf, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("cannot write {name} into {}: {error}", dir.display()));
    if hex_sha256(bytes) != sha256 {
        return Err(Failure::failed(format!("{name}: the node gave bytes of another SHA-256")));
    }
    fs::create_dir_all(dir).map_err(failed)?;
    let unfinished = dir.join(format!(".{}.unfinished-{}", &sha256[..16.min(sha256.len())], std::process::id()));
    File::create(&unfinished).and_then(|mut file| file.write_all(bytes)).map_err(failed)?;
    let hash = &sha256[..HASH_DIGITS.min(sha256.len())];
    let with_hash = format!("{}.{hash}", cut(name));
    let mut placed = Err(io::ErrorKind::AlreadyExists.into());
    for name in [name, &with_hash] {
        let path = dir.join(name);
        placed = fs::hard_link(&unfinished, &path).map(|()| path.clone());
        let is_there = fs::read(&path).is_ok_and(|there| there == bytes);
        if placed.is_ok() || is_there {
            placed = Ok(path);
            break;
        }
    }
    // It has its name now, or there is no use for it.
    let _ = fs::remove_file(&unfinished);
    placed.map_err(failed)
}

/// As much of a name as leaves room for a hash.
fn cut(name: &str) -> &str {
    let longest = name.len().min(NAME_BYTES_MAX - HASH_DIGITS - 1);
    (0..=longest).rev().find_map(|end| name.get(..end)).unwrap_or_default()
}

pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_ever_changed() {
        let dir = tempfile::tempdir().unwrap();
        let put = |bytes: &[u8]| write(dir.path(), "a", bytes, &hex_sha256(bytes)).unwrap();
        assert_eq!(put(b"one"), dir.path().join("a"));
        assert_eq!(put(b"one"), dir.path().join("a"));
        let second = put(b"two");
        assert_ne!(second, dir.path().join("a"));
        assert_eq!(put(b"two"), second);
        assert_eq!(
            (fs::read(dir.path().join("a")).unwrap(), fs::read(second).unwrap()),
            (b"one".to_vec(), b"two".to_vec())
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(write(dir.path(), "b", b"one", &hex_sha256(b"two")).is_err());
    }

    #[test]
    fn fault_no_choice_of_names_or_contents_keeps_a_file_from_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| write(dir.path(), name, bytes, &hex_sha256(bytes)).unwrap();
        for name in ["n".repeat(255), "ä".repeat(127), "n".repeat(254)] {
            let [first, second, again] = [b"one", b"two", b"two"].map(|bytes| put(&name, bytes));
            assert_eq!((fs::read(&first).unwrap(), fs::read(&second).unwrap()), (b"one".to_vec(), b"two".to_vec()));
            assert_eq!(second, again);
        }
        // The SHA-256 of both begins with 72d9d9bb.
        let [one, other] = ["twin-72235", "twin-90705"].map(str::as_bytes);
        assert_eq!(hex_sha256(one)[..8], hex_sha256(other)[..8]);
        let paths = [&b"first"[..], one, other].map(|bytes| put("twins", bytes));
        assert_eq!(fs::read(&paths[2]).unwrap(), other);
        fs::create_dir(dir.path().join("folder")).unwrap();
        assert_eq!(fs::read(put("folder", b"file")).unwrap(), b"file");
    }
}
