//! The words that all rooms of Bruit share: time, chance, slots, endpoints, limits and conduct.
//!
//! This crate decides no rule of any protocol. It fixes what a moment is ([`Timestamp`]), where randomness comes from
//! ([`Seed`]), how a hot engine names a connected peer ([`Slot`]), how an address is written ([`Endpoint`], [`NetGroup`])
//! and what one peer may say about another's behaviour ([`Conduct`]).
//!
//! # Driving an engine
//! Every engine in the workspace is a pure state machine. Whoever owns one (a `NetworkBehaviour`, or the simulator):
//! 1. tells it **facts** in the past tense (`peer_connected(slot, now)`), which cannot fail, or gives it **commands** in the
//!    imperative (`publish(.., now)`), which may be refused;
//! 2. after each call drains `poll_output()` until it returns `None`, and carries the outputs out in order;
//! 3. asks `next_timeout()` and, when that moment has come, calls `handle_timeout(now)` and drains again.
//!
//! `now` is always the last argument and never runs backwards within one engine.

mod bounded;
mod chance;
#[cfg(feature = "behaviour")]
mod clock;
mod conduct;
mod endpoint;
mod group;
mod lookup;
mod network;
mod scope;
mod slot;
mod time;
mod token_bucket;

pub use bounded::{BoundedQueue, QueueFullError};
pub use chance::Seed;
#[cfg(feature = "behaviour")]
pub use clock::{Alarm, Clock};
pub use conduct::Conduct;
pub use endpoint::{Endpoint, EndpointError, Transport};
pub use group::{NetGroup, Target, host_ip};
pub use lookup::LookupMap;
pub use network::{NetworkId, NetworkIdError};
pub use scope::{AddrPolicy, AddrRefusal, Audience, Scope, may_be_usual_service, scope_of};
pub use slot::{SLOTS_MAX, Slot, SlotMap, SlotTable, SlotsFullError};
pub use time::Timestamp;
pub use token_bucket::TokenBucket;

pub use libp2p_identity::PeerId;
pub use multiaddr::Multiaddr;
pub use rand_chacha::ChaCha8Rng;
