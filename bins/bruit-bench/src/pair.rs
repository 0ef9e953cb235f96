use std::{
    net::Ipv4Addr,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, anyhow};
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, swarm::NetworkBehaviour, tcp, yamux};
use rustix::time::{ClockId, clock_gettime};
use tokio::{runtime, sync::oneshot, time::timeout};

/// How long one measurement of two nodes may take in all.
const LIMIT: Duration = Duration::from_secs(900);

/// On how many threads two nodes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// Each has a thread and a current-thread runtime of its own.
    OwnThreads,
    /// Both run on one multi-thread runtime with two workers.
    Shared,
}

/// Runs two nodes until the one that dials is done, and gives what it found.
///
/// `listen` gets a place for the address it listens on, and runs until it is dropped; `dial` gets that address.
pub(crate) fn pair<L, D, LF, DF, T>(arrangement: Arrangement, listen: L, dial: D) -> anyhow::Result<T>
where
    L: FnOnce(oneshot::Sender<Multiaddr>) -> LF + Send + 'static,
    D: FnOnce(Multiaddr) -> DF + Send + 'static,
    LF: Future<Output = anyhow::Result<()>> + Send + 'static,
    DF: Future<Output = anyhow::Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let (addr_sender, addr) = oneshot::channel();
    let dialled = async move {
        let addr = addr.await.context("the listener has no address")?;
        timeout(LIMIT, dial(addr)).await.context("it took too long")?
    };
    match arrangement {
        Arrangement::OwnThreads => {
            let (stop, listener) = start(move || listen(addr_sender));
            let dialler =
                thread::spawn(move || runtime::Builder::new_current_thread().enable_all().build()?.block_on(dialled));
            let found = dialler.join().map_err(|_| anyhow!("a thread panicked"))?;
            drop(stop);
            let listened = listener.join().map_err(|_| anyhow!("a thread panicked"))?;
            explained(found, listened)
        }
        Arrangement::Shared => {
            let shared = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            shared.block_on(async {
                let listener = tokio::spawn(listen(addr_sender));
                let found = tokio::spawn(dialled).await?;
                let listened = if listener.is_finished() { listener.await? } else { Ok(()) };
                explained(found, listened)
            })
        }
    }
}

/// Why the listener ended explains why the dialler failed; after a success it only noticed the end.
fn explained<T>(found: anyhow::Result<T>, listened: anyhow::Result<()>) -> anyhow::Result<T> {
    found.map_err(|error| match listened {
        Ok(()) => error,
        Err(listener) => anyhow!("{error:#}; the listener: {listener:#}"),
    })
}

/// A thread with a current-thread runtime, which ends when the sender is dropped.
pub(crate) fn start<W, F>(work: W) -> (oneshot::Sender<()>, JoinHandle<anyhow::Result<()>>)
where
    W: FnOnce() -> F + Send + 'static,
    F: Future<Output = anyhow::Result<()>>,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::select! {
                result = work() => result,
                _ = stopped => Ok(()),
            }
        })
    });
    (stop, thread)
}

/// A swarm over TCP, Noise and Yamux; its connections stay.
pub(crate) fn swarm<B: NetworkBehaviour>(behaviour: B) -> anyhow::Result<Swarm<B>> {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| behaviour)?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3600)))
        .build();
    Ok(swarm)
}

pub(crate) fn loopback() -> Multiaddr {
    Multiaddr::from(Ipv4Addr::LOCALHOST).with(libp2p::multiaddr::Protocol::Tcp(0))
}

/// What the whole process has used, user and system.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
