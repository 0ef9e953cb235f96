//! With whom a node may have connections at all, by the operator's wish.

use std::{fmt, net::IpAddr, str::FromStr};

use bruit_core::PeerId;

/// Whom a node deals with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Mode {
    /// Everybody.
    #[default]
    Open,
    /// Only manual peers are dialled; everybody may come.
    Exclusive,
    /// Only manual peers are dialled, and only they may come.
    ExclusiveIn,
}

/// One line of an allow list or a deny list: a peer id, an IP address, or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A peer.
    Peer(PeerId),
    /// All addresses that begin with these bits.
    Net {
        /// The first address.
        ip: IpAddr,
        /// How many bits count.
        bits: u8,
    },
}

/// A text that names neither a peer nor addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a peer id nor an IP address nor a network like 10.0.0.0/8")]
pub struct SubjectError(String);

impl Subject {
    /// Whether a peer at an address is meant; what is not known of it never matches.
    ///
    /// IPv4 addresses that are written as IPv6 ones count as what they are.
    pub fn is(&self, peer: Option<&PeerId>, ip: Option<IpAddr>) -> bool {
        match (self, ip.map(|ip| ip.to_canonical())) {
            (Self::Peer(meant), _) => peer == Some(meant),
            (Self::Net { ip: IpAddr::V4(net), bits }, Some(IpAddr::V4(ip))) => {
                let shift = 32_u32.saturating_sub((*bits).into());
                net.to_bits().checked_shr(shift) == ip.to_bits().checked_shr(shift)
            }
            (Self::Net { ip: IpAddr::V6(net), bits }, Some(IpAddr::V6(ip))) => {
                let shift = 128_u32.saturating_sub((*bits).into());
                net.to_bits().checked_shr(shift) == ip.to_bits().checked_shr(shift)
            }
            (Self::Net { .. }, _) => false,
        }
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || SubjectError(text.to_owned());
        if let Ok(peer) = text.parse() {
            return Ok(Self::Peer(peer));
        }
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().map_err(|_| refused())?;
        let bits_max = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), str::parse).map_err(|_| refused())?;
        if bits > bits_max { Err(refused()) } else { Ok(Self::Net { ip, bits }) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Net { ip: IpAddr::V4(ip), bits: 32 } => ip.fmt(f),
            Self::Net { ip: IpAddr::V6(ip), bits: 128 } => ip.fmt(f),
            Self::Net { ip, bits } => write!(f, "{ip}/{bits}"),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(subject: &str, ip: &str) -> bool {
        subject.parse::<Subject>().unwrap().is(None, Some(ip.parse().unwrap()))
    }

    #[test]
    fn networks_hold_what_begins_with_their_bits() {
        assert!(is("10.0.0.0/8", "10.255.0.1") && !is("10.0.0.0/8", "11.0.0.1"));
        assert!(is("10.1.2.3", "10.1.2.3") && !is("10.1.2.3", "10.1.2.4"));
        assert!(is("0.0.0.0/0", "9.9.9.9") && !is("0.0.0.0/0", "2001:db8::1"));
        assert!(is("2001:db8::/32", "2001:db8:1::1") && !is("2001:db8::/32", "2001:db9::1"));
        assert!(is("10.0.0.0/8", "::ffff:10.0.0.1"), "an address in other clothes");
    }

    #[test]
    fn what_is_printed_is_read_again_and_nonsense_is_refused() {
        for text in ["10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"]
        {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        for text in ["", "10.0.0.0/33", "2001:db8::/129", "10.0.0", "x/8", "10.0.0.0/-1"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }
}
