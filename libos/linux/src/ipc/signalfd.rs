//! signalfd(2).

use super::{DEV_ANONYMOUS, anonymous_metadata, next_inode, time_of_day};
use crate::call::Call;
use crate::fs::file::flags;
use crate::fs::{FileOps, Metadata, OpenFile, Poll};
use crate::io::Sink;
use crate::task::{Process, Thread};
use crate::wait::{self, WaitQueue};
use crate::{Errno, Result, signal};
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes of `struct signalfd_siginfo`.
const INFO_SIZE: usize = 128;

/// The object behind a signal descriptor. It reads the signals of whoever uses it.
pub struct SignalFd {
    set: AtomicU64,
    /// Who made it; its arrivals wake those who poll.
    process: Arc<Process>,
    ino: u64,
    created: [i64; 2],
}

impl FileOps for SignalFd {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        if sink.left() < INFO_SIZE {
            return Err(Errno::EINVAL);
        }
        let set = self.set.load(Ordering::Relaxed);
        let take = || signal::dequeue(thread, set);
        let first = match take() {
            Some(info) => info,
            None if file.is_nonblocking() => return Err(Errno::EAGAIN),
            None => wait::block(thread, &[signal::arrivals(&thread.process)], None, || take().map(Ok))?,
        };
        let mut done = sink.put(&first)?;
        while sink.left() >= INFO_SIZE {
            let Some(info) = take() else { break };
            done += sink.put(&info)?;
        }
        Ok(done)
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        let pending =
            Thread::current().is_ok_and(|t| signal::pending_in(&t, self.set.load(Ordering::Relaxed)));
        if pending { Poll::IN | Poll::RDNORM } else { Poll::empty() }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(signal::arrivals(&self.process))
    }

    fn knows_hurry(&self, writes: bool) -> bool {
        !writes
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(anonymous_metadata(DEV_ANONYMOUS, self.ino, 0o600, self.created, [0, 0]))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn make(call: &Call<'_>, status: u32) -> Result<u64> {
    if status & !(flags::O_CLOEXEC | flags::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let set = signal::read_set(call.word(1), call.word(2))?;
    if call.int(0) != -1 {
        let file = call.file(0)?;
        let signals: &SignalFd = file.ops.as_any().downcast_ref().ok_or(Errno::EINVAL)?;
        signals.set.store(set, Ordering::Relaxed);
        signal::arrivals(&signals.process).wake();
        return Ok(u64::from(call.uint(0)));
    }
    let process = call.process();
    let ops = Arc::new(SignalFd {
        set: AtomicU64::new(set),
        process: process.clone(),
        ino: next_inode(),
        created: time_of_day(),
    });
    let file = OpenFile::new(ops, flags::O_RDWR | (status & flags::O_NONBLOCK));
    let fd = process.add_file(file, status & flags::O_CLOEXEC != 0)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

/// signalfd(2) of old.
///
/// # Errors
/// As the manual page.
pub fn signalfd(call: &mut Call<'_>) -> Result<u64> {
    make(call, 0)
}

/// signalfd4, what glibc's signalfd calls.
///
/// # Errors
/// As the manual page.
pub fn signalfd4(call: &mut Call<'_>) -> Result<u64> {
    make(call, call.uint(3))
}
