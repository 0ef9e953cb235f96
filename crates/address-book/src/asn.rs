//! Which autonomous system an address belongs to, by a map that the operator gives.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use bruit_core::{Endpoint, NetGroup};

use crate::IpNet;

/// A map from nets to autonomous systems; cheap to clone. Without one, a group is /16 of IPv4 or /32 of IPv6.
///
/// # Security
/// An operator of a network may hold thousands of groups of addresses, but few autonomous systems: with a map, all of those are
/// one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AsnMap {
    nets: Arc<BTreeMap<(bool, u8), BTreeMap<IpAddr, u32>>>,
}

/// A line that is no part of a map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsnMapError {
    /// It is not a net and a number.
    #[error("line {0} is not a net and an autonomous system, as `1.2.0.0/16 AS64500`")]
    Line(usize),
    /// There are too many.
    #[error("the map has more than {NETS_MAX} nets")]
    TooLarge,
}

/// How many nets a map may name. 4,194,304: a guess, four times what the internet announces.
const NETS_MAX: usize = 1 << 22;

impl AsnMap {
    /// Reads a map: on each line a net and an autonomous system, as `1.2.0.0/16 AS64500`; what follows a `#` is not read.
    pub fn read(text: &str) -> Result<Self, AsnMapError> {
        Self::read_up_to(text, NETS_MAX)
    }

    fn read_up_to(text: &str, nets_max: usize) -> Result<Self, AsnMapError> {
        let mut nets: BTreeMap<(bool, u8), BTreeMap<IpAddr, u32>> = BTreeMap::new();
        let mut count = 0;
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(net) = words.next() else { continue };
            let error = AsnMapError::Line(index + 1);
            let number = words.next().map(|word| word.trim_start_matches("AS"));
            let (Ok(net), Some(Ok(number)), None) = (net.parse::<IpNet>(), number.map(str::parse), words.next()) else {
                return Err(error);
            };
            count += usize::from(nets.entry(net.length()).or_default().insert(net.first(), number).is_none());
            if count > nets_max {
                return Err(AsnMapError::TooLarge);
            }
        }
        Ok(Self { nets: Arc::new(nets) })
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty()
    }

    /// The autonomous system of an address: of the longest net that it is in.
    pub fn number_of(&self, ip: IpAddr) -> Option<u32> {
        let ip = ip.to_canonical();
        let longest_first = self.nets.iter().rev();
        longest_first.filter_map(|(length, nets)| nets.get(&IpNet::of_length(ip, *length)?.first())).next().copied()
    }

    /// The group of an endpoint: its autonomous system where the map knows it, else what [`NetGroup::of`] says.
    pub fn group_of(&self, endpoint: &Endpoint) -> NetGroup {
        if self.is_empty() {
            return endpoint.group();
        }
        let number = endpoint.ip().and_then(|ip| self.number_of(ip));
        number.map_or_else(|| endpoint.group(), NetGroup::Asn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "# a map\n1.0.0.0/8 AS1\n1.2.0.0/16 2 # nearer\n2a00::/16 AS3\n\n";

    #[test]
    fn the_longest_net_says_whose_an_address_is() {
        let map = AsnMap::read(MAP).unwrap();
        let number = |ip: &str| map.number_of(ip.parse().unwrap());
        let found = ["1.1.1.1", "1.2.3.4", "::ffff:1.2.3.4", "2a00:1::1", "2.2.2.2", "2b00::1"].map(number);
        assert_eq!(found, [Some(1), Some(2), Some(2), Some(3), None, None]);
        let group = |ip: &str| map.group_of(&Endpoint::tcp(ip.parse().unwrap(), 1)).to_string();
        assert_eq!(["1.2.3.4", "2.2.2.2"].map(group), ["AS2", "2.2.0.0/16"]);
        assert_eq!(AsnMap::default().group_of(&Endpoint::tcp([1, 2, 3, 4].into(), 1)).to_string(), "1.2.0.0/16");
    }

    #[test]
    fn lines_that_are_none_are_named_and_a_map_has_its_limit() {
        for line in ["1.2.0.0/16", "1.2.0.0 AS1", "1.2.0.0/16 AS1 2", "1.2.0.0/16 one"] {
            assert_eq!(AsnMap::read(&format!("#\n{line}")), Err(AsnMapError::Line(2)), "{line}");
        }
        let read = |limit| AsnMap::read_up_to(MAP, limit).is_ok();
        assert_eq!([4, 3, 2].map(read), [true, true, false]);
    }
}
