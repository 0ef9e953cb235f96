//! The keys of a scenario of kind `network`, and how it is run.

use std::time::Duration;

use bruit_core::{NetworkId, Seed};
use bruit_stack::{Config, Profile, ValidConfig};
use serde::Deserialize;

use super::{Attack, Churn, Experiment, Load, Observers};
use crate::{
    Wire,
    gossip::the_topic,
    scenario::{
        Invalid, Run, Scenario,
        known::{self, Known},
    },
};

/// The network's name in hellos.
const NETWORK: &str = "sim";
/// How many items are published in one moment at most.
const MESSAGES_MAX: u32 = 1_000;

/// A network of whole nodes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSection {
    /// Whose settings honest nodes have.
    pub profile: Profile,
    /// How many of the nodes are seed addresses.
    pub seeds: u32,
    /// How many bots are seed addresses beside them for those that start again.
    pub hostile_seeds: u32,
    /// Within what time nodes join.
    pub join_within_ms: f64,
    /// For how long the network grows before anything else happens.
    pub grow_ms: f64,
    /// Who attacks it then.
    pub attack: Option<AttackSection>,
    /// Who starts again after that.
    pub restart: RestartSection,
    /// What is published from then on.
    pub load: LoadSection,
    /// Who goes and comes back meanwhile.
    pub churn: ChurnSection,
    /// Who looks meanwhile who is connected to whom.
    pub observers: ObserversSection,
    /// How often each node exchanges some outbound peers for others; as the profile says, unless given. 0 for never.
    pub rotation_ms: Option<f64>,
    /// Whether bytes are counted by kind.
    pub count_bytes: bool,
}

/// Who attacks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackSection {
    /// What for; the numbers below say how.
    pub kind: AttackWord,
    /// How many identities.
    pub bots: u32,
    /// How many addresses they have; one each, unless given.
    pub ips: Option<u32>,
    /// How many nodes are attacked; all, unless given.
    pub victims: Option<u32>,
    /// For how long.
    pub lasts_ms: f64,
    /// How many connections each bot tries to hold.
    pub connections: u32,
    /// How often it looks after them, and tells addresses unasked.
    pub interval_ms: f64,
    /// How many addresses it tells at a time.
    pub addrs_per_message: usize,
    /// The share of them at which nobody lives.
    #[serde(default)]
    pub trash: f64,
}

/// What an attack is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackWord {
    /// To be all peers of a victim.
    Eclipse,
    /// To push what is good out of books.
    Flood,
    /// To serve newcomers nothing but bots.
    Seeds,
}

/// Who starts again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestartSection {
    /// The share of nodes that start again.
    pub share: f64,
    /// The share of nodes that are gone for ever at the same time.
    pub dead_share: f64,
    /// Whether those that start again have their books.
    pub keeps_book: bool,
    /// For how long they are watched.
    pub watch_ms: f64,
}

/// Items that nodes publish which neither died nor started again.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadSection {
    /// How many at each moment.
    pub messages: u32,
    /// The moments, after the one in which some died.
    pub at_ms: Vec<f64>,
}

/// Nodes that go and come back while the network is watched.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChurnSection {
    /// The share of nodes that goes each minute; no seed goes, and no node twice.
    pub share: f64,
    /// For how long each is away.
    pub away_ms: f64,
    /// For how long nodes go.
    pub for_ms: f64,
}

/// Nodes that look who is connected to whom.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObserversSection {
    /// How many of the nodes; they join when the others are watched.
    pub nodes: u32,
    /// When what they know is compared with what is so, after they joined.
    pub at_ms: Vec<f64>,
}

impl Default for ChurnSection {
    fn default() -> Self {
        Self { share: 0.0, away_ms: 5_000.0, for_ms: 60_000.0 }
    }
}

impl Default for NetworkSection {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            seeds: 10,
            hostile_seeds: 0,
            join_within_ms: 30_000.0,
            grow_ms: 120_000.0,
            attack: None,
            restart: RestartSection::default(),
            load: LoadSection::default(),
            churn: ChurnSection::default(),
            observers: ObserversSection::default(),
            rotation_ms: None,
            count_bytes: false,
        }
    }
}

impl Default for RestartSection {
    fn default() -> Self {
        Self { share: 0.0, dead_share: 0.0, keeps_book: true, watch_ms: 120_000.0 }
    }
}

/// The figures of this kind.
pub(crate) const KNOWN: &[&[Known]] = &[&known::traffic(Some("network.count_bytes")), FIGURES, &known::overlay(None)];

const FIGURES: &[Known] = &[
    Known::plain("grown").share(),
    Known::mean("grown_outbound"),
    Known::plain("attacker_inbound_most"),
    Known::plain("attacker_book_most"),
    Known::plain("attacker_tried_share").share(),
    Known::plain("book_entries_most"),
    Known::plain("tried_displaced"),
    Known::plain("victims"),
    Known::plain("eclipsed").share(),
    Known::mean("attacker_outbound_mean").share(),
    Known::plain("attacker_outbound_most"),
    Known::mean("outbound"),
    Known::plain("unsettled"),
    Known::spread("seconds_to_8_honest"),
    Known::family("delivered_after_").share(),
    Known::family("prompt_after_").share(),
    Known::plain("unrepaired").asked_by("network.restart.dead_share"),
    Known::spread("repair_seconds").asked_by("network.restart.dead_share"),
    Known::family("graph_known_after_").share(),
    Known::family("graph_outdated_after_").share(),
];

/// Whether a key says that something is to be measured.
pub(crate) fn asks(scenario: &Scenario, key: &str) -> bool {
    let Some(section) = &scenario.file().network else { return false };
    match key {
        "network.count_bytes" => section.count_bytes,
        "network.restart.dead_share" => section.restart.dead_share > 0.0,
        _ => false,
    }
}

/// Refuses what cannot be, before anything is run.
pub(crate) fn check(scenario: &Scenario) -> Result<(), Invalid> {
    experiment(scenario, &Seed::from_number(0)).map(drop)
}

/// Runs a scenario once.
pub(crate) fn run(scenario: &Scenario, seed: &Seed) -> Result<Run, Invalid> {
    let shown = experiment(scenario, seed)?.run();
    Ok(Run { figures: shown.figures, trace: shown.trace, broken: shown.broken, overlay: shown.overlay })
}

fn experiment(scenario: &Scenario, seed: &Seed) -> Result<Experiment, Invalid> {
    let file = scenario.file();
    let section = file.network.clone().unwrap_or_default();
    let attack = section.attack.as_ref();
    let bots = attack.map_or(0, |attack| attack.bots);
    let invalid = |path: &str, reason: String| Err(scenario.invalid(path, reason));
    if file.nodes < 2 || file.nodes > 100_000 {
        return invalid("nodes", format!("{} nodes, but whole nodes must be 2 to 100000", file.nodes));
    }
    if bots > 1_000_000 {
        return invalid("network.attack.bots", format!("{bots} bots are more than 1000000"));
    }
    if section.seeds == 0 || section.seeds > file.nodes {
        return invalid("network.seeds", format!("{} of {} nodes cannot be seeds", section.seeds, file.nodes));
    }
    if section.hostile_seeds > bots {
        return invalid("network.hostile_seeds", format!("{} of {bots} bots cannot be seeds", section.hostile_seeds));
    }
    let restart = &section.restart;
    for (path, share) in [("network.restart.share", restart.share), ("network.restart.dead_share", restart.dead_share)]
    {
        scenario.share_of_nodes(path, share)?;
    }
    let made = attack.map(|attack| {
        Ok(Attack {
            victims: attack.victims.unwrap_or(file.nodes).min(file.nodes),
            connections: attack.connections,
            interval: scenario.span("network.attack.interval_ms", attack.interval_ms.max(1.0))?,
            addrs_per_message: attack.addrs_per_message.min(2_500),
            trash: scenario.share("network.attack.trash", attack.trash)?,
        })
    });
    let load = &section.load;
    if load.messages > MESSAGES_MAX {
        return invalid("network.load.messages", format!("{} messages are more than {MESSAGES_MAX}", load.messages));
    }
    let moments =
        load.at_ms.iter().map(|at| scenario.span("network.load.at_ms", *at)).collect::<Result<Vec<_>, _>>()?;
    let watch = scenario.span("network.restart.watch_ms", restart.watch_ms)?;
    if let Some(late) = moments.iter().find(|at| **at > watch) {
        let reason = format!("nobody watches any more after {} ms", late.as_millis());
        return invalid("network.load.at_ms", reason);
    }
    let rotation = section.rotation_ms.map(|ms| scenario.span("network.rotation_ms", ms)).transpose()?;
    let config = settings(section.profile, rotation).map_err(|reason| scenario.invalid("network.profile", reason))?;
    if !moments.is_empty() && config.gossip.topic(&the_topic()).is_none() {
        return invalid("network.load", "the profile relays no topics but its own".to_owned());
    }
    Ok(Experiment {
        config,
        honest: file.nodes,
        bots,
        bot_ips: attack.and_then(|attack| attack.ips).unwrap_or(bots),
        seeds: section.seeds,
        hostile_seeds: section.hostile_seeds,
        links: scenario.links()?,
        join_within: scenario.span("network.join_within_ms", section.join_within_ms)?,
        grow: scenario.span("network.grow_ms", section.grow_ms)?,
        attack: made.transpose()?,
        attack_lasts: scenario.span("network.attack.lasts_ms", attack.map_or(0.0, |attack| attack.lasts_ms))?,
        dead_share: restart.dead_share,
        restart_share: restart.share,
        keeps_book: restart.keeps_book,
        watch,
        churn: churn(scenario, &section.churn, watch)?,
        observers: observers(scenario, &section, watch)?,
        load: Load { messages: load.messages, moments },
        wire: Wire { is_counted: section.count_bytes, ..scenario.wire() },
        lines: scenario.lines(),
        seed: seed.clone(),
    })
}

fn churn(scenario: &Scenario, section: &ChurnSection, watch: Duration) -> Result<Churn, Invalid> {
    let churn = Churn {
        share: scenario.share("network.churn.share", section.share)?,
        away: scenario.span("network.churn.away_ms", section.away_ms)?,
        lasts: scenario.span("network.churn.for_ms", section.for_ms)?,
    };
    if churn.share > 0.0 && churn.lasts + churn.away > watch {
        let reason = format!("nobody watches any more after {} ms, and some would still be away", watch.as_millis());
        return Err(scenario.invalid("network.churn.for_ms", reason));
    }
    Ok(churn)
}

fn observers(scenario: &Scenario, section: &NetworkSection, watch: Duration) -> Result<Observers, Invalid> {
    let ObserversSection { nodes, at_ms } = &section.observers;
    let left = scenario.file().nodes.saturating_sub(section.seeds.max(2));
    if *nodes > left {
        let reason =
            format!("{nodes} observers, but only {left} nodes are neither seeds nor the two that a network needs");
        return Err(scenario.invalid("network.observers.nodes", reason));
    }
    let moments =
        at_ms.iter().map(|at| scenario.span("network.observers.at_ms", *at)).collect::<Result<Vec<_>, _>>()?;
    if let Some(late) = moments.iter().find(|at| **at > watch) {
        let reason = format!("nobody watches any more after {} ms", late.as_millis());
        return Err(scenario.invalid("network.observers.at_ms", reason));
    }
    if *nodes == 0 && !moments.is_empty() {
        return Err(scenario.invalid("network.observers.at_ms", "nobody observes"));
    }
    Ok(Observers { nodes: *nodes, moments })
}

fn settings(profile: Profile, rotation: Option<Duration>) -> Result<ValidConfig, String> {
    let mut config: Config = profile.config();
    rotation.into_iter().for_each(|interval| config.peering.rotation_interval = interval);
    let network = NetworkId::new(NETWORK).map_err(|error| error.to_string())?;
    config.validate(network, "bruit-sim").map_err(|error| error.to_string())
}
