use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bruit_core::{ChaCha8Rng, Seed, Timestamp};
use bruit_gossip::{Config, ConfigError, ItemId, Policy, Topic, TopicConfig, Validation};
use bytes::Bytes;
use rand::RngExt;

use super::{
    Attack, Measures, Spread,
    measures::Unmasking,
    message::{sealer, the_topic},
    node::{GossipNode, Reach, Rules, Spreads},
    spies::Spies,
    taps::Taps,
};
use crate::{Fault, Figures, Links, Overlay, START, TraceLines, Wire, World, conditions::Marks, optimum::flood_micros};

/// For how long after the last publishing a run goes on at most.
const TAIL: Duration = Duration::from_secs(60);

/// How often a publisher is drawn before the first that can be one is taken.
const DRAWS_MAX: usize = 10_000;

/// Gossip over an overlay: what it carries, and the chance that decides the rest.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Who is connected to whom.
    pub overlay: Overlay,
    /// How links carry frames.
    pub links: Links,
    /// How items spread; `validation` is the verdict of `verdict_delay` or none.
    pub topic: TopicConfig,
    /// The other settings of gossip. Its topics and its room for peers follow from the rest.
    pub engine: Config,
    /// Who subscribes.
    pub subscribers: Subscribers,
    /// How many messages are published.
    pub messages: usize,
    /// How many of the first of them are not measured: trees grow by them.
    pub warm_up: usize,
    /// Who publishes them.
    pub origin: Origin,
    /// How many are published in the same moment; 0 as 1.
    pub at_once: usize,
    /// The time from them to the next ones.
    pub interval: Duration,
    /// For how long the run goes on after the last of them.
    pub tail: Duration,
    /// How large each is, in bytes.
    pub payload_bytes: usize,
    /// How long an application takes to accept an item. Zero: within the same moment.
    pub verdict_delay: Duration,
    /// What goes wrong, and how long after the first publishing. Zero: before it.
    pub faults: Vec<(Duration, Fault)>,
    /// Who is not honest; nodes beyond the end are.
    pub roles: Vec<Role>,
    /// Which share of the links an eavesdropper taps.
    pub tapped_share: f64,
    /// What attackers do, from the beginning of the load on.
    pub attack: Option<Attack>,
    /// Whether times are compared with those of a flood.
    pub has_optimum: bool,
    /// What is done to frames beside carrying them.
    pub wire: Wire,
    /// Who is told of everything that happens.
    pub lines: Option<TraceLines>,
    /// What everything drawn follows from, but for the overlay.
    pub seed: Seed,
}

/// How a node behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// As its engine does.
    #[default]
    Honest,
    /// It takes and never relays.
    Silent,
    /// It takes and never relays, and claims everybody as its neighbour.
    Liar,
    /// It relays, and says of each copy that it is on its first hop.
    Forger,
    /// It does as its engine does, and strikes as [`Experiment::attack`] says.
    Attacker,
    /// It does as its engine does, and all of its kind together look who told them of each item first.
    Spy,
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
    /// For each message a node drawn by chance, honest and up at that moment.
    Random,
    /// Always this one.
    Node(u32),
    /// So many nodes in turn, from node 0 on.
    Rotating(u32),
}

/// An experiment that cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExperimentError {
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

/// An experiment whose nodes are there and linked.
pub struct Laid<'a> {
    experiment: &'a Experiment,
    world: World<GossipNode>,
}

impl Laid<'_> {
    /// Makes the rest of it. The nodes are as they are at its end.
    pub fn run(mut self) -> (Measures, World<GossipNode>) {
        (self.experiment.run_in(&mut self.world), self.world)
    }
}

struct Published {
    origin: u32,
    id: Option<ItemId>,
    at: Timestamp,
}

impl Experiment {
    /// Makes an experiment of one message from a random node, with 30 ms links and automatic acceptance by everybody.
    pub fn new(overlay: Overlay, policy: Policy, seed: Seed) -> Self {
        Self {
            overlay,
            links: Links::default(),
            topic: TopicConfig { policy, validation: Validation::Automatic, ..TopicConfig::default() },
            engine: Config::default(),
            subscribers: Subscribers::Everybody,
            messages: 1,
            warm_up: 0,
            origin: Origin::Random,
            at_once: 1,
            interval: Duration::from_secs(1),
            tail: TAIL,
            payload_bytes: 64,
            verdict_delay: Duration::ZERO,
            faults: Vec::new(),
            roles: Vec::new(),
            tapped_share: 0.0,
            attack: None,
            has_optimum: false,
            wire: Wire::default(),
            lines: None,
            seed,
        }
    }

    /// Makes it. The result depends on nothing but the experiment.
    pub fn run(&self) -> Result<Measures, ExperimentError> {
        Ok(self.lay()?.run().0)
    }

    /// Lays the links and starts the nodes: all that comes before anybody is told of anything.
    pub fn lay(&self) -> Result<Laid<'_>, ExperimentError> {
        let mut world = self.world(&the_topic())?;
        world.set_wire(self.wire);
        world.set_lines(self.lines.clone());
        Ok(Laid { experiment: self, world })
    }

    fn run_in(&self, world: &mut World<GossipNode>) -> Measures {
        let topic = the_topic();
        match &self.subscribers {
            Subscribers::Everybody => (0..self.overlay.nodes()).for_each(|node| subscribe(world, node, &topic)),
            Subscribers::Nobody => {}
            Subscribers::Nodes(chosen) => chosen.iter().for_each(|node| subscribe(world, *node, &topic)),
        }
        world.run_until(START.after(self.links.latency.longest().saturating_mul(2)));

        if let Some(attack) = &self.attack {
            (0..self.overlay.nodes()).for_each(|node| _ = world.with(node, |node, net| node.attack(attack, net)));
        }
        let published = self.load(world, &topic);
        let wanted: Vec<u32> = (0..self.overlay.nodes()).filter(|node| !world.net().is_down(*node)).collect();
        let measured = published.into_iter().skip(self.warm_up);
        let messages: Vec<Spread> = measured.map(|published| self.spread(world, &published, &wanted)).collect();
        let ids_announced = world.nodes().iter().map(|node| node.engine().stats().ids_announced).sum();
        let spies = self.roles.contains(&Role::Spy).then(|| Spies::new(&self.overlay, &self.roles));
        let honest = || messages.iter().filter(|spread| self.role(spread.origin) == Role::Honest);
        let unmasking = spies.as_ref().map(|_| Unmasking::of(honest().map(|spread| (spread.origin, spread.suspect))));
        let likelihood = spies
            .as_ref()
            .map(|spies| Unmasking::of(honest().map(|spread| (spread.origin, spies.likeliest(&spread.sightings)))));
        let overheard =
            (self.tapped_share > 0.0).then(|| Unmasking::of(honest().map(|spread| (spread.origin, spread.overheard))));
        let pushes = world.nodes().iter().map(|node| node.engine().stats().pushes_per_item_max);
        Measures {
            nodes: self.overlay.nodes(),
            messages,
            ids_announced,
            hostile: self.attack.as_ref().map(|_| self.hostile(world)),
            unmasking,
            likelihood,
            overheard,
            pushes_per_item_max: pushes.max().unwrap_or(0),
            round_max: world.tally().round_max,
            traffic: world.net().traffic().clone(),
            trace: world.trace(),
        }
    }

    /// Publishes all messages, with the faults in between.
    fn load(&self, world: &mut World<GossipNode>, topic: &Topic) -> Vec<Published> {
        let mut rng = self.seed.derive("origins", 0).rng();
        let begin = world.now();
        let mut faults = self.faults.clone();
        faults.sort_by_key(|(after, _)| *after);
        let mut faults = faults.into_iter().peekable();
        let mut run_until = |world: &mut World<GossipNode>, until: Timestamp| {
            while let Some((after, fault)) = faults.next_if(|(after, _)| begin.after(*after) <= until) {
                world.run_until(begin.after(after));
                world.fault(&fault);
            }
            world.run_until(until);
        };
        run_until(world, begin);
        let mut published = Vec::with_capacity(self.messages);
        for number in 0..self.messages {
            let origin = match self.origin {
                Origin::Random => self.someone(world, &mut rng),
                Origin::Node(node) => node,
                Origin::Rotating(origins) => number as u32 % origins,
            };
            let payload = Bytes::from(vec![0; self.payload_bytes]);
            let at = world.now();
            let id = world.with(origin, |node, net| node.publish(topic.clone(), payload, net)).flatten();
            published.push(Published { origin, id, at });
            if (number + 1) % self.at_once.max(1) == 0 {
                run_until(world, at.after(self.interval));
            }
        }
        let end = world.now().after(self.tail);
        run_until(world, end);
        published
    }

    fn hostile(&self, world: &World<GossipNode>) -> Figures {
        let mut figures = Figures::default();
        world.tally().hostile.count_in(world.tally(), &self.roles, self.overlay.nodes(), &mut figures);
        figures
    }

    /// An honest node that is up, drawn by chance; any where there is none.
    fn someone(&self, world: &World<GossipNode>, rng: &mut ChaCha8Rng) -> u32 {
        let nodes = self.overlay.nodes();
        let can_publish = |node: &u32| self.role(*node) == Role::Honest && !world.net().is_down(*node);
        let drawn = std::iter::repeat_with(|| rng.random_range(0..nodes)).take(DRAWS_MAX).find(can_publish);
        drawn.or_else(|| (0..nodes).find(can_publish)).unwrap_or(0)
    }

    fn role(&self, node: u32) -> Role {
        self.roles.get(node as usize).copied().unwrap_or_default()
    }

    fn world(&self, topic: &Topic) -> Result<World<GossipNode>, ExperimentError> {
        if !(0.0..=1.0).contains(&self.links.loss) {
            return Err(ExperimentError::Loss(self.links.loss));
        }
        let nodes = self.overlay.nodes();
        let named: &[u32] = match &self.subscribers {
            Subscribers::Everybody | Subscribers::Nobody => &[],
            Subscribers::Nodes(chosen) => chosen,
        };
        let origin = match &self.origin {
            Origin::Random => 0,
            Origin::Node(node) => *node,
            Origin::Rotating(origins) => origins.saturating_sub(1),
        };
        if let Some(node) = named.iter().copied().chain([origin]).find(|node| *node >= nodes) {
            return Err(ExperimentError::NoSuchNode(node));
        }
        let config = Config {
            topics: BTreeMap::from([(topic.clone(), self.topic)]),
            other_topics: None,
            peers_max: self.overlay.degree_max().max(1),
            // Nobody asks.
            explain_steps_max: 0,
            ..self.engine.clone()
        };
        let rules = Arc::new(Rules {
            gossip: config.validate()?,
            verdict_delay: self.verdict_delay,
            seed: self.seed.clone(),
            sealer: sealer(),
            roles: self.roles.clone(),
            taps: Taps::of(self.tapped_share, &self.seed),
            short_ids: Rules::short_ids(nodes),
        });
        let node = |number| GossipNode::new(Arc::clone(&rules), number, self.role(number));
        Ok(World::linked(&self.overlay, self.links.clone(), Spreads::default(), &self.seed, START, node))
    }

    fn spread(&self, world: &World<GossipNode>, published: &Published, wanted: &[u32]) -> Spread {
        let Published { origin, id, at } = *published;
        let reach = id.and_then(|id| world.tally().reach_of(&id)).cloned();
        let reach = reach.unwrap_or_else(|| Reach::none(at));
        let mut has_it = Marks::of(&[origin]);
        reach.receivers.iter().for_each(|(node, _)| has_it.insert(*node));
        let mut delays: Vec<u32> = reach.receivers.iter().map(|(_, micros)| *micros).collect();
        delays.sort_unstable();
        let mut optimum = Vec::new();
        if self.has_optimum {
            let micros = flood_micros(world.net().wiring(), self.overlay.nodes(), origin);
            let others = (0..).zip(micros).filter(|(node, _)| *node != origin);
            optimum.extend(others.filter_map(|(_, micros)| u32::try_from(micros?).ok()));
            optimum.sort_unstable();
        }
        Spread {
            id: id.unwrap_or(ItemId::new([0; 32])),
            origin,
            published: at,
            wanted: wanted.len() as u32,
            reached: wanted.iter().filter(|node| has_it.contains(**node)).count() as u32,
            copies: reach.copies,
            first_rounds: reach.first_rounds,
            suspect: reach.suspect,
            overheard: reach.overheard,
            sightings: reach.sightings.into_iter().collect(),
            delays,
            optimum,
        }
    }
}

fn subscribe(world: &mut World<GossipNode>, node: u32, topic: &Topic) {
    world.with(node, |node, net| node.subscribe(topic, net));
}
