//! Pending signals of a thread or a process.

use super::info::Info;
use super::set::{self, bit, sig};
use alloc::collections::VecDeque;

/// What adding a signal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is pending now, with its information.
    Queued,
    /// A standard signal that was pending already: nothing changed.
    Already,
    /// It is pending, but its information was lost for lack of room.
    Bare,
}

/// Pending signals. Standard signals are pending once at most; real-time signals queue in order.
#[derive(Default)]
pub struct Queue {
    list: VecDeque<Info>,
    set: u64,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: VecDeque::new(), set: 0 }
    }

    /// The signals that are pending.
    #[must_use]
    pub fn set(&self) -> u64 {
        self.set
    }

    /// Makes a signal pending. At most `limit` of them keep their information.
    pub fn add(&mut self, info: Info, limit: usize) -> Added {
        let this = bit(info.signal());
        if info.signal() < sig::RT_FIRST && self.set & this != 0 {
            return Added::Already;
        }
        self.set |= this;
        // Standard signals always have room: there are few.
        if info.signal() >= sig::RT_FIRST && self.list.len() >= limit {
            return Added::Bare;
        }
        self.list.push_back(info);
        Added::Queued
    }

    /// Takes the signal of `among` that is to be handled first.
    pub fn take(&mut self, among: u64) -> Option<Info> {
        let signal = set::first(self.set & among);
        if signal == 0 {
            return None;
        }
        let at = self.list.iter().position(|info| info.signal() == signal);
        let info = at.and_then(|at| self.list.remove(at)).unwrap_or_else(|| Info::bare(signal));
        if !self.list.iter().any(|info| info.signal() == signal) {
            self.set &= !bit(signal);
        }
        Some(info)
    }

    /// Forgets the pending signals of `which`.
    pub fn remove(&mut self, which: u64) {
        if self.set & which != 0 {
            self.set &= !which;
            self.list.retain(|info| bit(info.signal()) & which == 0);
        }
    }

    /// Whether a signal of this timer is pending.
    #[must_use]
    pub fn has_timer(&self, id: u32) -> bool {
        self.list.iter().any(|info| info.timer_id() == Some(id))
    }

    /// Forgets the signal of a timer that is gone (a timer has one pending at most).
    pub fn remove_timer(&mut self, id: u32) {
        let Some(at) = self.list.iter().position(|info| info.timer_id() == Some(id)) else { return };
        let signal = self.list.remove(at).map_or(0, |info| info.signal());
        if !self.list.iter().any(|info| info.signal() == signal) {
            self.set &= !bit(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_signals_are_pending_once() {
        let mut queue = Queue::new();
        assert_eq!(queue.add(Info::kernel(sig::HUP), 8), Added::Queued);
        assert_eq!(queue.add(Info::kernel(sig::HUP), 8), Added::Already);
        assert!(queue.take(!0).is_some());
        assert_eq!(queue.take(!0), None);
    }

    #[test]
    fn real_time_signals_queue_in_order() {
        let mut queue = Queue::new();
        for value in 1..=3 {
            assert_eq!(queue.add(Info::timer(40, value, 0), 8), Added::Queued);
        }
        queue.add(Info::timer(36, 9, 0), 8);
        let ids: alloc::vec::Vec<_> =
            core::iter::from_fn(|| queue.take(!0)).filter_map(|i| i.timer_id()).collect();
        assert_eq!(ids, [9, 1, 2, 3]);
        assert_eq!(queue.set(), 0);
    }

    #[test]
    fn a_full_queue_still_makes_the_signal_pending() {
        let mut queue = Queue::new();
        assert_eq!(queue.add(Info::kernel(40), 0), Added::Bare);
        assert_eq!(queue.take(!0), Some(Info::bare(40)));
        assert_eq!(queue.set(), 0);
    }

    #[test]
    fn only_chosen_signals_are_taken_or_removed() {
        let mut queue = Queue::new();
        queue.add(Info::kernel(sig::INT), 8);
        queue.add(Info::kernel(sig::TSTP), 8);
        assert_eq!(queue.take(bit(sig::HUP)), None);
        queue.remove(set::STOPS);
        assert_eq!(queue.set(), bit(sig::INT));
        assert_eq!(queue.take(!bit(sig::HUP)).map(|i| i.signal()), Some(sig::INT));
    }

    #[test]
    fn a_timer_that_is_gone_leaves_nothing_pending() {
        let mut queue = Queue::new();
        queue.add(Info::timer(34, 1, 0), 8);
        queue.add(Info::timer(34, 2, 0), 8);
        assert!(queue.has_timer(1));
        queue.remove_timer(1);
        assert!(!queue.has_timer(1) && queue.set() == bit(34));
        queue.remove_timer(2);
        assert_eq!(queue.set(), 0);
    }
}
