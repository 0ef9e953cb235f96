use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::exit::Failure;

/// Writes a file into a folder under its own name, whole or not at all. A file that is there is never changed: another one
/// of the same name gets the beginning of its SHA-256 appended.
pub(super) fn write(dir: &Path, name: &str, bytes: &[u8], sha256: &str) -> Result<PathBuf, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("cannot write {name} into {}: {error}", dir.display()));
    if hex_sha256(bytes) != sha256 {
        return Err(Failure::failed(format!("{name}: the node gave bytes of another SHA-256")));
    }
    fs::create_dir_all(dir).map_err(failed)?;
    let unfinished = dir.join(format!(".{}.unfinished-{}", &sha256[..16.min(sha256.len())], std::process::id()));
    File::create(&unfinished).and_then(|mut file| file.write_all(bytes)).map_err(failed)?;
    let with_hash = format!("{name}.{}", &sha256[..8.min(sha256.len())]);
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

pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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
}
