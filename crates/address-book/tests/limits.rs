//! Each limit at one below, at, and one above it; `limits.toml` names them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{net::Ipv4Addr, time::Duration};

use bruit_address_book::{
    AddressBook, Ban, BanReason, BanSubject, Config, Endpoint, Failed, Heard, HeardRefusal, Hearsay, NetGroup, PeerId,
    SampleOrder, SampleRules, Seed, Source, Succeeded, Table, Timestamp,
};
use bruit_core::Audience;

const MIN: u64 = 60;
const HOUR: u64 = 60 * MIN;
const DAY: u64 = 24 * HOUR;

fn peer(number: u8) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([number; 32]);
    PeerId::from_bytes(&bytes).unwrap()
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn before(secs: u64) -> Timestamp {
    at(0).before(Duration::from_secs(secs))
}

fn spread(number: u32) -> Endpoint {
    Endpoint::tcp(Ipv4Addr::from_bits(0x0b00_0001 + number * 65_536).into(), 9)
}

fn book_of(config: Config) -> AddressBook {
    AddressBook::new(config.validate().unwrap(), Seed::from_number(7))
}

fn told(number: u32, last_seen: Option<Timestamp>, group: u16) -> Hearsay {
    let source = Source::Peer { peer: peer(99), group: NetGroup::V4(group) };
    Hearsay { peer: None, endpoint: spread(number), last_seen, source }
}

/// What the book believes of a claimed time.
fn believed(claimed: Option<Timestamp>) -> Timestamp {
    let mut book = book_of(Config::default());
    assert_eq!(book.heard(told(1, claimed, 1), at(0)), Heard::Added);
    book.entry(&spread(1), at(0)).unwrap().last_seen
}

#[test]
fn claims_from_the_future_are_believed_for_ten_minutes() {
    let unknown = before(5 * DAY);
    let claims = [599, 600, 601].map(|secs| believed(Some(at(secs))));
    assert_eq!(claims, [before(2 * HOUR - 599), before(2 * HOUR - 600), unknown]);
}

#[test]
fn claims_lose_two_hours_and_never_end_in_the_future() {
    let penalty = 2 * HOUR;
    assert_eq!([0, 1, 2].map(|secs| believed(Some(before(secs)))), [penalty, penalty + 1, penalty + 2].map(before));
}

#[test]
fn what_claims_no_time_is_five_days_old_and_a_seed_seven() {
    assert_eq!(believed(None), before(5 * DAY));
    let mut book = book_of(Config::default());
    let seed = Hearsay { source: Source::Seed, ..told(1, None, 1) };
    assert_eq!(book.heard(seed, at(0)), Heard::Added);
    assert_eq!(book.entry(&spread(1), at(0)).unwrap().last_seen, before(7 * DAY));
}

#[test]
fn claims_from_before_1973_know_no_time() {
    // With a horizon of a century the age alone refuses nothing.
    let config = || Config { horizon_secs: 100 * 365 * DAY, ..Config::default() };
    let seen = |secs| {
        let mut book = book_of(config());
        let _ = book.heard(told(1, Some(Timestamp::from_secs(secs)), 1), at(0));
        book.entry(&spread(1), at(0)).unwrap().last_seen
    };
    let unknown = before(5 * DAY);
    let just = Timestamp::from_secs(100_000_001 - 2 * HOUR);
    assert_eq!([99_999_999, 100_000_000, 100_000_001].map(seen), [unknown, unknown, just]);
}

#[test]
fn the_horizon_is_where_entries_end() {
    let heard = |age: u64| book_of(Config::default()).heard(told(1, Some(before(age - 2 * HOUR)), 1), at(0));
    let too_old = Heard::Refused(HeardRefusal::TooOld);
    assert_eq!([30 * DAY - 1, 30 * DAY, 30 * DAY + 1].map(heard), [Heard::Added, Heard::Added, too_old]);
}

#[test]
fn so_many_of_its_own_endpoints_a_node_remembers() {
    let refused = |count: u32| {
        let mut book = book_of(Config::default());
        (0..count).for_each(|number| book.own_endpoint(spread(number)));
        book.heard(told(0, None, 1), at(0)) == Heard::Refused(HeardRefusal::Own)
    };
    assert_eq!([63, 64, 65].map(refused), [true, true, false]);
}

#[test]
fn a_source_group_fills_its_buckets_and_no_more() {
    for limit in [1, 2, 3] {
        let config = Config { bucket_size: 1, new_buckets_per_source_group: limit, ..Config::default() };
        let mut book = book_of(config);
        for number in 0..2_000 {
            let _ = book.heard(told(number, Some(at(0)), 9), at(0));
        }
        assert_eq!(book.len(), limit as usize);
    }
}

#[test]
fn a_group_fills_its_buckets_of_tried_and_no_more() {
    for limit in [1, 2, 3] {
        let config =
            Config { bucket_size: 1, tried_buckets: 65_536, tried_buckets_per_group: limit, ..Config::default() };
        let mut book = book_of(config);
        for number in 0..120_u8 {
            let endpoint = Endpoint::tcp([11, 1, 0, number].into(), 9);
            let _ = book.heard(Hearsay { endpoint: endpoint.clone(), ..told(0, None, u16::from(number)) }, at(0));
            let _ = book.dial_succeeded(&endpoint, peer(number), at(0));
        }
        assert_eq!(book.counts().tried, limit as usize);
    }
}

#[test]
fn tables_hold_their_buckets_and_no_more() {
    for [buckets, bucket_size] in [[1, 1], [1, 2], [2, 2], [3, 2]] {
        let mut book = book_of(Config { new_buckets: buckets, bucket_size, ..Config::default() });
        for number in 0..2_000 {
            let _ = book.heard(told(number, Some(at(0)), number as u16), at(0));
        }
        assert_eq!(book.counts().new as u32, buckets * bucket_size);
        let mut book = book_of(Config { tried_buckets: buckets, bucket_size, ..Config::default() });
        for number in 0..250_u8 {
            let _ = book.dial_succeeded(&spread(u32::from(number)), peer(number), at(0));
        }
        assert_eq!(book.counts().tried as u32, buckets * bucket_size);
    }
}

#[test]
fn an_entry_has_its_places_and_no_more() {
    for limit in [7, 8, 9] {
        let mut book = book_of(Config { places_per_entry_max: limit, ..Config::default() });
        for turn in 0..6_000_u32 {
            let _ = book.heard(told(1, Some(at(0)), turn as u16), at(0));
        }
        assert_eq!(book.entry(&spread(1), at(0)).unwrap().places, limit);
    }
}

#[test]
fn a_peer_has_its_endpoints_and_no_more() {
    for limit in [7, 8, 9] {
        let mut book = book_of(Config { endpoints_per_peer_max: limit, ..Config::default() });
        let heard: Vec<Heard> = (0..=limit as u32)
            .map(|number| book.heard(Hearsay { peer: Some(peer(1)), ..told(number, None, 1) }, at(0)))
            .collect();
        assert_eq!(heard.iter().filter(|heard| **heard == Heard::Added).count(), limit);
        assert_eq!(heard.last(), Some(&Heard::Refused(HeardRefusal::EndpointsFull)));
    }
}

#[test]
fn so_many_peers_without_an_endpoint_are_remembered() {
    for limit in [1, 2, 3] {
        let mut book = book_of(Config { unlisted_peers_max: limit, ..Config::default() });
        (0..9).for_each(|number| book.judged(peer(number), 1_000, at(u64::from(number))));
        assert_eq!(book.counts().peers, limit);
    }
}

#[test]
fn so_many_bans_are_kept() {
    for limit in [1, 2, 3_usize] {
        let mut book = book_of(Config { bans_max: limit, ..Config::default() });
        let span = Duration::from_secs(DAY);
        let added = (0..=limit as u8)
            .map(|number| book.ban(Ban::by_operator(BanSubject::Peer(peer(number)), span, at(0)), at(0)).is_ok())
            .filter(|is_added| *is_added);
        assert_eq!(added.count(), limit);
        let by_rule = Ban::by_rule(BanSubject::Peer(peer(77)), BanReason::BrokeProtocol, span, at(0));
        assert!(book.ban(by_rule, at(0)).is_err(), "an operator's ban does not make room");
    }
}

#[test]
fn a_sample_has_its_share_and_so_many_at_least() {
    let mut book = book_of(Config::default());
    (0..200).for_each(|number| assert_eq!(book.heard(told(number, None, number as u16), at(0)), Heard::Added));
    for order in [SampleOrder::Random, SampleOrder::BestFirst] {
        let mut told = |least, percent| {
            let rules = SampleRules { least, percent, order, ..SampleRules::default() };
            book.sample(rules, Audience::Internet, at(0)).len()
        };
        assert_eq!([22, 23, 24].map(|percent| told(0, percent)), [44, 46, 48]);
        assert_eq!([31, 32, 33].map(|least| told(least, 0)), [31, 32, 33]);
        assert_eq!([45, 46, 47].map(|least| told(least, 23)), [46, 46, 47]);
    }
}

#[test]
fn times_are_told_by_the_hour() {
    let told_for = |secs: u64| {
        let mut book = book_of(Config::default());
        let _ = book.dial_succeeded(&spread(1), peer(1), at(secs));
        book.sample(SampleRules::default(), Audience::Internet, at(secs)).iter().next().unwrap().last_seen
    };
    assert_eq!([HOUR - 1, HOUR, HOUR + 1].map(told_for), [at(0), at(HOUR), at(HOUR)]);
}

/// A book with one place in *tried*, held by peer 1 since `at(0)`, for which `count` others wait since `since`.
fn waiting(count: u8, since: Timestamp) -> AddressBook {
    let mut book = book_of(Config { tried_buckets: 1, bucket_size: 1, new_buckets: 65_536, ..Config::default() });
    assert_eq!(book.dial_succeeded(&spread(1), peer(1), at(0)), Succeeded::Tried);
    for number in 2..2 + count {
        let succeeded = book.dial_succeeded(&spread(u32::from(number)), peer(number), since);
        assert_eq!(succeeded, Succeeded::PlaceTaken(spread(1)));
    }
    book
}

#[test]
fn so_many_wait_for_a_place_in_tried() {
    assert_eq!([9, 10, 11].map(|count| waiting(count, at(DAY)).collisions()), [9, 10, 10]);
}

#[test]
fn who_was_reached_within_four_hours_keeps_its_place_untested() {
    let resolved = |secs| waiting(1, at(secs)).resolve_collisions(at(secs)).given_up;
    assert_eq!([4 * HOUR - 1, 4 * HOUR, 4 * HOUR + 1].map(resolved), [1, 0, 0]);
}

#[test]
fn a_test_counts_as_failed_a_minute_after_it_failed() {
    let promoted = |secs| {
        let mut book = waiting(1, at(DAY));
        assert_eq!(book.select_collision(at(DAY)).unwrap().endpoint, spread(1));
        book.dial_started(&spread(1), at(DAY));
        assert_eq!(book.dial_failed(&spread(1), at(DAY)), Failed::Counted(1));
        assert_eq!(book.select_collision(at(DAY)), None, "it is being tested");
        book.resolve_collisions(at(DAY + secs)).promoted
    };
    assert_eq!([59, 60, 61].map(promoted), [vec![], vec![spread(2)], vec![spread(2)]]);
}

#[test]
fn whoever_cannot_be_tested_in_forty_minutes_keeps_its_place() {
    let given_up = |secs| {
        let mut book = waiting(1, at(DAY));
        let resolved = book.resolve_collisions(at(DAY + secs));
        assert_eq!(book.entry(&spread(1), at(DAY)).unwrap().table, Table::Tried);
        resolved.given_up
    };
    assert_eq!([40 * MIN - 1, 40 * MIN, 40 * MIN + 1].map(given_up), [0, 0, 1]);
}

#[test]
fn whoever_answers_its_test_keeps_its_place() {
    let mut book = waiting(3, at(DAY));
    assert_eq!(book.dial_succeeded(&spread(1), peer(1), at(DAY + 1)), Succeeded::AlreadyTried);
    assert_eq!(book.resolve_collisions(at(DAY + 1)).given_up, 3);
    assert_eq!((book.collisions(), book.counts().tried), (0, 1));
}
