//! A queue of bytes that grows as it is used: the buffer of pipes, stream sockets and pseudo-terminals.

use crate::Result;
use crate::io::{Sink, Source};
use alloc::vec::Vec;

/// First allocation, in bytes.
const FIRST: usize = 4096;

/// Bytes in order of arrival.
#[derive(Debug, Default)]
pub struct Ring {
    buf: Vec<u8>,
    head: usize,
    len: usize,
}

impl Ring {
    /// An empty ring that has allocated nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { buf: Vec::new(), head: 0, len: 0 }
    }

    /// Bytes held.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is held.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.head = 0;
        self.len = 0;
    }

    /// Makes room for `extra` more bytes.
    fn reserve(&mut self, extra: usize) {
        let need = self.len.saturating_add(extra);
        if need <= self.buf.len() {
            return;
        }
        let size = need.checked_next_power_of_two().unwrap_or(need).max(FIRST);
        let mut buf = alloc::vec![0; size];
        let (first, second) = self.used(0, self.len);
        if let Some(room) = buf.get_mut(..first.len()) {
            room.copy_from_slice(first);
        }
        if let Some(room) = buf.get_mut(first.len()..first.len() + second.len()) {
            room.copy_from_slice(second);
        }
        self.buf = buf;
        self.head = 0;
    }

    /// `count` held bytes from `skip` on, in at most two pieces.
    fn used(&self, skip: usize, count: usize) -> (&[u8], &[u8]) {
        let skip = skip.min(self.len);
        let count = count.min(self.len - skip);
        let size = self.buf.len();
        let mut start = self.head + skip;
        if start >= size {
            start -= size;
        }
        let first = count.min(size - start);
        let wrapped = count - first;
        (self.buf.get(start..start + first).unwrap_or(&[]), self.buf.get(..wrapped).unwrap_or(&[]))
    }

    /// The free place after the held bytes, as one piece of at most `max` bytes.
    fn free(&mut self, max: usize) -> &mut [u8] {
        let size = self.buf.len();
        let mut start = self.head + self.len;
        if start >= size {
            start -= size;
        }
        let count = max.min(size - self.len).min(size - start);
        self.buf.get_mut(start..start + count).unwrap_or(&mut [])
    }

    /// Takes up to `max` bytes from `source`. Returns how many.
    ///
    /// # Errors
    /// `EFAULT` if not even one byte could be read.
    pub fn fill(&mut self, source: &mut Source<'_>, max: usize) -> Result<usize> {
        let max = max.min(source.left());
        self.reserve(max);
        let mut done = 0;
        while done < max {
            let want = max - done;
            let room = self.free(want);
            let asked = room.len();
            match source.take(room) {
                Ok(count) => {
                    self.len += count;
                    done += count;
                    if count < asked || count == 0 {
                        break;
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Appends all of `bytes`.
    pub fn push(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.free(rest.len());
            let count = room.len();
            let (now, later) = rest.split_at(count);
            room.copy_from_slice(now);
            self.len += count;
            rest = later;
            if count == 0 {
                break;
            }
        }
    }

    /// Copies up to `max` bytes from `skip` on to `sink` and leaves them. Returns how many.
    ///
    /// # Errors
    /// `EFAULT` if not even one byte could be written.
    pub fn peek(&self, sink: &mut Sink<'_>, skip: usize, max: usize) -> Result<usize> {
        let (first, second) = self.used(skip, max.min(sink.left()));
        let mut done = sink.put(first)?;
        if done == first.len() && !second.is_empty() {
            done += sink.put(second).unwrap_or(0);
        }
        Ok(done)
    }

    /// Moves up to `max` bytes to `sink`. Returns how many.
    ///
    /// # Errors
    /// `EFAULT` if not even one byte could be written.
    pub fn drain(&mut self, sink: &mut Sink<'_>, max: usize) -> Result<usize> {
        let done = self.peek(sink, 0, max)?;
        self.skip(done);
        Ok(done)
    }

    /// Drops the first `count` bytes.
    pub fn skip(&mut self, count: usize) {
        let count = count.min(self.len);
        self.len -= count;
        if self.len == 0 {
            // Starting over at the front keeps small exchanges in the same cache lines.
            self.head = 0;
        } else {
            self.head += count;
            if self.head >= self.buf.len() {
                self.head -= self.buf.len();
            }
        }
    }

    /// Drops the last `count` bytes.
    pub fn cut(&mut self, count: usize) {
        self.len -= count.min(self.len);
    }

    /// The byte at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u8> {
        self.used(index, 1).0.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(ring: &mut Ring, count: usize) -> Vec<u8> {
        let mut buf = alloc::vec![0; count];
        let got = ring.drain(&mut Sink::Kernel(&mut buf, 0), count).unwrap();
        buf.truncate(got);
        buf
    }

    #[test]
    fn bytes_keep_their_order_across_the_wrap_and_growth() {
        let mut ring = Ring::new();
        let data: Vec<u8> = (0..20_000u32).map(|i| (i % 251) as u8).collect();
        let (mut at, mut out) = (0, Vec::new());
        for step in [3000, 900, 4000, 100, 8000, 4000] {
            ring.push(&data[at..at + step]);
            at += step;
            out.extend(take(&mut ring, step / 2 + 700));
        }
        let left = ring.len();
        out.extend(take(&mut ring, left));
        assert!(ring.is_empty());
        assert_eq!(out, data);
    }

    #[test]
    fn fill_takes_no_more_than_allowed() {
        let mut ring = Ring::new();
        let mut source = Source::Kernel(b"abcdef", 0);
        assert_eq!(ring.fill(&mut source, 4), Ok(4));
        assert_eq!(source.left(), 2);
        assert_eq!(ring.get(3), Some(b'd'));
        ring.cut(2);
        assert_eq!(take(&mut ring, 9), b"ab");
    }
}
