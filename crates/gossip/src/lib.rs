//! How a message spreads: relay policies under one engine.
//!
//! This crate decides which items are taken in, who is delivered to, whom an item is pushed to and on which round. It does not
//! decide whether an item is good (the application does, by a [`Verdict`]), whom to connect to, or what bad conduct costs a
//! peer. It assumes that all nodes of a network agree on its topics' settings.
//!
//! The [`Engine`] holds every rule and can be driven without a swarm; the feature `behaviour` (on by default) adds
//! [`Behaviour`], which carries frames between it and the links of a swarm.
//!
//! ```
//! # #[cfg(not(feature = "behaviour"))] fn main() {}
//! # #[cfg(feature = "behaviour")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bruit_gossip::{Admission, Behaviour, Config, Event, NetworkId, Seed, Topic, Verdict};
//! use futures::StreamExt;
//! use libp2p_swarm::{Swarm, SwarmEvent};
//! use libp2p_swarm_test::SwarmExt; // two swarms in memory; a real one is built as ever
//!
//! let gossip = |number| {
//!     let config = Config::default().validate().expect("the defaults are valid");
//!     let network = NetworkId::new("example").expect("the name is short");
//!     Behaviour::new(&network, config, Seed::from_number(number), Admission::Automatic)
//! };
//! let mut alice = Swarm::new_ephemeral_tokio(|_| gossip(1));
//! let mut bob = Swarm::new_ephemeral_tokio(|_| gossip(2));
//! let news = Topic::new("news")?;
//! bob.behaviour_mut().subscribe(news.clone())?;
//! bob.listen().with_memory_addr_external().await;
//! alice.connect(&mut bob).await;
//!
//! loop {
//!     tokio::select! {
//!         event = alice.select_next_some() => if let SwarmEvent::Behaviour(Event::PeerSubscribed { topic, .. }) = event {
//!             alice.behaviour_mut().publish(topic, "a stone fell into the water")?;
//!         },
//!         event = bob.select_next_some() => if let SwarmEvent::Behaviour(Event::Item { id, payload, .. }) = event {
//!             assert_eq!(payload, "a stone fell into the water");
//!             bob.behaviour_mut().report(id, Verdict::Accept);
//!             return Ok(());
//!         },
//!     }
//! }
//! # }
//! ```
//!
//! # Coming from gossipsub
//!
//! What libp2p's gossipsub calls so is found here under these names. The two protocols do not understand each other: a network
//! speaks one of them, or a node speaks both and passes items on.
//!
//! | gossipsub | here |
//! |---|---|
//! | `Behaviour::new(privacy, config)` | [`Behaviour::new`] with the network's id, which is part of the protocol's name and of every item's id (`protocol_id_prefix`), and with a [`Seed`] |
//! | `IdentTopic`, `Sha256Topic` | [`Topic`]: a name; it is not hashed |
//! | `subscribe`, `unsubscribe`, `Event::Subscribed` | [`Behaviour::subscribe`], [`Behaviour::unsubscribe`], [`Event::PeerSubscribed`] |
//! | `publish` | [`Behaviour::publish`]; without peers it fails with [`PublishError::NoPeers`] (`NoPeersSubscribedToTopic`) |
//! | `fanout_ttl`, publishing without a subscription | [`Carry`]: whether everybody or only subscribers relay a topic |
//! | `Event::Message` | [`Event::Item`] |
//! | `validate_messages`, `report_message_validation_result` | [`Validation::Application`], the default, and [`Behaviour::report`]. After [`Config::verdict_timeout`] an item counts as ignored |
//! | `MessageAcceptance` | [`Verdict`], with [`Verdict::Hold`] for items that depend on what is not there yet |
//! | `message_id_fn` | none: an id is a hash of network and body ([`Sealer`]), and checked against the body of every item that is taken in. [`Item::nonce`] makes equal payloads different items: [`Behaviour::publish`] draws one, [`Behaviour::publish_item`] takes yours |
//! | `MessageAuthenticity`, `ValidationMode` | [`TopicConfig::signatures`] and [`Behaviour::sign_as`]; off by default. There are no sequence numbers |
//! | `mesh_n`, `mesh_n_low`, `mesh_n_high`, GRAFT, PRUNE | none: there is no mesh. Every peer that takes part may be sent to. By [`Policy::Tree`], the default, each root has a tree of its own, and a peer says of which it wants bodies; [`Policy::Fanout`] pushes to so many peers, drawn for each item |
//! | `heartbeat_interval` | none: every rule has deadlines of its own, and by the default policy an idle node sends nothing |
//! | `flood_publish` | [`Behaviour::publish_by`] with [`Policy::All`], or [`Policy::Flood`] for a topic |
//! | IHAVE, IWANT, `gossip_lazy`, `gossip_factor` | announcements and wants, in `Tree`, `SqrtAnnounce`, `NeighbourCast` and `Infection`. They ride on frames of items where they can |
//! | `iwant_followup_time`, `gossip_retransimission` | [`Config::fetch_for`]: one source is asked after the other; a peer may ask once for what was announced to it |
//! | `max_ihave_messages_heartbeat`, `max_control_messages_sent` | [`Config::announced_max`], [`Config::wants_max`] |
//! | IDONTWANT | none: by `Tree` a peer that has a parent is sent ids and no bodies by all others |
//! | `history_length`, `history_gossip` | [`Config::serve_for`], [`Config::serve_bytes_max`] |
//! | `duplicate_cache_time` | [`Config::seen_keep`], [`Config::seen_entries_max`] |
//! | `max_transmit_size` | [`TopicConfig::size_max`], 192 KiB at most |
//! | `connection_handler_queue_len`, `publish_queue_duration` | [`Config::outbox_bytes_max`]; what waits longer than its item's [`expiry`](TopicConfig::expiry) is dropped |
//! | `Event::SlowPeer` | [`Event::FrameRefused`], [`Event::AnnouncementNotSent`], [`Event::ControlNotSent`], [`Event::FramesLost`] |
//! | peer scores and their thresholds | none: the crate tells [`Event::Conduct`], and its owner draws the conclusions ([`Behaviour::dismiss`], a closed connection). `bruit-address-book` makes a bounded quality of it |
//! | `add_explicit_peer` | [`Behaviour::set_special`] for what is pushed to some peers only; it dials nobody |
//! | `blacklist_peer` | [`Admission::ByOwner`] with [`Behaviour::admit`] and [`Behaviour::dismiss`] |
//! | subscription filters | [`Config::topics`], with [`Config::other_topics`] set to `None` |
//! | `with_metrics` | [`Behaviour::stats`], and `Metrics` with the feature `metrics` |
//! | peer exchange, `DataTransform`, partial messages, floodsub | none |
//!
//! Without a counterpart there: [policies](Policy) by topic and by item, private origins ([`Policy::Dandelion`]), a look at copies
//! before they are hashed ([`Behaviour::set_precheck`]), rates by peer ([`Config::rates`]), [`Behaviour::explain`], and
//! [`Event::Finished`].

#[cfg(feature = "behaviour")]
mod behaviour;
mod config;
mod engine;
mod event;
mod explanation;
mod message;
#[cfg(feature = "metrics")]
mod metrics;
mod topic;

#[cfg(feature = "behaviour")]
pub use behaviour::Behaviour;
pub use config::{
    Carry, Choice, Config, ConfigError, Dandelion, Infection, Inner, NeighbourCast, Policy, PolicyNameError, Priority,
    Proxy, ROUNDS_MAX, Rate, Rates, SeenEviction, Signatures, SqrtAnnounce, TopicConfig, Tree, ValidConfig, Validation,
};
pub use engine::{
    AnnouncementReceived, ControlReceived, DependencyArrived, Engine, Finished, Message, Output, PeerClass,
    PeerConnected, PeerTraits, Precheck, PublishError, Received, Refusal, Reported, Rounds, SeenElsewhere, Stats,
    SubscribeError, Subscribed, Tally, Unsubscribed, Verdict,
};
pub use event::Event;
pub use explanation::{Explanation, Standing, Step, Why};
pub use message::{
    Announced, Announcement, ControlMessage, Glance, Hop, HopKind, Item, ItemFrame, ItemId, ItemIdError, ItemMessage,
    ItemsFrame, MalformedError, Moment, OpenError, RootTag, Sealer, ShortId, SignError, Signature,
};
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use topic::{Topic, TopicError};

pub use bruit_core::{Conduct, NetworkId, PeerId, Seed, Timestamp};
#[cfg(feature = "behaviour")]
pub use bruit_link::Admission;
pub use bytes::Bytes;
pub use libp2p_identity::Keypair;
