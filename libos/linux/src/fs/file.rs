//! Open files ("open file descriptions" in POSIX' words) and what can be done with them.

use super::{lease, sigio, size_limit};
use crate::io::{Sink, Source};
use crate::task::{Process, Thread};
use crate::wait::WaitQueue;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};
use postern_pal::handle::Handle;
use postern_pal::mem::Slot;

bitflags::bitflags! {
    /// Readiness, with the values of poll(2) and epoll(7).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Poll: u32 {
        /// Reading would not block.
        const IN = 0x001;
        /// Urgent data.
        const PRI = 0x002;
        /// Writing would not block.
        const OUT = 0x004;
        /// An error; always reported.
        const ERR = 0x008;
        /// Hang-up; always reported.
        const HUP = 0x010;
        /// Not open; always reported.
        const NVAL = 0x020;
        /// As `IN`.
        const RDNORM = 0x040;
        /// Priority band, reading.
        const RDBAND = 0x080;
        /// As `OUT`.
        const WRNORM = 0x100;
        /// Priority band, writing.
        const WRBAND = 0x200;
        /// The peer will send no more.
        const RDHUP = 0x2000;
    }
}

/// `open(2)` status and access bits as Linux numbers them on x86-64.
#[expect(missing_docs, reason = "the names are open's own")]
pub mod flags {
    pub const O_ACCMODE: u32 = 3;
    pub const O_RDONLY: u32 = 0;
    pub const O_WRONLY: u32 = 1;
    pub const O_RDWR: u32 = 2;
    pub const O_CREAT: u32 = 0o100;
    pub const O_EXCL: u32 = 0o200;
    pub const O_NOCTTY: u32 = 0o400;
    pub const O_TRUNC: u32 = 0o1000;
    pub const O_APPEND: u32 = 0o2000;
    pub const O_NONBLOCK: u32 = 0o4000;
    pub const O_DSYNC: u32 = 0o10000;
    pub const O_ASYNC: u32 = 0o20000;
    pub const O_DIRECT: u32 = 0o40000;
    pub const O_LARGEFILE: u32 = 0o100000;
    pub const O_DIRECTORY: u32 = 0o200000;
    pub const O_NOFOLLOW: u32 = 0o400000;
    pub const O_NOATIME: u32 = 0o1000000;
    pub const O_CLOEXEC: u32 = 0o2000000;
    pub const O_SYNC: u32 = 0o4010000;
    pub const O_PATH: u32 = 0o10000000;
    pub const O_TMPFILE: u32 = 0o20200000;
    /// What fcntl(F_SETFL) may change.
    pub const SETTABLE: u32 = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
}

/// File type bits of `st_mode`.
#[expect(missing_docs, reason = "the names are stat's own")]
pub mod mode {
    pub const S_IFMT: u32 = 0o170000;
    pub const S_IFSOCK: u32 = 0o140000;
    pub const S_IFLNK: u32 = 0o120000;
    pub const S_IFREG: u32 = 0o100000;
    pub const S_IFBLK: u32 = 0o060000;
    pub const S_IFDIR: u32 = 0o040000;
    pub const S_IFCHR: u32 = 0o020000;
    pub const S_IFIFO: u32 = 0o010000;
}

/// What stat tells. Times are seconds and nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "fields of struct stat")]
pub struct Metadata {
    pub dev: u64,
    pub ino: u64,
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    pub blksize: u32,
    pub blocks: u64,
    pub atime: [i64; 2],
    pub mtime: [i64; 2],
    pub ctime: [i64; 2],
    pub btime: [i64; 2],
}

/// What a file gives to mmap.
#[derive(Clone)]
pub enum Mapping {
    /// A host handle; the offset in the file is the offset in the handle.
    Handle(Arc<Handle>),
    /// A file slot of the arena.
    Slot(Arc<Slot>),
    /// Zeroes (`/dev/zero`).
    Zero,
}

/// Position and direction of lseek(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "lseek's own")]
pub enum Whence {
    Set,
    Current,
    End,
    Data,
    Hole,
}

/// One name of a directory, for getdents64.
pub struct DirEntry<'a> {
    /// Inode number.
    pub ino: u64,
    /// Position to continue after this entry.
    pub next: u64,
    /// File type bits (`S_IF*`).
    pub mode: u32,
    /// The name.
    pub name: &'a [u8],
}

/// What an open file can do. One object per inode or per pipe end, socket, …; the state of one open(2) is in
/// [`OpenFile`]. Whatever is not overridden answers as Linux does for such a file.
///
/// Blocking: `read` and `write` block by [`crate::wait::block`] unless the file is non-blocking (`EAGAIN`).
#[expect(unused_variables, reason = "default bodies")]
pub trait FileOps: Send + Sync + Any {
    /// Reads. `offset` is the position for seekable files and `None` for others.
    ///
    /// # Errors
    /// As read(2).
    fn read(
        &self,
        thread: &Thread,
        file: &OpenFile,
        sink: &mut Sink<'_>,
        offset: Option<u64>,
    ) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Writes. `offset` is the position for seekable files (`u64::MAX` = append at the end, whatever that is at the
    /// moment) and `None` for others. Returns the count; for appends the new end is asked by `metadata`.
    ///
    /// # Errors
    /// As write(2).
    fn write(
        &self,
        thread: &Thread,
        file: &OpenFile,
        source: &mut Source<'_>,
        offset: Option<u64>,
    ) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Whether reading (or writing) by a call that must not wait (`RWF_NOWAIT`) is known here.
    fn knows_hurry(&self, writes: bool) -> bool {
        false
    }

    /// Whether the file has a position.
    fn is_seekable(&self) -> bool {
        false
    }

    /// Whether lseek succeeds and leaves the position at 0.
    fn stays_at_start(&self) -> bool {
        false
    }

    /// Finds data or holes, or the end; `position` is the argument of lseek, already relative to the start.
    ///
    /// # Errors
    /// As lseek(2).
    fn seek(&self, file: &OpenFile, position: u64, whence: Whence) -> Result<u64> {
        Err(Errno::ESPIPE)
    }

    /// Present readiness.
    fn poll(&self, file: &OpenFile) -> Poll {
        Poll::IN | Poll::OUT | Poll::RDNORM | Poll::WRNORM
    }

    /// The queue that is woken when `poll` may have changed; `None` if it never does.
    fn wait_queue(&self) -> Option<&WaitQueue> {
        None
    }

    /// The queue that tells of readiness by [`WaitQueue::wake_for`], for files that can do so by signals.
    fn async_queue(&self) -> Option<&WaitQueue> {
        None
    }

    /// Signals shall, or shall no more, tell of one of the open files that this serves.
    fn set_async(&self, on: bool) {}

    /// Who gets these signals where nobody was named.
    fn default_owner(&self, by: &Process) -> Option<(sigio::Kind, u32)> {
        None
    }

    /// When `poll` changes by itself (monotonic nanoseconds): timerfd.
    fn poll_deadline(&self) -> Option<u64> {
        None
    }

    /// stat.
    ///
    /// # Errors
    /// As fstat(2).
    fn metadata(&self) -> Result<Metadata>;

    /// ioctl. Generic ones (FIOCLEX, FIONBIO) are handled before.
    ///
    /// # Errors
    /// `ENOTTY` for a request that is not for this file.
    fn ioctl(&self, thread: &Thread, file: &OpenFile, request: u32, argument: usize) -> Result<u64> {
        Err(Errno::ENOTTY)
    }

    /// What mmap maps.
    ///
    /// # Errors
    /// `ENODEV` if it cannot be mapped.
    fn mapping(&self) -> Result<Mapping> {
        Err(Errno::ENODEV)
    }

    /// Where mappings of it end to show anything: its length in whole pages. `None` if the host sees to that itself.
    fn mapped_end(&self) -> Option<u64> {
        None
    }

    /// Whether it may be mapped like this; seals of a memfd can forbid it.
    ///
    /// # Errors
    /// `EPERM`.
    fn check_mapping(&self, shared: bool, writable: bool) -> Result<()> {
        Ok(())
    }

    /// The present length; what an append moves the position to.
    ///
    /// # Errors
    /// As fstat(2).
    fn size(&self) -> Result<u64> {
        Ok(self.metadata()?.size)
    }

    /// Sets the length.
    ///
    /// # Errors
    /// As ftruncate(2).
    fn truncate(&self, len: u64) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// fallocate with its mode bits.
    ///
    /// # Errors
    /// As fallocate(2).
    fn allocate(&self, mode: u32, offset: u64, len: u64) -> Result<()> {
        Err(Errno::ENODEV)
    }

    /// Makes the content durable.
    ///
    /// # Errors
    /// As fsync(2).
    fn sync(&self, data_only: bool) -> Result<()> {
        Err(Errno::EINVAL)
    }

    /// Lists the directory from `position` on until `emit` returns false. Returns the position to continue at.
    ///
    /// # Errors
    /// `ENOTDIR` if it is none.
    fn read_dir(&self, position: u64, emit: &mut dyn FnMut(&DirEntry<'_>) -> bool) -> Result<u64> {
        Err(Errno::ENOTDIR)
    }

    /// The last descriptor (and mapping, and message in flight) of this open file is gone.
    fn release(&self, file: &OpenFile) {}

    /// A descriptor of this open file was closed by `pid`.
    fn close(&self, file: &OpenFile, pid: u32) {}

    /// For finding out what a file is, as `file.ops.as_any().downcast_ref::<UnixSocket>()`.
    fn as_any(&self) -> &dyn Any;
}

/// One open(2): operations, status flags and position.
pub struct OpenFile {
    /// What it does.
    pub ops: Arc<dyn FileOps>,
    /// Where it was found in the file system, for *at calls and /proc/PID/fd; `None` for pipes and the like.
    pub path: Option<Arc<dyn Any + Send + Sync>>,
    status: AtomicU32,
    /// Who gets SIGIO, and whether.
    pub(super) notices: sigio::Slot,
    /// Position for read, write, lseek and getdents64. Held during reads and writes of seekable files.
    pub position: Mutex<u64>,
}

impl OpenFile {
    /// An open file with open(2) flags `status`. That it is not to become the controlling terminal is not kept.
    #[must_use]
    pub fn new(ops: Arc<dyn FileOps>, status: u32) -> Arc<Self> {
        Arc::new(Self {
            ops,
            path: None,
            status: AtomicU32::new(status & !flags::O_NOCTTY),
            notices: Mutex::new(None),
            position: Mutex::new(0),
        })
    }

    /// An open file that was found at `path`.
    #[must_use]
    pub fn at(ops: Arc<dyn FileOps>, status: u32, path: Arc<dyn Any + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            ops,
            path: Some(path),
            status: AtomicU32::new(status & !flags::O_NOCTTY),
            notices: Mutex::new(None),
            position: Mutex::new(0),
        })
    }

    /// Access mode and status flags (`O_*`).
    #[inline]
    #[must_use]
    pub fn status(&self) -> u32 {
        self.status.load(Ordering::Relaxed)
    }

    /// Replaces the settable status flags.
    pub fn set_status(&self, status: u32) {
        let keep = self.status() & !flags::SETTABLE;
        self.status.store(keep | (status & flags::SETTABLE), Ordering::Relaxed);
    }

    /// Notes whether signals tell of it (`O_ASYNC`).
    pub(super) fn mark_async(&self, on: bool) {
        if on {
            self.status.fetch_or(flags::O_ASYNC, Ordering::Relaxed);
        } else {
            self.status.fetch_and(!flags::O_ASYNC, Ordering::Relaxed);
        }
    }

    /// The file, unless it was opened with `O_PATH`.
    ///
    /// # Errors
    /// `EBADF`.
    #[inline]
    pub fn more_than_path(self: Arc<Self>) -> Result<Arc<Self>> {
        if self.status() & flags::O_PATH == 0 { Ok(self) } else { Err(Errno::EBADF) }
    }

    /// A descriptor of it was closed by process `pid`, whose record locks on the file go with that.
    pub fn closed_by(&self, pid: u32) {
        super::lock::closed(self, pid);
        self.ops.close(self, pid);
    }

    /// Whether reading is allowed. Access mode 3 allows nothing, as open(2) says.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        matches!(self.status() & (flags::O_ACCMODE | flags::O_PATH), 0 | flags::O_RDWR)
    }

    /// Whether writing is allowed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        matches!(self.status() & (flags::O_ACCMODE | flags::O_PATH), flags::O_WRONLY | flags::O_RDWR)
    }

    /// Whether it must not block.
    #[must_use]
    pub fn is_nonblocking(&self) -> bool {
        self.status() & flags::O_NONBLOCK != 0
    }

    /// Reads at the position (or at `offset` without moving it).
    ///
    /// # Errors
    /// As read(2) and pread(2).
    pub fn read(&self, thread: &Thread, sink: &mut Sink<'_>, offset: Option<u64>) -> Result<usize> {
        let is_seekable = self.ops.is_seekable();
        if offset.is_some() && !is_seekable && self.status() & flags::O_PATH == 0 {
            return Err(Errno::ESPIPE);
        }
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        if !is_seekable {
            return self.ops.read(thread, self, sink, None);
        }
        if let Some(offset) = offset {
            return self.ops.read(thread, self, sink, Some(offset));
        }
        let mut position = self.position.lock();
        let count = self.ops.read(thread, self, sink, Some(*position))?;
        *position = position.saturating_add(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }

    /// Writes at the position (or at `offset` without moving it).
    ///
    /// # Errors
    /// As write(2) and pwrite(2).
    pub fn write(&self, thread: &Thread, source: &mut Source<'_>, offset: Option<u64>) -> Result<usize> {
        self.write_as(thread, source, offset, self.status() & flags::O_APPEND != 0)
    }

    /// As [`OpenFile::write`]; `append` says whether it goes to the end of the file, whatever the offset.
    ///
    /// # Errors
    /// As pwritev2(2).
    pub fn write_as(
        &self,
        thread: &Thread,
        source: &mut Source<'_>,
        offset: Option<u64>,
        append: bool,
    ) -> Result<usize> {
        let is_seekable = self.ops.is_seekable();
        if offset.is_some() && !is_seekable && self.status() & flags::O_PATH == 0 {
            return Err(Errno::ESPIPE);
        }
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        if !is_seekable {
            return self.ops.write(thread, self, source, None);
        }
        if let Some(offset) = offset {
            let at = if append { u64::MAX } else { offset };
            size_limit::cut(thread, self, source, at)?;
            let count = self.ops.write(thread, self, source, Some(at))?;
            return self.sync_after_write().map(|()| count);
        }
        let mut position = self.position.lock();
        let at = if append { u64::MAX } else { *position };
        size_limit::cut(thread, self, source, at)?;
        let count = self.ops.write(thread, self, source, Some(at))?;
        *position = if append {
            self.ops.size()?
        } else {
            position.saturating_add(u64::try_from(count).unwrap_or(0))
        };
        drop(position);
        self.sync_after_write().map(|()| count)
    }

    /// What `O_SYNC` and `O_DSYNC` promise of each write.
    fn sync_after_write(&self) -> Result<()> {
        match self.status() & flags::O_SYNC {
            0 => Ok(()),
            bits => self.ops.sync(bits != flags::O_SYNC),
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        super::lock::released(self);
        super::inotify::closed(self);
        lease::released(self);
        if sigio::are_used() {
            sigio::released(self);
        }
        self.ops.release(self);
    }
}
