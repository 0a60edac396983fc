//! Memory of the user half, and file slots in the arena.

use crate::errno::{Errno, Result};
use crate::handle::{Handle, UserRange};
use crate::host::{self, number};
use crate::sync::{Mutex, Once};
use crate::user::{USER_END, USER_START, is_user_range};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use postern_abi::layout::{self, KERNEL_BASE, KERNEL_END};

/// `PROT_*` and `MAP_*` bits that this layer looks at (mmap(2)).
#[expect(missing_docs, reason = "the names are mmap's own")]
pub mod bits {
    pub const PROT_READ: u32 = 1;
    pub const PROT_WRITE: u32 = 2;
    pub const PROT_EXEC: u32 = 4;
    pub const MAP_SHARED: u32 = 1;
    pub const MAP_PRIVATE: u32 = 2;
    pub const MAP_FIXED: u32 = 0x10;
    pub const MAP_ANONYMOUS: u32 = 0x20;
    pub const MAP_STACK: u32 = 0x2_0000;
    pub const MAP_NORESERVE: u32 = 0x4000;
    pub const MAP_POPULATE: u32 = 0x8000;
    pub const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;
    /// Bits that the filter lets through.
    pub const MAP_ALLOWED: u32 = 0x12_c033 | MAP_FIXED_NOREPLACE;
}

static ARENA: Once<Handle> = Once::new();

pub(crate) fn set_arena(handle: Handle) {
    let _ = ARENA.set(handle);
}

pub(crate) fn arena() -> Result<&'static Handle> {
    ARENA.get().ok_or(Errno::EIO)
}

/// The counter with this index that the monitor keeps of changes to a watched directory.
#[must_use]
pub fn change_count(index: usize) -> Option<u32> {
    if index >= layout::CHANGES {
        return None;
    }
    let counters = core::ptr::with_exposed_provenance::<AtomicU32>(layout::CHANGES_BASE);
    // SAFETY: an aligned word of the array that is mapped for the life of the family; only the host writes to it.
    Some(unsafe { &*counters.add(index) }.load(Ordering::Acquire))
}

/// What a mapping shows.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// Zeroes.
    Anonymous,
    /// A handle, from this offset in bytes.
    Handle(&'a Handle, u64),
    /// A file slot, from this offset in bytes.
    Slot(&'a Slot, u64),
    /// What is behind the end of a file: touching it raises SIGBUS.
    Nothing,
}

/// Maps memory into the user half of this process; `mmap`. `flags` are `MAP_*` bits; `MAP_ANONYMOUS` is set or
/// cleared by `source`.
///
/// # Errors
/// The host's; `EINVAL` where a fixed address is outside the user half; `ENOMEM` where `len` cannot fit.
pub fn map(addr: usize, len: usize, prot: u32, flags: u32, source: Source<'_>) -> Result<usize> {
    use bits::{MAP_ALLOWED, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE};
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) != 0;
    if fixed && (!is_user_range(addr, len) || addr < USER_START) {
        return Err(if addr < USER_START { Errno::EPERM } else { Errno::ENOMEM });
    }
    // A hint inside the kernel half is no hint at all.
    let addr = if fixed || is_user_range(addr, len) { addr } else { 0 };
    let flags = flags & MAP_ALLOWED & !MAP_ANONYMOUS;
    let (flags, fd, offset) = match source {
        Source::Anonymous => (flags | MAP_ANONYMOUS, usize::MAX, 0),
        Source::Handle(handle, offset) => {
            (flags, usize::try_from(handle.number()).unwrap_or(usize::MAX), offset)
        }
        Source::Slot(slot, offset) => {
            let fd = usize::try_from(arena()?.number()).unwrap_or(usize::MAX);
            (flags, fd, slot.position(offset, len)?)
        }
        // The host itself raises the signal: the arena ends there.
        Source::Nothing => {
            (flags, usize::try_from(arena()?.number()).unwrap_or(usize::MAX), layout::ARENA_SIZE)
        }
    };
    let offset = usize::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: a fixed mapping lies in the user half, where no Rust object is; any other one replaces nothing. The
    // kernel half is fully mapped at start, so the host never chooses an address inside it.
    unsafe { host::call(number::MMAP, [addr, len, (prot & 7) as usize, flags as usize, fd, offset]) }
}

fn user_range(addr: usize, len: usize, error: Errno) -> Result<()> {
    if !addr.is_multiple_of(4096) {
        return Err(Errno::EINVAL);
    }
    if is_user_range(addr, len) { Ok(()) } else { Err(error) }
}

/// Unmaps; `munmap`.
///
/// # Errors
/// The host's; `EINVAL` outside the user half.
pub fn unmap(addr: usize, len: usize) -> Result<()> {
    user_range(addr, len, Errno::EINVAL)?;
    // SAFETY: only the user half, where no Rust object is.
    unsafe { host::call(number::MUNMAP, [addr, len, 0, 0, 0, 0]) }.map(|_| ())
}

/// Changes protection; `mprotect` with `PROT_READ`, `PROT_WRITE` and `PROT_EXEC`.
///
/// # Errors
/// The host's; `ENOMEM` outside the user half.
pub fn protect(addr: usize, len: usize, prot: u32) -> Result<()> {
    user_range(addr, len, Errno::ENOMEM)?;
    // SAFETY: only the user half.
    unsafe { host::call(number::MPROTECT, [addr, len, (prot & 7) as usize, 0, 0, 0]) }.map(|_| ())
}

/// Moves or resizes a mapping; `mremap` with its flags.
///
/// # Errors
/// The host's; `EFAULT` or `EINVAL` outside the user half.
pub fn remap(old: usize, old_len: usize, new_len: usize, flags: u32, new: usize) -> Result<usize> {
    const FIXED: u32 = 2;
    user_range(old, old_len, Errno::EFAULT)?;
    if flags & FIXED != 0 {
        user_range(new, new_len, Errno::EINVAL)?;
    }
    // SAFETY: old and new range are in the user half; without MREMAP_FIXED the host takes free addresses.
    unsafe { host::call(number::MREMAP, [old, old_len, new_len, (flags & 7) as usize, new, 0]) }
}

/// Advice about a range; `madvise`, as far as the filter allows the advice.
///
/// # Errors
/// The host's; `ENOMEM` outside the user half.
pub fn advise(addr: usize, len: usize, advice: u32) -> Result<()> {
    user_range(addr, len, Errno::ENOMEM)?;
    // SAFETY: advice about the user half changes no memory of ours.
    unsafe { host::call(number::MADVISE, [addr, len, advice as usize, 0, 0, 0]) }.map(|_| ())
}

static KEEP: Once<(usize, usize)> = Once::new();

/// Keeps `[start, end)` of the user half out of [`reset_user_half`]: the host's own clock page.
pub(crate) fn keep(start: usize, end: usize) {
    let _ = KEEP.set((start, end));
}

/// The range of the user half that belongs to the host's clock page and is not the app's, if there is one.
#[must_use]
pub fn kept() -> Option<(usize, usize)> {
    KEEP.get().copied()
}

/// Unmaps the whole user half of this process: the first step of exec.
pub fn reset_user_half() {
    let (keep_start, keep_end) = KEEP.get().copied().unwrap_or((USER_END, USER_END));
    for (start, end) in [(USER_START, KERNEL_BASE), (KERNEL_END, keep_start), (keep_end, USER_END)] {
        // SAFETY: the user half; the calling thread runs on its kernel stack.
        let _ = unsafe { host::call(number::MUNMAP, [start, end.saturating_sub(start), 0, 0, 0, 0]) };
    }
}

/// A file slot: a sparse range of the arena memfd that holds the content of one file of a tmpfs. Freed when dropped.
#[derive(Debug)]
pub struct Slot(u64);

struct SlotPool {
    next: u64,
    free: Vec<u64>,
}

static SLOTS: Mutex<SlotPool> = Mutex::new(SlotPool { next: 0, free: Vec::new() });

impl Slot {
    /// A slot that reads as zeroes.
    ///
    /// # Errors
    /// `ENOSPC` if all are in use.
    pub fn new() -> Result<Self> {
        let mut pool = SLOTS.lock();
        if let Some(index) = pool.free.pop() {
            return Ok(Self(index));
        }
        if pool.next >= layout::MAX_SLOTS {
            return Err(Errno::ENOSPC);
        }
        pool.next += 1;
        Ok(Self(pool.next - 1))
    }

    fn position(&self, offset: u64, len: usize) -> Result<u64> {
        let len = u64::try_from(len).map_err(|_| Errno::EFBIG)?;
        match offset.checked_add(len) {
            Some(end) if end <= layout::SLOT_SIZE => {
                Ok(layout::SLOTS_OFFSET + self.0 * layout::SLOT_SIZE + offset)
            }
            _ => Err(Errno::EFBIG),
        }
    }

    fn span(ranges: &[UserRange]) -> usize {
        ranges.iter().fold(0, |sum, r| r.len.saturating_add(sum))
    }

    /// Reads into the app's memory. The caller bounds the ranges by the file's length.
    ///
    /// # Errors
    /// The host's; `EFBIG` past the end of the slot.
    pub fn read_user(&self, ranges: &[UserRange], offset: u64) -> Result<usize> {
        arena()?.read_user(ranges, Some(self.position(offset, Self::span(ranges))?), 0)
    }

    /// Writes from the app's memory.
    ///
    /// # Errors
    /// The host's; `EFBIG` past the end of the slot.
    pub fn write_user(&self, ranges: &[UserRange], offset: u64) -> Result<usize> {
        arena()?.write_user(ranges, Some(self.position(offset, Self::span(ranges))?), 0)
    }

    /// Reads into a buffer of ours.
    ///
    /// # Errors
    /// The host's; `EFBIG` past the end of the slot.
    pub fn read(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        arena()?.read(buf, Some(self.position(offset, buf.len())?))
    }

    /// Writes from a buffer of ours.
    ///
    /// # Errors
    /// The host's; `EFBIG` past the end of the slot.
    pub fn write(&self, buf: &[u8], offset: u64) -> Result<usize> {
        arena()?.write(buf, Some(self.position(offset, buf.len())?))
    }

    /// Makes `[offset, offset + len)` read as zeroes and cost nothing.
    ///
    /// # Errors
    /// The host's; `EFBIG` past the end of the slot.
    pub fn punch(&self, offset: u64, len: u64) -> Result<()> {
        let len_bytes = usize::try_from(len).map_err(|_| Errno::EFBIG)?;
        arena()?.allocate(3, self.position(offset, len_bytes)?, len)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.punch(0, layout::SLOT_SIZE).is_ok() {
            SLOTS.lock().free.push(self.0);
        }
    }
}
