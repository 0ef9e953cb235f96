use std::fmt;

use bruit_core::PeerId;
use bruit_wire::limits::SIGNATURE_BYTES;
use libp2p_identity::{KeyType, Keypair, PublicKey};

use crate::ItemId;

/// The domain of authors' signatures; see [`Signature`].
const DOMAIN: &str = "bruit item signature v1";

/// What an author says of an item: an Ed25519 signature of these bytes, one after the other:
///
/// | bytes | what |
/// |---|---|
/// | 1 | 23, the length of the domain |
/// | 23 | the domain, `bruit item signature v1` in ASCII |
/// | 32 | the id of the item |
///
/// The key is the one that the author's peer id holds.
///
/// # Security
/// The id binds network and body, byte for byte, so a signature of one item is none of any other. Beside the body anybody may
/// put another signature: a false one says nothing of the item, and its id is not marked by it.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(Box<[u8; SIGNATURE_BYTES]>);

/// An item that cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The item names somebody else, or nobody, as its author.
    #[error("the item's author is not the one who signs it")]
    Author,
    /// The key makes no signature of this kind.
    #[error("only Ed25519 keys sign items")]
    Key,
}

impl Signature {
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        Some(Self(Box::new(bytes.try_into().ok()?)))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.0
    }

    pub(super) fn of(id: &ItemId, key: &Keypair) -> Result<Self, SignError> {
        if key.key_type() != KeyType::Ed25519 {
            return Err(SignError::Key);
        }
        let bytes = key.sign(&signed(id)).map_err(|_| SignError::Key)?;
        Self::new(&bytes).ok_or(SignError::Key)
    }

    /// Whether an author made it for an item.
    pub(super) fn holds(&self, id: &ItemId, author: &PeerId) -> bool {
        // The peer id of an Ed25519 key is the key itself, in a hash that hashes nothing.
        let key = PublicKey::try_decode_protobuf(author.as_ref().digest());
        key.is_ok_and(|key| {
            key.key_type() == KeyType::Ed25519
                && key.to_peer_id() == *author
                && key.verify(&signed(id), self.as_bytes())
        })
    }
}

fn signed(id: &ItemId) -> Vec<u8> {
    let domain_len = u8::try_from(DOMAIN.len()).unwrap_or(u8::MAX);
    [&[domain_len], DOMAIN.as_bytes(), id.as_bytes()].concat()
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("..)")
    }
}
