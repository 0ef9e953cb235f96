use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// All IP addresses that begin alike, as `1.2.3.0/24`. IPv4 mapped into IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpNet {
    first: IpAddr,
    bits: u8,
}

/// A text that is no net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a net is written as 1.2.3.0/24 or 2001:db8::/32")]
pub struct IpNetError;

const MAPPED_BITS: u8 = 96;

impl IpNet {
    /// The net of an address: what follows the first `bits` counts as 0. `None` if no address has so many bits.
    pub fn new(ip: IpAddr, bits: u8) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = if ip.is_ipv6() { bits.checked_sub(MAPPED_BITS)? } else { bits };
                let dropped = 32_u32.checked_sub(u32::from(bits))?;
                let kept = v4.to_bits().checked_shr(dropped).and_then(|kept| kept.checked_shl(dropped)).unwrap_or(0);
                Some(Self { first: Ipv4Addr::from_bits(kept).into(), bits })
            }
            IpAddr::V6(v6) => {
                let dropped = 128_u32.checked_sub(u32::from(bits))?;
                let kept = v6.to_bits().checked_shr(dropped).and_then(|kept| kept.checked_shl(dropped)).unwrap_or(0);
                Some(Self { first: Ipv6Addr::from_bits(kept).into(), bits })
            }
        }
    }

    /// Whether an address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        Self::of_length(ip.to_canonical(), self.length()) == Some(*self)
    }

    /// The first address.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The only address, if there is only one.
    pub fn single(&self) -> Option<IpAddr> {
        let all = if self.first.is_ipv6() { 128 } else { 32 };
        (self.bits == all).then_some(self.first)
    }

    /// Whether it is of IPv6, and how many bits its addresses share.
    pub(crate) const fn length(&self) -> (bool, u8) {
        (self.first.is_ipv6(), self.bits)
    }

    /// The net of this length that a canonical address is in; `None` if the families differ.
    pub(crate) fn of_length(ip: IpAddr, (is_v6, bits): (bool, u8)) -> Option<Self> {
        if ip.is_ipv6() == is_v6 { Self::new(ip, bits) } else { None }
    }
}

impl fmt::Display for IpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl FromStr for IpNet {
    type Err = IpNetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ip, bits) = text.split_once('/').ok_or(IpNetError)?;
        let (ip, bits) = (ip.parse().map_err(|_| IpNetError)?, bits.parse().map_err(|_| IpNetError)?);
        Self::new(ip, bits).ok_or(IpNetError)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for IpNet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for IpNet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nets_are_canonical_and_hold_what_begins_alike() {
        let shown = |text: &str| text.parse::<IpNet>().map(|net| net.to_string());
        assert_eq!(shown("1.2.3.4/24").as_deref(), Ok("1.2.3.0/24"));
        assert_eq!(shown("::ffff:1.2.3.4/112").as_deref(), Ok("1.2.0.0/16"));
        assert_eq!(shown("0.0.0.0/0").as_deref(), Ok("0.0.0.0/0"));
        assert_eq!(
            ["1.2.3.4/33", "::ffff:1.2.3.4/95", "::/129", "1.2.3.4", "x/8"].map(shown),
            [const { Err(IpNetError) }; 5]
        );
        let all: IpNet = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains([255, 1, 2, 3].into()) && !all.contains("2a00::1".parse().unwrap()));
        let one: IpNet = "2a00::1/128".parse().unwrap();
        assert_eq!((one.single(), all.single()), (Some("2a00::1".parse().unwrap()), None));
    }
}
