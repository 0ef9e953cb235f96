use super::*;

fn name(text: &str) -> MethodName {
    MethodName::new(text).unwrap()
}

fn round_trip(message: &RpcMessage) -> RpcMessage {
    let frame = message.encode();
    let prefix = bruit_wire::read_prefix(&frame, bruit_wire::FRAME_MAX).unwrap().unwrap();
    RpcMessage::decode(frame.slice(prefix.prefix_len..)).unwrap().unwrap()
}

fn number(n: u64) -> NonZeroU64 {
    NonZeroU64::new(n).unwrap()
}

#[test]
fn messages_survive_the_round_trip() {
    let request = Request {
        number: Some(number(7)),
        method: name("lookup"),
        timeout: Some(Duration::from_millis(1_500)),
        stream_credit: 0,
        payload: Bytes::from_static(b"key"),
    };
    let one_way = Request { number: None, timeout: None, ..request.clone() };
    let mut messages = vec![
        RpcMessage::Request(request),
        RpcMessage::Request(one_way),
        RpcMessage::Response(Response {
            number: number(u64::MAX),
            result: Ok(Bytes::from_static(b"value")),
            chunks: 3,
        }),
        RpcMessage::Cancel(number(1)),
        RpcMessage::Methods(vec![]),
        RpcMessage::Methods(vec![name("a"), name("b")]),
    ];
    for kind in [
        RefusalKind::CannotSatisfy,
        RefusalKind::NoSuchMethod,
        RefusalKind::Overloaded,
        RefusalKind::BadRequest,
        RefusalKind::Failed,
    ] {
        let result = Err(Refusal::new(kind, "because"));
        messages.push(RpcMessage::Response(Response { number: number(2), result, chunks: 0 }));
    }
    for message in messages {
        assert_eq!(round_trip(&message), message);
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let frame = |kind| RpcMessage::from_frame(pb::RpcFrame { kind: Some(kind) });
    let response = pb::RpcResponse { call: 1, status: 1, ..pb::RpcResponse::default() };
    assert_eq!(frame(Kind::Cancel(pb::RpcCancel { call: 0 })), Err(MessageError::NoNumber));
    assert_eq!(frame(Kind::Response(pb::RpcResponse { call: 0, ..response.clone() })), Err(MessageError::NoNumber));
    assert_eq!(frame(Kind::Response(pb::RpcResponse { status: 0, ..response.clone() })), Err(MessageError::NoStatus));
    assert!(matches!(frame(Kind::Request(pb::RpcRequest::default())), Err(MessageError::Name(_))));
    let nameless = pb::RpcMethods { names: vec!["ok".into(), String::new()] };
    assert!(matches!(frame(Kind::Methods(nameless)), Err(MessageError::Name(_))));
    assert!(matches!(RpcMessage::decode(Bytes::from_static(&[0x0a, 0x05])), Err(MessageError::Decode(_))));
    assert_eq!(RpcMessage::decode(Bytes::new()), Ok(None));
    let Ok(Some(RpcMessage::Response(later))) = frame(Kind::Response(pb::RpcResponse { status: 99, ..response }))
    else {
        panic!("a status of a later version is a failure");
    };
    assert_eq!(later.result.unwrap_err().kind, RefusalKind::Failed);
}

#[test]
fn reasons_are_cut_between_characters_and_waiting_is_never_zero() {
    let reason = format!("{}{}", "a".repeat(255), "ö");
    let message = RpcMessage::Response(Response {
        number: number(1),
        result: Err(Refusal::cannot_satisfy(reason.as_str())),
        chunks: 0,
    });
    let RpcMessage::Response(cut) = round_trip(&message) else { panic!("still a response") };
    assert_eq!(cut.result.unwrap_err().reason, "a".repeat(255));
    assert_eq!(whole_millis(Duration::from_micros(10)), 1);
    assert_eq!(whole_millis(Duration::MAX), u32::MAX);
}

#[test]
fn payloads_above_16_kib_travel_in_bulk() {
    assert_eq!(Lane::of_payload(16 * 1024).number(), 0);
    assert_eq!(Lane::of_payload(16 * 1024 + 1).number(), 1);
}

#[test]
fn fault_a_payload_holds_no_more_of_its_frame_than_itself() {
    // A field that this version does not know: number 20, 100,000 bytes.
    let padding = [&[0xa2, 0x01, 0xa0, 0x8d, 0x06][..], &[0; 100_000]].concat();
    for size in [1, 5_000] {
        let payload = Bytes::from(vec![3; size]);
        let request = Request {
            number: Some(number(7)),
            method: name("lookup"),
            timeout: None,
            stream_credit: 0,
            payload: payload.clone(),
        };
        let response = Response { number: number(7), result: Ok(payload), chunks: 0 };
        for sent in [RpcMessage::Request(request), RpcMessage::Response(response)] {
            let frame = Bytes::from([&bruit_wire::encode(&sent.to_frame())[..], &padding].concat());
            let received = RpcMessage::decode(frame.clone()).unwrap().unwrap();
            assert_eq!(received, sent);
            assert!(frame.is_unique(), "a payload of {size} bytes holds all of its frame");
        }
    }
}
