//! The composed behaviour: networks that form from one seed address on loopback, and what travels on them.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{collections::BTreeSet, time::Duration};

use bruit_core::{Endpoint, NetworkId, PeerId, Seed};
use bruit_gossip::{ItemId, PublishError, Topic, Verdict};
use bruit_rpc::{Method, MethodName};
use bruit_stack::{Behaviour, Config, Event, Seeds};
use libp2p_swarm::{Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt as _;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(30);

type Command = Box<dyn FnOnce(&mut Behaviour) + Send>;

struct Node {
    peer: PeerId,
    endpoint: Endpoint,
    commands: mpsc::UnboundedSender<Command>,
}

impl Node {
    fn tell(&self, command: impl FnOnce(&mut Behaviour) + Send + 'static) {
        self.commands.send(Box::new(command)).unwrap();
    }

    async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut Behaviour) -> T + Send + 'static) -> T {
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.tell(move |behaviour| {
            let _ = answer.send(question(behaviour));
        });
        answered.await.unwrap()
    }
}

fn config() -> Config {
    let mut config = Config { allow_private_addrs: true, ..Config::default() };
    config.peering.outbound_target = 4;
    config.peering.inbound_max = 12;
    config.peering.backoff_base = Duration::from_millis(50);
    config
}

/// Starts a node that runs until its handle is dropped, and gives its events to `events`.
async fn start(number: u64, config: Config, events: mpsc::UnboundedSender<(usize, Event)>) -> Node {
    let mut swarm = Swarm::new_ephemeral_tokio(|key| {
        let valid = config.validate(NetworkId::new("test").unwrap(), "test/1").unwrap();
        let chance = Seed::from_number(number);
        let book = chance.derive("book", 0);
        Behaviour::new(valid, key.public().to_peer_id(), Seeds { chance, book })
    });
    let addr = format!("/ip4/127.{}.0.1/tcp/0", number + 1);
    swarm.listen_on(addr.parse().unwrap()).unwrap();
    let endpoint = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.next_swarm_event().await {
            break Endpoint::from_multiaddr(&address).unwrap().0;
        }
    };
    let peer = *swarm.local_peer_id();
    let (commands, mut queue) = mpsc::unbounded_channel::<Command>();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                command = queue.recv() => match command {
                    Some(command) => command(swarm.behaviour_mut()),
                    None => return,
                },
                event = swarm.next_swarm_event() => {
                    if let SwarmEvent::Behaviour(event) = event {
                        let _ = events.send((usize::try_from(number).unwrap(), event));
                    }
                }
            }
        }
    });
    Node { peer, endpoint, commands }
}

async fn network(count: u64) -> (Vec<Node>, mpsc::UnboundedReceiver<(usize, Event)>) {
    let (sender, events) = mpsc::unbounded_channel();
    let mut nodes = Vec::new();
    for number in 0..count {
        nodes.push(start(number, config(), sender.clone()).await);
    }
    let seed = nodes[0].endpoint.clone();
    for node in &nodes[1..] {
        let seed = seed.clone();
        node.tell(move |behaviour| {
            behaviour.add_seed(seed, None);
        });
    }
    (nodes, events)
}

/// Waits until every node has its outbound peers, or is connected to everybody.
async fn formed(nodes: &[Node]) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut missing = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let status = node.ask(|behaviour| behaviour.status()).await;
            let all = status.outbound + status.inbound == nodes.len() - 1;
            if status.outbound < status.outbound_target && !all {
                missing.push((number, status.outbound, status.inbound, status.book_entries));
            }
        }
        if missing.is_empty() {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "no network after {PATIENCE:?}: {missing:?}");
        tokio::task::yield_now().await;
    }
}

/// Publishes as soon as gossip has links: slots are given a moment earlier.
async fn published(node: &Node, topic: Topic) -> ItemId {
    loop {
        let topic = topic.clone();
        match node.ask(move |behaviour| behaviour.publish(topic, "hello".into())).await {
            Ok(id) => return id,
            Err(error) => assert_eq!(error, PublishError::NoPeers),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_form_from_one_seed() {
    let (nodes, _events) = network(3).await;
    formed(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_nodes_form_from_one_seed_and_an_item_reaches_all() {
    let (nodes, mut events) = network(16).await;
    formed(&nodes).await;
    let topic = Topic::new("news").unwrap();
    for node in &nodes {
        let topic = topic.clone();
        node.ask(move |behaviour| behaviour.subscribe(topic).unwrap()).await;
    }
    let id = published(&nodes[3], topic).await;
    let mut reached = BTreeSet::new();
    while reached.len() < nodes.len() - 1 {
        let (number, event) = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        if let Event::Gossip(bruit_gossip::Event::Item { id: came, .. }) = event {
            assert_eq!(came, id);
            assert!(reached.insert(number), "delivered twice");
            nodes[number].tell(move |behaviour| {
                behaviour.report(id, Verdict::Accept);
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_a_banned_peer_is_disconnected_and_not_let_in_again() {
    use bruit_address_book::{Ban, BanSubject};
    let (nodes, mut events) = network(2).await;
    formed(&nodes).await;
    let banned = nodes[1].peer;
    nodes[0]
        .ask(move |behaviour| {
            let span = Duration::from_secs(600);
            behaviour.ban(Ban::by_operator(BanSubject::Peer(banned), span, behaviour.now())).unwrap();
        })
        .await;
    let mut down = false;
    while !down {
        let (number, event) = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        down = number == 0 && event == Event::PeerDown { peer: banned };
    }
    let dialled = nodes[0].endpoint.clone();
    nodes[1].ask(move |behaviour| behaviour.add_node(dialled, None)).await;
    // It comes again, and is hung up on.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let dialled = nodes[0].endpoint.clone();
        let entry = nodes[1].ask(move |behaviour| behaviour.book().entry(&dialled, behaviour.now())).await;
        if entry.is_some_and(|entry| entry.failures > 0) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "it never came again");
        tokio::task::yield_now().await;
    }
    let views = nodes[0].ask(|behaviour| behaviour.goodbyes()).await;
    assert_eq!((views[0].peer, views[0].by), (banned, "we"));
    assert_eq!(nodes[0].ask(|behaviour| behaviour.status().inbound).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_says_goodbye_to_everybody() {
    let (nodes, mut events) = network(3).await;
    formed(&nodes).await;
    nodes[1].ask(Behaviour::stop).await;
    loop {
        let (number, event) = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
        if event == Event::Drained {
            assert_eq!(number, 1);
            break;
        }
    }
    let views = nodes[0].ask(|behaviour| behaviour.goodbyes()).await;
    assert!(views.iter().any(|view| view.peer == nodes[1].peer && view.reason == "shutting down"), "{views:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_book_survives_in_records() {
    let (nodes, _events) = network(4).await;
    formed(&nodes).await;
    let records = nodes[2].ask(|behaviour| behaviour.book_changes().into_records()).await;
    let known = records.entries.len();
    assert!(known >= 1, "nothing was learned");
    let (sender, _kept) = mpsc::unbounded_channel();
    let fresh = start(9, config(), sender).await;
    let report = fresh.ask(move |behaviour| behaviour.book_restore(records)).await;
    assert_eq!(report.entries, known);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while fresh.ask(|behaviour| behaviour.status().outbound).await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "the restored book led to nobody");
        tokio::task::yield_now().await;
    }
}

#[test]
fn who_is_no_longer_named_is_no_longer_special() {
    let valid = config().validate(NetworkId::new("test").unwrap(), "test/1").unwrap();
    let seeds = Seeds { chance: Seed::from_number(1), book: Seed::from_number(2) };
    let mut behaviour = Behaviour::new(valid, PeerId::random(), seeds);
    let peer = PeerId::random();
    let [first, second] = [1, 2].map(|last| Endpoint::tcp([127, 0, 0, last].into(), 1));
    for endpoint in [&first, &second] {
        assert!(behaviour.add_node(endpoint.clone(), Some(peer)));
    }
    assert!(behaviour.remove_node(&first));
    assert!(behaviour.book().is_special(&peer), "its other address is still named");
    assert!(behaviour.remove_node(&second));
    assert!(!behaviour.book().is_special(&peer));
    assert!(!behaviour.remove_node(&second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_know_the_quality_of_a_peer_that_comes_back() {
    let (sender, _events) = mpsc::unbounded_channel();
    let asker = start(0, config(), sender.clone()).await;
    let server = start(1, config(), sender).await;
    let method = MethodName::new("ask").unwrap();
    let (served, known, seed) = (Method::new("ask").unwrap(), server.peer, server.endpoint.clone());
    server.ask(move |behaviour| behaviour.rpc().register(served).unwrap()).await;
    asker.ask(move |behaviour| behaviour.judge_peer(known, 20_000)).await;
    asker.ask(move |behaviour| behaviour.add_seed(seed, None)).await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let candidate = loop {
        let method = method.clone();
        if let [candidate] = asker.ask(move |behaviour| behaviour.rpc().explain(&method)).await[..]
            && candidate.quality != 0.5
        {
            break candidate;
        }
        assert!(tokio::time::Instant::now() < deadline, "its quality never came to requests");
        tokio::task::yield_now().await;
    };
    assert_eq!((candidate.peer, candidate.quality > 0.7), (server.peer, true));
}

/// Which of the strangers a node has heard of, as soon as it has heard of so many.
async fn heard_of(node: &Node, strangers: &[Endpoint], count: usize) -> Vec<Endpoint> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut heard = BTreeSet::new();
    loop {
        let changes = node.ask(|behaviour| behaviour.book_changes().into_records()).await;
        heard.extend(changes.entries.into_iter().map(|entry| entry.endpoint).filter(|it| strangers.contains(it)));
        if heard.len() >= count {
            return heard.into_iter().collect();
        }
        assert!(tokio::time::Instant::now() < deadline, "it heard of {} only", heard.len());
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_whom_the_operator_names_is_in_no_answer_that_was_kept() {
    let (sender, _events) = mpsc::unbounded_channel();
    let dialling = |outbound_target| {
        let mut config = config();
        (config.peering.outbound_target, config.peering.quiet_target) = (outbound_target, 0);
        config.exchange.answer_percent = 100;
        config
    };
    let server = start(0, dialling(0), sender.clone()).await;
    let strangers: Vec<Endpoint> = (1..=40).map(|last| Endpoint::tcp([127, 200, 0, last].into(), 9)).collect();
    let seeds: Vec<_> = strangers.iter().map(|endpoint| (endpoint.clone(), None)).collect();
    assert_eq!(server.ask(move |behaviour| behaviour.seeds_found(seeds)).await, 40);
    let asker = async |number| {
        let node = start(number, dialling(1), sender.clone()).await;
        let seed = server.endpoint.clone();
        node.ask(move |behaviour| behaviour.add_seed(seed, None)).await;
        node
    };
    let first = asker(1).await;
    assert_eq!(heard_of(&first, &strangers, 40).await, strangers);
    let named = strangers[7].clone();
    assert!(server.ask(move |behaviour| behaviour.add_node(named, None)).await);
    let second = asker(2).await;
    assert!(!heard_of(&second, &strangers, 39).await.contains(&strangers[7]));
}
