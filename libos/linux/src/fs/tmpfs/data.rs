//! The content of regular files of a tmpfs.

use super::{Body, Content, Node, SMALL};
use crate::fs::file::Whence;
use crate::fs::inode::Inode;
use crate::fs::{FileOps, Mapping, Metadata, OpenFile, time_of_day};
use crate::io::{Sink, Source};
use crate::mm::cut;
use crate::task::Thread;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::Ordering;
use postern_abi::layout::SLOT_SIZE;
use postern_pal::mem::Slot;

const PAGE: u64 = 4096;
const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;
const ZERO_RANGE: u32 = 0x10;

impl Content {
    /// The slot; content that was small moves there.
    fn slot(&mut self) -> Result<Arc<Slot>> {
        match self {
            Self::Large(slot) => Ok(slot.clone()),
            Self::Small(bytes) => {
                let slot = Arc::new(Slot::new()?);
                if !bytes.is_empty() {
                    slot.write(bytes, 0)?;
                }
                *self = Self::Large(slot.clone());
                Ok(slot)
            }
        }
    }
}

fn write_slot(slot: &Slot, source: &mut Source<'_>, at: u64, limit: usize) -> Result<usize> {
    match source {
        Source::User(ranges) => {
            let count = match ranges.single(limit) {
                Some(range) => slot.write_user(&[range], at)?,
                None => slot.write_user(&ranges.host_ranges(limit), at)?,
            };
            ranges.advance(count);
            Ok(count)
        }
        Source::Kernel(bytes, used) => {
            let count = slot.write(bytes.get(*used..*used + limit).unwrap_or(&[]), at)?;
            *used += count;
            Ok(count)
        }
    }
}

fn read_slot(slot: &Slot, sink: &mut Sink<'_>, at: u64, limit: usize) -> Result<usize> {
    match sink {
        Sink::User(ranges) => {
            let count = match ranges.single(limit) {
                Some(range) => slot.read_user(&[range], at)?,
                None => slot.read_user(&ranges.host_ranges(limit), at)?,
            };
            ranges.advance(count);
            Ok(count)
        }
        Sink::Kernel(buf, filled) => {
            let count = slot.read(buf.get_mut(*filled..*filled + limit).unwrap_or(&mut []), at)?;
            *filled += count;
            Ok(count)
        }
    }
}

impl Node {
    fn content(&self) -> Result<&Mutex<Content>> {
        match &self.body {
            Body::Regular(content) => Ok(content),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    fn size_now(&self) -> u64 {
        self.state.lock().size
    }

    /// The file was written up to `end`.
    fn grew(&self, end: u64) {
        let now = time_of_day();
        let old = {
            let mut state = self.state.lock();
            state.mtime = now;
            state.ctime = now;
            let old = state.size;
            state.size = old.max(end);
            old
        };
        self.changed_size(old, end);
    }

    /// The file was to have at least `end` bytes.
    fn extend(&self, end: u64) {
        let old = {
            let mut state = self.state.lock();
            let old = state.size;
            state.size = old.max(end);
            old
        };
        self.changed_size(old, end);
    }

    /// The file has grown from `old` to `new` bytes, if that is more.
    #[inline]
    fn changed_size(&self, old: u64, new: u64) {
        if old < new && self.is_mapped.load(Ordering::Relaxed) {
            cut::grown();
        }
    }

    fn write_at(&self, source: &mut Source<'_>, at: u64) -> Result<usize> {
        let room = SLOT_SIZE.saturating_sub(at);
        let limit = usize::try_from(room).unwrap_or(usize::MAX).min(source.left());
        if limit == 0 {
            return if source.left() == 0 { Ok(0) } else { Err(Errno::EFBIG) };
        }
        let mut content = self.content()?.lock();
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        if let Content::Small(bytes) = &mut *content
            && let Some(end) = start.checked_add(limit).filter(|end| *end <= SMALL)
        {
            let mut new = [0u8; SMALL];
            let part = new.get_mut(..limit).unwrap_or(&mut []);
            let count = source.take(part)?;
            let end = end - (limit - count);
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            if let (Some(to), Some(from)) = (bytes.get_mut(start..end), new.get(..count)) {
                to.copy_from_slice(from);
            }
            self.grew(end as u64);
            return Ok(count);
        }
        let slot = content.slot()?;
        drop(content);
        let count = write_slot(&slot, source, at, limit)?;
        self.grew(at.saturating_add(count as u64));
        Ok(count)
    }

    /// Makes `[start, end)` read as zeroes.
    fn clear(&self, start: u64, end: u64) -> Result<()> {
        let slot = match &mut *self.content()?.lock() {
            Content::Small(bytes) => {
                let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let (from, to) = (at(start), at(end));
                if to == bytes.len() {
                    bytes.truncate(from);
                } else if let Some(part) = bytes.get_mut(from..to) {
                    part.fill(0);
                }
                return Ok(());
            }
            Content::Large(slot) => slot.clone(),
        };
        slot.punch(start, end - start)
    }
}

impl FileOps for Node {
    fn read(&self, _: &Thread, _: &OpenFile, sink: &mut Sink<'_>, offset: Option<u64>) -> Result<usize> {
        let at = offset.unwrap_or(0);
        let content = self.content()?.lock();
        let left = usize::try_from(self.size_now().saturating_sub(at)).unwrap_or(usize::MAX);
        let limit = left.min(sink.left());
        if limit == 0 {
            return Ok(0);
        }
        let slot = match &*content {
            Content::Small(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let part = bytes.get(start..).unwrap_or(&[]);
                let part = part.get(..part.len().min(limit)).unwrap_or(part);
                let count = if part.is_empty() { 0 } else { sink.put(part)? };
                if count < part.len() {
                    return Ok(count);
                }
                return Ok(count + sink.put_zeroes(limit - count)?);
            }
            Content::Large(slot) => slot.clone(),
        };
        drop(content);
        read_slot(&slot, sink, at, limit)
    }

    fn write(&self, _: &Thread, _: &OpenFile, source: &mut Source<'_>, offset: Option<u64>) -> Result<usize> {
        match offset {
            Some(u64::MAX) => {
                let _one_at_a_time = self.append.lock();
                self.write_at(source, self.size_now())
            }
            offset => self.write_at(source, offset.unwrap_or(0)),
        }
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, _: &OpenFile, position: u64, whence: Whence) -> Result<u64> {
        crate::fs::seek_by_size(self.size_now(), position, whence)
    }

    fn metadata(&self) -> Result<Metadata> {
        Inode::metadata(self)
    }

    fn size(&self) -> Result<u64> {
        Ok(self.size_now())
    }

    fn mapping(&self) -> Result<Mapping> {
        match &self.body {
            Body::Regular(content) => {
                let slot = content.lock().slot()?;
                self.is_mapped.store(true, Ordering::SeqCst);
                Ok(Mapping::Slot(slot))
            }
            _ => Err(Errno::ENODEV),
        }
    }

    fn mapped_end(&self) -> Option<u64> {
        Some(self.size_now().next_multiple_of(PAGE))
    }

    fn truncate(&self, len: u64) -> Result<()> {
        if len > SLOT_SIZE {
            return Err(Errno::EFBIG);
        }
        let now = time_of_day();
        let old = {
            let mut state = self.state.lock();
            state.mtime = now;
            state.ctime = now;
            core::mem::replace(&mut state.size, len)
        };
        if len < old {
            // Nobody shall write to what is cleared.
            if self.is_mapped.load(Ordering::SeqCst) && len.next_multiple_of(PAGE) < old {
                cut::shrunk(self);
            }
            self.clear(len, old.next_multiple_of(PAGE).min(SLOT_SIZE))?;
        }
        self.changed_size(old, len);
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).filter(|end| *end <= SLOT_SIZE).ok_or(Errno::EFBIG)?;
        match mode {
            // Nothing is committed: memory is taken when it is written.
            0 => {
                self.extend(end);
                Ok(())
            }
            KEEP_SIZE => Ok(()),
            _ if mode & !(PUNCH_HOLE | ZERO_RANGE | KEEP_SIZE) == 0 => {
                if mode & PUNCH_HOLE != 0 && mode & KEEP_SIZE == 0 {
                    return Err(Errno::EOPNOTSUPP);
                }
                self.clear(offset, end)?;
                if mode & KEEP_SIZE == 0 {
                    self.extend(end);
                }
                Ok(())
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    fn sync(&self, _: bool) -> Result<()> {
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
