//! The shipped node and a client without any code of the project, over TCP on loopback.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod bruit;

use std::time::Duration;

use bruit::Bruit;
use bruit_foreign::{Bytes, Message, Node, hash, pb};

/// Far more than any of these tests needs.
const DEADLINE: Duration = Duration::from_secs(60);

const NETWORK: &str = "foreign-test";

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("the test takes too long")
}

/// A client that has a place at the node.
async fn connected(node: &Bruit) -> Node {
    let mut client = Node::connect(NETWORK, node.addr()).await.unwrap();
    let hello = client.hello().await.unwrap();
    assert_eq!(hello.refused, None);
    client
}

fn ok(response: &pb::RpcResponse) -> &Bytes {
    assert_eq!(response.status(), pb::RpcStatus::Ok, "{}", response.reason);
    &response.payload
}

#[tokio::test]
async fn says_hello_and_is_told_addresses() {
    in_time(async {
        let node = Bruit::start(NETWORK, &[]).await;
        let other = Bruit::start(NETWORK, &["--seed-addr", &node.addr().to_string()]).await;
        node.until(&["peers"], |peers| peers.contains(&other.peer_id)).await;

        let mut client = Node::connect(NETWORK, node.addr()).await.unwrap();
        assert_eq!(client.peer().to_string(), node.peer_id);
        let hello = client.hello().await.unwrap();
        assert_eq!((hello.network.as_str(), hello.refused), (NETWORK, None));
        assert!(hello.agent.starts_with("bruit"), "{}", hello.agent);
        let listen = node.addr();
        assert!(hello.listen_addrs.iter().any(|addr| **addr == listen.to_vec()[..]), "{:?}", hello.listen_addrs);

        let told = client.get_addr(0).await.unwrap();
        let [peer] = &told[..] else { panic!("{told:?}") };
        assert_eq!(peer.addrs, [Bytes::from(other.addr().to_vec())]);
        assert_eq!(peer.last_seen_seconds % 3_600, 0);
        client.say_goodbye().await.unwrap();
        node.until(&["peers"], |peers| !peers.contains(&client.local().to_string())).await;
    })
    .await;
}

#[tokio::test]
async fn publishes_and_is_delivered_to() {
    in_time(async {
        // The client adopts nobody's tree: it is to get copies unasked.
        let node = Bruit::start(NETWORK, &["--policy", "fanout"]).await;
        let mut client = connected(&node).await;
        let (mut gossip, _rpc) = client.open_lanes().await.unwrap();

        let mut subscriber = node.spawn(&["subscribe", "news", "--count", "2"]);
        gossip.wanted("news").await.unwrap();
        // The second has more than one chunk of BLAKE3, and its frame a longer prefix.
        let texts = ["from afar".to_owned(), "x".repeat(5_000)];
        let mut ids = Vec::new();
        for text in &texts {
            let item = pb::Item {
                topic: "news".into(),
                expires_at_ms: bruit::now_ms() + 60_000,
                payload: text.clone().into(),
                ..pb::Item::default()
            };
            ids.push(gossip.publish(&item).await.unwrap());
        }
        for (text, id) in texts.iter().zip(&ids) {
            let line = bruit::next_event(&mut subscriber, "item").await;
            assert_eq!(bruit::field(&line, "text"), *text);
            assert_eq!(bruit::field(&line, "item"), bruit::hex(id));
            assert_eq!(bruit::field(&line, "from"), client.local().to_string());
        }

        gossip.subscribe("news").await.unwrap();
        let local = client.local().to_string();
        node.until(&["peers"], |peers| peers.contains(&local) && peers.contains("news")).await;
        let published = node.run(&["publish", "--topic", "news", "--text", "from near"]).await;
        let received = gossip.next().await.unwrap();
        assert_eq!((received.item.topic.as_str(), &received.item.payload[..]), ("news", &b"from near"[..]));
        assert_eq!(received.round, 1);
        assert_eq!(bruit::hex(&received.id), bruit::field(&published, "item"));
    })
    .await;
}

#[tokio::test]
async fn calls_and_is_called() {
    in_time(async {
        let node = Bruit::start(NETWORK, &[]).await;
        let mut client = connected(&node).await;
        assert_eq!(ok(&client.call("echo", "alone").await.unwrap()), "alone");
        let refused = client.call("no such method", "").await.unwrap();
        assert_eq!(refused.status(), pb::RpcStatus::NoSuchMethod);

        let (_gossip, mut rpc) = client.open_lanes().await.unwrap();
        let methods = rpc.methods().await.unwrap();
        for method in ["echo", "object", "peers", "ping", "recent"] {
            assert!(methods.iter().any(|name| name == method), "{method} is not in {methods:?}");
        }
        // The answer to the second comes on the lane `bulk`.
        for payload in [Bytes::from_static(b"over lanes"), Bytes::from(vec![7; 100_000])] {
            assert_eq!(*ok(&rpc.call("echo", payload.clone()).await.unwrap()), payload);
        }

        rpc.serve_only(&["greet"]).await.unwrap();
        // What a lane carries arrives in order: after the answer to a ping, the node knows what is served.
        ok(&rpc.call("ping", "").await.unwrap());
        let local = client.local().to_string();
        let mut call = node.spawn(&["call", "greet", "--peer", &local, "--payload", "Bruit"]);
        let greet = |method: &str, payload: Bytes| {
            assert_eq!(method, "greet");
            [b"hello ", &payload[..]].concat().into()
        };
        rpc.serve_one(greet).await.unwrap();
        let answer = bruit::next_line(&mut call).await;
        assert_eq!(bruit::field(&answer, "text"), "hello Bruit");
        assert_eq!(bruit::field(&answer, "by"), local);
    })
    .await;
}

#[tokio::test]
async fn fetches_a_file() {
    in_time(async {
        let node = Bruit::start(NETWORK, &["--subscribe", "files"]).await;
        let mut client = connected(&node).await;
        // Somebody must want what is published.
        let (mut gossip, _rpc) = client.open_lanes().await.unwrap();
        gossip.subscribe("files").await.unwrap();
        let local = client.local().to_string();
        node.until(&["peers"], |peers| peers.contains(&local) && peers.contains("files")).await;

        let file: Vec<u8> = (0..80_000_u32).map(|n| (n % 251) as u8).collect();
        let path = node.write("numbers.bin", &file);
        let published = node.run(&["publish", "--topic", "files", "--file", &path]).await;

        let recent = pb::RecentRequest { topic: "files".into(), since_seconds: 0 };
        let response = client.call("recent", recent.encode_to_vec()).await.unwrap();
        let manifest_id = pb::RecentResponse::decode(&**ok(&response)).unwrap().manifest_ids;
        assert_eq!(bruit::hex(&manifest_id), bruit::field(&published, "manifest"));

        let Some(pb::object_item::Kind::Manifest(manifest)) = object(&mut client, &manifest_id, None).await else {
            panic!("no manifest");
        };
        assert_eq!(hash(&manifest.encode_to_vec()), *manifest_id);
        assert_eq!((manifest.name.as_str(), manifest.size), ("numbers.bin", 80_000));
        let mut fetched = Vec::new();
        for (index, expected) in (0..).zip(manifest.chunk_hashes.chunks(32)) {
            let Some(pb::object_item::Kind::Chunk(chunk)) = object(&mut client, &manifest_id, Some(index)).await else {
                panic!("no chunk {index}");
            };
            assert_eq!((chunk.index, chunk.count), (index, 3));
            assert_eq!(hash(&chunk.data), *expected);
            fetched.extend_from_slice(&chunk.data);
        }
        assert_eq!(fetched, file);

        let wanted = pb::ObjectRequest { manifest_id: vec![1; 32].into(), index: None };
        let absent = client.call("object", wanted.encode_to_vec()).await.unwrap();
        assert_eq!(absent.status(), pb::RpcStatus::CannotSatisfy);
    })
    .await;
}

async fn object(client: &mut Node, manifest_id: &Bytes, index: Option<u32>) -> Option<pb::object_item::Kind> {
    let request = pb::ObjectRequest { manifest_id: manifest_id.clone(), index };
    let response = client.call("object", request.encode_to_vec()).await.unwrap();
    pb::ObjectItem::decode(&**ok(&response)).unwrap().kind
}

#[tokio::test]
async fn fault_who_says_no_hello_is_not_served() {
    in_time(async {
        let node = Bruit::start(NETWORK, &[]).await;
        let mut client = Node::connect(NETWORK, node.addr()).await.unwrap();
        assert!(client.call("echo", "before hello").await.is_err());
        client.hello().await.unwrap();
        assert_eq!(ok(&client.call("echo", "after hello").await.unwrap()), "after hello");
    })
    .await;
}

#[tokio::test]
async fn fault_another_network_speaks_no_common_protocol() {
    in_time(async {
        let node = Bruit::start(NETWORK, &[]).await;
        let mut client = Node::connect("another", node.addr()).await.unwrap();
        assert!(client.hello().await.is_err());
        assert!(client.get_addr(0).await.is_err());
    })
    .await;
}
