use bruit_core::PeerId;
use bruit_stack::gossip::{ItemId, Topic, Verdict};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    handle::{Handle, SubscribeFailure},
    intake::{self, Incoming},
};

/// How many items may wait for their judge; more are ignored. 64 items of the largest size are 12 MiB.
const WAITING_MAX: usize = 64;

/// The items of one topic that this part of the application judges, before they are delivered and relayed.
#[derive(Debug)]
pub struct Judge {
    handle: Handle,
    topic: Topic,
    waiting: mpsc::Receiver<Incoming>,
}

/// An item that awaits its verdict. Dropping it ignores the item.
#[derive(Debug)]
pub struct Unjudged {
    handle: Handle,
    item: Option<Incoming>,
    id: ItemId,
    from: PeerId,
    payload: Bytes,
}

/// A topic that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    /// The topic cannot be wanted.
    #[error(transparent)]
    Subscribe(#[from] SubscribeFailure),
    /// Somebody in this process judges it already.
    #[error("this topic has a judge already")]
    Taken,
}

impl Handle {
    /// Wants a topic and judges its items: none is delivered or relayed that the judge does not accept. Dropping the judge
    /// lets items pass unjudged again.
    ///
    /// Payloads that it accepts, and that this node publishes on the topic, are kept by their [`object_id`](crate::object_id) for
    /// others. [`Verdict::Hold`] names what an item lacks by such ids: it is fetched, judged here, and then the item again.
    ///
    /// # Errors
    /// The node has stopped, or the topic cannot be wanted, or has a judge.
    pub async fn judge(&self, topic: &str) -> Result<Judge, JudgeError> {
        let topic = Topic::new(topic).map_err(SubscribeFailure::from)?;
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        if !self.feeds().appoint(&topic, sender) {
            return Err(JudgeError::Taken);
        }
        let judge = Judge { handle: self.clone(), topic, waiting };
        self.subscribe(judge.topic.as_str()).await?;
        Ok(judge)
    }
}

impl Judge {
    /// The next item to be judged; `None` when the node has stopped.
    pub async fn next(&mut self) -> Option<Unjudged> {
        let item = self.waiting.recv().await?;
        let (id, from, payload) = (item.id, item.from, item.payload.clone());
        Some(Unjudged { handle: self.handle.clone(), item: Some(item), id, from, payload })
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.handle.feeds().dismiss(&self.topic);
    }
}

impl Unjudged {
    /// Its id; of what was fetched because another item depends on it, its [`object_id`](crate::object_id).
    pub const fn id(&self) -> ItemId {
        self.id
    }

    /// Who brought it.
    pub const fn from(&self) -> PeerId {
        self.from
    }

    /// What was published.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Says what to make of it. A verdict after the topic's time-out has no effect.
    pub async fn report(mut self, verdict: Verdict) {
        if let Some(item) = self.item.take() {
            intake::report(&self.handle, item, verdict).await;
        }
    }
}

impl Drop for Unjudged {
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            self.handle.tell(move |runtime| {
                let _ = runtime.swarm.behaviour_mut().report(item.id, Verdict::Ignore);
            });
        }
    }
}
