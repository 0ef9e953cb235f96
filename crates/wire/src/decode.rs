use bytes::Bytes;
use prost::Message;

use crate::{
    limits::Limits,
    scan::{ScanError, scan},
};

/// A message whose limits are known.
pub trait Limited: Message + Default {
    /// What it may hold at most.
    const LIMITS: &'static Limits;
}

/// Bytes that are no acceptable message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The scan refused them.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// They passed the scan, but are no message: a string is not UTF-8.
    #[error("not decodable: {0}")]
    Prost(#[from] prost::DecodeError),
}

/// Scans, then decodes. Byte fields of the message share the memory of `bytes`.
///
/// # Security
/// Nothing is allocated before the scan has accepted: then the message takes at most four times the bytes plus 64 KiB.
pub fn decode<M: Limited>(bytes: Bytes) -> Result<M, DecodeError> {
    scan(&bytes, M::LIMITS)?;
    Ok(M::decode(bytes)?)
}

/// Encodes a message, without length prefix.
pub fn encode(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}
