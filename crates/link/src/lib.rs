//! Long-lived framed streams between two peers: what the hot protocols share.
//!
//! This crate decides how frames travel: which connection writes a lane, how many bytes may wait for a peer, how frames are
//! put into writes and taken out of reads. It does not know what a frame means, whom to admit, or what nonsense costs a peer.
//! It assumes that an owner (a `NetworkBehaviour`) forwards its callbacks to [`Links`] and polls it.
//!
//! A protocol declares one to four lanes, each a substream of its own in each direction, opened by a `LaneOpen` frame. Frames
//! of a lane arrive in order while its connection lasts, and at most once; what is lost is counted and told.
//!
//! ```
//! use bruit_core::Timestamp;
//! use bruit_link::{Admission, Config, Frame, Links, Protocol, Push};
//! use bruit_wire::pb;
//! use libp2p_swarm::StreamProtocol;
//!
//! let protocol = Protocol { names: vec![StreamProtocol::new("/example/1")], lanes: 2 };
//! let mut links = Links::new(protocol, Config::default().validate()?, Admission::Automatic);
//!
//! // The owner's callbacks make handlers; its `poll` takes `Event::Up { slot, .. }` and the rest out of `links.poll(cx)`.
//! let peer = bruit_core::PeerId::random();
//! let handler = links.handle_established_connection(libp2p_swarm::ConnectionId::new_unchecked(1), peer)?;
//! assert_eq!(links.slot(&peer), None);
//!
//! // A push never waits: it says at once what became of the frame.
//! let frame = Frame::new(0, bruit_wire::frame(&pb::LaneOpen { lane: 7 }));
//! let nobody = bruit_core::Slot::new(9, 9);
//! assert!(matches!(links.push(nobody, frame, Timestamp::from_secs(1)), Push::NoSuchPeer(_)));
//! # drop(handler);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod behaviour;
mod config;
mod event;
mod frame;
mod handler;
mod links;
mod outbox;
mod pool;
mod reader;
mod room;
mod shared;
mod upgrade;
mod writer;

pub use behaviour::Behaviour;
pub use config::{Admission, Config, ConfigError, LANES_MAX, Protocol, ValidConfig};
pub use event::{Broken, Event};
pub use frame::{FRAME_OVERHEAD, Frame, Priority, Push, Tally, Traffic};
pub use handler::{Handler, HandlerEvent, OpenInfo};
pub use links::{Links, RefusedError};
pub use upgrade::LaneUpgrade;
