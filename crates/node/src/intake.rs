//! Where items are judged: parts of files against their manifests, all else is taken as it comes.

use bruit_core::{Clock, PeerId};
use bruit_stack::gossip::{ItemId, Topic, Verdict};
use bytes::Bytes;
use tokio::sync::mpsc;

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

/// Judges items until the node stops.
pub(crate) async fn run(handle: Handle, mut waiting: mpsc::Receiver<Incoming>) {
    let clock = Clock::start();
    while let Some(item) = waiting.recv().await {
        let verdict = judge(&handle, &item, &clock);
        let (id, awaits_verdict) = (item.id, item.awaits_verdict);
        if awaits_verdict {
            let reported = handle.ask(move |runtime| runtime.swarm.behaviour_mut().report(id, verdict));
            if reported.await.is_err() {
                break;
            }
        }
    }
}

fn judge(handle: &Handle, item: &Incoming, clock: &Clock) -> Verdict {
    let topic = item.topic.as_str();
    let Some(part) = Part::from_payload(item.payload.clone()) else {
        let (id, from, payload) = (item.id, item.from, item.payload.clone());
        handle.feeds().deliver(topic, Delivery::Item { id, from, payload });
        return Verdict::Accept;
    };
    let manifest = part.manifest_id();
    let taken = handle.files().lock().part_came(topic, part, Via::Gossip, clock.now());
    handle.files().note(handle, manifest, taken);
    match taken {
        Taken::New | Taken::Completed | Taken::Known | Taken::Orphan => Verdict::Accept,
        // What is true but finds no room here is still news to others.
        Taken::NoRoom => Verdict::Accept,
        Taken::False | Taken::Broken => Verdict::Reject,
    }
}
