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
/// bucket only. In a full one the secret says who is challenged, always the same for the same endpoint. Takes memory for what
/// is there: four bytes a place.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    buckets: Vec<Bucket>,
    occupied: Vec<u32>,
    bucket_size: u32,
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    held: Vec<Held>,
    /// Where it stands among the occupied ones.
    at: u32,
}

/// A position, in the upper eight bits, and the entry that holds it.
#[derive(Clone, Copy, Debug)]
struct Held(u32);

impl Held {
    const POSITION_SHIFT: u32 = 24;

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
    pub(crate) const fn new(bucket_size: u32) -> Self {
        Self { buckets: Vec::new(), occupied: Vec::new(), bucket_size, len: 0 }
    }

    /// Who must give way for an entry with this place; `None` while the bucket has a free position.
    pub(crate) fn rival(&self, place: Place) -> Option<u32> {
        let bucket = self.buckets.get(place.bucket as usize)?;
        if bucket.held.len() < self.bucket_size as usize {
            return None;
        }
        bucket.held.iter().find(|held| held.position() == place.position).map(|held| held.entry())
    }

    /// Whether an entry holds a position in the bucket of this place.
    pub(crate) fn holds(&self, place: Place, entry: u32) -> bool {
        let bucket = self.buckets.get(place.bucket as usize);
        bucket.is_some_and(|bucket| bucket.held.iter().any(|held| held.entry() == entry))
    }

    /// Gives the position of this place, or the next free one.
    pub(crate) fn put(&mut self, place: Place, entry: u32) {
        assert!(self.rival(place).is_none(), "a position is vacated before it is given");
        let index = place.bucket as usize;
        if self.buckets.len() <= index {
            self.buckets.resize_with(index + 1, Bucket::default);
        }
        let Some(bucket) = self.buckets.get_mut(index) else { return };
        let mut taken = [false; 256];
        for held in &bucket.held {
            if let Some(taken) = taken.get_mut(held.position() as usize) {
                *taken = true;
            }
        }
        let mut from_place = (place.position..self.bucket_size).chain(0..place.position);
        let Some(position) = from_place.find(|position| taken.get(*position as usize) == Some(&false)) else { return };
        if bucket.held.is_empty() {
            bucket.at = self.occupied.len() as u32;
            self.occupied.push(place.bucket);
        }
        bucket.held.push(Held::new(position, entry));
        self.len += 1;
    }

    /// Takes its position in the bucket of this place from an entry.
    pub(crate) fn clear(&mut self, place: Place, entry: u32) {
        let Some(bucket) = self.buckets.get_mut(place.bucket as usize) else { return };
        let Some(index) = bucket.held.iter().position(|held| held.entry() == entry) else { return };
        bucket.held.swap_remove(index);
        self.len -= 1;
        if !bucket.held.is_empty() {
            return;
        }
        bucket.held = Vec::new();
        let at = bucket.at;
        self.occupied.swap_remove(at as usize);
        let moved = self.occupied.get(at as usize).copied();
        if let Some(moved) = moved.and_then(|moved| self.buckets.get_mut(moved as usize)) {
            moved.at = at;
        }
    }

    /// One entry: each occupied bucket is as likely as any other, so that a full one weighs no more than one with one entry.
    #[inline]
    pub(crate) fn random(&self, rng: &mut ChaCha8Rng) -> Option<u32> {
        let chance = rng.next_u64();
        let bucket = *self.occupied.get(below(self.occupied.len(), chance as u32))?;
        let held = &self.buckets.get(bucket as usize)?.held;
        held.get(below(held.len(), (chance >> 32) as u32)).map(|held| held.entry())
    }

    /// How many places are held.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        let held: usize = self.buckets.iter().map(|bucket| bucket.held.capacity() * size_of::<Held>()).sum();
        held + self.buckets.capacity() * size_of::<Bucket>() + self.occupied.capacity() * size_of::<u32>()
    }
}

/// A number below `limit`, all as likely but for a four-thousand-millionth part.
#[inline]
const fn below(limit: usize, chance: u32) -> usize {
    ((limit as u64 * chance as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bruit_core::Endpoint;

    use super::*;
    use crate::Config;

    fn placement(seed: u64) -> Placement {
        let config = Config { new_buckets_per_source_group: 4, tried_buckets_per_group: 2, ..Config::default() };
        Placement::new(Seed::from_number(seed), config.validate().unwrap())
    }

    fn in_new(placement: &Placement, endpoint: &Endpoint, source: NetGroup) -> Place {
        placement.in_new(&Spot::of(endpoint), endpoint.group(), source)
    }

    fn in_tried(placement: &Placement, endpoint: &Endpoint) -> Place {
        placement.in_tried(&Spot::of(endpoint), endpoint.group())
    }

    fn endpoints(groups: u8, per_group: u8) -> impl Iterator<Item = Endpoint> {
        (0..groups).flat_map(move |b| (0..per_group).map(move |d| Endpoint::tcp([1, b, 0, d].into(), 1)))
    }

    #[test]
    fn a_source_group_reaches_its_share_of_buckets_and_a_group_its_own() {
        let placement = placement(1);
        let source = NetGroup::V4(7);
        let new: BTreeSet<u32> = endpoints(200, 4).map(|e| in_new(&placement, &e, source).bucket).collect();
        assert_eq!(new.len(), 4);
        let tried: BTreeSet<u32> = endpoints(1, 200).map(|e| in_tried(&placement, &e).bucket).collect();
        assert_eq!(tried.len(), 2);
    }

    #[test]
    fn one_group_told_by_one_source_is_one_bucket() {
        let placement = placement(1);
        let buckets: BTreeSet<u32> =
            endpoints(1, 200).map(|e| in_new(&placement, &e, NetGroup::V4(7)).bucket).collect();
        assert_eq!(buckets.len(), 1);
    }

    #[test]
    fn places_follow_from_the_secret() {
        let places = |seed| endpoints(50, 1).map(|e| in_tried(&placement(seed), &e)).collect::<Vec<_>>();
        assert_eq!(places(1), places(1));
        assert_ne!(places(1), places(2));
    }

    #[test]
    fn a_bucket_emptied_is_not_drawn() {
        let mut table = Buckets::new(64);
        let mut rng = Seed::from_number(1).rng();
        let place = Place { bucket: 3, position: 5 };
        table.put(place, 7);
        assert_eq!((table.holds(place, 7), table.len(), table.random(&mut rng)), (true, 1, Some(7)));
        table.clear(place, 7);
        assert_eq!((table.holds(place, 7), table.len(), table.random(&mut rng)), (false, 0, None));
    }

    #[test]
    fn nobody_gives_way_before_the_bucket_is_full() {
        let mut table = Buckets::new(3);
        let place = Place { bucket: 0, position: 2 };
        for entry in 0..3 {
            assert_eq!(table.rival(place), None);
            table.put(place, entry);
        }
        assert!(table.bytes() > 0);
        assert_eq!(table.rival(place), Some(0));
        assert_eq!(table.rival(Place { position: 0, ..place }), Some(1));
        table.clear(place, 1);
        assert_eq!(table.rival(place), None);
    }
}
