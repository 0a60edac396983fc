//! The content of regular files of a tmpfs.

use super::{Body, Node};
use crate::fs::file::Whence;
use crate::fs::inode::Inode;
use crate::fs::{FileOps, Mapping, Metadata, OpenFile, lock, time_of_day};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::any::Any;
use postern_abi::layout::SLOT_SIZE;
use postern_pal::mem::Slot;

const KEEP_SIZE: u32 = 1;
const PUNCH_HOLE: u32 = 2;
const ZERO_RANGE: u32 = 0x10;

impl Node {
    /// The slot, if the file has content.
    fn slot(&self) -> Result<Option<Arc<Slot>>> {
        match &self.body {
            Body::Regular(slot) => Ok(slot.lock().clone()),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    fn slot_to_fill(&self) -> Result<Arc<Slot>> {
        let Body::Regular(slot) = &self.body else { return Err(Errno::EINVAL) };
        let mut slot = slot.lock();
        match &*slot {
            Some(slot) => Ok(slot.clone()),
            None => Ok(slot.insert(Arc::new(Slot::new()?)).clone()),
        }
    }

    fn size_now(&self) -> u64 {
        self.state.lock().size
    }

    fn write_at(&self, source: &mut Source<'_>, at: u64) -> Result<usize> {
        let room = SLOT_SIZE.saturating_sub(at);
        let limit = usize::try_from(room).unwrap_or(usize::MAX).min(source.left());
        if limit == 0 {
            return if source.left() == 0 { Ok(0) } else { Err(Errno::EFBIG) };
        }
        let slot = self.slot_to_fill()?;
        let count = match source {
            Source::User(ranges) => {
                let count = match ranges.single(limit) {
                    Some(range) => slot.write_user(&[range], at)?,
                    None => slot.write_user(&ranges.host_ranges(limit), at)?,
                };
                ranges.advance(count);
                count
            }
            Source::Kernel(bytes, used) => {
                let count = slot.write(bytes.get(*used..*used + limit).unwrap_or(&[]), at)?;
                *used += count;
                count
            }
        };
        let now = time_of_day();
        let mut state = self.state.lock();
        state.size = state.size.max(at.saturating_add(count as u64));
        state.mtime = now;
        state.ctime = now;
        Ok(count)
    }
}

impl FileOps for Node {
    fn read(&self, _: &Thread, _: &OpenFile, sink: &mut Sink<'_>, offset: Option<u64>) -> Result<usize> {
        let at = offset.unwrap_or(0);
        let slot = self.slot()?;
        let left = usize::try_from(self.size_now().saturating_sub(at)).unwrap_or(usize::MAX);
        let limit = left.min(sink.left());
        if limit == 0 {
            return Ok(0);
        }
        let Some(slot) = slot else { return sink.put_zeroes(limit) };
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
            Body::Regular(_) => Ok(Mapping::Slot(self.slot_to_fill()?)),
            _ => Err(Errno::ENODEV),
        }
    }

    fn truncate(&self, len: u64) -> Result<()> {
        if len > SLOT_SIZE {
            return Err(Errno::EFBIG);
        }
        let slot = self.slot()?;
        let now = time_of_day();
        let old = {
            let mut state = self.state.lock();
            state.mtime = now;
            state.ctime = now;
            core::mem::replace(&mut state.size, len)
        };
        match slot {
            Some(slot) if len < old => {
                // Whole pages up to the end, so that mapped parts beyond the old end are gone too.
                let end = old.next_multiple_of(4096).min(SLOT_SIZE);
                slot.punch(len, end - len)
            }
            _ => Ok(()),
        }
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).filter(|end| *end <= SLOT_SIZE).ok_or(Errno::EFBIG)?;
        match mode {
            // Nothing is committed: memory is taken when it is written.
            0 => {
                let mut state = self.state.lock();
                state.size = state.size.max(end);
                Ok(())
            }
            KEEP_SIZE => Ok(()),
            _ if mode & !(PUNCH_HOLE | ZERO_RANGE | KEEP_SIZE) == 0 => {
                if mode & PUNCH_HOLE != 0 && mode & KEEP_SIZE == 0 {
                    return Err(Errno::EOPNOTSUPP);
                }
                if let Some(slot) = self.slot()? {
                    slot.punch(offset, len)?;
                }
                if mode & KEEP_SIZE == 0 {
                    let mut state = self.state.lock();
                    state.size = state.size.max(end);
                }
                Ok(())
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    fn sync(&self, _: bool) -> Result<()> {
        Ok(())
    }

    fn close(&self, file: &OpenFile, pid: u32) {
        lock::closed(file, pid);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
