use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// What an item is about: a name of 1 to 64 bytes of UTF-8. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "String", try_from = "String")
)]
pub struct Topic(Arc<str>);

/// A name that cannot be a topic's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a topic has 1 to {max} bytes, not {0}", max = Topic::BYTES_MAX)]
pub struct TopicError(pub usize);

impl Topic {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = bruit_wire::limits::NAME_BYTES_MAX;

    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, TopicError> {
        match name.len() {
            1..=Self::BYTES_MAX => Ok(Self(name.into())),
            len => Err(TopicError(len)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({:?})", &*self.0)
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<String> for Topic {
    type Error = TopicError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name)
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.0.as_ref().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_their_limits() {
        assert_eq!(Topic::new(&"a".repeat(64)).unwrap().as_str().len(), 64);
        assert_eq!(Topic::new(&"a".repeat(65)), Err(TopicError(65)));
        assert_eq!(Topic::new(""), Err(TopicError(0)));
    }
}
