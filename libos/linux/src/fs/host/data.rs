//! Content of the host's files: read, written and mapped through handles, with no message.

use super::HostInode;
use crate::fs::file::Whence;
use crate::fs::inode::Inode;
use crate::fs::{FileOps, Mapping, Metadata, OpenFile, seek_by_size, stream};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::{Errno, Result};
use core::any::Any;

impl HostInode {
    /// The size as far as it is known without asking; right where nobody else writes.
    fn known_size(&self) -> u64 {
        self.cached.lock().attributes.size
    }

    fn write_at(&self, source: &mut Source<'_>, at: u64) -> Result<usize> {
        let handle = self.handles.lock().writable().ok_or(Errno::EBADF)?;
        let count = stream::write_at(&handle, source, at, usize::MAX)?;
        if count > 0 {
            let end = at.saturating_add(count as u64);
            self.wrote(|a| a.size = a.size.max(end));
        }
        Ok(count)
    }
}

impl FileOps for HostInode {
    fn read(&self, _: &Thread, _: &OpenFile, sink: &mut Sink<'_>, offset: Option<u64>) -> Result<usize> {
        let at = offset.unwrap_or(0);
        if self.mount.exclusive && at >= self.known_size() {
            return Ok(0);
        }
        let handle = self.handles.lock().readable().ok_or(Errno::EBADF)?;
        stream::read_at(&handle, sink, at, usize::MAX)
    }

    fn write(&self, _: &Thread, _: &OpenFile, source: &mut Source<'_>, offset: Option<u64>) -> Result<usize> {
        match offset {
            Some(u64::MAX) => {
                let _one_at_a_time = self.append.lock();
                let end = FileOps::size(self)?;
                self.write_at(source, end)
            }
            offset => self.write_at(source, offset.unwrap_or(0)),
        }
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn seek(&self, _: &OpenFile, position: u64, whence: Whence) -> Result<u64> {
        seek_by_size(FileOps::size(self)?, position, whence)
    }

    fn metadata(&self) -> Result<Metadata> {
        Inode::metadata(self)
    }

    fn size(&self) -> Result<u64> {
        // Times may be stale after a write; the size never is where nobody else writes.
        if self.mount.exclusive { Ok(self.known_size()) } else { Ok(self.attributes()?.size) }
    }

    fn mapping(&self) -> Result<Mapping> {
        if !super::inode::is_regular(self) {
            return Err(Errno::ENODEV);
        }
        self.handles.lock().mappable().map(Mapping::Handle).ok_or(Errno::EACCES)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let handle = self.handles.lock().writable().ok_or(Errno::EINVAL)?;
        handle.resize(len)?;
        self.wrote(|a| a.size = len);
        Ok(())
    }

    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        const KEEP_SIZE: u32 = 1;
        if !matches!(mode, 0 | 1 | 3) {
            return Err(Errno::EOPNOTSUPP);
        }
        let handle = self.handles.lock().writable().ok_or(Errno::EBADF)?;
        let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
        handle.allocate(mode, offset, len)?;
        self.wrote(|a| {
            if mode & KEEP_SIZE == 0 {
                a.size = a.size.max(end);
            }
        });
        Ok(())
    }

    fn sync(&self, data_only: bool) -> Result<()> {
        self.flush(data_only)
    }

    fn release(&self, _: &OpenFile) {
        if super::inode::is_regular(self) {
            self.closed();
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
