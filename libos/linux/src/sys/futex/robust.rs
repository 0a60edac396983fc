//! Robust lists: what a thread that ends does with the locks it holds.

use super::key;
use super::lock::{OWNER, OWNER_DIED, WAITERS};
use super::table::{self, ANY};
use crate::call::Call;
use crate::task::{Thread, process};
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_pal::user;

/// Size of `struct robust_list_head`.
const HEAD_SIZE: usize = 24;
/// Most locks that are looked at, so that a circular list ends.
const LIMIT: usize = 2048;

/// set_robust_list(2).
///
/// # Errors
/// `EINVAL` for a length that is not that of the list's head.
pub fn set_robust_list(call: &mut Call<'_>) -> Result<u64> {
    let (head, len) = (call.word(0), call.word(1));
    if len != HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    for (slot, value) in call.thread.robust_list.iter().zip([head, len]) {
        slot.store(value, Ordering::Relaxed);
    }
    Ok(0)
}

/// get_robust_list(2).
///
/// # Errors
/// As the manual page says.
pub fn get_robust_list(call: &mut Call<'_>) -> Result<u64> {
    let thread = match call.uint(0) {
        0 => call.thread.clone(),
        tid => process::find_thread(tid).ok_or(Errno::ESRCH)?,
    };
    let own = call.process().identity.lock().euid;
    if own != 0 && thread.process.identity.lock().euid != own {
        return Err(Errno::EPERM);
    }
    let [head, _] = &thread.robust_list;
    user::write(call.word(2), &HEAD_SIZE)?;
    user::write(call.word(1), &head.load(Ordering::Relaxed))?;
    Ok(0)
}

/// The owner of the lock at `addr` ends: marks the word and wakes one waiter.
fn release(thread: &Thread, addr: usize, is_pi: bool, is_pending: bool) -> Result<()> {
    loop {
        let word = user::load_u32(addr)?;
        let key = key(&thread.process, addr, false)?;
        if is_pending && !is_pi && word == 0 {
            // It unlocked but ended before it could wake.
            table::wake(key, 1, ANY)?;
            return Ok(());
        }
        if word & OWNER != thread.tid {
            return Ok(());
        }
        if is_pi {
            let died = |next: Option<(u32, bool)>| {
                let owner = next.map_or(0, |(next, more)| next | if more { WAITERS } else { 0 });
                user::update_u32(addr, |_| owner | OWNER_DIED)?;
                Ok(next.is_some())
            };
            return table::hand_over(key, died);
        }
        if user::compare_exchange_u32(addr, word, (word & WAITERS) | OWNER_DIED)? == word {
            if word & WAITERS != 0 {
                table::wake(key, 1, ANY)?;
            }
            return Ok(());
        }
    }
}

fn walk(thread: &Thread, head: usize) -> Result<()> {
    let [first, offset, pending]: [usize; 3] = user::read(head)?;
    // The lowest bit of a pointer marks a priority-inheritance lock.
    let lock = |entry: usize| (entry & !1).wrapping_add(offset);
    let mut entry = first;
    for _ in 0..LIMIT {
        if entry & !1 == head {
            break;
        }
        // Read before the lock is released: its memory may be reused then.
        let next: Result<usize> = user::read(entry & !1);
        if entry & !1 != pending & !1 {
            release(thread, lock(entry), entry & 1 != 0, false)?;
        }
        entry = next?;
    }
    if pending & !1 != 0 {
        release(thread, lock(pending), pending & 1 != 0, true)?;
    }
    Ok(())
}

/// The thread ends: releases the locks on its robust list. A list that makes no sense is left alone.
pub fn exit_robust(thread: &Arc<Thread>) {
    let [head, len] = &thread.robust_list;
    len.store(0, Ordering::Relaxed);
    let head = head.swap(0, Ordering::Relaxed);
    if head != 0 {
        let _ = walk(thread, head);
    }
}
