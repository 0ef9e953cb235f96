use std::time::Duration;

use bruit_core::Clock;
use bruit_stack::gossip::PublishError;
use bytes::Bytes;

use crate::{
    files::{FileView, Manifest, ManifestError, Part, Via, encode_chunk},
    handle::{Handle, PublishFailure},
};

/// How many chunks are published without a pause: 512 KiB, an eighth of what a peer's outbox holds.
const BURST: usize = 16;
/// The pause: with it, 25 MiB a second leave for each peer at most.
const PAUSE: Duration = Duration::from_millis(20);

/// A file that is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishFileError {
    /// It cannot be cut.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It does not fit into what the node holds.
    #[error("the file is larger than what this node holds (`files.bytes_max`)")]
    NoRoom,
    /// One of its parts is refused.
    #[error(transparent)]
    Publish(#[from] PublishFailure),
}

impl Handle {
    /// Cuts a file into chunks and publishes its manifest and then the chunks under a topic. The node holds the file from
    /// then on, whether it wants the topic or not; where no connected peer takes the topic, others can only ask for it.
    ///
    /// # Errors
    /// The file is too large, its name is none, or the topic's rules refuse its parts.
    pub async fn publish_file(&self, topic: &str, name: &str, file: Bytes) -> Result<FileView, PublishFileError> {
        let name = name.to_owned();
        let cut = tokio::task::spawn_blocking(move || Manifest::cut(&name, &file)).await;
        let (manifest, chunks) = cut.map_err(|_| ManifestError::Sizes)??;
        let (id, count) = (manifest.id(), manifest.chunk_count());
        let now = Clock::start().now();
        let view = {
            let mut store = self.files().lock();
            let mut last = store.part_came(topic, Part::Manifest(manifest.clone()), Via::Here, now);
            for (index, data) in (0..count).zip(&chunks) {
                let part = Part::Chunk { manifest: id, index, count, data: data.clone() };
                last = store.part_came(topic, part, Via::Here, now);
            }
            store.view(id).filter(|view| view.complete).ok_or_else(|| {
                tracing::warn!(?last, "a file to be published finds no room");
                PublishFileError::NoRoom
            })?
        };
        if !self.publish_part(topic, manifest.to_payload()).await? {
            tracing::warn!(manifest = %id, topic, "no connected peer takes this topic: the file is held for who asks");
        }
        for (index, data) in (0..count).zip(chunks) {
            if index > 0 && (index as usize).is_multiple_of(BURST) {
                tokio::time::sleep(PAUSE).await;
            }
            self.publish_part(topic, encode_chunk(id, index, count, data)).await?;
        }
        self.announce_change();
        Ok(view)
    }

    /// Whether anybody took it.
    async fn publish_part(&self, topic: &str, payload: Bytes) -> Result<bool, PublishFailure> {
        match self.publish(topic, payload).await {
            Ok(_) => Ok(true),
            Err(PublishFailure::Refused(PublishError::NoPeers)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}
