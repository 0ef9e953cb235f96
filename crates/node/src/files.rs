//! Files in pieces: how they are cut, what of them is held, when one is whole, and how what is missing is fetched.
//!
//! A file travels as a manifest and chunks, each an item of its own. What is held is a node's topics' only, in memory and
//! bounded; a piece that does not match its manifest is refused, and a file counts as whole when its SHA-256 is right.

mod fetch;
mod manifest;
mod publish;
mod repair;
mod shared;
mod store;

pub use fetch::{FetchReport, FetchWish, Fetched};
pub use manifest::{Manifest, ManifestError, ManifestId};
pub(crate) use manifest::{Part, encode_chunk};
pub use manifest::{hex, unhex};
pub use publish::PublishFileError;
pub(crate) use repair::repair;
pub(crate) use shared::SharedFiles;
pub(crate) use store::{FileStore, Limits, Taken, Via};
pub use store::{FileTotals, FileView};
