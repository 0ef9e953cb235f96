use std::fmt;

use bruit_core::Timestamp;

/// How much is gathered before it is hashed: large enough that hashing costs little beside what is hashed.
const GATHERED_MAX: usize = 64 << 10;

/// Hashes what happens, in order.
#[derive(Debug, Default)]
pub struct Trace {
    gathered: Vec<u8>,
    hasher: blake3::Hasher,
}

/// A hash over a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceHash(pub(crate) [u8; 32]);

impl Trace {
    /// Notes something of a kind, with numbers that say what.
    #[inline]
    pub fn note(&mut self, kind: u8, numbers: &[u64]) {
        self.gathered.push(kind);
        numbers.iter().for_each(|number| self.gathered.extend_from_slice(&number.to_le_bytes()));
        self.flush_when_long();
    }

    /// Notes bytes. Whoever notes bytes of varying length notes the length before.
    pub fn note_bytes(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
        self.flush_when_long();
    }

    pub(crate) fn arrived(&mut self, from: u32, to: u32, now: Timestamp) {
        self.note(b'd', &[now.as_micros(), u64::from(from), u64::from(to)]);
    }

    pub(crate) fn timed_out(&mut self, node: u32, now: Timestamp) {
        self.note(b'o', &[now.as_micros(), u64::from(node)]);
    }

    pub(crate) fn hash(&self) -> TraceHash {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.gathered);
        TraceHash(*hasher.finalize().as_bytes())
    }

    #[inline]
    fn flush_when_long(&mut self) {
        if self.gathered.len() >= GATHERED_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.hasher.update(&self.gathered);
        self.gathered.clear();
    }
}

impl TraceHash {
    /// One hash for several runs, in their order. That of a single run stays what it is.
    pub fn of_all(runs: &[Self]) -> Self {
        if let [only] = runs {
            return *only;
        }
        let mut hasher = blake3::Hasher::new();
        runs.iter().for_each(|run| _ = hasher.update(&run.0));
        Self(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceHash({self})")
    }
}
