//! Endpoints and moments in few bytes: a book may hold a million of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bruit_core::{Audience, Endpoint, Timestamp, Transport};

/// An endpoint in 24 bytes; what is neither IP nor port lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    V4 { ip: [u8; 4], port: u16, transport: Transport },
    V6 { ip: [u8; 16], port: u16, transport: Transport },
    Rare(Box<Endpoint>),
}

impl Spot {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Ip { ip: IpAddr::V4(ip), port, transport } => {
                Self::V4 { ip: ip.octets(), port: *port, transport: *transport }
            }
            Endpoint::Ip { ip: IpAddr::V6(ip), port, transport } => {
                Self::V6 { ip: ip.octets(), port: *port, transport: *transport }
            }
            Endpoint::Dns { .. } | Endpoint::Relayed { .. } | Endpoint::Other(_) => {
                Self::Rare(Box::new(endpoint.clone()))
            }
        }
    }

    #[inline]
    pub(crate) fn endpoint(&self) -> Endpoint {
        match self {
            Self::V4 { ip, port, transport } => {
                Endpoint::Ip { ip: Ipv4Addr::from(*ip).into(), port: *port, transport: *transport }
            }
            Self::V6 { ip, port, transport } => {
                Endpoint::Ip { ip: Ipv6Addr::from(*ip).into(), port: *port, transport: *transport }
            }
            Self::Rare(endpoint) => Endpoint::clone(endpoint),
        }
    }

    #[inline]
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4 { ip, .. } => Some(Ipv4Addr::from(*ip).into()),
            Self::V6 { ip, .. } => Some(Ipv6Addr::from(*ip).into()),
            Self::Rare(endpoint) => endpoint.ip(),
        }
    }

    /// Whether somebody could dial it.
    #[inline]
    pub(crate) fn can_be_used_by(&self, audience: Audience) -> bool {
        match self {
            Self::V4 { ip, .. } => audience.can_use_ip(Ipv4Addr::from(*ip).into()),
            Self::V6 { ip, .. } => audience.can_use_ip(Ipv6Addr::from(*ip).into()),
            Self::Rare(endpoint) => audience.can_use(endpoint),
        }
    }

    /// Bytes that no other endpoint has, handed to `work`.
    #[inline]
    pub(crate) fn with_bytes<T>(&self, work: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::V4 { ip, port, transport } => {
                let mut bytes = [0; 8];
                bytes[..4].copy_from_slice(&head(ip.len(), *port, *transport));
                bytes[4..].copy_from_slice(ip);
                work(&bytes)
            }
            Self::V6 { ip, port, transport } => {
                let mut bytes = [0; 20];
                bytes[..4].copy_from_slice(&head(ip.len(), *port, *transport));
                bytes[4..].copy_from_slice(ip);
                work(&bytes)
            }
            Self::Rare(endpoint) => work(endpoint.to_multiaddr().as_ref()),
        }
    }
}

const fn head(ip_len: usize, port: u16, transport: Transport) -> [u8; 4] {
    let [low, high] = port.to_le_bytes();
    [ip_len as u8, transport as u8, low, high]
}

/// A moment in whole seconds since 1970, up to the year 2106; 0 stands for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Secs(u32);

impl Secs {
    pub(crate) const NEVER: Self = Self(0);

    /// The second that a moment lies in; never later than the moment.
    #[inline]
    pub(crate) fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.as_secs()).unwrap_or(u32::MAX))
    }

    pub(crate) fn of_option(at: Option<Timestamp>) -> Self {
        at.map_or(Self::NEVER, Self::of)
    }

    #[inline]
    pub(crate) const fn rounded_down(self, unit: u32) -> Self {
        Self(self.0 / unit * unit)
    }

    pub(crate) const fn at(self) -> Timestamp {
        Timestamp::from_secs(self.0 as u64)
    }

    pub(crate) fn option(self) -> Option<Timestamp> {
        (self != Self::NEVER).then(|| self.at())
    }

    /// How many seconds after `earlier` this is; 0 if it is not after it.
    #[inline]
    pub(crate) const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    #[inline]
    pub(crate) fn is_never(self) -> bool {
        self == Self::NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_survive_in_few_bytes_and_have_bytes_of_their_own() {
        assert_eq!(size_of::<Spot>(), 24);
        let mut seen = Vec::new();
        for text in [
            "/ip4/1.2.3.4/tcp/5",
            "/ip4/1.2.3.4/tcp/6",
            "/ip4/1.2.3.4/udp/5/quic-v1",
            "/ip6/2a00::1/tcp/5/ws",
            "/dns4/example.org/tcp/5/tls/ws",
            "/memory/7",
        ] {
            let endpoint = Endpoint::from_multiaddr(&text.parse().unwrap()).unwrap().0;
            let spot = Spot::of(&endpoint);
            assert_eq!((spot.endpoint(), spot.ip()), (endpoint.clone(), endpoint.ip()));
            let bytes = spot.with_bytes(<[u8]>::to_vec);
            assert!(!seen.contains(&bytes), "{text}");
            seen.push(bytes);
        }
    }

    #[test]
    fn seconds_never_lie_later_than_the_moment() {
        let moment = Timestamp::from_micros(1_999_999);
        assert_eq!(Secs::of(moment).at(), Timestamp::from_secs(1));
        assert_eq!(Secs::of(Timestamp::MAX).at(), Timestamp::from_secs(u64::from(u32::MAX)));
        assert_eq!((Secs::of_option(None).option(), Secs::of(moment).since(Secs::of(Timestamp::MAX))), (None, 0));
    }
}
