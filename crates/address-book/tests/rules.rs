//! The rules one by one, through the public API.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{net::Ipv4Addr, time::Duration};

use bruit_address_book::{
    AddrRefusal, AddressBook, Audience, Ban, BanReason, BanSource, BanSubject, Changes, Conduct, Config, Endpoint,
    EntryRecord, FORMAT_VERSION, Failed, Heard, HeardRefusal, Hearsay, NetGroup, PeerId, Rebound, Records,
    RestoreReport, SampleRules, Seed, Source, Succeeded, Table, Timestamp, Wanted,
};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn peer(number: u8) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([number; 32]);
    PeerId::from_bytes(&bytes).unwrap()
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn tcp(ip: [u8; 4], port: u16) -> Endpoint {
    Endpoint::tcp(ip.into(), port)
}

/// The address number `number`, each in a group of its own.
fn spread(number: u32) -> Endpoint {
    Endpoint::tcp(Ipv4Addr::from_bits(0x0100_0001 + number * 65_536).into(), 9)
}

fn book() -> AddressBook {
    book_of(Config::default())
}

fn book_of(config: Config) -> AddressBook {
    AddressBook::new(config.validate().unwrap(), Seed::from_number(7))
}

fn seed(endpoint: Endpoint) -> Hearsay {
    Hearsay { peer: None, endpoint, last_seen: None, source: Source::Seed }
}

fn told(peer: Option<PeerId>, endpoint: Endpoint, last_seen: Option<Timestamp>) -> Hearsay {
    Hearsay { peer, endpoint, last_seen, source: Source::Peer { peer: self::peer(99), group: NetGroup::V4(9) } }
}

fn ban(subject: BanSubject) -> Ban {
    Ban::by_operator(subject, Duration::from_secs(DAY), at(0))
}

#[test]
fn claims_about_time_are_clamped() {
    let mut book = book();
    let mut seen = |number, claimed: Option<Timestamp>| {
        assert_eq!(book.heard(told(None, spread(number), claimed), at(0)), Heard::Added);
        book.entry(&spread(number), at(0)).unwrap().last_seen
    };
    let now = at(0);
    let back = |secs| now.before(Duration::from_secs(secs));
    assert_eq!(seen(1, None), back(5 * DAY));
    assert_eq!(seen(2, Some(back(HOUR))), back(3 * HOUR));
    assert_eq!(seen(3, Some(at(600))), back(2 * HOUR - 600));
    assert_eq!(seen(4, Some(at(601))), back(5 * DAY));
    assert_eq!(seen(5, Some(Timestamp::MAX)), back(5 * DAY));
    assert_eq!(seen(6, Some(Timestamp::from_secs(100_000_000))), back(5 * DAY));
    let too_old = Heard::Refused(HeardRefusal::TooOld);
    assert_eq!(book.heard(told(None, spread(7), Some(back(30 * DAY))), at(0)), too_old);
    assert_eq!(book.heard(Hearsay { last_seen: Some(at(9)), ..seed(spread(8)) }, at(0)), Heard::Added);
    assert_eq!(book.entry(&spread(8), at(0)).unwrap().last_seen, at(0));
}

#[test]
fn what_must_not_be_stored_is_refused_with_its_reason() {
    let mut book = book();
    book.own_peer(peer(1));
    book.own_endpoint(spread(1));
    book.ban(ban(BanSubject::Peer(peer(2))), at(0)).unwrap();
    book.ban(ban(BanSubject::Ip([1, 7, 0, 1].into())), at(0)).unwrap();
    let refusals = [
        (told(Some(peer(1)), spread(2), None), HeardRefusal::Own),
        (told(None, spread(1), None), HeardRefusal::Own),
        (told(Some(peer(2)), spread(2), None), HeardRefusal::Banned),
        (told(None, tcp([1, 7, 0, 1], 4), None), HeardRefusal::Banned),
        (seed(tcp([192, 168, 1, 1], 4)), HeardRefusal::Addr(AddrRefusal::Private)),
        (told(None, tcp([169, 254, 169, 254], 80), None), HeardRefusal::Addr(AddrRefusal::Reserved)),
    ];
    for (hearsay, refusal) in refusals {
        assert_eq!(book.heard(hearsay, at(0)), Heard::Refused(refusal));
    }
    assert!(book.is_empty() && book.changes().entries.is_empty());
    let mut local = book_of(Config { allow_private_addrs: true, ..Config::default() });
    assert_eq!(local.heard(seed(tcp([127, 2, 0, 1], 4)), at(0)), Heard::Added);
}

#[test]
fn a_disputed_endpoint_is_dialled_without_an_identity_and_bound_to_who_answers() {
    let mut book = book();
    assert_eq!(book.heard(told(Some(peer(1)), spread(1), None), at(0)), Heard::Added);
    assert_eq!(book.heard(told(Some(peer(1)), spread(1), None), at(0)), Heard::Known);
    assert_eq!(book.heard(told(Some(peer(2)), spread(1), None), at(0)), Heard::Disputed);
    assert_eq!(book.select(Wanted::Any, |_| true, at(0)).unwrap().peer, None);
    assert_eq!(book.dial_succeeded(&spread(1), peer(3), at(1)), Succeeded::Tried);
    assert_eq!(book.dial_succeeded(&spread(1), peer(3), at(2)), Succeeded::AlreadyTried);
    let other = Heard::Refused(HeardRefusal::OtherIdentity);
    assert_eq!(book.heard(told(Some(peer(1)), spread(1), None), at(3)), other);
    assert_eq!(book.endpoints_of(&peer(3)), [spread(1)]);
    assert_eq!((book.endpoints_of(&peer(1)), book.endpoints_of(&peer(2))), (vec![], vec![]));
}

#[test]
fn a_hello_replaces_what_was_known_of_its_addresses_and_keeps_the_rest() {
    let mut book = book();
    let (old, new, second, other) = (tcp([1, 2, 3, 4], 1), tcp([1, 2, 3, 4], 2), tcp([1, 2, 3, 4], 3), spread(50));
    book.heard(told(Some(peer(1)), other.clone(), None), at(0));
    book.dial_succeeded(&old, peer(1), at(0));
    book.heard(told(Some(peer(2)), tcp([1, 2, 3, 4], 9), None), at(0));
    let heard = book.hello_received(peer(1), &[new.clone(), second.clone()], &tcp([1, 2, 3, 4], 50_000), at(1));
    assert_eq!(heard, [Heard::Added, Heard::Added]);
    assert_eq!(book.endpoints_of(&peer(1)), [new, second, other]);
    assert_eq!(book.endpoints_of(&peer(2)), [tcp([1, 2, 3, 4], 9)]);
    assert_eq!(book.entry(&old, at(1)), None);
    assert_eq!(book.entry(&tcp([1, 2, 3, 4], 50_000), at(1)), None);
}

#[test]
fn a_peer_has_a_limited_number_of_endpoints_and_the_better_founded_stay() {
    let mut book = book_of(Config { endpoints_per_peer_max: 2, ..Config::default() });
    book.heard(told(Some(peer(1)), spread(1), None), at(0));
    book.heard(told(Some(peer(1)), spread(2), None), at(0));
    let full = Heard::Refused(HeardRefusal::EndpointsFull);
    assert_eq!(book.heard(told(Some(peer(1)), spread(3), None), at(0)), full);
    assert_eq!(book.hello_received(peer(1), &[spread(3)], &spread(3), at(0)), [Heard::Added]);
    assert_eq!(book.dial_succeeded(&spread(4), peer(1), at(0)), Succeeded::Tried);
    assert_eq!(book.endpoints_of(&peer(1)), [spread(4), spread(3)]);
    assert_eq!(book.hello_received(peer(1), &[spread(5), spread(6), spread(7)], &spread(5), at(0)), [full, full]);
}

#[test]
fn an_entry_of_tried_gives_way_only_when_it_is_terrible() {
    let tiny = Config { tried_buckets: 1, bucket_size: 1, new_buckets: 4_096, ..Config::default() };
    let mut book = book_of(tiny);
    assert_eq!(book.dial_succeeded(&spread(1), peer(1), at(0)), Succeeded::Tried);
    assert_eq!(book.dial_succeeded(&spread(2), peer(2), at(1)), Succeeded::PlaceTaken(spread(1)));
    let table = |book: &AddressBook, number, now| book.entry(&spread(number), now).map(|entry| entry.table);
    assert_eq!((table(&book, 1, at(1)), table(&book, 2, at(1))), (Some(Table::Tried), Some(Table::New)));
    let later = at(31 * DAY);
    assert_eq!(book.dial_succeeded(&spread(3), peer(3), later), Succeeded::Tried);
    assert_eq!((table(&book, 1, later), table(&book, 3, later)), (Some(Table::New), Some(Table::Tried)));
}

#[test]
fn failures_count_only_while_somebody_can_be_reached() {
    let mut book = book();
    book.heard(told(None, spread(1), None), at(0));
    assert_eq!(book.dial_failed(&spread(1), at(1)), Failed::Counted(1));
    for secs in 2..20 {
        assert_eq!(book.dial_failed(&spread(1), at(secs)), Failed::NotCounted);
    }
    book.dial_succeeded(&spread(2), peer(2), at(20));
    assert_eq!(book.dial_failed(&spread(1), at(21)), Failed::Counted(2));
    assert_eq!(book.dial_failed(&spread(1), at(22)), Failed::NotCounted);
    assert_eq!(book.dial_failed(&spread(9), at(22)), Failed::Unknown);
}

#[test]
fn dead_addresses_cost_who_told_them_and_nobody_else() {
    let mut book = book();
    book.heard(told(Some(peer(1)), spread(1), None), at(0));
    for secs in [10, 20, 30, 40] {
        book.dial_succeeded(&spread(2), peer(2), at(secs));
        book.dial_failed(&spread(1), at(secs + 1));
    }
    assert!(book.entry(&spread(1), at(DAY)).unwrap().is_terrible);
    assert_eq!(book.quality(&peer(1), at(50)).total, 0);
    assert_eq!(book.quality(&peer(99), at(50)).total, -199);
    book.heard(told(Some(peer(3)), spread(3), None), at(50));
    book.dial_succeeded(&spread(3), peer(3), at(51));
    assert_eq!(book.quality(&peer(99), at(51)).total, 0);
}

#[test]
fn a_wrong_identity_belongs_to_the_endpoint() {
    let mut book = book();
    book.own_peer(peer(9));
    book.dial_succeeded(&spread(1), peer(1), at(0));
    let quality = book.quality(&peer(1), at(1));
    assert_eq!(book.wrong_identity(&spread(1), peer(2), at(1)), Rebound::Rebound);
    assert_eq!(book.wrong_identity(&spread(1), peer(2), at(1)), Rebound::Kept);
    assert_eq!(book.quality(&peer(1), at(1)), quality);
    let entry = book.entry(&spread(1), at(1)).unwrap();
    assert_eq!((entry.peer, entry.table), (Some(peer(2)), Table::New));
    assert_eq!(book.wrong_identity(&spread(1), peer(9), at(2)), Rebound::Own);
    assert_eq!(book.heard(seed(spread(1)), at(3)), Heard::Refused(HeardRefusal::Own));
    assert_eq!(book.wrong_identity(&spread(4), peer(2), at(3)), Rebound::Unknown);
    assert_eq!(book.dial_succeeded(&spread(5), peer(9), at(3)), Succeeded::Own);
    assert!(book.is_empty());
}

#[test]
fn both_tables_are_drawn_alike_and_a_fresh_attempt_is_avoided() {
    let mut book = book();
    for number in 1..=100 {
        book.heard(seed(spread(number)), at(0));
    }
    book.dial_succeeded(&spread(200), peer(200), at(0));
    let tried = |book: &mut AddressBook, now| {
        let choices = (0..1_000).map(|_| book.select(Wanted::Any, |_| true, now).unwrap());
        choices.filter(|choice| choice.table == Table::Tried).count()
    };
    let share = tried(&mut book, at(700));
    assert!((430..=600).contains(&share), "{share}");
    book.dial_started(&spread(200), at(700));
    let share = tried(&mut book, at(701));
    assert!(share < 60, "{share}");
    let only = book.select(Wanted::Only(Table::Tried), |_| true, at(701)).unwrap();
    assert_eq!(only.endpoint, spread(200));
}

#[test]
fn quality_raises_the_chance_and_never_takes_it_away() {
    let mut book = book();
    for number in 1..=2 {
        book.dial_succeeded(&spread(u32::from(number)), peer(number), at(0));
    }
    book.conduct(peer(1), Conduct::DeliveredFirst, 100, at(0));
    book.conduct(peer(2), Conduct::DeliveredInvalid, 2, at(0));
    let good =
        (0..1_000).filter(|_| book.select(Wanted::Any, |_| true, at(700)).unwrap().peer == Some(peer(1))).count();
    assert!((600..1_000).contains(&good), "{good}");
    assert_eq!(book.quality(&peer(3), at(0)).total, 0);
}

#[test]
fn the_only_eligible_entry_is_found_and_nothing_else() {
    let mut book = book();
    for number in 1..=500 {
        book.heard(seed(spread(number)), at(0));
    }
    let wanted = book.entries(at(0)).nth(300).unwrap().endpoint;
    let choice = book.select(Wanted::Any, |candidate| *candidate.endpoint == wanted, at(0));
    assert_eq!(choice.unwrap().endpoint, wanted);
    assert_eq!(book.select(Wanted::Any, |_| false, at(0)), None);
    assert_eq!(book.select(Wanted::Only(Table::Tried), |_| true, at(0)), None);
    book.ban(ban(BanSubject::Ip(wanted.ip().unwrap())), at(0)).unwrap();
    assert_eq!(book.select(Wanted::Any, |candidate| *candidate.endpoint == wanted, at(0)), None);
    assert_eq!(book_of(Config::default()).select(Wanted::Any, |_| true, at(0)), None);
}

#[test]
fn fault_where_a_peer_says_it_listens_is_told_when_it_was_reached_there_or_others_tell_it() {
    let proven = SampleRules { unproven_claims: false, ..SampleRules::default() };
    let told_of = |book: &mut AddressBook, rules| {
        let sample = book.sample(rules, Audience::Internet, at(100));
        sample.iter().flat_map(|shared| shared.endpoints.to_vec()).collect::<Vec<_>>()
    };
    let mut book = book();
    let listens_at = [spread(1), spread(2)];
    book.hello_received(peer(1), &listens_at, &spread(1), at(0));
    assert_eq!(told_of(&mut book, proven), []);
    assert_eq!(told_of(&mut book, SampleRules::default()).len(), 2);
    assert_eq!(book.dial_succeeded(&spread(1), peer(1), at(1)), Succeeded::Tried);
    assert_eq!(told_of(&mut book, proven), [spread(1)], "the other one may be anybody's");
    // What others tell is told on, whoever claims it, and a peer's word about itself is nobody else's.
    let itself = Source::Peer { peer: peer(1), group: NetGroup::V4(9) };
    book.heard(Hearsay { source: itself, ..told(Some(peer(1)), spread(2), None) }, at(2));
    assert_eq!(told_of(&mut book, proven), [spread(1)]);
    book.heard(told(Some(peer(1)), spread(2), None), at(2));
    assert_eq!(told_of(&mut book, proven), [spread(1), spread(2)]);
    book.heard(told(Some(peer(2)), spread(3), None), at(2));
    book.hello_received(peer(2), &[spread(3)], &spread(3), at(3));
    assert_eq!(told_of(&mut book, proven).len(), 3);
    book.heard(seed(spread(4)), at(2));
    book.hello_received(peer(3), &[spread(4)], &spread(4), at(3));
    assert_eq!(told_of(&mut book, proven).len(), 4);
}

#[test]
fn a_sample_has_its_size_and_nothing_that_must_not_be_told() {
    let mut book = book();
    let count = |book: &mut AddressBook| book.sample(SampleRules::default(), Audience::Internet, at(0)).len();
    let mut number = 0;
    let mut fill = |book: &mut AddressBook, len| {
        while book.len() < len {
            number += 1;
            book.heard(seed(spread(number)), at(0));
        }
    };
    for (len, expected) in [(3, 3), (33, 32), (139, 32), (144, 33), (1_000, 230), (4_400, 1_000)] {
        fill(&mut book, len);
        assert_eq!(count(&mut book), expected, "of {len}");
    }
}

#[test]
fn special_peers_are_never_told_wherever_they_live() {
    let mut book = book();
    book.mark_special(peer(1));
    book.mark_special_endpoint(spread(3));
    book.dial_succeeded(&spread(1), peer(1), at(0));
    book.hello_received(peer(1), &[spread(2)], &spread(2), at(0));
    book.dial_succeeded(&spread(3), peer(2), at(0));
    book.hello_received(peer(2), &[spread(4)], &spread(4), at(0));
    book.dial_succeeded(&spread(5), peer(3), at(0));
    let sample = book.sample(SampleRules::default(), Audience::Internet, at(100));
    assert_eq!(sample.iter().map(|shared| shared.peer).collect::<Vec<_>>(), [Some(peer(3))]);
    assert!(book.is_special(&peer(1)) && book.is_special(&peer(2)) && !book.is_special(&peer(3)));
    book.unmark_special(&peer(1));
    assert_eq!(book.sample(SampleRules::default(), Audience::Internet, at(100)).len(), 2);
}

#[test]
fn fault_a_claim_to_live_where_a_special_peer_does_spares_nobody() {
    let mut book = book();
    let by_rule = |peer| Ban { source: BanSource::Rule, ..ban(BanSubject::Peer(peer)) };
    book.mark_special_endpoint(spread(1));
    book.mark_special(peer(3));
    book.hello_received(peer(1), &[spread(1)], &spread(9), at(0));
    book.ban(by_rule(peer(1)), at(0)).unwrap();
    assert!(book.is_special(&peer(1)), "it may be the special one: nobody is told of it");
    assert!(!book.is_spared(&peer(1)) && book.is_barred(Some(&peer(1)), None, at(0)));

    book.dial_succeeded(&spread(1), peer(2), at(0));
    for spared in [peer(2), peer(3)] {
        book.ban(by_rule(spared), at(0)).unwrap();
        book.ban(ban(BanSubject::Ip([1, 2, 3, 4].into())), at(0)).unwrap();
        assert!(book.is_spared(&spared) && !book.is_barred(Some(&spared), Some([1, 2, 3, 4].into()), at(0)));
        book.ban(ban(BanSubject::Peer(spared)), at(0)).unwrap();
        assert!(book.is_barred(Some(&spared), None, at(0)), "the operator has the last word");
    }
}

#[test]
fn nobody_is_told_what_it_cannot_use() {
    let mut book = book_of(Config { allow_private_addrs: true, ..Config::default() });
    for endpoint in [spread(1), tcp([192, 168, 0, 1], 1), tcp([127, 1, 0, 1], 1)] {
        book.heard(seed(endpoint), at(0));
    }
    let count = |audience| book.clone().sample(SampleRules::default(), audience, at(0)).len();
    assert_eq!([Audience::Internet, Audience::Site, Audience::Machine].map(count), [1, 2, 3]);
}

fn record(endpoint: Endpoint) -> EntryRecord {
    EntryRecord {
        endpoint,
        peer: Some(peer(1)),
        is_tried: true,
        source_groups: vec![],
        told_by: None,
        is_own_claim: true,
        first_seen: Timestamp::MAX,
        last_seen: Timestamp::MAX,
        last_attempt: Some(Timestamp::MAX),
        last_success: Some(Timestamp::MAX),
        failures: u32::MAX,
    }
}

fn records(entries: Vec<EntryRecord>) -> Records {
    Records { version: FORMAT_VERSION, entries, peers: vec![], bans: vec![] }
}

#[test]
fn bad_records_are_counted_left_out_and_removed_from_storage() {
    let mut book = book();
    book.own_peer(peer(9));
    let own = EntryRecord { peer: Some(peer(9)), ..record(spread(2)) };
    let private = record(tcp([10, 0, 0, 1], 1));
    let entries = vec![record(spread(1)), record(spread(1)), own, private];
    let report = book.restore(records(entries), at(0));
    assert_eq!(report, RestoreReport { entries: 1, tried: 1, refused: 3, ..RestoreReport::default() });
    let entry = book.entry(&spread(1), at(0)).unwrap();
    assert_eq!((entry.first_seen, entry.last_seen, entry.last_success), (at(0), at(0), Some(at(0))));
    let Changes { entries_removed, entries, .. } = book.changes();
    assert_eq!((entries_removed, entries), (vec![spread(2), tcp([10, 0, 0, 1], 1)], vec![]));
}

#[test]
fn a_later_version_is_not_read() {
    let mut book = book();
    let later = Records { version: FORMAT_VERSION + 1, ..records(vec![record(spread(1))]) };
    let report = book.restore(later, at(0));
    assert_eq!(report.unknown_version, Some(FORMAT_VERSION + 1));
    assert!(book.is_empty() && book.changes().is_empty());
}

#[test]
fn another_seed_finds_new_places_and_says_what_was_lost() {
    let tiny = Config { tried_buckets: 4, bucket_size: 2, new_buckets: 4, ..Config::default() };
    let mut old = book_of(tiny.clone());
    for number in 1..=60_u8 {
        old.dial_succeeded(&spread(u32::from(number)), peer(number), at(0));
    }
    let mut new = AddressBook::new(tiny.validate().unwrap(), Seed::from_number(8));
    let report = new.restore(old.changes().into_records(), at(0));
    assert_eq!(report.entries + report.displaced, old.len());
    assert!(report.displaced > 0 && report.entries > 0 && report.entries == new.len(), "{report:?}");
    assert_eq!(new.changes().entries_removed.len(), report.displaced);
}

#[test]
fn what_comes_and_goes_between_two_calls_is_not_told() {
    let mut book = book();
    book.heard(seed(spread(1)), at(0));
    book.own_endpoint(spread(1));
    assert!(book.changes().is_empty());
    book.heard(seed(spread(2)), at(0));
    assert_eq!(book.changes().entries.len(), 1);
    book.hello_received(peer(1), &[spread(2)], &spread(2), at(1));
    book.hello_received(peer(1), &[tcp([1, 2, 0, 1], 10)], &spread(2), at(1));
    book.hello_received(peer(1), &[spread(2)], &spread(2), at(1));
    let changes = book.changes();
    assert_eq!((changes.entries.len(), changes.entries_removed.len()), (1, 0));
    book.own_endpoint(spread(2));
    assert_eq!(book.changes().entries_removed, [spread(2)]);
}

#[test]
fn bans_survive_a_restart_and_leave_no_trace_when_nobody_was_told() {
    let mut book = book();
    let (lasting, lifted) = (BanSubject::Ip([1, 2, 3, 4].into()), BanSubject::Peer(peer(1)));
    book.ban(ban(lasting), at(0)).unwrap();
    book.ban(ban(lifted), at(0)).unwrap();
    book.unban(lifted);
    let changes = book.changes();
    assert_eq!((&changes.bans[..], &changes.bans_removed[..]), (&[ban(lasting)][..], &[][..]));
    let mut restarted = self::book();
    assert_eq!(restarted.restore(changes.clone().into_records(), at(1)).bans, 1);
    assert!(restarted.is_banned(None, Some([1, 2, 3, 4].into()), at(1)));
    assert!(restarted.changes().is_empty());
    restarted.unban(lasting);
    assert_eq!(restarted.changes().bans_removed, [lasting]);
    let mut late = self::book();
    assert_eq!(late.restore(changes.into_records(), at(2 * DAY)).outdated, 1);
    assert_eq!(late.changes().bans_removed, [lasting]);
}

#[test]
fn explanations_name_the_ban_and_the_time_connected_counts() {
    let mut book = book();
    assert_eq!(book.explain(&peer(1), at(0)), None);
    book.connected(peer(1), at(0));
    book.connected(peer(1), at(HOUR));
    assert_eq!(book.quality(&peer(1), at(4 * HOUR)).total, 999);
    book.ban(ban(BanSubject::Peer(peer(1))), at(0)).unwrap();
    let explanation = book.explain(&peer(1), at(4 * HOUR)).unwrap();
    assert_eq!(explanation.ban.map(|ban| ban.reason), Some(BanReason::Requested));
    assert_eq!(explanation.connected_since, Some(at(0)));
    book.disconnected(&peer(1), at(4 * HOUR));
    assert_eq!(book.quality(&peer(1), at(4 * HOUR)).total, 999);
    book.judged(peer(1), -1_000, at(4 * HOUR));
    assert_eq!(book.quality(&peer(1), at(4 * HOUR)).total, -1);
}

#[test]
fn what_one_book_exports_another_imports_and_stores() {
    let mut old = book();
    for number in 1..=20_u8 {
        old.dial_succeeded(&spread(u32::from(number)), peer(number), at(0));
    }
    old.judged(peer(1), -2_000, at(0));
    old.ban(ban(BanSubject::Ip([9, 9, 9, 9].into())), at(0)).unwrap();
    let mut new = AddressBook::new(Config::default().validate().unwrap(), Seed::from_number(8));
    new.judged(peer(2), 5_000, at(0));
    let known = new.quality(&peer(2), at(0)).total;
    let report = new.import(old.records(at(0)), at(0));
    assert_eq!((report.entries, report.tried, report.bans), (20, 20, 1));
    assert_eq!(new.quality(&peer(1), at(0)), old.quality(&peer(1), at(0)));
    assert_eq!(new.quality(&peer(2), at(0)).total, known, "what this book saw itself stays");
    let changes = new.changes();
    assert_eq!((changes.entries.len(), changes.bans.len()), (20, 1));
    assert_eq!(old.import(new.records(at(0)), at(0)).refused, 20, "what is known already is not taken again");
}

#[test]
fn fault_an_ignored_peer_tells_of_itself_in_vain() {
    let mut book = book();
    let itself = |endpoint| Hearsay {
        source: Source::Peer { peer: peer(1), group: NetGroup::V4(9) },
        ..told(Some(peer(1)), endpoint, None)
    };
    assert_eq!(book.heard(itself(spread(1)), at(0)), Heard::Added);
    book.conduct(peer(1), Conduct::AnsweredFalsely, 10_000, at(300));
    book.conduct(peer(1), Conduct::BrokeProtocol, 10_000, at(300));
    book.judged(peer(1), -100_000, at(300));
    let ignored = Heard::Refused(HeardRefusal::Ignored);
    assert_eq!(book.heard(itself(spread(2)), at(301)), ignored);
}
