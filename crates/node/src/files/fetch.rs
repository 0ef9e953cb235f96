use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Clock, PeerId};
use bruit_stack::rpc::Verdict;
use bruit_wire::{decode, limits::RECENT_MAX, pb};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::{
    files::{Manifest, ManifestId, Part, Via},
    handle::{CallFailure, CallOptions, Handle},
    methods::{OBJECT, RECENT, object_arguments, recent_arguments},
};

/// What is to be fetched, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchWish {
    /// Which file.
    pub manifest: ManifestId,
    /// How many of its chunks, from the first missing one on; all if `None`.
    #[serde(default)]
    pub chunks: Option<u32>,
    /// Who is asked first for the first chunk.
    #[serde(default)]
    pub pin: Option<PeerId>,
    /// How long one try waits, in milliseconds; `files.try_timeout_ms` if `None`.
    #[serde(default)]
    pub try_timeout_ms: Option<u64>,
    /// How many peers are asked for one part; `files.tries_max` if `None`.
    #[serde(default)]
    pub tries_max: Option<u32>,
    /// Whether parts that the node holds already are taken from there instead of being fetched.
    #[serde(default)]
    pub use_own: bool,
}

/// How a fetch went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchReport {
    /// Which file; `None` before its manifest is known.
    pub manifest: Option<ManifestId>,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u64,
    /// How many chunks it has.
    pub chunks: u32,
    /// How many were wanted.
    pub wanted: u32,
    /// How many were obtained, from others or from the node's own store.
    pub fetched: u32,
    /// Calls made, also the one for the manifest.
    pub calls: u32,
    /// Calls that brought what was wanted.
    pub ok: u32,
    /// Calls that asked a second peer.
    pub retried: u32,
    /// Peers asked, over all calls.
    #[serde(default)]
    pub tries: u32,
    /// Parts taken from the node's own store.
    pub local: u32,
    /// Whether all of the file's chunks were obtained.
    pub complete: bool,
    /// Whether the whole file's SHA-256 is the manifest's; `None` if it is not whole.
    pub sha256_ok: Option<bool>,
    /// Why what is missing is missing; one sentence for each part, the first eight.
    pub failures: Vec<String>,
}

/// What a fetch brought.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// How it went.
    pub report: FetchReport,
    /// The chunks by index.
    pub chunks: BTreeMap<u32, Bytes>,
}

impl FetchWish {
    /// Wishes for a whole file, with the node's own settings.
    pub const fn whole(manifest: ManifestId) -> Self {
        Self { manifest, chunks: None, pin: None, try_timeout_ms: None, tries_max: None, use_own: false }
    }
}

/// How many sentences a report holds.
const FAILURES_MAX: usize = 8;

/// The topic for which a fetch keeps what it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepFor<'t>(pub(crate) &'t str);

impl Handle {
    /// Fetches a file, or a part of it, by global calls. What comes is checked against its hashes; whoever answers falsely is
    /// held to it, and the next peer is asked. Nothing of it is kept by the node.
    pub async fn fetch(&self, wish: &FetchWish) -> Fetched {
        self.fetch_and_keep(wish, None).await
    }

    pub(crate) async fn fetch_and_keep(&self, wish: &FetchWish, keep: Option<KeepFor<'_>>) -> Fetched {
        let mut fetched = Fetched::default();
        let Some(manifest) = self.fetch_manifest(wish, keep, &mut fetched.report).await else { return fetched };
        let count = manifest.chunk_count();
        let report = &mut fetched.report;
        report.manifest = Some(manifest.id());
        (report.name, report.size, report.chunks) = (manifest.name().to_owned(), manifest.size(), count);

        let mut wanted = Vec::new();
        for index in 0..count {
            match self.own_chunk(wish, keep, index) {
                Some(data) => {
                    report.local += 1;
                    fetched.chunks.insert(index, data);
                }
                None => wanted.push(index),
            }
        }
        let limit = wish.chunks.unwrap_or(count).saturating_sub(report.local) as usize;
        wanted.truncate(limit);
        report.wanted = report.local + wanted.len() as u32;

        let first = wanted.first().copied();
        let fetches = wanted.into_iter().map(|index| {
            let pin = wish.pin.filter(|_| Some(index) == first);
            self.fetch_chunk(wish, &manifest, index, pin)
        });
        let mut fetches = stream::iter(fetches).buffer_unordered(self.config().files.fetches_max);
        let mut in_vain = 0;
        while let Some((index, result)) = fetches.next().await {
            report.count(&result.as_ref().map(|(_, tries)| *tries));
            in_vain = if result.is_ok() { 0 } else { in_vain + 1 };
            // A file that nobody has can have thousands of chunks, and others wait to be kept.
            if keep.is_some() && in_vain >= self.config().files.fetches_max {
                break;
            }
            if let Ok((data, _)) = result {
                if let Some(KeepFor(topic)) = keep {
                    let part = Part::Chunk { manifest: manifest.id(), index, count, data: data.clone() };
                    let taken = self.files().lock().part_came(topic, part, Via::Rpc, Clock::start().now());
                    self.files().note(self, manifest.id(), taken);
                }
                fetched.chunks.insert(index, data);
            }
        }
        drop(fetches);
        report.fetched = fetched.chunks.len() as u32;
        report.complete = report.fetched == count;
        report.sha256_ok = report.complete.then(|| manifest.is_file(fetched.chunks.values()));
        if report.local > 0 {
            self.count_local(report.local.into());
        }
        fetched
    }

    async fn fetch_manifest(
        &self,
        wish: &FetchWish,
        keep: Option<KeepFor<'_>>,
        report: &mut FetchReport,
    ) -> Option<Manifest> {
        if wish.use_own || keep.is_some() {
            let own = self.files().lock().manifest(wish.manifest).cloned();
            if own.is_some() {
                return own;
            }
        }
        let wanted = wish.manifest;
        let judge = |_, payload| match Part::from_payload(payload) {
            Some(Part::Manifest(manifest)) if manifest.id() == wanted => Ok(manifest),
            Some(_) | None => Err(Verdict::Invalid),
        };
        let called = self.call_judged(OBJECT, object_arguments(wanted, None), self.options_of(wish, None), judge).await;
        report.count(&called.as_ref().map(|answer| answer.tries));
        let manifest = called.ok()?.value;
        if let Some(KeepFor(topic)) = keep {
            let part = Part::Manifest(manifest.clone());
            let taken = self.files().lock().part_came(topic, part, Via::Rpc, Clock::start().now());
            self.files().note(self, wanted, taken);
        }
        Some(manifest)
    }

    async fn fetch_chunk(
        &self,
        wish: &FetchWish,
        manifest: &Manifest,
        wanted: u32,
        pin: Option<PeerId>,
    ) -> (u32, Result<(Bytes, u32), CallFailure>) {
        let judge = |_, payload| match Part::from_payload(payload) {
            Some(Part::Chunk { manifest: of, index, data, .. })
                if of == manifest.id() && index == wanted && manifest.is_chunk(index, &data) =>
            {
                Ok(data)
            }
            Some(_) | None => Err(Verdict::Invalid),
        };
        let options = self.options_of(wish, pin);
        let called = self.call_judged(OBJECT, object_arguments(manifest.id(), Some(wanted)), options, judge).await;
        (wanted, called.map(|answer| (answer.value, answer.tries)))
    }

    /// Asks somebody which files of a topic came since a moment, in seconds since 1970; newest first, at most 256.
    ///
    /// # Errors
    /// Nobody keeps the topic, or nobody answered.
    pub async fn recent(
        &self,
        topic: &str,
        since_seconds: u64,
        options: CallOptions,
    ) -> Result<(Vec<ManifestId>, PeerId, u32), CallFailure> {
        let request = recent_arguments(topic, since_seconds);
        let judge = |_, payload| {
            let response: pb::RecentResponse = decode(payload).map_err(|_| Verdict::Invalid)?;
            let ids = response.manifest_ids.chunks(32).map(ManifestId::new).collect::<Option<Vec<_>>>();
            ids.filter(|ids| ids.len() <= RECENT_MAX).ok_or(Verdict::Invalid)
        };
        let answer = self.call_judged(RECENT, request, options, judge).await?;
        Ok((answer.value, answer.from, answer.tries))
    }

    /// The options of a call for a part of a file.
    fn options_of(&self, wish: &FetchWish, pin: Option<PeerId>) -> CallOptions {
        let settings = &self.config().files;
        let try_timeout = wish.try_timeout_ms.map_or(settings.try_timeout(), Duration::from_millis);
        let tries = wish.tries_max.unwrap_or(settings.tries_max);
        // One try more than may be made: waiting for a free place takes time too.
        let deadline = try_timeout.saturating_mul(tries.saturating_add(1));
        CallOptions {
            deadline: Some(deadline),
            try_timeout: Some(try_timeout),
            tries_max: Some(tries),
            pin,
            ..CallOptions::idempotent()
        }
    }

    fn own_chunk(&self, wish: &FetchWish, keep: Option<KeepFor<'_>>, index: u32) -> Option<Bytes> {
        if !wish.use_own && keep.is_none() {
            return None;
        }
        self.files().lock().chunk(wish.manifest, index, Clock::start().now())
    }
}

impl FetchReport {
    fn count(&mut self, result: &Result<u32, &CallFailure>) {
        self.calls += 1;
        let tries = match result {
            Ok(tries) => {
                self.ok += 1;
                *tries
            }
            Err(failure) => {
                if self.failures.len() < FAILURES_MAX {
                    self.failures.push(failure.to_string());
                }
                failure.tries()
            }
        };
        self.retried += u32::from(tries > 1);
        self.tries += tries;
    }
}
