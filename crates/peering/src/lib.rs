//! Whom to dial, keep and refuse: hello, goodbye and connection slots.
//!
//! [`Engine`] decides how many connections a node keeps, when it dials again, who gets a slot and who is sent elsewhere. It
//! does not know which addresses exist or how good they are: it asks its owner for candidates
//! ([`Event::CandidatesWanted`]), who takes them from an address book. It assumes that the owner tells it of every connection,
//! and that peer ids are proven by the transport.
//!
//! `Behaviour` (feature `behaviour`) is the same engine in a swarm. Alone, without a book:
//!
//! ```
//! # #[cfg(feature = "behaviour")] {
//! use bruit_peering::{Behaviour, Config, Endpoint, NetworkId, PeerId, Seed};
//!
//! let config = Config { outbound_target: 8, ..Config::default() };
//! let config = config.validate(NetworkId::new("my-net").unwrap(), "my-node/1.0").unwrap();
//! let local: PeerId = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq".parse().unwrap();
//! // In a node the seed comes from the operating system's randomness.
//! let mut peering = Behaviour::new(config, local, Seed::from_number(1));
//!
//! peering.add_node(Endpoint::tcp([192, 0, 2, 1].into(), 4000), None);
//! assert_eq!(peering.engine().dials().count(), 1);
//! // Put it into a swarm, and on `Event::CandidatesWanted` propose peers with `peering.dial(..)`.
//! # }
//! ```

mod access;
#[cfg(feature = "behaviour")]
mod behaviour;
mod config;
mod engine;
mod event;
mod message;

pub use access::{Mode, Subject, SubjectError};
#[cfg(feature = "behaviour")]
pub use behaviour::Behaviour;
pub use config::{Bootstrap, Config, ConfigError, ValidConfig};
pub use engine::{DialOutcome, Engine, Hearing, HelloFailure, Origin, Output, PeerView, Standing};
pub use event::{Departure, DepartureCause, DialFailure, Event, SeedStage, SlotClass, Strangeness};
pub use message::{Goodbye, GoodbyeReason, Hello, Intent, KnownPeer};

pub use bruit_core::{Endpoint, NetworkId, PeerId, Seed, Timestamp};
