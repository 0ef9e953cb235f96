use std::collections::BTreeMap;

use bruit_stack::{
    Profile,
    gossip::{self, Policy, Topic, TopicConfig},
};

use crate::config::{Carry, Config, ConfigError, TopicSettings, schema};

impl Config {
    /// The settings of a profile.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn of_profile(name: &str) -> Result<Self, ConfigError> {
        let profile = profile_of(name)?;
        let stack = profile.config();
        Ok(Self {
            profile: name.to_owned(),
            ephemeral_identity: profile.has_ephemeral_identity(),
            outbound: stack.peering.outbound_target,
            inbound_max: stack.peering.inbound_max,
            book: stack.book,
            exchange: stack.exchange,
            peering: stack.peering,
            gossip: stack.gossip,
            rpc: stack.rpc,
            ..Self::default()
        })
    }

    /// The settings of the protocols.
    pub(crate) fn stack(&self) -> Result<bruit_stack::Config, ConfigError> {
        let mut stack = profile_of(&self.profile)?.config();
        stack.allow_private_addrs = self.allow_private_addrs;
        stack.book = self.book.clone();
        stack.exchange = self.exchange.clone();
        stack.peering = self.peering.clone();
        stack.rpc = self.rpc.clone();
        stack.peering.outbound_target = self.outbound;
        stack.peering.inbound_max = self.inbound_max;
        let common = TopicSettings { carry: Some(self.carry), ..TopicSettings::default() };
        // What the profile says holds where the configuration says nothing else.
        let by_profile = std::mem::take(&mut stack.gossip);
        let common_by_profile = by_profile.other_topics.unwrap_or_default();
        let mut topics = if self.policy.is_some() { BTreeMap::new() } else { by_profile.topics };
        for (name, settings) in &self.topics {
            let topic = Topic::new(name).map_err(|error| ConfigError::Unworkable {
                key: format!("topics.{name}"),
                reason: error.to_string(),
            })?;
            let by_profile = topics.get(&topic).copied().unwrap_or(common_by_profile);
            topics.insert(topic, self.topic(*settings, by_profile));
        }
        stack.gossip =
            gossip::Config { topics, other_topics: Some(self.topic(common, common_by_profile)), ..self.gossip.clone() };
        Ok(stack)
    }

    fn topic(&self, settings: TopicSettings, by_profile: TopicConfig) -> TopicConfig {
        let peers = settings.fanout.unwrap_or(self.fanout);
        let rounds = settings.rounds.unwrap_or(self.rounds);
        let carry = match settings.carry.unwrap_or(self.carry) {
            Carry::Everybody => gossip::Carry::Everybody,
            Carry::Subscribers => gossip::Carry::Subscribers,
        };
        let policy = self.policy.unwrap_or(by_profile.policy);
        let is_fanout = settings.fanout.is_some() || matches!(policy, Policy::Fanout { .. });
        let policy = if is_fanout { Policy::Fanout { peers, rounds } } else { policy };
        let signatures = settings.signatures.unwrap_or(by_profile.signatures);
        TopicConfig { policy, carry, signatures, ..by_profile }
    }
}

fn profile_of(name: &str) -> Result<Profile, ConfigError> {
    name.parse().map_err(|_| {
        let nearest = schema::nearest(name, Profile::ALL.into_iter().map(|profile| profile.name().to_owned()));
        ConfigError::UnknownProfile { name: name.to_owned(), nearest }
    })
}
