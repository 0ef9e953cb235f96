use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bruit_core::PeerId;
use bruit_stack::gossip::{ItemId, PublishError, SubscribeError, Topic, TopicError};
use bytes::Bytes;
use tokio::sync::{broadcast, mpsc};

use crate::{
    files::FileView,
    handle::{Handle, StoppedError},
    holding::arrived,
    intake::Incoming,
    item_why::ItemWhy,
    objects::object_id,
    runtime::Runtime,
};

/// How many deliveries a slow subscriber may be behind. 64 items of the largest size are 12 MiB.
const BEHIND_MAX: usize = 64;

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// An item that is no part of a file.
    Item {
        /// Its id.
        id: ItemId,
        /// Who brought it.
        from: PeerId,
        /// What was published.
        payload: Bytes,
    },
    /// A file that is whole now.
    File(FileView),
    /// The subscriber was too slow: so many deliveries are lost to it.
    Lagged(u64),
}

/// The items and files of one topic, as they come.
#[derive(Debug)]
pub struct Subscription {
    topic: Topic,
    feed: broadcast::Receiver<Delivery>,
}

/// A topic that cannot be wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeFailure {
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// The name is none.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] SubscribeError),
}

/// An item that is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishFailure {
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// The name of the topic is none.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The topic's rules refuse it.
    #[error(transparent)]
    Refused(#[from] PublishError),
}

/// Where items go, by topic: to a judge, and what is accepted to who listens.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicFeeds(Arc<Mutex<Feeds>>);

#[derive(Debug, Default)]
struct Feeds {
    listeners: BTreeMap<Topic, broadcast::Sender<Delivery>>,
    judges: BTreeMap<Topic, mpsc::Sender<Incoming>>,
}

impl TopicFeeds {
    fn lock(&self) -> MutexGuard<'_, Feeds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn deliver(&self, topic: &str, delivery: Delivery) {
        if let Some(feed) = self.lock().listeners.get(topic) {
            // Nobody listens at the moment.
            let _ = feed.send(delivery);
        }
    }

    fn listen(&self, topic: &Topic) -> broadcast::Receiver<Delivery> {
        let mut feeds = self.lock();
        feeds.listeners.retain(|_, feed| feed.receiver_count() > 0);
        feeds.listeners.entry(topic.clone()).or_insert_with(|| broadcast::channel(BEHIND_MAX).0).subscribe()
    }

    /// Whether the topic had no judge before.
    pub(super) fn appoint(&self, topic: &Topic, judge: mpsc::Sender<Incoming>) -> bool {
        let mut feeds = self.lock();
        let is_free = !feeds.judges.contains_key(topic);
        if is_free {
            feeds.judges.insert(topic.clone(), judge);
        }
        is_free
    }

    pub(super) fn dismiss(&self, topic: &Topic) {
        self.lock().judges.remove(topic);
    }

    pub(crate) fn judge_of(&self, topic: &Topic) -> Option<mpsc::Sender<Incoming>> {
        self.lock().judges.get(topic).cloned()
    }
}

impl Handle {
    /// Wants a topic, and gives what comes from now on. Ending the subscription is [`unsubscribe`](Self::unsubscribe)'s;
    /// dropping it only stops listening.
    ///
    /// # Errors
    /// The node has stopped, or the topic cannot be wanted.
    pub async fn subscribe(&self, topic: &str) -> Result<Subscription, SubscribeFailure> {
        let topic = Topic::new(topic)?;
        let feed = self.feeds().listen(&topic);
        let wanted = topic.clone();
        self.ask(move |runtime| want(runtime, wanted)).await??;
        Ok(Subscription { topic, feed })
    }

    /// Wants a topic no longer, and forgets its files.
    ///
    /// # Errors
    /// The node has stopped, or the name is none.
    pub async fn unsubscribe(&self, topic: &str) -> Result<(), SubscribeFailure> {
        let topic = Topic::new(topic)?;
        let unwanted = topic.clone();
        let done = self.ask(move |runtime| {
            let _ = runtime.swarm.behaviour_mut().unsubscribe(&unwanted);
            runtime.subscriptions.remove(&unwanted);
        });
        done.await?;
        self.files().lock().forget_topic(topic.as_str());
        Ok(())
    }

    /// The topics that the node wants.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn subscriptions(&self) -> Result<Vec<Topic>, StoppedError> {
        self.ask(|runtime| runtime.subscriptions.iter().cloned().collect()).await
    }
}

impl Handle {
    /// Who brought an item first, to whom it went and why; `None` if nothing is known of it.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn explain_item(&self, id: ItemId) -> Result<Option<ItemWhy>, StoppedError> {
        self.ask(move |runtime| {
            let behaviour = runtime.swarm.behaviour();
            behaviour.explain(&id).map(|told| ItemWhy::new(&id, told, behaviour.now()))
        })
        .await
    }
}

/// Wants a topic from now on.
pub(crate) fn want(runtime: &mut Runtime, topic: Topic) -> Result<(), SubscribeError> {
    runtime.swarm.behaviour_mut().subscribe(topic.clone())?;
    runtime.subscriptions.insert(topic);
    Ok(())
}

pub(super) async fn publish(handle: &Handle, topic: &str, payload: Bytes) -> Result<ItemId, PublishFailure> {
    let topic = Topic::new(topic)?;
    // Others may depend on it, and ask for it before it reached them.
    let object = handle.feeds().judge_of(&topic).map(|_| (object_id(&payload), payload.clone()));
    let id = handle.ask(move |runtime| runtime.swarm.behaviour_mut().publish(topic, payload)).await??;
    if let Some((object, payload)) = object
        && handle.holding().lock().objects.keep(object, &payload)
    {
        arrived(handle, object).await;
    }
    Ok(id)
}

impl Subscription {
    /// The topic.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The next delivery; `None` when the node has stopped.
    pub async fn next(&mut self) -> Option<Delivery> {
        match self.feed.recv().await {
            Ok(delivery) => Some(delivery),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Delivery::Lagged(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
