use bruit_wire::limits::PAYLOAD_BYTES_MAX;

use super::{ConfigError, within};
use crate::PeerClass;

/// How much a single peer may bring, by its class.
///
/// No limit by default: how much an honest peer brings depends on what the network carries. Casper: 3,000 messages and 6.25 MiB
/// a second of others, nothing of validators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Rates {
    /// Peers of the ordinary class.
    pub ordinary: Rate,
    /// Validators.
    pub validator: Rate,
}

/// How much a peer may bring a second. It may bring two seconds' worth at once, and is not read while it has used them up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Rate {
    /// Copies of items, known ones included; 0 for any number.
    pub items_per_second: u32,
    /// Bytes of items that were not known; 0 for any number, else at least 128 KiB, so that the largest item fits a burst.
    pub bytes_per_second: u32,
}

impl Rates {
    /// Nobody is limited.
    pub const UNLIMITED: Self = Self { ordinary: Rate::UNLIMITED, validator: Rate::UNLIMITED };

    /// How much a peer of a class may bring.
    pub const fn of(&self, class: PeerClass) -> Rate {
        match class {
            PeerClass::Ordinary => self.ordinary,
            PeerClass::Validator => self.validator,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for rate in [self.ordinary, self.validator] {
            if rate.bytes_per_second > 0 {
                within(
                    "rates.bytes_per_second",
                    rate.bytes_per_second as usize,
                    BYTES_PER_SECOND_MIN,
                    u32::MAX as usize,
                )?;
            }
        }
        Ok(())
    }
}

/// Two seconds of it are more than the largest item with its surroundings.
const BYTES_PER_SECOND_MIN: usize = PAYLOAD_BYTES_MAX / 3 * 2;

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { items_per_second: 0, bytes_per_second: 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_has_room_for_the_largest_item() {
        let rates =
            |bytes_per_second| Rates { ordinary: Rate { items_per_second: 0, bytes_per_second }, ..Rates::default() };
        assert_eq!([0, 131_072, u32::MAX].map(|bytes| rates(bytes).validate().is_ok()), [true; 3]);
        let refused = rates(131_071).validate().unwrap_err().to_string();
        assert_eq!(refused, "rates.bytes_per_second is 131071, but must be from 131072 to 4294967295");
    }
}
