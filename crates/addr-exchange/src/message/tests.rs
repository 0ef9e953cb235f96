use bruit_wire::{FRAME_MAX, Message, decode, encode};

use super::*;

fn peer(number: u32) -> PeerId {
    let mut bytes = vec![0, 36, 8, 1, 18, 32];
    bytes.extend([7; 28]);
    bytes.extend(number.to_le_bytes());
    PeerId::from_bytes(&bytes).unwrap()
}

fn addr(number: u32, peer: Option<PeerId>) -> PeerAddr {
    let ip = std::net::Ipv4Addr::from_bits(0x0101_0000 | number);
    PeerAddr {
        peer,
        endpoints: vec![Endpoint::tcp(ip.into(), 9)],
        last_seen: Some(Timestamp::from_secs(7_200)),
        record: None,
    }
}

#[test]
fn requests_and_answers_survive_the_round_trip() {
    let addrs = vec![addr(1, Some(peer(1))), addr(2, None), PeerAddr { last_seen: None, ..addr(3, None) }];
    let there = Endpoint::tcp([1, 2, 3, 4].into(), 5);
    let others = [Request::GetNeighbours, Request::DialBack(there)];
    for request in [Request::GetAddr { count_max: 9 }, Request::Addr(addrs.clone())].into_iter().chain(others) {
        let read = request_from_wire(decode(encode(&request_to_wire(&request))).unwrap());
        assert_eq!(read, Some(Read { value: request, nonsense: 0 }));
    }
    let read = answer_from_wire(decode(encode(&answer_to_wire(&addrs))).unwrap());
    assert_eq!(read, Read { value: addrs, nonsense: 0 });
    assert_eq!(request_from_wire(pb::ExchangeRequest { kind: None }), None);
}

#[test]
fn times_are_told_in_whole_hours() {
    let at = |secs| PeerAddr { last_seen: Some(Timestamp::from_secs(secs)), ..addr(1, None) };
    let told = |secs: u64| addr_to_wire(&at(7_200 + secs)).last_seen_seconds - 7_200;
    assert_eq!([3_599, 3_600, 3_601].map(told), [0, 3_600, 3_600]);
    let exact = at(10_799);
    let exact = pb::PeerAddr { last_seen_seconds: 10_799, ..addr_to_wire(&exact) };
    assert_eq!(addr_from_wire(&exact).unwrap().value.last_seen, Some(Timestamp::from_secs(7_200)));
}

#[test]
fn nonsense_is_counted_and_dropped() {
    let good = addr_to_wire(&addr(1, Some(peer(1))));
    let bytes = |text: &str| Bytes::from(text.parse::<Multiaddr>().unwrap().to_vec());
    let with_peer = bytes(&format!("/ip4/1.2.3.4/tcp/5/p2p/{}", peer(2)));
    let bad = [
        pb::PeerAddr { peer_id: Bytes::from_static(b"nobody"), ..good.clone() },
        pb::PeerAddr { addrs: vec![], ..good.clone() },
        pb::PeerAddr { addrs: vec![Bytes::from_static(&[0xff; 4])], ..good.clone() },
        pb::PeerAddr { addrs: vec![with_peer], ..good.clone() },
        pb::PeerAddr { addrs: vec![bytes("/ip4/1.2.3.4/tcp/0")], ..good.clone() },
    ];
    let half = pb::PeerAddr { addrs: vec![bytes("/ip4/1.2.3.4/tcp/0"), good.addrs[0].clone()], ..good.clone() };
    let mut peers = bad.to_vec();
    peers.push(half);
    let read = answer_from_wire(pb::ExchangeResponse { addr: Some(pb::Addr { peers }), neighbours: None });
    assert_eq!(read, Read { value: vec![addr(1, Some(peer(1)))], nonsense: 6 });
}

#[test]
fn an_answer_is_cut_to_what_the_peer_accepts() {
    let large: Vec<PeerAddr> = (0..2_500)
        .map(|number| PeerAddr {
            endpoints: (0..8).map(|port| Endpoint::tcp([1, 2, 3, 4].into(), port + 1)).collect(),
            ..addr(number, Some(peer(number)))
        })
        .collect();
    let nameless: Vec<PeerAddr> = (0..2_500).map(|number| addr(number, None)).collect();
    let ordinary: Vec<PeerAddr> = (0..1_000).map(|number| addr(number, Some(peer(number)))).collect();
    for (addrs, least) in [(large, 1_500), (nameless, 800), (ordinary, 1_000)] {
        let bytes = encode(&answer_to_wire(&addrs));
        assert!(bytes.len() <= FRAME_MAX);
        let read = answer_from_wire(decode(bytes).unwrap());
        assert!(read.value.len() >= least, "{}", read.value.len());
        assert_eq!((&read.value[..], read.nonsense), (&addrs[..read.value.len()], 0));
    }
    assert_eq!(answer_to_wire(&[]).encoded_len(), 0);
}

#[test]
fn signed_records_make_room_for_addresses() {
    let signed = |number| PeerAddr { record: Some(vec![7; 200].into()), ..addr(number, Some(peer(number))) };
    let addrs: Vec<PeerAddr> = (0..800).map(signed).collect();
    let bytes = encode(&request_to_wire(&Request::Addr(addrs.clone())));
    assert!(bytes.len() <= pb::ExchangeRequest::LIMITS.bytes_max);
    let Some(Read { value: Request::Addr(read), .. }) = request_from_wire(decode(bytes).unwrap()) else { panic!() };
    assert_eq!(read.len(), addrs.len());
    let signed = read.iter().take_while(|addr| addr.record.is_some()).count();
    assert!(signed >= 50, "{signed}");
    assert!(read[signed..].iter().all(|addr| addr.record.is_none()));
}
