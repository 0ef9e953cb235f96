use std::io;

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response::Codec;

/// Requests and answers for libp2p's request-response; everything has a known length, so nothing needs a prefix.
#[derive(Clone)]
pub(crate) struct Fixed {
    pub(crate) request_len: usize,
    pub(crate) answer_len: usize,
}

impl Codec for Fixed {
    type Protocol = &'static str;
    type Request = Bytes;
    type Response = Bytes;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &&str, io: &mut T) -> io::Result<Bytes> {
        exactly(self.request_len, io).await
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, _: &&str, io: &mut T) -> io::Result<Bytes> {
        exactly(self.answer_len, io).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &&str,
        io: &mut T,
        request: Bytes,
    ) -> io::Result<()> {
        io.write_all(&request).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &&str,
        io: &mut T,
        answer: Bytes,
    ) -> io::Result<()> {
        io.write_all(&answer).await
    }
}

async fn exactly<T: AsyncRead + Unpin + Send>(len: usize, io: &mut T) -> io::Result<Bytes> {
    let mut bytes = vec![0; len];
    io.read_exact(&mut bytes).await?;
    Ok(bytes.into())
}
