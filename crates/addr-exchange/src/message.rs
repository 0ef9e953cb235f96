#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bruit_core::{Endpoint, Multiaddr, PeerId, Timestamp};
use bruit_wire::{
    Limited,
    limits::{ADDR_NEIGHBOURS_MAX, ADDRS_PER_PEER_MAX},
    pb, scan,
};
use bytes::Bytes;

/// A peer and where it can be dialled, as one node tells another.
///
/// # Security
/// All of it is a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddr {
    /// Who, where known.
    pub peer: Option<PeerId>,
    /// Where; 1 to 8, or none if a signed record says it.
    pub endpoints: Vec<Endpoint>,
    /// When it was last seen, in whole hours.
    pub last_seen: Option<Timestamp>,
    /// What the peer signed of it, where it did: a [`SignedRecord`](crate::SignedRecord) as it travels, unchecked.
    pub record: Option<Bytes>,
}

impl PeerAddr {
    /// Makes one without a signed record.
    pub const fn new(peer: Option<PeerId>, endpoints: Vec<Endpoint>, last_seen: Option<Timestamp>) -> Self {
        Self { peer, endpoints, last_seen, record: None }
    }
}

/// A request of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Asks for addresses.
    GetAddr {
        /// How many at most; 0 stands for what the peer likes.
        count_max: u32,
    },
    /// Brings addresses unasked.
    Addr(Vec<PeerAddr>),
    /// Asks for neighbours.
    GetNeighbours,
    /// Asks to be dialled there.
    DialBack(Endpoint),
}

/// What was read, and how much of it was nonsense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// What made sense.
    pub value: T,
    /// How many peers and addresses did not.
    pub nonsense: usize,
}

/// To what times are rounded down that others are told. An hour: a guess; Zebra takes half an hour.
const TIMES_ROUNDED_TO_SECS: u64 = 3_600;

/// A time as others are told it: nobody learns from it when exactly somebody was met.
pub(crate) fn whole_hours(at: Timestamp) -> Timestamp {
    let secs = at.as_secs();
    Timestamp::from_secs(secs.saturating_sub(secs.checked_rem(TIMES_ROUNDED_TO_SECS).unwrap_or(0)))
}

/// Reads a request; `None` when it is of no kind that this version knows.
pub fn request_from_wire(request: pb::ExchangeRequest) -> Option<Read<Request>> {
    match request.kind? {
        pb::exchange_request::Kind::GetAddr(pb::GetAddr { count_max }) => {
            Some(Read { value: Request::GetAddr { count_max }, nonsense: 0 })
        }
        pb::exchange_request::Kind::Addr(addr) => {
            let Read { value, nonsense } = addrs_from_wire(addr);
            Some(Read { value: Request::Addr(value), nonsense })
        }
        pb::exchange_request::Kind::GetNeighbours(pb::GetNeighbours {}) => {
            Some(Read { value: Request::GetNeighbours, nonsense: 0 })
        }
        pb::exchange_request::Kind::DialBack(pb::DialBack { addr }) => {
            Some(Read { value: Request::DialBack(endpoint_from_wire(&addr)?), nonsense: 0 })
        }
    }
}

/// Writes a request; addresses beyond what fits a frame are left out.
pub fn request_to_wire(request: &Request) -> pb::ExchangeRequest {
    let kind = |kind| pb::ExchangeRequest { kind: Some(kind) };
    match request {
        Request::GetAddr { count_max } => {
            kind(pb::exchange_request::Kind::GetAddr(pb::GetAddr { count_max: *count_max }))
        }
        Request::Addr(addrs) => fitting(addrs, |addr| kind(pb::exchange_request::Kind::Addr(addr))),
        Request::GetNeighbours => kind(pb::exchange_request::Kind::GetNeighbours(pb::GetNeighbours {})),
        Request::DialBack(endpoint) => {
            let addr = endpoint.to_multiaddr().to_vec().into();
            kind(pb::exchange_request::Kind::DialBack(pb::DialBack { addr }))
        }
    }
}

/// Reads an answer.
pub fn answer_from_wire(answer: pb::ExchangeResponse) -> Read<Vec<PeerAddr>> {
    addrs_from_wire(answer.addr.unwrap_or_default())
}

/// Writes an answer; addresses beyond what fits a frame are left out.
pub fn answer_to_wire(addrs: &[PeerAddr]) -> pb::ExchangeResponse {
    if addrs.is_empty() {
        return pb::ExchangeResponse::default();
    }
    fitting(addrs, |addr| pb::ExchangeResponse { addr: Some(addr), neighbours: None })
}

/// Reads the answer to a request for neighbours; what is no peer id is left out.
pub fn neighbours_from_wire(answer: pb::ExchangeResponse) -> Vec<PeerId> {
    let ids = answer.neighbours.unwrap_or_default().peer_ids;
    ids.iter().filter_map(|bytes| PeerId::from_bytes(bytes).ok()).collect()
}

/// Writes the answer to a request for neighbours; those beyond what a message holds are left out.
pub fn neighbours_to_wire(neighbours: &[PeerId]) -> pb::ExchangeResponse {
    let ids = neighbours.iter().take(ADDR_NEIGHBOURS_MAX as usize).map(|peer| peer.to_bytes().into());
    pb::ExchangeResponse { addr: None, neighbours: Some(pb::Neighbours { peer_ids: ids.collect() }) }
}

/// The message with as many of the addresses as the peer's own scan will accept; signed records, the last ones first, are left out
/// before addresses are.
fn fitting<M: Limited>(addrs: &[PeerAddr], message: impl Fn(pb::Addr) -> M) -> M {
    let mut peers: Vec<pb::PeerAddr> = addrs.iter().map(addr_to_wire).collect();
    loop {
        let candidate = message(pb::Addr { peers: peers.clone() });
        if peers.is_empty() || scan(&candidate.encode_to_vec(), M::LIMITS).is_ok() {
            return candidate;
        }
        let can_lose = |peer: &&mut pb::PeerAddr| !peer.signed_record.is_empty() && !peer.addrs.is_empty();
        let signed: Vec<&mut pb::PeerAddr> = peers.iter_mut().filter(can_lose).collect();
        let seven_eighths = |count: usize| count.saturating_sub(count.div_ceil(8));
        if signed.is_empty() {
            peers.truncate(seven_eighths(peers.len()));
        } else {
            let kept = seven_eighths(signed.len());
            signed.into_iter().skip(kept).for_each(|peer| peer.signed_record = Bytes::new());
        }
    }
}

fn addr_to_wire(addr: &PeerAddr) -> pb::PeerAddr {
    let endpoints = addr.endpoints.iter().take(ADDRS_PER_PEER_MAX as usize);
    pb::PeerAddr {
        peer_id: addr.peer.map(|peer| peer.to_bytes().into()).unwrap_or_default(),
        addrs: endpoints.map(|endpoint| endpoint.to_multiaddr().to_vec().into()).collect(),
        last_seen_seconds: addr.last_seen.map_or(0, |at| whole_hours(at).as_secs()),
        signed_record: addr.record.clone().unwrap_or_default(),
    }
}

fn addrs_from_wire(addr: pb::Addr) -> Read<Vec<PeerAddr>> {
    let mut read = Read { value: Vec::with_capacity(addr.peers.len()), nonsense: 0 };
    for peer in addr.peers {
        match addr_from_wire(&peer) {
            Some(Read { value, nonsense }) => {
                read.value.push(value);
                read.nonsense = read.nonsense.saturating_add(nonsense);
            }
            None => read.nonsense = read.nonsense.saturating_add(1),
        }
    }
    read
}

fn addr_from_wire(addr: &pb::PeerAddr) -> Option<Read<PeerAddr>> {
    let peer = if addr.peer_id.is_empty() { None } else { Some(PeerId::from_bytes(&addr.peer_id).ok()?) };
    let mut endpoints = Vec::new();
    for bytes in addr.addrs.iter().take(ADDRS_PER_PEER_MAX as usize) {
        let known = endpoint_from_wire(bytes).filter(|endpoint| !endpoints.contains(endpoint));
        endpoints.extend(known);
    }
    let record = (!addr.signed_record.is_empty()).then(|| addr.signed_record.clone());
    if endpoints.is_empty() && record.is_none() {
        return None;
    }
    let nonsense = addr.addrs.len().saturating_sub(endpoints.len());
    let last_seen = (addr.last_seen_seconds > 0).then(|| whole_hours(Timestamp::from_secs(addr.last_seen_seconds)));
    Some(Read { value: PeerAddr { peer, endpoints, last_seen, record }, nonsense })
}

fn endpoint_from_wire(bytes: &Bytes) -> Option<Endpoint> {
    let addr = Multiaddr::try_from(bytes.to_vec()).ok()?;
    match Endpoint::from_multiaddr(&addr) {
        Ok((endpoint, None)) => Some(endpoint),
        Ok((_, Some(_))) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
