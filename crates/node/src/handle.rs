//! What an application holds of a running node. Cloning is cheap; every copy speaks to the same node.

use std::{path::PathBuf, sync::Arc};

use bruit_core::{AddrPolicy, Clock, Endpoint, PeerId};
use bruit_stack::{
    address_book::{Ban, BanSubject, Severity, Unbanned},
    gossip::ItemId,
};
use bytes::Bytes;
use multiaddr::Multiaddr;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::{
    config::Config,
    files::{Manifest, ManifestId, SharedFiles},
    holding::Holding,
    limits::Limit,
    runtime::{Command, Runtime},
    status::{BanInfo, BookEntry, BookShape, BookWhy, GoodbyeInfo, ImportReport, PeerInfo, Status},
    storage::StorageStatus,
};

mod calls;
mod judging;
mod reload;
mod serve;
mod topics;
mod waiting;

pub(crate) use calls::CallEvent;
pub use calls::{AnswerStream, Answered, CallFailure, CallOptions, JudgedAnswer};
pub use judging::{Judge, JudgeError, Unjudged};
pub use reload::{ReloadError, Reloaded};
pub use serve::{Cancellation, ChunkRefused, Request, Requests, ServeError};
pub(crate) use serve::{Served, register};
pub use topics::{Delivery, PublishFailure, SubscribeFailure, Subscription};
pub(crate) use topics::{TopicFeeds, want};
pub use waiting::{WaitFor, Waited};

/// A running node, as an application sees it.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) peer_id: PeerId,
    pub(crate) config: Config,
    pub(crate) listen: Vec<Multiaddr>,
    pub(crate) api: Option<PathBuf>,
    pub(crate) files: SharedFiles,
    pub(crate) feeds: TopicFeeds,
    pub(crate) holding: Holding,
    pub(crate) changed: watch::Receiver<u64>,
    pub(crate) ended: Mutex<Ended>,
}

#[derive(Debug)]
pub(crate) enum Ended {
    NotYet(oneshot::Receiver<StorageStatus>),
    Since(StorageStatus),
}

/// The node has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct StoppedError;

/// An operator's wish that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperateError {
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] StoppedError),
    /// The address is none.
    #[error("{0}")]
    Addr(String),
    /// There is no room for one more.
    #[error("the list is full")]
    Full,
    /// There is none.
    #[error("there is no such entry")]
    NotThere,
}

impl Handle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, shared: Shared) -> Self {
        Self { commands, shared: Arc::new(shared) }
    }

    /// Has something done in the swarm's task.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Runtime) -> T + Send + 'static,
    ) -> Result<T, StoppedError> {
        let (reply, answer) = oneshot::channel();
        let command: Command = Box::new(move |runtime| {
            // Who asked may have gone meanwhile.
            let _ = reply.send(work(runtime));
        });
        self.commands.send(command).await.map_err(|_| StoppedError)?;
        answer.await.map_err(|_| StoppedError)
    }

    /// Has something done without waiting for it, if there is room for one more command.
    fn tell(&self, work: impl FnOnce(&mut Runtime) + Send + 'static) {
        let _ = self.commands.try_send(Box::new(work));
    }

    /// Wakes those who wait for something to be so.
    pub(crate) fn announce_change(&self) {
        self.tell(|runtime| runtime.has_changed());
    }

    pub(crate) fn count_local(&self, parts: u64) {
        self.tell(move |runtime| runtime.counts.rpc_local += parts);
    }

    pub(crate) fn files(&self) -> &SharedFiles {
        &self.shared.files
    }

    pub(crate) fn holding(&self) -> &Holding {
        &self.shared.holding
    }

    pub(crate) fn feeds(&self) -> &TopicFeeds {
        &self.shared.feeds
    }

    /// The settings that the node was started with.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// Who the node is.
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// Where the node listened when its start was complete, without its peer id.
    pub fn listen(&self) -> &[Multiaddr] {
        &self.shared.listen
    }

    /// The socket of its API.
    pub fn api(&self) -> Option<&PathBuf> {
        self.shared.api.as_ref()
    }

    /// The node's state in numbers.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn status(&self) -> Result<Status, StoppedError> {
        self.ask(|runtime| runtime.status()).await
    }

    /// All connected peers.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, StoppedError> {
        self.ask(|runtime| runtime.peers()).await
    }

    /// Up to `count_max` entries of the address book: those reached first, the latest seen first.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn book(&self, count_max: usize) -> Result<Vec<BookEntry>, StoppedError> {
        self.ask(move |runtime| runtime.book(count_max)).await
    }

    /// The address book as a whole: groups, ages, what would be dropped.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn book_shape(&self) -> Result<BookShape, StoppedError> {
        self.ask(|runtime| runtime.book_shape()).await
    }

    /// Why a peer is treated as it is; `None` if nothing is known of it.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn book_why(&self, peer: PeerId) -> Result<Option<BookWhy>, StoppedError> {
        self.ask(move |runtime| runtime.book_why(peer)).await
    }

    /// The address book as lines of JSON.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn book_export(&self) -> Result<String, StoppedError> {
        self.ask(|runtime| runtime.book_export()).await
    }

    /// Takes over what another book exported.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn book_import(&self, lines: String) -> Result<ImportReport, StoppedError> {
        self.ask(move |runtime| runtime.book_import(&lines)).await
    }

    /// Who left and why, newest first.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn goodbyes(&self) -> Result<Vec<GoodbyeInfo>, StoppedError> {
        self.ask(|runtime| runtime.goodbyes()).await
    }

    /// What bounds the node, as the settings in force make it.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn limits(&self) -> Result<Vec<Limit>, StoppedError> {
        self.ask(|runtime| crate::limits::limits(&runtime.config)).await
    }

    /// All bans that hold.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn bans(&self) -> Result<Vec<BanInfo>, StoppedError> {
        self.ask(|runtime| runtime.bans()).await
    }

    /// Bans a peer, an IP address or a net for a time, and says goodbye to whom it concerns. Who is only discouraged may stay.
    ///
    /// # Errors
    /// The node has stopped, or the list of bans is full.
    pub async fn ban(
        &self,
        subject: BanSubject,
        severity: Severity,
        span: std::time::Duration,
    ) -> Result<(), OperateError> {
        let banned = self.ask(move |runtime| {
            let behaviour = runtime.swarm.behaviour_mut();
            let ban = Ban::by_operator(subject, span, behaviour.now());
            behaviour.ban(if severity == Severity::Discouraged { ban.discouraging() } else { ban })
        });
        banned.await?.map(drop).map_err(|_| OperateError::Full)
    }

    /// Lifts a ban.
    ///
    /// # Errors
    /// The node has stopped, or there is no such ban.
    pub async fn unban(&self, subject: BanSubject) -> Result<(), OperateError> {
        match self.ask(move |runtime| runtime.swarm.behaviour_mut().unban(subject)).await? {
            Unbanned::Lifted(_) => Ok(()),
            Unbanned::NotBanned => Err(OperateError::NotThere),
        }
    }

    /// Names a peer to be connected to until it is removed.
    ///
    /// # Errors
    /// The node has stopped, the address is none, or the list is full.
    pub async fn add_node(&self, addr: &Multiaddr) -> Result<(), OperateError> {
        let (endpoint, peer) = endpoint_of(addr)?;
        let added = self.ask(move |runtime| {
            runtime.known.addnodes.insert(endpoint.clone());
            runtime.swarm.behaviour_mut().add_node(endpoint, peer)
        });
        if added.await? { Ok(()) } else { Err(OperateError::Full) }
    }

    /// Takes a peer off the list of those to be connected to.
    ///
    /// # Errors
    /// The node has stopped, or the address is not on the list.
    pub async fn remove_node(&self, addr: &Multiaddr) -> Result<(), OperateError> {
        let (endpoint, _) = endpoint_of(addr)?;
        let removed = self.ask(move |runtime| {
            runtime.known.addnodes.remove(&endpoint);
            runtime.swarm.behaviour_mut().remove_node(&endpoint)
        });
        if removed.await? { Ok(()) } else { Err(OperateError::NotThere) }
    }

    /// Says goodbye to a peer.
    ///
    /// # Errors
    /// The node has stopped, or the peer is not connected.
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), OperateError> {
        let gone = self.ask(move |runtime| runtime.swarm.behaviour_mut().disconnect(peer)).await?;
        if gone { Ok(()) } else { Err(OperateError::NotThere) }
    }

    /// Publishes a payload under a topic. Who wants the topic gets it, here too if other parts of this process subscribed.
    ///
    /// # Errors
    /// The node has stopped, or the topic's rules refuse the payload.
    pub async fn publish(&self, topic: &str, payload: Bytes) -> Result<ItemId, PublishFailure> {
        topics::publish(self, topic, payload).await
    }

    /// The manifest and chunks of a file that is whole here.
    pub fn whole_file(&self, manifest: ManifestId) -> Option<(Manifest, Vec<Bytes>)> {
        self.files().lock().whole(manifest, Clock::start().now())
    }

    /// Says goodbye to everybody, stores the book and ends the node; returns when all of it is done.
    pub async fn shutdown(&self) -> StorageStatus {
        let asked = self.ask(Runtime::stop);
        // A node that has stopped already needs nothing more.
        let _ = asked.await;
        self.stopped().await
    }

    /// Waits for the end of the node, whoever asks for it; says how its storage was at the end.
    pub async fn stopped(&self) -> StorageStatus {
        let mut ended = self.shared.ended.lock().await;
        if let Ended::NotYet(receiver) = &mut *ended {
            *ended = Ended::Since(receiver.await.unwrap_or_default());
        }
        match &*ended {
            Ended::Since(status) => status.clone(),
            Ended::NotYet(_) => StorageStatus::default(),
        }
    }
}

/// An address that an operator names and that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {addr}: {reason}")]
pub struct AddrError {
    /// The setting.
    pub key: &'static str,
    /// The address.
    pub addr: Multiaddr,
    /// Why not.
    pub reason: String,
}

/// The endpoints of the addresses in a setting, if the node may dial all of them.
pub(crate) fn checked_addrs(
    key: &'static str,
    policy: AddrPolicy,
    addrs: &[Multiaddr],
) -> Result<Vec<(Endpoint, Option<PeerId>)>, AddrError> {
    let check = |addr: &Multiaddr| {
        let refused = |reason| AddrError { key, addr: addr.clone(), reason };
        let (endpoint, peer) = endpoint_of(addr).map_err(|error| refused(error.to_string()))?;
        policy.check(&endpoint).map_err(|refusal| {
            refused(format!("{refusal}; `allow_private_addrs` (--allow-private-addrs) admits private ones"))
        })?;
        Ok((endpoint, peer))
    };
    addrs.iter().map(check).collect()
}

pub(crate) fn endpoint_of(addr: &Multiaddr) -> Result<(Endpoint, Option<PeerId>), OperateError> {
    Endpoint::from_multiaddr(addr).map_err(|error| OperateError::Addr(error.to_string()))
}
