//! A listener that holds so many connections and no more; others wait to be taken.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

/// Takes connections while there are fewer than so many.
///
/// # Security
/// Each costs an open file, of which a process has few: without a limit, whoever may open these connections could keep the
/// node's peers out.
#[derive(Debug)]
pub(crate) struct Capped<L> {
    listener: L,
    places: Arc<Semaphore>,
    idle_max: Option<Duration>,
}

impl<L> Capped<L> {
    pub(crate) fn new(listener: L, connections_max: usize) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(connections_max)), idle_max: None }
    }

    /// Ends connections on which nothing comes for so long.
    pub(crate) fn without_idle(self, idle_max: Duration) -> Self {
        Self { idle_max: Some(idle_max), ..self }
    }
}

impl<L: Listener> Listener for Capped<L> {
    type Io = Placed<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the places are never closed");
        let (io, addr) = self.listener.accept().await;
        let idle = self.idle_max.map(|max| Idle { max, ends: Box::pin(sleep(max)) });
        (Placed { io, idle, _place: place }, addr)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that has a place until it ends.
#[derive(Debug)]
pub(crate) struct Placed<I> {
    io: I,
    idle: Option<Idle>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Idle {
    max: Duration,
    ends: Pin<Box<Sleep>>,
}

impl Idle {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ends.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Placed<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        match &mut self.idle {
            Some(idle) if read.is_pending() => idle.poll(cx),
            Some(idle) => {
                idle.ends.as_mut().reset(Instant::now() + idle.max);
                read
            }
            None => read,
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Placed<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn fault_idle_connections_do_not_take_all_open_files() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut capped = Capped::new(listener, 2);
        let mut dialled = Vec::new();
        for _ in 0..3 {
            dialled.push(TcpStream::connect(addr).await.unwrap());
        }
        let first = capped.accept().await;
        let _second = capped.accept().await;
        assert!(capped.accept().now_or_never().is_none(), "a third one waits");
        drop(first);
        capped.accept().await;
    }

    #[tokio::test]
    async fn fault_connections_on_which_nothing_comes_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut capped = Capped::new(listener, 1).without_idle(Duration::from_millis(100));
        let mut idle = TcpStream::connect(addr).await.unwrap();
        let (mut io, _) = capped.accept().await;
        idle.write_all(b"GET").await.unwrap();
        assert_eq!(io.read(&mut [0; 9]).await.unwrap(), 3);
        assert_eq!(io.read(&mut [0; 9]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
