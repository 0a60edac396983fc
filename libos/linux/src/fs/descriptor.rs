//! The table of file descriptors of a process: a kernel object of ours; the host's table is shared by the family.

use super::OpenFile;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use postern_pal::thread;

/// Most descriptors of a process (`RLIMIT_NOFILE`'s ceiling here).
pub const MAX_DESCRIPTORS: usize = 1 << 20;

#[derive(Clone)]
struct Entry {
    file: Arc<OpenFile>,
    close_on_exec: bool,
}

#[derive(Default)]
struct Inner {
    entries: Vec<Option<Entry>>,
    /// No free slot is below this index.
    first_free: usize,
}

/// The descriptors of a process.
pub struct FdTable {
    inner: Mutex<Inner>,
    /// Names the table for what threads keep at hand.
    id: u64,
    /// Whether more than one thread has, or had, the table.
    is_shared: AtomicBool,
    /// Whether its one thread may keep open files of it at hand.
    is_kept: AtomicBool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Default for FdTable {
    fn default() -> Self {
        Self::with(Inner::default())
    }
}

fn index(fd: i32) -> Result<usize> {
    usize::try_from(fd).map_err(|_| Errno::EBADF)
}

impl FdTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn with(inner: Inner) -> Self {
        Self {
            inner: Mutex::new(inner),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            is_shared: AtomicBool::new(false),
            is_kept: AtomicBool::new(false),
        }
    }

    /// Runs `f` with the open file of `fd`, on behalf of the running thread. As long as no other thread has the table,
    /// nobody else can close the descriptor meanwhile; then this takes neither lock nor reference.
    ///
    /// # Errors
    /// `EBADF`; those of `f`.
    #[inline]
    pub fn with_file<R>(&self, fd: i32, f: impl FnOnce(&Arc<OpenFile>) -> Result<R>) -> Result<R> {
        let number = index(fd)?;
        if number >= MAX_DESCRIPTORS || self.is_shared.load(Ordering::Relaxed) {
            return f(&self.get(fd)?);
        }
        let name = self.id * MAX_DESCRIPTORS as u64 + number as u64;
        let file = match thread::take_kept(name).and_then(|kept| kept.downcast().ok()) {
            Some(file) => file,
            None => self.get(fd)?,
        };
        let result = f(&file);
        self.is_kept.store(true, Ordering::Relaxed);
        thread::keep(name, file);
        result
    }

    /// A descriptor is about to be closed: what the thread keeps at hand must not keep the file open.
    fn forget_kept(&self) {
        if self.is_kept.swap(false, Ordering::Relaxed) {
            thread::forget_kept();
        }
    }

    /// Another thread gets the table, from the one that has had it alone.
    pub fn share(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
        self.forget_kept();
    }

    /// A copy for a forked process.
    #[must_use]
    pub fn fork(&self) -> Arc<Self> {
        let inner = self.inner.lock();
        let copy = Inner { entries: inner.entries.clone(), first_free: inner.first_free };
        Arc::new(Self::with(copy))
    }

    /// The open file of `fd`.
    ///
    /// # Errors
    /// `EBADF`.
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Arc<OpenFile>> {
        let inner = self.inner.lock();
        match inner.entries.get(index(fd)?) {
            Some(Some(entry)) => Ok(entry.file.clone()),
            _ => Err(Errno::EBADF),
        }
    }

    /// Gives `file` the lowest free descriptor that is at least `min` and below `limit`.
    ///
    /// # Errors
    /// `EMFILE`.
    pub fn insert(&self, file: Arc<OpenFile>, close_on_exec: bool, min: usize, limit: usize) -> Result<i32> {
        let mut inner = self.inner.lock();
        let mut at = inner.first_free.max(min);
        while inner.entries.get(at).is_some_and(Option::is_some) {
            at += 1;
        }
        if at >= limit.min(MAX_DESCRIPTORS) {
            return Err(Errno::EMFILE);
        }
        if inner.entries.len() <= at {
            inner.entries.resize(at + 1, None);
        }
        if min <= inner.first_free {
            inner.first_free = at + 1;
        }
        if let Some(slot) = inner.entries.get_mut(at) {
            *slot = Some(Entry { file, close_on_exec });
        }
        i32::try_from(at).map_err(|_| Errno::EMFILE)
    }

    /// Puts `file` at exactly `fd` (dup2). Returns what was there.
    ///
    /// # Errors
    /// `EBADF` if `fd` is negative or not below `limit`.
    pub fn replace(
        &self,
        fd: i32,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        limit: usize,
    ) -> Result<Option<Arc<OpenFile>>> {
        let at = index(fd)?;
        if at >= limit.min(MAX_DESCRIPTORS) {
            return Err(Errno::EBADF);
        }
        self.forget_kept();
        let mut inner = self.inner.lock();
        if inner.entries.len() <= at {
            inner.entries.resize(at + 1, None);
        }
        let Some(slot) = inner.entries.get_mut(at) else { return Err(Errno::EBADF) };
        Ok(slot.replace(Entry { file, close_on_exec }).map(|e| e.file))
    }

    /// Takes `fd` out. The caller calls [`super::FileOps::close`] and drops the file *after* this returned.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn remove(&self, fd: i32) -> Result<Arc<OpenFile>> {
        let at = index(fd)?;
        self.forget_kept();
        let mut inner = self.inner.lock();
        let entry = inner.entries.get_mut(at).and_then(Option::take).ok_or(Errno::EBADF)?;
        inner.first_free = inner.first_free.min(at);
        Ok(entry.file)
    }

    /// Whether `fd` closes on exec.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close_on_exec(&self, fd: i32) -> Result<bool> {
        let inner = self.inner.lock();
        match inner.entries.get(index(fd)?) {
            Some(Some(entry)) => Ok(entry.close_on_exec),
            _ => Err(Errno::EBADF),
        }
    }

    /// Sets whether `fd` closes on exec.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn set_close_on_exec(&self, fd: i32, value: bool) -> Result<()> {
        let mut inner = self.inner.lock();
        match inner.entries.get_mut(index(fd)?) {
            Some(Some(entry)) => {
                entry.close_on_exec = value;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// Takes out all files whose descriptor and close-on-exec flag `select` accepts: at exec, exit and close_range.
    #[must_use]
    pub fn remove_if(&self, mut select: impl FnMut(i32, bool) -> bool) -> Vec<Arc<OpenFile>> {
        self.forget_kept();
        let mut inner = self.inner.lock();
        let mut removed = Vec::new();
        let mut lowest = None;
        for (at, slot) in inner.entries.iter_mut().enumerate() {
            let fd = i32::try_from(at).unwrap_or(i32::MAX);
            if slot.as_ref().is_some_and(|e| select(fd, e.close_on_exec)) {
                removed.extend(slot.take().map(|e| e.file));
                lowest = lowest.or(Some(at));
            }
        }
        if let Some(at) = lowest {
            inner.first_free = inner.first_free.min(at);
        }
        removed
    }

    /// One more than the highest descriptor ever used.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.lock().entries.len()
    }

    /// The descriptors in use, with their close-on-exec flags, in order.
    #[must_use]
    pub fn list(&self) -> Vec<(i32, bool)> {
        let inner = self.inner.lock();
        let used = inner.entries.iter().enumerate();
        used.filter_map(|(at, e)| {
            e.as_ref().map(|e| (i32::try_from(at).unwrap_or(i32::MAX), e.close_on_exec))
        })
        .collect()
    }
}
