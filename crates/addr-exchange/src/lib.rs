//! How knowledge of addresses travels: *getaddr*, *addr*, and how often.
//!
//! This crate decides who is asked and when, who is answered and how often, how long an answer stays the same, how many
//! addresses nobody asked for are taken and which are passed on, where this node itself can be dialled, and whether peers are
//! where they say. It does not decide which addresses are worth telling, or what to do with those that are told: its owner
//! gives a sample when asked for one, and gets what others tell. It owns no address book.
//!
//! The dialler asks the listener. An answer shorter than 32 does not count as one: while networks are small, nodes ask again
//! after seconds, so that they form from a single seed; later, answers come once per connection and stay the same for about a
//! day, so that asking often teaches nothing.
//!
//! ```
//! use bruit_addr_exchange::{Asked, Config, Exchange, Link, Output, PeerAddr};
//! use bruit_core::{Audience, Endpoint, Seed, Timestamp};
//!
//! let mut exchange: Exchange<u32> = Exchange::new(Config::default().validate()?, Seed::from_number(1));
//! let now = Timestamp::from_secs(1_800_000_000);
//!
//! // We dialled peer 1: it is asked at once. Peer 2 dialled us, and asks.
//! let seen_at = |last| Endpoint::tcp([9, 8, 7, last].into(), 4001);
//! exchange.peer_connected(1, Link { is_dialled: true, seen_at: seen_at(1) }, now);
//! assert_eq!(exchange.poll_output(now), Some(Output::Ask(1)));
//! exchange.peer_connected(2, Link { is_dialled: false, seen_at: seen_at(2) }, now);
//! assert_eq!(exchange.asked(2, 0, now), Asked::Needed(Audience::Internet));
//!
//! // The owner draws a sample from its address book.
//! let sample = vec![PeerAddr::new(None, vec![seen_at(3)], None)];
//! assert_eq!(exchange.sampled(2, sample, now).len(), 1);
//! # Ok::<(), bruit_addr_exchange::ConfigError>(())
//! ```

#[cfg(feature = "behaviour")]
mod behaviour;
mod config;
mod engine;
#[cfg(feature = "behaviour")]
mod event;
mod message;
mod record;

#[cfg(feature = "behaviour")]
pub use behaviour::{AskError, Behaviour, RequestId};
pub use config::{
    Admission, AnswerOrder, AnswersPerConnection, AskWhom, Config, ConfigError, Confirm, NeighboursFor, OwnAnnounce,
    ValidConfig,
};
pub use engine::{
    Ask, AskRefusal, Asked, BookSize, Connected, DialBack, Exchange, Link, Output, OwnView, PeerHello, Taken,
};
#[cfg(feature = "behaviour")]
pub use event::{Event, FailReason};
pub use message::{
    PeerAddr, Read, Request, answer_from_wire, answer_to_wire, neighbours_from_wire, neighbours_to_wire,
    request_from_wire, request_to_wire,
};
pub use record::{RecordError, SignedRecord};

pub use bruit_core::{Audience, Conduct, Endpoint, NetGroup, NetworkId, PeerId, Seed, Timestamp};
