//! The simulator and real swarms agree: one scenario at 20 nodes, once in the simulator, once over memory transport.
//!
//! Exactly where nothing is drawn (a ring, and a fan-out of at least the degree), within three standard errors of the
//! difference where fan-out draws. A message is over when every copy that was pushed has arrived, so no clock is involved.
#![allow(missing_docs, clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test")]

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use bruit_core::{NetworkId, Seed};
use bruit_gossip::{Admission, Behaviour, Config, Policy, Topic, TopicConfig, Validation};
use bruit_sim::{
    Overlay, Sample,
    gossip::{Experiment, Origin},
};
use futures::StreamExt as _;
use libp2p::{Multiaddr, Swarm, swarm::SwarmEvent};
use libp2p_swarm_test::SwarmExt as _;

const NODES: u32 = 20;

struct Swarms {
    swarms: Vec<Swarm<Behaviour>>,
    topic: Topic,
}

impl Swarms {
    async fn new(overlay: &Overlay, policy: Policy) -> Self {
        let topic = Topic::new("agreement").unwrap();
        let topic_config = TopicConfig { policy, validation: Validation::Automatic, ..TopicConfig::default() };
        let config = Config { topics: [(topic.clone(), topic_config)].into(), ..Config::default() };
        let network = NetworkId::new("test").unwrap();
        let mut swarms = Vec::new();
        let mut addrs: Vec<Multiaddr> = Vec::new();
        for number in 0..u64::from(NODES) {
            let config = config.clone().validate().unwrap();
            let mut swarm = Swarm::new_ephemeral_tokio(|_| {
                Behaviour::new(&network, config, Seed::from_number(number), Admission::Automatic)
            });
            swarm.behaviour_mut().subscribe(topic.clone()).unwrap();
            swarm.listen_on("/memory/0".parse().unwrap()).unwrap();
            let addr = swarm
                .wait(|event| match event {
                    SwarmEvent::NewListenAddr { address, .. } => Some(address),
                    _ => None,
                })
                .await;
            addrs.push(addr);
            swarms.push(swarm);
        }
        for (from, to) in overlay.edges() {
            swarms[*from as usize].dial(addrs[*to as usize].clone()).unwrap();
        }
        let mut all = Self { swarms, topic };
        let degrees: Vec<usize> = (0..NODES).map(|node| overlay.neighbours(node).len()).collect();
        all.until(|swarms| {
            let told = |swarm: &Swarm<Behaviour>, degree: usize| {
                let topics = |peer| swarm.behaviour().topics_of(peer).is_some_and(|topics| !topics.is_empty());
                swarm.behaviour().engine().peer_count() == degree && swarm.connected_peers().all(topics)
            };
            swarms.iter().zip(&degrees).all(|(swarm, degree)| told(swarm, *degree))
        })
        .await;
        all
    }

    /// Drives all swarms until they have come to what is wanted.
    async fn until(&mut self, mut is_there: impl FnMut(&[Swarm<Behaviour>]) -> bool) {
        let mut turn = |cx: &mut Context<'_>| {
            let mut is_idle = false;
            while !is_idle {
                is_idle = true;
                for swarm in &mut self.swarms {
                    is_idle &= swarm.poll_next_unpin(cx).is_pending();
                }
            }
            if is_there(&self.swarms) { Poll::Ready(()) } else { Poll::Pending }
        };
        poll_fn(|cx| turn(cx)).await;
    }

    fn first_copies(&self) -> u64 {
        self.swarms.iter().map(|swarm| swarm.behaviour().stats().first_rounds.total()).sum()
    }

    /// Publishes once, and tells which share of all nodes had the item when the last copy had arrived.
    async fn publish(&mut self, origin: u32) -> f64 {
        let before = self.first_copies();
        let topic = self.topic.clone();
        self.swarms[origin as usize].behaviour_mut().publish(topic, vec![0; 64]).unwrap();
        self.until(|swarms| {
            let stats = || swarms.iter().map(|swarm| swarm.behaviour().stats());
            stats().map(|stats| stats.pushes).sum::<u64>() == stats().map(|stats| stats.copies_received).sum::<u64>()
        })
        .await;
        (1.0 + (self.first_copies() - before) as f64) / f64::from(NODES)
    }
}

fn sample(values: &[f64]) -> Sample {
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
    Sample { mean, deviation: variance.sqrt(), count }
}

#[tokio::test]
async fn a_ring_of_twenty_reaches_twelve_others_in_both() {
    let overlay = Overlay::ring(NODES).unwrap();
    let policy = Policy::Fanout { peers: 16, rounds: 6 };
    let simulated = Experiment::new(overlay.clone(), policy, Seed::from_number(1)).run().unwrap();
    assert_eq!(simulated.messages[0].reached, 13);
    let mut swarms = Swarms::new(&overlay, policy).await;
    for origin in [0, 7, 19] {
        assert_eq!(swarms.publish(origin).await, 13.0 / 20.0);
    }
}

#[tokio::test]
async fn a_fan_out_of_at_least_the_degree_reaches_all_in_both() {
    let overlay = Overlay::random(NODES, 4, &Seed::from_number(2)).unwrap();
    let peers = u32::try_from(overlay.degree_max()).unwrap();
    let policy = Policy::Fanout { peers, rounds: 6 };
    let simulated = Experiment::new(overlay.clone(), policy, Seed::from_number(1)).run().unwrap();
    assert_eq!(simulated.messages[0].reached, NODES);
    let mut swarms = Swarms::new(&overlay, policy).await;
    for origin in [0, 7, 19] {
        assert_eq!(swarms.publish(origin).await, 1.0);
    }
}

#[tokio::test]
async fn fan_out_two_and_four_agree_within_three_standard_errors() {
    let overlay = Overlay::random(NODES, 4, &Seed::from_number(3)).unwrap();
    for peers in [2, 4] {
        let policy = Policy::Fanout { peers, rounds: 6 };
        let mut scenario = Experiment::new(overlay.clone(), policy, Seed::from_number(4));
        scenario.messages = 200;
        scenario.origin = Origin::Node(5);
        let simulated = scenario.run().unwrap().coverage();

        let mut swarms = Swarms::new(&overlay, policy).await;
        let mut coverages = Vec::new();
        for _ in 0..200 {
            coverages.push(swarms.publish(5).await);
        }
        let real = sample(&coverages);
        let error = simulated.error().hypot(real.error());
        assert!(
            (simulated.mean - real.mean).abs() <= 3.0 * error,
            "fan-out {peers}: simulated {} ± {}, real {} ± {}",
            simulated.mean,
            simulated.error(),
            real.mean,
            real.error()
        );
        assert!(real.mean < 1.0, "with fan-out {peers} some are missed, or nothing was drawn");
        let pushes = swarms.swarms.iter().map(|swarm| swarm.behaviour().stats().pushes_per_item_max).max();
        assert!(pushes <= Some(u64::from(peers)), "{pushes:?} pushes of one item");
    }
}
