use std::{
    fmt,
    hash::Hasher,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use siphasher::sip::SipHasher13;

use crate::Endpoint;

/// The part of the internet that an address belongs to: what one operator can hold many addresses of.
///
/// /16 for IPv4 and /32 for IPv6, as Bitcoin Core groups; tunnelled forms (mapped, 6to4, Teredo, NAT64) count as the IPv4
/// address they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NetGroup {
    /// The first 16 bits of an IPv4 address.
    V4(u16),
    /// The first 32 bits of an IPv6 address.
    V6(u32),
    /// An autonomous system.
    Asn(u32),
    /// Everything behind one relay, by a hash of its identity.
    Relay(u64),
    /// A name that is not resolved yet, by a hash of it.
    Name(u64),
    /// Inside this process or of a kind that has no place on the internet.
    Local,
}

impl NetGroup {
    /// The group of an endpoint.
    #[inline]
    pub fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Ip { ip, .. } => Self::of_ip(*ip),
            Endpoint::Dns { name, .. } => Self::Name(hash(name.as_bytes())),
            Endpoint::Relayed { relay, .. } => Self::Relay(hash(&relay.to_bytes())),
            Endpoint::Other(_) => Self::Local,
        }
    }

    /// The group of an IP address.
    #[inline]
    pub fn of_ip(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => match carried_v4(v6) {
                Some(v4) => Self::of_v4(v4),
                None => Self::V6((v6.to_bits() >> 96) as u32),
            },
        }
    }

    #[inline]
    fn of_v4(v4: Ipv4Addr) -> Self {
        Self::V4((v4.to_bits() >> 16) as u16)
    }
}

impl fmt::Display for NetGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(prefix) => write!(f, "{}.{}.0.0/16", prefix >> 8, prefix & 0xff),
            Self::V6(prefix) => write!(f, "{:x}:{:x}::/32", prefix >> 16, prefix & 0xffff),
            Self::Asn(number) => write!(f, "AS{number}"),
            Self::Relay(hash) => write!(f, "relay {hash:016x}"),
            Self::Name(hash) => write!(f, "name {hash:016x}"),
            Self::Local => f.write_str("local"),
        }
    }
}

/// The IP address that one host counts for wherever something is limited per address: an IPv4 address itself, also one that
/// is mapped or tunnelled, and of an IPv6 address the first 64 bits, since every host may have all that begin alike.
pub fn host_ip(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => match carried_v4(v6) {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

/// The IPv4 address inside of an IPv6 address that stands for it: one that is mapped, 6to4, Teredo's or NAT64's.
#[inline]
pub(crate) fn carried_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = v6.to_bits();
    let carried = match (bits >> 96) as u32 {
        0 if bits >> 32 == 0xffff => bits as u32,
        0x2002_0000..=0x2002_ffff => (bits >> 80) as u32,
        0x2001_0000 => !(bits as u32),
        0x0064_ff9b if bits << 32 >> 64 == 0 => bits as u32,
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(carried))
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        NetGroup::of_ip(text.parse().unwrap()).to_string()
    }

    #[test]
    fn groups_are_the_documented_prefixes() {
        assert_eq!(of("1.2.3.4"), "1.2.0.0/16");
        assert_eq!(of("2a00:1450::1"), "2a00:1450::/32");
    }

    #[test]
    fn a_host_counts_for_all_ipv6_addresses_that_it_may_have() {
        let host = |text: &str| host_ip(text.parse().unwrap()).to_string();
        for (text, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2002:0102:0304:5::1", "1.2.3.4"),
            ("2a00:1450:1:2:3:4:5:6", "2a00:1450:1:2::"),
            ("2a00:1450:1:2::", "2a00:1450:1:2::"),
            ("2a00:1450:1:3::1", "2a00:1450:1:3::"),
        ] {
            assert_eq!(host(text), expected, "{text}");
        }
    }

    #[test]
    fn tunnelled_forms_count_as_what_they_carry() {
        for text in ["::ffff:1.2.3.4", "2002:0102:0304::1", "2001:0:1::fefd:fcfb", "64:ff9b::1.2.3.4"] {
            assert_eq!(of(text), "1.2.0.0/16", "{text}");
        }
    }
}
