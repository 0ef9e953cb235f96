//! What gossip did not bring is fetched: for files that stall, and for files that a peer names and this node never heard of.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bruit_core::{Clock, Timestamp};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    files::{FetchWish, ManifestId, fetch::KeepFor},
    handle::{CallOptions, Handle},
};

/// How often it is looked for what stalls.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How many files are repaired at once.
const REPAIRS_MAX: usize = 4;
/// The first wait before a peer is asked for recent files; doubles up to the setting.
const RECENT_FIRST: Duration = Duration::from_secs(1);
/// How long a file that nobody has is left alone; doubles with each attempt.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How many files named by peers wait to be fetched: four answers.
const NAMED_MAX: usize = 1_024;
/// How many files that cannot be had are remembered.
const ATTEMPTS_MAX: usize = 1_024;
/// How far back `recent` asks: a day, as long as a restarted node may have been away.
const RECENT_WINDOW: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug)]
struct Repairs {
    handle: Handle,
    running: JoinSet<Outcome>,
    under_way: BTreeSet<ManifestId>,
    attempts: BTreeMap<ManifestId, (u32, Timestamp)>,
    /// Files named by peers, of which nothing came.
    named: BTreeMap<ManifestId, String>,
    recent_wait: Duration,
    recent_at: Option<Timestamp>,
}

#[derive(Debug)]
enum Outcome {
    /// A file was fetched as far as it could be had.
    Fetched { manifest: ManifestId, is_whole: bool },
    /// Peers named files of the node's topics.
    Named(Vec<(ManifestId, String)>),
}

/// Repairs until the node stops.
pub(crate) async fn repair(handle: Handle) {
    let clock = Clock::start();
    let mut repairs = Repairs {
        handle,
        running: JoinSet::new(),
        under_way: BTreeSet::new(),
        attempts: BTreeMap::new(),
        named: BTreeMap::new(),
        recent_wait: RECENT_FIRST,
        recent_at: None,
    };
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let Ok(status) = repairs.handle.status().await else { return };
                if status.peers.total() > 0 {
                    repairs.ask_for_recent(&status.subscriptions, clock.now());
                    repairs.start(&status.subscriptions, clock.now());
                }
            }
            Some(ended) = repairs.running.join_next() => {
                match ended {
                    Ok(Outcome::Fetched { manifest, is_whole }) => repairs.fetched(manifest, is_whole, clock.now()),
                    Ok(Outcome::Named(named)) => repairs.named(named),
                    Err(error) => tracing::error!(%error, "a repair ended early"),
                }
            }
        }
    }
}

impl Repairs {
    fn start(&mut self, subscriptions: &[String], now: Timestamp) {
        let delay = self.handle.config().files.repair_delay();
        let stalled = self.handle.files().lock().stalled(delay, now);
        let stalled = stalled.into_iter().map(|(id, topic)| (id, topic.as_ref().to_owned()));
        let wanted: BTreeMap<ManifestId, String> = self.named.clone().into_iter().chain(stalled).collect();
        for (manifest, topic) in wanted {
            let is_early = self.attempts.get(&manifest).is_some_and(|(_, next)| *next > now);
            if is_early || self.under_way.len() >= REPAIRS_MAX || !self.under_way.insert(manifest) {
                continue;
            }
            self.named.remove(&manifest);
            if !subscriptions.contains(&topic) {
                self.under_way.remove(&manifest);
                continue;
            }
            let handle = self.handle.clone();
            self.running.spawn(async move {
                let fetched = handle.fetch_and_keep(&FetchWish::whole(manifest), Some(KeepFor(&topic))).await;
                Outcome::Fetched { manifest, is_whole: fetched.report.complete }
            });
        }
    }

    fn fetched(&mut self, manifest: ManifestId, is_whole: bool, now: Timestamp) {
        self.under_way.remove(&manifest);
        if is_whole {
            self.attempts.remove(&manifest);
            return;
        }
        let (first, longest) = RETRY;
        let count = self.attempts.get(&manifest).map_or(0, |(count, _)| *count);
        let wait = first.saturating_mul(2_u32.saturating_pow(count)).min(longest);
        self.attempts.insert(manifest, (count.saturating_add(1), now.after(wait)));
        if self.attempts.len() > ATTEMPTS_MAX {
            let soonest = self.attempts.iter().min_by_key(|(_, (_, next))| *next).map(|(id, _)| *id);
            soonest.and_then(|id| self.attempts.remove(&id));
        }
    }

    fn named(&mut self, named: Vec<(ManifestId, String)>) {
        let store = self.handle.files().lock();
        let unknown = named.into_iter().filter(|(manifest, _)| store.manifest(*manifest).is_none());
        self.named.extend(unknown);
        while self.named.len() > NAMED_MAX {
            self.named.pop_last();
        }
    }

    fn ask_for_recent(&mut self, subscriptions: &[String], now: Timestamp) {
        let at = *self.recent_at.get_or_insert(now.after(self.recent_wait));
        if now < at {
            return;
        }
        let settings = &self.handle.config().files;
        self.recent_wait = self.recent_wait.saturating_mul(2).min(settings.recent_interval());
        self.recent_at = Some(now.after(self.recent_wait));
        let options = CallOptions {
            try_timeout: Some(settings.try_timeout()),
            tries_max: Some(settings.tries_max),
            ..CallOptions::idempotent()
        };
        let since = Clock::wall().before(RECENT_WINDOW).as_secs();
        for topic in subscriptions {
            let (handle, topic, options) = (self.handle.clone(), topic.clone(), options.clone());
            self.running.spawn(async move {
                let named = handle.recent(&topic, since, options).await.map(|(named, ..)| named);
                Outcome::Named(named.unwrap_or_default().into_iter().map(|id| (id, topic.clone())).collect())
            });
        }
    }
}
