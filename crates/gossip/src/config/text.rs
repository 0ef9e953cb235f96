//! How settings are written where a type's own form would not do.

/// A duration as whole milliseconds; the field's name says so.
pub(super) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// Settings that may be refused, in a form that survives formats without a null.
pub(super) mod other_topics {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::TopicConfig;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum OtherTopics {
        Refuse,
        Allow(TopicConfig),
    }

    pub(crate) fn serialize<S: Serializer>(config: &Option<TopicConfig>, serializer: S) -> Result<S::Ok, S::Error> {
        config.map_or(OtherTopics::Refuse, OtherTopics::Allow).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TopicConfig>, D::Error> {
        Ok(match OtherTopics::deserialize(deserializer)? {
            OtherTopics::Refuse => None,
            OtherTopics::Allow(config) => Some(config),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use crate::{Carry, Config, Policy, SeenEviction, Topic, TopicConfig};

    #[test]
    fn settings_survive_the_way_through_text() {
        let topic = TopicConfig { expiry: Duration::from_millis(1_500), ..TopicConfig::default() };
        let topics = BTreeMap::from([(Topic::new("blocks").unwrap(), topic)]);
        for other_topics in [None, Some(topic)] {
            let config = Config { topics: topics.clone(), other_topics, ..Config::default() };
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        }
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn settings_are_written_as_people_would() {
        let text = r#"
            seen_keep_ms = 2_400_000
            seen_eviction = "fifo"
            other_topics = "refuse"
            [topics.blocks]
            policy = { fanout = { peers = 4, rounds = 5 } }
            carry = "subscribers"
        "#;
        let config = toml::from_str::<Config>(text).unwrap();
        let policy = Policy::Fanout { peers: 4, rounds: 5 };
        let blocks = TopicConfig { policy, carry: Carry::Subscribers, ..TopicConfig::default() };
        assert_eq!(config.topics.get("blocks"), Some(&blocks));
        assert_eq!(config.seen_eviction, SeenEviction::Fifo);
        assert_eq!((config.seen_keep, config.other_topics), (Duration::from_secs(2_400), None));
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        for text in ["fanuot = 1", "[topics.a]\ncary = 1", "[other_topics.allow]\ncary = 1"] {
            let error = toml::from_str::<Config>(text).unwrap_err().to_string();
            assert!(error.contains("fanuot") || error.contains("cary"), "{error}");
        }
    }
}
