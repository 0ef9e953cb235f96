//! Items that wait for what they depend on: the missing is fetched from who brought them, then from anybody.
//!
//! Gossip holds what came by gossip and says when its time is over; what was fetched and itself depends on more waits here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bruit_core::PeerId;
use bruit_stack::{
    gossip::{ItemId, Topic, Verdict},
    rpc::Verdict as AnswerVerdict,
};
use bytes::Bytes;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    files::ManifestId,
    handle::{CallOptions, Handle},
    intake::Incoming,
    methods::{OBJECT, object_arguments},
    objects::{Objects, object_id},
};

/// How many missing ids of one item count, as in gossip.
const MISSING_MAX: usize = 64;
/// How many ids are fetched or wait to be.
const FETCHES_MAX: usize = 1_024;
/// How many of them one peer's items can ask for, so that a few that name what does not exist leave room for others.
const FETCHES_PER_PEER_MAX: usize = 64;
/// How many of one peer's are asked for at a time.
const AT_ONCE_PER_PEER: usize = 8;
/// How many fetched items wait for others, and how many bytes they hold.
const WAITING_MAX: usize = 1_024;
const WAITING_BYTES_MAX: usize = 16 << 20;
/// How long a fetch may take in all. Casper: 10 s.
const FETCH_LIMIT: Duration = Duration::from_secs(10);

/// What a node's tasks share of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holding(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) objects: Objects,
    /// What gossip holds, to be judged again when it resumes.
    by_gossip: BTreeMap<ItemId, Incoming>,
    waiting: BTreeMap<ItemId, Waiting>,
    waiting_bytes: usize,
    /// Who is to blame for each fetch under way.
    fetches: BTreeMap<ItemId, PeerId>,
    turns: BTreeMap<PeerId, Arc<Semaphore>>,
}

/// A fetched item that depends on others.
#[derive(Debug)]
struct Waiting {
    item: Incoming,
    missing: BTreeSet<ItemId>,
    until: Instant,
}

impl Holding {
    /// No holder of the lock waits for anything.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// An item that gossip holds no longer, whatever became of it.
    pub(crate) fn released(&mut self, id: &ItemId) -> Option<Incoming> {
        self.by_gossip.remove(id)
    }

    fn wait(&mut self, item: Incoming, missing: BTreeSet<ItemId>, until: Instant) {
        let now = Instant::now();
        let over: Vec<ItemId> = self.waiting.iter().filter(|(_, item)| item.until <= now).map(|(id, _)| *id).collect();
        over.iter().for_each(|id| drop(self.take_waiting(id)));
        let bytes = self.waiting_bytes.saturating_add(item.payload.len());
        if self.waiting.len() < WAITING_MAX && bytes <= WAITING_BYTES_MAX {
            self.waiting_bytes = bytes;
            self.waiting.insert(item.id, Waiting { item, missing, until });
        }
    }

    fn take_waiting(&mut self, id: &ItemId) -> Option<Incoming> {
        let item = self.waiting.remove(id)?.item;
        self.waiting_bytes -= item.payload.len();
        Some(item)
    }

    /// Fetched items that lack nothing any more now that an object is there.
    fn arrived(&mut self, id: &ItemId) -> Vec<Incoming> {
        let now = Instant::now();
        let mut ready = Vec::new();
        for (waiting, item) in &mut self.waiting {
            if item.missing.remove(id) && item.missing.is_empty() && item.until > now {
                ready.push(*waiting);
            }
        }
        ready.into_iter().filter_map(|id| self.take_waiting(&id)).collect()
    }

    /// Gives what has to be waited for before a fetch may begin; `None` if it is there, under way, or there is no room for it.
    fn begin_fetch(&mut self, id: ItemId, blamed: PeerId) -> Option<Arc<Semaphore>> {
        let of_peer = self.fetches.values().filter(|peer| **peer == blamed).count();
        let is_full = self.fetches.len() >= FETCHES_MAX || of_peer >= FETCHES_PER_PEER_MAX;
        if is_full || self.objects.has(&id) || self.fetches.contains_key(&id) || self.waiting.contains_key(&id) {
            return None;
        }
        self.fetches.insert(id, blamed);
        Some(self.turns.entry(blamed).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_PER_PEER))).clone())
    }

    fn end_fetch(&mut self, id: &ItemId) {
        self.fetches.remove(id);
        let fetches = &self.fetches;
        self.turns.retain(|peer, _| fetches.values().any(|blamed| blamed == peer));
    }
}

/// Holds an item for what it lacks, and begins to fetch that.
pub(crate) async fn hold(handle: &Handle, item: Incoming, mut missing: Vec<ItemId>) {
    missing.truncate(MISSING_MAX);
    let (topic, from, id) = (item.topic.clone(), item.from, item.id);
    if item.is_fetched {
        let lacked = {
            let mut held = handle.holding().lock();
            let lacked: BTreeSet<_> = missing.iter().copied().filter(|id| !held.objects.has(id)).collect();
            if !lacked.is_empty() {
                let until = Instant::now() + handle.config().gossip.hold_timeout;
                held.wait(item.clone(), lacked.clone(), until);
            }
            lacked
        };
        if lacked.is_empty() {
            judge_again(handle, item);
        }
        lacked.into_iter().for_each(|id| fetch(handle, id, &topic, from));
        return;
    }
    if !item.awaits_verdict {
        return;
    }
    handle.holding().lock().by_gossip.insert(id, item);
    let verdict = Verdict::Hold { missing: missing.clone() };
    let reported = handle.ask(move |runtime| runtime.swarm.behaviour_mut().report(id, verdict)).await;
    if !matches!(reported, Ok(bruit_stack::gossip::Reported::Held)) {
        handle.holding().lock().released(&id);
        return;
    }
    for id in missing {
        if handle.holding().lock().objects.has(&id) {
            tell_gossip(handle, id).await;
        } else {
            fetch(handle, id, &topic, from);
        }
    }
}

/// An object was accepted: what waited for it is judged again.
pub(crate) async fn arrived(handle: &Handle, id: ItemId) {
    let ready = handle.holding().lock().arrived(&id);
    ready.into_iter().for_each(|item| judge_again(handle, item));
    tell_gossip(handle, id).await;
}

async fn tell_gossip(handle: &Handle, id: ItemId) {
    // A node that has stopped holds nothing.
    let _ = handle.ask(move |runtime| runtime.swarm.behaviour_mut().dependency_arrived(id)).await;
}

fn judge_again(handle: &Handle, item: Incoming) {
    if let Some(judge) = handle.feeds().judge_of(&item.topic) {
        // A judge that has too much to do already forgets what was fetched; whoever needs it asks for it again.
        let _ = judge.try_send(item);
    }
}

fn fetch(handle: &Handle, id: ItemId, topic: &Topic, from: PeerId) {
    let Some(turn) = handle.holding().lock().begin_fetch(id, from) else { return };
    let (handle, topic) = (handle.clone(), topic.clone());
    tokio::spawn(async move {
        // The semaphore is never closed.
        let turn = turn.acquire_owned().await;
        let fetched = ask_for(&handle, id, from).await;
        drop(turn);
        handle.holding().lock().end_fetch(&id);
        if let Some((payload, from)) = fetched {
            judge_again(&handle, Incoming { id, from, topic, payload, awaits_verdict: false, is_fetched: true });
        }
    });
}

/// Asks who brought what depends on it, then anybody else.
async fn ask_for(handle: &Handle, id: ItemId, from: PeerId) -> Option<(Bytes, PeerId)> {
    let arguments = object_arguments(ManifestId::new(id.as_bytes())?, None);
    let settings = &handle.config().files;
    let options = CallOptions {
        try_timeout: Some(settings.try_timeout()),
        deadline: Some(FETCH_LIMIT),
        ..CallOptions::idempotent()
    };
    let judge = |_, payload: Bytes| if object_id(&payload) == id { Ok(payload) } else { Err(AnswerVerdict::Invalid) };
    if let Ok(answer) = handle.call_peer_judged(from, OBJECT, arguments.clone(), options.clone(), judge).await {
        return Some((answer.value, answer.from));
    }
    let options = CallOptions { exclude: vec![from], tries_max: Some(settings.tries_max), ..options };
    let answer = handle.call_judged(OBJECT, arguments, options, judge).await.ok()?;
    Some((answer.value, answer.from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ItemId {
        object_id(&number.to_be_bytes())
    }

    #[test]
    fn fault_few_peers_leave_room_for_the_fetches_of_others() {
        let mut held = Held::default();
        let peers: Vec<PeerId> = (0..20).map(|_| PeerId::random()).collect();
        let begun = |held: &mut Held, number: u32, peer| held.begin_fetch(id(number), peer).is_some();
        let count = (0..100_000).filter(|number| begun(&mut held, *number, peers[*number as usize % 20])).count();
        assert_eq!(count, FETCHES_MAX);
        (0..100_000).for_each(|number| held.end_fetch(&id(number)));
        assert!(held.fetches.is_empty() && held.turns.is_empty());
        let one = (0..1_000).filter(|number| begun(&mut held, *number, peers[0])).count();
        assert_eq!(one, FETCHES_PER_PEER_MAX);
        assert!(begun(&mut held, 200_000, peers[1]), "another has room");
        assert!(!begun(&mut held, 200_000, peers[2]), "nothing is asked for twice");
    }

    #[tokio::test]
    async fn fault_what_waits_here_is_bounded_and_let_go_when_its_time_is_over() {
        let mut held = Held::default();
        let item = |number: u32, bytes: usize| Incoming {
            id: id(number),
            from: PeerId::random(),
            topic: Topic::new("t").unwrap(),
            payload: vec![0; bytes].into(),
            awaits_verdict: false,
            is_fetched: true,
        };
        let (past, later) = (Instant::now(), Instant::now() + Duration::from_secs(3_600));
        let lacks = |number| BTreeSet::from([id(number)]);
        (0..WAITING_MAX as u32 + 5).for_each(|number| held.wait(item(number, 1), lacks(1_000_000), later));
        assert_eq!((held.waiting.len(), held.waiting_bytes), (WAITING_MAX, WAITING_MAX));
        assert_eq!(held.arrived(&id(1_000_000)).len(), WAITING_MAX);
        assert_eq!(held.waiting_bytes, 0);
        held.wait(item(1, WAITING_BYTES_MAX), lacks(2), past);
        held.wait(item(3, WAITING_BYTES_MAX), lacks(4), later);
        assert_eq!((held.waiting.len(), held.arrived(&id(2)).len(), held.arrived(&id(4)).len()), (1, 0, 1));
    }
}
