//! Can any order of facts break the book? Held after every step:
//! 1. neither table holds more than its places, and the places of all entries add up to what *new* holds;
//! 2. an entry has at most `places_per_entry_max` places, a peer at most `endpoints_per_peer_max` endpoints;
//! 3. what others tell never changes *tried*, and a dial that succeeds moves nothing out of it but what is terrible;
//! 4. no stored time is in the future;
//! 5. nothing private, reserved or of its own is stored;
//! 6. a sample holds nothing special, banned or terrible, no exact time, and no more than its rules say;
//! 7. a choice is in the book, in the table wanted, eligible and not banned;
//! 8. the parts of a quality add up to its total, each within its bounds;
//! 9. what storage was told restores the same entries and bans;
//! 10. equal inputs give equal books.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use bruit_address_book::{
    AddressBook, Audience, Ban, BanReason, BanSubject, Changes, Conduct, Config, Endpoint, EntryRecord, EntryView,
    FORMAT_VERSION, Hearsay, NetGroup, Part, PeerId, PeerRecord, Records, SampleRules, Seed, Source, Table, Timestamp,
    Wanted,
};
use proptest::prelude::*;

const PEERS: u8 = 6;
const OWN_PEER: u8 = 0;
const HOUR: u64 = 3_600;

#[derive(Clone, Debug)]
enum Step {
    Heard { peer: Option<u8>, endpoint: u16, seen_secs: Option<i64>, source: Option<(u8, u8)> },
    Hello { peer: u8, endpoints: Vec<u16>, seen_at: u16 },
    DialStarted(u16),
    DialSucceeded(u16, u8),
    DialFailed(u16),
    WrongIdentity(u16, u8),
    Connected(u8),
    Disconnected(u8),
    Conduct(u8, u8, u32),
    Judged(u8, i32),
    Ban(u8, Option<u16>, u64),
    Unban(u8),
    Special(u8, bool),
    OwnEndpoint(u16),
    Sample(usize),
    Select(u8),
    Store,
    LoseStorage,
    Passed(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let peer = || 0..PEERS;
    let endpoint = || 0..96_u16;
    let claimed = prop_oneof![-400_000..4_000_i64, any::<i64>()];
    let heard = (prop::option::of(peer()), endpoint(), prop::option::of(claimed), prop::option::of((peer(), 0..5_u8)))
        .prop_map(|(peer, endpoint, seen_secs, source)| Step::Heard { peer, endpoint, seen_secs, source });
    let hello = (peer(), prop::collection::vec(endpoint(), 0..5), endpoint())
        .prop_map(|(peer, endpoints, seen_at)| Step::Hello { peer, endpoints, seen_at });
    prop_oneof![
        6 => heard,
        2 => hello,
        1 => endpoint().prop_map(Step::DialStarted),
        5 => (endpoint(), peer()).prop_map(|(endpoint, peer)| Step::DialSucceeded(endpoint, peer)),
        3 => endpoint().prop_map(Step::DialFailed),
        1 => (endpoint(), peer()).prop_map(|(endpoint, found)| Step::WrongIdentity(endpoint, found)),
        1 => peer().prop_map(Step::Connected),
        1 => peer().prop_map(Step::Disconnected),
        1 => (peer(), 0..10_u8, any::<u32>()).prop_map(|(peer, kind, count)| Step::Conduct(peer, kind, count)),
        1 => (peer(), any::<i32>()).prop_map(|(peer, points)| Step::Judged(peer, points)),
        1 => (peer(), prop::option::of(endpoint()), 0..10 * HOUR).prop_map(|(p, e, secs)| Step::Ban(p, e, secs)),
        1 => peer().prop_map(Step::Unban),
        1 => (peer(), any::<bool>()).prop_map(|(peer, on)| Step::Special(peer, on)),
        1 => (90..96_u16).prop_map(Step::OwnEndpoint),
        1 => (0..10_usize).prop_map(Step::Sample),
        2 => (0..3_u8).prop_map(Step::Select),
        1 => Just(Step::Store),
        1 => Just(Step::LoseStorage),
        2 => prop_oneof![0..700_u64, 0..3 * 24 * HOUR].prop_map(Step::Passed),
    ]
}

fn peer(number: u8) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([number; 32]);
    PeerId::from_bytes(&bytes).unwrap()
}

/// Four groups, three addresses in each, eight ports; the numbers below 4 are private, reserved and alike.
fn endpoint(number: u16) -> Endpoint {
    let ip: Ipv4Addr = match number {
        0 => [10, 0, 0, 1].into(),
        1 => [127, 0, 0, 1].into(),
        2 => [224, 0, 0, 1].into(),
        3 => [0, 0, 0, 0].into(),
        _ => [1, (number / 24) as u8, 0, (number % 24 / 8) as u8].into(),
    };
    Endpoint::tcp(ip.into(), 1_000 + number % 8)
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

fn config() -> Config {
    Config {
        new_buckets: 8,
        tried_buckets: 4,
        bucket_size: 2,
        new_buckets_per_source_group: 4,
        tried_buckets_per_group: 2,
        places_per_entry_max: 3,
        endpoints_per_peer_max: 4,
        unlisted_peers_max: 2,
        bans_max: 3,
        ..Config::default()
    }
}

fn new_book() -> AddressBook {
    let mut book = AddressBook::new(config().validate().unwrap(), Seed::from_number(5));
    book.own_peer(peer(OWN_PEER));
    book
}

/// What a database would hold.
#[derive(Default)]
struct Storage {
    entries: BTreeMap<Endpoint, EntryRecord>,
    peers: BTreeMap<PeerId, PeerRecord>,
    bans: BTreeMap<BanSubject, Ban>,
    /// It was lost, and nothing written since: what is removed may not be there.
    is_holed: bool,
}

impl Storage {
    fn write(&mut self, changes: Changes) {
        assert_eq!(changes.version, FORMAT_VERSION);
        for endpoint in changes.entries_removed {
            assert!(self.entries.remove(&endpoint).is_some() || self.is_holed, "9: removed what was not there");
        }
        for peer in changes.peers_removed {
            assert!(self.peers.remove(&peer).is_some() || self.is_holed, "9: removed who was not there");
        }
        for subject in changes.bans_removed {
            assert!(self.bans.remove(&subject).is_some() || self.is_holed, "9: removed a ban that was not there");
        }
        self.entries.extend(changes.entries.into_iter().map(|entry| (entry.endpoint.clone(), entry)));
        self.peers.extend(changes.peers.into_iter().map(|peer| (peer.peer, peer)));
        self.bans.extend(changes.bans.into_iter().map(|ban| (ban.subject, ban)));
        self.is_holed = false;
    }

    fn read(&self) -> Records {
        Records {
            version: FORMAT_VERSION,
            entries: self.entries.values().cloned().collect(),
            peers: self.peers.values().cloned().collect(),
            bans: self.bans.values().copied().collect(),
        }
    }
}

struct Run {
    book: AddressBook,
    storage: Storage,
    own: BTreeSet<Endpoint>,
    now: Timestamp,
    log: Vec<String>,
}

impl Run {
    fn new() -> Self {
        let now = Timestamp::from_secs(1_800_000_000);
        Self { book: new_book(), storage: Storage::default(), own: BTreeSet::new(), now, log: Vec::new() }
    }

    fn entries(&self) -> BTreeMap<Endpoint, EntryView> {
        self.book.entries(self.now).map(|entry| (entry.endpoint.clone(), entry)).collect()
    }

    fn take(&mut self, step: &Step) {
        let before = self.entries();
        let told = self.carry_out(step);
        self.log.push(told);
        let after = self.entries();
        self.check_entries(&after);
        self.check_tried(step, &before, &after);
        self.check_quality();
    }

    fn carry_out(&mut self, step: &Step) -> String {
        let now = self.now;
        match step {
            Step::Heard { peer: claimed, endpoint: at, seen_secs, source } => {
                let last_seen = seen_secs.map(|secs| Timestamp::from_secs(now.as_secs().saturating_add_signed(secs)));
                let source = source.map_or(Source::Seed, |(told_by, group)| Source::Peer {
                    peer: peer(told_by),
                    group: NetGroup::V4(u16::from(group)),
                });
                let hearsay = Hearsay { peer: claimed.map(peer), endpoint: endpoint(*at), last_seen, source };
                format!("{:?}", self.book.heard(hearsay, now))
            }
            Step::Hello { peer: from, endpoints, seen_at } => {
                let endpoints: Vec<Endpoint> = endpoints.iter().copied().map(endpoint).collect();
                format!("{:?}", self.book.hello_received(peer(*from), &endpoints, &endpoint(*seen_at), now))
            }
            Step::DialStarted(at) => format!("{:?}", self.book.dial_started(&endpoint(*at), now)),
            Step::DialSucceeded(at, found) => {
                if *found == OWN_PEER {
                    self.own.insert(endpoint(*at));
                }
                format!("{:?}", self.book.dial_succeeded(&endpoint(*at), peer(*found), now))
            }
            Step::DialFailed(at) => format!("{:?}", self.book.dial_failed(&endpoint(*at), now)),
            Step::WrongIdentity(at, found) => {
                if *found == OWN_PEER {
                    self.own.insert(endpoint(*at));
                }
                format!("{:?}", self.book.wrong_identity(&endpoint(*at), peer(*found), now))
            }
            Step::Connected(who) => format!("{:?}", self.book.connected(peer(*who), now)),
            Step::Disconnected(who) => format!("{:?}", self.book.disconnected(&peer(*who), now)),
            Step::Conduct(who, kind, count) => {
                format!("{:?}", self.book.conduct(peer(*who), conduct(*kind), *count, now))
            }
            Step::Judged(who, points) => format!("{:?}", self.book.judged(peer(*who), *points, now)),
            Step::Ban(who, at, secs) => {
                let ip = at.and_then(|at| endpoint(at).ip());
                let subject = ip.map_or(BanSubject::Peer(peer(*who)), BanSubject::Ip);
                let ban = Ban::by_rule(subject, BanReason::BrokeProtocol, Duration::from_secs(*secs), now);
                format!("{:?}", self.book.ban(ban, now))
            }
            Step::Unban(who) => format!("{:?}", self.book.unban(BanSubject::Peer(peer(*who)))),
            Step::Special(who, true) => format!("{:?}", self.book.mark_special(peer(*who))),
            Step::Special(who, false) => format!("{:?}", self.book.unmark_special(&peer(*who))),
            Step::OwnEndpoint(at) => {
                self.own.insert(endpoint(*at));
                format!("{:?}", self.book.own_endpoint(endpoint(*at)))
            }
            Step::Sample(most) => self.sample(*most),
            Step::Select(wanted) => self.select(*wanted),
            Step::Store => {
                let changes = self.book.changes();
                self.storage.write(changes);
                assert!(self.book.changes().is_empty(), "9: told twice");
                String::new()
            }
            Step::LoseStorage => {
                self.storage = Storage { is_holed: true, ..Storage::default() };
                format!("{:?}", self.book.storage_lost())
            }
            Step::Passed(secs) => {
                self.now = now.after(Duration::from_secs(*secs));
                String::new()
            }
        }
    }

    fn sample(&mut self, most: usize) -> String {
        let entries = self.entries();
        let rules = SampleRules { least: 3, percent: 23, most, ..SampleRules::default() };
        let sample = self.book.sample(rules, Audience::Internet, self.now);
        assert!(sample.len() <= most, "6: too many");
        for shared in sample.iter() {
            assert_eq!(shared.last_seen.as_micros() % (HOUR * 1_000_000), 0, "6: an exact time");
            for endpoint in shared.endpoints {
                let entry = &entries[endpoint];
                assert_eq!(entry.peer, shared.peer);
                assert!(!entry.is_special && !entry.is_terrible, "6: {entry:?}");
                assert!(!self.book.is_banned(entry.peer.as_ref(), endpoint.ip(), self.now), "6: banned");
            }
        }
        format!("{sample:?}")
    }

    fn select(&mut self, wanted: u8) -> String {
        let entries = self.entries();
        let wanted = [Wanted::Any, Wanted::Only(Table::New), Wanted::Only(Table::Tried)][usize::from(wanted)];
        let group = endpoint(30).group();
        let choice = self.book.select(wanted, |candidate| candidate.group != group, self.now);
        let is_in = |table| matches!(wanted, Wanted::Any) || wanted == Wanted::Only(table);
        let mut eligible = entries.values().filter(|entry| {
            let is_banned = self.book.is_banned(entry.peer.as_ref(), entry.endpoint.ip(), self.now);
            entry.group != group && is_in(entry.table) && !is_banned
        });
        match &choice {
            Some(choice) => {
                let found = eligible.find(|entry| entry.endpoint == choice.endpoint);
                assert_eq!(found.map(|entry| (entry.peer, entry.table)), Some((choice.peer, choice.table)), "7");
            }
            None => assert_eq!(eligible.next(), None, "7: there was something to choose"),
        }
        format!("{choice:?}")
    }

    fn check_entries(&self, entries: &BTreeMap<Endpoint, EntryView>) {
        let counts = self.book.counts();
        let is_tried = |entry: &&EntryView| entry.table == Table::Tried;
        assert_eq!(counts.tried, entries.values().filter(is_tried).count(), "1");
        assert_eq!(counts.new + counts.tried, entries.len(), "1");
        let places: usize = entries.values().filter(|entry| !is_tried(entry)).map(|entry| entry.places).sum();
        assert_eq!(counts.places_in_new, places, "1");
        assert!(counts.places_in_new <= 16 && counts.tried <= 8, "1: {counts:?}");
        let mut by_peer: BTreeMap<PeerId, usize> = BTreeMap::new();
        for entry in entries.values() {
            assert!((1..=3).contains(&entry.places), "2: {entry:?}");
            let times = [Some(entry.first_seen), Some(entry.last_seen), entry.last_attempt, entry.last_success];
            assert!(times.into_iter().flatten().all(|time| time <= self.now), "4: {entry:?}");
            assert!(![10, 127, 224, 0].map(|a| [a, 0, 0, u8::from(a == 10 || a > 100)]).contains(&octets(entry)), "5");
            assert!(!self.own.contains(&entry.endpoint) && entry.peer != Some(peer(OWN_PEER)), "5: its own");
            assert!(entry.table == Table::New || entry.peer.is_some());
            if let Some(peer) = entry.peer {
                *by_peer.entry(peer).or_default() += 1;
            }
        }
        for (peer, count) in by_peer {
            assert!(count <= 4, "2: {count} endpoints");
            assert_eq!(self.book.endpoints_of(&peer).len(), count);
        }
        assert!(self.book.bans(self.now).count() <= 3);
        assert!(counts.peers <= entries.len() + usize::from(PEERS));
    }

    fn check_tried(&self, step: &Step, before: &BTreeMap<Endpoint, EntryView>, after: &BTreeMap<Endpoint, EntryView>) {
        let stays = |old: &EntryView| {
            after.get(&old.endpoint).is_some_and(|new| new.table == Table::Tried && new.peer == old.peer)
        };
        let tried = before.values().filter(|entry| entry.table == Table::Tried);
        match step {
            Step::Heard { .. } => {
                let count = after.values().filter(|entry| entry.table == Table::Tried).count();
                assert_eq!(tried.clone().count(), count, "3: hearsay fills tried");
                assert!(tried.clone().all(stays), "3: hearsay displaces");
            }
            Step::Hello { peer: from, .. } => {
                assert!(tried.clone().filter(|old| old.peer != Some(peer(*from))).all(stays), "3: a hello displaces");
            }
            Step::DialSucceeded(at, _) => {
                let others = tried.clone().filter(|old| old.endpoint != endpoint(*at) && !old.is_terrible);
                assert!(others.into_iter().all(stays), "3: a dial displaces");
            }
            Step::WrongIdentity(at, _) | Step::OwnEndpoint(at) => {
                let others = tried.clone().filter(|old| old.endpoint != endpoint(*at) && !old.is_terrible);
                assert!(others.into_iter().all(stays), "3");
            }
            _ => assert!(tried.clone().all(stays), "3: {step:?}"),
        }
    }

    fn check_quality(&self) {
        for number in 0..PEERS {
            let quality = self.book.quality(&peer(number), self.now);
            assert_eq!(quality.parts.iter().map(|value| value.points).sum::<i32>(), quality.total, "8");
            assert_eq!(quality.parts.iter().map(|value| value.part).collect::<Vec<_>>(), Part::ALL, "8");
            for value in &quality.parts {
                let (least, most) = value.part.bounds();
                assert!((least..=most).contains(&value.points), "8: {value:?}");
            }
            if let Some(explanation) = self.book.explain(&peer(number), self.now) {
                assert_eq!(explanation.quality, quality, "8");
            }
        }
    }

    fn check_restored(mut self) {
        let changes = self.book.changes();
        self.storage.write(changes);
        let mut restored = new_book();
        self.own.iter().for_each(|endpoint| restored.own_endpoint(endpoint.clone()));
        let report = restored.restore(self.storage.read(), self.now);
        assert_eq!((report.refused, report.displaced, report.unknown_version), (0, 0, None), "9: {report:?}");
        let views = |book: &AddressBook| -> BTreeMap<Endpoint, EntryView> {
            book.entries(self.now).map(|e| (e.endpoint.clone(), EntryView { is_special: false, ..e })).collect()
        };
        assert_eq!(views(&restored), views(&self.book), "9");
        assert_eq!(report.entries, self.book.len(), "9");
        assert_eq!(report.tried, self.book.counts().tried, "9");
        assert!(restored.bans(self.now).eq(self.book.bans(self.now)), "9");
        for number in 0..PEERS {
            // Who was connected and has no endpoint is idle now, and only some of those are remembered.
            let old = self.book.explain(&peer(number), self.now);
            if let Some(old) = old.filter(|old| old.connected_since.is_none() && !old.endpoints.is_empty()) {
                let difference = restored.quality(&peer(number), self.now).total - old.quality.total;
                assert!(difference.abs() <= Part::ALL.len() as i32, "9: quality differs by {difference}");
            }
        }
        let again = restored.changes();
        assert!(again.entries.is_empty() && again.entries_removed.is_empty(), "9: nothing changed by restoring");
    }
}

fn octets(entry: &EntryView) -> [u8; 4] {
    match entry.endpoint.ip() {
        Some(std::net::IpAddr::V4(ip)) => ip.octets(),
        Some(std::net::IpAddr::V6(_)) | None => [255; 4],
    }
}

fn run(steps: &[Step]) -> Run {
    let mut run = Run::new();
    steps.iter().for_each(|step| run.take(step));
    run
}

/// Found by the property below: a peer of whom nothing was left to know was not told again, but its removal was.
#[test]
fn whoever_was_stored_before_a_loss_is_stored_after_it() {
    let steps = [
        Step::DialSucceeded(73, 1),
        Step::WrongIdentity(73, 3),
        Step::Connected(3),
        Step::Disconnected(3),
        Step::Store,
        Step::LoseStorage,
        Step::Store,
        Step::Hello { peer: 1, endpoints: vec![73], seen_at: 0 },
    ];
    run(&steps).check_restored();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_of_facts_keeps_the_invariants(steps in prop::collection::vec(step(), 1..250)) {
        let (once, twice) = (run(&steps), run(&steps));
        prop_assert_eq!(&once.log, &twice.log, "10: outputs");
        prop_assert_eq!(once.entries(), twice.entries(), "10: entries");
        once.check_restored();
    }

    #[test]
    fn one_source_group_owns_no_more_than_its_buckets(seed: u64, count in 100..2_000_u32) {
        let config = Config { bucket_size: 1, new_buckets_per_source_group: 4, ..Config::default() };
        let mut book = AddressBook::new(config.validate().unwrap(), Seed::from_number(seed));
        let now = Timestamp::from_secs(1_800_000_000);
        let source = Source::Peer { peer: peer(1), group: NetGroup::V4(9) };
        for number in 0..count {
            let ip = Ipv4Addr::from_bits(0x0100_0000 + number * 65_536 / 7);
            book.heard(Hearsay { peer: None, endpoint: Endpoint::tcp(ip.into(), 1), last_seen: None, source }, now);
        }
        prop_assert!((1..=4).contains(&book.len()), "{}", book.len());
    }
}
