//! Where entries stand. A secret and the address decide the place, so nobody can aim at one without the secret, and what one
//! part of the internet tells or holds reaches only some of the buckets.

use bruit_core::{ChaCha8Rng, Endpoint, NetGroup, Seed};
use rand::RngExt;

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

impl Placement {
    pub(crate) const fn new(secret: Seed, config: ValidConfig) -> Self {
        Self { secret, config }
    }

    /// The place in *new* of an endpoint that was told by `source`.
    pub(crate) fn in_new(&self, endpoint: &Endpoint, source: NetGroup) -> Place {
        let settings = self.config.settings();
        let (group, source) = (group_bytes(endpoint.group()), group_bytes(source));
        let spread = self.number(b"new spread", &[&group, &source], settings.new_buckets_per_source_group);
        let bucket = self.number(b"new bucket", &[&source, &spread.to_le_bytes()], settings.new_buckets);
        self.place(b"new place", bucket, endpoint)
    }

    /// The place in *tried* of an endpoint.
    pub(crate) fn in_tried(&self, endpoint: &Endpoint) -> Place {
        let settings = self.config.settings();
        let addr = endpoint.to_multiaddr();
        let spread = self.number(b"tried spread", &[addr.as_ref()], settings.tried_buckets_per_group);
        let group = group_bytes(endpoint.group());
        let bucket = self.number(b"tried bucket", &[&group, &spread.to_le_bytes()], settings.tried_buckets);
        self.place(b"tried place", bucket, endpoint)
    }

    fn place(&self, label: &[u8], bucket: u32, endpoint: &Endpoint) -> Place {
        let addr = endpoint.to_multiaddr();
        let bucket_size = self.config.settings().bucket_size;
        Place { bucket, position: self.number(label, &[&bucket.to_le_bytes(), addr.as_ref()], bucket_size) }
    }

    /// A number below `limit`; only the last of the parts varies in length.
    fn number(&self, label: &[u8], parts: &[&[u8]], limit: u32) -> u32 {
        let mut bytes = label.to_vec();
        bytes.push(0);
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        (self.secret.keyed_hash(&bytes) % u64::from(limit)) as u32
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
    bytes.iter_mut().skip(1).zip(number.to_le_bytes()).for_each(|(place, byte)| *place = byte);
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
/// is there.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    buckets: Vec<Vec<(u32, u32)>>,
    occupied: Vec<u32>,
    bucket_size: u32,
    len: usize,
}

impl Buckets {
    pub(crate) const fn new(bucket_size: u32) -> Self {
        Self { buckets: Vec::new(), occupied: Vec::new(), bucket_size, len: 0 }
    }

    /// Who must give way for an entry with this place; `None` while the bucket has a free position.
    pub(crate) fn rival(&self, place: Place) -> Option<u32> {
        let bucket = self.buckets.get(place.bucket as usize)?;
        if bucket.len() < self.bucket_size as usize {
            return None;
        }
        bucket.iter().find(|(position, _)| *position == place.position).map(|(_, entry)| *entry)
    }

    /// Whether an entry holds a position in the bucket of this place.
    pub(crate) fn holds(&self, place: Place, entry: u32) -> bool {
        let bucket = self.buckets.get(place.bucket as usize);
        bucket.is_some_and(|bucket| bucket.iter().any(|(_, holder)| *holder == entry))
    }

    /// Gives the position of this place, or the next free one.
    pub(crate) fn put(&mut self, place: Place, entry: u32) {
        assert!(self.rival(place).is_none(), "a position is vacated before it is given");
        let index = place.bucket as usize;
        if self.buckets.len() <= index {
            self.buckets.resize_with(index + 1, Vec::new);
        }
        let bucket_size = self.bucket_size;
        let Some(bucket) = self.buckets.get_mut(index) else { return };
        let is_free = |position: &u32| bucket.iter().all(|(held, _)| held != position);
        let mut from_place = (0..bucket_size).map(|step| (place.position + step) % bucket_size);
        let Some(position) = from_place.find(is_free) else { return };
        if bucket.is_empty() {
            self.occupied.push(place.bucket);
        }
        bucket.push((position, entry));
        self.len += 1;
    }

    /// Takes its position in the bucket of this place from an entry.
    pub(crate) fn clear(&mut self, place: Place, entry: u32) {
        let Some(bucket) = self.buckets.get_mut(place.bucket as usize) else { return };
        let Some(index) = bucket.iter().position(|(_, holder)| *holder == entry) else { return };
        bucket.swap_remove(index);
        self.len -= 1;
        if bucket.is_empty() {
            bucket.shrink_to_fit();
            self.occupied.retain(|occupied| *occupied != place.bucket);
        }
    }

    /// One entry: each occupied bucket is as likely as any other, so that a full one weighs no more than one with one entry.
    pub(crate) fn random(&self, rng: &mut ChaCha8Rng) -> Option<u32> {
        let bucket = *self.occupied.get(below(self.occupied.len(), rng)?)?;
        let bucket = self.buckets.get(bucket as usize)?;
        bucket.get(below(bucket.len(), rng)?).map(|(_, entry)| *entry)
    }

    /// How many places are held.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

fn below(limit: usize, rng: &mut ChaCha8Rng) -> Option<usize> {
    (limit > 0).then(|| rng.random_range(0..limit))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Config;

    fn placement(seed: u64) -> Placement {
        let config = Config { new_buckets_per_source_group: 4, tried_buckets_per_group: 2, ..Config::default() };
        Placement::new(Seed::from_number(seed), config.validate().unwrap())
    }

    fn endpoints(groups: u8, per_group: u8) -> impl Iterator<Item = Endpoint> {
        (0..groups).flat_map(move |b| (0..per_group).map(move |d| Endpoint::tcp([1, b, 0, d].into(), 1)))
    }

    #[test]
    fn a_source_group_reaches_its_share_of_buckets_and_a_group_its_own() {
        let placement = placement(1);
        let source = NetGroup::V4(7);
        let new: BTreeSet<u32> = endpoints(200, 4).map(|e| placement.in_new(&e, source).bucket).collect();
        assert_eq!(new.len(), 4);
        let tried: BTreeSet<u32> = endpoints(1, 200).map(|e| placement.in_tried(&e).bucket).collect();
        assert_eq!(tried.len(), 2);
    }

    #[test]
    fn one_group_told_by_one_source_is_one_bucket() {
        let placement = placement(1);
        let buckets: BTreeSet<u32> = endpoints(1, 200).map(|e| placement.in_new(&e, NetGroup::V4(7)).bucket).collect();
        assert_eq!(buckets.len(), 1);
    }

    #[test]
    fn places_follow_from_the_secret() {
        let places = |seed| endpoints(50, 1).map(|e| placement(seed).in_tried(&e)).collect::<Vec<_>>();
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
        assert_eq!(table.rival(place), Some(0));
        assert_eq!(table.rival(Place { position: 0, ..place }), Some(1));
        table.clear(place, 1);
        assert_eq!(table.rival(place), None);
    }
}
