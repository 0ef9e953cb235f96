use anyhow::bail;
use bruit_core::Seed;
use bruit_gossip::{
    Admission, Behaviour, Config, Event, NetworkId, PeerId, PublishError, Topic, TopicConfig, Validation, Verdict,
};
use bytes::Bytes;
use libp2p::identity::Keypair;

use super::{
    board::Board,
    payload::{Head, is_signed},
    relay::{Relay, TOPIC, Told},
};

/// How our networks differ.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) topic: TopicConfig,
    pub(crate) is_signed: bool,
}

impl Relay for Behaviour {
    type Settings = Settings;
    const SIGNS_IN_PAYLOAD: bool = true;

    fn make(key: &Keypair, settings: &Settings) -> anyhow::Result<Self> {
        let validation = if settings.is_signed { Validation::Application } else { Validation::Automatic };
        let default = Config::default();
        let common = default.other_topics.unwrap_or_default();
        let topic = TopicConfig { validation, carry: common.carry, ..settings.topic };
        let config = Config { other_topics: Some(topic), ..default }.validate()?;
        let seed = Seed::from_number(0).keyed_hash(&key.public().to_peer_id().to_bytes());
        let network = NetworkId::new("bench")?;
        let mut gossip = Self::new(&network, config, Seed::from_number(seed), Admission::Automatic);
        gossip.subscribe(Topic::new(TOPIC)?)?;
        Ok(gossip)
    }

    fn publish(&mut self, payload: Bytes) -> anyhow::Result<bool> {
        match Self::publish(self, Topic::new(TOPIC)?, payload) {
            Ok(_) => Ok(true),
            Err(PublishError::NoPeers) => Ok(false),
            Err(error) => bail!(error),
        }
    }

    fn on_event(&mut self, event: Event<PeerId>, board: &Board) -> Told {
        match event {
            Event::Item { payload, deadline: None, .. } => Told::Message(payload),
            Event::Item { id, payload, .. } => {
                let key = Head::read(&payload).and_then(|head| board.keys.get(head.publisher));
                let is_good = key.is_some_and(|key| is_signed(&payload, key));
                self.report(id, if is_good { Verdict::Accept } else { Verdict::Reject });
                if is_good { Told::Message(payload) } else { Told::Nothing }
            }
            Event::PeerSubscribed { .. } => Told::Ready,
            Event::FrameRefused { .. } => Told::Refused(1),
            Event::FramesLost { frames, .. } => Told::Refused(frames),
            _ => Told::Nothing,
        }
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let stats = self.stats();
        vec![
            ("copies", stats.copies_received),
            ("duplicates", stats.duplicates),
            ("ids", stats.ids_received),
            ("announcements", stats.announcements_received),
            ("wants", stats.wants_sent),
            ("answers", stats.wants_answered),
            ("parents changed", stats.trees_mended),
            ("parents dropped", stats.trees_pruned),
        ]
    }
}
