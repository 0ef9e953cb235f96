//! The codec of rare exchanges: one request frame, one response frame, close.
//!
//! It decides how long a frame may be and reads no more than that. It does not decide what nonsense costs a peer:
//! `libp2p-request-response` tells its owner nothing about a request that a codec fails to read, so a frame that breaks a
//! rule arrives as a value, and only a broken stream is an I/O error.

#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{fmt, io, marker::PhantomData};

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p_request_response::Codec;

use crate::{DecodeError, FRAME_MAX, FrameError, Limited, PREFIX_MAX, decode, frame, read_prefix};

/// A frame that breaks a rule; the stream is in order otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableError {
    /// Its prefix announces no acceptable frame; nothing of it was read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It holds no such message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Reads and writes one message per frame for `libp2p-request-response`, each behind a `uvarint` of its length.
///
/// A message that is sent is `Ok`; one that arrived is `Err` when its frame breaks a rule.
///
/// # Security
/// The length is checked before anything is allocated, and memory grows with what has arrived, not with what is promised. What
/// a peer sends after its frame is not read.
pub struct BoundedCodec<Request, Response> {
    request_max: usize,
    response_max: usize,
    messages: PhantomData<fn() -> (Request, Response)>,
}

impl<Request, Response> BoundedCodec<Request, Response> {
    /// Makes a codec for frames of at most so many bytes; at most [`FRAME_MAX`].
    pub fn new(request_max: usize, response_max: usize) -> Self {
        Self {
            request_max: request_max.min(FRAME_MAX),
            response_max: response_max.min(FRAME_MAX),
            messages: PhantomData,
        }
    }
}

impl<Request, Response> Clone for BoundedCodec<Request, Response> {
    fn clone(&self) -> Self {
        Self::new(self.request_max, self.response_max)
    }
}

impl<Request, Response> fmt::Debug for BoundedCodec<Request, Response> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedCodec")
            .field("request_max", &self.request_max)
            .field("response_max", &self.response_max)
            .finish_non_exhaustive()
    }
}

impl<Request, Response> Codec for BoundedCodec<Request, Response>
where
    Request: Limited + 'static,
    Response: Limited + 'static,
{
    type Protocol = String;
    type Request = Result<Request, UnreadableError>;
    type Response = Result<Response, UnreadableError>;

    async fn read_request<T>(&mut self, _: &String, io: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_message(io, self.request_max).await
    }

    async fn read_response<T>(&mut self, _: &String, io: &mut T) -> io::Result<Self::Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_message(io, self.response_max).await
    }

    async fn write_request<T>(&mut self, _: &String, io: &mut T, request: Self::Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_message(io, request, self.request_max).await
    }

    async fn write_response<T>(&mut self, _: &String, io: &mut T, response: Self::Response) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_message(io, response, self.response_max).await
    }
}

const READ_STEP: usize = 4 * 1024;

async fn read_message<M, T>(io: &mut T, frame_max: usize) -> io::Result<Result<M, UnreadableError>>
where
    M: Limited,
    T: AsyncRead + Unpin + Send,
{
    match read_frame_len(io, frame_max).await? {
        Ok(len) => Ok(decode(read_body(io, len).await?).map_err(UnreadableError::from)),
        Err(error) => Ok(Err(error.into())),
    }
}

async fn read_frame_len<T>(io: &mut T, frame_max: usize) -> io::Result<Result<usize, FrameError>>
where
    T: AsyncRead + Unpin + Send,
{
    let mut prefix = Vec::with_capacity(PREFIX_MAX);
    loop {
        let mut byte = [0];
        io.read_exact(&mut byte).await?;
        prefix.extend(byte);
        match read_prefix(&prefix, frame_max) {
            Ok(Some(prefix)) => return Ok(Ok(prefix.frame_len)),
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

async fn read_body<T>(io: &mut T, len: usize) -> io::Result<Bytes>
where
    T: AsyncRead + Unpin + Send,
{
    let mut body = Vec::with_capacity(len.min(READ_STEP));
    while body.len() < len {
        let step = len.saturating_sub(body.len()).min(READ_STEP);
        let read = (&mut *io).take(step as u64).read_to_end(&mut body).await?;
        if read < step {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body.into())
}

async fn write_message<M, T>(io: &mut T, message: Result<M, UnreadableError>, frame_max: usize) -> io::Result<()>
where
    M: Limited,
    T: AsyncWrite + Unpin + Send,
{
    let message = message.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let len = message.encoded_len();
    if len > frame_max {
        let error = FrameError::TooLong { len: len as u64, max: frame_max };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    io.write_all(&frame(&message)).await?;
    io.flush().await
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, io::Cursor};

    use super::*;
    use crate::pb;

    const MAX: usize = 16;

    fn read(bytes: &[u8]) -> io::Result<Result<pb::GetAddr, UnreadableError>> {
        block_on(read_message(&mut Cursor::new(bytes), MAX))
    }

    fn written(message: Result<pb::GetAddr, UnreadableError>, frame_max: usize) -> io::Result<Vec<u8>> {
        let mut io = Cursor::new(Vec::new());
        block_on(write_message(&mut io, message, frame_max))?;
        Ok(io.into_inner())
    }

    #[test]
    fn messages_survive_the_round_trip_and_what_follows_is_left() {
        for count_max in [0, 1, 1_000, u32::MAX] {
            let message = pb::GetAddr { count_max };
            let mut bytes = written(Ok(message), MAX).unwrap();
            bytes.extend([0xff; 3]);
            assert_eq!(read(&bytes).unwrap(), Ok(message));
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_neither_read_nor_written() {
        let too_long = FrameError::TooLong { len: MAX as u64 + 1, max: MAX };
        assert_eq!(read(&[MAX as u8 + 1]).unwrap(), Err(too_long.into()));
        assert_eq!(read(&[0x80; 5]).unwrap(), Err(FrameError::BadPrefix.into()));
        let message = pb::GetAddr { count_max: 1_000 };
        assert!(written(Ok(message), 3).is_ok());
        assert_eq!(written(Ok(message), 2).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn nonsense_is_a_value_and_a_stream_cut_off_an_error() {
        assert!(matches!(read(&[2, 0x0a, 0x05]).unwrap(), Err(UnreadableError::Decode(_))));
        for cut_off in [&[][..], &[0x80], &[2, 0x08]] {
            assert_eq!(read(cut_off).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn memory_grows_with_what_has_arrived() {
        let body = vec![7; READ_STEP + 1];
        assert_eq!(block_on(read_body(&mut Cursor::new(&body), READ_STEP + 1)).unwrap(), body);
        assert!(block_on(read_body(&mut Cursor::new(&body), FRAME_MAX)).is_err());
    }
}
