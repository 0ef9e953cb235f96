use std::{sync::Arc, time::Duration};

use bruit_wire::limits::ADDR_PEERS_MAX;

/// How often is asked and answered, and how much is taken.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// Who decides which peers are served. Automatic by default, for a crate used alone.
    pub admission: Admission,
    /// How often one peer is answered. Once: Bitcoin Core. An answer shorter than `small_answer` does not count.
    pub answers_per_connection: AnswersPerConnection,
    /// Whether peers that this node dialled are answered too. No: Bitcoin Core, so that nobody learns from whom it is dialled. Answers
    /// below `small_answer` are given all the same, or somebody whom everybody dialled could ask nobody.
    pub answer_dialled: bool,
    /// How many peers an answer names at most. 1,000: Bitcoin Core; at most 2,500.
    pub addrs_per_answer_max: usize,
    /// How many peers of an answer are taken. 1,000: Bitcoin Core; the rest is dropped and counted.
    pub addrs_taken_max: usize,
    /// How many peers an unasked message names at most. 10: Bitcoin Core relays no larger ones.
    pub addrs_per_announcement_max: usize,
    /// For how many seconds an answer stays the same, a quarter more or less. 24 hours: Bitcoin Core.
    pub cache_secs: u64,
    /// Below how many peers an answer says that the network is small: it is neither cached nor counted. 32: as many as an
    /// outbound target.
    pub small_answer: usize,
    /// After how many seconds a peer whose answer was small is answered again. 1: a guess.
    pub small_answer_pause_secs: u64,
    /// Whether peers that this node dialled are asked as soon as they are served. Yes: somebody must ask.
    pub ask_dialled: bool,
    /// After how many seconds a peer is asked again whose answer was small; doubled each time, up to `ask_small_secs_max`.
    /// 2: a small network forms within seconds.
    pub ask_small_secs: u64,
    /// The longest pause before a peer is asked again whose answer was small. 60: Iron Fish asks so often anyway.
    pub ask_small_secs_max: u64,
    /// After how many seconds every peer is asked again, a fifth more or less; `None` for never. Never: Bitcoin Core.
    pub ask_again_secs: Option<u64>,
    /// How many unasked peers a second are taken from one peer. 0.1: Bitcoin Core, four times what honest ones send.
    pub unasked_per_second: f64,
    /// How many unasked peers are taken at once after a long silence. 1,000: Bitcoin Core.
    pub unasked_burst: u64,
    /// How many unasked peers are taken right after connecting. 5: Bitcoin Core found that 1 drops honest ones.
    pub unasked_start: u64,
    /// How many seconds a request may take. 10: libp2p.
    pub timeout_secs: u64,
    /// How many peers are served at once; more are not answered. 4,096: as many as there are slots.
    pub peers_max: usize,
}

/// Who decides which peers are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Admission {
    /// Everybody who is connected is served.
    #[default]
    Automatic,
    /// The owner admits; until then a peer gets one answer, is not asked, and nothing unasked is taken from it.
    ByOwner,
}

/// How often one peer is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum AnswersPerConnection {
    /// Once.
    Once,
    /// Once in so many seconds.
    EverySecs(u64),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            admission: Admission::Automatic,
            answers_per_connection: AnswersPerConnection::Once,
            answer_dialled: false,
            addrs_per_answer_max: 1_000,
            addrs_taken_max: 1_000,
            addrs_per_announcement_max: 10,
            cache_secs: 24 * 3_600,
            small_answer: 32,
            small_answer_pause_secs: 1,
            ask_dialled: true,
            ask_small_secs: 2,
            ask_small_secs_max: 60,
            ask_again_secs: None,
            unasked_per_second: 0.1,
            unasked_burst: 1_000,
            unasked_start: 5,
            timeout_secs: 10,
            peers_max: 4_096,
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number is 0.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// More peers than one message holds.
    #[error("{0} must be at most 2500, as many as one message names")]
    TooMany(&'static str),
    /// The rate is negative or no number.
    #[error("unasked_per_second must be a number, 0 or more")]
    BadRate,
    /// The longest pause is shorter than the first.
    #[error("ask_small_secs_max must be at least ask_small_secs")]
    PausesCrossed,
}

impl Config {
    /// Checks the settings.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        let counts = [
            ("addrs_per_answer_max", self.addrs_per_answer_max),
            ("addrs_taken_max", self.addrs_taken_max),
            ("addrs_per_announcement_max", self.addrs_per_announcement_max),
        ];
        for (name, count) in counts {
            match count {
                0 => return Err(ConfigError::Zero(name)),
                _ if count > ADDR_PEERS_MAX as usize => return Err(ConfigError::TooMany(name)),
                _ => {}
            }
        }
        let times = [
            ("ask_small_secs", self.ask_small_secs),
            ("ask_again_secs", self.ask_again_secs.unwrap_or(1)),
            ("timeout_secs", self.timeout_secs),
        ];
        if let Some((name, _)) = times.into_iter().find(|(_, secs)| *secs == 0) {
            return Err(ConfigError::Zero(name));
        }
        if !(self.unasked_per_second.is_finite() && self.unasked_per_second >= 0.0) {
            return Err(ConfigError::BadRate);
        }
        if self.ask_small_secs_max < self.ask_small_secs {
            return Err(ConfigError::PausesCrossed);
        }
        Ok(ValidConfig(Arc::new(self)))
    }
}

/// Settings that were checked; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidConfig(Arc<Config>);

impl ValidConfig {
    /// The settings.
    pub fn settings(&self) -> &Config {
        &self.0
    }

    /// How long a request may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.0.timeout_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_at_their_limits() {
        let check = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().map(|_| ())
        };
        assert_eq!(check(|_| {}), Ok(()));
        assert_eq!(check(|c| c.addrs_per_answer_max = 2_500), Ok(()));
        assert_eq!(check(|c| c.addrs_per_answer_max = 2_501), Err(ConfigError::TooMany("addrs_per_answer_max")));
        assert_eq!(check(|c| c.addrs_taken_max = 0), Err(ConfigError::Zero("addrs_taken_max")));
        assert_eq!(check(|c| c.ask_again_secs = Some(0)), Err(ConfigError::Zero("ask_again_secs")));
        assert_eq!(check(|c| c.unasked_per_second = f64::NAN), Err(ConfigError::BadRate));
        assert_eq!(check(|c| c.unasked_per_second = 0.0), Ok(()));
        assert_eq!(check(|c| c.ask_small_secs_max = 1), Err(ConfigError::PausesCrossed));
    }
}
