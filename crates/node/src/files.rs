//! Files in pieces: how they are cut, what of them is held, and when one is whole.
//!
//! A file travels as a manifest and chunks, each an item of its own. What is held is a node's topics' only, in memory and
//! bounded; a piece that does not match its manifest is refused, and a file counts as whole when its SHA-256 is right.

mod manifest;
mod store;

pub(crate) use manifest::{Part, encode_chunk, hex, unhex};
pub use manifest::{Manifest, ManifestError, ManifestId};
pub use store::{FileTotals, FileView};
pub(crate) use store::{FileStore, Limits, Taken, Via};
