use std::{fmt, hash::Hasher};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use siphasher::sip::SipHasher13;

/// What makes a run repeatable: every engine gets one and draws all its chance from it.
///
/// # Security
/// A node's seed must come from the operating system's randomness and stay secret: table positions and choices of peers
/// follow from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Makes a seed of 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Makes a seed of a small number, for simulations and tests.
    pub fn from_number(number: u64) -> Self {
        let mut bytes = [0; 32];
        ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The seed of a part, independent of the seeds of parts with other names or numbers.
    pub fn derive(&self, part: &str, number: u64) -> Self {
        let mut rng = ChaCha8Rng::from_seed(self.0);
        rng.set_stream(self.hash(part, number));
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The generator that this seed stands for.
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.0)
    }

    /// A hash of bytes that nobody can predict who does not know the seed.
    pub fn keyed_hash(&self, bytes: &[u8]) -> u64 {
        self.hasher().hash(bytes)
    }

    fn hash(&self, part: &str, number: u64) -> u64 {
        let mut hasher = self.hasher();
        hasher.write(part.as_bytes());
        hasher.write_u8(0xff);
        hasher.write_u64(number);
        hasher.finish()
    }

    fn hasher(&self) -> SipHasher13 {
        let mut key = [0; 16];
        key.copy_from_slice(&self.0[..16]);
        SipHasher13::new_with_key(&key)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_seeds_differ_by_name_and_number_and_repeat() {
        let seed = Seed::from_number(7);
        assert_eq!(seed.derive("gossip", 1), Seed::from_number(7).derive("gossip", 1));
        assert_ne!(seed.derive("gossip", 1), seed.derive("gossip", 2));
        assert_ne!(seed.derive("gossip", 1), seed.derive("rpc", 1));
        assert_ne!(seed.derive("gossip", 1), Seed::from_number(8).derive("gossip", 1));
    }

    #[test]
    fn debug_does_not_tell_the_seed() {
        assert_eq!(format!("{:?}", Seed::from_number(1)), "Seed(..)");
    }
}
