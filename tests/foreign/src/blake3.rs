//! BLAKE3 without key, 32 bytes of output: what ids are made of. Written from the paper's section 2, slow and short.

const CHUNK_BYTES: usize = 1_024;
const BLOCK_BYTES: usize = 64;

const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const PARENT: u32 = 4;
const ROOT: u32 = 8;

const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const ORDER: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
/// Which four words of the state each of the eight mixing steps of a round takes: columns, then diagonals.
const STEPS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

/// The hash of some bytes.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    let words = subtree(bytes, 0, ROOT);
    let mut hash = [0; 32];
    for (out, word) in hash.chunks_exact_mut(4).zip(words) {
        out.copy_from_slice(&word.to_le_bytes());
    }
    hash
}

/// The chaining value of the bytes whose first chunk has this number.
fn subtree(bytes: &[u8], first_chunk: u64, root: u32) -> [u32; 8] {
    if bytes.len() <= CHUNK_BYTES {
        return chunk(bytes, first_chunk, root);
    }
    // The left side takes as many whole chunks as the largest power of two that leaves at least one byte to the right.
    let chunks = bytes.len().div_ceil(CHUNK_BYTES);
    let left_chunks = chunks.next_power_of_two() / 2;
    let (left, right) = bytes.split_at(left_chunks * CHUNK_BYTES);
    let mut block = [0; 16];
    block[..8].copy_from_slice(&subtree(left, first_chunk, 0));
    block[8..].copy_from_slice(&subtree(right, first_chunk + left_chunks as u64, 0));
    compress(&START, &block, 0, BLOCK_BYTES, PARENT | root)
}

fn chunk(bytes: &[u8], number: u64, root: u32) -> [u32; 8] {
    let blocks = bytes.len().div_ceil(BLOCK_BYTES).max(1);
    let mut value = START;
    for index in 0..blocks {
        let part = &bytes[index * BLOCK_BYTES..bytes.len().min((index + 1) * BLOCK_BYTES)];
        let mut padded = [0; BLOCK_BYTES];
        padded[..part.len()].copy_from_slice(part);
        let block = std::array::from_fn(|word| u32::from_le_bytes(std::array::from_fn(|byte| padded[4 * word + byte])));
        let mut flags = 0;
        if index == 0 {
            flags |= CHUNK_START;
        }
        if index + 1 == blocks {
            flags |= CHUNK_END | root;
        }
        value = compress(&value, &block, number, part.len(), flags);
    }
    value
}

fn compress(value: &[u32; 8], block: &[u32; 16], counter: u64, len: usize, flags: u32) -> [u32; 8] {
    let mut state = [0; 16];
    state[..8].copy_from_slice(value);
    state[8..12].copy_from_slice(&START[..4]);
    state[12..].copy_from_slice(&[counter as u32, (counter >> 32) as u32, len as u32, flags]);
    let mut words = *block;
    for _ in 0..7 {
        for (step, pair) in STEPS.iter().zip(words.chunks_exact(2)) {
            mix(&mut state, *step, pair[0], pair[1]);
        }
        words = ORDER.map(|from| words[from]);
    }
    std::array::from_fn(|word| state[word] ^ state[word + 8])
}

fn mix(state: &mut [u32; 16], [a, b, c, d]: [usize; 4], first: u32, second: u32) {
    for (word, [right_d, right_b]) in [(first, [16, 12]), (second, [8, 7])] {
        state[a] = state[a].wrapping_add(state[b]).wrapping_add(word);
        state[d] = (state[d] ^ state[a]).rotate_right(right_d);
        state[c] = state[c].wrapping_add(state[d]);
        state[b] = (state[b] ^ state[c]).rotate_right(right_b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn published_hashes_come_out() {
        let expected = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(hex(&hash(b"")), expected);
        let expected = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!(hex(&hash(b"abc")), expected);
    }
}
