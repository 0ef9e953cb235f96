use std::collections::BTreeMap;

use bruit_stack::{
    Profile,
    gossip::{self, Policy, Topic, TopicConfig},
};

use crate::config::{Carry, Config, ConfigError, TopicSettings};

impl Config {
    /// The settings of the protocols.
    pub(crate) fn stack(&self) -> Result<bruit_stack::Config, ConfigError> {
        let profile: Profile = self.profile.parse().map_err(|_| ConfigError::ProfileNotFilled(self.profile.clone()))?;
        let mut stack = profile.config().map_err(|_| ConfigError::ProfileNotFilled(self.profile.clone()))?;
        stack.allow_private_addrs = self.allow_private_addrs;
        stack.book = self.book.clone();
        stack.exchange = self.exchange.clone();
        stack.peering = self.peering.clone();
        stack.rpc = self.rpc.clone();
        stack.peering.outbound_target = self.outbound;
        stack.peering.inbound_max = self.inbound_max;
        let common = TopicSettings { carry: Some(self.carry), ..TopicSettings::default() };
        let mut topics = BTreeMap::new();
        for (name, settings) in &self.topics {
            let topic = Topic::new(name).map_err(|error| ConfigError::Unworkable {
                key: format!("topics.{name}"),
                reason: error.to_string(),
            })?;
            topics.insert(topic, self.topic(*settings));
        }
        stack.gossip = gossip::Config { topics, other_topics: Some(self.topic(common)), ..self.gossip.clone() };
        Ok(stack)
    }

    fn topic(&self, settings: TopicSettings) -> TopicConfig {
        let peers = settings.fanout.unwrap_or(self.fanout);
        let rounds = settings.rounds.unwrap_or(self.rounds);
        let carry = match settings.carry.unwrap_or(self.carry) {
            Carry::Everybody => gossip::Carry::Everybody,
            Carry::Subscribers => gossip::Carry::Subscribers,
        };
        TopicConfig { policy: Policy::Fanout { peers, rounds }, carry, ..TopicConfig::default() }
    }
}
