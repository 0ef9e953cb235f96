#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use super::*;

const MOMENT: Moment = Moment { now: Timestamp::from_secs(1_000), wall: Timestamp::from_secs(1_030) };

fn sealer() -> Sealer {
    Sealer::new(&NetworkId::new("demo").unwrap())
}

fn item(payload: &[u8]) -> Item {
    Item {
        topic: Topic::new("blocks").unwrap(),
        author: None,
        nonce: 7,
        expires_at: Timestamp::from_secs(1_600),
        payload: Bytes::copy_from_slice(payload),
    }
}

fn frame_of(message: &ItemMessage) -> Bytes {
    let mut frame = BytesMut::from(&message.head()[..]);
    frame.extend_from_slice(message.body());
    frame.freeze()
}

fn item_of(frame: Bytes) -> ItemFrame {
    let ItemsFrame { item, announcement } = ItemsFrame::decode(frame).unwrap();
    assert_eq!(announcement, None);
    item.unwrap()
}

fn without_prefix(frame: &Bytes) -> Bytes {
    let prefix = bruit_wire::read_prefix(frame, bruit_wire::FRAME_MAX).unwrap().unwrap();
    assert_eq!(prefix.prefix_len + prefix.frame_len, frame.len());
    frame.slice(prefix.prefix_len..)
}

#[test]
fn the_id_is_the_hash_of_domain_network_and_body() {
    let message = sealer().seal(item(b"x"), MOMENT);
    let input = [&b"\x0dbruit item v1\x04demo"[..], message.body()].concat();
    assert_eq!(message.id().as_bytes(), blake3::hash(&input).as_bytes());
    assert_ne!(Sealer::new(&NetworkId::new("demo2").unwrap()).id_of(message.body()), message.id());
}

#[test]
fn head_and_body_are_the_frame_of_the_schema() {
    for (size, round) in [(0, 1), (1, 6), (100, 1), (20_000, 32), (196_608, 6)] {
        let message = sealer().seal(item(&vec![3; size]), MOMENT).at_round(round);
        let expected = bruit_wire::frame(&pb::ItemFrame {
            id: Bytes::copy_from_slice(message.id().as_bytes()),
            round,
            body: message.body().clone(),
            ..pb::ItemFrame::default()
        });
        assert_eq!(frame_of(&message), expected);
        assert_eq!(message.encoded_len(), expected.len());
    }
}

#[test]
fn items_survive_the_way_and_times_follow_the_wall_clock() {
    let author =
        Some(bruit_core::PeerId::from(libp2p_identity::Keypair::ed25519_from_bytes([1; 32]).unwrap().public()));
    let sent = sealer().seal(Item { author, ..item(b"payload") }, MOMENT).at_round(3);
    let wire = bruit_wire::decode::<pb::Item>(sent.body().clone()).unwrap();
    assert_eq!(wire.expires_at_ms, 1_630_000);

    let frame = item_of(without_prefix(&frame_of(&sent)));
    assert_eq!((frame.id, &frame.hop), (sent.id(), sent.hop()));
    let here = Moment { now: Timestamp::from_secs(500), wall: Timestamp::from_secs(490) };
    let received = sealer().open(frame, here).unwrap();
    let expected = Item { expires_at: Timestamp::from_secs(1_640), ..sent.item().clone() };
    assert_eq!(received.item(), &expected);
    assert_eq!(received.body(), sent.body());
}

#[test]
fn a_small_body_does_not_hold_the_buffer_it_came_in() {
    let sent = sealer().seal(item(b"x"), MOMENT);
    let frame = without_prefix(&frame_of(&sent));
    let received = sealer().open(item_of(frame.clone()), MOMENT).unwrap();
    assert!(!frame.as_ptr_range().contains(&received.body().as_ptr()));
}

#[test]
fn fault_id_of_another_body() {
    let [a, b] = [b"a", b"b"].map(|payload| sealer().seal(item(payload), MOMENT));
    let forged = ItemFrame { id: a.id(), hop: Hop::on_round(1), body: b.body().clone(), signature: None };
    assert_eq!(sealer().open(forged, MOMENT), Err(OpenError::Mismatch));
}

#[test]
fn fault_frames_and_bodies_that_are_no_items() {
    let frame = |id: &[u8]| {
        let message = pb::ItemFrame { id: Bytes::copy_from_slice(id), round: 1, ..pb::ItemFrame::default() };
        ItemsFrame::decode(bruit_wire::encode(&message))
    };
    assert!(frame(&[0; 32]).is_ok());
    assert_eq!(frame(&[0; 31]), Err(MalformedError::IdLength(31)));
    assert_eq!(frame(&[]), Err(MalformedError::IdLength(0)));
    assert!(matches!(ItemsFrame::decode(Bytes::from_static(&[0xff; 9])), Err(MalformedError::Decode(_))));

    let open = |item: pb::Item| {
        let body = bruit_wire::encode(&item);
        sealer()
            .open(ItemFrame { id: sealer().id_of(&body), hop: Hop::on_round(1), body, signature: None }, MOMENT)
            .map(|_| ())
    };
    let good = pb::Item { topic: "blocks".into(), ..pb::Item::default() };
    assert_eq!(open(good.clone()), Ok(()));
    let nameless = pb::Item::default();
    assert_eq!(open(nameless), Err(OpenError::Malformed(MalformedError::Topic(TopicError(0)))));
    let stranger = pb::Item { author: Bytes::from_static(b"nobody"), ..good.clone() };
    assert_eq!(open(stranger), Err(OpenError::Malformed(MalformedError::Author)));
    let eternal = pb::Item { expires_at_ms: u64::MAX, ..good };
    assert_eq!(open(eternal), Ok(()));
}

#[test]
fn control_messages_survive_the_way() {
    let [a, b] = ["a", "b"].map(|name| Topic::new(name).unwrap());
    let tag = |number| RootTag::new(number).unwrap();
    let message = ControlMessage {
        subscribe: vec![a.clone()],
        unsubscribe: vec![b.clone()],
        want: vec![ItemId::new([1; 32])],
        have: vec![ItemId::new([2; 32]), ItemId::new([3; 32])],
        adopt: vec![tag(1)],
        drop: vec![tag(u64::MAX), tag(2)],
        neighbours: Some(vec![ShortId::new([1, 2, 3]), ShortId::new([4, 5, 6])]),
        choose: vec![b.clone()],
        unchoose: vec![a.clone()],
        pull: vec![a, b],
    };
    assert_eq!(ControlMessage::decode(without_prefix(&message.frame())), Ok(message));
    let nobody = ControlMessage { neighbours: Some(Vec::new()), ..ControlMessage::default() };
    assert_eq!(ControlMessage::decode(without_prefix(&nobody.frame())), Ok(nobody));
}

#[test]
fn fault_control_messages_with_torn_lists() {
    let refused = |message: pb::GossipControl| ControlMessage::decode(bruit_wire::encode(&message)).unwrap_err();
    let unnamed = pb::GossipControl { subscribe: vec![String::new()], ..Default::default() };
    assert_eq!(refused(unnamed), MalformedError::Topic(TopicError(0)));
    let list = |len: usize| Bytes::from(vec![1; len]);
    let want = pb::GossipControl { want: list(33), ..Default::default() };
    assert_eq!(refused(want), MalformedError::IdLength(1));
    let adopt = pb::GossipControl { adopt: list(9), ..Default::default() };
    assert_eq!(refused(adopt), MalformedError::ListLength);
    let neighbours = pb::GossipControl { neighbours: Some(list(4)), ..Default::default() };
    assert_eq!(refused(neighbours), MalformedError::ListLength);
}

#[test]
fn announcements_survive_the_way() {
    let announced = |byte, round, root| Announced { id: ItemId::new([byte; 32]), round, root };
    let topic = Topic::new("blocks").unwrap();
    let plain = vec![announced(1, 1, None), announced(2, 1, None)];
    let full = vec![announced(1, 2, RootTag::new(9)), announced(2, 6, None)];
    for (items, is_ahead) in [(plain, false), (full, true)] {
        let announcement = Announcement { topic: topic.clone(), items, is_ahead };
        assert_eq!(announcement.frame().len(), announcement.encoded_len());
        let frame = ItemsFrame::decode(without_prefix(&announcement.frame())).unwrap();
        assert_eq!(frame, ItemsFrame { item: None, announcement: Some(announcement) });
    }
}

#[test]
fn fault_announcements_with_torn_lists() {
    let refused = |rounds: usize, roots: usize, ids: usize| {
        let [ids, rounds, roots] = [ids, rounds, roots].map(|len| Bytes::from(vec![1; len]));
        let announce = Some(pb::Announce { topic: "a".into(), ids, rounds, roots, is_ahead: false });
        ItemsFrame::decode(bruit_wire::encode(&pb::ItemFrame { announce, ..Default::default() })).unwrap_err()
    };
    assert_eq!(refused(0, 0, 31), MalformedError::IdLength(31));
    assert_eq!(refused(2, 0, 32), MalformedError::ListLength);
    assert_eq!(refused(0, 16, 32), MalformedError::ListLength);
    assert_eq!(refused(0, 7, 32), MalformedError::ListLength);
}

#[test]
fn copies_carry_what_they_say_about_their_hop() {
    let cover = ShortId::join([ShortId::of(b"a"), ShortId::of(b"b")]);
    let hop = Hop { round: 2, kind: HopKind::Stem, root: RootTag::new(1 << 55), cover };
    let sent = sealer().seal(item(b"payload"), MOMENT).on(hop.clone());
    assert_eq!(sent.encoded_len(), frame_of(&sent).len());
    let received = sealer().open(item_of(without_prefix(&frame_of(&sent))), MOMENT).unwrap();
    assert_eq!(received.hop(), &hop);
    assert_eq!(hop.covered().collect::<Vec<_>>(), [ShortId::of(b"a"), ShortId::of(b"b")]);
}

#[test]
fn fault_an_item_holds_no_more_of_its_frame_than_its_body() {
    for size in [0, 5_000] {
        let sent = sealer().seal(item(&vec![3; size]), MOMENT);
        // A field that this version does not know: number 20, 100,000 bytes.
        let padding = [&[0xa2, 0x01, 0xa0, 0x8d, 0x06][..], &[0; 100_000]].concat();
        let frame = Bytes::from([&without_prefix(&frame_of(&sent))[..], &padding].concat());
        let opened = sealer().open(item_of(frame.clone()), MOMENT).unwrap();
        assert_eq!(opened.id(), sent.id());
        assert!(frame.is_unique(), "a body of {} bytes holds all of its frame", opened.body_len());
    }
    let frame = without_prefix(&frame_of(&sealer().seal(item(&[3; 5_000]), MOMENT)));
    let opened = sealer().open(item_of(frame.clone()), MOMENT).unwrap();
    assert!(!frame.is_unique(), "a body of {} bytes is copied without need", opened.body_len());
}

#[test]
fn an_id_is_read_as_it_is_written() {
    let id = ItemId::new(std::array::from_fn(|place| 0xf0 ^ place as u8));
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    for text in ["", &id.to_string()[1..], &format!("{id}00"), &id.to_string().replace('0', "g")] {
        assert_eq!(text.parse::<ItemId>(), Err(ItemIdError), "{text}");
    }
}

#[test]
fn a_signature_is_the_authors_of_this_item_and_travels_beside_the_body() {
    let [author, other] = [1, 2].map(|byte| Keypair::ed25519_from_bytes([byte; 32]).unwrap());
    let named = |key: &Keypair| Item { author: Some(key.public().to_peer_id()), ..item(b"signed") };
    let message = sealer().seal(named(&author), MOMENT);
    assert!(!message.is_signed());
    let signed = message.signed_by(&author).unwrap();
    assert!(signed.is_signed());
    assert_eq!((signed.id(), signed.body()), (message.id(), message.body()));
    assert_eq!(message.signed_by(&other), Err(SignError::Author));
    assert_eq!(sealer().seal(item(b"signed"), MOMENT).signed_by(&author), Err(SignError::Author));
    // The same signature beside another body, or beside the body of another author.
    let another = sealer().seal(Item { nonce: 99, ..named(&author) }, MOMENT);
    let others = sealer().seal(named(&other), MOMENT);
    // The same item on another network.
    let abroad = Sealer::new(&NetworkId::new("abroad").unwrap()).seal(named(&author), MOMENT);
    for message in [another, others, abroad] {
        assert!(!message.with_signature(signed.signature().cloned()).is_signed());
    }
    // Each byte counts.
    for at in 0..64 {
        let mut bytes = *signed.signature().unwrap().as_bytes();
        bytes[at] ^= 1;
        assert!(!message.with_signature(Signature::new(&bytes)).is_signed(), "byte {at}");
    }

    let parsed = item_of(without_prefix(&frame_of(&signed)));
    let opened = sealer().open(parsed, MOMENT).unwrap();
    assert!(opened.is_signed());
    assert_eq!(opened.signature(), signed.signature());
    assert!(opened.unsigned().signature().is_none());
}

#[test]
fn a_signature_has_its_length_and_no_other() {
    let frame = |len: usize| pb::ItemFrame {
        id: vec![1; 32].into(),
        signature: vec![7; len].into(),
        body: vec![1; 5].into(),
        ..Default::default()
    };
    let decode = |len| ItemsFrame::decode(bruit_wire::encode(&frame(len)));
    assert!(decode(64).is_ok() && decode(0).is_ok());
    assert_eq!(decode(63), Err(MalformedError::Signature));
    assert!(matches!(decode(65), Err(MalformedError::Decode(_))));
}
