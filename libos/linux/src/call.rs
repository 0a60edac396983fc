//! One system call being handled: who asks, and with what.

use crate::fs::OpenFile;
use crate::task::{Process, Thread};
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_pal::frame::Frame;

/// A system call. Handlers decode their arguments with the methods below: a register is a number until then.
pub struct Call<'a> {
    /// The calling thread.
    pub thread: &'a Arc<Thread>,
    /// Its saved registers. Only calls that change control flow (fork, exec, sigreturn) touch them.
    pub frame: &'a mut Frame,
    /// The six arguments.
    pub args: [u64; 6],
}

/// A system call handler: returns what goes into rax.
pub type Handler = fn(&mut Call<'_>) -> Result<u64>;

impl Call<'_> {
    /// The calling process.
    #[inline]
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.thread.process
    }

    /// Argument `index` as an address or length. Never fails on x86-64.
    #[inline]
    #[must_use]
    pub fn word(&self, index: usize) -> usize {
        usize::try_from(self.raw(index)).unwrap_or(usize::MAX)
    }

    /// Argument `index` as it is.
    #[inline]
    #[must_use]
    pub fn raw(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// Argument `index` as a C `int`: the kernel looks at the low 32 bits only.
    #[inline]
    #[must_use]
    pub fn int(&self, index: usize) -> i32 {
        self.uint(index).cast_signed()
    }

    /// Argument `index` as a C `unsigned int`.
    #[inline]
    #[must_use]
    pub fn uint(&self, index: usize) -> u32 {
        u32::try_from(self.raw(index) & 0xffff_ffff).unwrap_or(0)
    }

    /// Argument `index` as a signed 64-bit number.
    #[inline]
    #[must_use]
    pub fn long(&self, index: usize) -> i64 {
        self.raw(index).cast_signed()
    }

    /// The path that argument `index` points to.
    ///
    /// # Errors
    /// `EFAULT`, or `ENAMETOOLONG` for 4096 bytes or more.
    pub fn path(&self, index: usize) -> Result<Vec<u8>> {
        let mut path = Vec::new();
        postern_pal::user::read_string(self.word(index), 4095, &mut path)?;
        Ok(path)
    }

    /// The open file of descriptor argument `index`.
    ///
    /// # Errors
    /// `EBADF`, also for one opened with `O_PATH`.
    #[inline]
    pub fn file(&self, index: usize) -> Result<Arc<OpenFile>> {
        self.any_file(index).and_then(OpenFile::more_than_path)
    }

    /// As [`Call::file`] for the calls that take descriptors opened with `O_PATH` as well.
    ///
    /// # Errors
    /// `EBADF`.
    #[inline]
    pub fn any_file(&self, index: usize) -> Result<Arc<OpenFile>> {
        self.process().files.get(self.int(index))
    }

    /// Runs `f` with the open file of descriptor argument `index`: cheaper than [`Call::file`].
    ///
    /// # Errors
    /// `EBADF`; those of `f`.
    #[inline]
    pub fn with_file<R>(&self, index: usize, f: impl FnOnce(&Arc<OpenFile>) -> Result<R>) -> Result<R> {
        self.process().files.with_file(self.int(index), f)
    }
}

/// A length or count as a result.
///
/// # Errors
/// None on x86-64; `EOVERFLOW` keeps the conversion honest.
#[inline]
pub fn done(count: usize) -> Result<u64> {
    u64::try_from(count).map_err(|_| Errno::EOVERFLOW)
}
