//! What profiles promise, layer by layer: `docs/profiles.md` names these tests.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod addresses;
mod overlay;
mod relay;
mod requests;
