//! A thread of an app.

use super::Process;
use crate::signal::ThreadSignals;
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use postern_pal::thread::{self as host_thread, ThreadId};

/// A thread. Its host thread is the one whose task it is (a vfork child borrows its parent's).
pub struct Thread {
    /// Thread id; the first thread of a process has the process' id.
    pub tid: u32,
    /// The process it belongs to.
    pub process: Arc<Process>,
    /// Pending and blocked signals, alternate stack.
    pub signals: ThreadSignals,
    /// What it set for itself: scheduling and the like.
    pub settings: crate::sys::ThreadSettings,
    /// Name (`PR_SET_NAME`), NUL-padded.
    pub name: Mutex<[u8; 16]>,
    /// Where to write 0 and wake at exit (`set_tid_address`), or 0.
    pub clear_child_tid: AtomicUsize,
    /// Head of the robust futex list and its length, or 0.
    pub robust_list: [AtomicUsize; 2],
    /// The app's FS base, for forks and for threads that run on another's host thread.
    pub fs_base: AtomicU64,
    /// Where to write its id in its own memory when it starts (`CLONE_CHILD_SETTID`), or 0.
    pub set_child_tid: AtomicUsize,
    /// The program to load when it starts in a clean picoprocess.
    pub pending_program: Mutex<Option<alloc::boxed::Box<super::exec::Plan>>>,
    /// The thread must end before it enters app code again: the process exits or another thread executes a program.
    pub must_exit: AtomicU32,
    /// 1 while a vfork child runs on its host thread.
    pub is_lent: AtomicU32,
    /// It goes on in a clean picoprocess, with its pending program; its host thread ends.
    pub moves_out: AtomicU32,
    /// Bytes that it read and wrote.
    pub moved: Moved,
    /// What it does now must fail with `EAGAIN` rather than wait (`RWF_NOWAIT`).
    pub hurries: AtomicBool,
    host: AtomicU32,
}

/// Bytes read and written: /proc/PID/io. Only one thread adds, at its own calls; many may look.
#[derive(Default)]
pub struct Moved {
    read: AtomicU64,
    written: AtomicU64,
}

impl Moved {
    /// Counts `bytes` read.
    #[inline]
    pub fn read(&self, bytes: usize) {
        Self::add(&self.read, bytes as u64);
    }

    /// Counts `bytes` written.
    #[inline]
    pub fn written(&self, bytes: usize) {
        Self::add(&self.written, bytes as u64);
    }

    /// Counts what another one counted. The caller sees to it that nobody else adds.
    pub fn take_over(&self, other: &Self) {
        let (read, written) = other.get();
        Self::add(&self.read, read);
        Self::add(&self.written, written);
    }

    /// Bytes read and written.
    #[must_use]
    pub fn get(&self) -> (u64, u64) {
        (self.read.load(Ordering::Relaxed), self.written.load(Ordering::Relaxed))
    }

    fn add(count: &AtomicU64, bytes: u64) {
        // No read-modify-write: there is one writer, and this is on the way of every read and write.
        count.store(count.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
    }
}

impl Thread {
    /// A thread that has no host thread yet.
    #[must_use]
    pub fn new(tid: u32, process: Arc<Process>, name: [u8; 16], signals: ThreadSignals) -> Arc<Self> {
        Arc::new(Self {
            tid,
            process,
            signals,
            settings: crate::sys::ThreadSettings::default(),
            name: Mutex::new(name),
            clear_child_tid: AtomicUsize::new(0),
            robust_list: [AtomicUsize::new(0), AtomicUsize::new(0)],
            fs_base: AtomicU64::new(0),
            set_child_tid: AtomicUsize::new(0),
            pending_program: Mutex::new(None),
            must_exit: AtomicU32::new(0),
            is_lent: AtomicU32::new(0),
            moves_out: AtomicU32::new(0),
            moved: Moved::default(),
            hurries: AtomicBool::new(false),
            host: AtomicU32::new(u32::MAX),
        })
    }

    /// The running thread.
    ///
    /// # Errors
    /// `ESRCH` in a service thread of the keeper, which is no thread of an app.
    pub fn current() -> Result<Arc<Self>> {
        let own =
            |task: Option<&host_thread::Task>| task.and_then(|t| t.downcast_ref::<Arc<Self>>().cloned());
        host_thread::with_task(own).ok_or(Errno::ESRCH)
    }

    /// The host thread it runs on, once it has one.
    #[must_use]
    pub fn host(&self) -> Option<ThreadId> {
        ThreadId::from_index(self.host.load(Ordering::Acquire))
    }

    /// Binds it to a host thread.
    pub fn set_host(&self, id: ThreadId) {
        self.host.store(id.index(), Ordering::Release);
    }

    /// It has no host thread for a while: a vfork child between its exec and the start of its own picoprocess.
    pub fn set_host_none(&self) {
        self.host.store(u32::MAX, Ordering::Release);
    }

    /// Makes it look for signals and exit requests, and wakes it if it waits.
    pub fn kick(&self) {
        if let Some(id) = self.host() {
            host_thread::kick(id);
        }
    }

    /// Whether waiting must stop: a signal is to be handled, or the thread must exit.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.must_exit.load(Ordering::Acquire) != 0 || crate::signal::is_pending(self)
    }
}
