//! Policies as text: a name, or a name with settings.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, de};

use super::{DIFFUSION_MEAN, Dandelion, Infection, NeighbourCast, Policy, Proxy, SqrtAnnounce, Tree};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum WithSettings {
    Fanout {
        #[serde(default = "sixteen")]
        peers: u32,
        #[serde(default = "six")]
        rounds: u32,
    },
    All {
        #[serde(default = "six")]
        rounds: u32,
    },
    One {
        #[serde(default = "once")]
        rounds: u32,
    },
    Flood {
        #[serde(default, rename = "delay_ms", with = "crate::config::text::millis")]
        delay: Duration,
    },
    SqrtAnnounce(SqrtAnnounce),
    Infection(Infection),
    NeighbourCast(NeighbourCast),
    Diffusion {
        #[serde(default = "diffusion_mean", rename = "mean_ms", with = "crate::config::text::millis")]
        mean: Duration,
    },
    Proxy(Proxy),
    Dandelion(Dandelion),
    Tree(Tree),
}

const fn sixteen() -> u32 {
    16
}

const fn six() -> u32 {
    6
}

const fn once() -> u32 {
    1
}

const fn diffusion_mean() -> Duration {
    DIFFUSION_MEAN
}

impl From<WithSettings> for Policy {
    fn from(settings: WithSettings) -> Self {
        match settings {
            WithSettings::Fanout { peers, rounds } => Self::Fanout { peers, rounds },
            WithSettings::All { rounds } => Self::All { rounds },
            WithSettings::One { rounds } => Self::One { rounds },
            WithSettings::Flood { delay } => Self::Flood { delay },
            WithSettings::SqrtAnnounce(settings) => Self::SqrtAnnounce(settings),
            WithSettings::Infection(settings) => Self::Infection(settings),
            WithSettings::NeighbourCast(settings) => Self::NeighbourCast(settings),
            WithSettings::Diffusion { mean } => Self::Diffusion { mean },
            WithSettings::Proxy(settings) => Self::Proxy(settings),
            WithSettings::Dandelion(settings) => Self::Dandelion(settings),
            WithSettings::Tree(settings) => Self::Tree(settings),
        }
    }
}

struct PolicyVisitor;

impl<'de> de::Visitor<'de> for PolicyVisitor {
    type Value = Policy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a policy, or a table with its settings")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Policy, E> {
        name.parse().map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Policy, A::Error> {
        WithSettings::deserialize(de::value::MapAccessDeserializer::new(map)).map(Policy::from)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PolicyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize, serde::Serialize)]
    struct Settings {
        policy: Policy,
    }

    #[test]
    fn every_policy_survives_the_way_through_text_and_may_be_a_name_alone() {
        for name in Policy::NAMES {
            let settings = Settings { policy: name.parse().unwrap() };
            let text = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings, "{text}");
            assert_eq!(toml::from_str::<Settings>(&format!("policy = {name:?}")).unwrap(), settings);
            assert_eq!(toml::from_str::<Settings>(&format!("policy = {{ {name} = {{}} }}")).unwrap(), settings);
        }
    }

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_unknown_is_refused() {
        let read = |text: &str| toml::from_str::<Settings>(text).map(|settings| settings.policy);
        let policy = read("policy = { infection = { target = 5 } }").unwrap();
        assert_eq!(policy, Policy::Infection(Infection { target: 5, ..Infection::default() }));
        assert_eq!(read("policy = { fanout = { peers = 4 } }").unwrap(), Policy::Fanout { peers: 4, rounds: 6 });
        for text in ["policy = \"fanuot\"", "policy = { fanuot = {} }", "policy = { tree = { fanuot = 1 } }"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("fanuot"), "{error}");
        }
    }
}
