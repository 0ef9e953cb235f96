//! A crawl finds every node of a small network, and who has left.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{ops::Range, time::Duration};

use bruit::{Config, CrawlConfig, CrawlProgress, Endpoint, Handle, Node, WaitFor, crawl};

async fn start(number: u8, seed: Option<&Handle>, config: Config) -> Handle {
    let config = Config {
        listen: vec![format!("/ip4/127.0.{number}.1/tcp/0").parse().unwrap()],
        seed_addrs: seed.iter().flat_map(|node| node.listen().to_vec()).collect(),
        allow_private_addrs: true,
        ..config
    };
    Node::start(config).await.unwrap()
}

/// Nodes of which each is connected to all others.
async fn connected(mut numbers: Range<u8>) -> Vec<Handle> {
    let mut nodes = vec![start(numbers.next().unwrap(), None, Config::default()).await];
    for number in numbers {
        nodes.push(start(number, nodes.first(), Config::default()).await);
    }
    for node in &nodes {
        let all = WaitFor { peers: Some(nodes.len() - 1), ..WaitFor::default() };
        assert!(node.wait(&all, Duration::from_secs(30)).await.unwrap().held);
    }
    nodes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crawl_finds_everybody_and_who_has_left() {
    let mut nodes = connected(81..87).await;
    let first = nodes[0].clone();
    let gone = nodes.pop().unwrap();
    let gone_id = gone.peer_id();
    gone.shutdown().await;

    let config = CrawlConfig { allow_private_addrs: true, ..CrawlConfig::new("bruit".parse().unwrap()) };
    let start = Endpoint::from_multiaddr(&first.listen()[0]).unwrap();
    let mut last = CrawlProgress::default();
    let found = crawl(config, vec![start], |progress| last = progress).await.unwrap();
    assert_eq!((found.nodes_known, found.nodes_online), (6, 5), "{found:?}");
    let offline: Vec<_> = found.nodes.iter().filter(|node| !node.online).map(|node| node.peer_id).collect();
    assert_eq!(offline, [gone_id]);
    assert!(found.edges >= 5 && found.edges == found.links.len(), "{found:?}");
    assert_eq!((last.online, last.done), (5, last.known), "{last:?}");
    assert_eq!(found.to_gexf().matches("<node id=").count(), 6);
    assert_eq!(found.to_gexf().matches("<edge id=").count(), found.edges);
    assert_eq!(found.to_dot().matches("label=").count(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_dead_address_and_several_living_ones_is_online() {
    let first = start(91, None, Config::default()).await;
    let config = CrawlConfig { allow_private_addrs: true, ..CrawlConfig::new("bruit".parse().unwrap()) };
    let (living, peer) = Endpoint::from_multiaddr(&first.listen()[0]).unwrap();
    let peer = peer.or(Some(first.peer_id()));
    let dead = Endpoint::tcp([127, 0, 91, 2].into(), 9);
    let starts = vec![(dead, peer), (living.clone(), peer), (living, None)];
    let mut last = CrawlProgress::default();
    let found = crawl(config, starts, |progress| last = progress).await.unwrap();
    assert_eq!((found.nodes_known, found.nodes_online), (1, 1), "{found:?}");
    assert_eq!((last.done, last.known), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_network_is_crawled_with_its_key_and_not_without() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("shared.key");
    let key = bruit::create_shared_key(&file).unwrap();
    let node = start(92, None, Config { shared_key_file: Some(file), ..Config::default() }).await;
    let usual = CrawlConfig { allow_private_addrs: true, ..CrawlConfig::new("bruit".parse().unwrap()) };
    let start = Endpoint::from_multiaddr(&node.listen()[0]).unwrap();
    let with_key = CrawlConfig { shared_key: Some(key), ..usual.clone() };
    assert_eq!(crawl(with_key, vec![start.clone()], |_| {}).await.unwrap().nodes_online, 1);
    assert_eq!(crawl(usual, vec![start], |_| {}).await.unwrap().nodes_online, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crawl_keeps_no_more_nodes_and_edges_than_it_may() {
    let nodes = connected(93..97).await;
    let config = CrawlConfig { allow_private_addrs: true, ..CrawlConfig::new("bruit".parse().unwrap()) };
    let start = Endpoint::from_multiaddr(&nodes[0].listen()[0]).unwrap();
    let few_nodes = CrawlConfig { nodes_max: 2, ..config.clone() };
    let found = crawl(few_nodes, vec![start.clone()], |_| {}).await.unwrap();
    assert_eq!(found.nodes_known, 2);
    let few_edges = CrawlConfig { edges_max: 1, ..config };
    let found = crawl(few_edges, vec![start], |_| {}).await.unwrap();
    assert_eq!((found.nodes_online, found.edges), (4, 1));
}
