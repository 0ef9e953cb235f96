//! What an operator may set, and what it is unless set.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use bruit_core::{AddrPolicy, NetworkId};
use bruit_gossip::Signatures;
use bruit_wire::limits::{CHUNK_BYTES_MAX, CHUNKS_MAX};
use multiaddr::Multiaddr;
use serde::{Deserialize, Serialize};

use crate::methods::BUILTIN_METHODS;

mod error;
mod layers;
mod print;
mod schema;
mod seed_name;
mod seed_url;
mod seeds;
mod stack;

pub use error::{ADDR_EXAMPLE, ConfigError};
pub use layers::{Effective, Layers, Setting, Source};
pub use seed_name::{SeedName, SeedNameError};
pub use seed_url::{SeedUrl, SeedUrlError};
pub(crate) use seeds::seed_lines;
pub use seeds::{SeedFileError, read_seed_file};

/// The names of all policies by which messages spread.
pub const POLICIES: [&str; 11] = bruit_gossip::Policy::NAMES;

/// The profiles that the design names.
pub const PROFILES: [&str; 5] = ["bruit", "casper", "factom", "horizen", "ironfish"];

/// The topic of files for which no topic is named.
pub const FILES_TOPIC: &str = "files";
/// The port that nodes listen on unless told otherwise. Not assigned to anybody; a choice of ours.
pub const PORT: u16 = 4_171;

/// The settings of a node. One value runs one node; several may run in one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The name of the network; nodes of different networks cannot talk to each other.
    pub network: NetworkId,
    /// Which source system's rules the node follows.
    pub profile: String,
    /// Where the identity and the address book are kept. `None` (in TOML: empty): nowhere; the node forgets all at its end.
    #[serde(with = "schema::empty_is_none")]
    pub data_dir: Option<PathBuf>,
    /// Whether every start makes a new identity that is stored nowhere.
    pub ephemeral_identity: bool,
    /// The key of a private network, in the form of go-libp2p and IPFS (`swarm.key`): nodes without it cannot even begin to talk.
    /// `None` (empty): the network is open.
    #[serde(with = "schema::empty_is_none")]
    pub shared_key_file: Option<PathBuf>,
    /// Where the node listens; port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses where others may be found at the start, with or without `/p2p/..`.
    pub seed_addrs: Vec<Multiaddr>,
    /// A file of more seed addresses, one a line; `#` begins a comment.
    #[serde(with = "schema::empty_is_none")]
    pub seed_file: Option<PathBuf>,
    /// Names that lead to nodes, asked when peers are wanting: `seed.example.org`, with `:PORT` unless it is 4171, by its A and AAAA
    /// records; `/dnsaddr/seed.example.org` by its TXT records. At most 256 addresses are taken at a time.
    pub dns_seeds: Vec<SeedName>,
    /// The name server that `dns_seeds` are asked of. `None` (empty): the system's.
    #[serde(with = "schema::empty_is_none")]
    pub dns_server: Option<SocketAddr>,
    /// An https URL of a list of more seed addresses, as in `seed_file`, fetched when peers are wanting and the names brought too few.
    /// At most 64 KiB and 256 addresses are taken. `None` (empty): none.
    #[serde(with = "schema::empty_is_none")]
    pub seed_list: Option<SeedUrl>,
    /// Addresses that are tried at last: when seeds, names and list brought nobody.
    pub fixed_seeds: Vec<Multiaddr>,
    /// Peers that the node dials for ever, with or without `/p2p/..`.
    pub addnodes: Vec<Multiaddr>,
    /// Whether private addresses are stored, shared and dialled, as on a local test network.
    pub allow_private_addrs: bool,
    /// How many peers the node dials and keeps. Factom: 32.
    pub outbound: usize,
    /// How many peers that dialled the node it keeps. Factom: 150.
    pub inbound_max: usize,
    /// How many peers one relay step of the policy `fanout` reaches. Factom: 16.
    pub fanout: u32,
    /// How many hops a message makes at most by the policy `fanout`. Factom: 6.
    pub rounds: u32,
    /// How messages spread, by a policy's name, on every topic. `None` (empty): as the profile says. `fanout` and `rounds` have
    /// no effect beside another one than `fanout`.
    #[serde(with = "schema::empty_is_none")]
    pub policy: Option<bruit_gossip::Policy>,
    /// Who relays the topics not named in `topics`.
    pub carry: Carry,
    /// What is particular to single topics.
    pub topics: BTreeMap<String, TopicSettings>,
    /// The topics that the node wants from the start.
    pub subscriptions: Vec<String>,
    /// The built-in methods that the node serves: `ping`, `echo`, `object`, `recent`, `peers` unless said. An application may
    /// serve those that are left out.
    pub builtin_methods: Vec<String>,
    /// How files are kept and completed.
    pub files: FileSettings,
    /// The address book; `allow_private_addrs` stands above.
    pub book: bruit_address_book::Config,
    /// Address exchange.
    pub exchange: bruit_addr_exchange::Config,
    /// Peering; `outbound` and `inbound_max` stand above.
    pub peering: bruit_peering::Config,
    /// Gossip; `fanout`, `rounds`, `carry` and `topics` stand above.
    pub gossip: bruit_gossip::Config,
    /// Requests.
    pub rpc: bruit_rpc::Config,
    /// What is logged, in the words of `tracing`: `info`, `bruit=debug,warn`.
    pub log: String,
    /// Where `GET /metrics` is served, without any protection. `None` (empty): nowhere.
    #[serde(with = "schema::empty_is_none")]
    pub metrics: Option<SocketAddr>,
    /// The Unix socket of the admin API. `None` (empty): `api.sock` in the data directory, if there is one.
    #[serde(with = "schema::empty_is_none")]
    pub api: Option<PathBuf>,
}

/// Who relays the items of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carry {
    /// Every node, also one that does not want the topic.
    Everybody,
    /// Subscribers, to each other.
    #[default]
    Subscribers,
}

/// What is particular to one topic. What is not said is as for all topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicSettings {
    /// Who relays it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry: Option<Carry>,
    /// How many peers one relay step reaches; a topic that says so is relayed by the policy `fanout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fanout: Option<u32>,
    /// How many hops a message makes at most by the policy `fanout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// Whether its items are signed by their authors: `"off"` or `"required"`. All nodes of a network must agree. Who publishes on
    /// such a topic says who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures: Option<Signatures>,
}

/// How files are kept and completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSettings {
    /// How many bytes of files are held in memory; what is only promised goes first, what was published here last, of several the
    /// one used least recently. 256 MiB: room for one file of the largest size.
    pub bytes_max: u64,
    /// How many files are held at most. 1,024: four answers of `recent`.
    pub files_max: usize,
    /// How many bytes of chunks are held whose manifest is not known yet. 16 MiB: 512 chunks.
    pub orphan_bytes_max: u64,
    /// Whether what gossip did not bring is fetched by calls, for topics that the node wants.
    pub repair: bool,
    /// How long after its last chunk a file counts as incomplete, in milliseconds. 2 s: several times what six hops take.
    pub repair_delay_ms: u64,
    /// How often the node asks a peer for recent files that it never heard of, in seconds. 30 s: a guess.
    pub recent_interval_secs: u64,
    /// How long one try of a fetch waits for its answer, in milliseconds. 1 s: far above an honest answer's time.
    pub try_timeout_ms: u64,
    /// How many peers a fetch asks for one chunk. 16: half of the outbound peers.
    pub tries_max: u32,
    /// How many chunks are fetched at once. 8: 256 KiB under way.
    pub fetches_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            network: NetworkId::new("bruit").expect("the default name is valid"),
            profile: "bruit".to_owned(),
            data_dir: None,
            ephemeral_identity: false,
            shared_key_file: None,
            listen: vec![any_interface(PORT)],
            seed_addrs: Vec::new(),
            seed_file: None,
            dns_seeds: Vec::new(),
            dns_server: None,
            seed_list: None,
            fixed_seeds: Vec::new(),
            addnodes: Vec::new(),
            allow_private_addrs: false,
            outbound: 32,
            inbound_max: 150,
            fanout: 16,
            policy: None,
            rounds: 6,
            carry: Carry::default(),
            topics: BTreeMap::new(),
            subscriptions: vec![FILES_TOPIC.to_owned()],
            builtin_methods: BUILTIN_METHODS.map(str::to_owned).into(),
            files: FileSettings::default(),
            book: bruit_address_book::Config::default(),
            exchange: bruit_addr_exchange::Config::default(),
            peering: bruit_peering::Config::default(),
            gossip: bruit_gossip::Config::default(),
            rpc: bruit_rpc::Config::default(),
            log: "info".to_owned(),
            metrics: None,
            api: None,
        }
    }
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            bytes_max: 256 * 1024 * 1024,
            files_max: 1_024,
            orphan_bytes_max: 16 * 1024 * 1024,
            repair: true,
            repair_delay_ms: 2_000,
            recent_interval_secs: 30,
            try_timeout_ms: 1_000,
            tries_max: 16,
            fetches_max: 8,
        }
    }
}

impl FileSettings {
    /// The largest file that can travel, in bytes.
    pub const FILE_BYTES_MAX: u64 = (CHUNKS_MAX * CHUNK_BYTES_MAX) as u64;

    /// How long one try waits.
    pub const fn try_timeout(&self) -> Duration {
        Duration::from_millis(self.try_timeout_ms)
    }

    /// How long after its last chunk a file counts as incomplete.
    pub const fn repair_delay(&self) -> Duration {
        Duration::from_millis(self.repair_delay_ms)
    }

    /// How often a peer is asked for recent files.
    pub const fn recent_interval(&self) -> Duration {
        Duration::from_secs(self.recent_interval_secs)
    }
}

impl Config {
    /// The socket of the admin API, if there is one.
    pub fn api_path(&self) -> Option<PathBuf> {
        self.api.clone().or_else(|| self.data_dir.as_ref().map(|dir| dir.join("api.sock")))
    }

    /// Which addresses are stored, shared and dialled.
    pub const fn addr_policy(&self) -> AddrPolicy {
        AddrPolicy { allow_private_addrs: self.allow_private_addrs }
    }

    /// Checks what no type can say, with all protocols' own checks.
    ///
    /// # Errors
    /// The first setting that cannot work, alone or together with others.
    pub fn check(&self) -> Result<(), ConfigError> {
        let zero = [
            ("files.files_max", self.files.files_max as u64),
            ("files.try_timeout_ms", self.files.try_timeout_ms),
            ("files.tries_max", u64::from(self.files.tries_max)),
            ("files.fetches_max", self.files.fetches_max as u64),
            ("files.recent_interval_secs", self.files.recent_interval_secs),
        ];
        if let Some((key, _)) = zero.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Unworkable { key: (*key).to_owned(), reason: "must be at least 1".to_owned() });
        }
        if let Some(name) = self.builtin_methods.iter().find(|name| !BUILTIN_METHODS.contains(&name.as_str())) {
            let reason = format!("there is no built-in method `{name}`; there are {}", BUILTIN_METHODS.join(", "));
            return Err(ConfigError::Unworkable { key: "builtin_methods".to_owned(), reason });
        }
        if self.listen.is_empty() && self.outbound == 0 && self.addnodes.is_empty() {
            let reason = "the node would neither listen nor dial".to_owned();
            return Err(ConfigError::Unworkable { key: "listen".to_owned(), reason });
        }
        self.stack()?.validate(self.network.clone(), crate::AGENT)?;
        Ok(())
    }
}

fn any_interface(port: u16) -> Multiaddr {
    Multiaddr::from(std::net::Ipv4Addr::UNSPECIFIED).with(multiaddr::Protocol::Tcp(port))
}

#[cfg(test)]
mod tests;
