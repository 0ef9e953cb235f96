use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, ensure};
use libp2p::Multiaddr;
use tokio::sync::{Notify, oneshot};

use crate::pair::{cpu_time, start};

/// How long both ends may take until the first unit arrives.
const CONNECT_MAX: Duration = Duration::from_secs(30);
const WARM_UP: Duration = Duration::from_millis(300);

/// What arrived at the listener, counted in whatever unit is measured.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    arrived: AtomicU64,
    /// Told at every so many units, for senders that wait.
    progress: Notify,
}

/// What one run of two swarms showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    /// Of the whole process, both ends.
    pub(crate) cpu_micros_each: f64,
}

impl Measured {
    /// The same, counted in units that have so many of the present ones.
    pub(crate) fn in_units_of(self, size: f64) -> Self {
        Self { per_second: self.per_second / size, cpu_micros_each: self.cpu_micros_each * size }
    }
}

impl Meter {
    pub(crate) fn add(&self, units: u64) {
        self.arrived.fetch_add(units, Ordering::Relaxed);
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Wakes the sender.
    pub(crate) fn tell(&self) {
        self.progress.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.progress.notified().await;
    }
}

/// Runs two swarms, each on a thread and a runtime of its own, and measures what arrives within a time.
///
/// `listen` gets a place for the address it listens on; `dial` gets that address.
pub(crate) fn duel<L, D, LF, DF>(window: Duration, listen: L, dial: D) -> anyhow::Result<Measured>
where
    L: FnOnce(Arc<Meter>, oneshot::Sender<Multiaddr>) -> LF + Send + 'static,
    D: FnOnce(Arc<Meter>, Multiaddr) -> DF + Send + 'static,
    LF: Future<Output = anyhow::Result<()>>,
    DF: Future<Output = anyhow::Result<()>>,
{
    let meter = Arc::new(Meter::default());
    let (addr_sender, addr) = oneshot::channel();
    let listening = meter.clone();
    let (stop_listener, listener) = start(move || listen(listening, addr_sender));
    let dialling = meter.clone();
    let (stop_dialler, dialler) = start(move || async move {
        let addr = addr.await.context("the listener has no address")?;
        dial(dialling, addr).await
    });
    let measured = measure(&meter, window, || listener.is_finished() || dialler.is_finished());
    // Whoever stops second may see the other's end as an error.
    let have_ended = listener.is_finished() || dialler.is_finished();
    drop((stop_listener, stop_dialler));
    for thread in [dialler, listener] {
        let result = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
        if have_ended {
            result?;
        }
    }
    measured
}

fn measure(meter: &Meter, window: Duration, has_ended: impl Fn() -> bool) -> anyhow::Result<Measured> {
    let deadline = Instant::now() + CONNECT_MAX;
    while meter.arrived() == 0 && !has_ended() {
        ensure!(Instant::now() < deadline, "nothing arrived within {} s", CONNECT_MAX.as_secs());
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(WARM_UP);
    let (units, cpu, time) = (meter.arrived(), cpu_time(), Instant::now());
    thread::sleep(window);
    let (units, cpu, time) = (meter.arrived() - units, cpu_time() - cpu, time.elapsed());
    ensure!(units > 0 || has_ended(), "nothing arrived within {} s", window.as_secs_f64());
    let per_second = units as f64 / time.as_secs_f64();
    Ok(Measured { per_second, cpu_micros_each: cpu.as_secs_f64() * 1e6 / units.max(1) as f64 })
}
