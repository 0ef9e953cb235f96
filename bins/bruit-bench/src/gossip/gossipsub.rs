use anyhow::{anyhow, bail};
use bytes::Bytes;
use libp2p::{
    gossipsub::{
        Behaviour, ConfigBuilder, Event, IdentTopic, Message, MessageAuthenticity, MessageId, PublishError,
        ValidationMode,
    },
    identity::Keypair,
};

use super::{
    board::Board,
    relay::{Relay, TOPIC, Told},
};

/// How networks of gossipsub differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) tuning: Tuning,
    pub(crate) is_signed: bool,
}

/// What is changed of the published defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tuning {
    /// Nothing.
    Defaults,
    /// No "I don't want": fewer control messages, more copies.
    NoIdontwant,
    /// Also, a publisher sends to its mesh only.
    NoFloodPublish,
    /// Also, a mesh of 4 peers (3 to 6) instead of 6 (5 to 12): fewer copies.
    SmallMesh,
}

impl Tuning {
    pub(crate) const ALL: [Self; 4] = [Self::Defaults, Self::NoIdontwant, Self::NoFloodPublish, Self::SmallMesh];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Defaults => "defaults",
            Self::NoIdontwant => "no_idontwant",
            Self::NoFloodPublish => "no_flood_publish",
            Self::SmallMesh => "small_mesh",
        }
    }

    fn apply(self, config: &mut ConfigBuilder) {
        if self != Self::Defaults {
            config.idontwant_message_size_threshold(usize::MAX);
        }
        if matches!(self, Self::NoFloodPublish | Self::SmallMesh) {
            config.flood_publish(false);
        }
        if self == Self::SmallMesh {
            config.mesh_outbound_min(2).mesh_n_low(3).mesh_n(4).mesh_n_high(6);
        }
    }
}

impl Relay for Behaviour {
    type Settings = Settings;

    fn make(key: &Keypair, settings: &Settings) -> anyhow::Result<Self> {
        let mut config = ConfigBuilder::default();
        // 64 KiB, the default, leaves no room for what is around a payload of 64 KiB.
        config.max_transmit_size(1024 * 1024);
        settings.tuning.apply(&mut config);
        let authenticity = if settings.is_signed {
            MessageAuthenticity::Signed(key.clone())
        } else {
            // Without a source the default id is the same for all messages; the payload's first bytes are cheaper than a hash.
            config.validation_mode(ValidationMode::Anonymous);
            config.message_id_fn(|message: &Message| MessageId::from(message.data.get(..16).unwrap_or_default()));
            MessageAuthenticity::Anonymous
        };
        let mut gossip: Self = Self::new(authenticity, config.build()?).map_err(|error| anyhow!(error))?;
        gossip.subscribe(&IdentTopic::new(TOPIC))?;
        Ok(gossip)
    }

    fn publish(&mut self, payload: Bytes) -> anyhow::Result<bool> {
        match Self::publish(self, IdentTopic::new(TOPIC), payload) {
            Ok(_) => Ok(true),
            Err(PublishError::AllQueuesFull(_) | PublishError::NoPeersSubscribedToTopic) => Ok(false),
            Err(error) => bail!(error),
        }
    }

    fn on_event(&mut self, event: Event, _: &Board) -> Told {
        match event {
            Event::Message { message, .. } => Told::Message(message.data.into()),
            Event::Subscribed { .. } => Told::Ready,
            Event::SlowPeer { failed_messages, .. } => {
                Told::Refused((failed_messages.priority + failed_messages.non_priority) as u64)
            }
            _ => Told::Nothing,
        }
    }
}
