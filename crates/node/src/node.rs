//! How a node starts: folder, identity, storage, swarm, listeners, tasks, API; in this order, and the first fault ends it.

use std::{io, path::PathBuf};

use bruit_core::{Endpoint, PeerId, Seed};
use bruit_stack::{
    Behaviour, Seeds,
    address_book::FORMAT_VERSION,
    gossip::{SubscribeError, Topic, TopicError},
};
use libp2p::{Multiaddr, Swarm, TransportError, identity::Keypair, swarm};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::{
    admin,
    anchors::Anchors,
    book_rows::from_rows,
    config::{Config, ConfigError, SeedFileError, read_seed_file},
    data_dir::{DataDir, DataDirError},
    files::{SharedFiles, repair},
    handle::{AddrError, Ended, Handle, ServeError, Shared, TopicFeeds, checked_addrs, want},
    holding::Holding,
    intake,
    key::{KeyError, read_shared_key},
    methods::Builtins,
    metrics, randomness,
    runtime::{COMMANDS_MAX, Command, KnownEndpoints, Parts, Runtime},
    storage::{Loaded, Storage, StorageError},
    transport::{self, Traffic},
};

/// The node, as a whole.
#[derive(Debug)]
pub struct Node;

/// A node that does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The seed file cannot be used.
    #[error(transparent)]
    SeedFile(#[from] SeedFileError),
    /// A configured address cannot be used.
    #[error(transparent)]
    Addr(#[from] AddrError),
    /// The name of a topic is none.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A topic cannot be wanted.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// A built-in method cannot be served: `rpc.methods_max` is too small.
    #[error("a built-in method cannot be served: {0}")]
    Serve(#[from] ServeError),
    /// The protocols refuse their settings.
    #[error(transparent)]
    Stack(#[from] bruit_stack::ConfigError),
    /// Its data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The key of its private network cannot be used.
    #[error(transparent)]
    SharedKey(#[from] KeyError),
    /// Its storage file cannot be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It cannot listen.
    #[error("cannot listen on {addr}: {reason}")]
    Listen {
        /// Where.
        addr: Multiaddr,
        /// Why not.
        reason: String,
    },
    /// The socket of its API cannot be made.
    #[error("cannot make the API's socket {}: {error}", path.display())]
    Api {
        /// The socket.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Metrics cannot be served.
    #[error("cannot serve metrics on {addr}: {error}")]
    Metrics {
        /// Where.
        addr: std::net::SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The transport cannot be built.
    #[error("cannot build the transport: {0}")]
    Transport(io::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(io::Error),
}

struct Home {
    dir: Option<DataDir>,
    key: Keypair,
    storage: Option<Storage>,
    loaded: Loaded,
}

impl Node {
    /// Starts a node; when this returns, it listens. It runs until [`Handle::shutdown`], also when all handles are gone.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The first thing that keeps it from running; nothing runs then.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        config.check()?;
        let addrs = StartAddrs::new(&config)?;
        let topics = config.subscriptions.iter().map(|name| Topic::new(name)).collect::<Result<Vec<_>, _>>()?;
        let stack = config.stack()?.validate(config.network.clone(), crate::AGENT)?;
        let shared_key = config.shared_key_file.as_deref().map(read_shared_key).transpose()?;
        let home = Home::open(&config)?;
        let peer_id = PeerId::from(home.key.public());

        let mut behaviour = Behaviour::new(stack, peer_id, seeds(&home.key)?);
        behaviour.sign_as(home.key.clone());
        let anchors = Anchors::read(&home.loaded);
        let known = addrs.enter(&mut behaviour, home.loaded, &anchors);
        let traffic = Traffic::default();
        let transport = transport::build(&home.key, shared_key, config.addr_policy(), &traffic);
        let transport = transport.map_err(StartError::Transport)?;
        let swarm = Swarm::new(transport, behaviour, peer_id, swarm::Config::with_tokio_executor());

        let api = config.api_path();
        let files = SharedFiles::new(&config.files);
        let holding = Holding::default();
        let (intake, items) = mpsc::channel(intake::WAITING_MAX);
        let (changed, watch_changed) = watch::channel(0);
        let mut runtime = Runtime::new(Parts {
            swarm,
            config: config.clone(),
            api: api.clone(),
            files: files.clone(),
            holding: holding.clone(),
            traffic,
            known,
            anchors,
            intake,
            storage: home.storage,
            changed,
        });
        for topic in topics {
            want(&mut runtime, topic)?;
        }
        let builtins = Builtins::register(&mut runtime)?;
        runtime.listen().await.map_err(|(addr, error)| StartError::Listen { addr, reason: reason_of(error) })?;
        let api_socket = api.as_deref().map(admin::bind).transpose()?;
        let metrics_socket = match config.metrics {
            Some(addr) => Some(metrics::bind(addr).await.map_err(|error| StartError::Metrics { addr, error })?),
            None => None,
        };

        let listen = runtime.swarm.listeners().cloned().collect();
        let (commands, queue) = mpsc::channel::<Command>(COMMANDS_MAX);
        let (ended, end) = oneshot::channel();
        let handle = Handle::new(
            commands,
            Shared {
                peer_id,
                config: config.clone(),
                listen,
                api,
                files,
                feeds: TopicFeeds::default(),
                holding,
                changed: watch_changed,
                ended: Mutex::new(Ended::NotYet(end)),
            },
        );
        tokio::spawn(runtime.run(queue, ended, home.dir));
        tokio::spawn(intake::run(handle.clone(), items));
        builtins.serve(&handle);
        if config.files.repair {
            tokio::spawn(repair(handle.clone()));
        }
        if let Some(socket) = api_socket {
            tokio::spawn(admin::serve(handle.clone(), socket));
        }
        if let Some(socket) = metrics_socket {
            tokio::spawn(metrics::serve(handle.clone(), socket));
        }
        Ok(handle)
    }
}

impl Home {
    fn open(config: &Config) -> Result<Self, StartError> {
        let Some(path) = &config.data_dir else {
            let key = Keypair::generate_ed25519();
            return Ok(Self { dir: None, key, storage: None, loaded: Loaded::default() });
        };
        let dir = DataDir::open(path, &config.network)?;
        let key = if config.ephemeral_identity { Keypair::generate_ed25519() } else { dir.identity()? };
        let (storage, loaded) = Storage::open(&dir.book_path(), FORMAT_VERSION)?;
        Ok(Self { dir: Some(dir), key, storage: Some(storage), loaded })
    }
}

/// The addresses that an operator names, checked.
struct StartAddrs {
    seeds: Vec<(Endpoint, Option<PeerId>)>,
    addnodes: Vec<(Endpoint, Option<PeerId>)>,
}

impl StartAddrs {
    fn new(config: &Config) -> Result<Self, StartError> {
        let mut seeds = config.seed_addrs.clone();
        if let Some(file) = &config.seed_file {
            seeds.extend(read_seed_file(file)?);
        }
        let policy = config.addr_policy();
        checked_addrs("fixed_seeds", policy, &config.fixed_seeds)?;
        Ok(Self {
            seeds: checked_addrs("seed_addrs", policy, &seeds)?,
            addnodes: checked_addrs("addnodes", policy, &config.addnodes)?,
        })
    }

    fn enter(self, behaviour: &mut Behaviour, loaded: Loaded, anchors: &Anchors) -> KnownEndpoints {
        let mut known = KnownEndpoints::default();
        let (records, unreadable) = from_rows(loaded);
        if unreadable > 0 {
            tracing::warn!(unreadable, "some records of the address book cannot be read and are left out");
        }
        known.restored = records.entries.iter().map(|entry| entry.endpoint.clone()).collect();
        if !known.restored.is_empty() {
            let report = behaviour.book_restore(records);
            tracing::info!(entries = report.entries, tried = report.tried, refused = report.refused, "book restored");
        }
        for (endpoint, peer) in anchors.iter() {
            let outcome = behaviour.dial_anchor(endpoint.clone(), *peer);
            tracing::info!(%endpoint, %peer, ?outcome, "a peer of the last run comes first");
        }
        for (endpoint, peer) in self.seeds {
            known.seeds.insert(endpoint.clone());
            if !behaviour.add_seed(endpoint.clone(), peer) {
                tracing::warn!(%endpoint, "too many seed addresses; this one is left out");
            }
        }
        for (endpoint, peer) in self.addnodes {
            known.addnodes.insert(endpoint.clone());
            if !behaviour.add_node(endpoint.clone(), peer) {
                tracing::warn!(%endpoint, "too many named peers; this one is left out");
            }
        }
        known
    }
}

/// The book's places follow from the identity, so that a restart finds them again and nobody else can know them.
fn seeds(key: &Keypair) -> Result<Seeds, StartError> {
    let chance = fresh_seed()?;
    let book = key.derive_secret(b"bruit address book").map_or_else(|| chance.derive("book", 0), Seed::new);
    Ok(Seeds { chance, book })
}

fn fresh_seed() -> Result<Seed, StartError> {
    randomness::bytes().map(Seed::new).map_err(StartError::Randomness)
}

fn reason_of(error: TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "no transport for such an address".to_owned(),
        TransportError::Other(error) => {
            // libp2p wraps what the system says more than once.
            let mut cause: &dyn std::error::Error = &error;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            cause.to_string()
        }
    }
}
