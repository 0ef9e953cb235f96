use std::{borrow::Borrow, fmt, sync::Arc, time::Duration};

use bruit_wire::limits::{NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// The name of a method: 1 to 64 bytes of UTF-8. Cloning it is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "String", try_from = "String")
)]
pub struct MethodName(Arc<str>);

/// A name that cannot be a method's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a method has 1 to {NAME_BYTES_MAX} bytes, not {0}")]
pub struct MethodNameError(usize);

impl MethodName {
    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, MethodNameError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(MethodNameError(name.len()));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for MethodName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<String> for MethodName {
    type Error = MethodNameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name)
    }
}

impl From<MethodName> for String {
    fn from(name: MethodName) -> Self {
        name.0.as_ref().into()
    }
}

/// What is agreed about a method that is served here.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// Its name.
    pub name: MethodName,
    /// The largest request that is taken, in bytes; at most 192 KiB, which is the default.
    pub request_bytes_max: usize,
    /// The largest answer, in bytes; at most 192 KiB, which is the default. A larger one is not sent, and not believed either.
    pub response_bytes_max: usize,
    /// How long a request is worked on at most, whatever the caller would wait. Default 10 s, as the time a caller waits.
    pub timeout: Duration,
    /// Whether executing it twice does no harm, so that a call may be repeated after a time-out. Default false.
    pub is_idempotent: bool,
    /// What a request takes of its peer's budget; 0 is free. Default 1.
    pub cost: u32,
    /// How much cost one peer may cause with this method alone. Default: no limit beside that for all methods together.
    pub rate: Option<Rate>,
    /// Who may ask. Others are refused, and not told of the method. Default everybody.
    pub askers: Askers,
}

/// A limit of cost over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How much comes back each second.
    pub per_second: f64,
    /// How much there is at most.
    pub burst: u64,
}

/// What kind of peer somebody is, as the owner says; nothing but a number to compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Class(pub u8);

impl Class {
    /// Everybody of whom the owner said nothing.
    pub const ORDINARY: Self = Self(0);
}

/// Who may ask for a method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Askers {
    /// Everybody, also who calls on a substream of its own.
    #[default]
    Everybody,
    /// Peers with a link.
    Linked,
    /// Peers with a link that the owner put into this class.
    Class(Class),
}

impl Method {
    /// Describes a method with the defaults.
    pub fn new(name: &str) -> Result<Self, MethodNameError> {
        Ok(Self::named(MethodName::new(name)?))
    }

    pub(crate) const fn named(name: MethodName) -> Self {
        Self {
            name,
            request_bytes_max: PAYLOAD_BYTES_MAX,
            response_bytes_max: PAYLOAD_BYTES_MAX,
            timeout: Duration::from_secs(10),
            is_idempotent: false,
            cost: 1,
            rate: None,
            askers: Askers::Everybody,
        }
    }

    /// Describes a method that may be executed twice without harm.
    pub fn idempotent(name: &str) -> Result<Self, MethodNameError> {
        Ok(Self { is_idempotent: true, ..Self::new(name)? })
    }
}

/// Why a method is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// As many methods are registered as a peer may serve.
    #[error("{max} methods are registered, which is the limit")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// One of its sizes is above what a frame can carry.
    #[error("a size of {bytes} bytes is above the {PAYLOAD_BYTES_MAX} that a frame carries")]
    TooLarge {
        /// The size asked for.
        bytes: usize,
    },
}

impl RegisterError {
    pub(crate) fn check(method: &Method) -> Result<(), Self> {
        let bytes = method.request_bytes_max.max(method.response_bytes_max);
        if bytes > PAYLOAD_BYTES_MAX { Err(Self::TooLarge { bytes }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_their_limits() {
        assert!(MethodName::new(&"m".repeat(64)).is_ok());
        assert_eq!(MethodName::new(&"m".repeat(65)), Err(MethodNameError(65)));
        assert_eq!(MethodName::new(""), Err(MethodNameError(0)));
    }

    #[test]
    fn sizes_are_checked_at_their_limits() {
        let method = Method::new("m").unwrap();
        assert_eq!(RegisterError::check(&method), Ok(()));
        let bytes = PAYLOAD_BYTES_MAX + 1;
        let too_large = Method { response_bytes_max: bytes, ..method };
        assert_eq!(RegisterError::check(&too_large), Err(RegisterError::TooLarge { bytes }));
    }
}
