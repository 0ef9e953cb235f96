use std::time::Duration;

use bruit_stack::rpc::MethodName;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::{
    files::ManifestId,
    handle::{Handle, StoppedError},
    runtime::Runtime,
    storage::StorageState,
};

/// What is waited for; all of it together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WaitFor {
    /// So many outbound peers, named ones included.
    pub outbound: Option<usize>,
    /// So many peers of all kinds.
    pub peers: Option<usize>,
    /// These files whole.
    pub files: Vec<ManifestId>,
    /// So many files whole on a topic.
    pub files_of: Vec<(String, usize)>,
    /// So many endpoints on disk.
    pub book_stored: Option<u64>,
}

/// Whether it came so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waited {
    /// Whether everything waited for is so.
    pub held: bool,
    /// For how long it was waited.
    pub seconds: f64,
    /// What is not so.
    pub missing: Vec<String>,
}

impl Handle {
    /// Waits until everything is so, at most for `limit`.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn wait(&self, wanted: &WaitFor, limit: Duration) -> Result<Waited, StoppedError> {
        let started = Instant::now();
        let mut changed = self.shared.changed.clone();
        loop {
            changed.mark_unchanged();
            let missing = self.missing(wanted).await?;
            let is_over = started.elapsed() >= limit;
            if missing.is_empty() || is_over {
                let seconds = started.elapsed().as_secs_f64();
                return Ok(Waited { held: missing.is_empty(), seconds, missing });
            }
            if let Ok(Err(_)) = timeout_at(started + limit, changed.changed()).await {
                return Err(StoppedError);
            }
        }
    }

    /// Waits until some connected peer wants a topic.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn wait_for_subscriber(&self, topic: &str) -> Result<(), StoppedError> {
        let topic = topic.to_owned();
        self.until(move |runtime| runtime.peers().iter().any(|peer| peer.subscriptions.contains(&topic))).await
    }

    /// Waits until `count` connected peers have told that they serve a method. A call before that asks only those who have.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn wait_for_servers(&self, method: &MethodName, count: usize) -> Result<(), StoppedError> {
        let method = method.clone();
        self.until(move |runtime| runtime.swarm.behaviour_mut().rpc().peers_serving(&method).len() >= count).await
    }

    async fn until(&self, is_so: impl Fn(&mut Runtime) -> bool + Clone + Send + 'static) -> Result<(), StoppedError> {
        let mut changed = self.shared.changed.clone();
        loop {
            changed.mark_unchanged();
            if self.ask(is_so.clone()).await? {
                return Ok(());
            }
            changed.changed().await.map_err(|_| StoppedError)?;
        }
    }

    async fn missing(&self, wanted: &WaitFor) -> Result<Vec<String>, StoppedError> {
        let status = self.status().await?;
        let mut missing = Vec::new();
        let mut compare = |name: &str, has: u64, wants: Option<u64>| {
            if let Some(wants) = wants.filter(|wants| has < *wants) {
                missing.push(format!("{name}: {has} of {wants}"));
            }
        };
        let outbound = status.peers.outbound + status.peers.manual;
        compare("outbound", outbound as u64, wanted.outbound.map(|count| count as u64));
        compare("peers", status.peers.total() as u64, wanted.peers.map(|count| count as u64));
        let stored = if status.storage.state == StorageState::Ok { status.book.stored } else { 0 };
        compare("book_stored", stored, wanted.book_stored);
        let views = self.files().lock().views();
        for (topic, count) in &wanted.files_of {
            let whole = views.iter().filter(|view| view.complete && view.topic == *topic).count();
            compare(&format!("files of {topic}"), whole as u64, Some(*count as u64));
        }
        for manifest in &wanted.files {
            match views.iter().find(|view| view.manifest == *manifest) {
                Some(view) if view.complete => {}
                Some(view) => missing.push(format!("file {manifest}: {} of {} chunks", view.held, view.chunks)),
                None => missing.push(format!("file {manifest}: not known")),
            }
        }
        Ok(missing)
    }
}
