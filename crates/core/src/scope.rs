use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Endpoint, group::carried_v4};

/// From where an IP address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// From everywhere.
    Global,
    /// From within one machine or site: loopback, RFC 1918, RFC 6598, unique local.
    Private,
    /// From nowhere, or it is no single host's: unspecified, link-local, multicast, documentation, benchmarking, reserved.
    Reserved,
}

/// Which addresses a node stores, shares and dials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddrPolicy {
    /// Whether private addresses are welcome, as on a local test network.
    pub allow_private_addrs: bool,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddrRefusal {
    /// It is private, and private addresses are not allowed here.
    #[error("the address is private, and private addresses are not allowed")]
    Private,
    /// It is nobody's.
    #[error("the address is reserved")]
    Reserved,
}

impl AddrPolicy {
    /// Checks an endpoint. Names pass: where a name leads is checked when it is resolved. Behind a relay, the relay counts.
    ///
    /// # Security
    /// Everything that comes from a peer passes here before it is stored or dialled, so that nobody can make a node connect
    /// inside its own site. Endpoints of unknown kind count as private.
    pub fn check(&self, endpoint: &Endpoint) -> Result<(), AddrRefusal> {
        match scope_to_dial(endpoint) {
            Scope::Global => Ok(()),
            Scope::Private if self.allow_private_addrs => Ok(()),
            Scope::Private => Err(AddrRefusal::Private),
            Scope::Reserved => Err(AddrRefusal::Reserved),
        }
    }
}

/// The first port that is dialled at a public address, or a name, that the operator did not give. 1,024: the first that needs no
/// privilege.
const FIRST_FREE_PORT: u16 = 1_024;

/// Whether a usual service may be there, as mail: a low port of a public address, or of a name, since that may lead to one.
///
/// # Security
/// What peers say is not dialled there, so that nobody makes nodes knock at a service that is none of theirs.
pub fn may_be_usual_service(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Ip { ip, port, .. } => *port < FIRST_FREE_PORT && scope_of(*ip) == Scope::Global,
        Endpoint::Dns { port, .. } => *port < FIRST_FREE_PORT,
        Endpoint::Relayed { .. } | Endpoint::Other(_) => false,
    }
}

/// From where somebody would dial an address that it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// From somewhere on the internet.
    Internet,
    /// From the same site.
    Site,
    /// From the same machine.
    Machine,
}

impl Audience {
    /// Tells it from the endpoint that somebody is seen at.
    pub fn of(seen_at: &Endpoint) -> Self {
        match seen_at {
            Endpoint::Ip { ip, .. } if ip.is_loopback() => Self::Machine,
            Endpoint::Ip { ip, .. } if scope_of(*ip) == Scope::Private => Self::Site,
            Endpoint::Ip { .. } | Endpoint::Dns { .. } | Endpoint::Relayed { .. } => Self::Internet,
            Endpoint::Other(_) => Self::Machine,
        }
    }

    /// Whether it could dial an endpoint.
    pub fn can_use(self, endpoint: &Endpoint) -> bool {
        match endpoint {
            Endpoint::Ip { ip, .. } => self.can_use_ip(*ip),
            Endpoint::Dns { .. } | Endpoint::Relayed { .. } => self.reaches(scope_to_dial(endpoint), false),
            Endpoint::Other(_) => self.reaches(scope_to_dial(endpoint), true),
        }
    }

    /// Whether it could dial an IP address.
    #[inline]
    pub fn can_use_ip(self, ip: IpAddr) -> bool {
        self.reaches(scope_of(ip), ip.is_loopback())
    }

    #[inline]
    fn reaches(self, scope: Scope, is_on_machine: bool) -> bool {
        match scope {
            Scope::Global => true,
            Scope::Private if is_on_machine => self == Self::Machine,
            Scope::Private => self != Self::Internet,
            Scope::Reserved => false,
        }
    }
}

/// The scope of what is dialled first on the way to an endpoint.
fn scope_to_dial(endpoint: &Endpoint) -> Scope {
    match endpoint {
        Endpoint::Ip { ip, .. } => scope_of(*ip),
        Endpoint::Dns { .. } => Scope::Global,
        // Without an address of its own, the relay is dialled where it is known to be.
        Endpoint::Relayed { via, .. } if via.is_empty() => Scope::Global,
        Endpoint::Relayed { via, .. } => match Endpoint::from_multiaddr(via) {
            Ok((Endpoint::Ip { ip, .. }, _)) => scope_of(ip),
            Ok((Endpoint::Dns { .. }, _)) => Scope::Global,
            Ok((Endpoint::Relayed { .. } | Endpoint::Other(_), _)) | Err(_) => Scope::Reserved,
        },
        Endpoint::Other(_) => Scope::Private,
    }
}

/// The scope of an IP address, after the IANA special-purpose registries. Tunnelled forms have the scope of the address they
/// carry.
#[inline]
pub fn scope_of(ip: IpAddr) -> Scope {
    match ip {
        IpAddr::V4(v4) => scope_of_v4(v4),
        IpAddr::V6(v6) => match (v6.to_bits() >> 112) as u16 {
            // Nearly all there is: assigned to be routed, and nothing carried.
            0x2003..=0x3ffe => Scope::Global,
            _ => carried_v4(v6).map_or_else(|| scope_of_v6(v6), scope_of_v4),
        },
    }
}

#[inline]
fn scope_of_v4(ip: Ipv4Addr) -> Scope {
    match ip.octets() {
        [127 | 10, ..] | [192, 168, ..] => Scope::Private,
        [172, b, ..] if b & 0xf0 == 16 => Scope::Private,
        [100, b, ..] if b & 0xc0 == 64 => Scope::Private,
        [0, ..] | [169, 254, ..] | [224..=255, ..] => Scope::Reserved,
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] => {
            Scope::Reserved
        }
        _ => Scope::Global,
    }
}

#[inline]
fn scope_of_v6(ip: Ipv6Addr) -> Scope {
    if ip.is_loopback() {
        return Scope::Private;
    }
    match ip.segments() {
        [first, ..] if first & 0xfe00 == 0xfc00 => Scope::Private,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] | [0x2001, 2..=0x01ff, ..] => Scope::Reserved,
        [first, ..] if first & 0xe000 == 0x2000 => Scope::Global,
        _ => Scope::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_ports_of_public_addresses_and_of_names_may_be_usual_services() {
        let may_be = |host: &str| {
            [1_023, 1_024, 1_025].map(|port| {
                let addr = format!("{host}/tcp/{port}").parse().unwrap();
                may_be_usual_service(&Endpoint::from_multiaddr(&addr).unwrap().0)
            })
        };
        for host in ["/ip4/1.1.1.1", "/ip6/2a00:1450::1", "/dns4/node.example"] {
            assert_eq!(may_be(host), [true, false, false], "{host}");
        }
        assert_eq!(may_be("/ip4/10.0.0.1"), [false; 3]);
    }

    #[test]
    fn special_addresses_are_told_from_public_ones() {
        use Scope::{Global, Private, Reserved};
        for (text, scope) in [
            ("1.1.1.1", Global),
            ("172.15.0.1", Global),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("172.32.0.1", Global),
            ("100.63.0.1", Global),
            ("100.64.0.1", Private),
            ("127.5.0.1", Private),
            ("169.254.169.254", Reserved),
            ("0.0.0.0", Reserved),
            ("224.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("::1", Private),
            ("::", Reserved),
            ("fd00::1", Private),
            ("fe80::1", Reserved),
            ("ff02::1", Reserved),
            ("2001:db8::1", Reserved),
            ("2a00::1", Global),
            ("::ffff:10.0.0.1", Private),
            ("2002:7f00:1::", Private),
            ("64:ff9b::a9fe:a9fe", Reserved),
        ] {
            assert_eq!(scope_of(text.parse().unwrap()), scope, "{text}");
        }
    }

    #[test]
    fn an_audience_uses_what_it_can_reach() {
        let endpoints =
            ["1.1.1.1", "192.168.0.1", "127.0.0.1", "169.254.0.1"].map(|ip| Endpoint::tcp(ip.parse().unwrap(), 1));
        let seen =
            |index: usize| endpoints.each_ref().map(|endpoint| Audience::of(&endpoints[index]).can_use(endpoint));
        assert_eq!(seen(0), [true, false, false, false]);
        assert_eq!(seen(1), [true, true, false, false]);
        assert_eq!(seen(2), [true, true, true, false]);
    }

    #[test]
    fn a_relay_leads_nowhere_that_could_not_be_dialled_itself() {
        let relay = "p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq/p2p-circuit";
        let behind = |via: &str| Endpoint::from_multiaddr(&format!("{via}/{relay}").parse().unwrap()).unwrap().0;
        let checked = |via| AddrPolicy::default().check(&behind(via));
        assert_eq!(["/ip4/1.1.1.1/tcp/1", "/dns/a.example/tcp/1", ""].map(checked), [Ok(()); 3]);
        assert_eq!(checked("/ip4/10.0.0.1/tcp/80"), Err(AddrRefusal::Private));
        assert_eq!(checked("/ip4/169.254.169.254/tcp/80"), Err(AddrRefusal::Reserved));
        assert!(!Audience::Internet.can_use(&behind("/ip4/10.0.0.1/tcp/80")));
        assert!(Audience::Site.can_use(&behind("/ip4/10.0.0.1/tcp/80")));
    }

    #[test]
    fn private_addresses_pass_only_when_allowed() {
        let loopback = Endpoint::tcp([127, 0, 0, 1].into(), 1);
        assert_eq!(AddrPolicy::default().check(&loopback), Err(AddrRefusal::Private));
        let open = AddrPolicy { allow_private_addrs: true };
        assert_eq!(open.check(&loopback), Ok(()));
        assert_eq!(open.check(&Endpoint::tcp([224, 0, 0, 1].into(), 1)), Err(AddrRefusal::Reserved));
    }
}
