//! mremap(2) in the record of a memory map.

use super::space::{AddressSpace, page_up};
use crate::{Errno, Result};
use core::sync::atomic::Ordering;
use postern_pal::mem;

impl AddressSpace {
    /// Moves or resizes; `flags` are mremap's.
    ///
    /// # Errors
    /// As mremap(2).
    pub fn remap(&self, old: usize, old_len: usize, new_len: usize, flags: u32, new: usize) -> Result<usize> {
        const FIXED: u32 = 2;
        const DONTUNMAP: u32 = 4;
        let old_len = page_up(old_len).ok_or(Errno::EINVAL)?;
        let new_len = page_up(new_len).filter(|l| *l > 0).ok_or(Errno::EINVAL)?;
        let old_end = old.checked_add(old_len).ok_or(Errno::EINVAL)?;
        let mut inner = self.inner.lock();
        let found = inner.areas.range(..=old).next_back().map(|(_, a)| a).filter(|a| old < a.end);
        let mut area = found.cloned().ok_or(Errno::EFAULT)?;
        inner.check_seal(old, old_end)?;
        if flags & FIXED != 0 {
            inner.check_seal(new, new.saturating_add(new_len))?;
        }
        if new_len > old_len {
            self.check_growth(&inner, &area, new_len - old_len)?;
        }
        // What ends with its file is one piece for the host meanwhile, and may end elsewhere afterwards.
        let is_cut = area.file.as_ref().is_some_and(|f| f.ops.mapped_end().is_some());
        if is_cut && self.has_cuts.load(Ordering::SeqCst) {
            inner.mend(old, old_end);
            area.shown = u64::MAX;
        }
        let result = mem::remap(old, old_len, new_len, flags, new);
        if let Ok(at) = result {
            let moved = if flags & DONTUNMAP == 0 {
                inner.remove(old, old_end)
            } else {
                area.offset += (old - area.start) as u64;
                area.start = old;
                area.end = area.end.min(old_end);
                alloc::vec![area]
            };
            let end = at.saturating_add(new_len);
            // Only what reached to the old end grows; between what moved, what was there before stays.
            for mut area in moved {
                let grows = area.end == old_end && new_len > old_len;
                area.start = at + (area.start - old);
                area.end = if grows { end } else { (at + (area.end - old)).min(end) };
                if area.start < area.end {
                    drop(inner.remove(area.start, area.end));
                    inner.insert(area);
                }
            }
        }
        if is_cut && inner.fit() {
            self.has_cuts.store(true, Ordering::SeqCst);
        }
        result
    }
}
