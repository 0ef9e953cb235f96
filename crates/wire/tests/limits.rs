//! Invariants checked here: each limit of the table holds at -1, 0 and +1; hostile bytes never panic; what the scan accepts
//! differs from what prost decodes only in UTF-8.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bruit_wire::{
    DecodeError, Limited, ScanError, decode, encode,
    limits::{self, Field, Kind, Limits},
    pb, scan,
};
use proptest::prelude::*;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(number: u32, len: usize, out: &mut Vec<u8>) {
    varint(u64::from(number) << 3 | 2, out);
    varint(len as u64, out);
    out.extend(std::iter::repeat_n(b'a', len));
}

fn put_once(field: &Field, out: &mut Vec<u8>) {
    match field.kind {
        Kind::Number => {
            varint(u64::from(field.number) << 3, out);
            out.push(1);
        }
        Kind::Bytes { .. } => put_bytes(field.number, 0, out),
        Kind::Message(limits) => {
            let mut inner = Vec::new();
            let filled = limits.fields.iter().find_map(|field| match field.kind {
                Kind::Bytes { max } => Some((field.number, max.min(40))),
                Kind::Number | Kind::Message(_) => None,
            });
            filled.into_iter().for_each(|(number, len)| put_bytes(number, len, &mut inner));
            varint(u64::from(field.number) << 3 | 2, out);
            varint(inner.len() as u64, out);
            out.extend(inner);
        }
    }
}

fn too_long(result: &Result<(), ScanError>) -> bool {
    matches!(result, Err(ScanError::TooLong { .. } | ScanError::FieldTooLong { .. }))
}

fn check_counts(limits: &'static Limits, field: &Field) {
    for count in [field.count_max - 1, field.count_max, field.count_max + 1] {
        let mut bytes = Vec::new();
        (0..count).for_each(|_| put_once(field, &mut bytes));
        if bytes.len() > limits.bytes_max {
            continue;
        }
        let result = scan(&bytes, limits);
        let (message, number) = (limits.name, field.number);
        if count > field.count_max {
            let max = field.count_max;
            assert_eq!(result, Err(ScanError::TooMany { message, number, max }));
        } else {
            assert_eq!(result, Ok(()), "{message}.{} {count} times", field.name);
        }
    }
}

fn check_lengths(limits: &'static Limits, field: &Field, max: usize) {
    for len in [max - 1, max, max + 1] {
        let mut bytes = Vec::new();
        put_bytes(field.number, len, &mut bytes);
        let result = scan(&bytes, limits);
        assert_eq!(too_long(&result), len > max, "{}.{} of {len} bytes: {result:?}", limits.name, field.name);
    }
}

#[test]
fn every_limit_holds_at_one_below_at_and_above() {
    for limits in limits::ALL {
        for field in limits.fields {
            check_counts(limits, field);
            if let Kind::Bytes { max } = field.kind {
                check_lengths(limits, field, max);
            }
        }
        let filler = vec![0; limits.bytes_max + 1];
        let len = filler.len();
        let expected = Err(ScanError::TooLong { message: limits.name, len, max: limits.bytes_max });
        assert_eq!(scan(&filler, limits), expected);
        assert_ne!(
            scan(&filler[1..], limits),
            Err(ScanError::TooLong { message: limits.name, len: len - 1, max: limits.bytes_max })
        );
    }
}

#[test]
fn fault_many_empty_elements_are_refused_before_decoding() {
    let mut bytes = Vec::new();
    (0..limits::ADDR_PEERS_MAX).for_each(|_| put_bytes(1, 0, &mut bytes));
    assert_eq!(decode::<pb::Addr>(bytes.into()), Err(DecodeError::Scan(ScanError::Amplified("Addr"))));
}

#[test]
fn fault_unknown_field_stuffing_is_refused() {
    let mut bytes = Vec::new();
    (0..64).for_each(|_| put_bytes(99, 0, &mut bytes));
    assert_eq!(scan(&bytes, pb::Item::LIMITS), Ok(()));
    put_bytes(99, 0, &mut bytes);
    assert_eq!(scan(&bytes, pb::Item::LIMITS), Err(ScanError::TooManyUnknown("Item")));
}

#[test]
fn fault_groups_and_field_zero_are_refused() {
    for key in [0x0b, 0x0c, 0x0e, 0x0f, 0x02, 0x00] {
        assert_eq!(scan(&[key, 0x00], pb::Item::LIMITS), Err(ScanError::BadKey("Item")), "key {key:#x}");
    }
}

#[test]
fn a_real_answer_with_a_thousand_peers_passes() {
    let peer = pb::PeerAddr {
        addrs: vec![vec![0x04, 1, 2, 3, 4, 0x06, 0x1f, 0x90].into()],
        last_seen_seconds: 1_800_000_000,
        ..Default::default()
    };
    let addr = pb::Addr { peers: vec![peer; 1_000] };
    assert_eq!(decode::<pb::Addr>(encode(&addr)), Ok(addr));
}

proptest! {
    #[test]
    fn fault_hostile_bytes_never_panic(which in 0..limits::ALL.len(), bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = scan(&bytes, limits::ALL[which]);
        let _ = decode::<pb::PeeringRequest>(bytes.clone().into());
        let _ = decode::<pb::RpcFrame>(bytes.into());
    }

    #[test]
    fn a_damaged_hello_is_refused_or_decodes(at in 0_usize..200, bit in 0..8_u32, cut in 0_usize..200) {
        let hello = pb::Hello {
            network: "demo".into(),
            agent: "x".repeat(64),
            listen_addrs: vec![vec![4; 20].into(); 8],
            features: vec!["gossip/1".into()],
            observed_addr: vec![4; 20].into(),
            refused: None,
            intent: 0,
        };
        let mut bytes = encode(&hello).to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1_u8 << bit;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let scanned = scan(&bytes, pb::Hello::LIMITS);
        match decode::<pb::Hello>(bytes.into()) {
            Ok(_) => prop_assert_eq!(scanned, Ok(())),
            Err(DecodeError::Scan(error)) => prop_assert_eq!(scanned, Err(error)),
            Err(DecodeError::Prost(error)) => prop_assert!(error.to_string().contains("UTF-8"), "{}", error),
        }
    }
}
