use std::{
    fmt,
    hash::Hasher,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use siphasher::sip::SipHasher13;

use crate::{Endpoint, Scope, scope_of};

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
    /// All names of one domain, by a hash of its last two labels: whoever has a domain has as many names in it as he likes.
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
            Endpoint::Dns { name, .. } => Self::Name(hash(domain(name).as_bytes())),
            Endpoint::Relayed { relay, .. } => Self::Relay(hash(&relay.to_bytes())),
            Endpoint::Other(_) => Self::Local,
        }
    }

    /// The same group, but all names as one: where a name leads is not known before it is dialled, and whoever has one host gives
    /// it as many names as he has domains.
    #[must_use]
    pub const fn names_as_one(self) -> Self {
        match self {
            Self::Name(_) => Self::Name(0),
            Self::V4(_) | Self::V6(_) | Self::Asn(_) | Self::Relay(_) | Self::Local => self,
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

/// Whom dials in vain could harm: what is limited for each.
///
/// # Security
/// Where names lead shows only when they are dialled, and whoever has a domain can make as many of them as he likes lead to one
/// victim: so all names of a domain count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A public host.
    Host(IpAddr),
    /// All names of one domain.
    Domain(NetGroup),
}

impl Target {
    /// Who is dialled at an endpoint; `None` for what is private or no place on the internet.
    pub fn of(endpoint: &Endpoint) -> Option<Self> {
        match endpoint {
            Endpoint::Ip { ip, .. } => (scope_of(*ip) == Scope::Global).then(|| Self::Host(host_ip(*ip))),
            Endpoint::Dns { .. } => Some(Self::Domain(endpoint.group())),
            Endpoint::Relayed { .. } | Endpoint::Other(_) => None,
        }
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

/// The last two labels of a name. That of a registry, as `co.uk`, counts as one domain, which only costs its names some slots.
fn domain(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    name.rmatch_indices('.').nth(1).and_then(|(dot, _)| name.get(dot.saturating_add(1)..)).unwrap_or(name)
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
    fn fault_names_of_one_domain_are_one_group() {
        let of = |name: &str| {
            Endpoint::from_multiaddr(&format!("/dns4/{name}/tcp/4001").parse().unwrap()).unwrap().0.group()
        };
        for name in
            ["evil.example", "a.evil.example", "b.c.evil.example", "A.EVIL.example", "evil.example.", ".evil.example"]
        {
            assert_eq!(of(name), of("evil.example"), "{name}");
        }
        for name in ["good.example", "example", "notevil.example", ".", ".."] {
            assert_ne!(of(name), of("evil.example"), "{name}");
        }
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
