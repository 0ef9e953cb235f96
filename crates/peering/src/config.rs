use std::time::Duration;

use bruit_core::NetworkId;

/// How many connections to keep and how to behave while making them. Times are whole milliseconds when read from text
/// (`hello_timeout_ms = 1000`).
///
/// The numbers of connections and times are Factom's, Casper's and Iron Fish's where they agree with what their operators asked
/// for; the source stands at each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// How many peers to dial and keep. Factom: 32.
    pub outbound_target: usize,
    /// How many peers that dialled us to keep. Factom: 150.
    pub inbound_max: usize,
    /// How many connections beyond `inbound_max` are let in only to be told where else to go. Grin: 8.
    pub inbound_slack: usize,
    /// How many kept inbound peers may share one IP address. Casper: 3.
    pub inbound_per_ip_max: usize,
    /// How many dials may be under way at once. libp2p's own dial concurrency: 8.
    pub dials_max: usize,
    /// How many handshakes of inbound connections may be under way at once. Commonware allows 512.
    pub pending_inbound_max: usize,
    /// How many inbound connections from one IP address may be without a hello, handshakes included. Loopback is not counted. A
    /// guess: several nodes behind one router may start at once.
    pub strangers_per_ip_max: usize,
    /// How many from one group of addresses. A guess: an eighth of all handshakes.
    pub strangers_per_group_max: usize,
    /// How long a hello may take. Casper's handshake: 20 s; a foreign peer that stalls is gone sooner here.
    #[cfg_attr(feature = "serde", serde(rename = "hello_timeout_ms", with = "crate::config::millis"))]
    pub hello_timeout: Duration,
    /// How long a refused peer stays, to ask once for addresses.
    #[cfg_attr(feature = "serde", serde(rename = "refused_linger_ms", with = "crate::config::millis"))]
    pub refused_linger: Duration,
    /// The shortest time between two looks for somebody to dial. A guess: fast enough for a person who watches.
    #[cfg_attr(feature = "serde", serde(rename = "refill_interval_min_ms", with = "crate::config::millis"))]
    pub refill_interval_min: Duration,
    /// The longest time between two looks while nothing changes. Factom's replenish pass: 1 s; Iron Fish: 2 s.
    #[cfg_attr(feature = "serde", serde(rename = "refill_interval_max_ms", with = "crate::config::millis"))]
    pub refill_interval_max: Duration,
    /// The delay before the second dial of an endpoint that failed; doubles with each failure. Casper: 1 s.
    #[cfg_attr(feature = "serde", serde(rename = "backoff_base_ms", with = "crate::config::millis"))]
    pub backoff_base: Duration,
    /// The longest delay for a seed address or a manual peer, which are never given up.
    #[cfg_attr(feature = "serde", serde(rename = "backoff_manual_max_ms", with = "crate::config::millis"))]
    pub backoff_manual_max: Duration,
    /// The longest delay for all others.
    #[cfg_attr(feature = "serde", serde(rename = "backoff_max_ms", with = "crate::config::millis"))]
    pub backoff_max: Duration,
    /// How long a refused peer is asked to stay away. Iron Fish: 5 min.
    #[cfg_attr(feature = "serde", serde(rename = "stay_away_ms", with = "crate::config::millis"))]
    pub stay_away: Duration,
    /// The longest stay-away of a peer's goodbye that is honoured.
    #[cfg_attr(feature = "serde", serde(rename = "stay_away_honoured_max_ms", with = "crate::config::millis"))]
    pub stay_away_honoured_max: Duration,
    /// How many endpoints the backoff remembers; beyond, the one that ends first is forgotten.
    pub backoff_entries_max: usize,
    /// How many departures the history keeps.
    pub history_max: usize,
    /// How many manual peers and seed addresses there may be, each.
    pub manual_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            outbound_target: 32,
            inbound_max: 150,
            inbound_slack: 8,
            inbound_per_ip_max: 3,
            dials_max: 8,
            pending_inbound_max: 256,
            strangers_per_ip_max: 8,
            strangers_per_group_max: 32,
            hello_timeout: Duration::from_secs(10),
            refused_linger: Duration::from_secs(2),
            refill_interval_min: Duration::from_millis(250),
            refill_interval_max: Duration::from_secs(2),
            backoff_base: Duration::from_secs(1),
            backoff_manual_max: Duration::from_secs(5 * 60),
            backoff_max: Duration::from_secs(60 * 60),
            stay_away: Duration::from_secs(5 * 60),
            stay_away_honoured_max: Duration::from_secs(60 * 60),
            backoff_entries_max: 10_000,
            history_max: 256,
            manual_max: 256,
        }
    }
}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// More peers than slots can exist.
    #[error("outbound_target + inbound_max is {0}, more than 4088")]
    TooManyPeers(usize),
    /// Nobody could ever be dialled.
    #[error("dials_max is 0: nobody could be dialled")]
    NoDials,
    /// The shortest time is longer than the longest.
    #[error("{0} is longer than its maximum")]
    Interval(&'static str),
    /// A time of zero would make the node spin.
    #[error("{0} is zero")]
    Zero(&'static str),
}

/// A configuration that was checked, and the network it is for.
#[derive(Clone, Debug)]
pub struct ValidConfig {
    pub(crate) network: NetworkId,
    pub(crate) agent: String,
    pub(crate) config: Config,
}

const PEERS_MAX: usize = bruit_core::SLOTS_MAX - 8;
const AGENT_BYTES_MAX: usize = 64;

impl Config {
    /// Checks the configuration. `agent` is what a hello says of the software, cut at 64 bytes.
    pub fn validate(self, network: NetworkId, agent: &str) -> Result<ValidConfig, ConfigError> {
        let peers = self.outbound_target.saturating_add(self.inbound_max).saturating_add(self.inbound_slack);
        if peers > PEERS_MAX {
            return Err(ConfigError::TooManyPeers(peers));
        }
        if self.dials_max == 0 {
            return Err(ConfigError::NoDials);
        }
        if self.refill_interval_min > self.refill_interval_max {
            return Err(ConfigError::Interval("refill_interval_min"));
        }
        if self.backoff_base > self.backoff_max.min(self.backoff_manual_max) {
            return Err(ConfigError::Interval("backoff_base"));
        }
        let times = [
            ("hello_timeout", self.hello_timeout),
            ("refill_interval_min", self.refill_interval_min),
            ("backoff_base", self.backoff_base),
        ];
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(ConfigError::Zero(name));
        }
        let end = (0..=AGENT_BYTES_MAX.min(agent.len())).rev().find(|at| agent.is_char_boundary(*at)).unwrap_or(0);
        Ok(ValidConfig { network, agent: agent.get(..end).unwrap_or_default().to_owned(), config: self })
    }
}

/// Durations as whole milliseconds.
#[cfg(feature = "serde")]
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Config)) -> Result<ValidConfig, ConfigError> {
        let mut config = Config::default();
        change(&mut config);
        config.validate(NetworkId::new("test").unwrap(), "agent")
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert!(check(|_| ()).is_ok());
        assert!(check(|c| c.inbound_max = PEERS_MAX - 40).is_ok());
        assert_eq!(check(|c| c.inbound_max = PEERS_MAX).unwrap_err(), ConfigError::TooManyPeers(PEERS_MAX + 40));
        assert_eq!(check(|c| c.dials_max = 0).unwrap_err(), ConfigError::NoDials);
        assert_eq!(check(|c| c.hello_timeout = Duration::ZERO).unwrap_err(), ConfigError::Zero("hello_timeout"));
        assert_eq!(
            check(|c| c.refill_interval_min = Duration::from_secs(9)).unwrap_err(),
            ConfigError::Interval("refill_interval_min")
        );
    }

    #[test]
    fn the_agent_is_cut_between_characters() {
        let valid = Config::default().validate(NetworkId::new("test").unwrap(), &"ä".repeat(40)).unwrap();
        assert_eq!(valid.agent, "ä".repeat(32));
    }
}
