//! The memory map of a process: a record of what the host maps in its user half. The host does the mapping and the
//! copy on write; the record is for /proc/PID/maps, for brk and mremap, for futex keys and for crash reports.

use super::cut;
use super::errand::Errands;
use super::limit::SpaceLimits;
use super::patch::{Pool, Sites};
use crate::fs::{Mapping, OpenFile};
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use postern_pal::mem::{self, Source, bits};

/// Size of a page in bytes.
pub const PAGE: usize = 4096;

/// What an area is, as /proc/PID/maps names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file or anonymous memory.
    Plain,
    /// `[heap]`: grown by brk.
    Heap,
    /// `[stack]` of the main thread.
    Stack,
    /// `[vdso]`.
    Vdso,
    /// Trampolines of patched call sites.
    Trampolines,
}

bitflags::bitflags! {
    /// What madvise(2), mlock(2) and mseal(2) said about an area.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Marks: u8 {
        /// Locked in memory.
        const LOCKED = 1;
        /// A forked process does not get it (`MADV_DONTFORK`).
        const DONT_FORK = 2;
        /// May not be changed any more (`mseal`).
        const SEALED = 4;
    }
}

/// A range with one protection and one backing.
#[derive(Clone)]
pub struct Area {
    /// First address.
    pub start: usize,
    /// One past the last address.
    pub end: usize,
    /// `PROT_*`.
    pub prot: u32,
    /// Whether it is `MAP_SHARED`.
    pub shared: bool,
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// The file that it shows.
    pub file: Option<Arc<OpenFile>>,
    /// Identity of the memory behind a shared area, for futexes; 0 for private ones.
    pub object: u64,
    /// What it is.
    pub kind: Kind,
    /// What was said about it.
    pub marks: Marks,
    /// Offset in the file from which on nothing is shown, because the file ends before ([`super::cut`]).
    pub shown: u64,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) areas: BTreeMap<usize, Area>,
    brk_start: usize,
    brk: usize,
    /// Whether an area may have [`Marks`].
    pub(super) marked: bool,
    /// Whether new areas are locked (`MCL_FUTURE`).
    pub(super) lock_future: bool,
}

/// The memory map of a process.
pub struct AddressSpace {
    pub(super) inner: Mutex<Inner>,
    /// How much may be mapped.
    pub(super) limits: SpaceLimits,
    /// What others want to be done in it.
    pub errands: Errands,
    /// Whether an area may show nothing from some offset on.
    pub(super) has_cuts: AtomicBool,
    /// Ranges that a forked process gives up before it runs.
    left_behind: Mutex<Vec<(usize, usize)>>,
    /// Names the space, for private futexes.
    pub id: u64,
    /// Pages of trampolines. Held while text is changed, and while the host copies the memory for a fork.
    pools: Mutex<Vec<Pool>>,
    /// Address of the code that is being replaced, or 0.
    patching: AtomicUsize,
    /// Sites that trap in the children that are forked from here.
    children_sites: Arc<Sites>,
    /// The same of the process that this one was forked from.
    parent_sites: Mutex<Option<Arc<Sites>>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A fresh identity of a space or of shared memory.
#[must_use]
pub fn new_identity() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// Rounds up to a whole page; `None` on overflow.
#[must_use]
pub fn page_up(len: usize) -> Option<usize> {
    len.checked_add(PAGE - 1).map(|l| l & !(PAGE - 1))
}

impl Default for AddressSpace {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            limits: SpaceLimits::default(),
            errands: Errands::default(),
            has_cuts: AtomicBool::new(false),
            left_behind: Mutex::new(Vec::new()),
            id: new_identity(),
            pools: Mutex::new(Vec::new()),
            patching: AtomicUsize::new(0),
            children_sites: Arc::new(Sites::new()),
            parent_sites: Mutex::new(None),
        }
    }
}

impl Inner {
    /// Cuts areas so that none crosses `at`.
    fn split(&mut self, at: usize) {
        let Some((_, area)) = self.areas.range(..at).next_back() else { return };
        if area.end <= at {
            return;
        }
        let mut upper = area.clone();
        upper.offset += (at - area.start) as u64;
        upper.start = at;
        let start = area.start;
        if let Some(area) = self.areas.get_mut(&start) {
            area.end = at;
        }
        self.areas.insert(at, upper);
    }

    pub(super) fn remove(&mut self, start: usize, end: usize) -> Vec<Area> {
        // Most often one whole area goes.
        if self.areas.get(&start).is_some_and(|area| area.end == end) {
            return self.areas.remove(&start).into_iter().collect();
        }
        self.split(start);
        self.split(end);
        let keys: Vec<usize> = self.areas.range(start..end).map(|(k, _)| *k).collect();
        keys.into_iter().filter_map(|k| self.areas.remove(&k)).collect()
    }

    fn can_merge(a: &Area, b: &Area) -> bool {
        a.end == b.start
            && a.prot == b.prot
            && a.shared == b.shared
            && a.kind == b.kind
            && a.object == b.object
            && a.marks == b.marks
            && a.shown == b.shown
            && match (&a.file, &b.file) {
                (None, None) => !a.shared || a.offset + (a.end - a.start) as u64 == b.offset,
                (Some(x), Some(y)) => Arc::ptr_eq(x, y) && a.offset + (a.end - a.start) as u64 == b.offset,
                _ => false,
            }
    }

    pub(super) fn insert(&mut self, mut area: Area) {
        if let Some((_, before)) = self.areas.range(..area.start).next_back()
            && Self::can_merge(before, &area)
        {
            let start = before.start;
            if let Some(before) = self.areas.remove(&start) {
                area.start = before.start;
                area.offset = before.offset;
            }
        }
        let after = self.areas.get(&area.end).filter(|after| Self::can_merge(&area, after)).map(|a| a.end);
        if let Some(end) = after {
            self.areas.remove(&area.end);
            area.end = end;
        }
        self.areas.insert(area.start, area);
    }
}

impl AddressSpace {
    pub(super) fn pools(&self) -> &Mutex<Vec<Pool>> {
        &self.pools
    }

    pub(super) fn children_sites(&self) -> &Sites {
        &self.children_sites
    }

    pub(super) fn parent_sites(&self) -> Option<Arc<Sites>> {
        self.parent_sites.lock().clone()
    }

    pub(super) fn set_patching(&self, address: usize) {
        self.patching.store(address, Ordering::SeqCst);
    }

    pub(super) fn patching(&self, address: usize) -> bool {
        self.patching.load(Ordering::SeqCst) == address
    }

    /// Free pages between areas, nearest first below `addr`, then above, at most `reach` away: a few candidates.
    pub(super) fn free_pages_near(&self, addr: usize, reach: usize) -> Vec<usize> {
        let inner = self.inner.lock();
        let mut found = Vec::new();
        let mut end = None;
        for area in inner.areas.range(..=addr).rev().map(|(_, a)| a) {
            if end.is_some_and(|end| area.end < end) {
                found.extend(end.map(|end: usize| end - PAGE));
            }
            end = Some(area.start);
            if addr.saturating_sub(area.start) > reach || found.len() >= 8 {
                break;
            }
        }
        found.extend(end.map(|end| end - PAGE).filter(|at| *at > 0x1_0000 && addr - at < reach));
        let mut start = None;
        for area in inner.areas.range(addr..).map(|(_, a)| a) {
            if start.is_some_and(|start| start < area.start) {
                found.extend(start);
            }
            start = Some(area.end);
            if area.end - addr > reach || found.len() >= 16 {
                break;
            }
        }
        found.extend(start);
        found.retain(|at| at.abs_diff(addr) < reach);
        found
    }

    /// Makes `child`, the fresh space of a forked process, a copy of this one, and has `host_fork` copy the memory
    /// while nothing else changes the map or replaces code. Shared areas keep their identity.
    ///
    /// # Errors
    /// Those of `host_fork`.
    pub fn fork_into<T>(&self, child: &Self, host_fork: impl FnOnce() -> Result<T>) -> Result<T> {
        let pools = self.pools.lock();
        let inner = self.inner.lock();
        *child.parent_sites.lock() = Some(self.children_sites.clone());
        child.pools.lock().clone_from(&pools);
        let mut areas = inner.areas.clone();
        if inner.marked {
            areas.retain(|_, area| !area.marks.contains(Marks::DONT_FORK));
            for area in areas.values_mut() {
                area.marks &= Marks::SEALED;
            }
            let gone = inner.areas.values().filter(|a| a.marks.contains(Marks::DONT_FORK));
            child.left_behind.lock().extend(gone.map(|a| (a.start, a.end)));
        }
        let (brk_start, brk, marked) = (inner.brk_start, inner.brk, inner.marked);
        child.has_cuts.store(self.has_cuts.load(Ordering::Relaxed), Ordering::Relaxed);
        *child.inner.lock() = Inner { areas, brk_start, brk, marked, lock_future: false };
        host_fork()
    }

    /// Called by a forked process before it runs: gives up what it was not to get.
    pub fn leave_behind(&self) {
        for (start, end) in core::mem::take(&mut *self.left_behind.lock()) {
            let _ = mem::unmap(start, end - start);
        }
    }

    /// Runs `f` while `area` stays mapped as it is.
    ///
    /// # Errors
    /// `EAGAIN` if it changed since it was looked up; those of `f`.
    pub(super) fn while_unchanged(&self, area: &Area, f: impl FnOnce() -> Result<()>) -> Result<()> {
        let inner = self.inner.lock();
        let now = inner.areas.get(&area.start).ok_or(Errno::EAGAIN)?;
        if now.end != area.end || now.prot != area.prot || now.shared != area.shared {
            return Err(Errno::EAGAIN);
        }
        f()
    }

    /// Calls `f` for every area in order of address.
    pub fn for_each(&self, f: &mut dyn FnMut(&Area)) {
        let areas: Vec<Area> = self.inner.lock().areas.values().cloned().collect();
        for area in &areas {
            f(area);
        }
    }

    /// Whether anything is mapped between `addr` and `addr + len`.
    #[must_use]
    pub fn overlaps(&self, addr: usize, len: usize) -> bool {
        let inner = self.inner.lock();
        let last = inner.areas.range(..addr.saturating_add(len)).next_back();
        last.is_some_and(|(_, area)| area.end > addr)
    }

    /// The area that holds `addr`.
    #[must_use]
    pub fn find(&self, addr: usize) -> Option<Area> {
        let inner = self.inner.lock();
        inner.areas.range(..=addr).next_back().map(|(_, a)| a).filter(|a| addr < a.end).cloned()
    }

    /// Identity and offset of the shared memory at `addr`, for futexes that work across processes.
    #[must_use]
    pub fn shared_key(&self, addr: usize) -> Option<(u64, u64)> {
        let inner = self.inner.lock();
        let area = inner.areas.range(..=addr).next_back().map(|(_, a)| a).filter(|a| addr < a.end)?;
        area.shared.then(|| (area.object, area.offset + (addr - area.start) as u64))
    }

    /// Maps. `len` is a whole number of pages; `flags` are mmap's.
    ///
    /// # Errors
    /// As mmap(2).
    pub fn map(
        &self,
        addr: usize,
        len: usize,
        prot: u32,
        flags: u32,
        file: Option<(Arc<OpenFile>, u64)>,
        kind: Kind,
    ) -> Result<usize> {
        let shared = flags & bits::MAP_SHARED != 0;
        let mapping = file.as_ref().map(|(file, _)| file.ops.mapping()).transpose()?;
        let offset = file.as_ref().map_or(0, |(_, offset)| *offset);
        let source = match &mapping {
            None | Some(Mapping::Zero) => Source::Anonymous,
            Some(Mapping::Handle(handle)) => Source::Handle(handle, offset),
            Some(Mapping::Slot(slot)) => Source::Slot(slot, offset),
        };
        let object = match (&mapping, shared) {
            (_, false) => 0,
            (Some(Mapping::Handle(_) | Mapping::Slot(_)), true) => {
                // Two opens of one file must meet: the inode names the memory.
                let meta = file.as_ref().map(|(f, _)| f.ops.metadata()).transpose()?.unwrap_or_default();
                meta.ino.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ meta.dev.rotate_left(32) ^ (1 << 63)
            }
            _ => new_identity(),
        };
        let mut inner = self.inner.lock();
        let marks = self.admit(&inner, (addr, len), (prot, flags), kind)?;
        if flags & bits::MAP_FIXED != 0 {
            inner.check_seal(addr, addr.saturating_add(len))?;
        }
        let (at, shown) = match file.as_ref().and_then(|(f, _)| f.ops.mapped_end()) {
            Some(stop) if cut::reaches_beyond(offset, len, stop) => {
                (self.map_cut((addr, len), prot, flags, source, stop)?, stop)
            }
            _ => (mem::map(addr, len, prot, flags, source)?, u64::MAX),
        };
        let end = at.checked_add(len).ok_or(Errno::ENOMEM)?;
        inner.remove(at, end);
        let file = file.filter(|_| !matches!(mapping, Some(Mapping::Zero))).map(|(file, _)| file);
        inner.marked |= !marks.is_empty();
        inner.insert(Area {
            start: at,
            end,
            prot: prot & 7,
            shared,
            offset,
            file,
            object,
            kind,
            marks,
            shown,
        });
        drop(inner);
        if marks.contains(Marks::LOCKED) {
            // What cannot be faulted in now will be told of when it is touched.
            let _ = super::lock::fault_in(at, end, prot, shared);
        }
        Ok(at)
    }

    /// Unmaps.
    ///
    /// # Errors
    /// As munmap(2).
    pub fn unmap(&self, addr: usize, len: usize) -> Result<()> {
        let len = page_up(len).filter(|l| *l > 0).ok_or(Errno::EINVAL)?;
        let end = addr.checked_add(len).ok_or(Errno::EINVAL)?;
        let removed = {
            let mut inner = self.inner.lock();
            inner.check_seal(addr, end)?;
            mem::unmap(addr, len)?;
            inner.remove(addr, end)
        };
        // Files are released outside the lock.
        drop(removed);
        Ok(())
    }

    /// Changes protection.
    ///
    /// # Errors
    /// As mprotect(2); `EACCES` for writing to a shared mapping of a file that is not open for writing.
    pub fn protect(&self, addr: usize, len: usize, prot: u32) -> Result<()> {
        let len = page_up(len).ok_or(Errno::ENOMEM)?;
        if len == 0 {
            return Ok(());
        }
        let end = addr.checked_add(len).ok_or(Errno::ENOMEM)?;
        let mut inner = self.inner.lock();
        inner.check_seal(addr, end)?;
        // What comes before a hole, or before what may not be written, is changed all the same.
        let writes = prot & bits::PROT_WRITE != 0;
        let read_only = |a: &Area| a.shared && a.file.as_ref().is_some_and(|f| !f.is_writable());
        let first = inner.areas.range(..addr).next_back().map(|(_, a)| a).filter(|a| a.end > addr);
        let mut stop = addr;
        let mut result = Ok(());
        for area in first.into_iter().chain(inner.areas.range(addr..end).map(|(_, a)| a)) {
            if area.start > stop {
                break;
            }
            if writes && read_only(area) {
                result = Err(Errno::EACCES);
                break;
            }
            stop = area.end.min(end);
        }
        if result.is_ok() && stop < end {
            result = Err(Errno::ENOMEM);
        }
        if stop == addr {
            return result;
        }
        if writes {
            self.check_writable(&inner, addr, stop)?;
        }
        mem::protect(addr, stop - addr, prot)?;
        for mut area in inner.remove(addr, stop) {
            area.prot = prot & 7;
            inner.insert(area);
        }
        result
    }

    /// Sets where the heap begins; nothing is mapped yet.
    pub fn set_brk_start(&self, start: usize) {
        let mut inner = self.inner.lock();
        inner.brk_start = start;
        inner.brk = start;
    }

    /// brk(2): moves the end of the heap to `wanted` if that is possible; returns the end.
    pub fn brk(&self, wanted: usize) -> usize {
        let (start, now) = {
            let inner = self.inner.lock();
            (inner.brk_start, inner.brk)
        };
        if wanted < start || wanted == now {
            return now;
        }
        let (Some(old_end), Some(new_end)) = (page_up(now), page_up(wanted)) else { return now };
        let changed = match new_end.cmp(&old_end) {
            core::cmp::Ordering::Greater => {
                let flags = bits::MAP_PRIVATE | bits::MAP_FIXED_NOREPLACE;
                self.map(old_end, new_end - old_end, 3, flags, None, Kind::Heap).is_ok()
            }
            core::cmp::Ordering::Less => self.unmap(new_end, old_end - new_end).is_ok(),
            core::cmp::Ordering::Equal => true,
        };
        if changed {
            self.inner.lock().brk = wanted;
            wanted
        } else {
            now
        }
    }

    /// A free range of `len` bytes below `limit`, for `MAP_32BIT`.
    #[must_use]
    pub fn find_free_below(&self, len: usize, limit: usize) -> Option<usize> {
        let inner = self.inner.lock();
        let mut end = limit;
        for (_, area) in inner.areas.range(..limit).rev() {
            if area.end <= end && end - area.end >= len {
                return Some(end - len);
            }
            end = end.min(area.start);
        }
        (end >= len + 0x1_0000).then(|| end - len)
    }

    /// Whether all of `[addr, addr + len)` is mapped.
    #[must_use]
    pub fn is_mapped(&self, addr: usize, len: usize) -> bool {
        let inner = self.inner.lock();
        let mut at = addr;
        let Some(end) = addr.checked_add(len) else { return false };
        while at < end {
            match inner.areas.range(..=at).next_back() {
                Some((_, area)) if at < area.end => at = area.end,
                _ => return false,
            }
        }
        true
    }
}
