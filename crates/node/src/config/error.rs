use std::path::PathBuf;

use crate::config::Source;

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The configuration file is no TOML.
    #[error("{source_of} is no TOML: {text}")]
    Syntax {
        /// Where.
        source_of: Source,
        /// What is wrong.
        text: String,
    },
    /// There is no such key.
    #[error("{source_of}: unknown key `{key}`{}", meant(nearest.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it stands.
        source_of: Source,
        /// The key that is spelt most alike.
        nearest: Option<String>,
    },
    /// The value cannot be the key's.
    #[error("{source_of}: `{key}` cannot be {value}: {text}{}", example_of(key))]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// Where it stands.
        source_of: Source,
        /// Why.
        text: String,
    },
    /// There is no such profile.
    #[error("there is no profile `{name}`{}; there are {}", meant(nearest.as_deref()), super::PROFILES.join(", "))]
    UnknownProfile {
        /// The name.
        name: String,
        /// The name that is spelt most alike.
        nearest: Option<String>,
    },
    /// The protocols refuse their settings.
    #[error(transparent)]
    Stack(#[from] bruit_stack::ConfigError),
    /// Settings that are valid one by one, but not together.
    #[error("`{key}`: {reason}")]
    Unworkable {
        /// The key.
        key: String,
        /// Why.
        reason: String,
    },
}

/// What an address looks like, for those who have to write one.
pub const ADDR_EXAMPLE: &str = "an address looks like /ip4/192.0.2.7/tcp/4171 or /dns4/seed.example.org/tcp/4171";

fn example_of(key: &str) -> String {
    let is_addr = ["listen", "seed_addrs", "fixed_seeds", "addnodes"].contains(&key);
    if is_addr { format!("; {ADDR_EXAMPLE}") } else { String::new() }
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(", did you mean `{nearest}`?")).unwrap_or_default()
}
