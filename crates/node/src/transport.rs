//! How bytes travel: TCP, Noise and Yamux, with names resolved outside of the filter that keeps a node out of its own site.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bruit_core::{AddrPolicy, Endpoint};
use futures::{AsyncRead, AsyncWrite, future::Either};
use libp2p::{
    Multiaddr, PeerId,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, DialOpts, ListenerId, Transport, TransportError, TransportEvent},
        upgrade::Version,
    },
    dns,
    identity::Keypair,
    noise,
    pnet::{PnetConfig, PnetError, PnetOutput, PreSharedKey},
    tcp, yamux,
};

use crate::status::TrafficCounts;

/// How long a connection may take from the first packet to the last step of its handshake. libp2p: 10 s.
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

/// How many streams a connection has at most, of both sides; one more ends it. All protocols together take about 40.
///
/// # Security
/// Each holds up to 256 KiB that nobody has read, and much more when they come byte by byte: yamux's own limit is 512 streams.
/// It is also below the 128 that libp2p negotiates at a time, so that none waits where no time-out reaches it.
const STREAMS_MAX: usize = 64;

/// Builds the transport of a node. With a shared key, nobody without it gets as far as a handshake.
pub(crate) fn build(
    key: &Keypair,
    shared_key: Option<PreSharedKey>,
    policy: AddrPolicy,
    traffic: &Traffic,
) -> io::Result<Boxed<(PeerId, StreamMuxerBox)>> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    let dialled = Filtered { inner: tcp, policy };
    let named = match dns::tokio::Transport::system(dialled) {
        Ok(named) => named,
        Err(error) => {
            tracing::warn!(%error, "the system's name servers cannot be read; names will not be resolved");
            let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
            dns::tokio::Transport::custom(
                Filtered { inner: tcp, policy },
                dns::ResolverConfig::default(),
                dns::ResolverOpts::default(),
            )
        }
    };
    let traffic = traffic.clone();
    let mut streams = yamux::Config::default();
    streams.set_max_num_streams(STREAMS_MAX);
    let secured = named
        .map(move |socket, _| Counted { socket, traffic: traffic.clone() })
        .and_then(move |socket, _| veiled(socket, shared_key))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key).map_err(io::Error::other)?)
        .multiplex(streams);
    Ok(secured.timeout(SETUP_TIMEOUT).boxed())
}

/// The socket, encrypted with the key of the private network if there is one.
async fn veiled<S>(socket: S, shared_key: Option<PreSharedKey>) -> Result<Either<PnetOutput<S>, S>, PnetError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    match shared_key {
        Some(key) => PnetConfig::new(key).handshake(socket).await.map(Either::Left),
        None => Ok(Either::Right(socket)),
    }
}

/// Counts what travels through all sockets of a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic(Arc<[AtomicU64; 2]>);

impl Traffic {
    pub(crate) fn counts(&self) -> TrafficCounts {
        let [bytes_in, bytes_out] = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        TrafficCounts { bytes_in, bytes_out }
    }

    fn count(&self, direction: usize, result: &Poll<io::Result<usize>>) {
        if let (Some(count), Poll::Ready(Ok(bytes))) = (self.0.get(direction), result) {
            count.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }
}

/// A socket whose bytes are counted.
#[derive(Debug)]
struct Counted<S> {
    socket: S,
    traffic: Traffic,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_read(cx, buffer);
        self.traffic.count(0, &result);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.traffic.count(1, &result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.traffic.count(1, &result);
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

/// Dials only what the policy admits.
///
/// # Security
/// It stands inside the resolver, so that it sees the addresses that names lead to: nobody can make a node connect inside
/// its own site by a name.
#[derive(Debug)]
struct Filtered<T> {
    inner: T,
    policy: AddrPolicy,
}

impl<T: Transport + Unpin> Transport for Filtered<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, addr: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, addr)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, addr: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        let admitted = Endpoint::from_multiaddr(&addr)
            .is_ok_and(|(endpoint, _)| endpoint.ip().is_some() && self.policy.check(&endpoint).is_ok());
        if !admitted {
            tracing::debug!(%addr, "not dialled: private or reserved");
            return Err(TransportError::MultiaddrNotSupported(addr));
        }
        self.inner.dial(addr, options)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::AsyncWriteExt as _;
    use libp2p::core::{Endpoint as Role, muxing::StreamMuxerExt as _, transport::PortUse};

    use super::*;

    fn admits(addr: &str, allow_private_addrs: bool) -> bool {
        let tcp = tcp::tokio::Transport::new(tcp::Config::default());
        let mut filtered = Filtered { inner: tcp, policy: AddrPolicy { allow_private_addrs } };
        let options = DialOpts { role: Role::Dialer, port_use: PortUse::New };
        filtered.dial(addr.parse().unwrap(), options).is_ok()
    }

    #[tokio::test]
    async fn fault_private_addresses_are_not_dialled_unless_allowed() {
        for addr in
            ["/ip4/127.0.0.1/tcp/9", "/ip4/10.0.0.1/tcp/9", "/ip6/::ffff:192.168.0.1/tcp/9", "/ip6/fd00::1/tcp/9"]
        {
            assert!(!admits(addr, false), "{addr}");
            assert!(admits(addr, true), "{addr}");
        }
        for addr in ["/ip4/169.254.169.254/tcp/80", "/ip4/224.0.0.1/tcp/9", "/ip4/127.0.0.1/tcp/0"] {
            assert!(!admits(addr, false) && !admits(addr, true), "{addr}");
        }
        assert!(admits("/ip4/1.1.1.1/tcp/9", false));
    }

    #[tokio::test]
    async fn fault_a_name_that_leads_inside_is_not_dialled() {
        let key = Keypair::generate_ed25519();
        let mut transport = build(&key, None, AddrPolicy::default(), &Traffic::default()).unwrap();
        let options = DialOpts { role: Role::Dialer, port_use: PortUse::New };
        let dial = transport.dial("/dns4/localhost/tcp/9".parse().unwrap(), options).unwrap();
        let error = dial.await.unwrap_err();
        assert!(!format!("{error:?}").contains("ConnectionRefused"), "it was dialled: {error:?}");
    }

    /// How many of so many streams arrive that a peer opens whose own limit is higher.
    async fn streams_that_open(count: usize) -> usize {
        let policy = AddrPolicy { allow_private_addrs: true };
        let mut node = build(&Keypair::generate_ed25519(), None, policy, &Traffic::default()).unwrap();
        node.listen_on(ListenerId::next(), "/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let addr = loop {
            if let TransportEvent::NewAddress { listen_addr, .. } = next_event(&mut node).await {
                break listen_addr;
            }
        };
        let mut peer = tcp::tokio::Transport::new(tcp::Config::default())
            .upgrade(Version::V1)
            .authenticate(noise::Config::new(&Keypair::generate_ed25519()).unwrap())
            .multiplex(yamux::Config::default())
            .boxed();
        let dial = peer.dial(addr, DialOpts { role: Role::Dialer, port_use: PortUse::New }).unwrap();
        let accepted = async {
            let upgrade = loop {
                if let TransportEvent::Incoming { upgrade, .. } = next_event(&mut node).await {
                    break upgrade;
                }
            };
            upgrade.await.unwrap().1
        };
        let (dialled, mut accepted) = futures::join!(dial, accepted);
        let mut dialled = dialled.unwrap().1;
        let mut opened = Vec::new();
        while opened.len() < count {
            let mut stream = std::future::poll_fn(|cx| dialled.poll_outbound_unpin(cx)).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            opened.push(stream);
        }
        let mut received = Vec::new();
        std::future::poll_fn(|cx| {
            // The peer writes; what becomes of its side shows at the node's.
            let _ = dialled.poll_unpin(cx);
            while let Poll::Ready(stream) = accepted.poll_inbound_unpin(cx) {
                match stream {
                    Ok(stream) => received.push(stream),
                    Err(_) => return Poll::Ready(()),
                }
            }
            if received.len() == count { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        received.len()
    }

    async fn next_event<T: Transport + Unpin>(transport: &mut T) -> TransportEvent<T::ListenerUpgrade, T::Error> {
        std::future::poll_fn(|cx| Pin::new(&mut *transport).poll(cx)).await
    }

    #[tokio::test]
    async fn fault_a_peer_opens_no_more_streams_than_there_may_be() {
        assert_eq!(streams_that_open(STREAMS_MAX).await, STREAMS_MAX);
        assert_eq!(streams_that_open(STREAMS_MAX + 1).await, STREAMS_MAX);
    }
}
