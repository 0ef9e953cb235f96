//! No address that is nobody's, or somebody's inside, is stored, chosen or told: 64 of them, in every way they can come.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_address_book::{
    AddressBook, Config, Endpoint, EntryRecord, FORMAT_VERSION, Heard, HeardRefusal, Hearsay, NetGroup, PeerId,
    Records, SampleRules, Seed, Source, Succeeded, Table, Timestamp, Wanted,
};
use bruit_core::Audience;

/// Private, shared, loopback, link-local, multicast, reserved, and each inside what carries IPv4 in IPv6.
const ADDRESSES: [&str; 64] = [
    "0.0.0.0",
    "0.1.2.3",
    "0.255.255.255",
    "10.0.0.0",
    "10.1.2.3",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.100",
    "100.127.255.255",
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.255.255",
    "172.16.0.0",
    "172.20.1.2",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.0",
    "192.0.2.255",
    "192.88.99.0",
    "192.168.0.0",
    "192.168.1.1",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.7",
    "203.0.113.0",
    "203.0.113.9",
    "224.0.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.1",
    "250.1.2.3",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:192.168.1.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:0a00:1::",
    "2002:7f00:1::",
    "2002:c0a8:101::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "ff02::1",
];

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn peer() -> PeerId {
    "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq".parse().unwrap()
}

fn book() -> AddressBook {
    AddressBook::new(Config::default().validate().unwrap(), Seed::from_number(1))
}

fn is_refused(heard: Heard) -> bool {
    matches!(heard, Heard::Refused(HeardRefusal::Addr(_)))
}

#[test]
fn fault_no_reserved_address_is_stored_whatever_way_it_comes() {
    for text in ADDRESSES {
        let endpoint = Endpoint::tcp(text.parse().unwrap(), 4_001);
        let relay = format!("{}/p2p/{}/p2p-circuit", endpoint.to_multiaddr(), peer());
        let relayed = Endpoint::from_multiaddr(&relay.parse().unwrap()).unwrap().0;
        for endpoint in [endpoint, relayed] {
            let mut book = book();
            let by_peer = Source::Peer { peer: peer(), group: NetGroup::V4(1) };
            for source in [Source::Seed, by_peer] {
                let hearsay = Hearsay { peer: None, endpoint: endpoint.clone(), last_seen: Some(now()), source };
                assert!(is_refused(book.heard(hearsay, now())), "{endpoint}");
            }
            let heard = book.hello_received(peer(), std::slice::from_ref(&endpoint), &endpoint, now());
            assert!(heard.into_iter().all(is_refused), "{endpoint}");
            let reached = book.dial_succeeded(&endpoint, peer(), now());
            assert!(matches!(reached, Succeeded::Refused(HeardRefusal::Addr(_))), "{endpoint}");
            let record = EntryRecord {
                endpoint: endpoint.clone(),
                peer: Some(peer()),
                is_tried: true,
                source_groups: vec![],
                told_by: None,
                is_own_claim: true,
                first_seen: now(),
                last_seen: now(),
                last_attempt: None,
                last_success: Some(now()),
                failures: 0,
            };
            let records =
                Records { version: FORMAT_VERSION, entries: vec![record], peers: Vec::new(), bans: Vec::new() };
            assert_eq!(book.restore(records, now()).refused, 1, "{endpoint}");
            assert!(book.is_empty() && book.select(Wanted::Any, |_| true, now()).is_none());
            assert!(book.sample(SampleRules::default(), Audience::Machine, now()).is_empty());
        }
    }
}

#[test]
fn fault_one_address_with_many_identities_and_ports_fills_little() {
    // All of one address are of one group: told by one source they share one bucket, reached they share eight.
    let mut book = book();
    let by_peer = Source::Peer { peer: peer(), group: NetGroup::V4(1) };
    for port in 1..=u16::MAX {
        let endpoint = Endpoint::tcp([9, 9, 9, 9].into(), port);
        let _ = book.heard(Hearsay { peer: None, endpoint, last_seen: Some(now()), source: by_peer }, now());
    }
    assert_eq!(book.len(), 64);
}

#[test]
fn fault_a_flood_of_addresses_displaces_nobody_who_was_reached() {
    let mut book = book();
    let spread = |number: u32| Endpoint::tcp(std::net::Ipv4Addr::from_bits(0x0b00_0001 + number * 16_381).into(), 9);
    for number in 0..500 {
        let _ = book.dial_succeeded(&spread(number), peer_of(number), now());
    }
    let tried: Vec<Endpoint> = book.entries(now()).filter(|e| e.table == Table::Tried).map(|e| e.endpoint).collect();
    for source in 0..100_u16 {
        let first = 1_000 + u32::from(source) * 1_777;
        let by_peer = Source::Peer { peer: peer_of(10_000 + u32::from(source)), group: NetGroup::V4(source) };
        for number in 0..2_000 {
            let endpoint = spread(first + number * 3);
            let _ = book.heard(Hearsay { peer: None, endpoint, last_seen: Some(now()), source: by_peer }, now());
        }
    }
    assert!(tried.len() > 400);
    assert!(book.len() <= (1_024 + 256) * 64);
    for endpoint in &tried {
        assert_eq!(book.entry(endpoint, now()).unwrap().table, Table::Tried);
    }
}

fn peer_of(number: u32) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend(number.to_le_bytes().into_iter().cycle().take(32));
    PeerId::from_bytes(&bytes).unwrap()
}
