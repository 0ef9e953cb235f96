use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use libp2p_identity::PeerId;
use multiaddr::{Multiaddr, Protocol};

use crate::NetGroup;

/// Where a node can be dialled, apart from who it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// An IP address and a port. IPv4 addresses mapped into IPv6 are written as IPv4.
    Ip {
        /// The address.
        ip: IpAddr,
        /// The port, never 0.
        port: u16,
        /// What is spoken there.
        transport: Transport,
    },
    /// A name and a port.
    Dns {
        /// The name, in lower case, 1 to 253 characters.
        name: Arc<str>,
        /// Which of its addresses count: 4, 6, or `None` for both.
        family: Option<u8>,
        /// The port, never 0.
        port: u16,
        /// What is spoken there.
        transport: Transport,
    },
    /// Behind a relay: no IP of its own, so no rule about IPs applies.
    Relayed {
        /// The relay.
        relay: Box<PeerId>,
        /// How the relay is dialled, without any peer id.
        via: Multiaddr,
    },
    /// Something else that a transport may understand, as `/memory/7`.
    Other(Multiaddr),
}

/// What is spoken at an IP address or name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// WebSocket over TCP.
    Ws,
    /// WebSocket over TLS over TCP.
    Wss,
    /// QUIC version 1 over UDP.
    Quic,
}

/// An address that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is empty, or only a peer id.
    #[error("the address {0} says nowhere to dial")]
    Nowhere(Multiaddr),
    /// Port 0 cannot be dialled.
    #[error("the address {0} has port 0")]
    PortZero(Multiaddr),
    /// The name is empty or has more than 253 characters.
    #[error("the address has a name of {0} characters, not 1 to 253")]
    NameLength(usize),
    /// The address is longer than 256 bytes.
    #[error("the address has {0} bytes, more than {ENCODED_MAX}")]
    TooLong(usize),
}

const ENCODED_MAX: usize = 256;
const NAME_MAX: usize = 253;

impl Endpoint {
    /// Makes a TCP endpoint of an IP address; IPv4 mapped into IPv6 becomes IPv4.
    pub fn tcp(ip: IpAddr, port: u16) -> Self {
        Self::Ip { ip: ip.to_canonical(), port, transport: Transport::Tcp }
    }

    /// Reads an address, and the peer id at its end if it has one.
    ///
    /// # Security
    /// Addresses come from peers: one that is too long, has port 0 or names nobody is refused.
    pub fn from_multiaddr(addr: &Multiaddr) -> Result<(Self, Option<PeerId>), EndpointError> {
        if addr.len() > ENCODED_MAX {
            return Err(EndpointError::TooLong(addr.len()));
        }
        let mut rest = addr.clone();
        let peer = match rest.iter().last() {
            Some(Protocol::P2p(peer)) => {
                rest.pop();
                Some(peer)
            }
            _ => None,
        };
        if rest.is_empty() {
            return Err(EndpointError::Nowhere(addr.clone()));
        }
        if rest.iter().any(|part| matches!(part, Protocol::P2pCircuit)) {
            return Ok((relayed(rest), peer));
        }
        let parts: Vec<Protocol<'_>> = rest.iter().collect();
        let endpoint = match parts.split_first_chunk::<2>() {
            Some(([host, port], tail)) => direct(host, port, tail)?,
            None => None,
        };
        if let Some(Self::Ip { port: 0, .. } | Self::Dns { port: 0, .. }) = endpoint {
            return Err(EndpointError::PortZero(addr.clone()));
        }
        Ok((endpoint.unwrap_or(Self::Other(rest)), peer))
    }

    /// The address that libp2p dials, without a peer id.
    pub fn to_multiaddr(&self) -> Multiaddr {
        match self {
            Self::Ip { ip, port, transport } => with_transport(Multiaddr::from(*ip), *port, *transport),
            Self::Dns { name, family, port, transport } => {
                let name = name.as_ref().into();
                let host = match family {
                    Some(4) => Protocol::Dns4(name),
                    Some(6) => Protocol::Dns6(name),
                    _ => Protocol::Dns(name),
                };
                with_transport(Multiaddr::empty().with(host), *port, *transport)
            }
            Self::Relayed { relay, via } => via.clone().with(Protocol::P2p(**relay)).with(Protocol::P2pCircuit),
            Self::Other(addr) => addr.clone(),
        }
    }

    /// The IP address, where there is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip { ip, .. } => Some(*ip),
            Self::Dns { .. } | Self::Relayed { .. } | Self::Other(_) => None,
        }
    }

    /// The part of the internet that this endpoint belongs to.
    #[inline]
    pub fn group(&self) -> NetGroup {
        NetGroup::of(self)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_multiaddr().fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let addr: Multiaddr = text.parse().map_err(serde::de::Error::custom)?;
        Self::from_multiaddr(&addr).map(|(endpoint, _)| endpoint).map_err(serde::de::Error::custom)
    }
}

fn relayed(addr: Multiaddr) -> Endpoint {
    let mut via = Multiaddr::empty();
    for part in &addr {
        if let Protocol::P2p(relay) = part {
            return Endpoint::Relayed { relay: Box::new(relay), via };
        }
        via.push(part);
    }
    Endpoint::Other(addr)
}

fn direct(host: &Protocol<'_>, port: &Protocol<'_>, tail: &[Protocol<'_>]) -> Result<Option<Endpoint>, EndpointError> {
    let Some((port, transport)) = port_and_transport(port, tail) else { return Ok(None) };
    let dns = |name: &str, family| {
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(EndpointError::NameLength(name.len()));
        }
        Ok(Some(Endpoint::Dns { name: name.to_ascii_lowercase().into(), family, port, transport }))
    };
    let ip = |ip: IpAddr| Ok(Some(Endpoint::Ip { ip: ip.to_canonical(), port, transport }));
    #[allow(clippy::wildcard_enum_match_arm, reason = "all other protocols are no host")]
    match host {
        Protocol::Ip4(v4) => ip(IpAddr::V4(*v4)),
        Protocol::Ip6(v6) => ip(IpAddr::V6(Ipv6Addr::from(v6.octets()))),
        Protocol::Dns(name) => dns(name, None),
        Protocol::Dns4(name) => dns(name, Some(4)),
        Protocol::Dns6(name) => dns(name, Some(6)),
        _ => Ok(None),
    }
}

fn port_and_transport(port: &Protocol<'_>, tail: &[Protocol<'_>]) -> Option<(u16, Transport)> {
    let is_root = |path: &str| path.is_empty() || path == "/";
    match (port, tail) {
        (Protocol::Tcp(port), []) => Some((*port, Transport::Tcp)),
        (Protocol::Tcp(port), [Protocol::Ws(path)]) if is_root(path) => Some((*port, Transport::Ws)),
        (Protocol::Tcp(port), [Protocol::Wss(path)]) if is_root(path) => Some((*port, Transport::Wss)),
        (Protocol::Tcp(port), [Protocol::Tls, Protocol::Ws(path)]) if is_root(path) => Some((*port, Transport::Wss)),
        (Protocol::Udp(port), [Protocol::QuicV1]) => Some((*port, Transport::Quic)),
        _ => None,
    }
}

fn with_transport(host: Multiaddr, port: u16, transport: Transport) -> Multiaddr {
    match transport {
        Transport::Tcp => host.with(Protocol::Tcp(port)),
        Transport::Ws => host.with(Protocol::Tcp(port)).with(Protocol::Ws("/".into())),
        Transport::Wss => host.with(Protocol::Tcp(port)).with(Protocol::Tls).with(Protocol::Ws("/".into())),
        Transport::Quic => host.with(Protocol::Udp(port)).with(Protocol::QuicV1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Endpoint, Option<PeerId>), EndpointError> {
        Endpoint::from_multiaddr(&text.parse().unwrap())
    }

    #[test]
    fn addresses_survive_the_round_trip() {
        for text in [
            "/ip4/1.2.3.4/tcp/5",
            "/ip6/2a00::1/tcp/5/ws",
            "/dns4/example.org/tcp/5/tls/ws",
            "/dns/example.org/udp/5/quic-v1",
            "/memory/7",
            "/ip4/1.2.3.4/tcp/5/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq/p2p-circuit",
        ] {
            let (endpoint, peer) = read(text).unwrap();
            assert_eq!((endpoint.to_string().as_str(), peer), (text, None));
            assert_eq!(read(&endpoint.to_string()).unwrap().0, endpoint);
        }
    }

    #[test]
    fn the_peer_id_at_the_end_is_taken_off() {
        let peer: PeerId = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq".parse().unwrap();
        let (endpoint, found) = read(&format!("/ip4/1.2.3.4/tcp/5/p2p/{peer}")).unwrap();
        assert_eq!((endpoint, found), (Endpoint::tcp([1, 2, 3, 4].into(), 5), Some(peer)));
        assert!(matches!(read(&format!("/p2p/{peer}")), Err(EndpointError::Nowhere(_))));
    }

    #[test]
    fn mapped_addresses_are_written_as_ipv4() {
        assert_eq!(read("/ip6/::ffff:1.2.3.4/tcp/5").unwrap(), read("/ip4/1.2.3.4/tcp/5").unwrap());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(read("/ip4/1.2.3.4/tcp/0"), Err(EndpointError::PortZero(_))));
        let long = format!("/dns/{}/tcp/1", "a".repeat(300));
        assert!(matches!(read(&long), Err(EndpointError::TooLong(_))));
        assert!(matches!(Endpoint::from_multiaddr(&Multiaddr::empty()), Err(EndpointError::Nowhere(_))));
    }
}
