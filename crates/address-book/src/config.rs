use std::{sync::Arc, time::Duration};

use bruit_core::AddrPolicy;

/// How large the book is and what it forgets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Config {
    /// Whether private addresses are stored, chosen and shared, as on a local test network. No by default.
    pub allow_private_addrs: bool,
    /// How many buckets the table *new* has. 1,024: Bitcoin Core.
    pub new_buckets: u32,
    /// How many buckets the table *tried* has. 256: Bitcoin Core.
    pub tried_buckets: u32,
    /// How many entries a bucket holds. 64: Bitcoin Core.
    pub bucket_size: u32,
    /// How many buckets of *new* the addresses told by one group reach. 64: Bitcoin Core.
    pub new_buckets_per_source_group: u32,
    /// How many buckets of *tried* the endpoints of one group reach. 8: Bitcoin Core.
    pub tried_buckets_per_group: u32,
    /// In how many buckets of *new* one entry stands at most. 8: Bitcoin Core.
    pub places_per_entry_max: usize,
    /// How many endpoints of one peer are kept. 8: as many as one message names.
    pub endpoints_per_peer_max: usize,
    /// How many peers without any endpoint are remembered for their conduct, connected ones apart. 4,096: about 1 MiB.
    pub unlisted_peers_max: usize,
    /// How many bans are kept. 4,096: a guess, about 1 MiB.
    pub bans_max: usize,
    /// After how many seconds without a sign of life an entry is forgotten. 30 days: Bitcoin Core.
    pub horizon_secs: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_private_addrs: false,
            new_buckets: 1_024,
            tried_buckets: 256,
            bucket_size: 64,
            new_buckets_per_source_group: 64,
            tried_buckets_per_group: 8,
            places_per_entry_max: 8,
            endpoints_per_peer_max: 8,
            unlisted_peers_max: 4_096,
            bans_max: 4_096,
            horizon_secs: 30 * 24 * 3_600,
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A count is 0.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// A count is larger than the tables can number.
    #[error("{name} must be at most {max}")]
    TooLarge {
        /// The setting.
        name: &'static str,
        /// Its largest value.
        max: u32,
    },
    /// The horizon is so near that working entries would be forgotten between two connections.
    #[error("horizon_secs must be at least one day, 86400")]
    HorizonTooNear,
}

const BUCKETS_MAX: u32 = 65_536;
const BUCKET_SIZE_MAX: u32 = 256;
const DAY_SECS: u64 = 24 * 3_600;

impl Config {
    /// Checks the settings.
    pub fn validate(self) -> Result<ValidConfig, ConfigError> {
        let counts = [
            ("new_buckets", self.new_buckets, BUCKETS_MAX),
            ("tried_buckets", self.tried_buckets, BUCKETS_MAX),
            ("bucket_size", self.bucket_size, BUCKET_SIZE_MAX),
            ("new_buckets_per_source_group", self.new_buckets_per_source_group, BUCKETS_MAX),
            ("tried_buckets_per_group", self.tried_buckets_per_group, BUCKETS_MAX),
        ];
        for (name, value, max) in counts {
            match value {
                0 => return Err(ConfigError::Zero(name)),
                _ if value > max => return Err(ConfigError::TooLarge { name, max }),
                _ => {}
            }
        }
        if self.places_per_entry_max == 0 {
            return Err(ConfigError::Zero("places_per_entry_max"));
        }
        if self.endpoints_per_peer_max == 0 {
            return Err(ConfigError::Zero("endpoints_per_peer_max"));
        }
        if self.horizon_secs < DAY_SECS {
            return Err(ConfigError::HorizonTooNear);
        }
        Ok(ValidConfig(Arc::new(self)))
    }
}

/// Settings that were checked; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidConfig(Arc<Config>);

impl ValidConfig {
    /// The settings.
    pub fn settings(&self) -> &Config {
        &self.0
    }

    pub(crate) fn policy(&self) -> AddrPolicy {
        AddrPolicy { allow_private_addrs: self.0.allow_private_addrs }
    }

    pub(crate) fn horizon(&self) -> Duration {
        Duration::from_secs(self.0.horizon_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_at_their_limits() {
        assert!(Config::default().validate().is_ok());
        assert_eq!(Config { bucket_size: 0, ..Config::default() }.validate(), Err(ConfigError::Zero("bucket_size")));
        assert!(Config { bucket_size: 256, ..Config::default() }.validate().is_ok());
        let too_large = ConfigError::TooLarge { name: "bucket_size", max: 256 };
        assert_eq!(Config { bucket_size: 257, ..Config::default() }.validate(), Err(too_large));
        let config = Config { places_per_entry_max: 0, ..Config::default() };
        assert_eq!(config.validate(), Err(ConfigError::Zero("places_per_entry_max")));
        let config = Config { endpoints_per_peer_max: 0, ..Config::default() };
        assert_eq!(config.validate(), Err(ConfigError::Zero("endpoints_per_peer_max")));
        assert!(Config { horizon_secs: 86_400, ..Config::default() }.validate().is_ok());
        let config = Config { horizon_secs: 86_399, ..Config::default() };
        assert_eq!(config.validate(), Err(ConfigError::HorizonTooNear));
    }
}
