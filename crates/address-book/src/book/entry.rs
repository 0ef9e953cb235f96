use bruit_core::{Endpoint, LookupMap, NetGroup, PeerId, Seed, Timestamp};

use super::{
    index::Index,
    interned::Interned,
    slab::Slab,
    spot::{Secs, Spot},
};

/// What is known of one endpoint, in the 64 bytes that a processor fetches at once. Whoever and whatever many entries name stands
/// elsewhere, under a number.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Entry {
    pub(crate) spot: Spot,
    group: u32,
    /// Where it was first heard from.
    source: u32,
    peer: u32,
    told_by: u32,
    pub(crate) first_seen: Secs,
    pub(crate) last_seen: Secs,
    pub(crate) last_attempt: Secs,
    pub(crate) last_success: Secs,
    /// When a failure was last counted.
    pub(crate) counted: Secs,
    pub(crate) failures: u16,
    /// How many places in *new* it has beyond the first.
    more_places: u8,
    flags: u8,
}

const NOBODY: u32 = u32::MAX;
/// How many numbers there can be. 24 bits: the other eight of a place, in a bucket or the index, hold something else.
pub(crate) const NUMBERS_MAX: u32 = (1 << NUMBER_BITS) - 1;
const NUMBER_BITS: u32 = 24;

/// One of an entry's marks.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Mark {
    Tried = 1,
    OwnClaim = 2,
    Stored = 4,
    Unsaved = 8,
    /// Nobody but its peer told of it.
    Unheard = 16,
}

/// Dials that failed before anything succeeded. Bitcoin Core: 3 for an entry never reached.
pub(crate) const FAILURES_NEVER_REACHED: u16 = 3;
/// Dials that failed since an entry was last reached. Bitcoin Core: 10 within a week.
const FAILURES_SINCE_SUCCESS: u16 = 10;
/// For how long having been reached once speaks for an entry that fails. Bitcoin Core: 7 days.
const SUCCESS_COUNTS_SECS: u32 = 7 * 24 * 3_600;
/// How long after an attempt an entry is not judged. Bitcoin Core: 60 s.
const JUST_TRIED_SECS: u32 = 60;
/// How long after an attempt the next one is unlikely. Bitcoin Core: 10 min.
const TRIED_LATELY_SECS: u32 = 10 * 60;
/// After how long without a sign of life an entry is half as likely to be chosen, and halved again for each further time. 10 days:
/// a guess; a third of the horizon, and more than the age that hearsay without a time starts with.
const FADES_SECS: u32 = 10 * 24 * 3_600;
/// By what the chance falls with each failure. 0.66: Bitcoin Core.
const FAILURE_FACTOR: f64 = 0.66;
/// How many failures lower the chance; further ones do not. 8: Bitcoin Core.
const FAILURES_COUNTED_MAX: u16 = 8;
/// By what the chance falls right after an attempt. 0.01: Bitcoin Core.
const LATELY_FACTOR: f64 = 0.01;

impl Entry {
    pub(crate) const fn is(&self, mark: Mark) -> bool {
        self.flags & mark as u8 != 0
    }

    pub(crate) const fn mark(&mut self, mark: Mark, is_set: bool) {
        if is_set {
            self.flags |= mark as u8;
        } else {
            self.flags &= !(mark as u8);
        }
    }

    pub(crate) const fn is_tried(&self) -> bool {
        self.is(Mark::Tried)
    }

    #[inline]
    pub(crate) fn was_reached(&self) -> bool {
        !self.last_success.is_never()
    }

    /// The number of the peer.
    #[inline]
    pub(crate) fn peer(&self) -> Option<u32> {
        (self.peer != NOBODY).then_some(self.peer)
    }

    /// In how many buckets it stands.
    pub(crate) fn places(&self) -> usize {
        if self.is_tried() { 1 } else { 1 + usize::from(self.more_places) }
    }

    /// What it rests on: 2 when this node reached it, 1 when its peer named it, 0 when others did.
    pub(crate) fn standing(&self) -> u8 {
        if self.is_tried() { 2 } else { u8::from(self.is(Mark::OwnClaim)) }
    }

    /// Whether nobody but its peer says that it is there: this node never reached it, and nobody else told of it.
    #[inline]
    pub(crate) fn is_unproven_claim(&self) -> bool {
        self.is(Mark::Unheard) && !self.is_tried() && self.last_success.is_never()
    }

    /// Whether it is not worth its place, by Bitcoin Core's rules.
    #[inline]
    pub(crate) fn is_terrible(&self, horizon_secs: u64, now: Secs) -> bool {
        if !self.last_attempt.is_never() && now.since(self.last_attempt) < JUST_TRIED_SECS {
            return false;
        }
        if u64::from(now.since(self.last_seen)) > horizon_secs {
            return true;
        }
        if self.last_success.is_never() {
            return self.failures >= FAILURES_NEVER_REACHED;
        }
        self.failures >= FAILURES_SINCE_SUCCESS && now.since(self.last_success) > SUCCESS_COUNTS_SECS
    }

    /// How likely it is taken when it is drawn, before quality: Bitcoin Core's rule, and what showed no sign of life fades.
    #[inline]
    pub(crate) fn chance(&self, now: Timestamp) -> f64 {
        let now = Secs::of(now);
        let is_usual = self.failures == 0
            && now.since(self.last_seen) < FADES_SECS
            && (self.last_attempt.is_never() || now.since(self.last_attempt) >= TRIED_LATELY_SECS);
        if is_usual { 1.0 } else { self.chance_factors(now).into_iter().product() }
    }

    /// What failures, an attempt made lately, and silence make of the chance.
    #[cold]
    pub(crate) fn chance_factors(&self, now: Secs) -> [f64; 3] {
        let failures = FAILURE_FACTOR.powi(i32::from(self.failures.min(FAILURES_COUNTED_MAX)));
        let is_lately = !self.last_attempt.is_never() && now.since(self.last_attempt) < TRIED_LATELY_SECS;
        let fades = i32::try_from(now.since(self.last_seen) / FADES_SECS).unwrap_or(i32::MAX);
        [failures, if is_lately { LATELY_FACTOR } else { 1.0 }, 0.5_f64.powi(fades)]
    }
}

/// What a new entry is made of.
#[derive(Clone, Debug)]
pub(crate) struct NewEntry {
    pub(crate) endpoint: Endpoint,
    pub(crate) group: NetGroup,
    pub(crate) peer: Option<u32>,
    pub(crate) source: NetGroup,
    pub(crate) told_by: Option<PeerId>,
    pub(crate) is_own_claim: bool,
    /// Nobody but its peer told of it.
    pub(crate) is_unheard: bool,
    pub(crate) first_seen: Secs,
    pub(crate) last_seen: Secs,
}

/// All entries, found by number or by endpoint, and what they name.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    slab: Slab<Entry>,
    index: Index<NUMBER_BITS>,
    secret: Seed,
    groups: Interned<NetGroup>,
    sources: Interned<NetGroup>,
    tellers: Interned<PeerId>,
    /// The groups of the places in *new* beyond the first, of the few entries that have such places.
    more_sources: LookupMap<u32, Vec<u32>>,
    /// How many entries belong to nobody.
    orphans: usize,
}

impl Entries {
    pub(crate) fn new(secret: Seed) -> Self {
        Self {
            slab: Slab::new(),
            index: Index::new(),
            secret,
            groups: Interned::new(),
            sources: Interned::new(),
            tellers: Interned::new(),
            more_sources: LookupMap::new(),
            orphans: 0,
        }
    }

    pub(crate) fn find(&self, endpoint: &Endpoint) -> Option<u32> {
        self.find_spot(&Spot::of(endpoint))
    }

    fn find_spot(&self, spot: &Spot) -> Option<u32> {
        let hash = hash(&self.secret, spot);
        self.index.find(hash, |number| self.slab.get(number).is_some_and(|entry| entry.spot == *spot))
    }

    pub(crate) fn insert(&mut self, new: NewEntry) -> u32 {
        let entry = Entry {
            spot: Spot::of(&new.endpoint),
            group: self.groups.hold(new.group),
            source: self.sources.hold(new.source),
            peer: new.peer.unwrap_or(NOBODY),
            told_by: new.told_by.map_or(NOBODY, |peer| self.tellers.hold(peer)),
            first_seen: new.first_seen,
            last_seen: new.last_seen,
            last_attempt: Secs::NEVER,
            last_success: Secs::NEVER,
            counted: Secs::NEVER,
            failures: 0,
            more_places: 0,
            flags: if new.is_own_claim { Mark::OwnClaim as u8 } else { 0 }
                | if new.is_unheard { Mark::Unheard as u8 } else { 0 },
        };
        self.orphans += usize::from(entry.peer == NOBODY);
        let hash_of_new = hash(&self.secret, &entry.spot);
        let number = self.slab.insert(entry);
        let Self { slab, index, secret, .. } = self;
        index.insert(hash_of_new, number, |number| hash_at(slab, secret, number));
        number
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Entry> {
        let spot = self.slab.get(number)?.spot.clone();
        let Self { slab, index, secret, .. } = self;
        index.remove(hash(secret, &spot), number, |number| hash_at(slab, secret, number));
        let entry = self.slab.remove(number)?;
        self.orphans -= usize::from(entry.peer == NOBODY);
        self.groups.release(entry.group);
        self.sources.release(entry.source);
        if entry.more_places > 0 {
            let more = self.more_sources.remove(&number).unwrap_or_default();
            more.into_iter().for_each(|source| self.sources.release(source));
        }
        if entry.told_by != NOBODY {
            self.tellers.release(entry.told_by);
        }
        Some(entry)
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&Entry> {
        self.slab.get(number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Entry> {
        self.slab.get_mut(number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.slab.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn numbers(&self) -> u32 {
        self.slab.numbers()
    }

    /// How many entries belong to nobody.
    pub(crate) const fn orphans(&self) -> usize {
        self.orphans
    }

    /// Makes an entry somebody's, or nobody's; returns whose it was.
    pub(crate) fn set_peer(&mut self, number: u32, peer: Option<u32>) -> Option<u32> {
        let entry = self.slab.get_mut(number)?;
        let before = entry.peer();
        entry.peer = peer.unwrap_or(NOBODY);
        self.orphans += usize::from(peer.is_none());
        self.orphans -= usize::from(before.is_none());
        before
    }

    #[inline]
    pub(crate) fn group(&self, entry: &Entry) -> NetGroup {
        self.groups.get(entry.group).unwrap_or(NetGroup::Local)
    }

    /// The group that an entry was first heard from.
    #[inline]
    pub(crate) fn first_source(&self, entry: &Entry) -> NetGroup {
        self.sources.get(entry.source).unwrap_or(NetGroup::Local)
    }

    /// Groups and how many entries each has.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (NetGroup, u32)> {
        self.groups.iter()
    }

    fn more_sources(&self, number: u32, entry: &Entry) -> &[u32] {
        if entry.more_places == 0 {
            return &[];
        }
        self.more_sources.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Where an entry was heard from: one group for each place in *new*; the first also in *tried*.
    pub(crate) fn sources(&self, number: u32) -> impl Iterator<Item = NetGroup> {
        let entry = self.slab.get(number);
        let all = entry
            .into_iter()
            .flat_map(move |entry| std::iter::once(&entry.source).chain(self.more_sources(number, entry)));
        all.filter_map(|source| self.sources.get(*source))
    }

    pub(crate) fn has_source(&self, number: u32, source: NetGroup) -> bool {
        let Some((entry, source)) = self.slab.get(number).zip(self.sources.find(&source)) else { return false };
        entry.source == source || self.more_sources(number, entry).contains(&source)
    }

    pub(crate) fn add_source(&mut self, number: u32, source: NetGroup) {
        let Some(entry) = self.slab.get_mut(number) else { return };
        entry.more_places = entry.more_places.saturating_add(1);
        self.more_sources.entry(number).or_default().push(self.sources.hold(source));
    }

    /// Keeps the sources that are wanted, or the first one if none is.
    pub(crate) fn retain_sources(&mut self, number: u32, is_wanted: impl Fn(&Spot, NetGroup) -> bool) {
        let Some(entry) = self.slab.get_mut(number) else { return };
        let more = self.more_sources.remove(&number).unwrap_or_default();
        let (mut kept, mut gone): (Vec<u32>, Vec<u32>) = std::iter::once(entry.source)
            .chain(more)
            .partition(|source| self.sources.get(*source).is_some_and(|group| is_wanted(&entry.spot, group)));
        if kept.is_empty() {
            kept.push(gone.remove(0));
        }
        entry.source = kept.remove(0);
        entry.more_places = u8::try_from(kept.len()).unwrap_or(u8::MAX);
        if !kept.is_empty() {
            self.more_sources.insert(number, kept);
        }
        gone.into_iter().for_each(|source| self.sources.release(source));
    }

    /// Keeps the first source only.
    pub(crate) fn forget_more_sources(&mut self, number: u32) {
        let Some(entry) = self.slab.get_mut(number).filter(|entry| entry.more_places > 0) else { return };
        entry.more_places = 0;
        let more = self.more_sources.remove(&number).unwrap_or_default();
        more.into_iter().for_each(|source| self.sources.release(source));
    }

    /// Who answers for an entry until it was reached or found dead.
    pub(crate) fn told_by(&self, entry: &Entry) -> Option<PeerId> {
        if entry.told_by == NOBODY { None } else { self.tellers.get(entry.told_by) }
    }

    /// Nobody answers for an entry any more; returns who did.
    pub(crate) fn take_told_by(&mut self, number: u32) -> Option<PeerId> {
        let entry = self.slab.get_mut(number)?;
        let teller = std::mem::replace(&mut entry.told_by, NOBODY);
        if teller == NOBODY {
            return None;
        }
        let peer = self.tellers.get(teller);
        self.tellers.release(teller);
        peer
    }

    /// How many bytes entries and index take.
    pub(crate) fn bytes(&self) -> usize {
        self.slab.bytes() + self.index.bytes()
    }
}

fn hash(secret: &Seed, spot: &Spot) -> u64 {
    spot.with_bytes(|bytes| secret.keyed_hash(bytes))
}

fn hash_at(slab: &Slab<Entry>, secret: &Seed, number: u32) -> u64 {
    slab.get(number).map_or(0, |entry| hash(secret, &entry.spot))
}

#[cfg(test)]
mod tests;
