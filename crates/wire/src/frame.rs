#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// The largest frame, its prefix not counted: 256 KiB. One yamux window holds it whole.
pub const FRAME_MAX: usize = 256 * 1024;

/// How many bytes a length prefix has at most. 10 would be a varint's limit; `FRAME_MAX` needs 3.
pub const PREFIX_MAX: usize = 5;

/// A length prefix that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// How many bytes the prefix itself has.
    pub prefix_len: usize,
    /// How many bytes of frame follow.
    pub frame_len: usize,
}

/// A prefix that announces no acceptable frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame would be too long.
    #[error("a frame of {len} bytes is announced, more than {max}")]
    TooLong {
        /// What the prefix says.
        len: u64,
        /// The limit.
        max: usize,
    },
    /// The prefix has more than five bytes, or more than it needs.
    #[error("the length prefix is no canonical varint")]
    BadPrefix,
}

/// Reads the length prefix at the start of `bytes`; `None` when it is not there whole yet.
///
/// # Security
/// The limit holds before anything is allocated for the frame.
pub fn read_prefix(bytes: &[u8], frame_max: usize) -> Result<Option<Prefix>, FrameError> {
    let mut len = 0_u64;
    for (position, byte) in bytes.iter().take(PREFIX_MAX).enumerate() {
        let shift = position.saturating_mul(7);
        len |= u64::from(byte & 0x7f).wrapping_shl(u32::try_from(shift).unwrap_or(0));
        if byte & 0x80 != 0 {
            continue;
        }
        if *byte == 0 && position > 0 {
            return Err(FrameError::BadPrefix);
        }
        let Some(frame_len) = usize::try_from(len).ok().filter(|len| *len <= frame_max) else {
            return Err(FrameError::TooLong { len, max: frame_max });
        };
        return Ok(Some(Prefix { prefix_len: position.saturating_add(1), frame_len }));
    }
    if bytes.len() >= PREFIX_MAX { Err(FrameError::BadPrefix) } else { Ok(None) }
}

/// Encodes a message as a frame: its length as uvarint, then its bytes.
pub fn frame(message: &impl Message) -> Bytes {
    let len = message.encoded_len();
    let mut buffer = BytesMut::with_capacity(len.saturating_add(PREFIX_MAX));
    put_prefix(len, &mut buffer);
    message.encode_raw(&mut buffer);
    buffer.freeze()
}

fn put_prefix(len: usize, buffer: &mut BytesMut) {
    let mut rest = len;
    while rest >= 0x80 {
        buffer.put_u8((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    buffer.put_u8(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(len: usize) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        put_prefix(len, &mut buffer);
        buffer.to_vec()
    }

    #[test]
    fn prefixes_survive_the_round_trip_up_to_the_limit() {
        for len in [0, 1, 127, 128, 16_383, 16_384, FRAME_MAX - 1, FRAME_MAX] {
            let bytes = prefix(len);
            for cut in 0..bytes.len() {
                assert_eq!(read_prefix(&bytes[..cut], FRAME_MAX), Ok(None));
            }
            let expected = Prefix { prefix_len: bytes.len(), frame_len: len };
            assert_eq!(read_prefix(&bytes, FRAME_MAX), Ok(Some(expected)));
        }
        let len = FRAME_MAX + 1;
        assert_eq!(read_prefix(&prefix(len), FRAME_MAX), Err(FrameError::TooLong { len: len as u64, max: FRAME_MAX }));
    }

    #[test]
    fn prefixes_that_are_no_canonical_varint_are_refused() {
        assert_eq!(read_prefix(&[0xff; 10], FRAME_MAX), Err(FrameError::BadPrefix));
        assert_eq!(read_prefix(&[0x80, 0x00], FRAME_MAX), Err(FrameError::BadPrefix));
        assert_eq!(read_prefix(&[0xff; 4], FRAME_MAX), Ok(None));
    }
}
