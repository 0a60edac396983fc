//! Urgent ("out-of-band") bytes of a stream: `MSG_OOB`, `SO_OOBINLINE`, `SIOCATMARK`. In a TCP connection there is one
//! mark that holds until the stream has passed it; a stream of `AF_UNIX` forgets the mark with the byte, but a read
//! still stops where it was.

use super::conduit::Conduit;
use crate::{Errno, Result};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::sync::atomic::Ordering;

/// The urgent bytes of a stream, by their places in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Urgent {
    mark: Option<u64>,
    /// The byte at the mark was received (TCP).
    taken: bool,
    /// Bytes that were received out of line (`AF_UNIX`), in order and before the mark.
    holes: VecDeque<u64>,
}

/// What a read finds in its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Where it begins.
    pub(super) start: u64,
    /// Where it ends at the latest.
    pub(super) end: u64,
    /// Whether the whole call ends there, too.
    pub(super) stops: bool,
}

/// How a receiver sees urgent bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) is_tcp: bool,
    /// `SO_OOBINLINE`.
    pub(super) is_inline: bool,
}

impl Urgent {
    /// Whether nothing is left of it.
    pub(super) fn is_over(&self) -> bool {
        self.mark.is_none() && self.holes.is_empty()
    }

    /// The byte at `place` is urgent. Returns whether the next byte of the stream, at `position`, goes because of that.
    fn set(&mut self, place: u64, position: u64, rules: Rules) -> bool {
        let old = self.mark.replace(place);
        self.taken = false;
        rules.is_tcp && !rules.is_inline && old == Some(position) && position < place
    }

    /// The place of the byte that a receive of urgent data gets.
    fn receive(&mut self, peek: bool, rules: Rules) -> Option<u64> {
        let place = self.mark.filter(|_| !rules.is_inline && !self.taken)?;
        if !peek && rules.is_tcp {
            self.taken = true;
        } else if !peek {
            self.mark = None;
            self.holes.push_back(place);
        }
        Some(place)
    }

    /// The way of a read from `start` on; one that does not only peek leaves what it steps over behind.
    pub(super) fn way(&mut self, mut start: u64, peek: bool, rules: Rules) -> Way {
        loop {
            if self.holes.contains(&start) {
                start += 1;
            } else if self.mark == Some(start) {
                let stays = peek || (rules.is_tcp && rules.is_inline);
                if !stays {
                    self.mark = None;
                }
                if rules.is_inline {
                    break;
                }
                start += 1;
            } else {
                break;
            }
        }
        if !peek {
            self.passed(start);
        }
        let mark = self.mark.filter(|mark| *mark > start);
        let hole = self.holes.iter().copied().find(|hole| *hole > start);
        match (hole, mark) {
            // Where another mark comes, the read goes on behind the hole.
            (Some(hole), mark) => Way { start, end: hole, stops: mark.is_none_or(|mark| mark == hole + 1) },
            (None, Some(mark)) => Way { start, end: mark, stops: true },
            (None, None) => Way { start, end: u64::MAX, stops: false },
        }
    }

    /// The stream was read up to `position`.
    pub(super) fn passed(&mut self, position: u64) {
        self.mark = self.mark.filter(|mark| *mark >= position);
        while self.holes.front().is_some_and(|hole| *hole < position) {
            self.holes.pop_front();
        }
    }

    /// Whether the stream, at `position`, has come to the mark.
    fn is_at(&self, position: u64) -> bool {
        self.mark == Some(position)
            || (self.holes.front() == Some(&position) && self.mark.is_none_or(|mark| mark == position + 1))
    }

    /// Whether there is something urgent to receive.
    fn waits(&self) -> bool {
        self.mark.is_some() && !self.taken
    }

    /// How many of the `held` bytes from `position` on can be read, as FIONREAD tells.
    fn readable(&self, position: u64, held: usize, rules: Rules) -> usize {
        match self.mark {
            Some(mark) if rules.is_tcp && !rules.is_inline => {
                usize::try_from(mark.saturating_sub(position)).map_or(held, |count| count.min(held))
            }
            _ => held.saturating_sub(self.holes.len()),
        }
    }

    /// Whether a read of the `held` bytes from `position` on would not wait.
    fn is_readable(&self, position: u64, held: usize, rules: Rules) -> bool {
        let skipped = rules.is_tcp && !rules.is_inline && self.mark == Some(position);
        held > usize::from(skipped)
    }
}

impl Conduit {
    pub(super) fn rules(&self) -> Rules {
        Rules { is_tcp: self.is_tcp, is_inline: self.is_inline.load(Ordering::Relaxed) }
    }

    /// Sets `SO_OOBINLINE` of the receiver.
    pub fn set_inline(&self, yes: bool) {
        self.is_inline.store(yes, Ordering::Relaxed);
    }

    /// Receives the urgent byte.
    ///
    /// # Errors
    /// `EINVAL` if there is none, or it is received in line.
    pub fn receive_urgent(&self, peek: bool) -> Result<u8> {
        let rules = self.rules();
        let mut guard = self.flow.lock();
        let flow = &mut *guard;
        let place =
            flow.urgent.as_mut().and_then(|urgent| urgent.receive(peek, rules)).ok_or(Errno::EINVAL)?;
        let index = usize::try_from(place.saturating_sub(flow.position)).unwrap_or(usize::MAX);
        flow.ring.get(index).ok_or(Errno::EINVAL)
    }

    /// Whether the stream has come to the mark.
    #[must_use]
    pub fn is_at_mark(&self) -> bool {
        let flow = self.flow.lock();
        flow.urgent.as_ref().is_some_and(|urgent| urgent.is_at(flow.position))
    }
}

impl super::conduit::Flow {
    /// The last byte that was written is urgent.
    #[cold]
    pub(super) fn mark_urgent(&mut self, rules: Rules) {
        let place = (self.position + self.ring.len() as u64).saturating_sub(1);
        let urgent = self.urgent.get_or_insert_with(Box::default);
        if urgent.set(place, self.position, rules) {
            self.ring.skip(1);
            self.position += 1;
        }
    }

    /// Clears the way of a read that skips `skip` bytes, and says where it begins and ends.
    #[cold]
    pub(super) fn clear_way(&mut self, skip: usize, peek: bool, rules: Rules) -> Way {
        let start = self.position + skip as u64;
        let Some(urgent) = &mut self.urgent else { return Way { start, end: u64::MAX, stops: false } };
        let way = urgent.way(start, peek, rules);
        if !peek {
            let stepped = usize::try_from(way.start - start).unwrap_or(0);
            self.ring.skip(stepped);
            self.position = way.start;
            if urgent.is_over() {
                self.urgent = None;
            }
        }
        way
    }

    /// Bytes that can be read.
    pub(super) fn readable_bytes(&self, rules: Rules) -> usize {
        let held = self.ring.len();
        self.urgent.as_ref().map_or(held, |urgent| urgent.readable(self.position, held, rules))
    }

    /// Whether a read would get bytes.
    pub(super) fn has_bytes(&self, rules: Rules) -> bool {
        let held = self.ring.len();
        match &self.urgent {
            None => held > 0,
            Some(urgent) => urgent.is_readable(self.position, held, rules),
        }
    }

    /// Whether there is something urgent to receive.
    pub(super) fn has_urgent(&self) -> bool {
        self.urgent.as_ref().is_some_and(|urgent| urgent.waits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: Rules = Rules { is_tcp: false, is_inline: false };
    const TCP: Rules = Rules { is_tcp: true, is_inline: false };

    #[test]
    fn a_read_stops_at_the_mark_and_then_steps_over_it() {
        for rules in [UNIX, TCP] {
            let mut urgent = Urgent::default();
            assert!(!urgent.set(5, 0, rules));
            assert_eq!(urgent.way(0, false, rules), Way { start: 0, end: 5, stops: true });
            assert!(urgent.is_at(5) && urgent.waits());
            assert_eq!(urgent.way(5, false, rules), Way { start: 6, end: u64::MAX, stops: false });
            assert!(urgent.is_over());
        }
    }

    #[test]
    fn a_received_byte_leaves_a_hole_or_a_mark() {
        let mut unix = Urgent::default();
        unix.set(5, 0, UNIX);
        assert_eq!(unix.receive(true, UNIX), Some(5));
        assert_eq!(unix.receive(false, UNIX), Some(5));
        assert_eq!(unix.receive(false, UNIX), None);
        assert_eq!(unix.way(0, false, UNIX), Way { start: 0, end: 5, stops: true });
        unix.set(9, 0, UNIX);
        assert_eq!(unix.way(0, false, UNIX), Way { start: 0, end: 5, stops: false });
        assert_eq!(unix.way(5, false, UNIX), Way { start: 6, end: 9, stops: true });
        let mut tcp = Urgent::default();
        tcp.set(5, 0, TCP);
        assert_eq!(tcp.receive(false, TCP), Some(5));
        assert!(!tcp.waits() && tcp.is_at(5));
        assert_eq!(tcp.way(5, false, TCP).start, 6);
    }

    #[test]
    fn in_line_it_is_a_byte_like_others() {
        let rules = Rules { is_tcp: false, is_inline: true };
        let mut urgent = Urgent::default();
        urgent.set(3, 0, rules);
        assert_eq!(urgent.receive(false, rules), None);
        assert_eq!(urgent.way(0, false, rules).end, 3);
        assert_eq!(urgent.way(3, false, rules), Way { start: 3, end: u64::MAX, stops: false });
    }
}
