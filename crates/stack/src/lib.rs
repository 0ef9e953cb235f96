//! More than one engine, less than a node: profiles, coupling and the composed behaviour.
//!
//! The engines do not know each other. [`coupling`] says what an event of one means for the others; [`Coupler`] owns the
//! address book, passes events through the coupling and carries the commands out, for [`Behaviour`] (feature `behaviour`) in a swarm
//! and for a simulator over bare engines. [`Profile`] names the
//! settings under which all of them behave as one of the source systems does.

#[cfg(feature = "behaviour")]
mod behaviour;
mod choosing;
mod config;
mod coupler;
pub mod coupling;
#[cfg(feature = "behaviour")]
mod event;
mod lineage;
mod profile;
#[cfg(feature = "behaviour")]
mod view;

#[cfg(feature = "behaviour")]
pub use behaviour::{Behaviour, Seeds};
pub use choosing::{Choosing, Held};
pub use config::{Config, ConfigError, ValidConfig};
pub use coupler::{Coupler, Engines};
#[cfg(feature = "behaviour")]
pub use event::Event;
pub use lineage::{Lineage, Root};
pub use profile::{Profile, UnknownProfileError};
#[cfg(feature = "behaviour")]
pub use view::{GoodbyeView, ObservedView, OwnAddrView, PeerView, StatusView};

pub use bruit_addr_exchange as addr_exchange;
pub use bruit_address_book as address_book;
pub use bruit_core as core;
pub use bruit_gossip as gossip;
pub use bruit_peering as peering;
pub use bruit_rpc as rpc;
