use bytes::{Buf, BufMut, Bytes, BytesMut};
use libp2p::identity::{Keypair, PublicKey};

/// The smallest payload: a head and a signature.
pub(crate) const SIZE_MIN: usize = HEAD_LEN + SIGNATURE_LEN;
const HEAD_LEN: usize = 24;
const SIGNATURE_LEN: usize = 64;

/// What the bench reads out of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) publisher: usize,
    /// Each publisher counts from 0.
    pub(crate) number: u64,
    /// When it was published, after the start of the board.
    pub(crate) nanos: u64,
}

impl Head {
    /// A payload of `size` bytes, the last of them a signature if there is a key.
    pub(crate) fn payload(self, size: usize, key: Option<&Keypair>) -> anyhow::Result<Bytes> {
        let mut payload = BytesMut::with_capacity(size);
        payload.put_u64(self.publisher as u64);
        payload.put_u64(self.number);
        payload.put_u64(self.nanos);
        payload.resize(size - if key.is_some() { SIGNATURE_LEN } else { 0 }, 7);
        if let Some(key) = key {
            let signature = key.sign(&payload)?;
            payload.put_slice(&signature);
        }
        Ok(payload.freeze())
    }

    pub(crate) fn read(mut payload: &[u8]) -> Option<Self> {
        let publisher = usize::try_from(payload.try_get_u64().ok()?).ok()?;
        Some(Self { publisher, number: payload.try_get_u64().ok()?, nanos: payload.try_get_u64().ok()? })
    }
}

/// Whether the last bytes sign the others.
pub(crate) fn is_signed(payload: &[u8], key: &PublicKey) -> bool {
    payload.split_last_chunk::<SIGNATURE_LEN>().is_some_and(|(text, signature)| key.verify(text, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_survives_and_a_signature_holds_for_nothing_else() {
        let key = Keypair::generate_ed25519();
        let head = Head { publisher: 3, number: 9, nanos: 27 };
        let payload = head.payload(256, Some(&key)).unwrap();
        assert_eq!((payload.len(), Head::read(&payload)), (256, Some(head)));
        let mut other = payload.to_vec();
        other[100] ^= 1;
        assert!(is_signed(&payload, &key.public()) && !is_signed(&other, &key.public()));
        assert_eq!(head.payload(SIZE_MIN, None).unwrap().len(), SIZE_MIN);
    }
}
