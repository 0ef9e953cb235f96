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
    files::{FetchReport, FetchWish, ManifestId, fetch::KeepFor},
    handle::{CallOptions, Handle},
};

/// How often it is looked for what stalls.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How many files are repaired at once.
const REPAIRS_MAX: usize = 4;
/// How many chunks one turn of a file may bring, so that long files do not keep short ones waiting: 8 MiB.
const CHUNKS_PER_TURN: u32 = 256;
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
    attempts: BTreeMap<ManifestId, Attempt>,
    /// Files named by peers, of which nothing came.
    named: BTreeMap<ManifestId, String>,
    recent_wait: Duration,
    recent_at: Option<Timestamp>,
}

/// How a file that is not whole fared so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Attempt {
    turns: u32,
    /// How many of the last ones brought nothing.
    in_vain: u32,
    not_before: Option<Timestamp>,
}

#[derive(Debug)]
enum Outcome {
    /// A file had its turn.
    Fetched { manifest: ManifestId, topic: String, report: FetchReport },
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
                    Ok(Outcome::Fetched { manifest, topic, report }) => {
                        repairs.fetched(manifest, topic, &report, clock.now());
                    }
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
        let mut wanted: BTreeMap<ManifestId, String> = self.named.clone().into_iter().chain(stalled).collect();
        wanted.retain(|_, topic| subscriptions.contains(topic));
        self.named.retain(|_, topic| subscriptions.contains(topic));
        let free = REPAIRS_MAX.saturating_sub(self.under_way.len());
        for manifest in due(wanted.keys().copied(), &self.attempts, &self.under_way, now).into_iter().take(free) {
            let Some(topic) = wanted.remove(&manifest) else { continue };
            self.under_way.insert(manifest);
            self.named.remove(&manifest);
            let handle = self.handle.clone();
            self.running.spawn(async move {
                let held = handle.files().lock().view(manifest).map_or(0, |view| view.held);
                let chunks = Some(held.saturating_add(CHUNKS_PER_TURN));
                let wish = FetchWish { chunks, ..FetchWish::whole(manifest) };
                let report = handle.fetch_and_keep(&wish, Some(KeepFor(&topic))).await.report;
                Outcome::Fetched { manifest, topic, report }
            });
        }
    }

    fn fetched(&mut self, manifest: ManifestId, topic: String, report: &FetchReport, now: Timestamp) {
        self.under_way.remove(&manifest);
        if report.complete {
            self.attempts.remove(&manifest);
            return;
        }
        let attempt = self.attempts.entry(manifest).or_default();
        attempt.turn_ended(report.ok > 0, now);
        if attempt.in_vain == 0 {
            self.named.insert(manifest, topic);
        }
        if self.attempts.len() > ATTEMPTS_MAX {
            let soonest = self.attempts.iter().min_by_key(|(_, attempt)| attempt.not_before).map(|(id, _)| *id);
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

impl Attempt {
    fn turn_ended(&mut self, brought_something: bool, now: Timestamp) {
        self.turns = self.turns.saturating_add(1);
        if brought_something {
            (self.in_vain, self.not_before) = (0, None);
            return;
        }
        let (first, longest) = RETRY;
        let wait = first.saturating_mul(2_u32.saturating_pow(self.in_vain)).min(longest);
        self.in_vain = self.in_vain.saturating_add(1);
        self.not_before = Some(now.after(wait));
    }
}

/// Whose turn it is: those that had the fewest.
///
/// # Security
/// Anybody can publish manifests whose chunks nobody has: they have a turn now and then, and keep no other file waiting.
fn due(
    wanted: impl Iterator<Item = ManifestId>,
    attempts: &BTreeMap<ManifestId, Attempt>,
    under_way: &BTreeSet<ManifestId>,
    now: Timestamp,
) -> Vec<ManifestId> {
    let attempt = |id: &ManifestId| attempts.get(id).copied().unwrap_or_default();
    let is_due = |id: &ManifestId| !under_way.contains(id) && attempt(id).not_before.is_none_or(|at| at <= now);
    let mut due: Vec<ManifestId> = wanted.filter(is_due).collect();
    due.sort_by_key(|id| attempt(id).turns);
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ManifestId {
        ManifestId::new(&[number; 32]).unwrap()
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn fault_files_that_nobody_has_keep_no_other_waiting() {
        let mut attempts = BTreeMap::<ManifestId, Attempt>::new();
        for number in 0..9 {
            attempts.entry(id(number)).or_default().turn_ended(number == 8, at(10));
        }
        let all = || (0..10).map(id);
        let under_way = BTreeSet::from([id(1)]);
        assert_eq!(due(all(), &attempts, &BTreeSet::new(), at(10)), [id(9), id(8)]);
        let later: Vec<_> = [9, 0, 2, 3, 4, 5, 6, 7, 8].map(id).into();
        assert_eq!(due(all(), &attempts, &under_way, at(11)), later);
    }

    #[test]
    fn turns_in_vain_are_followed_by_longer_waits() {
        let mut attempt = Attempt::default();
        let mut waits = Vec::new();
        for _ in 0..8 {
            attempt.turn_ended(false, at(100));
            waits.push(attempt.not_before.unwrap().as_secs() - 100);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        attempt.turn_ended(true, at(100));
        assert_eq!(attempt, Attempt { turns: 9, in_vain: 0, not_before: None });
    }
}
