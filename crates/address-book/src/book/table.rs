//! Where entries stand. A secret and the address decide the place, so nobody can aim at one without the secret, and what one
//! part of the internet tells or holds reaches only some of the buckets.

use bruit_core::{ChaCha8Rng, NetGroup, Seed};
use rand::Rng;

use super::spot::Spot;
use crate::ValidConfig;

/// A bucket, and the position in it that gives way when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    bucket: u32,
    position: u32,
}

/// The rule that gives an entry its places.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    secret: Seed,
    config: ValidConfig,
}

/// What a number is drawn for.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Label {
    NewSpread,
    NewBucket,
    NewPlace,
    TriedSpread,
    TriedBucket,
    TriedPlace,
}

impl Placement {
    pub(crate) const fn new(secret: Seed, config: ValidConfig) -> Self {
        Self { secret, config }
    }

    /// The place in *new* of an endpoint of `group` that was told by `source`.
    pub(crate) fn in_new(&self, spot: &Spot, group: NetGroup, source: NetGroup) -> Place {
        let settings = self.config.settings();
        let (group, source) = (group_bytes(group), group_bytes(source));
        let spread = self.number(Label::NewSpread, &group, &source, settings.new_buckets_per_source_group);
        let bucket = self.number(Label::NewBucket, &source, &spread.to_le_bytes(), settings.new_buckets);
        self.place(Label::NewPlace, bucket, spot)
    }

    /// The place in *tried* of an endpoint of `group`.
    pub(crate) fn in_tried(&self, spot: &Spot, group: NetGroup) -> Place {
        let settings = self.config.settings();
        let spread =
            spot.with_bytes(|addr| self.number(Label::TriedSpread, &[], addr, settings.tried_buckets_per_group));
        let bucket =
            self.number(Label::TriedBucket, &group_bytes(group), &spread.to_le_bytes(), settings.tried_buckets);
        self.place(Label::TriedPlace, bucket, spot)
    }

    fn place(&self, label: Label, bucket: u32, spot: &Spot) -> Place {
        let bucket_size = self.config.settings().bucket_size;
        let position = spot.with_bytes(|addr| self.number(label, &bucket.to_le_bytes(), addr, bucket_size));
        Place { bucket, position }
    }

    /// A number below `limit`; of what it is drawn from only `last` varies in length under one label.
    fn number(&self, label: Label, first: &[u8], last: &[u8], limit: u32) -> u32 {
        let mut short = [0; 32];
        let len = 1 + first.len() + last.len();
        let mut long = Vec::new();
        let bytes = short.get_mut(..len).unwrap_or_else(|| {
            long.resize(len, 0);
            &mut long
        });
        if let Some((start, rest)) = bytes.split_first_mut() {
            *start = label as u8;
            let (front, back) = rest.split_at_mut(first.len());
            front.copy_from_slice(first);
            back.copy_from_slice(last);
        }
        (self.secret.keyed_hash(bytes) % u64::from(limit)) as u32
    }
}

fn group_bytes(group: NetGroup) -> [u8; 9] {
    let (kind, number) = match group {
        NetGroup::V4(prefix) => (0, u64::from(prefix)),
        NetGroup::V6(prefix) => (1, u64::from(prefix)),
        NetGroup::Asn(number) => (2, u64::from(number)),
        NetGroup::Relay(hash) => (3, hash),
        NetGroup::Name(hash) => (4, hash),
        NetGroup::Local => (5, 0),
    };
    let mut bytes = [kind; 9];
    bytes[1..].copy_from_slice(&number.to_le_bytes());
    bytes
}

impl Place {
    pub(crate) const fn is_in_bucket_of(self, other: Self) -> bool {
        self.bucket == other.bucket
    }
}

/// Buckets of positions, each held by at most one entry; an entry holds at most one position of a bucket.
///
/// While a bucket has a free position nobody gives way: networks whose addresses are all of one group, as on one site, have one
/// bucket only. In a full one the secret says who is challenged, always the same for the same endpoint.
///
/// Each bucket that is not empty has a row, all in one array, so that a draw looks at two places of memory only. Rows are as wide
/// as the fullest bucket needs: four bytes a place.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    /// The row of each bucket.
    rows: Vec<u32>,
    /// The bucket of each row.
    buckets: Vec<u32>,
    /// How many places of each row are held: the first ones.
    lens: Vec<u16>,
    places: Vec<Held>,
    width: usize,
    bucket_size: u32,
    len: usize,
}

/// The row of an empty bucket.
const NO_ROW: u32 = u32::MAX;
/// How wide rows are at first. 4: a guess, for the many small books of a simulation.
const WIDTH_FIRST: usize = 4;

/// A position, in the upper eight bits, and the entry that holds it.
#[derive(Clone, Copy, Debug)]
struct Held(u32);

impl Held {
    const POSITION_SHIFT: u32 = 24;
    /// What fills up a row.
    const NOBODY: Self = Self(u32::MAX);

    const fn new(position: u32, entry: u32) -> Self {
        Self(position << Self::POSITION_SHIFT | entry)
    }

    #[inline]
    const fn position(self) -> u32 {
        self.0 >> Self::POSITION_SHIFT
    }

    #[inline]
    const fn entry(self) -> u32 {
        self.0 & ((1 << Self::POSITION_SHIFT) - 1)
    }
}

impl Buckets {
    pub(crate) fn new(bucket_size: u32) -> Self {
        Self {
            rows: Vec::new(),
            buckets: Vec::new(),
            lens: Vec::new(),
            places: Vec::new(),
            width: WIDTH_FIRST.min(bucket_size as usize),
            bucket_size,
            len: 0,
        }
    }

    /// Who must give way for an entry with this place; `None` while the bucket has a free position.
    pub(crate) fn rival(&self, place: Place) -> Option<u32> {
        let held = self.held(place.bucket);
        if held.len() < self.bucket_size as usize {
            return None;
        }
        held.iter().find(|held| held.position() == place.position).map(|held| held.entry())
    }

    /// Whether an entry holds a position in the bucket of this place.
    pub(crate) fn holds(&self, place: Place, entry: u32) -> bool {
        self.held(place.bucket).iter().any(|held| held.entry() == entry)
    }

    /// Gives the position of this place, or the next free one.
    pub(crate) fn put(&mut self, place: Place, entry: u32) {
        assert!(self.rival(place).is_none(), "a position is vacated before it is given");
        let Some(position) = self.free_position(place) else { return };
        let row = self.row_for(place.bucket);
        if self.lens.get(row).is_some_and(|len| usize::from(*len) == self.width) {
            self.widen();
        }
        let Some(len) = self.lens.get_mut(row) else { return };
        if let Some(next) = self.places.get_mut(row * self.width + usize::from(*len)) {
            *next = Held::new(position, entry);
        }
        *len += 1;
        self.len += 1;
    }

    /// Takes its position in the bucket of this place from an entry.
    pub(crate) fn clear(&mut self, place: Place, entry: u32) {
        let Some(index) = self.held(place.bucket).iter().position(|held| held.entry() == entry) else { return };
        let row = self.row_for(place.bucket);
        let Some(len) = self.lens.get_mut(row) else { return };
        *len -= 1;
        self.len -= 1;
        let (first, last) = (row * self.width, usize::from(*len));
        self.places.copy_within(first + last..=first + last, first + index);
        if last == 0 {
            self.remove_row(row, place.bucket);
        }
    }

    /// One entry: each occupied bucket is as likely as any other, so that a full one weighs no more than one with one entry.
    #[inline]
    pub(crate) fn random(&self, rng: &mut ChaCha8Rng) -> Option<u32> {
        let chance = rng.next_u64();
        let row = below(self.lens.len(), chance as u32);
        let index = below(usize::from(*self.lens.get(row)?), (chance >> 32) as u32);
        self.places.get(row * self.width + index).map(|held| held.entry())
    }

    /// What is held in a bucket.
    fn held(&self, bucket: u32) -> &[Held] {
        let row = self.rows.get(bucket as usize).map_or(usize::MAX, |row| *row as usize);
        let Some(len) = self.lens.get(row) else { return &[] };
        let first = row * self.width;
        self.places.get(first..first + usize::from(*len)).unwrap_or_default()
    }

    /// The position of this place, or the next one that nobody holds.
    fn free_position(&self, place: Place) -> Option<u32> {
        let mut taken = [false; 256];
        for held in self.held(place.bucket) {
            if let Some(taken) = taken.get_mut(held.position() as usize) {
                *taken = true;
            }
        }
        let mut from_place = (place.position..self.bucket_size).chain(0..place.position);
        from_place.find(|position| taken.get(*position as usize) == Some(&false))
    }

    /// The row of a bucket, which gets one if it was empty.
    fn row_for(&mut self, bucket: u32) -> usize {
        let index = bucket as usize;
        if self.rows.len() <= index {
            self.rows.resize(index + 1, NO_ROW);
        }
        let Some(row) = self.rows.get_mut(index) else { return usize::MAX };
        if *row == NO_ROW {
            *row = self.buckets.len() as u32;
            self.buckets.push(bucket);
            self.lens.push(0);
            // By an eighth: a large table is to take what it needs, not the double.
            if self.places.len() + self.width > self.places.capacity() {
                self.places.reserve_exact(self.places.len() / 8 + self.width);
            }
            self.places.resize(self.places.len() + self.width, Held::NOBODY);
        }
        *row as usize
    }

    /// Makes rows twice as wide, but no wider than a bucket can be.
    fn widen(&mut self) {
        let width = (2 * self.width).min(self.bucket_size as usize);
        let mut places = Vec::with_capacity(self.lens.len() * width);
        for row in self.places.chunks_exact(self.width) {
            places.extend_from_slice(row);
            places.resize(places.len() + width - self.width, Held::NOBODY);
        }
        (self.places, self.width) = (places, width);
    }

    /// Takes its row from an empty bucket; the last row moves there.
    fn remove_row(&mut self, row: usize, bucket: u32) {
        let last = self.places.len() - self.width;
        self.places.copy_within(last.., row * self.width);
        self.places.truncate(last);
        self.lens.swap_remove(row);
        self.buckets.swap_remove(row);
        for (bucket, row) in [(Some(bucket), NO_ROW), (self.buckets.get(row).copied(), row as u32)] {
            if let Some(place) = bucket.and_then(|bucket| self.rows.get_mut(bucket as usize)) {
                *place = row;
            }
        }
    }

    /// How many places are held.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        let numbers = self.rows.capacity() + self.buckets.capacity();
        numbers * size_of::<u32>()
            + self.lens.capacity() * size_of::<u16>()
            + self.places.capacity() * size_of::<Held>()
    }
}

/// A number below `limit`, all as likely but for a four-thousand-millionth part.
#[inline]
const fn below(limit: usize, chance: u32) -> usize {
    ((limit as u64 * chance as u64) >> 32) as usize
}

#[cfg(test)]
mod tests;
