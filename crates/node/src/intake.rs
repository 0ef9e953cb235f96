//! Where items are judged: parts of files against their manifests, all else is taken as it comes.

use bruit_core::{Clock, PeerId};
use bruit_stack::gossip::{ItemId, Topic, Verdict};
use bytes::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    files::{Part, Taken, Via},
    handle::{Delivery, Handle},
};

/// How many items may wait to be judged: as many as gossip lets await a verdict.
pub(crate) const WAITING_MAX: usize = 4_096;

/// An item that came.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) id: ItemId,
    pub(crate) from: PeerId,
    pub(crate) topic: Topic,
    pub(crate) payload: Bytes,
    pub(crate) awaits_verdict: bool,
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
    let verdict = if verdict == Verdict::Accept { take_in(handle, &item) } else { verdict };
    if item.awaits_verdict {
        // A node that has stopped relays nothing, and a verdict may come too late.
        let _ = handle.ask(move |runtime| runtime.swarm.behaviour_mut().report(item.id, verdict)).await;
    }
}

/// Parts of files are held to their manifests; all else is delivered.
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
        // What is true but finds no room here is still news to others.
        Taken::NoRoom => Verdict::Accept,
        Taken::False | Taken::Broken => Verdict::Reject,
    }
}
