//! The newest signed record of each peer, as far as they were heard of.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bruit_core::{PeerId, Timestamp};
use bytes::Bytes;

use crate::{Config, SignedRecord};

#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    by_peer: BTreeMap<PeerId, Kept>,
    order: VecDeque<PeerId>,
}

#[derive(Clone, Debug)]
struct Kept {
    record: SignedRecord,
    expires: Timestamp,
}

/// What a record that came is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It is the newest one of its peer.
    Newest(SignedRecord),
    /// A newer one is known.
    Outdated,
    /// It has expired.
    Expired,
    /// It proves that whoever sent it did not check it.
    Forged,
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

impl Records {
    /// The record of a peer, unless it has expired.
    pub(super) fn find(&self, peer: &PeerId, now: Timestamp) -> Option<&SignedRecord> {
        self.by_peer.get(peer).filter(|kept| now < kept.expires).map(|kept| &kept.record)
    }

    /// Whether these bytes were checked before.
    pub(super) fn is_known(&self, peer: Option<&PeerId>, bytes: &Bytes) -> bool {
        peer.and_then(|peer| self.by_peer.get(peer)).is_some_and(|kept| kept.record.bytes() == bytes)
    }

    /// Checks a record that was told as one of `peer`, and keeps it if it is the newest one.
    pub(super) fn check(&mut self, peer: Option<&PeerId>, bytes: &Bytes, config: &Config, now: Timestamp) -> Checked {
        if let Some(kept) = peer.and_then(|peer| self.by_peer.get(peer)).filter(|kept| kept.record.bytes() == bytes) {
            return if now < kept.expires { Checked::Newest(kept.record.clone()) } else { Checked::Expired };
        }
        let Ok(record) = SignedRecord::verify(bytes) else { return Checked::Forged };
        let owner = record.peer();
        if peer.is_some_and(|peer| *peer != owner) {
            return Checked::Forged;
        }
        let days = u32::try_from(config.record_days).unwrap_or(u32::MAX);
        let expires = record.signed_at(now).unwrap_or(now).after(DAY.saturating_mul(days));
        if expires <= now {
            return Checked::Expired;
        }
        match self.by_peer.get_mut(&owner) {
            Some(kept) if kept.record.seq() >= record.seq() => return Checked::Outdated,
            Some(kept) => *kept = Kept { record: record.clone(), expires },
            None => self.keep(owner, Kept { record: record.clone(), expires }, config.records_max),
        }
        Checked::Newest(record)
    }

    fn keep(&mut self, owner: PeerId, kept: Kept, max: usize) {
        if max == 0 {
            return;
        }
        while self.order.len() >= max {
            if let Some(oldest) = self.order.pop_front() {
                self.by_peer.remove(&oldest);
            }
        }
        self.order.push_back(owner);
        self.by_peer.insert(owner, kept);
    }

    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }
}
