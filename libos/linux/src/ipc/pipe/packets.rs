//! Packet boundaries of a pipe (`O_DIRECT`, pipe(7)): each write is a packet that a read takes whole, or cuts.

use super::PIPE_BUF;
use alloc::collections::VecDeque;

/// A run of bytes in a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    len: usize,
    is_packet: bool,
}

/// How the bytes of a pipe are divided, where packets are among them.
#[derive(Debug, Default)]
pub(super) struct Packets(VecDeque<Run>);

impl Packets {
    /// Of a pipe that holds `len` bytes without boundaries.
    pub(super) fn after(len: usize) -> Self {
        let mut runs = VecDeque::new();
        if len > 0 {
            runs.push_back(Run { len, is_packet: false });
        }
        Self(runs)
    }

    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the bytes take of the pipe's capacity: a packet takes a page, however short it is.
    pub(super) fn occupied(&self) -> usize {
        self.0.iter().map(|run| if run.is_packet { PIPE_BUF } else { run.len }).sum()
    }

    /// Bytes were added.
    pub(super) fn add(&mut self, len: usize, is_packet: bool) {
        match self.0.back_mut() {
            _ if len == 0 => {}
            Some(last) if !is_packet && !last.is_packet => last.len += len,
            _ => self.0.push_back(Run { len, is_packet }),
        }
    }

    /// How many bytes a read of at most `wanted` gets: it ends with a packet.
    pub(super) fn readable(&self, wanted: usize) -> usize {
        let mut count = 0;
        for run in &self.0 {
            count += run.len.min(wanted - count);
            if run.is_packet || count == wanted {
                break;
            }
        }
        count
    }

    /// Takes `len` bytes, as [`Packets::readable`] said. Returns how many are dropped besides: the rest of a packet.
    pub(super) fn take(&mut self, mut len: usize) -> usize {
        while len > 0 {
            let Some(first) = self.0.front_mut() else { break };
            let part = first.len.min(len);
            first.len -= part;
            len -= part;
            let (left, is_packet) = (first.len, first.is_packet);
            if left == 0 || is_packet {
                self.0.pop_front();
            }
            if is_packet {
                return left;
            }
        }
        0
    }

    /// The first `len` bytes.
    pub(super) fn first(&self, mut len: usize) -> Self {
        let mut runs = VecDeque::new();
        for run in &self.0 {
            let part = run.len.min(len);
            if part == 0 {
                break;
            }
            runs.push_back(Run { len: part, ..*run });
            len -= part;
        }
        Self(runs)
    }

    /// The lengths of the runs, and whether each is a packet.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, bool)> {
        self.0.iter().map(|run| (run.len, run.is_packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_ends_with_a_packet_and_drops_its_rest() {
        let mut packets = Packets::after(5);
        packets.add(3, true);
        packets.add(4, true);
        packets.add(2, false);
        packets.add(2, false);
        assert_eq!(packets.occupied(), 5 + 2 * PIPE_BUF + 4);
        assert_eq!(packets.readable(2), 2);
        assert_eq!(packets.take(2), 0);
        assert_eq!(packets.readable(4), 4);
        // The last byte of the first packet is read, two are dropped.
        assert_eq!(packets.take(4), 2);
        assert!(packets.first(6).iter().eq([(4, true), (2, false)]));
        assert_eq!(packets.readable(100), 4);
        assert_eq!(packets.take(4), 0);
        assert_eq!(packets.readable(100), 4);
        assert_eq!(packets.take(3), 0);
        assert!(packets.iter().eq([(1, false)]));
        assert_eq!(packets.take(1), 0);
        assert!(packets.is_empty());
    }
}
