//! mlock(2) and its relatives. The host decides what stays resident; what is locked is faulted in, counted and limited.

use super::limit::MAP_LOCKED;
use super::space::{AddressSpace, Kind, Marks, PAGE, page_up};
use crate::call::Call;
use crate::sys::capability::cap;
use crate::task::limits::INFINITY;
use crate::task::{Process, resource};
use crate::{Errno, Result};
use alloc::vec::Vec;
use postern_pal::mem::{self, bits};

/// How many bytes a process may lock.
///
/// # Errors
/// `EPERM` if it may lock none at all.
fn limit(process: &Process) -> Result<u64> {
    if process.identity.lock().may(cap::IPC_LOCK) {
        return Ok(INFINITY);
    }
    match process.limits.soft(resource::MEMLOCK) {
        0 => Err(Errno::EPERM),
        limit => Ok(limit),
    }
}

/// Checks the `MAP_LOCKED` of mmap(2).
///
/// # Errors
/// `EPERM`.
pub(super) fn check_flag(process: &Process, flags: u32) -> Result<()> {
    if flags & MAP_LOCKED == 0 { Ok(()) } else { limit(process).map(|_| ()) }
}

/// Faults in what a part of an area with these properties shows, as locking does.
///
/// # Errors
/// `ENOMEM` where there is nothing to read, or not as much as is mapped.
pub(super) fn fault_in(start: usize, end: usize, prot: u32, shared: bool) -> Result<()> {
    const POPULATE_READ: u32 = 22;
    const POPULATE_WRITE: u32 = 23;
    let (reads, writes) = (prot & bits::PROT_READ != 0, prot & bits::PROT_WRITE != 0);
    if !reads && !writes {
        // The host cannot be asked to fault in what can only be executed.
        return if prot & bits::PROT_EXEC != 0 { Ok(()) } else { Err(Errno::ENOMEM) };
    }
    let writes = writes && !(shared && reads);
    let advice = if writes { POPULATE_WRITE } else { POPULATE_READ };
    mem::advise(start, end - start, advice).map_err(|_| Errno::ENOMEM)
}

impl AddressSpace {
    /// Locks (`true`) or unlocks all areas of `[start, end)`. Returns those to be faulted in: first and last address,
    /// protection, whether it is shared.
    fn mark(
        &self,
        start: usize,
        end: usize,
        lock: bool,
        limit: u64,
    ) -> Result<Vec<(usize, usize, u32, bool)>> {
        let mut inner = self.inner.lock();
        if lock {
            let (all, there) = (inner.size(0, usize::MAX), inner.size(start, end));
            let wanted = if end == usize::MAX { there.total } else { (end - start) as u64 };
            if all.locked.saturating_sub(there.locked).saturating_add(wanted) > limit {
                return Err(Errno::ENOMEM);
            }
        }
        let mut parts = Vec::new();
        for mut area in inner.remove(start, end) {
            area.marks.set(Marks::LOCKED, lock);
            // The stack would have grown to its limit.
            if area.kind != Kind::Stack {
                parts.push((area.start, area.end, area.prot, area.shared));
            }
            inner.insert(area);
        }
        inner.marked |= lock;
        Ok(parts)
    }

    fn lock_future(&self, yes: bool) {
        self.inner.lock().lock_future = yes;
    }
}

/// Page-aligned start and end of a range.
fn range(call: &Call<'_>) -> Result<(usize, usize)> {
    let start = call.word(0) & !(PAGE - 1);
    let len = page_up(call.word(1).wrapping_add(call.word(0) - start)).ok_or(Errno::EINVAL)?;
    Ok((start, start.checked_add(len).ok_or(Errno::EINVAL)?))
}

fn lock(call: &Call<'_>, on_fault: bool) -> Result<u64> {
    let limit = limit(call.process())?;
    let (start, end) = range(call)?;
    let space = call.process().space();
    let is_whole = space.is_mapped(start, end - start);
    let parts = space.mark(start, end, true, limit)?;
    if !is_whole {
        return Err(Errno::ENOMEM);
    }
    if !on_fault {
        for (start, end, prot, shared) in parts {
            fault_in(start, end, prot, shared)?;
        }
    }
    Ok(0)
}

/// mlock(2).
///
/// # Errors
/// As the manual page says.
pub fn mlock(call: &mut Call<'_>) -> Result<u64> {
    lock(call, false)
}

/// mlock2(2).
///
/// # Errors
/// As the manual page says.
pub fn mlock2(call: &mut Call<'_>) -> Result<u64> {
    const ONFAULT: u32 = 1;
    match call.uint(2) {
        flags @ (0 | ONFAULT) => lock(call, flags == ONFAULT),
        _ => Err(Errno::EINVAL),
    }
}

/// munlock(2).
///
/// # Errors
/// As the manual page says.
pub fn munlock(call: &mut Call<'_>) -> Result<u64> {
    let (start, end) = range(call)?;
    let space = call.process().space();
    let is_whole = space.is_mapped(start, end - start);
    space.mark(start, end, false, INFINITY)?;
    if is_whole { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// mlockall(2).
///
/// # Errors
/// As the manual page says.
pub fn mlockall(call: &mut Call<'_>) -> Result<u64> {
    const CURRENT: u32 = 1;
    const FUTURE: u32 = 2;
    const ONFAULT: u32 = 4;
    let flags = call.uint(0);
    if flags & !(CURRENT | FUTURE | ONFAULT) != 0 || flags & (CURRENT | FUTURE) == 0 {
        return Err(Errno::EINVAL);
    }
    let limit = limit(call.process())?;
    let space = call.process().space();
    if flags & CURRENT != 0 {
        let parts = space.mark(0, usize::MAX, true, limit)?;
        if flags & ONFAULT == 0 {
            // What cannot be faulted in does not matter here.
            for (start, end, prot, shared) in parts {
                let _ = fault_in(start, end, prot, shared);
            }
        }
    }
    space.lock_future(flags & FUTURE != 0);
    Ok(0)
}

/// munlockall(2).
///
/// # Errors
/// None.
pub fn munlockall(call: &mut Call<'_>) -> Result<u64> {
    let space = call.process().space();
    space.lock_future(false);
    space.mark(0, usize::MAX, false, INFINITY).map(|_| 0)
}
