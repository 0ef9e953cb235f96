//! Where items are judged: parts of files against their manifests, all else is taken as it comes.

use bruit_core::{Clock, PeerId};
use bruit_stack::gossip::{ItemId, Topic, Verdict};
use bytes::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    files::{Part, Taken, Via},
    handle::{Delivery, Handle},
    holding::{arrived, hold},
    objects::object_id,
};

/// How many items may wait to be judged: as many as gossip lets await a verdict.
pub(crate) const WAITING_MAX: usize = 4_096;

/// An item that came, or an object that was fetched because another depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) id: ItemId,
    pub(crate) from: PeerId,
    pub(crate) topic: Topic,
    pub(crate) payload: Bytes,
    pub(crate) awaits_verdict: bool,
    pub(crate) is_fetched: bool,
}

/// Has items judged until the node stops: by the application's judge of the topic, if there is one.
pub(crate) async fn run(handle: Handle, mut waiting: mpsc::Receiver<Incoming>) {
    while let Some(item) = waiting.recv().await {
        let Some(judge) = handle.feeds().judge_of(&item.topic) else {
            report(&handle, item, Verdict::Accept).await;
            continue;
        };
        if let Err(refused) = judge.try_send(item) {
            let item = match refused {
                TrySendError::Full(item) | TrySendError::Closed(item) => item,
            };
            report(&handle, item, Verdict::Ignore).await;
        }
    }
}

/// Takes in what the application accepts, and tells gossip the verdict.
pub(crate) async fn report(handle: &Handle, item: Incoming, verdict: Verdict) {
    if let Verdict::Hold { missing } = verdict {
        return hold(handle, item, missing).await;
    }
    let verdict = if verdict == Verdict::Accept { take_in_once(handle, &item).await } else { verdict };
    if item.awaits_verdict {
        // A node that has stopped relays nothing, and a verdict may come too late.
        let _ = handle.ask(move |runtime| runtime.swarm.behaviour_mut().report(item.id, verdict)).await;
    }
}

/// What others may depend on is kept, and taken in once, however often and by whatever way it comes.
async fn take_in_once(handle: &Handle, item: &Incoming) -> Verdict {
    if handle.feeds().judge_of(&item.topic).is_none() {
        return take_in(handle, item);
    }
    let id = object_id(&item.payload);
    if handle.holding().lock().objects.has(&id) {
        return Verdict::Accept;
    }
    let verdict = take_in(handle, item);
    if verdict == Verdict::Accept && handle.holding().lock().objects.keep(id, &item.payload) {
        arrived(handle, id).await;
    }
    verdict
}

/// Parts of files are held to their manifests; all else is delivered.
///
/// # Security
/// No part is blamed on who brought it. Who has no manifest yet cannot tell a false chunk from a true one, and whether a file is what
/// its manifest says shows only with its last chunk: who sends one half of the nodes something else than the other half would make
/// those who pass it on blame each other.
fn take_in(handle: &Handle, item: &Incoming) -> Verdict {
    let topic = item.topic.as_str();
    let Some(part) = Part::from_payload(item.payload.clone()) else {
        let (id, from, payload) = (item.id, item.from, item.payload.clone());
        handle.feeds().deliver(topic, Delivery::Item { id, from, payload });
        return Verdict::Accept;
    };
    let manifest = part.manifest_id();
    let taken = handle.files().lock().part_came(topic, part, Via::Gossip, Clock::start().now());
    handle.files().note(handle, manifest, taken);
    match taken {
        Taken::New | Taken::Completed | Taken::Known | Taken::Orphan => Verdict::Accept,
        // What is true but finds no room here, or shows that its manifest lies, is still news to others.
        Taken::NoRoom | Taken::Broken => Verdict::Accept,
        Taken::False => Verdict::Ignore,
    }
}
