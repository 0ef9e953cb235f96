use libp2p_identity::Keypair;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: u64 = 24 * 3_600;

fn endpoints(last: u8) -> Vec<Endpoint> {
    vec![Endpoint::tcp([8, 8, 8, last].into(), 4_001)]
}

fn signed(key: &Keypair, last: u8, seq: u64) -> Bytes {
    SignedRecord::sign(key, &endpoints(last), seq).unwrap().bytes().clone()
}

fn with_record(peer: Option<PeerId>, record: Bytes) -> PeerAddr {
    PeerAddr { record: Some(record), ..PeerAddr::new(peer, endpoints(99), None) }
}

fn listener() -> Exchange<u8> {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, ..plain() });
    connect(&mut exchange, 1, DIALLED, NOW);
    exchange
}

/// What of one address with a record is believed, and whether its sender is blamed.
fn told(exchange: &mut Exchange<u8>, addr: PeerAddr, now: Timestamp) -> (Vec<Endpoint>, bool) {
    let taken = exchange.answer_received(1, vec![addr], now);
    assert_eq!(taken.addrs.len() + taken.dropped, 1);
    let blamed = outputs(exchange, now).contains(&Output::Conduct(1, Conduct::BrokeProtocol));
    (taken.addrs.into_iter().flat_map(|addr| addr.endpoints).collect(), blamed)
}

#[test]
fn what_a_peer_signed_is_believed_instead_of_what_is_said_of_it() {
    let (mut exchange, key) = (listener(), Keypair::generate_ed25519());
    let peer = key.public().to_peer_id();
    let record = signed(&key, 1, NOW.as_secs());
    assert_eq!(told(&mut exchange, with_record(Some(peer), record.clone()), NOW), (endpoints(1), false));
    assert_eq!(exchange.record_of(&peer, NOW).unwrap().endpoints(), endpoints(1));
    // It goes with the peer's addresses to whoever asks.
    connect(&mut exchange, 2, DIALLED_US, NOW);
    exchange.asked(2, 0, NOW);
    let answer = exchange.sampled(2, vec![PeerAddr::new(Some(peer), endpoints(1), None)], NOW);
    assert_eq!(answer[0].record, Some(record));
}

#[test]
fn fault_twelve_ways_to_cheat_with_a_record() {
    let (key, other) = (Keypair::generate_ed25519(), Keypair::generate_ed25519());
    let (peer, seq) = (key.public().to_peer_id(), NOW.as_secs());
    let good = signed(&key, 1, seq);
    let flipped = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    let last = good.len() - 1;
    // For each: told as the record of whom, what, what is believed, whether the sender is blamed.
    let cases: [(&str, Option<PeerId>, Bytes, bool, bool); 12] = [
        ("good", Some(peer), good.clone(), true, false),
        ("good, told without a name", None, good.clone(), true, false),
        ("another's, told as the peer's", Some(peer), signed(&other, 1, seq), false, true),
        ("the peer's, told as another's", Some(other.public().to_peer_id()), good.clone(), false, true),
        ("changed signature", Some(peer), flipped(last), false, true),
        ("changed key", Some(peer), flipped(10), false, true),
        ("changed content", Some(peer), flipped(good.len() / 2), false, true),
        ("cut off", Some(peer), good.slice(..last), false, true),
        ("garbage", Some(peer), Bytes::from_static(&[0xff; 40]), false, true),
        ("expired", Some(peer), signed(&key, 1, seq - 7 * DAY), false, false),
        ("older than the known one", Some(peer), signed(&key, 2, seq - 1), false, false),
        ("another one of the same number", Some(peer), signed(&key, 2, seq), false, false),
    ];
    for (index, (name, told_as, bytes, is_believed, is_blamed)) in cases.into_iter().enumerate() {
        let mut exchange = listener();
        if index >= 10 {
            told(&mut exchange, with_record(Some(peer), good.clone()), NOW);
        }
        let expected = if is_believed { endpoints(1) } else { vec![] };
        assert_eq!(told(&mut exchange, with_record(told_as, bytes), NOW), (expected, is_blamed), "{name}");
    }
}

#[test]
fn a_newer_record_wins_and_an_expired_one_is_told_to_nobody() {
    let (mut exchange, key) = (listener(), Keypair::generate_ed25519());
    let (peer, seq) = (key.public().to_peer_id(), NOW.as_secs());
    told(&mut exchange, with_record(None, signed(&key, 1, seq)), NOW);
    assert_eq!(told(&mut exchange, with_record(None, signed(&key, 2, seq + 1)), NOW).0, endpoints(2));
    assert_eq!(exchange.records(), 1);
    connect(&mut exchange, 2, DIALLED_US, NOW);
    let sample = || vec![PeerAddr::new(Some(peer), endpoints(2), None)];
    for (secs, is_told) in [(7 * DAY - 1, true), (7 * DAY, false), (7 * DAY + 1, false)] {
        let now = NOW.after(Duration::from_secs(secs));
        exchange.asked(2, 0, now);
        assert_eq!(exchange.sampled(2, sample(), now)[0].record.is_some(), is_told, "after {secs} s");
    }
}

#[test]
fn a_record_with_an_address_that_the_asker_could_not_use_stays_here() {
    let (mut exchange, key) = (listener(), Keypair::generate_ed25519());
    let both = [endpoints(1), vec![Endpoint::tcp([10, 0, 0, 1].into(), 1)]].concat();
    let record = SignedRecord::sign(&key, &both, NOW.as_secs()).unwrap();
    told(&mut exchange, with_record(None, record.bytes().clone()), NOW);
    connect(&mut exchange, 2, DIALLED_US, NOW);
    exchange.asked(2, 0, NOW);
    let answer = exchange.sampled(2, vec![PeerAddr::new(Some(record.peer()), endpoints(1), None)], NOW);
    assert_eq!(answer[0].record, None);
}

#[test]
fn fault_records_are_bounded_in_number_and_in_work() {
    let keys: Vec<_> = (0..6).map(|_| Keypair::generate_ed25519()).collect();
    let message = |count: usize| {
        keys.iter().take(count).map(|key| with_record(None, signed(key, 1, NOW.as_secs()))).collect::<Vec<_>>()
    };
    let kept = |config: Config, count| {
        let mut exchange = exchange(config);
        connect(&mut exchange, 1, DIALLED, NOW);
        let taken = exchange.answer_received(1, message(count), NOW);
        assert_eq!(taken.addrs.len(), count, "what is not checked is hearsay");
        exchange.records()
    };
    let few = |count| kept(Config { records_max: 4, ..plain() }, count);
    assert_eq!([3, 4, 5].map(few), [3, 4, 4]);
    let checks = |count| kept(Config { records_checked_max: 4, ..plain() }, count);
    assert_eq!([3, 4, 5].map(checks), [3, 4, 4]);
}

#[test]
fn own_addresses_are_signed() {
    let mut exchange = exchange(Config { ask: AskWhom::Nobody, own_announce: OwnAnnounce::EverySecs(120), ..plain() });
    let key = Keypair::generate_ed25519();
    exchange.sign_as(key.clone());
    let listen = Endpoint::tcp([9, 9, 9, 9].into(), 4_001);
    exchange.own_listens(vec![listen.clone()]);
    connect(&mut exchange, 1, DIALLED_US, NOW);
    let hello = PeerHello { listens_at: vec![], sees_us_at: Some(listen.clone()) };
    exchange.hello_received(1, Some(PeerId::random()), hello, NOW);
    let own = exchange.own_addr(Audience::Internet, NOW).unwrap();
    let record = SignedRecord::verify(own.record.as_ref().unwrap()).unwrap();
    assert_eq!((record.peer(), record.endpoints()), (key.public().to_peer_id(), &[listen][..]));
    let seq = |secs| {
        let own = exchange.clone().own_addr(Audience::Internet, NOW.after(Duration::from_secs(secs))).unwrap();
        SignedRecord::verify(own.record.as_ref().unwrap()).unwrap().seq() - NOW.as_secs()
    };
    assert_eq!([DAY - 1, DAY, DAY + 1].map(seq), [0, DAY, DAY + 1], "signed anew after a day");
}
