use bytes::Bytes;
use libp2p::{identity::Keypair, swarm::NetworkBehaviour};

use super::board::Board;

/// What is measured: something that carries messages through a network.
pub(crate) trait Relay: NetworkBehaviour + Sized + Send {
    /// What distinguishes one network of it from another.
    type Settings: Clone + Send;
    /// Whether signatures are in the payload, made and checked by us.
    const SIGNS_IN_PAYLOAD: bool = false;

    /// Makes a node's part, which wants the one topic that there is.
    fn make(key: &Keypair, settings: &Self::Settings) -> anyhow::Result<Self>;

    /// False when there is no room now.
    fn publish(&mut self, payload: Bytes) -> anyhow::Result<bool>;

    /// What an event of it means. Whatever must be judged is judged here.
    fn on_event(&mut self, event: Self::ToSwarm, board: &Board) -> Told;

    /// What it has done since its start, by name; the same names each time.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// A connection stands.
    fn connected(&mut self, _peer: libp2p::PeerId) {}
}

/// What an event says.
#[derive(Debug)]
pub(crate) enum Told {
    /// A message, for the first time.
    Message(Bytes),
    /// A peer wants the topic.
    Ready,
    /// So many frames did not leave.
    Refused(u64),
    /// Nothing that counts.
    Nothing,
}

/// The one topic.
pub(crate) const TOPIC: &str = "bench";
