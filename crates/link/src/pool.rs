use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// How many bytes of unused buffers are kept for the next long frames.
const SPARE_BYTES_MAX: usize = 1024 * 1024;

/// Receive buffers for long frames, used again when the last holder of a frame lets go of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Spares>>);

#[derive(Debug, Default)]
struct Spares {
    by_size: BTreeMap<usize, Vec<Vec<u8>>>,
    bytes: usize,
}

/// A buffer that goes back to its pool.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    len: usize,
    pool: Pool,
}

impl Pool {
    /// A buffer of `len` bytes with any content. At most a quarter more, or 1 KiB, is held for it.
    pub(crate) fn take(&self, len: usize) -> Buffer {
        let size = size_class(len);
        let spare = {
            let mut spares = self.lock();
            let spare = spares.by_size.get_mut(&size).and_then(Vec::pop);
            spares.bytes -= spare.as_ref().map_or(0, Vec::len);
            spare
        };
        Buffer { bytes: spare.unwrap_or_else(|| vec![0; size]), len, pool: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Spares> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut spares = self.pool.lock();
        if spares.bytes + bytes.len() <= SPARE_BYTES_MAX {
            spares.bytes += bytes.len();
            spares.by_size.entry(bytes.len()).or_default().push(bytes);
        }
    }
}

fn size_class(len: usize) -> usize {
    let step = (len.next_power_of_two() / 8).max(1024);
    len.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_spares_are_limited() {
        let pool = Pool::default();
        let mut buffer = pool.take(65_600);
        buffer.as_mut().fill(7);
        let frame = buffer.freeze();
        assert_eq!((frame.len(), frame.iter().all(|byte| *byte == 7)), (65_600, true));
        let kept = frame.slice(1..2);
        drop(frame);
        assert_eq!(pool.lock().bytes, 0);
        drop(kept);
        assert_eq!(pool.lock().bytes, 81_920);
        assert_eq!(pool.take(65_601).as_ref().len(), 65_601);
        assert_eq!(pool.lock().bytes, 81_920);

        let buffers: Vec<_> = (0..20).map(|_| pool.take(65_600)).collect();
        assert_eq!(pool.lock().bytes, 0);
        drop(buffers);
        assert_eq!(pool.lock().bytes, 81_920 * 12);
    }

    #[test]
    fn no_more_than_a_quarter_or_a_kibibyte_is_held_above_what_is_needed() {
        for len in 1..300_000 {
            let held = size_class(len);
            assert!(held >= len && held - len < 1024.max(len / 4 + 1), "{len} {held}");
        }
    }
}
