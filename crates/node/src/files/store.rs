#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bruit_core::Timestamp;
use bruit_wire::limits::RECENT_MAX;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::files::{Manifest, ManifestId, Part, encode_chunk};

/// By which way a part came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Gossip,
    Rpc,
    /// It was published here.
    Here,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was new.
    New,
    /// It was new, and with it the file is whole.
    Completed,
    /// It was there already.
    Known,
    /// It waits for its manifest.
    Orphan,
    /// It is not what its manifest says.
    False,
    /// With it all chunks are there, but together they are not the file that the manifest promises.
    Broken,
    /// There is no room for it.
    NoRoom,
}

/// How much is held at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) bytes_max: u64,
    pub(crate) files_max: usize,
    pub(crate) orphan_bytes_max: u64,
}

/// One file, as it is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileView {
    /// The id of its manifest.
    pub manifest: ManifestId,
    /// The topic it came on.
    pub topic: String,
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// How many chunks it has.
    pub chunks: u32,
    /// How many of them are here.
    pub held: u32,
    /// How many of them gossip brought.
    pub by_gossip: u32,
    /// How many of them were fetched by calls.
    pub by_rpc: u32,
    /// Whether it was published here.
    pub published_here: bool,
    /// Whether it is whole and its SHA-256 right.
    pub complete: bool,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// How much came and is held, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTotals {
    /// Manifests held.
    pub manifests: u64,
    /// Files that are whole.
    pub complete: u64,
    /// Chunks that gossip brought first.
    pub chunks_by_gossip: u64,
    /// Chunks that were fetched by calls.
    pub chunks_by_rpc: u64,
    /// Parts that did not match their manifest.
    pub refused: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Bytes held at most.
    pub bytes_max: u64,
}

/// All files that a node holds. The one that is worth least makes room for a new one, of several the one used least recently.
#[derive(Debug)]
pub(crate) struct FileStore {
    limits: Limits,
    files: BTreeMap<ManifestId, Held>,
    orphans: BTreeMap<ManifestId, Orphans>,
    totals: FileTotals,
    orphan_bytes: u64,
}

#[derive(Debug)]
struct Held {
    manifest: Manifest,
    topic: Arc<str>,
    chunks: Vec<Option<(Bytes, Via)>>,
    missing: u32,
    state: State,
    via: Via,
    came: Timestamp,
    changed: Timestamp,
    used: Timestamp,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Partial,
    Complete,
    Broken,
}

/// What is kept longest comes last.
///
/// # Security
/// A manifest costs whoever invents one a few bytes: where nothing else is left to go, the first drives out one file, never one
/// that was published here, and the others drive out each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// Nothing of it is here but its manifest, or it is not what that promised.
    Promise,
    Part,
    Whole,
    PublishedHere,
}

#[derive(Debug)]
struct Orphans {
    topic: Arc<str>,
    chunks: BTreeMap<u32, (Bytes, Via)>,
    bytes: u64,
    changed: Timestamp,
}

/// How many ids of absent manifests are remembered.
const ORPHAN_FILES_MAX: usize = 256;

impl FileStore {
    pub(crate) fn new(limits: Limits) -> Self {
        let totals = FileTotals { bytes_max: limits.bytes_max, ..FileTotals::default() };
        Self { limits, files: BTreeMap::new(), orphans: BTreeMap::new(), totals, orphan_bytes: 0 }
    }

    /// A part came.
    pub(crate) fn part_came(&mut self, topic: &str, part: Part, via: Via, now: Timestamp) -> Taken {
        match part {
            Part::Manifest(manifest) => self.manifest_came(topic, manifest, via, now),
            Part::Chunk { manifest, index, count, data } => {
                self.chunk_came(topic, (manifest, index, count), data, via, now)
            }
        }
    }

    fn manifest_came(&mut self, topic: &str, manifest: Manifest, via: Via, now: Timestamp) -> Taken {
        let id = manifest.id();
        if let Some(held) = self.files.get_mut(&id) {
            if via == Via::Here {
                held.via = via;
            }
            return Taken::Known;
        }
        let footprint = manifest.footprint();
        let most = if via == Via::Here { Worth::PublishedHere } else { Worth::Whole };
        if footprint.saturating_add(manifest.size()) > self.limits.bytes_max || !self.make_room(footprint, None, most) {
            return Taken::NoRoom;
        }
        while self.files.len() >= self.limits.files_max {
            if !self.forget_least(None, most) {
                return Taken::NoRoom;
            }
        }
        let missing = manifest.chunk_count();
        let chunks = vec![None; missing as usize];
        let (topic, state) = (topic.into(), State::Partial);
        let held =
            Held { manifest, topic, chunks, missing, state, via, came: now, changed: now, used: now, bytes: footprint };
        self.totals.bytes = self.totals.bytes.saturating_add(footprint);
        self.totals.manifests = self.totals.manifests.saturating_add(1);
        self.files.insert(id, held);
        let mut taken = if missing == 0 { self.finish(id) } else { Taken::New };
        if let Some(orphans) = self.orphans.remove(&id) {
            self.orphan_bytes = self.orphan_bytes.saturating_sub(orphans.bytes);
            for (index, (data, via)) in orphans.chunks {
                let last = self.chunk_of_known(id, (index, missing), data, via, now);
                if matches!(last, Taken::Completed | Taken::Broken) {
                    taken = last;
                }
            }
        }
        taken
    }

    fn chunk_came(
        &mut self,
        topic: &str,
        (id, index, count): (ManifestId, u32, u32),
        data: Bytes,
        via: Via,
        now: Timestamp,
    ) -> Taken {
        if self.files.contains_key(&id) {
            return self.chunk_of_known(id, (index, count), data, via, now);
        }
        let bytes = (data.len() as u64).saturating_add(64);
        if bytes > self.limits.orphan_bytes_max {
            return Taken::NoRoom;
        }
        while self.orphan_bytes.saturating_add(bytes) > self.limits.orphan_bytes_max
            || (!self.orphans.contains_key(&id) && self.orphans.len() >= ORPHAN_FILES_MAX)
        {
            let Some(oldest) = self.orphans.iter().min_by_key(|(_, orphans)| orphans.changed).map(|(id, _)| *id) else {
                return Taken::NoRoom;
            };
            if let Some(orphans) = self.orphans.remove(&oldest) {
                self.orphan_bytes = self.orphan_bytes.saturating_sub(orphans.bytes);
            }
        }
        let orphans = self.orphans.entry(id).or_insert_with(|| Orphans {
            topic: topic.into(),
            chunks: BTreeMap::new(),
            bytes: 0,
            changed: now,
        });
        if orphans.chunks.contains_key(&index) {
            return Taken::Known;
        }
        orphans.chunks.insert(index, (data, via));
        orphans.bytes = orphans.bytes.saturating_add(bytes);
        orphans.changed = now;
        self.orphan_bytes = self.orphan_bytes.saturating_add(bytes);
        Taken::Orphan
    }

    fn chunk_of_known(
        &mut self,
        id: ManifestId,
        (index, count): (u32, u32),
        data: Bytes,
        via: Via,
        now: Timestamp,
    ) -> Taken {
        let Some(held) = self.files.get(&id) else { return Taken::NoRoom };
        if count != held.manifest.chunk_count() || !held.manifest.is_chunk(index, &data) {
            self.totals.refused = self.totals.refused.saturating_add(1);
            return Taken::False;
        }
        let is_known = held.state != State::Partial || held.chunks.get(index as usize).is_none_or(Option::is_some);
        if is_known {
            return Taken::Known;
        }
        let bytes = data.len() as u64;
        if !self.make_room(bytes, Some(id), Worth::PublishedHere) {
            return Taken::NoRoom;
        }
        let Some(held) = self.files.get_mut(&id) else { return Taken::NoRoom };
        if let Some(place) = held.chunks.get_mut(index as usize) {
            *place = Some((data, via));
        }
        held.missing = held.missing.saturating_sub(1);
        held.bytes = held.bytes.saturating_add(bytes);
        (held.changed, held.used) = (now, now);
        let is_last = held.missing == 0;
        self.totals.bytes = self.totals.bytes.saturating_add(bytes);
        let counter = match via {
            Via::Gossip => Some(&mut self.totals.chunks_by_gossip),
            Via::Rpc => Some(&mut self.totals.chunks_by_rpc),
            Via::Here => None,
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
        if is_last { self.finish(id) } else { Taken::New }
    }

    fn finish(&mut self, id: ManifestId) -> Taken {
        let Some(held) = self.files.get_mut(&id) else { return Taken::NoRoom };
        if held.manifest.is_file(held.chunks.iter().flatten().map(|(data, _)| data)) {
            held.state = State::Complete;
            self.totals.complete = self.totals.complete.saturating_add(1);
            return Taken::Completed;
        }
        held.state = State::Broken;
        held.chunks.clear();
        let freed = held.bytes.saturating_sub(held.manifest.footprint());
        held.bytes = held.manifest.footprint();
        self.totals.bytes = self.totals.bytes.saturating_sub(freed);
        self.totals.refused = self.totals.refused.saturating_add(1);
        Taken::Broken
    }

    fn make_room(&mut self, bytes: u64, keep: Option<ManifestId>, most: Worth) -> bool {
        while self.totals.bytes.saturating_add(bytes) > self.limits.bytes_max {
            if !self.forget_least(keep, most) {
                return false;
            }
        }
        true
    }

    /// Forgets what is worth least, if that is no more than `most`.
    fn forget_least(&mut self, keep: Option<ManifestId>, most: Worth) -> bool {
        let candidates = self.files.iter().filter(|(id, held)| Some(**id) != keep && held.worth() <= most);
        let Some(id) = candidates.min_by_key(|(_, held)| (held.worth(), held.used)).map(|(id, _)| *id) else {
            return false;
        };
        self.forget(id);
        true
    }

    fn forget(&mut self, id: ManifestId) {
        let Some(held) = self.files.remove(&id) else { return };
        self.totals.bytes = self.totals.bytes.saturating_sub(held.bytes);
        self.totals.manifests = self.totals.manifests.saturating_sub(1);
        if held.state == State::Complete {
            self.totals.complete = self.totals.complete.saturating_sub(1);
        }
    }

    /// Forgets everything of a topic that the node wants no longer.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        let gone: Vec<ManifestId> =
            self.files.iter().filter(|(_, held)| held.topic.as_ref() == topic).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.forget(id));
        self.orphans.retain(|_, orphans| orphans.topic.as_ref() != topic);
        self.orphan_bytes = self.orphans.values().map(|orphans| orphans.bytes).fold(0, u64::saturating_add);
    }

    /// The payload of the answer to `object`: a chunk, or without an index the manifest.
    pub(crate) fn object(&mut self, id: ManifestId, index: Option<u32>, now: Timestamp) -> Option<Bytes> {
        let held = self.files.get(&id).filter(|held| held.state != State::Broken)?;
        let Some(index) = index else { return Some(held.manifest.to_payload()) };
        let count = held.manifest.chunk_count();
        self.chunk(id, index, now).map(|data| encode_chunk(id, index, count, data))
    }

    /// The bytes of a chunk.
    pub(crate) fn chunk(&mut self, id: ManifestId, index: u32, now: Timestamp) -> Option<Bytes> {
        let held = self.files.get_mut(&id)?;
        let (data, _) = held.chunks.get(index as usize)?.as_ref()?;
        held.used = now;
        Some(data.clone())
    }

    /// The ids of manifests of a topic that came after `since_secs`, newest first.
    pub(crate) fn recent(&self, topic: &str, since_secs: u64) -> Vec<ManifestId> {
        let mut found: Vec<(Timestamp, ManifestId)> = self
            .files
            .iter()
            .filter(|(_, held)| held.topic.as_ref() == topic && held.state != State::Broken)
            .filter(|(_, held)| held.came.as_secs() >= since_secs)
            .map(|(id, held)| (held.came, *id))
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().take(RECENT_MAX).map(|(_, id)| id).collect()
    }

    pub(crate) fn manifest(&self, id: ManifestId) -> Option<&Manifest> {
        self.files.get(&id).map(|held| &held.manifest)
    }

    /// Files, and manifests known only from chunks, that are incomplete and got nothing new for `delay`.
    pub(crate) fn stalled(&self, delay: Duration, now: Timestamp) -> Vec<(ManifestId, Arc<str>)> {
        let is_stalled = |changed: Timestamp| now.since(changed) >= delay;
        let partial = self.files.iter().filter(|(_, held)| held.state == State::Partial && is_stalled(held.changed));
        let orphaned = self.orphans.iter().filter(|(_, orphans)| is_stalled(orphans.changed));
        partial
            .map(|(id, held)| (*id, held.topic.clone()))
            .chain(orphaned.map(|(id, orphans)| (*id, orphans.topic.clone())))
            .collect()
    }

    /// The chunks of a whole file.
    pub(crate) fn whole(&mut self, id: ManifestId, now: Timestamp) -> Option<(Manifest, Vec<Bytes>)> {
        let held = self.files.get_mut(&id).filter(|held| held.state == State::Complete)?;
        held.used = now;
        Some((held.manifest.clone(), held.chunks.iter().flatten().map(|(data, _)| data.clone()).collect()))
    }

    pub(crate) fn view(&self, id: ManifestId) -> Option<FileView> {
        self.files.get(&id).map(Held::view)
    }

    pub(crate) fn views(&self) -> Vec<FileView> {
        self.files.values().map(Held::view).collect()
    }

    pub(crate) fn totals(&self) -> FileTotals {
        self.totals
    }
}

impl Held {
    fn worth(&self) -> Worth {
        match (self.via, self.state) {
            (Via::Here, _) => Worth::PublishedHere,
            (Via::Gossip | Via::Rpc, _) if self.missing == self.manifest.chunk_count() => Worth::Promise,
            (Via::Gossip | Via::Rpc, State::Complete) => Worth::Whole,
            (Via::Gossip | Via::Rpc, State::Partial) => Worth::Part,
            (Via::Gossip | Via::Rpc, State::Broken) => Worth::Promise,
        }
    }

    fn view(&self) -> FileView {
        let by = |wanted| self.chunks.iter().flatten().filter(|(_, via)| *via == wanted).count() as u32;
        let chunks = self.manifest.chunk_count();
        FileView {
            manifest: self.manifest.id(),
            topic: self.topic.as_ref().to_owned(),
            name: self.manifest.name().to_owned(),
            size: self.manifest.size(),
            chunks,
            held: self.chunks.iter().flatten().count() as u32,
            by_gossip: by(Via::Gossip),
            by_rpc: by(Via::Rpc),
            published_here: self.via == Via::Here,
            complete: self.state == State::Complete,
            sha256: self.manifest.sha256_hex(),
        }
    }
}

#[cfg(test)]
mod tests;
