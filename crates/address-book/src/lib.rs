//! Who is out there and how good they are.
//!
//! This crate decides which endpoints a node remembers, which one to dial next, which ones to tell others, and what a peer's
//! conduct makes of its quality. It does not decide when to dial, how many connections to keep, or how addresses travel; it
//! reads no clock, opens no file and knows no network: its owner tells it facts, and stores what [`AddressBook::changes`] gives.
//! With feature `behaviour`, `Behaviour` does the telling in a libp2p swarm, whose own dialling then asks the book.
//!
//! Endpoints are kept in two tables after Bitcoin Core's design: *new* holds what was heard, *tried* what this node reached.
//! A secret decides an endpoint's place, so that nobody can aim at a place; and whoever tells addresses from one part of the
//! internet fills at most 64 of 1,024 buckets of *new*, and none of *tried*.
//!
//! ```
//! use bruit_address_book::{AddressBook, Config, Hearsay, Heard, Seed, Source, Succeeded, Timestamp, Wanted};
//! use bruit_core::{Endpoint, PeerId};
//!
//! let mut book = AddressBook::new(Config::default().validate()?, Seed::from_number(1));
//! let now = Timestamp::from_secs(1_800_000_000);
//!
//! // The operator names a seed, and one peer tells of another.
//! let seed = Endpoint::tcp([9, 8, 7, 6].into(), 4001);
//! let news = Hearsay { peer: None, endpoint: seed.clone(), last_seen: None, source: Source::Seed };
//! assert_eq!(book.heard(news, now), Heard::Added);
//!
//! // Whom to dial? The one there is. Whoever answers is who lives there.
//! let choice = book.select(Wanted::Any, |_| true, now).expect("the book holds an endpoint");
//! assert_eq!((choice.endpoint, choice.peer), (seed.clone(), None));
//! let peer: PeerId = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq".parse()?;
//! book.dial_started(&seed, now);
//! assert_eq!(book.dial_succeeded(&seed, peer, now), Succeeded::Tried);
//!
//! // What shall survive a restart?
//! let stored = book.changes().into_records();
//! let mut restarted = AddressBook::new(Config::default().validate()?, Seed::from_number(1));
//! assert_eq!(restarted.restore(stored, now).entries, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asn;
mod bans;
#[cfg(feature = "behaviour")]
mod behaviour;
mod book;
mod config;
mod net;
mod quality;
mod records;
mod view;

pub use asn::{AsnMap, AsnMapError};
pub use bans::{
    Ban, BanReason, BanSource, BanSubject, BanSubjectError, Banned, BansFullError, Evidence, Severity, Unbanned,
};
#[cfg(feature = "behaviour")]
pub use behaviour::{Behaviour, Event};
pub use book::{
    AddressBook, Called, Candidate, Choice, ChoiceExplanation, ChoicePart, ChoiceReason, Failed, Heard, HeardRefusal,
    Hearsay, Rebound, Resolved, Sample, SampleOrder, SampleRules, Shareable, Source, Succeeded, Wanted, Without,
};
pub use config::{Config, ConfigError, ValidConfig};
pub use net::{IpNet, IpNetError};
pub use quality::{MethodView, Part, PartValue, Quality, Standing};
pub use records::{Changes, EntryRecord, FORMAT_VERSION, PeerRecord, Records, RestoreReport};
pub use view::{Counts, EntryView, Explanation, QualityChange, Table};

pub use bruit_core::{AddrPolicy, AddrRefusal, Audience, Conduct, Endpoint, NetGroup, PeerId, Seed, Timestamp};
