use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::PORT;

/// How long a name may be. RFC 1035: 255 bytes on the wire, which is 253 characters.
const NAME_LEN_MAX: usize = 253;
/// How long one label of it may be. RFC 1035.
const LABEL_LEN_MAX: usize = 63;

/// A DNS name that leads to nodes: `seed.example.org` and `seed.example.org:8233` by its A and AAAA records, all at one port;
/// `/dnsaddr/seed.example.org` by TXT records, which hold whole addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeedName {
    /// Each A and AAAA record is a node.
    Host {
        /// The name.
        name: String,
        /// The port that all of them listen on; 4171 unless said.
        port: u16,
    },
    /// Each TXT record `dnsaddr=ADDR` of `_dnsaddr.NAME` is a node, or another such name.
    DnsAddr {
        /// The name.
        name: String,
    },
}

/// Text that is no [`SeedName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no seed name: seed.example.org, seed.example.org:4171 or /dnsaddr/seed.example.org is wanted")]
pub struct SeedNameError(String);

impl FromStr for SeedName {
    type Err = SeedNameError;

    fn from_str(text: &str) -> Result<Self, SeedNameError> {
        let refused = || SeedNameError(text.to_owned());
        if let Some(name) = text.strip_prefix("/dnsaddr/") {
            return Ok(Self::DnsAddr { name: checked(name).ok_or_else(refused)? });
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0).ok_or_else(refused)?),
            None => (text, PORT),
        };
        Ok(Self::Host { name: checked(name).ok_or_else(refused)?, port })
    }
}

/// The name without a dot at its end, if it can be one.
fn checked(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let fits = (1..=LABEL_LEN_MAX).contains(&label.len());
        fits && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // A number as its last label would be an address, which belongs to `seed_addrs`.
    let is_address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    let is_name = name.len() <= NAME_LEN_MAX && name.split('.').all(is_label) && !is_address;
    is_name.then(|| name.to_ascii_lowercase())
}

impl fmt::Display for SeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { name, port } => write!(f, "{name}:{port}"),
            Self::DnsAddr { name } => write!(f, "/dnsaddr/{name}"),
        }
    }
}

impl Serialize for SeedName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SeedName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike_and_what_is_none_is_refused() {
        for (text, again) in [
            ("seed.example.org", "seed.example.org:4171"),
            ("Seed.example.org.:8233", "seed.example.org:8233"),
            ("/dnsaddr/seed.example.org", "/dnsaddr/seed.example.org"),
        ] {
            let name: SeedName = text.parse().unwrap();
            assert_eq!(name.to_string(), again);
            assert_eq!(again.parse(), Ok(name));
        }
        let long = format!("{}.org", "a".repeat(64));
        for text in ["", ".", "a..b", "a b", "a.b:0", "a.b:x", "a.b:70000", "192.0.2.7", "/dns4/a.b/tcp/1", &long] {
            assert!(text.parse::<SeedName>().is_err(), "{text}");
        }
        assert!(format!("{}a", "a.".repeat(126)).parse::<SeedName>().is_ok(), "253 characters");
        assert!(format!("{}aa", "a.".repeat(126)).parse::<SeedName>().is_err(), "254 characters");
    }
}
