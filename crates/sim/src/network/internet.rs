use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use bruit_stack::gossip::ItemId;

use super::observers::Notes;
use bruit_core::{Endpoint, LookupMap, PeerId, Scope, Seed, Timestamp, scope_of};

/// Who lives where.
#[derive(Debug, Default)]
pub struct Internet {
    places: Vec<Place>,
    by_endpoint: LookupMap<Endpoint, u32>,
    by_peer: LookupMap<PeerId, u32>,
    /// How many of the nodes, from node 0 on, are honest.
    honest: u32,
    /// Nodes that are gone for ever.
    pub(super) gone: BTreeSet<u32>,
    /// What observers were told.
    pub(super) notes: Notes,
    pub(crate) connections: u64,
    /// Items that were published.
    pub(super) items: BTreeMap<ItemId, Published>,
    /// How many dials went to addresses that the public internet does not have.
    pub(crate) reserved_dials: u64,
}

/// An item that was published.
#[derive(Debug)]
pub(super) struct Published {
    /// At which of the moments at which some are.
    pub(super) moment: u32,
    pub(super) at: Timestamp,
    /// Who got it, and when, its origin included.
    pub(super) receivers: Vec<(u32, Timestamp)>,
}

/// Who a node is, and where.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its identity.
    pub peer: PeerId,
    /// Where it listens.
    pub endpoint: Endpoint,
}

impl Internet {
    /// Settles so many honest nodes at addresses of their own all over the internet, and after them so many others that share
    /// some addresses.
    pub fn new(honest: u32, others: u32, other_ips: u32, seed: &Seed) -> Self {
        let mut internet = Self { honest, ..Self::default() };
        let (hosts, seats) = (seed.derive("places", 0), seed.derive("places", 1));
        for node in 0..honest {
            internet.settle(node, ip(&hosts, node), 4_001);
        }
        for other in 0..others {
            let port = 1_024 + (other / other_ips.max(1)) as u16 % 60_000;
            internet.settle(honest + other, ip(&seats, other % other_ips.max(1)), port);
        }
        internet
    }

    /// Who lives at an endpoint.
    pub fn at(&self, endpoint: &Endpoint) -> Option<u32> {
        self.by_endpoint.get(endpoint).copied()
    }

    /// The number of a node.
    pub fn node_of(&self, peer: &PeerId) -> Option<u32> {
        self.by_peer.get(peer).copied()
    }

    /// Who a node is.
    pub fn place(&self, node: u32) -> Option<&Place> {
        self.places.get(node as usize)
    }

    /// Whether a peer is one of the honest nodes.
    pub fn is_honest(&self, peer: &PeerId) -> bool {
        self.node_of(peer).is_some_and(|node| node < self.honest)
    }

    /// How many of the nodes, from node 0 on, are honest.
    pub const fn honest(&self) -> u32 {
        self.honest
    }

    /// Whether a peer is not gone for ever.
    pub(super) fn is_living(&self, peer: &PeerId) -> bool {
        self.node_of(peer).is_some_and(|node| !self.gone.contains(&node))
    }

    /// How many honest nodes are not gone for ever.
    pub(super) fn honest_left(&self) -> usize {
        (self.honest as usize).saturating_sub(self.gone.range(..self.honest).count())
    }

    fn settle(&mut self, node: u32, ip: IpAddr, port: u16) {
        let place = Place { peer: peer(node), endpoint: Endpoint::tcp(ip, port) };
        self.by_endpoint.insert(place.endpoint.clone(), node);
        self.by_peer.insert(place.peer, node);
        self.places.push(place);
    }
}

/// An address of the public internet, from all over it.
pub(super) fn ip(seed: &Seed, number: u32) -> IpAddr {
    let mut salt = 0_u32;
    loop {
        let hash = seed.keyed_hash(&[number.to_le_bytes(), salt.to_le_bytes()].concat());
        let ip = IpAddr::V4(Ipv4Addr::from((hash >> 16) as u32));
        if scope_of(ip) == Scope::Global {
            return ip;
        }
        salt += 1;
    }
}

/// An address that nobody on the public internet has: what liars tell to make others dial into networks of their own.
pub(super) fn reserved_ip(number: u32) -> IpAddr {
    let [_, b, c, d] = number.to_be_bytes();
    let ip = match number % 4 {
        0 => [10, b, c, d],
        1 => [127, b, c, d],
        2 => [192, 168, c, d],
        _ => [169, 254, c, d],
    };
    IpAddr::from(ip)
}

/// An identity: the form of an Ed25519 key without being one, since nobody proves anything here.
fn peer(node: u32) -> PeerId {
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend_from_slice(blake3::hash(&node.to_le_bytes()).as_bytes());
    PeerId::from_bytes(&bytes).unwrap_or_else(|_| unreachable!("an identity multihash of 36 bytes is a peer id"))
}
