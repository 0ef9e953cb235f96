//! Items that depend on others: nodes of one process, real sockets.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{collections::BTreeSet, time::Duration};

use bruit::{Config, Delivery, Handle, ItemId, Judge, Node, Verdict, WaitFor, object_id};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);
const TOPIC: &str = "chain";

fn config(number: u8, seeds: &[&Handle]) -> Config {
    let mut config = Config {
        listen: vec![format!("/ip4/127.0.{number}.1/tcp/0").parse().unwrap()],
        seed_addrs: seeds.iter().flat_map(|node| node.listen().to_vec()).collect(),
        allow_private_addrs: true,
        ..Config::default()
    };
    config.files.try_timeout_ms = 300;
    // By trees a newcomer would hear of the last ones of the chain by their ids.
    config.policy = Some("fanout".parse().unwrap());
    config
}

async fn has_peers(node: &Handle, count: usize) {
    let waited = node.wait(&WaitFor { peers: Some(count), ..WaitFor::default() }, LIMIT).await.unwrap();
    assert!(waited.held, "{:?}", waited.missing);
}

/// An object that depends on another; the first depends on none.
fn object(number: u8, parent: Option<ItemId>) -> Vec<u8> {
    let mut payload = vec![number];
    payload.extend(parent.iter().flat_map(|id| *id.as_bytes()));
    payload
}

/// Accepts what depends on nothing or on what was accepted, and holds all else.
async fn judge_chain(mut judge: Judge) {
    let mut accepted = BTreeSet::new();
    while let Some(item) = judge.next().await {
        let parent = item.payload().get(1..33).map(|id| ItemId::new(id.try_into().unwrap()));
        match parent {
            Some(parent) if !accepted.contains(&parent) => item.report(Verdict::Hold { missing: vec![parent] }).await,
            Some(_) | None => {
                accepted.insert(object_id(item.payload()));
                item.report(Verdict::Accept).await;
            }
        }
    }
}

async fn start(config: Config) -> Handle {
    let node = Node::start(config).await.unwrap();
    tokio::spawn(judge_chain(node.judge(TOPIC).await.unwrap()));
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_twenty_objects_whose_pushes_were_lost_is_fetched_from_who_knows_it() {
    let first = start(config(151, &[])).await;
    let other = start(config(152, &[&first])).await;
    has_peers(&first, 1).await;
    first.wait_for_subscriber(TOPIC).await.unwrap();
    let mut parent = None;
    for number in 0..20 {
        let payload = object(number, parent);
        parent = Some(object_id(&payload));
        first.publish(TOPIC, payload.into()).await.unwrap();
    }

    // It was not there for any of them.
    let late = Node::start(config(153, &[&first])).await.unwrap();
    let mut news = late.subscribe(TOPIC).await.unwrap();
    tokio::spawn(judge_chain(late.judge(TOPIC).await.unwrap()));
    has_peers(&late, 1).await;
    has_peers(&first, 2).await;
    let last = object(20, parent);
    timeout(LIMIT, async {
        // It takes part as soon as the first node has heard of its subscription.
        while first.peers().await.unwrap().iter().any(|peer| peer.subscriptions.is_empty()) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    first.publish(TOPIC, last.into()).await.unwrap();

    let mut came = Vec::new();
    timeout(LIMIT, async {
        while came.len() < 21 {
            if let Some(Delivery::Item { payload, .. }) = news.next().await {
                came.push(payload[0]);
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(came, (0..=20).collect::<Vec<u8>>(), "each after what it depends on, and once");
    let counts = late.status().await.unwrap().gossip;
    assert_eq!((counts.withheld, counts.withheld_overdue), (1, 0));
    for node in [first, other, late] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_a_peer_that_withholds_what_its_items_depend_on_is_dropped_and_blamed_and_others_go_on() {
    let mut config_of = config(154, &[]);
    config_of.gossip.hold_timeout = Duration::from_secs(1);
    let node = Node::start(config_of).await.unwrap();
    let mut news = node.subscribe(TOPIC).await.unwrap();
    tokio::spawn(judge_chain(node.judge(TOPIC).await.unwrap()));
    let [liar, honest] = [Node::start(config(155, &[&node])).await.unwrap(), start(config(156, &[&node])).await];
    has_peers(&node, 2).await;
    for peer in [&liar, &honest] {
        peer.wait_for_subscriber(TOPIC).await.unwrap();
    }
    for number in 0..30 {
        liar.publish(TOPIC, object(number, Some(object_id(b"nobody has it"))).into()).await.unwrap();
    }
    let good = object(100, None);
    honest.publish(TOPIC, good.clone().into()).await.unwrap();
    honest.publish(TOPIC, object(101, Some(object_id(&good))).into()).await.unwrap();
    let mut came = Vec::new();
    timeout(LIMIT, async {
        while came.len() < 2 {
            if let Some(Delivery::Item { payload, .. }) = news.next().await {
                came.push(payload[0]);
            }
        }
        loop {
            let counts = node.status().await.unwrap().gossip;
            if counts.withheld > 0 && counts.withheld_overdue >= 30 {
                break;
            }
            tokio::task::yield_now().await;
        }
        let quality = |peers: &[bruit::PeerInfo], of: &Handle| {
            peers.iter().find(|peer| peer.peer_id == of.peer_id()).map(|peer| peer.quality)
        };
        loop {
            let peers = node.peers().await.unwrap();
            if let (Some(liar), Some(honest)) = (quality(&peers, &liar), quality(&peers, &honest))
                && liar < honest
                && liar < 0
            {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(came, [100, 101]);
    for node in [node, liar, honest] {
        node.shutdown().await;
    }
}
