use std::{sync::Arc, time::Duration};

use bruit_core::AddrPolicy;

use crate::book::NUMBERS_MAX;

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
    /// The quality, in thousandths of a point, below which others are not told of a peer. -5,000: a guess; nobody falls so low by
    /// bad luck with dials alone.
    pub share_from: i32,
    /// The quality, in thousandths of a point, below which what a peer tells is ignored, and it is discouraged. -15,000: a guess,
    /// half of what bans.
    pub ignore_below: i32,
    /// The quality, in thousandths of a point, below which a peer earns a ban. -30,000: a guess; six invalid items at once, and never
    /// slowness alone.
    pub ban_below: i32,
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
            share_from: -5_000,
            ignore_below: -15_000,
            ban_below: -30_000,
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
    /// Both tables together have more places than entries can be numbered.
    #[error("the tables have {0} places, more than 16777214")]
    TooManyPlaces(u64),
    /// A newcomer, at 0, would not be shared, or the thresholds are not in their order.
    #[error("share_from is at most 0, ignore_below at most share_from, ban_below at most ignore_below")]
    Thresholds,
}

/// How many buckets a table may have. 65,536: a guess, 64 times Bitcoin Core's.
const BUCKETS_MAX: u32 = 65_536;
/// How many entries a bucket may hold. 256: a position is kept in eight bits.
const BUCKET_SIZE_MAX: u32 = 256;
/// In how many buckets one entry may be allowed to stand. 64: a guess, eight times Bitcoin Core's.
const PLACES_PER_ENTRY_MAX: usize = 64;
/// How many places both tables together may have. 16,777,214: an entry's number is kept in 24 bits.
const PLACES_MAX: u64 = NUMBERS_MAX as u64 - 1;
/// How near the horizon may be. A day: a guess; working entries must not be forgotten between two connections.
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
        match self.places_per_entry_max {
            0 => return Err(ConfigError::Zero("places_per_entry_max")),
            1..=PLACES_PER_ENTRY_MAX => {}
            _ => return Err(ConfigError::TooLarge { name: "places_per_entry_max", max: PLACES_PER_ENTRY_MAX as u32 }),
        }
        if self.endpoints_per_peer_max == 0 {
            return Err(ConfigError::Zero("endpoints_per_peer_max"));
        }
        if self.horizon_secs < DAY_SECS {
            return Err(ConfigError::HorizonTooNear);
        }
        let buckets = u64::from(self.new_buckets) + u64::from(self.tried_buckets);
        let places = buckets * u64::from(self.bucket_size);
        if places > PLACES_MAX {
            return Err(ConfigError::TooManyPlaces(places));
        }
        let is_ordered = self.ban_below <= self.ignore_below && self.ignore_below <= self.share_from;
        if !is_ordered || self.share_from > 0 {
            return Err(ConfigError::Thresholds);
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

    fn check(config: Config) -> Result<(), ConfigError> {
        config.validate().map(|_| ())
    }

    #[test]
    fn counts_are_at_least_one_and_at_most_what_can_be_numbered() {
        let sizes = |bucket_size| check(Config { bucket_size, ..Config::default() });
        let too_large = |name, max| Err(ConfigError::TooLarge { name, max });
        assert_eq!([0, 1].map(sizes), [Err(ConfigError::Zero("bucket_size")), Ok(())]);
        assert_eq!([255, 256, 257].map(sizes), [Ok(()), Ok(()), too_large("bucket_size", 256)]);
        let buckets = |new_buckets| check(Config { new_buckets, ..Config::default() });
        assert_eq!([65_535, 65_536, 65_537].map(buckets), [Ok(()), Ok(()), too_large("new_buckets", 65_536)]);
        let places = |places_per_entry_max| check(Config { places_per_entry_max, ..Config::default() });
        assert_eq!([0, 1].map(places), [Err(ConfigError::Zero("places_per_entry_max")), Ok(())]);
        assert_eq!([63, 64, 65].map(places), [Ok(()), Ok(()), too_large("places_per_entry_max", 64)]);
        let endpoints = |endpoints_per_peer_max| check(Config { endpoints_per_peer_max, ..Config::default() });
        assert_eq!([0, 1].map(endpoints), [Err(ConfigError::Zero("endpoints_per_peer_max")), Ok(())]);
    }

    #[test]
    fn places_are_at_most_what_can_be_numbered() {
        let places =
            |tried_buckets| check(Config { bucket_size: 255, new_buckets: 65_536, tried_buckets, ..Config::default() });
        let too_many = |buckets: u64| Err(ConfigError::TooManyPlaces((65_536 + buckets) * 255));
        assert_eq!([256, 257].map(places), [Ok(()), too_many(257)]);
        let even = |new_buckets| check(Config { bucket_size: 1, new_buckets, tried_buckets: 1, ..Config::default() });
        assert_eq!(even(65_536), Ok(()));
    }

    #[test]
    fn the_horizon_is_a_day_at_least() {
        let horizons = |horizon_secs| check(Config { horizon_secs, ..Config::default() });
        assert_eq!([86_399, 86_400, 86_401].map(horizons), [Err(ConfigError::HorizonTooNear), Ok(()), Ok(())]);
    }

    #[test]
    fn thresholds_are_in_their_order_and_spare_newcomers() {
        let of = |[share_from, ignore_below, ban_below]: [i32; 3]| {
            check(Config { share_from, ignore_below, ban_below, ..Config::default() })
        };
        assert_eq!([-1, 0, 1].map(|share| of([share, -5, -5])), [Ok(()), Ok(()), Err(ConfigError::Thresholds)]);
        assert_eq!([-6, -5, -4].map(|ignore| of([-5, ignore, -9])), [Ok(()), Ok(()), Err(ConfigError::Thresholds)]);
        assert_eq!([-6, -5, -4].map(|ban| of([-5, -5, ban])), [Ok(()), Ok(()), Err(ConfigError::Thresholds)]);
    }
}
