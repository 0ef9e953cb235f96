//! A Bruit node: runtime, handle, configuration, storage and admin API.
//!
//! [`Node::start`] makes a node of a [`Config`] and gives a [`Handle`]: publish, subscribe, call, serve, look around, stop.
//! Several nodes fit in one process; nothing here is global, and no log subscriber is set. The node decides no rule of any
//! protocol: it owns what the protocols must not have, as folder, clock, sockets and tasks.
//!
//! ```
//! use bruit::{Config, Delivery, Node};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let local = Config { listen: vec!["/ip4/127.0.7.1/tcp/0".parse()?], allow_private_addrs: true, ..Config::default() };
//! let first = Node::start(local).await?;
//!
//! let second = Config {
//!     listen: vec!["/ip4/127.0.8.1/tcp/0".parse()?],
//!     seed_addrs: first.listen().to_vec(),
//!     allow_private_addrs: true,
//!     ..Config::default()
//! };
//! let second = Node::start(second).await?;
//! let mut news = second.subscribe("news").await?;
//! first.wait_for_subscriber("news").await?;
//! first.publish("news", "hello".into()).await?;
//! let Some(Delivery::Item { payload, .. }) = news.next().await else { panic!("no item came") };
//! assert_eq!(payload, "hello");
//! first.shutdown().await;
//! second.shutdown().await;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

pub mod admin;
mod anchors;
mod book_lines;
mod book_rows;
mod capped;
mod config;
mod crawl;
mod data_dir;
mod dns_seeds;
mod files;
mod handle;
mod holding;
mod intake;
mod item_why;
mod key;
mod limits;
mod methods;
mod metrics;
mod node;
mod objects;
mod randomness;
mod runtime;
mod seed_list;
mod status;
mod storage;
mod transport;

/// What hellos say of the software.
pub const AGENT: &str = concat!("bruit/", env!("CARGO_PKG_VERSION"));

pub use bruit_stack::{
    address_book::{BanSubject, Severity},
    core::{AddrPolicy, Endpoint, NetworkId, PeerId},
    gossip::{ItemId, Signatures, Topic, Verdict},
    rpc::{CancelCause, Candidate, Message, Method, MethodName, Refusal, RefusalKind, TooLargeError, Typed},
};
pub use config::{
    ADDR_EXAMPLE, Carry, Config, ConfigError, Effective, FILES_TOPIC, FileSettings, Layers, POLICIES, PORT, PROFILES,
    SeedFileError, SeedName, SeedNameError, SeedUrl, SeedUrlError, Setting, Source, TopicSettings, read_seed_file,
};
pub use crawl::{CrawlConfig, CrawlProgress, Crawled, CrawledLink, CrawledNode, crawl};
pub use data_dir::{DataDir, DataDirError};
pub use files::{
    FetchReport, FetchWish, Fetched, FileTotals, FileView, Manifest, ManifestError, ManifestId, PublishFileError,
};
pub use handle::{
    AddrError, AnswerStream, Answered, CallFailure, CallOptions, Cancellation, ChunkRefused, Delivery, Handle, Judge,
    JudgeError, JudgedAnswer, OperateError, PublishFailure, ReloadError, Reloaded, Request, Requests, ServeError,
    StoppedError, SubscribeFailure, Subscription, Unjudged, WaitFor, Waited,
};
pub use item_why::{ItemNumbers, ItemStep, ItemWhy};
pub use key::{KeyError, create_key, create_shared_key, read_key, read_shared_key};
pub use limits::{Limit, limits};
pub use methods::{
    BUILTIN_METHODS, ECHO, OBJECT, PEERS, PING, RECENT, chunk_answer, object_arguments, read_object_arguments,
    recent_arguments,
};
pub use multiaddr::Multiaddr;
pub use node::{Node, StartError};
pub use objects::object_id;
pub use status::{
    BanEvidence, BanInfo, BookCounts, BookEntry, BookShape, BookWhy, ChoiceInfo, DialCounts, GoodbyeInfo, GossipCounts,
    ImportReport, MethodInfo, OwnAddr, PeerCounts, PeerInfo, RpcCounts, Status, TrafficCounts,
};
pub use storage::{StorageError, StorageState, StorageStatus};
