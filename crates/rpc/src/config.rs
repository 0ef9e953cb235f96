use std::{ops::Deref, time::Duration};

use bruit_core::SLOTS_MAX;
use bruit_wire::limits::{METHODS_MAX, PAYLOAD_BYTES_MAX};

use crate::message::Chunk;

/// The longest time that counts; a longer one is cut to it.
pub(crate) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Two of the largest chunks: while one is taken, the next can travel.
const STREAM_WINDOW_MIN: u32 = 2 * (PAYLOAD_BYTES_MAX as u32 + Chunk::OVERHEAD);

/// The settings of the room. Times are whole milliseconds when read from text (`try_timeout_ms = 1000`).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// How many peers a global call asks at most. Default 5, as in Iron Fish.
    pub tries_max: u32,
    /// How long one peer may take to answer. Default 10 s: Casper's figure, and libp2p's.
    #[cfg_attr(feature = "serde", serde(rename = "try_timeout_ms", with = "millis"))]
    pub try_timeout: Duration,
    /// How long a call may take in all. Default 30 s, after Iron Fish's limit for a request.
    #[cfg_attr(feature = "serde", serde(rename = "deadline_ms", with = "millis"))]
    pub deadline: Duration,
    /// How many calls may be under way. Default 1,024 (a guess: 32 peers at their limit).
    pub calls_max: usize,
    /// How many bytes of arguments the calls under way may hold. Default 32 MiB (a third of a node's memory under load).
    pub calls_bytes_max: usize,
    /// How many unanswered requests one peer may have from us; further calls wait. Default 32: below the 50 that a peer
    /// takes, so that a node alone never meets its peer's limit.
    pub pending_per_peer_max: usize,
    /// How many requests are served at a time, all peers together. Default 1,024 (a guess: 20 peers at their limit).
    pub serving_max: usize,
    /// How many requests of one peer are served at a time. Default 50, Casper's figure.
    pub serving_per_peer_max: usize,
    /// How many bytes of arguments the requests being served may hold. Default 32 MiB, as for calls.
    pub serving_bytes_max: usize,
    /// How much cost the requests of one peer may have each second, all methods together. Default 3,000, Casper's figure for
    /// all peers that are no validators.
    pub cost_per_second: f64,
    /// How much cost a peer may save up. Default 6,000: two seconds, as in Casper.
    pub cost_burst: u64,
    /// Whether calls that may be executed twice ask a second peer when the first is slow. Default false: a call says so.
    pub hedge: bool,
    /// Which part of a method's answers must come sooner for a peer to count as slow, 0 to 1. Default 0.9 (a guess: one call
    /// in ten asks twice).
    pub hedge_quantile: f64,
    /// How long a streamed answer may stand still while its reader waits. Default 10 s, as for a whole answer.
    #[cfg_attr(feature = "serde", serde(rename = "idle_timeout_ms", with = "millis"))]
    pub idle_timeout: Duration,
    /// How many bytes of a streamed answer may be under way or untaken. Default 1 MiB: 20 ms at 50 MB/s.
    pub stream_window: u32,
    /// How many bytes a streamed answer may have. Default 1 GiB.
    pub stream_bytes_max: u64,
    /// How many methods may be registered; at most 128, which is the default and what a frame can name.
    pub methods_max: usize,
    /// The part of all choices that is made evenly, 0 to 1: what keeps a peer of bad record from never being asked again.
    /// Default 0.005: with 40 bad peers of 100, one try in 500 is spent on them (measured in this crate's tests).
    pub floor: f64,
    /// How long a peer that failed more than it answered is not chosen, except by the floor; four times as long after each
    /// further failure, at most a day. Default 30 s (a guess: a restart).
    #[cfg_attr(feature = "serde", serde(rename = "rest_ms", with = "millis"))]
    pub rest: Duration,
    /// How often somebody who has rested is tried again, while more than half of those that could be asked are fit. Default
    /// 2 min: at ten calls a second, one try in 1,200.
    #[cfg_attr(feature = "serde", serde(rename = "second_chance_every_ms", with = "millis"))]
    pub second_chance_every: Duration,
    /// The answer time at which the weight of a peer is halved. Default 100 ms (a guess: a typical round trip).
    #[cfg_attr(feature = "serde", serde(rename = "latency_scale_ms", with = "millis"))]
    pub latency_scale: Duration,
    /// After how long half of what is known about a peer's success is forgotten. Default 10 min (a guess).
    #[cfg_attr(feature = "serde", serde(rename = "record_half_life_ms", with = "millis"))]
    pub record_half_life: Duration,
    /// How many peers may be connected. Default 576: the 182 of the largest profile, 256 named ones and 80 dials, with room.
    pub peers_max: usize,
    /// How many calls on substreams of their own are served at a time. Default 64 (a guess); 4 of them a connection.
    pub foreign_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tries_max: 5,
            try_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
            calls_max: 1_024,
            calls_bytes_max: 32 << 20,
            pending_per_peer_max: 32,
            serving_max: 1_024,
            serving_per_peer_max: 50,
            serving_bytes_max: 32 << 20,
            cost_per_second: 3_000.0,
            cost_burst: 6_000,
            hedge: false,
            hedge_quantile: 0.9,
            idle_timeout: Duration::from_secs(10),
            stream_window: 1 << 20,
            stream_bytes_max: 1 << 30,
            methods_max: METHODS_MAX as usize,
            floor: 0.005,
            rest: Duration::from_secs(30),
            second_chance_every: Duration::from_secs(120),
            latency_scale: Duration::from_millis(100),
            record_half_life: Duration::from_secs(600),
            peers_max: 576,
            foreign_max: 64,
        }
    }
}

impl Config {
    /// Checks the settings against each other.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        for (field, is_zero) in [
            ("tries_max", self.tries_max == 0),
            ("try_timeout", self.try_timeout.is_zero()),
            ("deadline", self.deadline.is_zero()),
            ("calls_max", self.calls_max == 0),
            ("calls_bytes_max", self.calls_bytes_max == 0),
            ("pending_per_peer_max", self.pending_per_peer_max == 0),
            ("serving_max", self.serving_max == 0),
            ("serving_per_peer_max", self.serving_per_peer_max == 0),
            ("serving_bytes_max", self.serving_bytes_max == 0),
            ("idle_timeout", self.idle_timeout.is_zero()),
            ("second_chance_every", self.second_chance_every.is_zero()),
            ("rest", self.rest.is_zero()),
            ("latency_scale", self.latency_scale.is_zero()),
            ("record_half_life", self.record_half_life.is_zero()),
            ("peers_max", self.peers_max == 0),
        ] {
            if is_zero {
                return Err(ConfigError::Zero { field });
            }
        }
        if !(0.0..=1.0).contains(&self.floor) {
            return Err(ConfigError::Floor(self.floor));
        }
        if !(0.0..=1.0).contains(&self.hedge_quantile) {
            return Err(ConfigError::HedgeQuantile(self.hedge_quantile));
        }
        if self.stream_window < STREAM_WINDOW_MIN {
            return Err(ConfigError::StreamWindow(self.stream_window));
        }
        if self.methods_max > METHODS_MAX as usize {
            return Err(ConfigError::Methods(self.methods_max));
        }
        let slots = self.peers_max.saturating_add(self.foreign_max);
        if slots > SLOTS_MAX {
            return Err(ConfigError::Peers(slots));
        }
        Ok(ValidConfig(self))
    }
}

/// Settings that have been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidConfig(Config);

impl Deref for ValidConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

/// Settings that contradict themselves or the wire.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A setting that must be at least 1 is 0.
    #[error("{field} must not be 0")]
    Zero {
        /// The setting.
        field: &'static str,
    },
    /// The floor is no part of a whole.
    #[error("floor is a part from 0 to 1, not {0}")]
    Floor(f64),
    /// The quantile is no part of a whole.
    #[error("hedge_quantile is a part from 0 to 1, not {0}")]
    HedgeQuantile(f64),
    /// A window in which the largest chunk has no room twice.
    #[error("stream_window is at least {STREAM_WINDOW_MIN}, not {0}")]
    StreamWindow(u32),
    /// More methods than a frame can name.
    #[error("methods_max is at most {METHODS_MAX}, not {0}")]
    Methods(usize),
    /// More peers than there are slots.
    #[error("peers_max and foreign_max are together at most {SLOTS_MAX}, not {0}")]
    Peers(usize),
}

#[cfg(feature = "serde")]
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_limits_are_held() {
        assert!(Config::default().validate().is_ok());
        let zero = Config { deadline: Duration::ZERO, ..Config::default() };
        assert_eq!(zero.validate(), Err(ConfigError::Zero { field: "deadline" }));
        for floor in [-0.1, 1.1] {
            assert_eq!(Config { floor, ..Config::default() }.validate(), Err(ConfigError::Floor(floor)));
        }
        assert!(Config { floor: f64::NAN, ..Config::default() }.validate().is_err());
        assert_eq!(Config { methods_max: 129, ..Config::default() }.validate(), Err(ConfigError::Methods(129)));
        let full = Config { peers_max: SLOTS_MAX - 64, ..Config::default() };
        assert!(full.clone().validate().is_ok());
        let over = Config { foreign_max: 65, ..full };
        assert_eq!(over.validate(), Err(ConfigError::Peers(SLOTS_MAX + 1)));
    }
}
