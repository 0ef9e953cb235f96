//! A client of a Bruit node, written from `docs/protocol.md` and the schemas alone, with no crate of the project.
//!
//! It proves that the document says what is needed: [`Node`] connects, says hello and asks for addresses, [`Gossip`]
//! publishes and is delivered to, [`Rpc`] and [`Node::call`] call and serve. It is not a library for others: it has the
//! least of what a client needs, checks less than it should of what comes, and serves one caller at a time.

mod blake3;
mod frame;
mod gossip;
mod lanes;
mod node;
mod rpc;

/// The messages, made of `proto/bruit/v1` by the build script.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/bruit.v1.rs"));
}

pub use blake3::hash;
pub use gossip::{Gossip, Received, item_id};
pub use node::Node;
pub use rpc::Rpc;

pub use libp2p::{Multiaddr, PeerId};
pub use prost::{Message, bytes::Bytes};
