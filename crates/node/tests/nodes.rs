//! Whole nodes in one process, as an application holds them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

use bruit::{
    CallFailure, CallOptions, Config, Delivery, FetchWish, Handle, JudgeError, Method, MethodName, Node, Signatures,
    StorageState, TopicSettings, Typed, Verdict, WaitFor,
};
use bruit_rpc::{Refusal, StartError, Verdict as AnswerVerdict};
use bruit_wire::pb;
use bytes::Bytes;

const LIMIT: Duration = Duration::from_secs(30);

fn config(number: u8, seeds: &[&Handle]) -> Config {
    Config {
        listen: vec![format!("/ip4/127.0.{number}.1/tcp/0").parse().unwrap()],
        seed_addrs: seeds.iter().flat_map(|node| node.listen().to_vec()).collect(),
        allow_private_addrs: true,
        ..Config::default()
    }
}

async fn start(config: Config) -> Handle {
    Node::start(config).await.unwrap()
}

async fn has_peers(node: &Handle, count: usize) {
    let waited = node.wait(&WaitFor { peers: Some(count), ..WaitFor::default() }, LIMIT).await.unwrap();
    assert!(waited.held, "{:?}", waited.missing);
}

async fn has_file(node: &Handle, manifest: bruit::ManifestId) {
    let waited = node.wait(&WaitFor { files: vec![manifest], ..WaitFor::default() }, LIMIT).await.unwrap();
    assert!(waited.held, "{:?}", waited.missing);
}

/// Three nodes of which the first and the last are not connected.
async fn line(numbers: [u8; 3]) -> [Handle; 3] {
    let middle = start(config(numbers[1], &[])).await;
    let ends = [numbers[0], numbers[2]].map(|number| {
        let mut config = config(number, &[]);
        config.addnodes = middle.listen().to_vec();
        config.outbound = 0;
        config.inbound_max = 0;
        start(config)
    });
    let [first, last] = ends;
    let (first, last) = (first.await, last.await);
    has_peers(&middle, 2).await;
    [first, middle, last]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_judge_rejects_goes_no_further() {
    let [first, middle, last] = line([61, 62, 63]).await;
    let mut judge = middle.judge("news").await.unwrap();
    assert_eq!(middle.judge("news").await.unwrap_err(), JudgeError::Taken);
    let mut heard_in_the_middle = middle.subscribe("news").await.unwrap();
    let mut heard = last.subscribe("news").await.unwrap();
    first.wait_for_subscriber("news").await.unwrap();
    middle.wait_for_subscriber("news").await.unwrap();
    for text in ["bad", "dropped", "good"] {
        first.publish("news", text.into()).await.unwrap();
    }
    for _ in 0..3 {
        let item = judge.next().await.unwrap();
        assert_eq!(item.from(), first.peer_id());
        match item.payload().as_ref() {
            b"bad" => item.report(Verdict::Reject).await,
            b"good" => item.report(Verdict::Accept).await,
            _ => drop(item),
        }
    }
    for heard in [&mut heard_in_the_middle, &mut heard] {
        let Some(Delivery::Item { payload, .. }) = heard.next().await else { panic!("nothing came") };
        assert_eq!(payload, "good");
    }
    let gossip = middle.status().await.unwrap().gossip;
    assert_eq!((gossip.delivered, gossip.rejected, gossip.relayed), (3, 1, 1));
    assert_eq!(last.status().await.unwrap().gossip.hops_max, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_signs_what_its_topic_wants_signed() {
    let config = |number, seeds: &[&Handle]| {
        let mut config = config(number, seeds);
        let settings = TopicSettings { signatures: Some(Signatures::Required), ..TopicSettings::default() };
        config.topics.insert("news".to_owned(), settings);
        config
    };
    let first = start(config(171, &[])).await;
    let second = start(config(172, &[&first])).await;
    let mut heard = first.subscribe("news").await.unwrap();
    has_peers(&first, 1).await;
    second.wait_for_subscriber("news").await.unwrap();
    let id = second.publish("news", "signed".into()).await.unwrap();
    assert!(matches!(heard.next().await, Some(Delivery::Item { id: came, .. }) if came == id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_subscriber_is_told_what_it_lost() {
    let first = start(config(64, &[])).await;
    let second = start(config(65, &[&first])).await;
    let mut slow = second.subscribe("news").await.unwrap();
    let mut quick = second.subscribe("news").await.unwrap();
    first.wait_for_subscriber("news").await.unwrap();
    for number in 0..100_u8 {
        first.publish("news", vec![number].into()).await.unwrap();
        let Some(Delivery::Item { payload, .. }) = quick.next().await else { panic!("the quick one missed {number}") };
        assert_eq!(payload[..], [number]);
    }
    assert_eq!(slow.next().await, Some(Delivery::Lagged(36)));
    let Some(Delivery::Item { payload, .. }) = slow.next().await else { panic!("nothing came") };
    assert_eq!(payload[..], [36]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_some_mebibytes_spreads_and_is_fetched_by_who_came_late() {
    let [first, middle, last] = line([66, 67, 68]).await;
    first.wait_for_subscriber("files").await.unwrap();
    middle.wait_for_subscriber("files").await.unwrap();
    let file: Vec<u8> = (0..3_000_000_u32).map(|n| (n >> 8) as u8 ^ n as u8).collect();
    let published = first.publish_file("files", "large", file.clone().into()).await.unwrap();
    has_file(&last, published.manifest).await;
    let (_, chunks) = last.whole_file(published.manifest).unwrap();
    assert!(chunks.concat() == file);

    let late = start(config(69, &[&middle])).await;
    has_file(&late, published.manifest).await;
    let totals = late.status().await.unwrap().files;
    assert_eq!((totals.chunks_by_gossip, totals.chunks_by_rpc, totals.complete), (0, 92, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_who_passes_on_parts_of_a_lying_manifest_is_not_to_blame() {
    let first = start(config(73, &[])).await;
    let second = start(config(74, &[&first])).await;
    let mut heard = second.subscribe("files").await.unwrap();
    has_peers(&first, 1).await;
    first.wait_for_subscriber("files").await.unwrap();
    let object = |kind| bruit_wire::encode(&pb::ObjectItem { kind: Some(kind) });
    for number in 0..20_u8 {
        let data = [[number], [number + 100]].map(|data| Bytes::copy_from_slice(&data));
        let chunk_hashes: Vec<u8> = data.iter().flat_map(|data| *blake3::hash(data).as_bytes()).collect();
        let (chunk_hashes, sha256) = (chunk_hashes.into(), Bytes::from_static(&[7; 32]));
        let manifest = pb::Manifest { name: "lie".into(), size: 2, chunk_size: 1, chunk_hashes, sha256 };
        let id = Bytes::copy_from_slice(blake3::hash(&bruit_wire::encode(&manifest)).as_bytes());
        let chunk = |index, data| {
            object(pb::object_item::Kind::Chunk(pb::Chunk { manifest_id: id.clone(), index, count: 2, data }))
        };
        let false_one = chunk(0, Bytes::from_static(b"false"));
        let [one, other] = [chunk(0, data[0].clone()), chunk(1, data[1].clone())];
        for payload in [object(pb::object_item::Kind::Manifest(manifest)), false_one, one, other] {
            first.publish("files", payload).await.unwrap();
        }
    }
    tokio::time::timeout(LIMIT, async {
        while second.status().await.unwrap().gossip.delivered < 80 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    // Items are judged in the order in which they came.
    first.publish("files", "the end".into()).await.unwrap();
    assert!(matches!(heard.next().await, Some(Delivery::Item { payload, .. }) if payload == "the end"));
    let status = second.status().await.unwrap();
    assert_eq!((status.files.manifests, status.files.complete, status.gossip.rejected), (20, 0, 0));
    assert!(status.files.refused >= 20, "{} were refused", status.files.refused);
    assert!(second.bans().await.unwrap().is_empty());
    has_peers(&second, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_answer_is_not_taken_and_somebody_else_is_asked() {
    let [liar, asker, honest] = line([70, 71, 72]).await;
    for (node, answer) in [(&liar, "5"), (&honest, "4")] {
        let mut requests = node.serve(Method::idempotent("two plus two").unwrap()).await.unwrap();
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                requests.answer(request, Ok(answer.into())).await;
            }
        });
    }
    asker.wait_for_servers(&MethodName::new("two plus two").unwrap(), 2).await.unwrap();
    for pin in [liar.peer_id(), honest.peer_id()] {
        let options = CallOptions { pin: Some(pin), ..CallOptions::idempotent() };
        let judge = |_, payload: bytes::Bytes| if payload == "4" { Ok(4) } else { Err(AnswerVerdict::Invalid) };
        let answer = asker.call_judged("two plus two", "".into(), options, judge).await.unwrap();
        assert_eq!((answer.value, answer.from), (4, honest.peer_id()));
        assert_eq!(answer.tries, if pin == liar.peer_id() { 2 } else { 1 });
    }
    let nobody = |_, _| Err::<(), _>(AnswerVerdict::Invalid);
    let failure = asker.call_judged("two plus two", "".into(), CallOptions::idempotent(), nobody).await.unwrap_err();
    assert_eq!((failure.tries(), failure.may_have_run()), (2, true));
    let quality = |peers: Vec<bruit::PeerInfo>, id| peers.into_iter().find(|peer| peer.peer_id == id).unwrap().quality;
    let peers = asker.peers().await.unwrap();
    assert!(quality(peers.clone(), liar.peer_id()) < quality(peers, honest.peer_id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_answers_what_it_was_asked_and_is_asked_no_more() {
    let server = start(config(82, &[])).await;
    let asker = start(config(83, &[&server])).await;
    let mut requests = server.serve(Method::new("slow").unwrap()).await.unwrap();
    asker.wait_for_servers(&MethodName::new("slow").unwrap(), 1).await.unwrap();
    let call = {
        let asker = asker.clone();
        tokio::spawn(async move { asker.call("slow", "".into(), CallOptions::default()).await })
    };
    let request = requests.next().await.unwrap();
    let stopping = {
        let server = server.clone();
        tokio::spawn(async move { server.shutdown().await })
    };
    // It has told everybody that it serves nothing any more: it is stopping.
    while !asker.peers_serving("slow").await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    requests.answer(request, Ok("done".into())).await;
    assert_eq!(call.await.unwrap().unwrap().payload, "done");
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typed_call_passes_over_what_is_no_message() {
    let length: Typed<String, u64> = Typed::new("length").unwrap();
    let [liar, asker, honest] = line([79, 80, 81]).await;
    for (node, lies) in [(&liar, true), (&honest, false)] {
        let (length, mut requests) = (length.clone(), node.serve(length.method(true)).await.unwrap());
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                let answer = length.decode_request(&request.payload).map(|text| {
                    if lies { "no message".into() } else { length.encode_answer(&(text.len() as u64)).unwrap() }
                });
                requests.answer(request, answer).await;
            }
        });
    }
    asker.wait_for_servers(length.name(), 2).await.unwrap();
    let options = CallOptions { pin: Some(liar.peer_id()), ..CallOptions::idempotent() };
    let answer = asker.call_typed(&length, &"ada".to_owned(), options).await.unwrap();
    assert_eq!((answer.value, answer.from, answer.tries), (3, honest.peer_id(), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_say_what_went_wrong() {
    let first = start(config(73, &[])).await;
    let second = start(config(74, &[&first])).await;
    has_peers(&second, 1).await;
    has_peers(&first, 1).await;
    let mut requests = first.serve(Method::new("refuse").unwrap()).await.unwrap();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            requests.answer(request, Err(Refusal::cannot_satisfy("never"))).await;
        }
    });
    second.wait_for_servers(&MethodName::new("refuse").unwrap(), 1).await.unwrap();
    let failure = second.call("refuse", "".into(), CallOptions::default()).await.unwrap_err();
    assert!(failure.to_string().contains("cannot satisfy: never"), "{failure}");
    assert!(!failure.may_have_run());
    let nobody = bruit::PeerId::random();
    let failure = second.call_peer(nobody, "ping", "".into(), CallOptions::default()).await.unwrap_err();
    assert_eq!(failure, CallFailure::NotStarted(StartError::NotConnected));
    assert_eq!(first.serve(Method::new("ping").unwrap()).await.unwrap_err(), bruit::ServeError::Taken);
    let manifest = "ab".repeat(32).parse().unwrap();
    let fetched = second.fetch(&FetchWish::whole(manifest)).await;
    assert_eq!((fetched.report.calls, fetched.report.ok, fetched.report.complete), (1, 0, false));
    assert!(fetched.report.failures[0].contains("not held here"), "{:?}", fetched.report.failures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_waits_for_is_taken_back() {
    let first = start(config(75, &[])).await;
    let second = start(config(76, &[&first])).await;
    has_peers(&second, 1).await;
    let mut requests = first.serve(Method::new("slow").unwrap()).await.unwrap();
    second.wait_for_servers(&MethodName::new("slow").unwrap(), 1).await.unwrap();
    let caller = second.clone();
    let call = tokio::spawn(async move { caller.call("slow", "".into(), CallOptions::default()).await });
    let request = requests.next().await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Commands are carried out in their order: after this one the call is taken back.
    let _ = second.status().await.unwrap();
    requests.answer(request, Ok("late".into())).await;
    let status = second.status().await.unwrap();
    assert_eq!((status.rpc.calls, status.rpc.ok), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_node_answers_with_errors_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node");
    let stored = Config { data_dir: Some(path.clone()), ..config(77, &[]) };
    let node = start(stored.clone()).await;
    assert!(Node::start(stored.clone()).await.unwrap_err().to_string().contains("in use by process"));
    let mut news = node.subscribe("news").await.unwrap();
    let waiting = tokio::spawn({
        let node = node.clone();
        async move { node.stopped().await }
    });
    assert_eq!(node.shutdown().await.state, StorageState::Ok);
    assert_eq!(waiting.await.unwrap().state, StorageState::Ok);
    assert_eq!(node.shutdown().await.state, StorageState::Ok);
    assert!(node.status().await.is_err() && node.publish("news", "x".into()).await.is_err());
    drop(node.judge("news").await.unwrap_err());
    assert!(!path.join("api.sock").exists());
    let again = start(stored).await;
    assert_eq!(again.peer_id(), node.peer_id());
    drop(node);
    assert_eq!(news.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_served_where_asked_for() {
    let port = TcpListener::bind((Ipv4Addr::new(127, 0, 78, 1), 0)).unwrap().local_addr().unwrap();
    let node = start(Config { metrics: Some(port), ..config(78, &[]) }).await;
    let text = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(port).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bruit\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let text = text.await.unwrap();
    for line in
        ["200 OK", "bruit_peers{kind=\"outbound\"} 0", "bruit_rpc_calls_total 0", "bruit_storage_failed 0", "# EOF"]
    {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_a_private_network_find_each_other_and_nobody_else_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ["ours", "theirs"].map(|name| dir.path().join(name));
    for path in &keys {
        let _ = bruit::create_shared_key(path).unwrap();
    }
    let with = |number: u8, key: Option<&std::path::PathBuf>, seeds: &[&Handle]| {
        start(Config { shared_key_file: key.cloned(), ..config(number, seeds) })
    };
    let first = with(85, Some(&keys[0]), &[]).await;
    let strangers = [with(86, Some(&keys[1]), &[&first]).await, with(87, None, &[&first]).await];
    let second = with(88, Some(&keys[0]), &[&first]).await;
    has_peers(&second, 1).await;
    for stranger in &strangers {
        let waited = stranger.wait(&WaitFor { peers: Some(1), ..WaitFor::default() }, Duration::from_secs(1)).await;
        assert!(!waited.unwrap().held);
    }
    assert_eq!(first.peers().await.unwrap().iter().map(|peer| peer.peer_id).collect::<Vec<_>>(), [second.peer_id()]);
    std::fs::write(&keys[0], "no key").unwrap();
    let refused = Config { shared_key_file: Some(keys[0].clone()), ..config(89, &[]) };
    assert!(Node::start(refused).await.unwrap_err().to_string().contains("holds no key of a private network"));
}
