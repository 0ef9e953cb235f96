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
    let buckets: BTreeSet<u32> = endpoints(1, 200).map(|e| in_new(&placement, &e, NetGroup::V4(7)).bucket).collect();
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
fn rows_hold_what_lists_would_hold() {
    let mut table = Buckets::new(13);
    let mut model: Vec<Vec<u32>> = vec![Vec::new(); 20];
    let mut rng = Seed::from_number(1).rng();
    for step in 0..20_000_u32 {
        // Filled up to the brim and emptied again, in turns.
        let fills = step / 1_000 % 2 == 0;
        let bucket = below(model.len(), rng.next_u32());
        let place = Place { bucket: bucket as u32, position: rng.next_u32() % 13 };
        let held = &mut model[bucket];
        if !fills && let Some(entry) = held.pop() {
            table.clear(place, entry);
        } else if fills && held.len() < 13 {
            held.push(step);
            table.put(place, step);
        }
        assert!(held.iter().all(|entry| table.holds(place, *entry)));
        assert_eq!(table.rival(place).is_some(), held.len() == 13);
        assert_eq!(table.len(), model.iter().map(Vec::len).sum());
        let drawn = table.random(&mut rng);
        assert_eq!(drawn.is_none(), table.len() == 0);
        assert!(drawn.is_none_or(|drawn| model.iter().flatten().any(|entry| *entry == drawn)));
    }
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
