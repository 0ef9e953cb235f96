use std::{fmt, str::FromStr, sync::Arc};

/// The name of a network: what keeps two networks apart. It stands in every protocol name.
///
/// 1 to 32 characters of `a-z`, `0-9`, `.`, `_` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "String", try_from = "String")
)]
pub struct NetworkId(Arc<str>);

/// A name that cannot be a network's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkIdError {
    /// It has no characters or more than 32.
    #[error("a network id has 1 to {LENGTH_MAX} characters, not {0}")]
    Length(usize),
    /// It has a character outside of `a-z0-9._-`.
    #[error("a network id has the characters a-z, 0-9, '.', '_' and '-' only, not {0:?}")]
    Character(char),
}

const LENGTH_MAX: usize = 32;

impl NetworkId {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, NetworkIdError> {
        if name.is_empty() || name.len() > LENGTH_MAX {
            return Err(NetworkIdError::Length(name.chars().count()));
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        match name.chars().find(|c| !allowed(*c)) {
            Some(character) => Err(NetworkIdError::Character(character)),
            None => Ok(Self(name.into())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a protocol of this network: `/bruit/<protocol>/<network>/<major>`.
    pub fn protocol_name(&self, protocol: &str, major: u32) -> String {
        format!("/bruit/{protocol}/{self}/{major}")
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NetworkId({})", self.0)
    }
}

impl FromStr for NetworkId {
    type Err = NetworkIdError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<String> for NetworkId {
    type Error = NetworkIdError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name)
    }
}

impl From<NetworkId> for String {
    fn from(id: NetworkId) -> Self {
        id.0.as_ref().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_their_limits() {
        assert!(NetworkId::new(&"a".repeat(32)).is_ok());
        assert_eq!(NetworkId::new(&"a".repeat(33)), Err(NetworkIdError::Length(33)));
        assert_eq!(NetworkId::new(""), Err(NetworkIdError::Length(0)));
        assert_eq!(NetworkId::new("main/net"), Err(NetworkIdError::Character('/')));
        assert_eq!(NetworkId::new("demo").unwrap().protocol_name("gossip", 1), "/bruit/gossip/demo/1");
    }
}
