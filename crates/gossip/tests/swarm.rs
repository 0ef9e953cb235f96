//! Swarms over memory transport: are links and frames translated right? What follows from them is the engine's tests' matter.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests")]

use std::{collections::BTreeMap, fmt::Debug, future::poll_fn, task::Context, task::Poll, time::Duration};

use bruit_gossip::{
    Admission, Behaviour, Bytes, Carry, Conduct, Config, Event, ItemId, Keypair, Moment, NetworkId, PeerId, Policy,
    Precheck, PublishError, Refusal, Reported, Sealer, Seed, Signatures, Topic, TopicConfig, Verdict,
};
use bruit_link::{Frame, Links, Protocol, Push};
use bruit_wire::pb;
use futures::StreamExt;
use libp2p_swarm::{NetworkBehaviour, StreamProtocol, Swarm, SwarmEvent};
use libp2p_swarm_test::SwarmExt;

fn network() -> NetworkId {
    NetworkId::new("test").unwrap()
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

fn config() -> Config {
    let base = TopicConfig { policy: Policy::Fanout { peers: 4, rounds: 6 }, ..TopicConfig::default() };
    let club = TopicConfig { carry: Carry::Subscribers, ..base };
    Config { topics: BTreeMap::from([(topic("news"), base), (topic("club"), club)]), ..Config::default() }
}

/// A swarm and what it told.
struct Node<B: NetworkBehaviour> {
    swarm: Swarm<B>,
    events: Vec<B::ToSwarm>,
    closed: usize,
}

type Peer = Node<Behaviour>;

impl<B: NetworkBehaviour<ToSwarm: Debug> + Send> Node<B> {
    async fn of(behaviour: B) -> Self {
        let mut swarm = Swarm::new_ephemeral_tokio(|_| behaviour);
        swarm.listen().with_memory_addr_external().await;
        Self { swarm, events: Vec::new(), closed: 0 }
    }

    fn id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_moved = false;
        while let Poll::Ready(Some(event)) = self.swarm.poll_next_unpin(cx) {
            has_moved = true;
            match event {
                SwarmEvent::Behaviour(event) => self.events.push(event),
                SwarmEvent::ConnectionClosed { .. } => self.closed += 1,
                _ => {}
            }
        }
        has_moved
    }
}

impl Peer {
    async fn new(number: u64, config: Config) -> Self {
        let config = config.validate().unwrap();
        Self::of(Behaviour::new(&network(), config, Seed::from_number(number), Admission::Automatic)).await
    }

    async fn subscribed(number: u64, name: &str) -> Self {
        let mut node = Self::new(number, config()).await;
        node.gossip().subscribe(topic(name)).unwrap();
        node
    }

    fn gossip(&mut self) -> &mut Behaviour {
        self.swarm.behaviour_mut()
    }

    fn peer_count(&self) -> usize {
        self.swarm.behaviour().engine().peer_count()
    }

    fn item_ids(&self) -> Vec<ItemId> {
        let id = |event: &Event<PeerId>| match event {
            Event::Item { id, .. } => Some(*id),
            _ => None,
        };
        self.events.iter().filter_map(id).collect()
    }

    fn has(&self, event: &Event<PeerId>) -> bool {
        self.events.contains(event)
    }
}

/// Runs swarms until something holds.
macro_rules! until {
    ([$($node:ident),+], $holds:expr) => {{
        let run = poll_fn(|cx| {
            loop {
                let has_moved = [$($node.poll(cx)),+].contains(&true);
                if $holds {
                    return Poll::Ready(());
                }
                if !has_moved {
                    return Poll::Pending;
                }
            }
        });
        let outcome = tokio::time::timeout(Duration::from_secs(30), run).await;
        assert!(outcome.is_ok(), "never: {}", stringify!($holds));
    }};
}

/// Another implementation on the same links, which may say anything.
async fn stranger() -> Node<bruit_link::Behaviour> {
    let name = StreamProtocol::try_from_owned(network().protocol_name("gossip", 1)).unwrap();
    let settings = bruit_link::Config { keep_alive: true, ..bruit_link::Config::default() };
    let protocol = Protocol { names: vec![name], lanes: 2 };
    let links = Links::new(protocol, settings.validate().unwrap(), Admission::Automatic);
    Node::of(bruit_link::Behaviour::new(links)).await
}

fn say(stranger: &mut Node<bruit_link::Behaviour>, to: PeerId, lane: u32, frame: Bytes) {
    let behaviour = stranger.swarm.behaviour_mut();
    let slot = behaviour.links.slot(&to).unwrap();
    assert_eq!(behaviour.push(slot, Frame::new(lane, frame)), Push::Queued);
}

#[tokio::test]
async fn what_one_publishes_the_other_is_delivered() {
    let mut a = Peer::new(1, config()).await;
    let mut b = Peer::subscribed(2, "news").await;
    assert_eq!(a.gossip().publish(topic("news"), "too early"), Err(PublishError::NoPeers));
    a.swarm.connect(&mut b.swarm).await;
    let wanted = Event::PeerSubscribed { peer: b.id(), topic: topic("news") };
    until!([a, b], a.has(&wanted));
    assert_eq!(a.gossip().topics_of(&b.id()).map(|topics| topics.contains("news")), Some(true));

    let sizes = [0, 1, 5_000, 196_608];
    let ids = sizes.map(|size| a.gossip().publish(topic("news"), vec![7; size]).unwrap());
    until!([a, b], b.item_ids().len() == sizes.len());
    assert_eq!(b.item_ids(), ids);
    for (event, size) in b.events.iter().zip(sizes) {
        let Event::Item { from, topic: of, payload, round, author, deadline, .. } = event else { panic!("{event:?}") };
        assert_eq!((*from, of, payload.len(), *round, *author), (a.id(), &topic("news"), size, 1, None));
        assert!(deadline.unwrap() > b.swarm.behaviour().clock().now());
    }
    for id in ids {
        assert_eq!(b.gossip().report(id, Verdict::Accept), Reported::Relayed);
    }
    let praise = Event::Conduct { peer: a.id(), conduct: Conduct::DeliveredFirst };
    until!([a, b], b.events.iter().filter(|event| **event == praise).count() == sizes.len());
    assert_eq!((a.gossip().stats().published, b.gossip().stats().first_rounds.on(1)), (4, 4));
    assert_eq!(a.events, [wanted]);
}

#[tokio::test]
async fn who_has_a_key_signs_what_its_topic_wants_signed() {
    let mut config = config();
    config.topics.values_mut().for_each(|topic| topic.signatures = Signatures::Required);
    let mut a = Peer::new(1, config.clone()).await;
    let mut b = Peer::new(2, config).await;
    b.gossip().subscribe(topic("news")).unwrap();
    a.swarm.connect(&mut b.swarm).await;
    until!([a, b], a.gossip().topics_of(&b.id()).is_some_and(|topics| !topics.is_empty()));
    assert_eq!(a.gossip().publish(topic("news"), "by nobody"), Err(PublishError::Unsigned));
    let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
    a.gossip().sign_as(key.clone());
    let id = a.gossip().publish(topic("news"), "by a").unwrap();
    until!([a, b], b.item_ids() == [id]);
    let author = Some(key.public().to_peer_id());
    assert!(b.events.iter().any(|event| matches!(event, Event::Item { author: by, .. } if *by == author)));
}

#[tokio::test]
async fn a_rejected_item_does_not_travel_on_and_an_accepted_one_does() {
    let mut a = Peer::subscribed(1, "news").await;
    let mut b = Peer::subscribed(2, "news").await;
    let mut c = Peer::subscribed(3, "news").await;
    a.swarm.connect(&mut b.swarm).await;
    c.swarm.connect(&mut b.swarm).await;
    until!([a, b, c], a.peer_count() == 1 && b.peer_count() == 2 && c.peer_count() == 1);

    let [bad, good] = ["bad", "good"].map(|payload| a.gossip().publish(topic("news"), payload).unwrap());
    until!([a, b, c], b.item_ids().len() == 2);
    assert_eq!(b.gossip().report(bad, Verdict::Reject), Reported::Rejected);
    assert_eq!(b.gossip().report(good, Verdict::Accept), Reported::Relayed);
    // Frames of a lane keep their order: had the bad one been sent, it would come first.
    until!([a, b, c], !c.item_ids().is_empty());
    assert_eq!(c.item_ids(), [good]);
    let rounds = |event: &Event<PeerId>| match event {
        Event::Item { round, from, .. } => Some((*round, *from)),
        _ => None,
    };
    assert_eq!(c.events.iter().find_map(rounds), Some((2, b.id())));
    assert!(b.has(&Event::Conduct { peer: a.id(), conduct: Conduct::DeliveredInvalid }));
}

#[tokio::test]
async fn items_for_subscribers_wait_for_one() {
    let mut a = Peer::new(1, config()).await;
    let mut b = Peer::new(2, config()).await;
    let mut c = Peer::subscribed(3, "news").await;
    a.swarm.connect(&mut b.swarm).await;
    a.swarm.connect(&mut c.swarm).await;
    let other = Event::PeerSubscribed { peer: c.id(), topic: topic("news") };
    until!([a, b, c], a.peer_count() == 2 && a.has(&other));
    assert_eq!(a.gossip().publish(topic("club"), "nobody"), Err(PublishError::NoPeers));

    b.gossip().subscribe(topic("club")).unwrap();
    until!([a, b, c], a.has(&Event::PeerSubscribed { peer: b.id(), topic: topic("club") }));
    let id = a.gossip().publish(topic("club"), "member").unwrap();
    until!([a, b, c], b.item_ids() == [id]);
    assert_eq!(a.gossip().stats().pushes, 1);

    b.gossip().unsubscribe(&topic("club"));
    until!([a, b, c], a.has(&Event::PeerUnsubscribed { peer: b.id(), topic: topic("club") }));
    assert_eq!(a.gossip().publish(topic("club"), "gone"), Err(PublishError::NoPeers));
    assert_eq!(c.item_ids(), []);
}

#[tokio::test]
async fn a_slow_application_slows_its_peers_down_and_loses_nothing() {
    const COUNT: usize = 6_000;
    let mut a = Peer::new(1, config()).await;
    let mut slow = Peer::subscribed(2, "news").await;
    let mut fast = Peer::subscribed(3, "news").await;
    for node in [&mut slow, &mut fast] {
        a.swarm.connect(&mut node.swarm).await;
    }
    until!([a, slow, fast], a.events.len() == 2);
    let ids: Vec<ItemId> =
        (0..COUNT).map(|n| a.gossip().publish(topic("news"), n.to_le_bytes().to_vec()).unwrap()).collect();

    // While `fast` judges all, `slow` judges nothing: were it still read, more would come than one peer has room for.
    until!([a, slow, fast], judge_from(&mut fast, 0) == COUNT && slow.item_ids().len() > 1_024);
    let mut judged = 0;
    while judged < COUNT {
        until!([a, slow], slow.item_ids().len() > judged);
        judged = judge_from(&mut slow, judged);
    }
    assert_eq!(slow.item_ids(), ids);
    assert_eq!(slow.gossip().stats().refused, 0);
}

/// Judges all items from a position on, and says how many there are.
fn judge_from(node: &mut Peer, position: usize) -> usize {
    let ids = node.item_ids();
    ids[position..].iter().for_each(|id| _ = node.gossip().report(*id, Verdict::Ignore));
    ids.len()
}

#[tokio::test]
async fn fault_frozen_peer_does_not_stall_publish() {
    let small = Config { outbox_bytes_max: 300_000, ..config() };
    let mut a = Peer::new(1, small).await;
    let mut awake = Peer::subscribed(2, "news").await;
    let mut frozen = Peer::subscribed(3, "news").await;
    a.swarm.connect(&mut awake.swarm).await;
    a.swarm.connect(&mut frozen.swarm).await;
    until!(
        [a, awake, frozen],
        a.gossip().topics_of(&awake.id()).is_some_and(|topics| topics.len() == 1)
            && a.gossip().topics_of(&frozen.id()).is_some_and(|topics| topics.len() == 1)
    );

    // `frozen` is not run any more: what its link, the multiplexer and the transport hold fills up, then its outbox.
    let mut ids = Vec::new();
    let refusal = |node: &Peer| node.events.iter().any(|event| matches!(event, Event::FrameRefused { .. }));
    while !refusal(&a) {
        ids.push(a.gossip().publish(topic("news"), vec![1; 50_000]).unwrap());
        until!([a, awake], awake.item_ids().len() == ids.len());
        assert!(ids.len() < 1_000, "the outbox never fills");
    }
    for _ in 0..20 {
        ids.push(a.gossip().publish(topic("news"), vec![1; 50_000]).unwrap());
        until!([a, awake], awake.item_ids().len() == ids.len());
    }
    assert_eq!(awake.item_ids(), ids);
    let refused: Vec<&Event<PeerId>> =
        a.events.iter().filter(|event| matches!(event, Event::FrameRefused { .. })).collect();
    assert_eq!(refused.len(), 21);
    for (event, id) in refused.into_iter().zip(&ids[ids.len() - 21..]) {
        assert_eq!(event, &Event::FrameRefused { peer: frozen.id(), id: *id });
    }

    // It comes back, and what had been taken for it is there.
    until!([a, awake, frozen], frozen.item_ids().len() == ids.len() - 21);
    assert_eq!((a.closed, frozen.closed), (0, 0));
}

#[tokio::test]
async fn fault_id_mismatch() {
    let mut node = Peer::subscribed(1, "news").await;
    let mut liar = stranger().await;
    liar.swarm.connect(&mut node.swarm).await;
    let id = node.id();
    until!([node, liar], node.peer_count() == 1 && liar.swarm.behaviour().links.slot(&id).is_some());

    let now = node.swarm.behaviour().clock().now();
    let item = |payload: &'static str| bruit_gossip::Item {
        topic: topic("news"),
        author: None,
        nonce: 1,
        expires_at: now.after(Duration::from_secs(60)),
        payload: Bytes::from(payload),
    };
    let [honest, false_one] =
        ["true", "false"].map(|payload| Sealer::new(&network()).seal(item(payload), Moment { now, wall: now }));
    let frame = |body: &Bytes| {
        let id = Bytes::copy_from_slice(honest.id().as_bytes());
        bruit_wire::frame(&pb::ItemFrame { id, round: 1, body: body.clone(), ..Default::default() })
    };
    say(&mut liar, id, 1, frame(false_one.body()));
    let blame = Event::Conduct { peer: liar.id(), conduct: Conduct::BrokeProtocol };
    until!([node, liar], node.has(&blame));
    assert!(!node.gossip().engine().is_known(&honest.id()));
    assert_eq!(node.gossip().stats().mismatches, 1);

    say(&mut liar, id, 1, frame(honest.body()));
    until!([node, liar], !node.item_ids().is_empty());
    assert_eq!(node.item_ids(), [honest.id()]);
    // A known id is not checked again: the false body is a duplicate, and changes nothing.
    say(&mut liar, id, 1, frame(false_one.body()));
    until!([node, liar], node.gossip().stats().duplicates == 1);
    assert_eq!(node.events.len(), 2, "{:?}", node.events);
}

#[tokio::test]
async fn the_application_may_refuse_copies_before_they_are_hashed() {
    let mut node = Peer::subscribed(1, "news").await;
    node.gossip().set_precheck(|glance| match (glance.topic.as_str(), glance.payload.first(), glance.payload.len()) {
        ("news", Some(b'+'), 1..=100) => Precheck::Pass,
        ("news", Some(b'-'), _) => Precheck::Blame,
        _ => Precheck::Refuse,
    });
    let mut stranger = stranger().await;
    stranger.swarm.connect(&mut node.swarm).await;
    let (id, peer) = (node.id(), stranger.id());
    until!([node, stranger], node.peer_count() == 1 && stranger.swarm.behaviour().links.slot(&id).is_some());
    let now = node.swarm.behaviour().clock().now();
    let expires_at = now.after(Duration::from_secs(60));
    let item = |payload: Vec<u8>| {
        let item =
            bruit_gossip::Item { topic: topic("news"), author: None, nonce: 1, expires_at, payload: payload.into() };
        Sealer::new(&network()).seal(item, Moment { now, wall: now })
    };
    let frame = |id: ItemId, body: &Bytes| {
        let id = Bytes::copy_from_slice(id.as_bytes());
        bruit_wire::frame(&pb::ItemFrame { id, round: 1, body: body.clone(), ..Default::default() })
    };
    let [small, large, bad] = [vec![b'+'; 100], vec![b'+'; 101], vec![b'-']].map(item);
    // Their ids are not even those of their bodies: nobody looked.
    let [large_id, bad_id] = [[1; 32], [2; 32]].map(ItemId::new);
    say(&mut stranger, id, 1, frame(large_id, large.body()));
    say(&mut stranger, id, 1, frame(bad_id, bad.body()));
    say(&mut stranger, id, 1, frame(small.id(), small.body()));
    until!([node, stranger], node.item_ids() == [small.id()]);
    let refused = |id| Event::Refused { peer, id, refusal: Refusal::Precheck };
    let blame = Event::Conduct { peer, conduct: Conduct::DeliveredInvalid };
    assert_eq!(node.events[..3], [refused(large_id), blame, refused(bad_id)]);
    assert_eq!((node.gossip().stats().mismatches, node.gossip().stats().refused), (0, 2));
}

#[tokio::test]
async fn fault_garbage_frames() {
    let mut node = Peer::subscribed(1, "news").await;
    let mut friend = Peer::new(2, config()).await;
    let mut garbler = stranger().await;
    garbler.swarm.connect(&mut node.swarm).await;
    friend.swarm.connect(&mut node.swarm).await;
    let id = node.id();
    until!(
        [node, garbler, friend],
        node.peer_count() == 2 && friend.peer_count() == 1 && garbler.swarm.behaviour().links.slot(&id).is_some()
    );

    let garbage: [&[u8]; 3] = [&[0x03, 0xff, 0xff, 0xff], &[0x02, 0x0a, 0x20], &[0x00]];
    for lane in [0, 1] {
        garbage.iter().for_each(|frame| say(&mut garbler, id, lane, Bytes::copy_from_slice(frame)));
    }
    let forged = pb::ItemFrame { id: vec![1; 32].into(), ..Default::default() };
    say(&mut garbler, id, 1, bruit_wire::frame(&forged));
    let too_many = pb::GossipControl { subscribe: vec!["x".into(); 129], ..Default::default() };
    say(&mut garbler, id, 0, bruit_wire::frame(&too_many));
    // On `control` an empty frame says nothing and is well-formed.
    until!([node, garbler, friend], node.gossip().stats().malformed == 6 && node.gossip().stats().mismatches == 1);

    let sent = friend.gossip().publish(topic("news"), "fine").unwrap();
    until!([node, garbler, friend], node.item_ids() == [sent]);
    let blame = Event::Conduct { peer: garbler.id(), conduct: Conduct::BrokeProtocol };
    assert_eq!(node.events.iter().filter(|event| **event == blame).count(), 7);
    assert_eq!((node.peer_count(), node.closed), (2, 0));
}

#[tokio::test]
async fn only_admitted_peers_take_part_when_the_owner_decides() {
    let owner = Behaviour::new(&network(), config().validate().unwrap(), Seed::from_number(1), Admission::ByOwner);
    let mut a: Peer = Node::of(owner).await;
    let mut b = Peer::subscribed(2, "news").await;
    let mut c = Peer::subscribed(3, "news").await;
    a.swarm.connect(&mut b.swarm).await;
    a.swarm.connect(&mut c.swarm).await;
    a.gossip().set_keep_alive(b.id(), true);
    a.gossip().admit(b.id());
    until!([a, b, c], a.has(&Event::PeerSubscribed { peer: b.id(), topic: topic("news") }));
    let id = a.gossip().publish(topic("news"), "chosen").unwrap();
    until!([a, b, c], b.item_ids() == [id]);
    assert_eq!((a.peer_count(), a.gossip().stats().pushes), (1, 1));
    assert_eq!(a.gossip().topics_of(&c.id()), None);

    a.gossip().dismiss(b.id());
    until!([a, b, c], a.peer_count() == 0);
    assert_eq!(a.gossip().publish(topic("news"), "nobody"), Err(PublishError::NoPeers));
    assert!(!a.events.iter().any(|event| matches!(event, Event::Refused { refusal: Refusal::StalePeer, .. })));
}
