//! How much memory a process may map: `RLIMIT_AS`, `RLIMIT_DATA` and `RLIMIT_MEMLOCK`.

use super::space::{AddressSpace, Area, Inner, Kind, Marks};
use crate::sys::capability::cap;
use crate::task::limits::INFINITY;
use crate::task::{Process, resource};
use crate::{Errno, Result};
use core::sync::atomic::{AtomicU64, Ordering};
use postern_pal::mem::bits;

/// What a stack counts for: it is mapped whole, where Linux lets it grow.
const STACK: u64 = 132 * 1024;
/// `MAP_LOCKED`.
pub const MAP_LOCKED: u32 = 0x2000;

/// The soft limits that hold for a memory map, in bytes.
pub struct SpaceLimits {
    total: AtomicU64,
    data: AtomicU64,
    locked: AtomicU64,
}

impl Default for SpaceLimits {
    fn default() -> Self {
        let unlimited = || AtomicU64::new(INFINITY);
        Self { total: unlimited(), data: unlimited(), locked: unlimited() }
    }
}

/// What areas count for, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// All of them.
    pub total: u64,
    /// Private and writable, without the stack.
    pub data: u64,
    /// Locked by mlock(2).
    pub locked: u64,
    /// The stack.
    pub stack: u64,
}

impl Size {
    /// What `len` bytes of such an area count for.
    fn of(len: usize, prot: u32, shared: bool, kind: Kind, marks: Marks) -> Self {
        let len = len as u64;
        let total = if kind == Kind::Stack { len.min(STACK) } else { len };
        let is_data = !shared && prot & bits::PROT_WRITE != 0 && kind != Kind::Stack;
        Self {
            total,
            data: if is_data { total } else { 0 },
            locked: if marks.contains(Marks::LOCKED) { total } else { 0 },
            stack: if kind == Kind::Stack { total } else { 0 },
        }
    }

    fn plus(self, more: Self) -> Self {
        Self {
            total: self.total.saturating_add(more.total),
            data: self.data.saturating_add(more.data),
            locked: self.locked.saturating_add(more.locked),
            stack: self.stack.saturating_add(more.stack),
        }
    }

    fn minus(self, less: Self) -> Self {
        Self {
            total: self.total.saturating_sub(less.total),
            data: self.data.saturating_sub(less.data),
            locked: self.locked.saturating_sub(less.locked),
            stack: self.stack.saturating_sub(less.stack),
        }
    }
}

impl Inner {
    /// The areas of `[start, end)`, the outer ones as far as they are in it: first and last address of each part.
    pub(super) fn parts(&self, start: usize, end: usize) -> impl Iterator<Item = (usize, usize, &Area)> {
        let first = self.areas.range(..start).next_back().map(|(_, a)| a).filter(|a| a.end > start);
        let rest = self.areas.range(start..end.max(start)).map(|(_, a)| a);
        first.into_iter().chain(rest).map(move |a| (a.start.max(start), a.end.min(end), a))
    }

    /// What `[start, end)` counts for.
    pub(super) fn size(&self, start: usize, end: usize) -> Size {
        self.parts(start, end).fold(Size::default(), |sum, (start, end, a)| {
            sum.plus(Size::of(end - start, a.prot, a.shared, a.kind, a.marks))
        })
    }
}

impl AddressSpace {
    /// Takes over the limits of `process`. Root inside may lock as much as it likes.
    pub fn set_limits(&self, process: &Process) {
        let root = process.identity.lock().may(cap::IPC_LOCK);
        let soft = |resource| process.limits.soft(resource);
        self.limits.total.store(soft(resource::AS), Ordering::Relaxed);
        self.limits.data.store(soft(resource::DATA), Ordering::Relaxed);
        let locked = if root { INFINITY } else { soft(resource::MEMLOCK) };
        self.limits.locked.store(locked, Ordering::Relaxed);
    }

    /// What all of it counts for.
    #[must_use]
    pub fn size(&self) -> Size {
        self.inner.lock().size(0, usize::MAX)
    }

    /// Whether something may be mapped; how it is to be marked.
    pub(super) fn admit(
        &self,
        inner: &Inner,
        (addr, len): (usize, usize),
        (prot, flags): (u32, u32),
        kind: Kind,
    ) -> Result<Marks> {
        let is_locked = inner.lock_future || flags & MAP_LOCKED != 0;
        let marks = if is_locked { Marks::LOCKED } else { Marks::empty() };
        let added = Size::of(len, prot, flags & bits::MAP_SHARED != 0, kind, marks);
        let fixed = flags & bits::MAP_FIXED != 0;
        let replaced = || if fixed { inner.size(addr, addr.saturating_add(len)) } else { Size::default() };
        self.check(inner, added, replaced)?;
        Ok(marks)
    }

    /// Whether the map may change by that much.
    pub(super) fn check(&self, inner: &Inner, added: Size, removed: impl FnOnce() -> Size) -> Result<()> {
        let limits = [&self.limits.total, &self.limits.data, &self.limits.locked];
        let [total, data, locked] = limits.map(|l| l.load(Ordering::Relaxed));
        // Nearly always there is no limit, and nothing to add up.
        if total == INFINITY && data == INFINITY && (locked == INFINITY || added.locked == 0) {
            return Ok(());
        }
        let after = inner.size(0, usize::MAX).minus(removed()).plus(added);
        if after.total > total || (added.data > 0 && after.data > data) {
            return Err(Errno::ENOMEM);
        }
        if added.locked > 0 && after.locked > locked { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    /// What `[start, end)` would add to the data of the process if it became writable.
    pub(super) fn check_writable(&self, inner: &Inner, start: usize, end: usize) -> Result<()> {
        if self.limits.data.load(Ordering::Relaxed) == INFINITY {
            return Ok(());
        }
        let becomes = inner.parts(start, end).filter(|(_, _, a)| a.prot & bits::PROT_WRITE == 0);
        let added = becomes.fold(Size::default(), |sum, (start, end, a)| {
            sum.plus(Size::of(end - start, bits::PROT_WRITE, a.shared, a.kind, Marks::empty()))
        });
        self.check(inner, Size { data: added.data, ..Size::default() }, Size::default)
    }

    /// Whether `area` may grow by `len` bytes.
    pub(super) fn check_growth(&self, inner: &Inner, area: &Area, len: usize) -> Result<()> {
        let added = Size::of(len, area.prot, area.shared, area.kind, area.marks);
        self.check(inner, added, Size::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_private_writable_memory_is_data() {
        let size = |prot, shared, kind| Size::of(8192, prot, shared, kind, Marks::empty());
        assert_eq!(size(3, false, Kind::Heap), Size { total: 8192, data: 8192, locked: 0, stack: 0 });
        assert_eq!(size(1, false, Kind::Plain).data, 0);
        assert_eq!(size(3, true, Kind::Plain).data, 0);
        let stack = Size::of(8 << 20, 3, false, Kind::Stack, Marks::LOCKED);
        assert_eq!(stack, Size { total: STACK, data: 0, locked: STACK, stack: STACK });
    }
}
