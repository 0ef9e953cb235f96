use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::tcp([1, 2, 3, 4].into(), 5), Endpoint::tcp([5, 6, 7, 8].into(), 9)]
}

#[test]
fn a_record_survives_its_bytes() {
    let key = Keypair::generate_ed25519();
    let record = SignedRecord::sign(&key, &endpoints(), 7).unwrap();
    assert_eq!(SignedRecord::verify(record.bytes()), Ok(record.clone()));
    assert_eq!((record.peer(), record.seq(), record.endpoints()), (key.public().to_peer_id(), 7, &endpoints()[..]));
    assert_eq!(SignedRecord::sign(&key, &[], 7), Err(RecordError::NoAddrs));
}

/// Feature `behaviour` brings libp2p-core, whose own records these must be.
#[cfg(feature = "behaviour")]
#[test]
fn libp2p_reads_our_records_and_we_read_libp2ps() {
    use libp2p_core::{PeerRecord, SignedEnvelope};
    let key = Keypair::generate_ed25519();
    let ours = SignedRecord::sign(&key, &endpoints(), 1_800_000_000).unwrap();
    let envelope = SignedEnvelope::from_protobuf_encoding(ours.bytes()).unwrap();
    let theirs = PeerRecord::from_signed_envelope_interop(envelope).unwrap();
    let addrs: Vec<_> = endpoints().iter().map(Endpoint::to_multiaddr).collect();
    assert_eq!((theirs.peer_id(), theirs.seq(), theirs.addresses()), (ours.peer(), 1_800_000_000, &addrs[..]));

    let theirs = PeerRecord::new_interop(&key, addrs).unwrap();
    let bytes = theirs.to_signed_envelope().into_protobuf_encoding().into();
    let ours = SignedRecord::verify(&bytes).unwrap();
    assert_eq!((ours.peer(), ours.seq(), ours.endpoints()), (theirs.peer_id(), theirs.seq(), &endpoints()[..]));

    let legacy = PeerRecord::new(&key, vec!["/ip4/1.2.3.4/tcp/5".parse().unwrap()]).unwrap();
    let bytes = legacy.to_signed_envelope().into_protobuf_encoding().into();
    assert_eq!(SignedRecord::verify(&bytes), Err(RecordError::OtherPayload));
}

#[test]
fn fault_records_are_refused_for_what_is_wrong_with_them() {
    let key = Keypair::generate_ed25519();
    let good = SignedRecord::sign(&key, &endpoints(), 7).unwrap();
    let envelope = || decode::<pb::SignedEnvelope>(good.bytes().clone()).unwrap();
    let refused = |envelope: pb::SignedEnvelope| SignedRecord::verify(&encode(&envelope)).unwrap_err();
    assert_eq!(SignedRecord::verify(&Bytes::from_static(&[0xff])), Err(RecordError::Malformed));
    assert_eq!(refused(pb::SignedEnvelope { payload_type: Bytes::new(), ..envelope() }), RecordError::OtherPayload);
    assert_eq!(
        refused(pb::SignedEnvelope { payload: Bytes::from_static(&[0xff]), ..envelope() }),
        RecordError::Malformed
    );
    assert_eq!(refused(pb::SignedEnvelope { signature: Bytes::new(), ..envelope() }), RecordError::BadSignature);
    let other = Keypair::generate_ed25519().public().encode_protobuf().into();
    assert_eq!(refused(pb::SignedEnvelope { public_key: other, ..envelope() }), RecordError::OtherPeer);
    // Every byte counts.
    for at in 0..good.bytes().len() {
        let mut bytes = good.bytes().to_vec();
        bytes[at] ^= 1 << (at % 8);
        assert!(SignedRecord::verify(&bytes.into()).is_err(), "byte {at}");
    }
}

#[test]
fn fault_a_record_names_at_most_eight_places_that_count() {
    let key = Keypair::generate_ed25519();
    let many = |count: u16| (1..=count).map(|port| Endpoint::tcp([1, 2, 3, 4].into(), port)).collect::<Vec<_>>();
    let kept = |count| SignedRecord::sign(&key, &many(count), 7).unwrap().endpoints().len();
    assert_eq!([7, 8, 9].map(kept), [7, 8, 8]);
    let read = |count: u16| {
        let addr = |endpoint: &Endpoint| pb::PeerRecordAddr { multiaddr: endpoint.to_multiaddr().to_vec().into() };
        let addresses = many(count).iter().map(addr).collect();
        let payload =
            encode(&pb::PeerRecord { peer_id: key.public().to_peer_id().to_bytes().into(), seq: 7, addresses });
        let envelope = pb::SignedEnvelope {
            public_key: key.public().encode_protobuf().into(),
            payload_type: Bytes::from_static(PAYLOAD_TYPE),
            signature: key.sign(&signed_bytes(PAYLOAD_TYPE, &payload)).unwrap().into(),
            payload,
        };
        SignedRecord::verify(&encode(&envelope)).unwrap().endpoints().len()
    };
    assert_eq!([7, 8, 9].map(read), [7, 8, 8]);
}

#[test]
fn sequence_numbers_of_all_implementations_are_read_as_times() {
    let key = Keypair::generate_ed25519();
    let signed_at = |seq| SignedRecord::sign(&key, &endpoints(), seq).unwrap().signed_at(NOW);
    let secs = NOW.as_secs();
    for unit in [1, 1_000, 1_000_000, 1_000_000_000] {
        assert_eq!(signed_at(secs * unit), Some(NOW), "{unit} a second");
    }
    assert_eq!([599, 600, 601].map(|ahead| signed_at(secs + ahead)), [Some(NOW), Some(NOW), None], "clocks differ");
    assert_eq!([0, 1, 1_000].map(signed_at), [None; 3]);
}
