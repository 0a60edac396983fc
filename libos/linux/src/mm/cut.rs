//! Mappings that reach beyond the end of their file. The files of a tmpfs are parts of one memory file of the host,
//! which cannot tell where each ends; so what lies behind the end is mapped from behind the end of the host's file,
//! and a touch of it raises SIGBUS.
//!
//! A mapping within its file has nothing of this. One that a file shrinks below is cut at once, in all processes; one
//! that a file grows into is mended in the process that made it grow, and elsewhere when it is touched.

use super::errand::{self, Work};
use super::space::{AddressSpace, Area, Inner};
use crate::fs::{FileOps, Mapping};
use crate::task::{Process, Thread, process};
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use postern_pal::mem::{self, Source, bits};

/// Whether any mapping of the family ever reached beyond its file.
static WAS_NEEDED: AtomicBool = AtomicBool::new(false);

/// Most rounds of looking for processes to tell of a file's end; each can find only children that were forked
/// meanwhile.
const MOST_ROUNDS: usize = 64;

/// Whether `len` bytes from `offset` on reach beyond `stop`.
pub(super) fn reaches_beyond(offset: u64, len: usize, stop: u64) -> bool {
    offset.saturating_add(len as u64) > stop
}

/// How many of the `len` bytes from `offset` on lie before `stop`.
fn before(offset: u64, len: usize, stop: u64) -> usize {
    usize::try_from(stop.saturating_sub(offset)).map_or(len, |shown| shown.min(len))
}

impl Area {
    /// What an area shows if its file ends at `stop`: another [`Area::shown`], or `None` if that is what it shows now.
    fn fitted(&self, stop: u64) -> Option<u64> {
        let len = self.end - self.start;
        let wanted = if reaches_beyond(self.offset, len, stop) { stop } else { u64::MAX };
        (before(self.offset, len, wanted) != before(self.offset, len, self.shown)).then_some(wanted)
    }

    /// [`Area::fitted`] for where the file ends now.
    fn outdated(&self) -> Option<u64> {
        self.fitted(self.file.as_ref()?.ops.mapped_end()?)
    }

    /// Has the host show the file up to `shown`, and nothing from there on.
    fn showing(mut self, shown: u64) -> Self {
        let len = self.end - self.start;
        let (is, wanted) = (before(self.offset, len, self.shown), before(self.offset, len, shown));
        let kind = if self.shared { bits::MAP_SHARED } else { bits::MAP_PRIVATE };
        let flags = kind | bits::MAP_FIXED | bits::MAP_NORESERVE;
        let result = if wanted < is {
            mem::map(self.start + wanted, is - wanted, self.prot, flags, Source::Nothing)
        } else if is < wanted
            && let Some(Ok(Mapping::Slot(slot))) = self.file.as_ref().map(|file| file.ops.mapping())
        {
            let source = Source::Slot(&slot, self.offset + is as u64);
            mem::map(self.start + is, wanted - is, self.prot, flags, source)
        } else {
            Ok(0)
        };
        // Where the host has no room for one more mapping, the file shows zeroes behind its end.
        let _ = result;
        self.shown = shown;
        self
    }
}

impl Inner {
    /// Whether an area shows other than what is in its file, `select`ed by the file.
    fn is_outdated(&self, select: impl Fn(&dyn FileOps) -> bool) -> bool {
        let selected = |area: &&Area| area.file.as_ref().is_some_and(|file| select(&*file.ops));
        self.areas.values().filter(selected).any(|area| area.outdated().is_some())
    }

    /// Has areas show what is in their files. Returns whether one showed something else.
    pub(super) fn fit(&mut self) -> bool {
        let outdated = |area: &Area| Some((area.start, area.outdated()?));
        let wanted: Vec<(usize, u64)> = self.areas.values().filter_map(outdated).collect();
        let removed = wanted.iter().filter_map(|(start, shown)| Some((self.areas.remove(start)?, *shown)));
        // Only when all of them are right may neighbours become one again.
        let fitted: Vec<Area> = removed.map(|(area, shown)| area.showing(shown)).collect();
        for area in fitted {
            self.insert(area);
        }
        !wanted.is_empty()
    }

    /// Makes each area in `[start, end)` one piece for the host, as if its file had no end. To be [`Inner::fit`] again.
    pub(super) fn mend(&mut self, start: usize, end: usize) {
        for area in self.remove(start, end) {
            self.insert(area.showing(u64::MAX));
        }
    }
}

impl AddressSpace {
    /// Maps a file that ends within the mapping, at `stop`.
    pub(super) fn map_cut(
        &self,
        (addr, len): (usize, usize),
        prot: u32,
        flags: u32,
        source: Source<'_>,
        stop: u64,
    ) -> Result<usize> {
        const POPULATE_READ: u32 = 22;
        let Source::Slot(_, offset) = source else { return mem::map(addr, len, prot, flags, source) };
        WAS_NEEDED.store(true, Ordering::SeqCst);
        self.has_cuts.store(true, Ordering::SeqCst);
        let at = mem::map(addr, len, prot, flags & !bits::MAP_POPULATE, source)?;
        let shown = before(offset, len, stop);
        let nothing = flags & !(bits::MAP_POPULATE | bits::MAP_FIXED_NOREPLACE) | bits::MAP_FIXED;
        let _ = mem::map(at.wrapping_add(shown), len - shown, prot, nothing, Source::Nothing);
        if flags & bits::MAP_POPULATE != 0 && shown > 0 {
            let _ = mem::advise(at, shown, POPULATE_READ);
        }
        Ok(at)
    }

    /// Has areas of the running process show what is in their files. Returns whether one showed something else.
    pub fn fit(&self) -> bool {
        self.has_cuts.load(Ordering::SeqCst) && self.inner.lock().fit()
    }
}

/// A file that is, or was, mapped has grown.
pub fn grown() {
    if WAS_NEEDED.load(Ordering::SeqCst)
        && let Ok(thread) = Thread::current()
    {
        thread.process.space().fit();
    }
}

/// The processes that map `file` beyond its end, one for each address space.
fn to_be_cut(file: &dyn FileOps) -> Vec<(Arc<Process>, Arc<AddressSpace>)> {
    let is_it = |other: &dyn FileOps| core::ptr::addr_eq(other.as_any(), file.as_any());
    let mut found: Vec<(Arc<Process>, Arc<AddressSpace>)> = Vec::new();
    for process in process::all() {
        let space = process.space();
        let is_known = found.iter().any(|(_, other)| Arc::ptr_eq(other, &space));
        if !is_known && !process.has_ended() && space.inner.lock().is_outdated(is_it) {
            found.push((process, space));
        }
    }
    found
}

/// A file that is, or was, mapped has shrunk. Returns when no process shows more of it than there is. The caller holds
/// no lock.
pub fn shrunk(file: &dyn FileOps) {
    let Ok(thread) = Thread::current() else { return };
    WAS_NEEDED.store(true, Ordering::SeqCst);
    for _ in 0..MOST_ROUNDS {
        let processes = to_be_cut(file);
        if processes.is_empty() {
            break;
        }
        for (owner, space) in processes {
            space.has_cuts.store(true, Ordering::SeqCst);
            if errand::run_in(&thread, &owner, &space, Work::Fit(space.clone())) == Err(Errno::EINTR) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::space::PAGE;

    #[test]
    fn what_is_shown_is_told_by_the_end_of_the_file() {
        assert_eq!(before(4096, 2 * PAGE, 4096 * 2), PAGE);
        assert_eq!(before(4096, 2 * PAGE, 0), 0);
        assert_eq!(before(4096, 2 * PAGE, u64::MAX), 2 * PAGE);
        assert!(!reaches_beyond(0, PAGE, 4096));
        assert!(reaches_beyond(1, PAGE, 4096));
    }
}
