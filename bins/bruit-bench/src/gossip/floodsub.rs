use bytes::Bytes;
use libp2p::{
    PeerId,
    floodsub::{Behaviour, Event, Topic},
    identity::Keypair,
};

use super::{
    board::Board,
    relay::{Relay, TOPIC, Told},
};

impl Relay for Behaviour {
    type Settings = ();

    fn make(key: &Keypair, (): &()) -> anyhow::Result<Self> {
        let mut flood = Self::new(key.public().to_peer_id());
        flood.subscribe(Topic::new(TOPIC));
        Ok(flood)
    }

    fn publish(&mut self, payload: Bytes) -> anyhow::Result<bool> {
        Self::publish(self, Topic::new(TOPIC), payload);
        Ok(true)
    }

    fn on_event(&mut self, event: Event, _: &Board) -> Told {
        match event {
            Event::Message(message) => Told::Message(message.data),
            Event::Subscribed { .. } => Told::Ready,
            Event::Unsubscribed { .. } => Told::Nothing,
        }
    }

    fn connected(&mut self, peer: PeerId) {
        self.add_node_to_partial_view(peer);
    }
}
