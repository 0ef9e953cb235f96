use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bruit_core::Seed;
use bytes::Bytes;
use libp2p::{Multiaddr, PeerId, Swarm};
use rand::RngExt as _;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::sleep,
};

use super::{
    calls::{Calls, Told, connect, next},
    figures::Figures,
    sampler::{Sampler, Span, figures, nanos},
};
use crate::pair::cpu_time;

const WARM_UP: Duration = Duration::from_millis(300);

/// Asks in the loop that drives the swarm, so many calls in flight.
pub(crate) async fn inline<C: Calls>(
    calls: C,
    in_flight: usize,
    span: Span,
    addr: Multiaddr,
) -> anyhow::Result<Figures> {
    let (mut swarm, server) = connect(&calls, addr).await?;
    let request = Bytes::from(vec![7; calls.lengths().request]);
    let mut under_way = BTreeMap::new();
    let mut sampler = Sampler::start(span);
    for _ in 0..in_flight {
        under_way.insert(calls.ask(swarm.behaviour_mut(), server, request.clone())?, Instant::now());
    }
    loop {
        if let Told::Answered(call, _) = next::<C>(&mut swarm).await?
            && let Some(asked) = under_way.remove(&call)
        {
            if sampler.answered(asked.elapsed()) {
                return sampler.figures();
            }
            under_way.insert(calls.ask(swarm.behaviour_mut(), server, request.clone())?, Instant::now());
        }
    }
}

/// Asks from so many tasks, each of which has one call in flight.
pub(crate) async fn tasks<C: Calls>(
    calls: C,
    in_flight: usize,
    window: Duration,
    addr: Multiaddr,
) -> anyhow::Result<Figures> {
    let (swarm, server) = connect(&calls, addr).await?;
    let (wishes, queue) = mpsc::unbounded_channel();
    let request = Bytes::from(vec![7; calls.lengths().request]);
    let begin = Instant::now() + WARM_UP;
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        callers.spawn(caller(wishes.clone(), request.clone(), (begin, begin + window)));
    }
    let measured = async {
        sleep(begin.saturating_duration_since(Instant::now())).await;
        let (time, cpu) = (Instant::now(), cpu_time());
        sleep((begin + window).saturating_duration_since(Instant::now())).await;
        let (time, cpu) = (time.elapsed(), cpu_time().saturating_sub(cpu));
        let nanos = callers.join_all().await.concat();
        figures(nanos, time, cpu)
    };
    tokio::select! {
        figures = measured => figures,
        failed = drive(calls, swarm, server, queue) => failed,
    }
}

/// Calls that come at independent times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arriving {
    /// On average.
    pub(crate) per_second: u32,
    /// Who comes while so many are under way is turned away.
    pub(crate) under_way_max: u64,
}

/// Asks at independent times, each time from a task of its own.
pub(crate) async fn independently<C: Calls>(
    calls: C,
    arriving: Arriving,
    window: Duration,
    addr: Multiaddr,
) -> anyhow::Result<Figures> {
    let (swarm, server) = connect(&calls, addr).await?;
    let (wishes, queue) = mpsc::unbounded_channel();
    let request = Bytes::from(vec![7; calls.lengths().request]);
    let arrivals = Arc::new(Arrivals::default());
    let source = {
        let (arrivals, runtime) = (arrivals.clone(), Handle::current());
        move || arrivals.make(&runtime, arriving, window, &wishes, &request)
    };
    let measured = async {
        let (time, cpu) = tokio::task::spawn_blocking(source).await?;
        figures(std::mem::take(&mut *arrivals.nanos()), time, cpu)
    };
    tokio::select! {
        figures = measured => figures,
        failed = drive(calls, swarm, server, queue) => failed,
    }
}

/// A request of a task, and where its answer goes.
type Wish = (Bytes, oneshot::Sender<Bytes>);

async fn caller(wishes: mpsc::UnboundedSender<Wish>, request: Bytes, (begin, end): (Instant, Instant)) -> Vec<u32> {
    let mut taken = Vec::new();
    let mut asked = Instant::now();
    loop {
        let (sender, answer) = oneshot::channel();
        if wishes.send((request.clone(), sender)).is_err() || answer.await.is_err() {
            return taken;
        }
        let now = Instant::now();
        if now >= end {
            return taken;
        }
        if now >= begin {
            taken.push(nanos(now - asked));
        }
        asked = now;
    }
}

/// Calls that begin when they will.
#[derive(Default)]
struct Arrivals {
    under_way: AtomicU64,
    nanos: Mutex<Vec<u32>>,
}

impl Arrivals {
    fn nanos(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.nanos.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts tasks until the window is over, and gives its length and what processor time it took. The thread sleeps
    /// between arrivals: those that came meanwhile start together.
    fn make(
        self: &Arc<Self>,
        runtime: &Handle,
        Arriving { per_second, under_way_max }: Arriving,
        window: Duration,
        wishes: &mpsc::UnboundedSender<Wish>,
        request: &Bytes,
    ) -> (Duration, Duration) {
        let mut rng = Seed::from_number(1).rng();
        let begin = Instant::now() + WARM_UP;
        let (mut due, mut since) = (Instant::now(), None);
        loop {
            let gap = -rng.random::<f64>().max(f64::MIN_POSITIVE).ln() / f64::from(per_second);
            due += Duration::from_secs_f64(gap);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if since.is_none() && due >= begin {
                since = Some((Instant::now(), cpu_time()));
            }
            if let Some((time, cpu)) = since.filter(|_| due >= begin + window) {
                return (time.elapsed(), cpu_time().saturating_sub(cpu));
            }
            if self.under_way.fetch_add(1, Ordering::Relaxed) >= under_way_max {
                self.under_way.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (sender, answer) = oneshot::channel();
            let (arrivals, wishes, request) = (self.clone(), wishes.clone(), request.clone());
            let counts = since.is_some();
            runtime.spawn(async move {
                let asked = Instant::now();
                if wishes.send((request, sender)).is_ok() && answer.await.is_ok() && counts {
                    arrivals.nanos().push(nanos(asked.elapsed()));
                }
                arrivals.under_way.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
}

/// Drives the swarm of the tasks that ask; ends only when it fails.
async fn drive<C: Calls>(
    calls: C,
    mut swarm: Swarm<C::Behaviour>,
    server: PeerId,
    mut wishes: mpsc::UnboundedReceiver<Wish>,
) -> anyhow::Result<Figures> {
    let mut under_way = BTreeMap::new();
    let mut queued = Vec::new();
    loop {
        tokio::select! {
            _ = wishes.recv_many(&mut queued, 64), if !wishes.is_closed() || !wishes.is_empty() => {
                for (request, sender) in queued.drain(..) {
                    under_way.insert(calls.ask(swarm.behaviour_mut(), server, request)?, sender);
                }
            }
            told = next::<C>(&mut swarm) => {
                if let Told::Answered(call, answer) = told?
                    && let Some(sender) = under_way.remove(&call)
                {
                    let _ = sender.send(answer);
                }
            }
        }
    }
}
