use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bruit_core::{Endpoint, Seed, Timestamp};
use bruit_stack::ValidConfig;
use rand::{
    RngExt,
    seq::{IndexedRandom, SliceRandom},
};

use super::{
    Attack, Churn, Host, Internet, NetworkNode, Observers, Place, Signal,
    bot::{Bot, Gang},
    host::Kept,
    measures::{count_books, count_growth, count_items, count_repair, count_victims, honest_tried, overlay},
    observers::count_known,
};
use crate::{Fault, Figures, Links, Overlay, START, TraceHash, TraceLines, Wire, World, gossip::the_topic};

/// A network that grows, is attacked, and part of which starts again.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The settings of all honest nodes.
    pub config: ValidConfig,
    /// How many nodes are honest.
    pub honest: u32,
    /// How many are not.
    pub bots: u32,
    /// How many addresses those share.
    pub bot_ips: u32,
    /// How many honest nodes are seed addresses.
    pub seeds: u32,
    /// How many bots are seed addresses for those that start again, beside the honest ones.
    pub hostile_seeds: u32,
    /// How links carry letters.
    pub links: Links,
    /// Within what time nodes join.
    pub join_within: Duration,
    /// For how long the network grows before anything else happens.
    pub grow: Duration,
    /// What bots do.
    pub attack: Option<Attack>,
    /// For how long.
    pub attack_lasts: Duration,
    /// The share of honest nodes that are gone for ever when the others start again.
    pub dead_share: f64,
    /// The share of honest nodes that start again after the attack, all in one moment.
    pub restart_share: f64,
    /// Whether they do so with their books and anchors.
    pub keeps_book: bool,
    /// For how long they are watched then.
    pub watch: Duration,
    /// Who goes and comes back meanwhile.
    pub churn: Churn,
    /// Who looks meanwhile who is connected to whom.
    pub observers: Observers,
    /// What the others publish meanwhile.
    pub load: Load,
    /// What is done to letters beside carrying them.
    pub wire: Wire,
    /// Who is told of everything that happens.
    pub lines: Option<TraceLines>,
    /// What everything drawn follows from.
    pub seed: Seed,
}

/// Items that nodes publish which neither died nor started again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// How many at each moment.
    pub messages: u32,
    /// The moments, after the one in which some died.
    pub moments: Vec<Duration>,
}

/// What an experiment showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The figures.
    pub figures: Figures,
    /// The hash over all that happened.
    pub trace: TraceHash,
    /// Who was connected to whom among the honest nodes at the end.
    pub overlay: Option<Overlay>,
    /// Which invariants did not hold.
    pub broken: Vec<String>,
}

/// Whom a restart of the network struck, and whom it left alone.
struct Struck {
    victims: Vec<u32>,
    others: Vec<u32>,
    /// Who goes for a while later, and after how long.
    churned: Vec<(u32, Duration)>,
}

/// What is done while a network is watched.
enum Step {
    Ends(u32),
    Rises(u32),
    Compares(Duration),
}

impl Experiment {
    /// Makes it.
    pub fn run(&self) -> Shown {
        let mut figures = Figures::default();
        let mut world = self.world();
        world.set_wire(self.wire);
        world.set_lines(self.lines.clone());
        self.join(&mut world);
        world.run_until(START.after(self.grow));
        count_growth(&world, self.residents(), &mut figures);

        let attacked = self.attack.as_ref().map_or(0, |attack| attack.victims) as usize;
        let tried: Vec<BTreeSet<Endpoint>> = self.tried(&world).into_iter().take(attacked).collect();
        if self.attack.is_some() {
            for bot in self.honest..self.honest + self.bots {
                world.with(bot, |node, net| {
                    if let NetworkNode::Bot(bot) = node {
                        bot.begin(net.now(), net);
                    }
                });
            }
        }
        world.run_until(world.now().after(self.attack_lasts));
        count_books(&world, &tried, &mut figures);

        let Struck { mut victims, others, churned } = self.restart(&mut world);
        self.watch(&mut world, &churned, &mut figures);
        victims.extend(churned.iter().map(|(node, _)| *node));
        if self.dead_share > 0.0 {
            count_repair(&world, &others, self.watch, &mut figures);
        }
        count_victims(&world, &victims, self.watch, &mut figures);
        count_items(&world, &others, &self.load.moments, &mut figures);
        world.net().traffic().count_in(&mut figures);
        let overlay = overlay(&world);
        if let Some(metrics) = overlay.as_ref().map(|overlay| overlay.metrics(&self.seed)) {
            metrics.count_in(&mut figures);
        }
        Shown { figures, trace: world.trace(), overlay, broken: self.broken(&world) }
    }

    fn world(&self) -> World<NetworkNode> {
        let internet = Internet::new(self.honest, self.bots, self.bot_ips, &self.seed);
        let config = Arc::new(self.config.clone());
        let places: Vec<Place> =
            (0..self.honest + self.bots).filter_map(|node| internet.place(node).cloned()).collect();
        let endpoints = |from: u32, count: u32| -> Vec<Endpoint> {
            places.iter().skip(from as usize).take(count as usize).map(|place| place.endpoint.clone()).collect()
        };
        let seeds = endpoints(0, self.seeds.min(self.honest));
        let hostile = endpoints(self.honest, self.hostile_seeds.min(self.bots));
        let idle = Attack { victims: 0, connections: 0, interval: self.grow, addrs_per_message: 0, trash: 0.0 };
        let attack = self.attack.clone().unwrap_or(idle);
        let victims = endpoints(0, attack.victims.min(self.honest));
        let bots = places.get(self.honest as usize..).unwrap_or_default();
        let mut internet = internet;
        internet.notes.observers_from = (self.observers.nodes > 0).then_some(self.residents());
        let gang = Arc::new(Gang::new(attack, self.config.network.as_str(), bots, victims, &self.seed));
        let topic = (!self.load.moments.is_empty()).then(the_topic);
        let node = |number: u32| {
            let (place, seed) = (places[number as usize].clone(), self.seed.derive("node", u64::from(number)));
            match number < self.honest {
                true => NetworkNode::Host(Box::new(Host::new(
                    place,
                    Arc::clone(&config),
                    [seeds.clone(), hostile.clone()],
                    seed,
                    topic.clone(),
                ))),
                false => NetworkNode::Bot(Box::new(Bot::new(place, Arc::clone(&gang), &seed))),
            }
        };
        World::open(self.honest + self.bots, self.links.clone(), internet, &self.seed, START, node)
    }

    /// Seeds join first, the others within a time.
    fn join(&self, world: &mut World<NetworkNode>) {
        let mut rng = self.seed.derive("joins", 0).rng();
        for node in 0..self.residents() {
            let wait = if node < self.seeds { Duration::ZERO } else { self.join_within.mul_f64(rng.random()) };
            world.with(node, |_, net| net.call_at(START.after(wait), Signal::Join));
        }
    }

    fn tried(&self, world: &World<NetworkNode>) -> Vec<BTreeSet<Endpoint>> {
        let hosts = world.nodes().iter().filter_map(NetworkNode::host);
        hosts.map(|host| honest_tried(host, world.tally(), world.now())).collect()
    }

    /// Those that are there from the beginning: the others only look on.
    const fn residents(&self) -> u32 {
        self.honest - self.observers.nodes
    }

    /// What happens after the restart: nodes go and come back, others look who is connected to whom.
    fn watch(&self, world: &mut World<NetworkNode>, churned: &[(u32, Duration)], figures: &mut Figures) {
        let begin = world.now();
        for node in self.residents()..self.honest {
            world.with(node, |_, net| net.call_at(begin, Signal::Join));
        }
        let mut steps: Vec<(Timestamp, Step)> = Vec::new();
        for (node, after) in churned {
            let at = begin.after(*after);
            steps.extend([(at, Step::Ends(*node)), (at.after(self.churn.away), Step::Rises(*node))]);
        }
        steps.extend(self.observers.moments.iter().map(|after| (begin.after(*after), Step::Compares(*after))));
        steps.sort_by_key(|(at, _)| *at);
        let mut kept: BTreeMap<u32, Kept> = BTreeMap::new();
        for (at, step) in steps {
            world.run_until(at);
            match step {
                Step::Ends(node) => kept.extend(kill(world, node).map(|kept| (node, kept))),
                Step::Rises(node) => rise(world, node, kept.remove(&node).filter(|_| self.keeps_book)),
                Step::Compares(after) => count_known(world, after, figures),
            }
        }
        world.run_until(begin.after(self.watch));
    }

    /// Some die, some start again, and the others publish.
    fn restart(&self, world: &mut World<NetworkNode>) -> Struck {
        let residents = self.residents();
        let mut order: Vec<u32> = (self.seeds..residents).collect();
        order.shuffle(&mut self.seed.derive("victims", 0).rng());
        let count = |share: f64| (f64::from(residents) * share).round() as usize;
        let dead: Vec<u32> = order.drain(..count(self.dead_share).min(order.len())).collect();
        let others = order.split_off(count(self.restart_share).min(order.len()));
        let churned = self.churn.plan(others.clone(), residents, &self.seed);
        let stays = |node: &u32| churned.iter().all(|(other, _)| other != node);
        let others: Vec<u32> = (0..self.seeds).chain(others.into_iter().filter(stays)).collect();
        for node in &dead {
            kill(world, *node);
        }
        world.tally_mut().gone.extend(&dead);
        Self::await_repair(world, &others);
        world.fault(&Fault::Crash { nodes: dead, notice: Duration::ZERO });
        let mut kept: Vec<Option<Kept>> = order.iter().map(|node| kill(world, *node)).collect();
        self.publish(&others, world);
        world.run_until(world.now().after(Duration::from_secs(5)));
        for (node, kept) in order.iter().zip(&mut kept) {
            let kept = kept.take().filter(|_| self.keeps_book);
            rise(world, *node, kept);
        }
        Struck { victims: order, others, churned }
    }

    /// From now on it is seen when those that are left have some living peers.
    fn await_repair(world: &mut World<NetworkNode>, left: &[u32]) {
        for node in left {
            world.with(*node, |node, net| {
                if let Some(host) = node.host_mut() {
                    host.await_repair(left.len(), net);
                }
            });
        }
    }

    /// Nodes drawn by chance publish at each moment.
    fn publish(&self, nodes: &[u32], world: &mut World<NetworkNode>) {
        let mut rng = self.seed.derive("publishers", 0).rng();
        let now = world.now();
        for (moment, after) in (0_u32..).zip(&self.load.moments) {
            for _ in 0..self.load.messages {
                if let Some(node) = nodes.choose(&mut rng) {
                    world.with(*node, |_, net| net.call_at(now.after(*after), Signal::Publish { moment }));
                }
            }
        }
    }

    /// What must hold in every network: no connection to a place where nobody lives, and no slot beyond its limit.
    fn broken(&self, world: &World<NetworkNode>) -> Vec<String> {
        let mut broken = Vec::new();
        for (number, host) in (0..).zip(world.nodes()).filter_map(|(number, node)| Some((number, node.host()?))) {
            let inbound = host.held(bruit_stack::peering::SlotClass::Inbound).count();
            if inbound > host.parts().peering.settings().inbound_max {
                broken.push(format!("node {number} keeps {inbound} inbound peers"));
            }
            if host
                .held(bruit_stack::peering::SlotClass::Inbound)
                .any(|peer| world.tally().node_of(&peer) == Some(number))
            {
                broken.push(format!("node {number} is connected to itself"));
            }
        }
        if world.tally().reserved_dials > 0 {
            broken.push(format!("{} dials to reserved addresses", world.tally().reserved_dials));
        }
        if world.net().traffic().garbled > 0 {
            broken.push(format!("{} letters did not survive encoding and decoding", world.net().traffic().garbled));
        }
        broken
    }
}

fn rise(world: &mut World<NetworkNode>, node: u32, kept: Option<Kept>) {
    world.with(node, |node, net| {
        if let Some(host) = node.host_mut() {
            host.rise(kept, net);
        }
    });
}

fn kill(world: &mut World<NetworkNode>, node: u32) -> Option<Kept> {
    world.with(node, |node, net| node.host_mut().map(|host| host.killed(net))).flatten()
}
