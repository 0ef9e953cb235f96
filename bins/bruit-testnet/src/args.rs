//! What a user may say, and whether it can be done.

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;

/// How many nodes fit: each has an address 127.i.0.1 of its own, and i goes from 1 to 254.
pub(crate) const NODES_MAX: usize = 254;
/// From how many nodes on each has more connections.
const LARGE: usize = 32;

/// Local networks of real nodes: start them, hurt them, get a verdict.
#[derive(Debug, Parser)]
#[command(
    name = "bruit-testnet",
    version,
    after_help = "`bruit-testnet bruit ...` is the `bruit` command line: the nodes are `bruit-testnet bruit run` processes."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a network, let files spread, freeze and kill nodes, and say whether all went as it must
    Demo(DemoArgs),
    /// Start a network, wait until the nodes found each other, and keep it until Ctrl-C
    Up(UpArgs),
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// The part of the nodes whose application serves objects wrongly, 0 to 0.5: half of them never answer, half answer
    /// falsely
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) bad_share: f64,
    /// The file that is published first [default: Cargo.lock here, above here or above this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// In the end, kill this share of all nodes at once, seed nodes first, and let the living go on
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub(crate) kill_share: f64,
    /// Print the verdict as one JSON object, the last line of stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl DemoArgs {
    /// How many nodes are killed at once.
    ///
    /// # Errors
    /// Fewer than two would live.
    pub(crate) fn killed(&self, nodes: usize) -> Result<usize, Failure> {
        if !(0.0..1.0).contains(&self.kill_share) {
            return Err(Failure::configuration("--kill-share must be at least 0 and below 1".to_owned()));
        }
        let killed = (self.kill_share * nodes as f64).floor() as usize;
        if killed > 0 && nodes - killed < 2 {
            return Err(Failure::configuration(format!("--kill-share leaves {} alive of {nodes}", nodes - killed)));
        }
        Ok(killed)
    }
}

#[derive(Args, Debug)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// Print one JSON object a line: when the network is up, and when it was stopped
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct NetworkArgs {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) nodes: usize,
    /// Which source system's rules the nodes follow: bruit, factom, casper, horizen or ironfish
    #[arg(long, value_name = "NAME", default_value = "bruit")]
    pub(crate) profile: String,
    /// How many connections each node opens [default: 4, from 32 nodes on 8]
    #[arg(long, value_name = "N")]
    pub(crate) out: Option<usize>,
    /// How many connections each node accepts, seed nodes twice as many [default: 12, from 32 nodes on 16]
    #[arg(long, value_name = "N")]
    pub(crate) inbound: Option<usize>,
    /// How many peers one relay step reaches
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) fanout: u32,
    /// How many hops a message makes at most
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub(crate) rounds: u32,
    /// How messages spread, by the policy's name
    #[arg(long, value_name = "NAME", default_value = FANOUT)]
    pub(crate) policy: String,
    /// Do not fetch what gossip missed
    #[arg(long)]
    pub(crate) no_repair: bool,
    /// Where the nodes' folders are made; kept afterwards [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Keep the nodes' folders and logs also if all went well
    #[arg(long)]
    pub(crate) keep: bool,
    /// What the nodes log, as `info` or `bruit=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

/// The policy whose limits are settings.
const FANOUT: &str = "fanout";

/// A network that can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) nodes: usize,
    pub(crate) profile: String,
    pub(crate) outbound: usize,
    pub(crate) inbound_max: usize,
    pub(crate) fanout: u32,
    pub(crate) rounds: u32,
    pub(crate) policy: String,
    pub(crate) repair: bool,
    pub(crate) log: String,
    /// The nodes whose application serves objects instead of the node.
    pub(crate) bad: BTreeSet<usize>,
}

impl NetworkArgs {
    /// Fills in what was not said.
    ///
    /// # Errors
    /// No such network can be built.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let nodes = self.nodes;
        if nodes > NODES_MAX {
            let reason = "each needs an address 127.i.0.1 of its own, and i goes from 1 to 254";
            return Err(Failure::configuration(format!("{nodes} nodes are too many: {reason}")));
        }
        if nodes < 2 {
            return Err(Failure::configuration(format!("{nodes} is too few: a network has at least 2 nodes")));
        }
        let (outbound, inbound_max) = if nodes < LARGE { (4, 12) } else { (8, 16) };
        if !bruit::PROFILES.contains(&self.profile.as_str()) {
            let known = bruit::PROFILES.join(", ");
            return Err(Failure::configuration(format!("there is no profile {:?}; there are {known}", self.profile)));
        }
        if !bruit::POLICIES.contains(&self.policy.as_str()) {
            let known = bruit::POLICIES.join(", ");
            return Err(Failure::configuration(format!("there is no policy {:?}; there are {known}", self.policy)));
        }
        let settings = Settings {
            nodes,
            profile: self.profile.clone(),
            outbound: self.out.unwrap_or(outbound),
            inbound_max: self.inbound.unwrap_or(inbound_max),
            fanout: self.fanout,
            rounds: self.rounds,
            policy: self.policy.clone(),
            repair: !self.no_repair,
            log: self.log.clone(),
            bad: BTreeSet::new(),
        };
        let counts = [
            ("--out", settings.outbound),
            ("--inbound", settings.inbound_max),
            ("--fanout", settings.fanout as usize),
            ("--rounds", settings.rounds as usize),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((flag, _)) => Err(Failure::configuration(format!("{flag} must be at least 1"))),
            None => Ok(settings),
        }
    }
}

impl Settings {
    /// How many peers a node may push a message to, and how many hops a copy may make.
    pub(crate) fn limits(&self) -> (u32, u32) {
        if self.policy == FANOUT {
            return (self.fanout, self.rounds);
        }
        (u32::try_from(self.nodes).unwrap_or(u32::MAX), u32::MAX)
    }

    /// Whether copies that were pushed on say so: those that were asked for count as first ones.
    pub(crate) fn counts_hops(&self) -> bool {
        [FANOUT, "all", "flood", "diffusion", "tree"].contains(&self.policy.as_str())
    }

    /// How many seed nodes there are: two, unless they would be all.
    pub(crate) fn seeds(&self) -> usize {
        if self.nodes > 2 { 2 } else { 1 }
    }

    /// How many connections a node accepts.
    pub(crate) fn inbound_max_of(&self, node: usize) -> usize {
        if node < self.seeds() { self.inbound_max * 2 } else { self.inbound_max }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn network(flags: &[&str]) -> NetworkArgs {
        let cli = Cli::try_parse_from(["bruit-testnet", "up"].iter().chain(flags)).expect("the flags are known");
        match cli.command {
            Command::Up(args) => args.network,
            Command::Demo(_) => unreachable!("`up` was asked for"),
        }
    }

    fn settings(flags: &[&str]) -> Result<Settings, Failure> {
        network(flags).settings()
    }

    #[test]
    fn the_commands_are_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn large_networks_get_more_connections_and_flags_win() {
        let degrees = |flags: &[&str]| settings(flags).map(|settings| (settings.outbound, settings.inbound_max)).ok();
        assert_eq!(degrees(&[]), Some((4, 12)));
        assert_eq!(degrees(&["--nodes", "31"]), Some((4, 12)));
        assert_eq!(degrees(&["--nodes", "32"]), Some((8, 16)));
        assert_eq!(degrees(&["--nodes", "50", "--out", "3", "--inbound", "5"]), Some((3, 5)));
    }

    #[test]
    fn seed_nodes_accept_twice_as_many() {
        let settings = settings(&[]).expect("the defaults can be built");
        assert_eq!((0..4).map(|node| settings.inbound_max_of(node)).collect::<Vec<_>>(), [24, 24, 12, 12]);
    }

    #[test]
    fn what_cannot_be_built_is_refused_with_the_reason() {
        for (flags, part) in [
            (["--nodes", "255"], "127.i.0.1"),
            (["--nodes", "1"], "at least 2"),
            (["--out", "0"], "--out must be at least 1"),
            (["--rounds", "0"], "--rounds must be at least 1"),
            (["--profile", "bitcoin"], "there is no profile"),
        ] {
            let failure = settings(&flags).expect_err("this cannot be built");
            assert_eq!(failure.code, 2);
            assert!(failure.text.contains(part), "{}", failure.text);
        }
        assert!(settings(&["--nodes", "254"]).is_ok() && settings(&["--nodes", "2"]).is_ok());
    }
}
