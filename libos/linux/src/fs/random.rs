//! Random bytes: ChaCha20 (RFC 8439) over the seed of the start-up block. A family has one generator, in shared
//! memory, so a fork never repeats what its parent got. Each refill replaces the key ("fast key erasure"): what was
//! given out cannot be computed from what is in memory later.

use crate::call::{Call, done};
use crate::io::{Sink, UserRanges};
use crate::{Errno, Mutex, Result};

const BLOCK: usize = 64;
const BLOCKS: usize = 8;
const KEY: usize = 32;

struct Generator {
    key: [u32; 8],
    buffer: [u8; BLOCK * BLOCKS],
    /// Bytes of the buffer that were given out (or are the key).
    used: usize,
}

static GENERATOR: Mutex<Generator> =
    Mutex::new(Generator { key: [0; 8], buffer: [0; BLOCK * BLOCKS], used: BLOCK * BLOCKS });

fn quarter(s: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    s[a] = s[a].wrapping_add(s[b]);
    s[d] = (s[d] ^ s[a]).rotate_left(16);
    s[c] = s[c].wrapping_add(s[d]);
    s[b] = (s[b] ^ s[c]).rotate_left(12);
    s[a] = s[a].wrapping_add(s[b]);
    s[d] = (s[d] ^ s[a]).rotate_left(8);
    s[c] = s[c].wrapping_add(s[d]);
    s[b] = (s[b] ^ s[c]).rotate_left(7);
}

/// One ChaCha20 block.
fn block(key: &[u32; 8], counter: u32, nonce: [u32; 3]) -> [u8; BLOCK] {
    const ROUNDS: [[usize; 4]; 8] = [
        [0, 4, 8, 12],
        [1, 5, 9, 13],
        [2, 6, 10, 14],
        [3, 7, 11, 15],
        [0, 5, 10, 15],
        [1, 6, 11, 12],
        [2, 7, 8, 13],
        [3, 4, 9, 14],
    ];
    let mut start = [0u32; 16];
    // "expand 32-byte k"
    start[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    start[4..12].copy_from_slice(key);
    start[12] = counter;
    start[13..].copy_from_slice(&nonce);
    let mut state = start;
    for _ in 0..10 {
        for round in ROUNDS {
            quarter(&mut state, round);
        }
    }
    let mut out = [0; BLOCK];
    for ((slot, a), b) in out.chunks_exact_mut(4).zip(state).zip(start) {
        slot.copy_from_slice(&a.wrapping_add(b).to_le_bytes());
    }
    out
}

impl Generator {
    fn refill(&mut self) {
        for (i, slot) in (0u32..).zip(self.buffer.chunks_exact_mut(BLOCK)) {
            slot.copy_from_slice(&block(&self.key, i, [0; 3]));
        }
        for (word, bytes) in self.key.iter_mut().zip(self.buffer.chunks_exact(4)) {
            *word = bytes.try_into().map_or(0, u32::from_le_bytes);
        }
        self.buffer[..KEY].fill(0);
        self.used = KEY;
    }

    fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used >= self.buffer.len() {
                self.refill();
            }
            let count = out.len().min(self.buffer.len() - self.used);
            let (now, later) = out.split_at_mut(count);
            let part = &mut self.buffer[self.used..self.used + count];
            now.copy_from_slice(part);
            part.fill(0);
            self.used += count;
            out = later;
        }
    }

    fn seed(&mut self, seed: &[u64; 8]) {
        // Both halves of the seed go in: the second one is mixed into the key that the first one makes.
        for half in seed.chunks_exact(4) {
            for (i, word) in half.iter().enumerate() {
                let bytes = word.to_le_bytes();
                self.key[2 * i] ^= u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                self.key[2 * i + 1] ^= u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            }
            self.refill();
        }
    }
}

pub(super) fn init(seed: &[u64; 8]) {
    GENERATOR.lock().seed(seed);
}

/// Fills `out` with random bytes.
pub fn fill(out: &mut [u8]) {
    for part in out.chunks_mut(BLOCK * BLOCKS) {
        GENERATOR.lock().fill(part);
    }
}

/// A random word.
#[must_use]
pub fn word() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Fills all of `sink` with random bytes.
///
/// # Errors
/// `EFAULT` if not even one byte could be put.
pub fn fill_sink(sink: &mut Sink<'_>) -> Result<usize> {
    let mut total = 0;
    let mut part = [0u8; 1024];
    while sink.left() > 0 {
        let count = sink.left().min(part.len());
        let part = part.get_mut(..count).unwrap_or(&mut []);
        fill(part);
        match sink.put(part) {
            Ok(put) => {
                total += put;
                if put < count {
                    break;
                }
            }
            Err(error) if total == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(total)
}

/// getrandom(2). There is only one source, which never runs dry.
///
/// # Errors
/// `EINVAL` for unknown flags, `EFAULT`.
pub fn getrandom(call: &mut Call<'_>) -> Result<u64> {
    const INSECURE: u32 = 4;
    const RANDOM: u32 = 2;
    let flags = call.uint(2);
    if flags & !7 != 0 || flags & (INSECURE | RANDOM) == INSECURE | RANDOM {
        return Err(Errno::EINVAL);
    }
    done(fill_sink(&mut Sink::User(UserRanges::one(call.word(0), call.word(1))))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_of_rfc_8439() {
        // RFC 8439, section 2.3.2.
        let mut key = [0; 8];
        for (i, word) in key.iter_mut().enumerate() {
            let b = u8::try_from(4 * i).unwrap();
            *word = u32::from_le_bytes([b, b + 1, b + 2, b + 3]);
        }
        let out = block(&key, 1, [0x0900_0000, 0x4a00_0000, 0]);
        assert_eq!(out[..8], [0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15]);
        assert_eq!(out[60..], [0xa2, 0x50, 0x3c, 0x4e]);
    }

    #[test]
    fn no_byte_is_given_out_twice() {
        let mut one = Generator { key: [0; 8], buffer: [0; BLOCK * BLOCKS], used: BLOCK * BLOCKS };
        one.seed(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let mut first = [0; 1000];
        let mut second = [0; 1000];
        one.fill(&mut first);
        one.fill(&mut second);
        assert_ne!(first, second);
        assert!(first.windows(16).all(|w| w != [0; 16]));
        // Whatever was given out is no longer in memory.
        assert!(one.buffer[..one.used].iter().all(|b| *b == 0));
    }
}
