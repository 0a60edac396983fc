//! Signals.

use crate::task::Thread;

/// Signal state of a thread.
#[derive(Default)]
pub struct ThreadSignals {}

/// Signal state of a process.
#[derive(Default)]
pub struct ProcessSignals {}

/// Whether a signal that is not blocked is pending for the thread.
#[must_use]
pub fn is_pending(thread: &Thread) -> bool {
    let _ = thread;
    false
}
