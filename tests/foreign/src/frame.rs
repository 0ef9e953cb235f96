//! Frames: an unsigned varint with the length, then one message.

use std::io;

use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use prost::Message;

/// The longest frame, its prefix not counted.
const FRAME_MAX: usize = 262_144;
/// How many bytes a prefix may have.
const PREFIX_MAX: usize = 5;

/// Reads one message; `None` when the stream ended before it.
pub(crate) async fn read<M: Message + Default>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<M>> {
    let Some(len) = read_prefix(stream).await? else { return Ok(None) };
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    M::decode(&*bytes).map(Some).map_err(io::Error::other)
}

/// Writes one message.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &impl Message) -> io::Result<()> {
    // prost's prefix is the same: an unsigned varint of as few bytes as possible.
    stream.write_all(&message.encode_length_delimited_to_vec()).await?;
    stream.flush().await
}

async fn read_prefix(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<usize>> {
    let mut len = 0;
    for position in 0..PREFIX_MAX {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return if position == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        len |= usize::from(byte[0] & 0x7f) << (7 * position);
        if byte[0] & 0x80 == 0 {
            let is_canonical = byte[0] != 0 || position == 0;
            return if is_canonical && len <= FRAME_MAX {
                Ok(Some(len))
            } else {
                Err(io::ErrorKind::InvalidData.into())
            };
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}
