//! The keys of a scenario of kind `gossip`, and how it is run.

use bruit_core::Seed;
use bruit_gossip::{Config, TopicConfig, Validation};
use rand::seq::SliceRandom;
use serde::Deserialize;

use super::{Attack, AttackKind, Experiment, Origin, Role, Subscribers};
use crate::scenario::{
    Invalid, Run, Scenario,
    known::{self, Known},
};

/// How many items one blow may have.
const ITEMS_MAX: u32 = 10_000;
/// How many ids one announcement may have.
const IDS_MAX: u32 = 256;

/// The figures of this kind.
pub(crate) const KNOWN: &[&[Known]] =
    &[&known::traffic(None), FIGURES, &known::overlay(Some("gossip.overlay_metrics"))];

const FIGURES: &[Known] = &[
    Known::plain("messages"),
    Known::mean("coverage").share(),
    Known::plain("coverage_least").share(),
    Known::plain("complete").share(),
    Known::mean("redundancy"),
    Known::mean("last_hop"),
    Known::mean("ids_per_node"),
    Known::mean("p50_ms"),
    Known::mean("p90_ms"),
    Known::mean("p99_ms"),
    Known::mean("max_ms"),
    Known::mean("p50_over_optimum").asked_by("gossip.optimum"),
    Known::mean("p90_over_optimum").asked_by("gossip.optimum"),
    Known::mean("p99_over_optimum").asked_by("gossip.optimum"),
    Known::mean("max_over_optimum").asked_by("gossip.optimum"),
    Known::mean("precision").share().asked_by("gossip.spy_share"),
    Known::mean("recall").share().asked_by("gossip.spy_share"),
    Known::mean("precision_likelihood").share().asked_by("gossip.spy_share"),
    Known::mean("recall_likelihood").share().asked_by("gossip.spy_share"),
    Known::mean("precision_eavesdropper").share().asked_by("gossip.tapped_share"),
    Known::mean("recall_eavesdropper").share().asked_by("gossip.tapped_share"),
    Known::mean("hostile_reached").share().asked_by("gossip.attack"),
    Known::mean("hostile_copies_per_node").asked_by("gossip.attack"),
    Known::mean("hostile_wants_per_node").asked_by("gossip.attack"),
    Known::plain("taken_again").asked_by("gossip.attack"),
    Known::plain("round_max"),
    Known::plain("pushes_per_item_max"),
];

/// Whether a key says that something is to be measured.
pub(crate) fn asks(scenario: &Scenario, key: &str) -> bool {
    let (section, _) = sections(scenario);
    match key {
        "gossip.optimum" => section.optimum,
        "gossip.spy_share" => section.spy_share > 0.0,
        "gossip.tapped_share" => section.tapped_share > 0.0,
        "gossip.attack" => section.attack.is_some(),
        "gossip.overlay_metrics" => section.overlay_metrics,
        _ => false,
    }
}

/// How items spread.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GossipSection {
    /// The settings of the topic, as in a node's configuration.
    pub topic: TopicConfig,
    /// The other settings of gossip, as in a node's configuration.
    pub engine: Config,
    /// Who subscribes.
    pub subscribers: SubscribersWord,
    /// How long an application takes to accept an item.
    pub verdict_delay_ms: f64,
    /// The share of nodes that take and never relay.
    pub silent_share: f64,
    /// The share of nodes that never relay and claim everybody as their neighbour.
    pub liar_share: f64,
    /// The share of nodes that relay, and say of each copy that it is on its first hop.
    pub forger_share: f64,
    /// The share of nodes that look, together, who told them of each item first.
    pub spy_share: f64,
    /// The share of links that an eavesdropper taps, on no node.
    pub tapped_share: f64,
    /// What some nodes do beside what their engines do.
    pub attack: Option<AttackSection>,
    /// Whether times are compared with those of a flood over the same links.
    pub optimum: bool,
    /// Whether the shape of the overlay is measured.
    pub overlay_metrics: bool,
}

/// Nodes that attack.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackSection {
    /// What they do.
    pub kind: AttackKind,
    /// The share of nodes that do.
    pub share: f64,
    /// How long after one blow the next one.
    pub interval_ms: f64,
    /// How many items or ids there are in each.
    pub count: u32,
}

/// What is published.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadSection {
    /// How many messages.
    pub messages: u32,
    /// How many of the first of them are not measured.
    pub warm_up: u32,
    /// How many are published in the same moment.
    pub at_once: u32,
    /// How long after them the next ones.
    pub interval_ms: f64,
    /// For how long the run goes on after the last.
    pub tail_ms: f64,
    /// Who publishes.
    pub origin: OriginWord,
    /// How large each message is, in bytes.
    pub payload_bytes: usize,
}

/// Who publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginWord {
    /// For each message a node drawn by chance.
    #[default]
    Random,
    /// Always this one.
    Node(u32),
    /// So many nodes in turn.
    Rotating(u32),
}

impl GossipSection {
    fn attack_share(&self) -> f64 {
        self.attack.as_ref().map_or(0.0, |attack| attack.share)
    }
}

impl OriginWord {
    /// The same among another number of nodes than the file says: where it fitted there, fewer take turns.
    pub(crate) fn among(self, nodes: u32, nodes_of_file: u32) -> Self {
        match self {
            Self::Rotating(origins) if origins <= nodes_of_file => Self::Rotating(origins.min(nodes)),
            Self::Random | Self::Node(_) | Self::Rotating(_) => self,
        }
    }
}

/// Who subscribes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscribersWord {
    /// Every node.
    #[default]
    Everybody,
    /// No node: they carry.
    Nobody,
}

impl Default for LoadSection {
    fn default() -> Self {
        Self {
            messages: 10,
            warm_up: 0,
            at_once: 1,
            interval_ms: 1_000.0,
            tail_ms: 60_000.0,
            origin: OriginWord::Random,
            payload_bytes: 64,
        }
    }
}

/// Refuses what cannot be, before anything is run.
pub(crate) fn check(scenario: &Scenario) -> Result<(), Invalid> {
    let (section, load) = sections(scenario);
    scenario.check_overlay()?;
    for (path, share) in [
        ("gossip.silent_share", section.silent_share),
        ("gossip.liar_share", section.liar_share),
        ("gossip.forger_share", section.forger_share),
        ("gossip.spy_share", section.spy_share),
        ("gossip.attack.share", section.attack_share()),
    ] {
        scenario.share_of_nodes(path, share)?;
    }
    scenario.share("gossip.tapped_share", section.tapped_share)?;
    scenario.span("gossip.verdict_delay_ms", section.verdict_delay_ms)?;
    scenario.span("load.interval_ms", load.interval_ms)?;
    scenario.span("load.tail_ms", load.tail_ms)?;
    let bad = section.silent_share + section.liar_share + section.forger_share + section.spy_share;
    if bad + section.attack_share() > 0.99 {
        let path = if section.attack_share() > bad { "gossip.attack.share" } else { "gossip.silent_share" };
        return Err(scenario.invalid(path, "nobody would be left to publish"));
    }
    check_load(scenario, &section, &load)?;
    check_attack(scenario, &section)?;
    let topics = [(super::the_topic(), section.topic)].into();
    let config = Config { topics, other_topics: None, ..section.engine };
    config.validate().map(drop).map_err(|error| scenario.invalid("gossip", error.to_string()))
}

fn check_load(scenario: &Scenario, section: &GossipSection, load: &LoadSection) -> Result<(), Invalid> {
    let nodes = scenario.file().nodes;
    if load.warm_up >= load.messages {
        let reason = format!("of {} messages {} are not measured, so that none is left", load.messages, load.warm_up);
        return Err(scenario.invalid("load.messages", reason));
    }
    if load.at_once == 0 {
        return Err(scenario.invalid("load.at_once", "at least one message is published in a moment"));
    }
    if load.payload_bytes > section.topic.size_max {
        let reason = format!("{} bytes, but the topic takes {} at most", load.payload_bytes, section.topic.size_max);
        return Err(scenario.invalid("load.payload_bytes", reason));
    }
    match load.origin {
        OriginWord::Node(node) if node >= nodes => {
            Err(scenario.invalid("load.origin", format!("there is no node {node}, only 0 to {}", nodes - 1)))
        }
        OriginWord::Rotating(origins) if origins == 0 || origins > nodes => {
            Err(scenario.invalid("load.origin", format!("{origins} origins cannot rotate among {nodes} nodes")))
        }
        OriginWord::Random | OriginWord::Node(_) | OriginWord::Rotating(_) => Ok(()),
    }
}

fn check_attack(scenario: &Scenario, section: &GossipSection) -> Result<(), Invalid> {
    let Some(attack) = &section.attack else { return Ok(()) };
    let interval = scenario.span("gossip.attack.interval_ms", attack.interval_ms)?;
    if interval.is_zero() {
        return Err(scenario.invalid("gossip.attack.interval_ms", "there is some time between two blows"));
    }
    let most = if attack.kind == AttackKind::Announce { IDS_MAX } else { ITEMS_MAX };
    if !(1..=most).contains(&attack.count) {
        return Err(scenario
            .invalid("gossip.attack.count", format!("{} in a blow, but there must be 1 to {most}", attack.count)));
    }
    if attack.share == 0.0 {
        return Err(scenario.invalid("gossip.attack.share", "nobody attacks"));
    }
    if attack.kind == AttackKind::Invalid && section.topic.validation == Validation::Automatic {
        let invalid = scenario.invalid("gossip.topic.validation", "nobody judges what is valid");
        return Err(invalid.with_nearest(Some("application".to_owned())));
    }
    Ok(())
}

/// Runs a scenario once.
pub(crate) fn run(scenario: &Scenario, seed: &Seed) -> Result<Run, Invalid> {
    let (section, load) = sections(scenario);
    let overlay = scenario.overlay(seed)?;
    let nodes = overlay.nodes();
    let shape = section.overlay_metrics.then(|| overlay.metrics(seed));
    let roles = roles(nodes, &section, seed);
    let attack = section.attack.as_ref().map(|attack| {
        Ok::<_, Invalid>(Attack {
            kind: attack.kind,
            interval: scenario.span("gossip.attack.interval_ms", attack.interval_ms)?,
            count: attack.count,
            payload_bytes: load.payload_bytes,
        })
    });
    let attack = attack.transpose()?;
    let experiment = Experiment {
        links: scenario.links()?,
        topic: section.topic,
        engine: section.engine,
        subscribers: match section.subscribers {
            SubscribersWord::Everybody => Subscribers::Everybody,
            SubscribersWord::Nobody => Subscribers::Nobody,
        },
        messages: load.messages as usize,
        warm_up: load.warm_up as usize,
        at_once: load.at_once as usize,
        origin: match load.origin {
            OriginWord::Random => Origin::Random,
            OriginWord::Node(node) => Origin::Node(node),
            OriginWord::Rotating(origins) => Origin::Rotating(origins),
        },
        interval: scenario.span("load.interval_ms", load.interval_ms)?,
        tail: scenario.span("load.tail_ms", load.tail_ms)?,
        payload_bytes: load.payload_bytes,
        verdict_delay: scenario.span("gossip.verdict_delay_ms", section.verdict_delay_ms)?,
        faults: scenario.faults(seed)?,
        roles,
        tapped_share: section.tapped_share,
        attack,
        has_optimum: section.optimum,
        wire: scenario.wire(),
        lines: scenario.lines(),
        ..Experiment::new(overlay, section.topic.policy, seed.clone())
    };
    let measures = experiment.run().map_err(|error| scenario.invalid("gossip", error.to_string()))?;
    let mut figures = measures.figures();
    shape.iter().for_each(|shape| shape.count_in(&mut figures));
    Ok(Run { figures, trace: measures.trace, broken: measures.broken(), overlay: None })
}

fn sections(scenario: &Scenario) -> (GossipSection, LoadSection) {
    let file = scenario.file();
    (file.gossip.clone().unwrap_or_default(), file.load.clone().unwrap_or_default())
}

fn roles(nodes: u32, section: &GossipSection, seed: &Seed) -> Vec<Role> {
    let mut roles = Vec::with_capacity(nodes as usize);
    for (role, share) in [
        (Role::Silent, section.silent_share),
        (Role::Liar, section.liar_share),
        (Role::Forger, section.forger_share),
        (Role::Spy, section.spy_share),
        (Role::Attacker, section.attack_share()),
    ] {
        let count = (f64::from(nodes) * share).round() as usize;
        roles.extend(std::iter::repeat_n(role, count));
    }
    roles.resize(nodes as usize, Role::Honest);
    roles.shuffle(&mut seed.derive("roles", 0).rng());
    roles
}
