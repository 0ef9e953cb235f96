#![allow(clippy::arithmetic_side_effects, reason = "the tests' own numbers are small")]

use bruit_wire::{limits::CHUNK_BYTES_MAX, pb};
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { bytes_max: 10 << 20, files_max: 100, orphan_bytes_max: 1 << 20 };

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn file(seed: u8, chunks: usize) -> (Manifest, Vec<Part>) {
    let bytes: Vec<u8> = (0..chunks * CHUNK_BYTES_MAX - 7).map(|n| (n / 1_000) as u8 ^ seed).collect();
    let (manifest, chunks) = Manifest::cut(&format!("file-{seed}"), &bytes.into()).unwrap();
    let count = manifest.chunk_count();
    let parts = (0_u32..).zip(chunks).map(|(index, data)| Part::Chunk { manifest: manifest.id(), index, count, data });
    let parts = std::iter::once(Part::Manifest(manifest.clone())).chain(parts).collect();
    (manifest, parts)
}

#[test]
fn a_file_is_whole_when_its_last_part_came() {
    let mut store = FileStore::new(LIMITS);
    let (manifest, parts) = file(1, 2);
    let taken: Vec<Taken> = parts.iter().map(|part| store.part_came("t", part.clone(), Via::Gossip, at(1))).collect();
    assert_eq!(taken, [Taken::New, Taken::New, Taken::Completed]);
    for part in parts.clone() {
        assert_eq!(store.part_came("t", part, Via::Rpc, at(2)), Taken::Known);
    }
    let view = store.view(manifest.id()).unwrap();
    assert_eq!((view.held, view.by_gossip, view.by_rpc, view.complete, view.published_here), (2, 2, 0, true, false));
    assert_eq!((store.totals().manifests, store.totals().complete, store.totals().chunks_by_gossip), (1, 1, 2));

    let again = store.object(manifest.id(), None, at(3)).and_then(Part::from_payload);
    assert_eq!(again.as_ref(), parts.first());
    assert_eq!(store.object(manifest.id(), Some(1), at(3)).and_then(Part::from_payload).as_ref(), parts.get(2));
    assert_eq!(store.object(manifest.id(), Some(2), at(3)), None);
}

#[test]
fn false_chunks_are_refused_whenever_they_come() {
    let (manifest, parts) = file(1, 2);
    let lie = |count| Part::Chunk { manifest: manifest.id(), index: 0, count, data: Bytes::from_static(b"lie") };
    let mut store = FileStore::new(LIMITS);
    store.part_came("t", parts[0].clone(), Via::Gossip, at(1));
    assert_eq!(store.part_came("t", lie(2), Via::Gossip, at(1)), Taken::False);
    assert_eq!(store.part_came("t", lie(3), Via::Gossip, at(1)), Taken::False);
    assert_eq!(store.view(manifest.id()).unwrap().held, 0);

    let mut store = FileStore::new(LIMITS);
    assert_eq!(store.part_came("t", lie(2), Via::Gossip, at(1)), Taken::Orphan);
    assert_eq!(store.part_came("t", parts[1].clone(), Via::Gossip, at(1)), Taken::Known);
    assert_eq!(store.part_came("t", parts[0].clone(), Via::Gossip, at(1)), Taken::New);
    assert_eq!(store.view(manifest.id()).unwrap().held, 0);
    assert_eq!(store.totals().refused, 1);
}

#[test]
fn a_manifest_that_promises_another_file_is_found_out() {
    let (_, parts) = file(1, 1);
    let Part::Chunk { data, .. } = &parts[1] else { unreachable!() };
    let (manifest, _) = Manifest::cut("x", data).unwrap();
    let bruit_wire::pb::ObjectItem { kind: Some(bruit_wire::pb::object_item::Kind::Manifest(mut wire)) } =
        bruit_wire::decode(manifest.to_payload()).unwrap()
    else {
        unreachable!()
    };
    wire.sha256 = Bytes::from_static(&[9; 32]);
    let lying = Manifest::from_wire(wire).unwrap();
    let mut store = FileStore::new(LIMITS);
    store.part_came("t", Part::Manifest(lying.clone()), Via::Gossip, at(1));
    let chunk = Part::Chunk { manifest: lying.id(), index: 0, count: 1, data: data.clone() };
    assert_eq!(store.part_came("t", chunk.clone(), Via::Gossip, at(1)), Taken::Broken);
    assert_eq!(store.part_came("t", chunk, Via::Gossip, at(1)), Taken::Known);
    assert_eq!((store.object(lying.id(), None, at(1)), store.whole(lying.id(), at(1))), (None, None));
    assert!(store.stalled(Duration::ZERO, at(9)).is_empty() && store.recent("t", 0).is_empty());
}

#[test]
fn what_stalls_is_named_and_what_is_recent_comes_newest_first() {
    let mut store = FileStore::new(LIMITS);
    let [(first, one), (second, two), (third, three)] = [file(1, 2), file(2, 2), file(3, 2)];
    store.part_came("t", one[0].clone(), Via::Gossip, at(1));
    store.part_came("t", two[2].clone(), Via::Gossip, at(3));
    for part in three {
        store.part_came("t", part, Via::Here, at(5));
    }
    let delay = Duration::from_secs(2);
    let stalled = |now| store.stalled(delay, at(now)).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert!(stalled(2).is_empty());
    assert_eq!(stalled(3), [first.id()]);
    assert_eq!(stalled(100), [first.id(), second.id()]);
    assert_eq!(store.recent("t", 0), [third.id(), first.id()]);
    assert_eq!(store.recent("t", 2), [third.id()]);
    assert!(store.recent("other", 0).is_empty());
    store.forget_topic("t");
    assert_eq!((store.totals().bytes, store.orphan_bytes, store.views().len()), (0, 0, 0));
}

#[test]
fn fault_manifests_of_files_that_nobody_has_drive_out_no_file() {
    let mut store = FileStore::new(LIMITS);
    let (whole, parts) = file(1, 2);
    parts.into_iter().for_each(|part| _ = store.part_came("t", part, Via::Gossip, at(1)));
    let (begun, parts) = file(2, 2);
    parts.into_iter().take(2).for_each(|part| _ = store.part_came("t", part, Via::Gossip, at(2)));
    let (published, parts) = file(3, 200);
    parts.into_iter().for_each(|part| _ = store.part_came("t", part, Via::Here, at(3)));
    for number in 0..1_000_u32 {
        let chunk_hashes: Vec<u8> = number.to_be_bytes().repeat(8 * 5_000);
        let (name, sha256) = ("none".into(), Bytes::from_static(&[7; 32]));
        let wire = pb::Manifest { name, size: 5_000, chunk_size: 1, chunk_hashes: chunk_hashes.into(), sha256 };
        let promise = Part::Manifest(Manifest::from_wire(wire).unwrap());
        assert_eq!(store.part_came("t", promise, Via::Gossip, at(4)), Taken::New);
    }
    for number in 0..200 {
        let (empty, _) = Manifest::cut(&format!("empty-{number}"), &Bytes::new()).unwrap();
        store.part_came("t", Part::Manifest(empty), Via::Gossip, at(4));
    }
    let held = |manifest: &Manifest| store.view(manifest.id()).map(|view| view.held);
    assert_eq!([held(&published), held(&whole), held(&begun)], [Some(200), Some(2), Some(1)]);
    let (newer, parts) = file(4, 115);
    parts.into_iter().for_each(|part| _ = store.part_came("t", part, Via::Gossip, at(5)));
    assert!(store.view(newer.id()).unwrap().complete && store.view(published.id()).unwrap().complete);

    let mut full = FileStore::new(Limits { files_max: 2, ..LIMITS });
    for seed in [1, 2] {
        file(seed, 1).1.into_iter().for_each(|part| _ = full.part_came("t", part, Via::Here, at(1)));
    }
    assert_eq!(full.part_came("t", file(3, 1).1[0].clone(), Via::Gossip, at(2)), Taken::NoRoom);
    assert_eq!(full.part_came("t", file(4, 1).1[0].clone(), Via::Here, at(3)), Taken::New);
}

#[test]
fn the_least_recently_used_file_makes_room() {
    let limits = Limits { bytes_max: 5 * CHUNK_BYTES_MAX as u64, files_max: 100, orphan_bytes_max: 0 };
    let mut store = FileStore::new(limits);
    let [(a, one), (b, two), (c, three)] = [file(1, 2), file(2, 2), file(3, 2)];
    for part in one {
        store.part_came("t", part, Via::Gossip, at(1));
    }
    for part in two {
        store.part_came("t", part, Via::Gossip, at(2));
    }
    store.whole(a.id(), at(3)).unwrap();
    for part in three {
        store.part_came("t", part, Via::Gossip, at(4));
    }
    let held: Vec<bool> = [a, b, c].iter().map(|manifest| store.view(manifest.id()).is_some()).collect();
    assert_eq!(held, [true, false, true]);
    let (_, large) = file(4, 6);
    assert_eq!(store.part_came("t", large[0].clone(), Via::Gossip, at(5)), Taken::NoRoom);
    assert_eq!(store.part_came("t", large[1].clone(), Via::Gossip, at(5)), Taken::NoRoom);
    assert_eq!(store.totals().complete, 2);

    let mut store = FileStore::new(Limits { files_max: 2, ..LIMITS });
    for n in 0..4 {
        store.part_came("t", file(n, 1).1.remove(0), Via::Gossip, at(n.into()));
    }
    assert_eq!(store.totals().manifests, 2);
}

#[derive(Clone, Debug)]
enum Step {
    Part { file: u8, part: usize, via: bool },
    Lie { file: u8, index: u32 },
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..4, 0_usize..4, any::<bool>()).prop_map(|(file, part, via)| Step::Part { file, part, via }),
        2 => (0_u8..4, 0_u32..4).prop_map(|(file, index)| Step::Lie { file, index }),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Bytes held never exceed the limits and are what the files add up to; a file that is complete is the published one.
    #[test]
    fn no_order_of_parts_breaks_the_accounts(steps in prop::collection::vec(step(), 1..80), room in 1_u64..12) {
        let chunk = CHUNK_BYTES_MAX as u64;
        let limits = Limits { bytes_max: room * chunk, files_max: 3, orphan_bytes_max: 2 * chunk };
        let mut store = FileStore::new(limits);
        let files: Vec<_> = (0..4).map(|seed| file(seed, 3)).collect();
        for (now, step) in (1..).zip(steps) {
            match step {
                Step::Part { file, part, via } => {
                    let via = if via { Via::Gossip } else { Via::Rpc };
                    store.part_came("t", files[usize::from(file)].1[part].clone(), via, at(now));
                }
                Step::Lie { file, index } => {
                    let manifest = files[usize::from(file)].0.id();
                    let lie = Part::Chunk { manifest, index, count: 4, data: Bytes::from_static(b"lie") };
                    store.part_came("t", lie, Via::Gossip, at(now));
                }
                Step::Forget => store.forget_topic("t"),
            }
            let held: u64 = store.files.values().map(|held| held.bytes).sum();
            let orphans: u64 = store.orphans.values().map(|orphans| orphans.bytes).sum();
            prop_assert_eq!((held, orphans), (store.totals().bytes, store.orphan_bytes));
            prop_assert!(held <= limits.bytes_max && orphans <= limits.orphan_bytes_max && store.files.len() <= 3);
            for (manifest, _) in &files {
                if let Some((found, chunks)) = store.whole(manifest.id(), at(now)) {
                    prop_assert!(&found == manifest && found.is_file(&chunks));
                }
            }
        }
    }
}

#[test]
fn fault_the_places_of_chunks_that_did_not_come_count_as_memory() {
    let chunks = 6_000;
    let wire = bruit_wire::pb::Manifest {
        name: "many small chunks".to_owned(),
        size: chunks,
        chunk_size: 1,
        chunk_hashes: vec![0; 32 * chunks as usize].into(),
        sha256: vec![0; 32].into(),
    };
    let mut store = FileStore::new(LIMITS);
    let part = Part::Manifest(Manifest::from_wire(wire).unwrap());
    assert_eq!(store.part_came("t", part, Via::Gossip, at(1)), Taken::New);
    let place = size_of::<Option<(Bytes, Via)>>() as u64;
    assert!(store.totals().bytes >= chunks * (32 + place), "{} bytes", store.totals().bytes);
}
