use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Seed, Timestamp};
use bruit_gossip::{Config, ConfigError, ItemId, Policy, Rounds, Topic, TopicConfig, Validation};
use bytes::Bytes;
use rand::RngExt;

use crate::{
    Links, Measures, Overlay, Spread,
    world::{Rules, World},
};

/// When every simulation starts: 1 January 2026.
const START: Timestamp = Timestamp::from_secs(1_767_225_600);

/// For how long after the last publishing a run goes on at most.
const TAIL: Duration = Duration::from_secs(60);

/// A network, what it carries, and the chance that decides the rest.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Who is connected to whom.
    pub overlay: Overlay,
    /// How links carry frames.
    pub links: Links,
    /// How items spread; `validation` is the verdict of `verdict_delay` or none.
    pub topic: TopicConfig,
    /// Who subscribes.
    pub subscribers: Subscribers,
    /// How many messages are published.
    pub messages: usize,
    /// Who publishes them.
    pub origin: Origin,
    /// The time between two of them.
    pub interval: Duration,
    /// How large each is, in bytes.
    pub payload_bytes: usize,
    /// How long an application takes to accept an item. Zero: within the same moment.
    pub verdict_delay: Duration,
    /// What everything drawn follows from, but for the overlay.
    pub seed: Seed,
}

/// Who subscribes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribers {
    /// Every node.
    Everybody,
    /// No node: they carry, if the topic is carried by everybody.
    Nobody,
    /// These.
    Nodes(Vec<u32>),
}

/// Who publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// For each message a node drawn by chance.
    Random,
    /// Always this one.
    Node(u32),
}

/// A scenario that cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScenarioError {
    /// The settings of gossip are not valid.
    #[error(transparent)]
    Gossip(#[from] ConfigError),
    /// The loss is no share.
    #[error("loss is {0}, but must be from 0 to 1")]
    Loss(f64),
    /// A node is named that does not exist.
    #[error("there is no node {0}")]
    NoSuchNode(u32),
}

impl Scenario {
    /// Makes a scenario of one message from a random node, with 30 ms links and automatic acceptance by everybody.
    pub fn new(overlay: Overlay, policy: Policy, seed: Seed) -> Self {
        Self {
            overlay,
            links: Links::default(),
            topic: TopicConfig { policy, validation: Validation::Automatic, ..TopicConfig::default() },
            subscribers: Subscribers::Everybody,
            messages: 1,
            origin: Origin::Random,
            interval: Duration::from_secs(1),
            payload_bytes: 64,
            verdict_delay: Duration::ZERO,
            seed,
        }
    }

    /// Runs it. The result depends on nothing but the scenario.
    pub fn run(&self) -> Result<Measures, ScenarioError> {
        let topic = scenario_topic();
        let rules = self.rules(&topic)?;
        let nodes = self.overlay.nodes();
        let mut world = World::new(&self.overlay, &rules, &self.seed, START);
        match &self.subscribers {
            Subscribers::Everybody => (0..nodes).for_each(|node| world.subscribe(node, &topic)),
            Subscribers::Nobody => {}
            Subscribers::Nodes(chosen) => chosen.iter().for_each(|node| world.subscribe(*node, &topic)),
        }
        let mut rng = self.seed.derive("origins", 0).rng();
        let settled = START.after(self.links.latency.longest().saturating_mul(2));
        world.run_until(settled);

        let mut published = Vec::with_capacity(self.messages);
        for _ in 0..self.messages {
            let origin = match self.origin {
                Origin::Random => rng.random_range(0..nodes),
                Origin::Node(node) => node,
            };
            let payload = Bytes::from(vec![0; self.payload_bytes]);
            let now = world.now();
            published.push((origin, world.publish(origin, topic.clone(), payload), now));
            world.run_until(now.after(self.interval));
        }
        world.run_until(world.now().after(TAIL));

        let messages = published.into_iter().map(|(origin, id, now)| spread(&world, origin, id, now)).collect();
        Ok(Measures {
            nodes,
            messages,
            pushes_per_item_max: world.pushes_per_item_max(),
            round_max: world.round_max(),
            frames_lost: world.frames_lost(),
            events: world.events(),
            trace: world.trace(),
        })
    }

    fn rules(&self, topic: &Topic) -> Result<Rules, ScenarioError> {
        if !(0.0..=1.0).contains(&self.links.loss) {
            return Err(ScenarioError::Loss(self.links.loss));
        }
        let nodes = self.overlay.nodes();
        let named: &[u32] = match &self.subscribers {
            Subscribers::Everybody | Subscribers::Nobody => &[],
            Subscribers::Nodes(chosen) => chosen,
        };
        let origin = match &self.origin {
            Origin::Random => 0,
            Origin::Node(node) => *node,
        };
        if let Some(node) = named.iter().copied().chain([origin]).find(|node| *node >= nodes) {
            return Err(ScenarioError::NoSuchNode(node));
        }
        let gossip = Config {
            topics: BTreeMap::from([(topic.clone(), self.topic)]),
            other_topics: None,
            peers_max: self.overlay.degree_max().max(1),
            ..Config::default()
        };
        Ok(Rules { gossip: gossip.validate()?, links: self.links, verdict_delay: self.verdict_delay })
    }
}

fn scenario_topic() -> Topic {
    Topic::new("scenario").unwrap_or_else(|_| unreachable!("the name has 8 bytes"))
}

fn spread(world: &World, origin: u32, id: Option<ItemId>, published: Timestamp) -> Spread {
    let reach = id.and_then(|id| world.reach_of(&id));
    Spread {
        id: id.unwrap_or(ItemId::new([0; 32])),
        origin,
        published,
        reached: reach.map_or(0, |reach| reach.receivers).saturating_add(1),
        copies: reach.map_or(0, |reach| reach.copies),
        first_rounds: reach.map_or(Rounds::default(), |reach| reach.first_rounds),
        last_delivery: reach.map_or(Duration::ZERO, |reach| reach.last_delivery.since(published)),
    }
}
