use std::{fmt, str::FromStr};

use crate::Config;

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

/// A profile that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// There is none of this name.
    #[error("there is no profile {0:?}; known are bruit, factom, casper, horizen and ironfish")]
    Unknown(String),
    /// Its rules are not built yet.
    #[error("the profile {0} needs rules that are not built yet; only bruit is complete")]
    NotYet(Profile),
}

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

    /// The settings of this profile.
    pub fn config(self) -> Result<Config, ProfileError> {
        match self {
            Self::Bruit => Ok(Config::default()),
            Self::Factom | Self::Casper | Self::Horizen | Self::Ironfish => Err(ProfileError::NotYet(self)),
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| ProfileError::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_profiles() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        assert_eq!("bitcoin".parse::<Profile>(), Err(ProfileError::Unknown("bitcoin".into())));
        assert!(Profile::Bruit.config().is_ok());
        assert_eq!(Profile::Factom.config(), Err(ProfileError::NotYet(Profile::Factom)));
    }
}
