//! madvise(2) and mseal(2).

use super::space::{AddressSpace, Inner, Marks, PAGE, page_up};
use crate::call::Call;
use crate::{Errno, Result};
use postern_pal::mem::{self, bits};

/// `MADV_*`.
mod kind {
    pub const WILLNEED: u32 = 3;
    pub const DONTNEED: u32 = 4;
    pub const FREE: u32 = 8;
    pub const REMOVE: u32 = 9;
    pub const DONTFORK: u32 = 10;
    pub const DOFORK: u32 = 11;
    pub const MERGEABLE: u32 = 12;
    pub const UNMERGEABLE: u32 = 13;
    pub const HUGEPAGE: u32 = 14;
    pub const DODUMP: u32 = 17;
    pub const WIPEONFORK: u32 = 18;
    pub const KEEPONFORK: u32 = 19;
    pub const COLD: u32 = 20;
    pub const PAGEOUT: u32 = 21;
    pub const POPULATE_READ: u32 = 22;
    pub const POPULATE_WRITE: u32 = 23;
    pub const COLLAPSE: u32 = 25;
    pub const HWPOISON: u32 = 100;
    pub const SOFT_OFFLINE: u32 = 101;
}

/// Whether a process with the right to do so may give this advice about another.
#[must_use]
pub fn is_hint_for_others(advice: u32) -> bool {
    matches!(advice, kind::WILLNEED | kind::COLD | kind::PAGEOUT | kind::COLLAPSE)
}

impl Inner {
    /// Whether a part of `[start, end)` has one of `marks`.
    pub(super) fn has_marks(&self, start: usize, end: usize, marks: Marks) -> bool {
        self.marked && self.parts(start, end).any(|(_, _, area)| area.marks.intersects(marks))
    }

    /// Refuses changes of what is sealed.
    pub(super) fn check_seal(&self, start: usize, end: usize) -> Result<()> {
        if self.has_marks(start, end, Marks::SEALED) { Err(Errno::EPERM) } else { Ok(()) }
    }
}

impl AddressSpace {
    /// Changes marks of all areas of `[start, end)`.
    fn change_marks(&self, start: usize, end: usize, marks: Marks, set: bool) {
        let mut inner = self.inner.lock();
        for mut area in inner.remove(start, end) {
            area.marks.set(marks, set);
            inner.insert(area);
        }
        inner.marked |= set;
    }

    /// Whether content may be dropped: it may not where it is locked, nor where it is sealed and could not be written.
    fn check_discard(&self, start: usize, end: usize) -> Result<()> {
        let inner = self.inner.lock();
        if inner.has_marks(start, end, Marks::LOCKED) {
            return Err(Errno::EINVAL);
        }
        let protected = inner.marked
            && inner.parts(start, end).any(|(_, _, a)| {
                a.marks.contains(Marks::SEALED)
                    && !a.shared
                    && a.file.is_none()
                    && a.prot & bits::PROT_WRITE == 0
            });
        if protected { Err(Errno::EPERM) } else { Ok(()) }
    }
}

/// Gives advice about a range of the running process' memory.
///
/// # Errors
/// As madvise(2).
pub(super) fn advise(space: &AddressSpace, addr: usize, len: usize, advice: u32) -> Result<()> {
    let len = page_up(len).ok_or(Errno::EINVAL)?;
    if !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
    let is_known = matches!(advice, 0..=kind::DONTNEED | kind::FREE..=kind::POPULATE_WRITE)
        || matches!(advice, kind::HWPOISON | kind::SOFT_OFFLINE);
    if !is_known {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(());
    }
    let mapped = || if space.is_mapped(addr, len) { Ok(()) } else { Err(Errno::ENOMEM) };
    match advice {
        kind::HWPOISON | kind::SOFT_OFFLINE => Err(Errno::EPERM),
        kind::DONTNEED | kind::FREE => {
            space.check_discard(addr, end)?;
            mem::advise(addr, len, advice)
        }
        kind::REMOVE | kind::WIPEONFORK | kind::KEEPONFORK | kind::POPULATE_READ | kind::POPULATE_WRITE => {
            mem::advise(addr, len, advice)
        }
        kind::COLD | kind::PAGEOUT => {
            space.check_discard(addr, end)?;
            mem::advise(addr, len, advice)
        }
        kind::DONTFORK | kind::DOFORK => {
            space.change_marks(addr, end, Marks::DONT_FORK, advice == kind::DONTFORK);
            mapped()
        }
        // Whether equal pages are merged is the host's own affair.
        kind::MERGEABLE | kind::UNMERGEABLE => mapped(),
        // Hints. The host may know some of them not.
        0..=kind::WILLNEED | kind::HUGEPAGE..=kind::DODUMP => {
            let _ = mem::advise(addr, len, advice);
            mapped()
        }
        _ => Err(Errno::EINVAL),
    }
}

/// madvise(2).
///
/// # Errors
/// As the manual page says. Hints that the wall does not know are accepted as the hints they are.
pub fn madvise(call: &mut Call<'_>) -> Result<u64> {
    advise(&call.process().space(), call.word(0), call.word(1), call.uint(2)).map(|()| 0)
}

/// mseal(2).
///
/// # Errors
/// As the manual page says.
pub fn mseal(call: &mut Call<'_>) -> Result<u64> {
    let addr = call.word(0);
    if call.raw(2) != 0 || !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let len = page_up(call.word(1)).ok_or(Errno::EINVAL)?;
    let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
    let space = call.process().space();
    if !space.is_mapped(addr, len) {
        return Err(Errno::ENOMEM);
    }
    if len > 0 {
        space.change_marks(addr, end, Marks::SEALED, true);
    }
    Ok(0)
}
