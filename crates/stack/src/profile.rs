use std::{fmt, str::FromStr};

use crate::Config;

mod addresses;
mod overlay;
mod relay;
mod requests;

/// A named setting of everything: the network behaves as one source system does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Profile {
    /// This project's own choice.
    #[default]
    Bruit,
    /// Factom.
    Factom,
    /// Casper.
    Casper,
    /// Horizen, and Bitcoin-like networks.
    Horizen,
    /// Iron Fish.
    Ironfish,
}

/// A name that is no profile's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile {0:?}; known are bruit, factom, casper, horizen and ironfish")]
pub struct UnknownProfileError(pub String);

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 5] = [Self::Bruit, Self::Factom, Self::Casper, Self::Horizen, Self::Ironfish];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bruit => "bruit",
            Self::Factom => "factom",
            Self::Casper => "casper",
            Self::Horizen => "horizen",
            Self::Ironfish => "ironfish",
        }
    }

    /// Its settings, as far as their rules are built: `docs/profiles.md` says which hold.
    pub fn config(self) -> Config {
        let mut config = Config::default();
        overlay::set(self, &mut config.peering);
        addresses::set(self, &mut config.exchange);
        relay::set(self, &mut config.gossip);
        requests::set(self, &mut config.rpc);
        let room = config.peers_max();
        config.gossip.peers_max = config.gossip.peers_max.max(room);
        config.rpc.peers_max = config.rpc.peers_max.max(room);
        config
    }

    /// Whether a node makes a new identity at every start: Factom's node ids and Casper's are fresh each time.
    pub const fn has_ephemeral_identity(self) -> bool {
        match self {
            Self::Factom | Self::Casper => true,
            Self::Bruit | Self::Horizen | Self::Ironfish => false,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfileError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|profile| profile.name() == name).ok_or_else(|| UnknownProfileError(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use bruit_core::NetworkId;

    use super::*;

    #[test]
    fn names_lead_back_to_profiles_that_can_run() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
            let valid = profile.config().validate(NetworkId::new("test").unwrap(), "test");
            assert!(valid.is_ok(), "{profile}: {:?}", valid.err());
        }
        assert_eq!("bitcoin".parse::<Profile>(), Err(UnknownProfileError("bitcoin".into())));
    }
}
