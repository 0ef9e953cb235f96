#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt, str::FromStr, sync::Arc};

use bruit_wire::{
    decode, encode,
    limits::{CHUNK_BYTES_MAX, CHUNKS_MAX},
    pb,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The id of a file: BLAKE3 of its encoded manifest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ManifestId([u8; 32]);

/// What a file is made of.
///
/// # Security
/// Publishers are strangers: a name is checked to be no path, and the sizes to agree, before anything is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    id: ManifestId,
    name: Arc<str>,
    size: u64,
    chunk_size: u32,
    chunk_hashes: Bytes,
    sha256: [u8; 32],
}

/// What the store takes for a chunk beside its data, whether it came or not.
pub(crate) const PLACE_BYTES: u64 = 48;

/// Something that is no acceptable manifest, chunk or id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The name is empty, too long, or could be a path.
    #[error("the name {0:?} is empty, longer than 255 bytes, or has a character that no file name may have")]
    Name(String),
    /// The file is larger than what may travel.
    #[error("a file of {0} bytes, more than {max}", max = CHUNKS_MAX * CHUNK_BYTES_MAX)]
    TooLarge(u64),
    /// The sizes do not agree with the number of hashes.
    #[error("the sizes in the manifest do not agree")]
    Sizes,
    /// An id is not 64 hexadecimal digits.
    #[error("a manifest id has 64 hexadecimal digits")]
    Id,
}

/// A part of a file, as it stands in an item or in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Manifest(Manifest),
    Chunk { manifest: ManifestId, index: u32, count: u32, data: Bytes },
}

impl ManifestId {
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ManifestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ManifestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestId({self})")
    }
}

impl FromStr for ManifestId {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        unhex(text).and_then(|bytes| Self::new(&bytes)).ok_or(ManifestError::Id)
    }
}

impl From<ManifestId> for String {
    fn from(id: ManifestId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ManifestId {
    type Error = ManifestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Manifest {
    /// Cuts a file into chunks, which share its memory.
    ///
    /// # Errors
    /// The name is none, or the file is too large to travel.
    pub fn cut(name: &str, file: &Bytes) -> Result<(Self, Vec<Bytes>), ManifestError> {
        if file.len().div_ceil(CHUNK_BYTES_MAX) > CHUNKS_MAX {
            return Err(ManifestError::TooLarge(file.len() as u64));
        }
        let chunks: Vec<Bytes> = file.chunks(CHUNK_BYTES_MAX).map(|chunk| file.slice_ref(chunk)).collect();
        let hashes: Vec<u8> = chunks.iter().flat_map(|chunk| *blake3::hash(chunk).as_bytes()).collect();
        let manifest = Self::from_wire(pb::Manifest {
            name: name.to_owned(),
            size: file.len() as u64,
            chunk_size: CHUNK_BYTES_MAX as u32,
            chunk_hashes: hashes.into(),
            sha256: Bytes::copy_from_slice(&Sha256::digest(file)),
        })?;
        Ok((manifest, chunks))
    }

    pub(crate) fn from_wire(wire: pb::Manifest) -> Result<Self, ManifestError> {
        let id = ManifestId(*blake3::hash(&encode(&wire)).as_bytes());
        if !is_file_name(&wire.name) {
            return Err(ManifestError::Name(wire.name));
        }
        let chunk_size = wire.chunk_size;
        if chunk_size == 0 || chunk_size as usize > CHUNK_BYTES_MAX {
            return Err(ManifestError::Sizes);
        }
        let count = wire.size.div_ceil(u64::from(chunk_size));
        if count > CHUNKS_MAX as u64 {
            return Err(ManifestError::TooLarge(wire.size));
        }
        let Ok(sha256) = <[u8; 32]>::try_from(wire.sha256.as_ref()) else { return Err(ManifestError::Sizes) };
        if wire.chunk_hashes.len() as u64 != count.saturating_mul(32) {
            return Err(ManifestError::Sizes);
        }
        // Its own memory: what came may be a slice of a much larger frame.
        let chunk_hashes = Bytes::copy_from_slice(&wire.chunk_hashes);
        Ok(Self { id, name: wire.name.into(), size: wire.size, chunk_size, chunk_hashes, sha256 })
    }

    fn to_wire(&self) -> pb::Manifest {
        pb::Manifest {
            name: self.name.as_ref().to_owned(),
            size: self.size,
            chunk_size: self.chunk_size,
            chunk_hashes: self.chunk_hashes.clone(),
            sha256: Bytes::copy_from_slice(&self.sha256),
        }
    }

    /// The payload of the item, or of the answer, that carries it.
    pub(crate) fn to_payload(&self) -> Bytes {
        encode(&pb::ObjectItem { kind: Some(pb::object_item::Kind::Manifest(self.to_wire())) })
    }

    /// The id.
    pub const fn id(&self) -> ManifestId {
        self.id
    }

    /// The file's name, without any folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's size in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// How many chunks the file has.
    pub fn chunk_count(&self) -> u32 {
        u32::try_from(self.chunk_hashes.len() / 32).unwrap_or(u32::MAX)
    }

    /// SHA-256 of the whole file.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// SHA-256 of the whole file in hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }

    /// Whether these bytes are the chunk of this index.
    pub fn is_chunk(&self, index: u32, data: &[u8]) -> bool {
        let at = (index as usize).saturating_mul(32);
        let expected = self.chunk_hashes.get(at..at.saturating_add(32));
        expected.is_some_and(|expected| blake3::hash(data).as_bytes() == expected)
    }

    /// Whether these chunks, one after the other, are the file.
    pub fn is_file<'c>(&self, chunks: impl IntoIterator<Item = &'c Bytes>) -> bool {
        let mut hasher = Sha256::new();
        let mut size = 0_u64;
        for chunk in chunks {
            hasher.update(chunk);
            size = size.saturating_add(chunk.len() as u64);
        }
        size == self.size && hasher.finalize().as_slice() == self.sha256
    }

    /// How much memory it takes, the data of its chunks apart: hashes, name, and the chunks' places in the store.
    pub(crate) fn footprint(&self) -> u64 {
        let places = u64::from(self.chunk_count()).saturating_mul(PLACE_BYTES);
        (self.chunk_hashes.len() as u64)
            .saturating_add(self.name.len() as u64)
            .saturating_add(places)
            .saturating_add(512)
    }
}

impl Part {
    /// The file that it is a part of.
    pub(crate) const fn manifest_id(&self) -> ManifestId {
        match self {
            Self::Manifest(manifest) => manifest.id(),
            Self::Chunk { manifest, .. } => *manifest,
        }
    }

    /// Reads a payload; `None` if it is no part of a file.
    ///
    /// # Security
    /// A part is kept for long, and what it came in may be much larger: a chunk gets memory of its own.
    pub(crate) fn from_payload(payload: Bytes) -> Option<Self> {
        let item: pb::ObjectItem = decode(payload).ok()?;
        match item.kind? {
            pb::object_item::Kind::Manifest(wire) => Manifest::from_wire(wire).ok().map(Self::Manifest),
            pb::object_item::Kind::Chunk(wire) => {
                let manifest = ManifestId::new(&wire.manifest_id)?;
                let fits = wire.index < wire.count && wire.count as usize <= CHUNKS_MAX && !wire.data.is_empty();
                fits.then(|| Self::Chunk {
                    manifest,
                    index: wire.index,
                    count: wire.count,
                    data: Bytes::copy_from_slice(&wire.data),
                })
            }
        }
    }
}

/// The payload of the item, or of the answer, that carries a chunk.
pub(crate) fn encode_chunk(manifest: ManifestId, index: u32, count: u32, data: Bytes) -> Bytes {
    let manifest_id = Bytes::copy_from_slice(manifest.as_bytes());
    let chunk = pb::Chunk { manifest_id, index, count, data };
    encode(&pb::ObjectItem { kind: Some(pb::object_item::Kind::Chunk(chunk)) })
}

fn is_file_name(name: &str) -> bool {
    let is_fine = |c: char| !c.is_control() && c != '/' && c != '\\';
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && name.chars().all(is_fine)
}

/// Hexadecimal digits of bytes, as the admin API carries them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits; `None` if they are none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let digits = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    if text.bytes().any(|byte| !byte.is_ascii_hexdigit()) {
        return None;
    }
    text.as_bytes().chunks(2).map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> pb::Manifest {
        Manifest::cut("a.txt", &Bytes::from(vec![1; CHUNK_BYTES_MAX + 1])).unwrap().0.to_wire()
    }

    fn refused(change: impl FnOnce(&mut pb::Manifest)) -> ManifestError {
        let mut wire = wire();
        change(&mut wire);
        Manifest::from_wire(wire).unwrap_err()
    }

    #[test]
    fn a_file_is_cut_and_put_together() {
        for size in [0, 1, CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 3 * CHUNK_BYTES_MAX] {
            let file = Bytes::from((0..size).map(|n| (n % 251) as u8).collect::<Vec<_>>());
            let (manifest, chunks) = Manifest::cut("file", &file).unwrap();
            assert_eq!(
                (manifest.size(), manifest.chunk_count() as usize),
                (size as u64, size.div_ceil(CHUNK_BYTES_MAX))
            );
            assert_eq!(chunks.len(), manifest.chunk_count() as usize);
            assert!(manifest.is_file(&chunks));
            for (index, chunk) in chunks.iter().enumerate() {
                assert!(manifest.is_chunk(index as u32, chunk));
                assert!(!manifest.is_chunk(index as u32, &chunk[1..]));
            }
            assert!(!manifest.is_chunk(manifest.chunk_count(), b""));
            assert_eq!(Part::from_payload(manifest.to_payload()), Some(Part::Manifest(manifest.clone())));
        }
    }

    #[test]
    fn what_a_stranger_claims_is_checked() {
        assert!(Manifest::from_wire(wire()).is_ok());
        for name in ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb"] {
            assert_eq!(refused(|wire| wire.name = name.to_owned()), ManifestError::Name(name.to_owned()));
        }
        assert_eq!(refused(|wire| wire.chunk_size = 0), ManifestError::Sizes);
        assert_eq!(refused(|wire| wire.chunk_size = CHUNK_BYTES_MAX as u32 + 1), ManifestError::Sizes);
        assert_eq!(refused(|wire| wire.size = 1), ManifestError::Sizes);
        assert_eq!(refused(|wire| wire.size = u64::MAX), ManifestError::TooLarge(u64::MAX));
        assert_eq!(refused(|wire| wire.sha256 = Bytes::from_static(b"short")), ManifestError::Sizes);
        assert_eq!(refused(|wire| wire.chunk_hashes = Bytes::from_static(&[0; 33])), ManifestError::Sizes);
        assert_eq!(Part::from_payload(Bytes::from_static(b"hello")), None);
        assert_eq!(Part::from_payload(encode_chunk(ManifestId([1; 32]), 2, 2, Bytes::from_static(b"x"))), None);
        assert_eq!(Part::from_payload(encode_chunk(ManifestId([1; 32]), 0, 1, Bytes::new())), None);
    }

    #[test]
    fn fault_a_part_holds_no_memory_but_its_own() {
        let chunk = encode_chunk(ManifestId([1; 32]), 0, 1, Bytes::from_static(b"x"));
        for part in [wire_payload(wire()), chunk] {
            // A field that this version does not know: number 20, 100,000 bytes.
            let payload = Bytes::from([&part[..], &[0xa2, 0x01, 0xa0, 0x8d, 0x06], &[0; 100_000]].concat());
            let kept = Part::from_payload(payload.clone()).unwrap();
            assert_eq!(Some(&kept), Part::from_payload(part).as_ref());
            assert!(payload.is_unique(), "{kept:?} holds all of what it came in");
        }
    }

    fn wire_payload(wire: pb::Manifest) -> Bytes {
        encode(&pb::ObjectItem { kind: Some(pb::object_item::Kind::Manifest(wire)) })
    }

    #[test]
    fn ids_are_written_and_read_in_hexadecimal() {
        let id = ManifestId([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "ab", &"+a".repeat(32), &"ä".repeat(32), &"ab".repeat(33)] {
            assert_eq!(text.parse::<ManifestId>(), Err(ManifestError::Id), "{text}");
        }
    }
}
