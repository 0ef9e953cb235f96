use std::path::{Path, PathBuf};

use bruit::{Effective, Layers, Setting};
use clap::Args as ClapArgs;

use crate::exit::Failure;

/// The settings of a node. Every key can also stand in the configuration file, or in a variable `BRUIT_KEY`.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingsArgs {
    /// The configuration file; `bruit.toml` in the data directory, if it is there, unless given
    #[arg(long, env = "BRUIT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which source system's rules the node follows: bruit, casper, factom, horizen or ironfish; bruit unless given. It
    /// decides the defaults of most settings: `bruit config print --profile NAME` shows them, with units in their names
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The network; nodes of different networks cannot talk to each other; `bruit` unless given
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Where identity and address book are kept; ~/.bruit unless given, "" for nowhere
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Makes a new identity at every start
    #[arg(long)]
    ephemeral_identity: bool,
    /// The key of a private network, as `bruit key shared FILE` makes it; nodes without it cannot talk to this one
    #[arg(long, value_name = "FILE")]
    shared_key_file: Option<String>,
    /// Where to listen; /ip4/0.0.0.0/tcp/4171 unless given, port 0 for any
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Where others may be found, as /dns4/seed.example.org/tcp/4171, with or without /p2p/ID
    #[arg(long, value_name = "ADDR")]
    seed_addr: Vec<String>,
    /// A file of seed addresses, one a line
    #[arg(long, value_name = "FILE")]
    seed_file: Option<String>,
    /// A DNS name whose records are nodes, as seed.example.org, with :PORT unless it is 4171, or /dnsaddr/seed.example.org
    #[arg(long, value_name = "NAME")]
    dns_seed: Vec<String>,
    /// Where a list as in a seed file is fetched when peers are wanting, as https://seeds.example.org/bruit.txt
    #[arg(long, value_name = "URL")]
    seed_list: Option<String>,
    /// A peer to be connected to for ever, with or without /p2p/ID
    #[arg(long, value_name = "ADDR")]
    addnode: Vec<String>,
    /// Stores, shares and dials private addresses, as on a local test network
    #[arg(long)]
    allow_private_addrs: bool,
    /// How many peers to dial and keep; 32 in the profile bruit
    #[arg(long, value_name = "COUNT")]
    outbound: Option<String>,
    /// How many peers that dialled us to keep; 150 in the profile bruit
    #[arg(long, value_name = "COUNT")]
    inbound_max: Option<String>,
    /// How messages are relayed, such as `tree` or `fanout`; as the profile says unless given
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// How many peers one relay step of the policy fanout reaches; 16
    #[arg(long, value_name = "COUNT")]
    fanout: Option<String>,
    /// How many hops a message makes at most by the policy fanout; 6
    #[arg(long, value_name = "COUNT")]
    rounds: Option<String>,
    /// Who relays a topic: everybody or subscribers; subscribers unless given
    #[arg(long, value_name = "TOPIC=WHO")]
    topic: Vec<String>,
    /// A topic that the node wants from the start; `files` unless any is given
    #[arg(long, value_name = "TOPIC")]
    subscribe: Vec<String>,
    /// Does not fetch what gossip did not bring
    #[arg(long)]
    no_repair: bool,
    /// The socket of the API; `api.sock` in the data directory unless given
    #[arg(long, value_name = "PATH")]
    api: Option<String>,
    /// Serves metrics at this IP address and port, to everybody who can reach it
    #[arg(long, value_name = "IP:PORT")]
    metrics: Option<String>,
    /// What is logged, as info, warn or bruit=debug,warn; info unless given
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Sets any key that `bruit config print` shows, as files.repair_delay_ms=500. Times end in _ms or _secs
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl SettingsArgs {
    /// Lays file, environment and flags over each other.
    pub(crate) fn resolve(&self) -> Result<Effective, Failure> {
        let mut flags = self.flags();
        for text in &self.set {
            let Some((key, value)) = text.split_once('=') else {
                return Err(Failure::configuration(format!("flag --set: KEY=VALUE is wanted, not `{text}`")));
            };
            let flag = format!("--set {key}");
            flags.push(Setting { key: key.to_owned(), values: vec![value.to_owned()], flag });
        }
        let home = default_data_dir().map(|dir| dir.to_string_lossy().into_owned());
        let named = self.data_dir.clone().or_else(|| std::env::var("BRUIT_DATA_DIR").ok()).or_else(|| home.clone());
        let beside = named.filter(|dir| !dir.is_empty()).map(|dir| Path::new(&dir).join("bruit.toml"));
        let layers = Layers {
            defaults: home.into_iter().map(|dir| setting("data_dir", vec![dir])).collect(),
            file: self.config.clone().or_else(|| beside.filter(|path| path.exists())),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
                .collect(),
            flags,
        };
        Ok(layers.resolve()?)
    }

    fn flags(&self) -> Vec<Setting> {
        let one = |key: &str, value: &Option<String>| value.clone().map(|value| setting(key, vec![value]));
        let many = |key: &str, values: &[String]| (!values.is_empty()).then(|| setting(key, values.to_vec()));
        let is = |key: &str, is_given: bool, value: &str| is_given.then(|| setting(key, vec![value.to_owned()]));
        let named =
            |setting: Option<Setting>, flag: &str| setting.map(|setting| Setting { flag: flag.to_owned(), ..setting });
        let flags = [
            one("profile", &self.profile),
            one("network", &self.network),
            one("data_dir", &self.data_dir),
            is("ephemeral_identity", self.ephemeral_identity, "true"),
            one("shared_key_file", &self.shared_key_file),
            many("listen", &self.listen),
            named(many("seed_addrs", &self.seed_addr), "--seed-addr"),
            one("seed_file", &self.seed_file),
            named(many("dns_seeds", &self.dns_seed), "--dns-seed"),
            one("seed_list", &self.seed_list),
            named(many("addnodes", &self.addnode), "--addnode"),
            is("allow_private_addrs", self.allow_private_addrs, "true"),
            one("outbound", &self.outbound),
            one("inbound_max", &self.inbound_max),
            one("policy", &self.policy),
            one("fanout", &self.fanout),
            one("rounds", &self.rounds),
            named(many("topics", &self.topic), "--topic"),
            named(many("subscriptions", &self.subscribe), "--subscribe"),
            named(is("files.repair", self.no_repair, "false"), "--no-repair"),
            one("api", &self.api),
            one("metrics", &self.metrics),
            one("log", &self.log),
        ];
        flags.into_iter().flatten().collect()
    }
}

fn setting(key: &str, values: Vec<String>) -> Setting {
    Setting { key: key.to_owned(), values, flag: format!("--{}", key.replace('_', "-")) }
}

/// `~/.bruit`: short, since a socket's path has at most 107 bytes.
pub(crate) fn default_data_dir() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(".bruit"))
}
