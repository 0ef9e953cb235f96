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
