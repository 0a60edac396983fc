//! The mask of blocked signals: rt_sigprocmask(2), and calls that have a mask of their own.

use super::send::retarget;
use super::set::UNBLOCKABLE;
use super::state::is_pending;
use crate::call::Call;
use crate::task::Thread;
use crate::{Errno, Result};
use postern_pal::user;

/// Size of a signal set as the kernel has it.
const SET_SIZE: usize = 8;

/// Replaces the mask of the running thread; returns the old one. Signals that become unblocked are handled before app
/// code goes on; those that become blocked and wait for the process are left to another thread.
pub(super) fn set_blocked(thread: &Thread, mask: u64) -> u64 {
    let mask = mask & !UNBLOCKABLE;
    let old = thread.signals.swap_blocked(mask);
    let newly_blocked = mask & !old;
    if newly_blocked & thread.process.signals.pending() != 0 {
        retarget(&thread.process, newly_blocked);
    }
    if old & !mask != 0 && is_pending(thread) {
        thread.kick();
    }
    old
}

/// Reads a set from the app.
///
/// # Errors
/// `EINVAL` if `size` is not that of the kernel's sets; `EFAULT`.
pub fn read_set(addr: usize, size: usize) -> Result<u64> {
    if size == SET_SIZE { user::read(addr) } else { Err(Errno::EINVAL) }
}

/// Runs `call` with another mask (`None`: with the thread's own), as ppoll, pselect, epoll_pwait and sigsuspend do.
/// Where a signal interrupts the call, the thread's own mask comes back only after that signal's handler was entered,
/// so that a signal which only `mask` lets through is handled.
///
/// # Errors
/// Those of `call`.
pub fn with_mask<T>(thread: &Thread, mask: Option<u64>, call: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(mask) = mask else { return call() };
    let own = set_blocked(thread, mask);
    let result = call();
    match result {
        Err(errno) if errno == Errno::EINTR || errno.number() >= Errno::ERESTARTSYS.number() => {
            thread.signals.save_mask(own);
            // The mask comes back on the way to app code even if no signal is to be handled after all.
            thread.kick();
        }
        _ => {
            set_blocked(thread, own);
        }
    }
    result
}

/// Brings back the mask that [`with_mask`] left to be restored.
pub(super) fn restore_saved(thread: &Thread) {
    if let Some(mask) = thread.signals.take_saved_mask() {
        set_blocked(thread, mask);
    }
}

/// rt_sigprocmask(2).
///
/// # Errors
/// As the manual page says.
pub fn rt_sigprocmask(call: &mut Call<'_>) -> Result<u64> {
    const BLOCK: u32 = 0;
    const UNBLOCK: u32 = 1;
    const SETMASK: u32 = 2;
    if call.word(3) != SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let old = call.thread.signals.blocked();
    if call.word(1) != 0 {
        let set: u64 = user::read(call.word(1))?;
        let new = match call.uint(0) {
            BLOCK => old | set,
            UNBLOCK => old & !set,
            SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        set_blocked(call.thread, new);
    }
    if call.word(2) != 0 {
        user::write(call.word(2), &old)?;
    }
    Ok(0)
}
