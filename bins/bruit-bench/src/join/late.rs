use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    PeerId, Transport,
    core::{muxing::StreamMuxerBox, transport::Boxed, upgrade},
    identity::Keypair,
    noise, tcp, yamux,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

const READ_BYTES: usize = 16 * 1024;
/// How many reads may wait for their time; then the sender waits.
const READS_MAX: usize = 256;

/// TCP, Noise and Yamux, where everything that is sent arrives later by `one_way`, the first packets of a connection included.
pub(crate) fn transport(key: &Keypair, one_way: Duration) -> anyhow::Result<Boxed<(PeerId, StreamMuxerBox)>> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let late = tcp.and_then(move |socket, point| async move {
        if point.is_dialer() {
            sleep(one_way * 2).await;
        }
        Ok::<_, io::Error>(Late::new(socket, one_way))
    });
    let secured = late.upgrade(upgrade::Version::V1Lazy).authenticate(noise::Config::new(key)?);
    Ok(secured.multiplex(yamux::Config::default()).boxed())
}

/// A socket that shows what has come some time later.
struct Late<S> {
    socket: S,
    delay: Duration,
    arrived: VecDeque<(Instant, Vec<u8>)>,
    timer: Pin<Box<Sleep>>,
    has_ended: bool,
}

impl<S: AsyncRead + Unpin> Late<S> {
    fn new(socket: S, delay: Duration) -> Self {
        let timer = Box::pin(sleep_until(Instant::now()));
        Self { socket, delay, arrived: VecDeque::new(), timer, has_ended: false }
    }

    /// Takes in what has come, so that its time begins now.
    fn take_in(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.has_ended && self.arrived.len() < READS_MAX {
            let mut bytes = vec![0; READ_BYTES];
            let Poll::Ready(count) = Pin::new(&mut self.socket).poll_read(cx, &mut bytes) else { break };
            bytes.truncate(count?);
            self.has_ended = bytes.is_empty();
            self.arrived.push_back((Instant::now() + self.delay, bytes));
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Late<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.take_in(cx)?;
        let Some((at, bytes)) = this.arrived.front_mut() else {
            return if this.has_ended { Poll::Ready(Ok(0)) } else { Poll::Pending };
        };
        if *at > Instant::now() {
            if this.timer.deadline() != *at {
                this.timer.as_mut().reset(*at);
            }
            ready!(this.timer.as_mut().poll(cx));
        }
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        bytes.drain(..count);
        if bytes.is_empty() {
            this.arrived.pop_front();
        }
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Late<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt as _, AsyncWriteExt as _, io::Cursor};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_comes_later_by_the_delay_and_whole() {
        let (delay, sent) = (Duration::from_millis(25), vec![7; 3 * READ_BYTES + 1]);
        let (begun, mut received) = (Instant::now(), Vec::new());
        Late::new(Cursor::new(sent.clone()), delay).read_to_end(&mut received).await.unwrap();
        assert_eq!((received, begun.elapsed()), (sent, delay));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_leaves_at_once() {
        let begun = Instant::now();
        let mut late = Late::new(Cursor::new(vec![0; 4]), Duration::from_millis(25));
        late.write_all(b"once").await.unwrap();
        assert_eq!((late.socket.get_ref().as_slice(), begun.elapsed()), (b"once".as_slice(), Duration::ZERO));
    }
}
