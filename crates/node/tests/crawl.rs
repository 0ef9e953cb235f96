//! A crawl finds every node of a small network, and who has left.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use bruit::{Config, CrawlConfig, CrawlProgress, Endpoint, Handle, Node, WaitFor, crawl};

async fn start(number: u8, seed: Option<&Handle>) -> Handle {
    let config = Config {
        listen: vec![format!("/ip4/127.0.{number}.1/tcp/0").parse().unwrap()],
        seed_addrs: seed.iter().flat_map(|node| node.listen().to_vec()).collect(),
        allow_private_addrs: true,
        ..Config::default()
    };
    Node::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crawl_finds_everybody_and_who_has_left() {
    let first = start(81, None).await;
    let mut nodes = vec![first.clone()];
    for number in 82..87 {
        nodes.push(start(number, Some(&first)).await);
    }
    for node in &nodes {
        let all = WaitFor { peers: Some(nodes.len() - 1), ..WaitFor::default() };
        assert!(node.wait(&all, Duration::from_secs(30)).await.unwrap().held);
    }
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
