//! Content of the host's files: read, written and mapped through handles, with no message.

use super::HostInode;
use crate::fs::file::Whence;
use crate::fs::inode::Inode;
use crate::fs::{FileOps, Mapping, Metadata, OpenFile, seek_by_size, stream};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::{Errno, Result};
use core::any::Any;
use core::sync::atomic::Ordering;
use postern_pal::handle::how;

impl HostInode {
    /// The size as far as it is known without asking; right where nobody else writes.
    fn known_size(&self) -> u64 {
        self.cached.lock().attributes.size
    }

    fn write_at(&self, thread: &Thread, source: &mut Source<'_>, at: u64) -> Result<usize> {
        let handle = self.handles.lock().writable().ok_or(Errno::EBADF)?;
        let count = stream::write_how(&handle, source, at, usize::MAX, hurry(thread))?;
        if count > 0 {
            let end = at.saturating_add(count as u64);
            self.wrote(|a| a.size = a.size.max(end));
        }
        Ok(count)
    }

    fn append_on_host(&self, thread: &Thread, source: &mut Source<'_>) -> Result<usize> {
        let handle = self.handles.lock().writable().ok_or(Errno::EBADF)?;
        let count = stream::write_how(&handle, source, 0, usize::MAX, how::APPEND | hurry(thread))?;
        if count > 0 {
            // Right at least where nobody else wrote; it is asked for again when it matters.
            self.wrote(|a| a.size = a.size.saturating_add(count as u64));
        }
        Ok(count)
    }
}

/// The flag for the host if `thread` must not wait.
fn hurry(thread: &Thread) -> u32 {
    if thread.hurries.load(Ordering::Relaxed) { how::NOWAIT } else { 0 }
}

impl FileOps for HostInode {
    fn read(&self, thread: &Thread, _: &OpenFile, sink: &mut Sink<'_>, offset: Option<u64>) -> Result<usize> {
        let at = offset.unwrap_or(0);
        if self.mount.exclusive && at >= self.known_size() {
            return Ok(0);
        }
        let handle = self.handles.lock().readable().ok_or(Errno::EBADF)?;
        stream::read_how(&handle, sink, at, usize::MAX, hurry(thread))
    }

    fn write(
        &self,
        thread: &Thread,
        _: &OpenFile,
        source: &mut Source<'_>,
        offset: Option<u64>,
    ) -> Result<usize> {
        match offset {
            Some(u64::MAX) => {
                let _one_at_a_time = self.append.lock();
                // Where others write as well only the host knows the end.
                if !self.mount.exclusive && matches!(source, Source::User(_)) {
                    return self.append_on_host(thread, source);
                }
                let end = FileOps::size(self)?;
                self.write_at(thread, source, end)
            }
            offset => self.write_at(thread, source, offset.unwrap_or(0)),
        }
    }

    fn knows_hurry(&self, _: bool) -> bool {
        true
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
