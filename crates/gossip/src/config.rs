use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bruit_core::SLOTS_MAX;
use bruit_wire::{
    FRAME_MAX,
    limits::{PAYLOAD_BYTES_MAX, SUBSCRIPTIONS_MAX, WANTED_MAX},
};

use crate::Topic;

pub(crate) mod policy;
mod rates;
#[cfg(feature = "serde")]
mod text;

pub use policy::{Dandelion, Infection, Inner, NeighbourCast, Policy, PolicyNameError, Proxy, SqrtAnnounce, Tree};
pub use rates::{Rate, Rates};

/// The largest round limit that a policy may set.
pub const ROUNDS_MAX: u32 = 32;

/// What a node does with items, for all topics together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// What is particular to each topic.
    pub topics: BTreeMap<Topic, TopicConfig>,
    /// What holds for every topic not named in `topics`; `None` refuses them. By default they are carried among their
    /// subscribers, so that a node is nobody's relay for what it never heard of.
    ///
    /// As text: `other_topics = "refuse"`, or a table `other_topics.allow`.
    #[cfg_attr(feature = "serde", serde(with = "text::other_topics"))]
    pub other_topics: Option<TopicConfig>,
    /// How many peers at most. Default 576: 32 outbound and 150 inbound peers (Factom's figures), 256 named ones, 80 dials and room;
    /// at most 4,096.
    pub peers_max: usize,
    /// How many topics a peer, and this node, may subscribe to. Default and largest value 128: one control frame's limit.
    pub subscriptions_max: usize,
    /// How many ids are remembered. Default 100,000: Iron Fish's filter. About 150 bytes each once they are there.
    pub seen_entries_max: usize,
    /// For how long an id is remembered. Default 20 minutes: twice the default expiry, so that no item can come back.
    #[cfg_attr(feature = "serde", serde(rename = "seen_keep_ms", with = "text::millis"))]
    pub seen_keep: Duration,
    /// What is forgotten first when there is no room for another id.
    pub seen_eviction: SeenEviction,
    /// How many items may await a verdict. Default 4,096: ten seconds of 400 a second.
    pub pending_items_max: usize,
    /// How many bytes may await a verdict. From a quarter of it, or of `pending_items_max`, the reader of who used most is
    /// paused until an eighth is left; a single peer gets half. Default 16 MiB, a guess: a sixth of a loaded node's memory.
    pub pending_bytes_max: usize,
    /// How long an item waits for its verdict before it is ignored. Default 10 s: a guess, above what checking a block takes.
    #[cfg_attr(feature = "serde", serde(rename = "verdict_timeout_ms", with = "text::millis"))]
    pub verdict_timeout: Duration,
    /// How many bytes of items that came at their last round are held for a later copy with rounds left. Default 4 MiB.
    pub held_bytes_max: usize,
    /// For how long they are held. Default 10 s: six hops of 300 ms, five times over.
    #[cfg_attr(feature = "serde", serde(rename = "held_for_ms", with = "text::millis"))]
    pub held_for: Duration,
    /// How long an item that the application holds may wait for what it depends on. Default 60 s: Casper.
    #[cfg_attr(feature = "serde", serde(rename = "hold_timeout_ms", with = "text::millis"))]
    pub hold_timeout: Duration,
    /// For how long an item that spreads by announcements is kept for those who ask for it. Default 30 s, a guess: five
    /// sources of 5 s in turn, and a margin.
    #[cfg_attr(feature = "serde", serde(rename = "serve_for_ms", with = "text::millis"))]
    pub serve_for: Duration,
    /// How many bytes of them at most. Default 16 MiB, a guess: 80 of the largest items.
    pub serve_bytes_max: usize,
    /// For how long an announced item is looked for. Default 30 s, as it is served.
    #[cfg_attr(feature = "serde", serde(rename = "fetch_for_ms", with = "text::millis"))]
    pub fetch_for: Duration,
    /// How many announced items are looked for at a time. Default 8,192: 300 bytes each once they are there.
    pub fetches_max: usize,
    /// How many of them a single peer may have been the first to announce. Default 1,024.
    pub announced_max: u32,
    /// How many items a single peer is asked for at a time. Default 16: Bitcoin's blocks in flight.
    pub wants_max: u32,
    /// How much a single peer may bring.
    pub rates: Rates,
    /// Whether [`Event::Finished`](crate::Event::Finished) is told. Default no: it is one event more for every item.
    pub finished_events: bool,
    /// How many of the newest steps of all items together are kept for [`Engine::explain`](crate::Engine::explain). Default
    /// 8,192, a guess: 256 KiB once they are there, and some minutes of a quiet node; 0 keeps none.
    pub explain_steps_max: usize,
    /// How many bytes may wait for one slow peer before copies to it are refused, 64 more counted for each. Default 4 MiB, a
    /// guess: sixteen of the longest frames.
    pub outbox_bytes_max: usize,
}

/// What a node does with the items of one topic. All nodes of a network should agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct TopicConfig {
    /// How items spread. [`Policy::Tree`].
    pub policy: Policy,
    /// Who relays them.
    pub carry: Carry,
    /// Who judges them before they are relayed.
    pub validation: Validation,
    /// The largest payload, in bytes. Default and largest value 192 KiB: with its surroundings it fits one frame.
    pub size_max: usize,
    /// After what time nobody relays an item any more. Default 10 minutes: clocks of honest nodes may be that wrong.
    #[cfg_attr(feature = "serde", serde(rename = "expiry_ms", with = "text::millis"))]
    pub expiry: Duration,
    /// What is written first to a peer that is slow.
    pub priority: Priority,
    /// Whom policies take that choose some of the peers: `fanout`, `one`, `sqrt_announce`, and the exact `infection`.
    pub choice: Choice,
    /// Whether authors sign.
    pub signatures: Signatures,
}

/// Whether the authors of a topic's items sign them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Signatures {
    /// Authors are a claim. Signatures are neither made, checked nor relayed.
    #[default]
    Off,
    /// Every item is signed by the author that it names. Who relays it has checked that, once, after looking whether the item
    /// is known: one check of an Ed25519 signature for each new item.
    Required,
}

/// Whom a policy takes that chooses some of the peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Choice {
    /// Any, all equally likely.
    #[default]
    Any,
    /// Half of them [validators](crate::PeerClass::Validator) and half others; a coin says who gets the odd one. What one
    /// class lacks the other gives. Casper's rule: among many others, three drawn from all would often miss every validator.
    Mixed,
}

/// Which id is forgotten before its time when there is no room for another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum SeenEviction {
    /// The oldest of whoever brought most. Who floods unique ids flushes its own.
    #[default]
    Quotas,
    /// The oldest of all, as in Iron Fish. Who floods unique ids flushes everybody's, so that old items can come back.
    Fifo,
}

/// Who relays the items of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Carry {
    /// Every node, subscribed or not. Nodes that are not subscribed relay unjudged.
    #[default]
    Everybody,
    /// Subscribers, to each other.
    Subscribers,
}

/// Who judges the items of a topic before they are relayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Validation {
    /// The application, by a verdict.
    #[default]
    Application,
    /// Nobody: every item is accepted as it comes.
    Automatic,
}

/// What is written first to a peer that is slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Priority {
    /// Before all else.
    High,
    /// In between.
    #[default]
    Normal,
    /// After all else.
    Low,
}

/// A configuration that was checked; cheap to clone.
#[derive(Clone, Debug)]
pub struct ValidConfig(Arc<Config>);

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number is outside its bounds.
    #[error("{field} is {value}, but must be from {min} to {max}")]
    OutOfBounds {
        /// The field.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
    /// The engine does not know a policy yet.
    #[error("the policy {0} is not built yet")]
    NotBuilt(&'static str),
    /// Ids would be forgotten before their items expire.
    #[error("seen_keep must be at least twice the longest expiry, {needed:?}, so that no item can come back")]
    SeenTooShort {
        /// The least it may be.
        needed: Duration,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            topics: BTreeMap::new(),
            other_topics: Some(TopicConfig { carry: Carry::Subscribers, ..TopicConfig::default() }),
            peers_max: 576,
            subscriptions_max: SUBSCRIPTIONS_MAX as usize,
            seen_entries_max: 100_000,
            seen_keep: Duration::from_secs(20 * 60),
            seen_eviction: SeenEviction::default(),
            pending_items_max: 4_096,
            pending_bytes_max: 16 << 20,
            verdict_timeout: Duration::from_secs(10),
            held_bytes_max: 4 << 20,
            held_for: Duration::from_secs(10),
            hold_timeout: Duration::from_secs(60),
            serve_for: Duration::from_secs(30),
            serve_bytes_max: 16 << 20,
            fetch_for: Duration::from_secs(30),
            fetches_max: 8_192,
            announced_max: 1_024,
            wants_max: 16,
            rates: Rates::default(),
            finished_events: false,
            explain_steps_max: 8_192,
            outbox_bytes_max: 4 << 20,
        }
    }
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            carry: Carry::default(),
            validation: Validation::default(),
            size_max: PAYLOAD_BYTES_MAX,
            expiry: Duration::from_secs(10 * 60),
            priority: Priority::default(),
            choice: Choice::default(),
            signatures: Signatures::default(),
        }
    }
}

impl Config {
    /// Checks every number against its bounds, and the numbers against each other.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        within("peers_max", self.peers_max, 1, SLOTS_MAX)?;
        within("subscriptions_max", self.subscriptions_max, 1, SUBSCRIPTIONS_MAX as usize)?;
        within("seen_entries_max", self.seen_entries_max, 16, 100_000_000)?;
        within("pending_items_max", self.pending_items_max, 2, self.seen_entries_max)?;
        within("pending_bytes_max", self.pending_bytes_max, 2 * PAYLOAD_BYTES_MAX + 4_096, 1 << 32)?;
        within("held_bytes_max", self.held_bytes_max, 0, 1 << 32)?;
        within("outbox_bytes_max", self.outbox_bytes_max, FRAME_MAX + 1_024, 1 << 32)?;
        within("explain_steps_max", self.explain_steps_max, 0, 1 << 24)?;
        within("serve_bytes_max", self.serve_bytes_max, 2 * PAYLOAD_BYTES_MAX + 4_096, 1 << 32)?;
        within("fetches_max", self.fetches_max, 1, 1 << 24)?;
        within("announced_max", self.announced_max as usize, 1, self.fetches_max)?;
        within("wants_max", self.wants_max as usize, 1, WANTED_MAX)?;
        self.rates.validate()?;
        let mut longest = self.verdict_timeout.saturating_add(self.hold_timeout).saturating_add(self.held_for);
        longest = longest.saturating_add(self.serve_for);
        for topic in self.topics.values().chain(&self.other_topics) {
            topic.policy.validate()?;
            within("size_max", topic.size_max, 1, PAYLOAD_BYTES_MAX)?;
            longest = longest.max(topic.expiry.saturating_mul(2));
        }
        if self.seen_keep < longest {
            return Err(ConfigError::SeenTooShort { needed: longest });
        }
        Ok(ValidConfig(Arc::new(self)))
    }
}

impl ValidConfig {
    /// What holds for a topic; `None` if its items are refused.
    pub fn topic(&self, topic: &Topic) -> Option<&TopicConfig> {
        self.0.topics.get(topic).or(self.0.other_topics.as_ref())
    }
}

impl std::ops::Deref for ValidConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

fn within(field: &'static str, value: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfBounds { field, value: value as u64, min: min as u64, max: max as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_valid_and_bounds_hold() {
        Config::default().validate().unwrap();
        assert_eq!(refused(|c| c.peers_max = 4_097), "peers_max is 4097, but must be from 1 to 4096");
        assert_eq!(refused(|c| c.subscriptions_max = 129), "subscriptions_max is 129, but must be from 1 to 128");
        let zero = TopicConfig { policy: Policy::Fanout { peers: 16, rounds: 0 }, ..TopicConfig::default() };
        assert_eq!(refused(|c| c.other_topics = Some(zero)), "policy.rounds is 0, but must be from 1 to 32");
        let large = TopicConfig { size_max: PAYLOAD_BYTES_MAX + 1, ..TopicConfig::default() };
        assert_eq!(refused(|c| c.other_topics = Some(large)), "size_max is 196609, but must be from 1 to 196608");
        assert!(refused(|c| c.seen_keep = Duration::from_secs(1_199)).contains("1200s"));
    }

    #[test]
    fn a_topic_has_its_own_settings_or_the_common_ones_or_none() {
        let named = TopicConfig { size_max: 7, ..TopicConfig::default() };
        let [blocks, news] = ["blocks", "news"].map(|name| Topic::new(name).unwrap());
        let mut config = Config { topics: BTreeMap::from([(blocks.clone(), named)]), ..Config::default() };
        let open = config.clone().validate().unwrap();
        assert_eq!(open.topic(&blocks), Some(&named));
        assert_eq!(open.topic(&news).unwrap().carry, Carry::Subscribers);
        config.other_topics = None;
        assert_eq!(config.validate().unwrap().topic(&news), None);
    }
}
