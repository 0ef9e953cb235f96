//! Numbers that are shown have reasons: parts add up, the reason that is named decides, and nobody can be talked down.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{net::Ipv4Addr, time::Duration};

use bruit_address_book::{
    AddressBook, Ban, BanSubject, Called, Candidate, ChoiceReason, Conduct, Config, Endpoint, Evidence, Hearsay,
    NetGroup, Part, PeerId, SampleOrder, SampleRules, Seed, Source, Standing, Timestamp, Wanted, Without,
};
use bruit_core::Audience;
use proptest::prelude::*;

const HOUR: u64 = 3_600;

fn peer(number: u8) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([number; 32]);
    PeerId::from_bytes(&bytes).unwrap()
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn spread(number: u32) -> Endpoint {
    Endpoint::tcp(Ipv4Addr::from_bits(0x0b00_0001 + number * 65_536).into(), 9)
}

fn book(seed: u64) -> AddressBook {
    AddressBook::new(Config::default().validate().unwrap(), Seed::from_number(seed))
}

/// What one peer did, and for how long nothing more.
#[derive(Clone, Debug)]
struct Deed {
    peer: u8,
    kind: u8,
    count: u32,
    then_secs: u64,
}

fn deed() -> impl Strategy<Value = Deed> {
    let count = prop_oneof![1..20_u32, any::<u32>()];
    let then_secs = prop_oneof![0..60_u64, 0..30 * HOUR];
    (0..6_u8, 0..14_u8, count, then_secs).prop_map(|(peer, kind, count, then_secs)| Deed {
        peer,
        kind,
        count,
        then_secs,
    })
}

fn conduct(kind: u8) -> Conduct {
    match kind {
        0 => Conduct::DeliveredFirst,
        1 => Conduct::DeliveredDuplicate,
        2 => Conduct::DeliveredInvalid,
        3 => Conduct::BrokeProtocol,
        4 => Conduct::Answered { elapsed: Duration::from_millis(70) },
        5 => Conduct::CouldNotSatisfy,
        6 => Conduct::AnsweredFalsely,
        7 => Conduct::TimedOut,
        8 => Conduct::SharedLiveAddr,
        _ => Conduct::SharedDeadAddr,
    }
}

fn carry_out(book: &mut AddressBook, deed: &Deed, now: Timestamp) {
    let (who, at) = (peer(deed.peer), spread(u32::from(deed.peer)));
    match deed.kind {
        kind @ 0..10 => book.conduct(who, conduct(kind), deed.count, now),
        10 => {
            let called = Called { method: ["ping", "block"][deed.count as usize % 2], conduct: conduct(4) };
            book.method_conduct(who, called, deed.count, now);
        }
        11 => book.judged(who, i32::try_from(deed.count).unwrap_or(i32::MIN), now),
        12 => {
            let _ = book.dial_succeeded(&at, who, now);
        }
        _ => {
            let _ = book.dial_failed(&at, now);
        }
    }
}

/// A book of peers with a past, and of strangers.
fn lived(seed: u64, deeds: &[Deed]) -> (AddressBook, Timestamp) {
    let mut book = book(seed);
    let mut now = at(0);
    for number in 0..6 {
        let _ = book.dial_succeeded(&spread(u32::from(number)), peer(number), now);
    }
    for number in 6..12 {
        let hearsay = Hearsay { peer: None, endpoint: spread(number), last_seen: Some(now), source: Source::Seed };
        let _ = book.heard(hearsay, now);
    }
    for deed in deeds {
        carry_out(&mut book, deed, now);
        now = now.after(Duration::from_secs(deed.then_secs));
    }
    (book, now)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn parts_of_a_choice_add_up_and_without_the_top_reason_another_one_is_chosen(
        seed: u64,
        deeds in prop::collection::vec(deed(), 0..60),
        excluded in 0..12_u32,
    ) {
        let (mut book, now) = lived(seed, &deeds);
        let eligible = |candidate: &Candidate<'_>| *candidate.endpoint != spread(excluded);
        for _ in 0..8 {
            let before = book.clone();
            let Some((choice, why)) = book.select_explained(Wanted::Any, eligible, now) else { break };
            prop_assert_eq!(before.clone().select(Wanted::Any, eligible, now), Some(choice.clone()), "explaining changes nothing");
            prop_assert_eq!((&why.endpoint, why.peer, why.table), (&choice.endpoint, choice.peer, choice.table));
            prop_assert_eq!(why.parts.iter().map(|part| part.thousandths).sum::<i32>(), why.chance);
            prop_assert!(why.chance >= why.needed, "{why:?}");
            prop_assert!(why.parts.iter().any(|part| part.reason == why.top), "{why:?}");
            let without = Without { endpoint: choice.endpoint.clone(), reason: why.top };
            let instead = before.select_without(Wanted::Any, eligible, &without, now);
            prop_assert_ne!(instead.map(|instead| instead.endpoint), Some(choice.endpoint), "{:?}", why);
            prop_assert_eq!(book.choices().last(), Some(&why));
        }
    }

    #[test]
    fn evidence_adds_up_and_without_its_top_parts_there_is_no_ban(parts: [i32; 8]) {
        let bounded = |(points, part): (i32, Part)| points.clamp(part.bounds().0, part.bounds().1);
        let parts: Vec<i32> = parts.into_iter().zip(Part::ALL).map(bounded).collect();
        let evidence = Evidence { parts: parts.try_into().unwrap(), below: -30_000, seen_at: None };
        let total: i32 = evidence.parts.iter().sum();
        prop_assert_eq!(evidence.total(), total);
        let without = |left_out: &[Part]| {
            let kept = Part::ALL.into_iter().zip(evidence.parts).filter(|(part, _)| !left_out.contains(part));
            kept.map(|(_, points)| points).sum::<i32>()
        };
        let top = evidence.top();
        prop_assert_eq!(top.is_empty(), total >= evidence.below);
        prop_assert!(without(&top) >= evidence.below, "{evidence:?}");
        prop_assert!(top.is_empty() || without(&top[..top.len() - 1]) < evidence.below, "no more than it takes");
    }

    #[test]
    fn one_peer_cannot_lower_anothers_quality(deeds in prop::collection::vec(deed(), 0..60), others in prop::collection::vec(deed(), 0..60)) {
        // What the others do, and what they tell of peer 0, is mixed in between what peer 0 does itself.
        let (mut alone, mut among) = (book(1), book(1));
        let mut now = at(0);
        for book in [&mut alone, &mut among] {
            let _ = book.dial_succeeded(&spread(0), peer(0), now);
        }
        let mut others = others.into_iter().map(|deed| Deed { peer: 1 + deed.peer % 5, ..deed });
        for deed in deeds.iter().filter(|deed| deed.kind < 12) {
            let deed = Deed { peer: 0, ..deed.clone() };
            carry_out(&mut alone, &deed, now);
            carry_out(&mut among, &deed, now);
            for other in others.by_ref().take(3) {
                carry_out(&mut among, &other, now);
                let source = Source::Peer { peer: peer(other.peer), group: NetGroup::V4(3) };
                let dead = spread(100 + other.count % 8);
                let hearsay = Hearsay { peer: Some(peer(0)), endpoint: dead.clone(), last_seen: None, source };
                let _ = among.heard(hearsay, now);
                let _ = among.dial_failed(&dead, now);
                let _ = among.wrong_identity(&dead, peer(other.peer), now);
            }
            now = now.after(Duration::from_secs(deed.then_secs));
            prop_assert!(among.quality(&peer(0), now).total >= alone.quality(&peer(0), now).total);
        }
    }

    #[test]
    fn a_new_identity_never_beats_a_neutral_one(deeds in prop::collection::vec(deed(), 0..60)) {
        // Whoever starts anew is where everybody of whom nothing is known is, and within an hour no further than an hour allows.
        let (mut book, now) = lived(3, &deeds);
        prop_assert_eq!((book.quality(&peer(77), now).total, book.standing(&peer(77), now)), (0, Standing::Good));
        let good = [0, 4, 8, 10, 12];
        for (kind, count) in good.into_iter().cycle().zip([1, 1_000, u32::MAX]).take(15) {
            carry_out(&mut book, &Deed { peer: 77, kind, count, then_secs: 0 }, now);
        }
        let hourly: i32 = [Part::Dial, Part::Latency, Part::Delivery, Part::Rpc, Part::Addresses]
            .map(|part| part.per_hour().1.min(part.bounds().1)).iter().sum();
        prop_assert!(book.quality(&peer(77), now).total <= hourly);
    }
}

#[test]
fn a_million_events_keep_a_quality_within_its_bounds() {
    let mut book = book(5);
    let mut state = 1_u64;
    let mut now = at(0);
    let (least, most) = Part::ALL.map(Part::bounds).iter().fold((0, 0), |(a, b), (least, most)| (a + least, b + most));
    for _ in 0..1_000_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let deed = Deed { peer: 0, kind: (state >> 60) as u8 % 12, count: (state >> 20) as u32, then_secs: 0 };
        carry_out(&mut book, &deed, now);
        now = now.after(Duration::from_secs(state >> 55));
    }
    let quality = book.quality(&peer(0), now);
    assert!((least..=most).contains(&quality.total), "{quality:?}");
}

#[test]
fn standing_decides_who_is_believed_shared_and_preferred() {
    let mut book = book(1);
    for number in 1..=3 {
        let _ = book.dial_succeeded(&spread(u32::from(number)), peer(number), at(0));
    }
    book.judged(peer(1), -7_000, at(1));
    book.judged(peer(2), -20_000, at(1));
    let standings = [1, 2, 3].map(|number| book.standing(&peer(number), at(1)));
    assert_eq!(standings, [Standing::Unshared, Standing::Ignored, Standing::Good]);
    let sample = book.sample(SampleRules::default(), Audience::Internet, at(1));
    assert_eq!(sample.iter().map(|shared| shared.peer).collect::<Vec<_>>(), [Some(peer(3))]);
    assert!(book.is_discouraged(Some(&peer(2)), None, at(1)) && !book.is_banned(Some(&peer(2)), None, at(1)));
    let told_by = |number| Source::Peer { peer: peer(number), group: NetGroup::V4(1) };
    let heard = [1, 2].map(|number| {
        let endpoint = spread(50 + u32::from(number));
        book.heard(Hearsay { peer: None, endpoint, last_seen: None, source: told_by(number) }, at(1))
    });
    use bruit_address_book::{Heard, HeardRefusal};
    assert_eq!(heard, [Heard::Added, Heard::Refused(HeardRefusal::Ignored)]);
}

#[test]
fn the_best_come_first_and_no_more_than_asked_for() {
    let mut book = book(1);
    for number in 0..200_u8 {
        let _ = book.dial_succeeded(&spread(u32::from(number)), peer(number), at(0));
        book.judged(peer(number), i32::from(number) * 90, at(0));
    }
    let rules =
        |most| SampleRules { least: 1, percent: 100, most, order: SampleOrder::BestFirst, ..SampleRules::default() };
    let mut told =
        |most| book.sample(rules(most), Audience::Internet, at(0)).iter().filter_map(|s| s.peer).collect::<Vec<_>>();
    assert_eq!([127, 128, 129].map(|most| told(most).len()), [127, 128, 129]);
    assert_eq!(told(128), (72..200).rev().map(peer).collect::<Vec<_>>());
}

#[test]
fn changes_of_quality_are_reported_in_bounded_batches() {
    let mut book = book(1);
    for number in 0..10 {
        book.judged(peer(number), 1_000, at(0));
        book.judged(peer(number), -9_000, at(0));
    }
    let batches = [4, 4, 4, 4].map(|count| book.quality_changes(count, at(0)));
    assert_eq!(batches.each_ref().map(Vec::len), [4, 4, 2, 0]);
    let mut peers: Vec<_> = batches.iter().flatten().map(|change| change.peer).collect();
    peers.sort();
    peers.dedup();
    assert_eq!(peers.len(), 10);
    assert!(batches.iter().flatten().all(|change| change.total == -8_000 && change.standing == Standing::Unshared));
}

#[test]
fn so_many_explanations_are_kept() {
    let mut book = book(1);
    let _ = book.dial_succeeded(&spread(1), peer(1), at(0));
    let mut kept_after = |count: usize| {
        while book.choices().count() < count {
            let before = book.choices().count();
            book.select_explained(Wanted::Any, |_| true, at(700)).unwrap();
            if book.choices().count() == before {
                break;
            }
        }
        book.choices().count()
    };
    assert_eq!([63, 64, 65].map(&mut kept_after), [63, 64, 64]);
    let why = book.explain(&peer(1), at(700)).unwrap().last_choice.unwrap();
    assert_eq!(why.endpoint, spread(1));
    assert!(why.parts.iter().any(|part| part.reason == ChoiceReason::Drawn));
}

#[test]
fn the_discouraged_are_chosen_rarely_and_the_banned_never() {
    let mut book = book(1);
    for number in 1..=3 {
        let _ = book.dial_succeeded(&spread(u32::from(number)), peer(number), at(0));
    }
    let subject = |number| BanSubject::Peer(peer(number));
    book.ban(Ban::by_operator(subject(1), Duration::from_secs(HOUR), at(0)).discouraging(), at(0)).unwrap();
    book.ban(Ban::by_operator(subject(2), Duration::from_secs(HOUR), at(0)), at(0)).unwrap();
    let mut counts = [0; 4];
    for _ in 0..1_000 {
        let choice = book.select(Wanted::Any, |_| true, at(700)).unwrap();
        counts[(1..=3).find(|number| choice.peer == Some(peer(*number))).unwrap() as usize] += 1;
    }
    assert!(counts[1] > 0 && counts[1] < 250 && counts[2] == 0, "{counts:?}");
}
