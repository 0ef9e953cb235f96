#![deny(clippy::expect_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::time::Duration;

use bruit_core::{Endpoint, Multiaddr, PeerId, Timestamp};
use bruit_wire::{decode, encode, pb};
use bytes::Bytes;
use libp2p_identity::{Keypair, PublicKey};

/// Where a peer says it can be dialled, signed by it: libp2p's peer record, in the form that Go and JavaScript read too.
///
/// # Security
/// A value of this type was verified: the signature holds, and the key that made it is the peer's. The addresses are a claim
/// all the same, but one that nobody else can make in the peer's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRecord {
    peer: PeerId,
    seq: u64,
    endpoints: Vec<Endpoint>,
    bytes: Bytes,
}

/// Why bytes are no signed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They are no envelope, or what is in it is no peer record.
    #[error("no signed peer record")]
    Malformed,
    /// The envelope holds something else.
    #[error("the envelope holds no peer record")]
    OtherPayload,
    /// The signature does not hold.
    #[error("the signature is not valid")]
    BadSignature,
    /// Somebody signed another one's record.
    #[error("the key is not that of the peer")]
    OtherPeer,
    /// It names no address that can be read.
    #[error("the record names no address")]
    NoAddrs,
    /// It could not be signed.
    #[error("the record could not be signed")]
    Unsignable,
}

const DOMAIN: &[u8] = b"libp2p-peer-record";
const PAYLOAD_TYPE: &[u8] = &[0x03, 0x01];
/// How many endpoints of a record count; the rest is not looked at. As many as an entry of an answer has.
const ENDPOINTS_MAX: usize = bruit_wire::limits::ADDRS_PER_PEER_MAX as usize;
/// How far ahead the time of a record may lie. 10 min: Bitcoin Core, for times that are claimed.
const FUTURE_MAX: Duration = Duration::from_secs(600);
/// No implementation signed records before 2020.
const FIRST_RECORD: Timestamp = Timestamp::from_secs(1_577_836_800);

impl SignedRecord {
    /// Signs where the owner of a key can be dialled. Of two records the one with the larger `seq` is newer.
    pub fn sign(key: &Keypair, endpoints: &[Endpoint], seq: u64) -> Result<Self, RecordError> {
        let endpoints = endpoints.get(..ENDPOINTS_MAX).unwrap_or(endpoints).to_vec();
        if endpoints.is_empty() {
            return Err(RecordError::NoAddrs);
        }
        let peer = key.public().to_peer_id();
        let addr = |endpoint: &Endpoint| pb::PeerRecordAddr { multiaddr: endpoint.to_multiaddr().to_vec().into() };
        let addresses = endpoints.iter().map(addr).collect();
        let payload = encode(&pb::PeerRecord { peer_id: peer.to_bytes().into(), seq, addresses });
        let signature = key.sign(&signed_bytes(PAYLOAD_TYPE, &payload)).map_err(|_| RecordError::Unsignable)?;
        let envelope = pb::SignedEnvelope {
            public_key: key.public().encode_protobuf().into(),
            payload_type: Bytes::from_static(PAYLOAD_TYPE),
            payload,
            signature: signature.into(),
        };
        Ok(Self { peer, seq, endpoints, bytes: encode(&envelope) })
    }

    /// Reads and verifies a record.
    ///
    /// # Security
    /// Costs one check of a signature, so whoever calls it for others' bytes must count them. The key must be that of the peer
    /// the record names: otherwise anybody could sign for anybody.
    pub fn verify(bytes: &Bytes) -> Result<Self, RecordError> {
        let envelope: pb::SignedEnvelope = decode(bytes.clone()).map_err(|_| RecordError::Malformed)?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(RecordError::OtherPayload);
        }
        let record: pb::PeerRecord = decode(envelope.payload.clone()).map_err(|_| RecordError::Malformed)?;
        let peer = PeerId::from_bytes(&record.peer_id).map_err(|_| RecordError::Malformed)?;
        let key = PublicKey::try_decode_protobuf(&envelope.public_key).map_err(|_| RecordError::Malformed)?;
        if key.to_peer_id() != peer {
            return Err(RecordError::OtherPeer);
        }
        if !key.verify(&signed_bytes(&envelope.payload_type, &envelope.payload), &envelope.signature) {
            return Err(RecordError::BadSignature);
        }
        let mut endpoints = Vec::new();
        for addr in record.addresses.iter().take(ENDPOINTS_MAX) {
            let known = endpoint(&addr.multiaddr, &peer).filter(|endpoint| !endpoints.contains(endpoint));
            endpoints.extend(known);
        }
        if endpoints.is_empty() {
            return Err(RecordError::NoAddrs);
        }
        Ok(Self { peer, seq: record.seq, endpoints, bytes: bytes.clone() })
    }

    /// Whose it is.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// Which of two is newer.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Where the peer says it can be dialled; 1 to 8.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The envelope, as it travels.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// When it was signed, as far as its sequence number says so: implementations count seconds, milliseconds, microseconds or
    /// nanoseconds since 1970; `None` when it counts something else.
    pub fn signed_at(&self, now: Timestamp) -> Option<Timestamp> {
        let latest = now.after(FUTURE_MAX);
        let readings =
            [self.seq.checked_mul(1_000_000), self.seq.checked_mul(1_000), Some(self.seq), self.seq.checked_div(1_000)];
        readings
            .into_iter()
            .flatten()
            .map(Timestamp::from_micros)
            .find(|at| (FIRST_RECORD..=latest).contains(at))
            .map(|at| at.min(now))
    }
}

/// An address of a record; some implementations put the peer's own id at its end.
fn endpoint(bytes: &Bytes, owner: &PeerId) -> Option<Endpoint> {
    let addr = Multiaddr::try_from(bytes.to_vec()).ok()?;
    let (endpoint, peer) = Endpoint::from_multiaddr(&addr).ok()?;
    peer.is_none_or(|peer| peer == *owner).then_some(endpoint)
}

/// What the signature covers: domain, type and payload, each after its length.
fn signed_bytes(payload_type: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [DOMAIN, payload_type, payload] {
        let mut len = part.len();
        while len >= 0x80 {
            bytes.push((len & 0x7f) as u8 | 0x80);
            len >>= 7;
        }
        bytes.push(len as u8);
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests;
