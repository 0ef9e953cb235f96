//! Bytes to messages and back: the code generated from `proto/bruit/v1`, scan before decode, and framing.
//!
//! This crate decides what a well-formed message is and how much of each thing it may hold ([`limits`]). It does not decide
//! what a message means: the engines' `message` modules turn what comes out of here into their own words.
//!
//! ```
//! use bruit_wire::{decode, encode, pb};
//!
//! let open = pb::LaneOpen { lane: 1 };
//! let bytes = encode(&open);
//! assert_eq!(&bytes[..], [0x08, 0x01]);
//! assert_eq!(decode::<pb::LaneOpen>(bytes)?, open);
//! # Ok::<(), bruit_wire::DecodeError>(())
//! ```

#[cfg(feature = "codec")]
mod codec;
mod decode;
mod frame;
pub mod limits;
mod scan;

/// The messages of `proto/bruit/v1`, generated.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
pub mod pb {
    include!("generated/bruit.v1.rs");
}

#[cfg(feature = "codec")]
pub use codec::{BoundedCodec, UnreadableError};
pub use decode::{DecodeError, Limited, decode, encode};
pub use frame::{FRAME_MAX, FrameError, PREFIX_MAX, Prefix, frame, read_prefix};
pub use scan::{ScanError, scan};

pub use prost::Message;
