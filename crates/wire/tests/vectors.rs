//! Golden bytes: what an old peer sent must still be read, and what is sent must still be what it reads.
//!
//! Each file in `tests/vectors` holds one message: its value as text, and its bytes as hex. A changed vector needs a decision
//! record. `BRUIT_BLESS=1 cargo test -p bruit-wire --test vectors` writes the files anew, on purpose only.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{fmt::Write as _, fs, path::PathBuf};

use bruit_wire::{Limited, Message, decode, encode, limits, pb};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn check<M: Limited + PartialEq + std::fmt::Debug>(value: M) -> &'static str {
    let name = M::LIMITS.name;
    let path = folder("tests/vectors").join(format!("{name}.txt"));
    let text = format!("{value:#?}\n---\n{}", hex(&encode(&value)));
    if std::env::var_os("BRUIT_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(golden, text, "the bytes of {name} have changed");
    let bytes = unhex(golden.split("---").last().unwrap());
    assert_eq!(decode::<M>(bytes.into()), Ok(value), "{name} cannot be read any more");
    name
}

fn peer_addr() -> pb::PeerAddr {
    pb::PeerAddr {
        peer_id: vec![0x00, 0x24, 0x08, 0x01].into(),
        addrs: vec![vec![0x04, 1, 2, 3, 4, 0x06, 0x1f, 0x90].into()],
        last_seen_seconds: 1_800_000_000,
        signed_record: vec![0xaa, 0xbb].into(),
    }
}

fn goodbye() -> pb::Goodbye {
    pb::Goodbye { reason: pb::GoodbyeReason::Full.into(), not_before_seconds: 300, alternatives: vec![peer_addr()] }
}

fn hello() -> pb::Hello {
    pb::Hello {
        network: "demo".into(),
        agent: "bruit/0.1.0".into(),
        listen_addrs: vec![vec![0x04, 127, 0, 0, 1, 0x06, 0x1f, 0x90].into()],
        features: vec!["gossip/1".into()],
        observed_addr: vec![0x04, 9, 9, 9, 9, 0x06, 0x1f, 0x90].into(),
        refused: Some(goodbye()),
        intent: pb::Intent::Quiet.into(),
    }
}

fn manifest() -> pb::Manifest {
    pb::Manifest {
        name: "Cargo.lock".into(),
        size: 70_000,
        chunk_size: 32_768,
        chunk_hashes: vec![7; 96].into(),
        sha256: vec![9; 32].into(),
    }
}

fn chunk() -> pb::Chunk {
    pb::Chunk { manifest_id: vec![1; 32].into(), index: 2, count: 3, data: b"data".to_vec().into() }
}

fn request() -> pb::RpcRequest {
    pb::RpcRequest {
        call: 300,
        method: "object".into(),
        timeout_ms: 1_000,
        stream_credit: 1 << 20,
        payload: b"args".to_vec().into(),
    }
}

fn announce() -> pb::Announce {
    pb::Announce {
        topic: "news".into(),
        ids: vec![7; 64].into(),
        rounds: vec![2, 3].into(),
        roots: vec![8; 16].into(),
        is_ahead: true,
    }
}

fn addr() -> pb::Addr {
    pb::Addr { peers: vec![peer_addr(), pb::PeerAddr::default()] }
}

fn neighbours() -> pb::Neighbours {
    pb::Neighbours { peer_ids: vec![vec![0x00, 0x24, 0x08, 0x01].into()] }
}

fn record_addr() -> pb::PeerRecordAddr {
    pb::PeerRecordAddr { multiaddr: vec![0x04, 1, 2, 3, 4, 0x06, 0x1f, 0x90].into() }
}

fn record() -> pb::PeerRecord {
    pb::PeerRecord { peer_id: vec![0x00, 0x24, 0x08, 0x01].into(), seq: 1_800_000_000, addresses: vec![record_addr()] }
}

fn check_all() -> Vec<&'static str> {
    vec![
        check(pb::LaneOpen { lane: 1 }),
        check(pb::ItemFrame {
            id: vec![3; 32].into(),
            round: 2,
            kind: pb::HopKind::Stem.into(),
            root: 0x00ff_eedd_ccbb_aa99,
            cover: vec![1, 2, 3, 4, 5, 6].into(),
            announce: Some(announce()),
            signature: vec![9; 64].into(),
            body: b"body".to_vec().into(),
        }),
        check(announce()),
        check(pb::Item {
            topic: "news".into(),
            author: vec![0x00, 0x24].into(),
            nonce: u64::MAX,
            expires_at_ms: 1_800_000_000_000,
            payload: b"payload".to_vec().into(),
        }),
        check(pb::GossipControl {
            subscribe: vec!["a".into(), "b".into()],
            unsubscribe: vec!["c".into()],
            want: vec![1; 32].into(),
            have: vec![2; 64].into(),
            adopt: vec![3; 8].into(),
            drop: vec![4; 16].into(),
            neighbours: Some(vec![5; 6].into()),
            choose: vec!["d".into()],
            unchoose: vec!["e".into()],
            pull: vec!["f".into()],
        }),
        check(pb::RpcFrame { kind: Some(pb::rpc_frame::Kind::Request(request())) }),
        check(request()),
        check(pb::RpcResponse {
            call: 300,
            status: pb::RpcStatus::CannotSatisfy.into(),
            reason: "no such object".into(),
            chunks: 3,
            payload: Vec::new().into(),
        }),
        check(pb::RpcChunk { call: 300, index: 7, payload: b"part".to_vec().into() }),
        check(pb::RpcCredit { call: 300, bytes: 65_536 }),
        check(pb::RpcCancel { call: 300 }),
        check(pb::RpcMethods { names: vec!["ping".into(), "echo".into()] }),
        check(pb::PeeringRequest { kind: Some(pb::peering_request::Kind::Goodbye(goodbye())) }),
        check(pb::PeeringResponse { hello: Some(hello()) }),
        check(hello()),
        check(pb::Ping {}),
        check(goodbye()),
        check(pb::ExchangeRequest {
            kind: Some(pb::exchange_request::Kind::GetAddr(pb::GetAddr { count_max: 1_000 })),
        }),
        check(pb::ExchangeResponse { addr: Some(addr()), neighbours: Some(neighbours()) }),
        check(pb::GetNeighbours {}),
        check(neighbours()),
        check(pb::DialBack { addr: vec![0x04, 1, 2, 3, 4, 0x06, 0x1f, 0x90].into() }),
        check(pb::SignedEnvelope {
            public_key: vec![0x08, 0x01, 0x12, 0x20].into(),
            payload_type: vec![0x03, 0x01].into(),
            payload: encode(&record()),
            signature: vec![0xcc; 64].into(),
        }),
        check(record()),
        check(record_addr()),
        check(pb::GetAddr { count_max: 1_000 }),
        check(addr()),
        check(peer_addr()),
        check(manifest()),
        check(pb::ObjectItem { kind: Some(pb::object_item::Kind::Chunk(chunk())) }),
        check(chunk()),
        check(pb::ObjectRequest { manifest_id: vec![1; 32].into(), index: Some(0) }),
        check(pb::RecentRequest { topic: "files".into(), since_seconds: 1_800_000_000 }),
        check(pb::RecentResponse { manifest_ids: vec![5; 64].into() }),
    ]
}

#[test]
fn every_message_of_the_schemas_has_a_vector_that_still_holds() {
    let mut checked = check_all();
    checked.sort_unstable();

    let mut declared = Vec::new();
    for file in fs::read_dir(folder("../../proto/bruit/v1")).unwrap() {
        let schema = fs::read_to_string(file.unwrap().path()).unwrap();
        let names = schema.lines().filter_map(|line| line.trim_start().strip_prefix("message "));
        declared.extend(names.map(|rest| rest.split([' ', '{']).next().unwrap().to_owned()));
    }
    declared.sort_unstable();
    assert_eq!(checked, declared, "vectors and schemas name different messages");

    let mut limited: Vec<_> = limits::ALL.iter().map(|limits| limits.name).collect();
    limited.sort_unstable();
    assert_eq!(limited, declared, "limits and schemas name different messages");

    let files = fs::read_dir(folder("tests/vectors")).unwrap().count();
    assert_eq!(files, declared.len(), "a vector is left over");
}

#[test]
fn unknown_fields_are_ignored() {
    let mut bytes = pb::LaneOpen { lane: 1 }.encode_to_vec();
    bytes.extend([0x9a, 0x06, 0x02, 0xca, 0xfe]);
    assert_eq!(decode::<pb::LaneOpen>(bytes.into()), Ok(pb::LaneOpen { lane: 1 }));
}
