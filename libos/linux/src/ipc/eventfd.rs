//! eventfd(2).

use super::{DEV_ANONYMOUS, anonymous_metadata, next_inode, time_of_day};
use crate::call::Call;
use crate::fs::file::flags;
use crate::fs::{FileOps, Metadata, OpenFile, Poll};
use crate::io::{Sink, Source};
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use core::any::Any;

const EFD_SEMAPHORE: u32 = 1;

/// The object behind an event descriptor.
pub struct EventFd {
    count: Mutex<u64>,
    semaphore: bool,
    queue: WaitQueue,
    ino: u64,
    created: [i64; 2],
}

impl EventFd {
    /// An event descriptor's object with this initial count.
    #[must_use]
    pub fn new(count: u64, semaphore: bool) -> Arc<Self> {
        let (ino, created) = (next_inode(), time_of_day());
        Arc::new(Self { count: Mutex::new(count), semaphore, queue: WaitQueue::new(), ino, created })
    }

    fn try_read(&self) -> Option<u64> {
        let mut count = self.count.lock();
        if *count == 0 {
            return None;
        }
        let value = if self.semaphore { 1 } else { *count };
        *count -= value;
        Some(value)
    }

    fn try_add(&self, value: u64) -> bool {
        let mut count = self.count.lock();
        match count.checked_add(value) {
            Some(sum) if sum < u64::MAX => {
                *count = sum;
                true
            }
            _ => false,
        }
    }
}

/// Bytes of a count.
const SIZE: usize = 8;

impl EventFd {
    /// Each part of a writev is a write of its own, of exactly a count since Linux 6.9.
    #[cold]
    fn write_parts(&self, thread: &Thread, file: &OpenFile, source: &mut Source<'_>) -> Result<usize> {
        let mut done = 0;
        while done == 0 || source.left() > 0 {
            let mut bytes = [0; SIZE];
            let taken = match source.next_part() {
                SIZE => source.take(&mut bytes),
                _ => Err(Errno::EINVAL),
            };
            let added = match taken {
                Ok(SIZE) => self.write(thread, file, &mut Source::Kernel(&bytes, 0), None),
                Ok(_) => Err(Errno::EFAULT),
                Err(error) => Err(error),
            };
            match added {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

impl FileOps for EventFd {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        if sink.left() < 8 {
            return Err(Errno::EINVAL);
        }
        let value = match self.try_read() {
            Some(value) => value,
            None if file.is_nonblocking() => return Err(Errno::EAGAIN),
            None => wait::block(thread, &[&self.queue], None, || self.try_read().map(Ok))?,
        };
        self.queue.wake_after_lock();
        sink.put(&value.to_ne_bytes())
    }

    fn write(
        &self,
        thread: &Thread,
        file: &OpenFile,
        source: &mut Source<'_>,
        _: Option<u64>,
    ) -> Result<usize> {
        let mut bytes = [0; SIZE];
        if source.is_split() {
            return self.write_parts(thread, file, source);
        }
        if source.left() != SIZE {
            return Err(Errno::EINVAL);
        }
        if source.take(&mut bytes)? < SIZE {
            return Err(Errno::EFAULT);
        }
        let value = u64::from_ne_bytes(bytes);
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        if !self.try_add(value) {
            if file.is_nonblocking() {
                return Err(Errno::EAGAIN);
            }
            wait::block(thread, &[&self.queue], None, || self.try_add(value).then_some(Ok(())))?;
        }
        self.queue.wake_after_lock();
        Ok(SIZE)
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        let count = *self.count.lock();
        let mut ready = Poll::empty();
        if count > 0 {
            ready |= Poll::IN | Poll::RDNORM;
        }
        if count < u64::MAX - 1 {
            ready |= Poll::OUT | Poll::WRNORM;
        }
        ready
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
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

fn make(call: &Call<'_>, count: u32, status: u32) -> Result<u64> {
    if status & !(EFD_SEMAPHORE | flags::O_CLOEXEC | flags::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let ops = EventFd::new(u64::from(count), status & EFD_SEMAPHORE != 0);
    let file = OpenFile::new(ops, flags::O_RDWR | (status & flags::O_NONBLOCK));
    let fd = call.process().add_file(file, status & flags::O_CLOEXEC != 0)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

/// eventfd(2).
///
/// # Errors
/// `EMFILE`.
pub fn eventfd(call: &mut Call<'_>) -> Result<u64> {
    make(call, call.uint(0), 0)
}

/// eventfd2, what glibc's eventfd calls.
///
/// # Errors
/// `EINVAL` for unknown flags, `EMFILE`.
pub fn eventfd2(call: &mut Call<'_>) -> Result<u64> {
    make(call, call.uint(0), call.uint(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_adds_up_and_semaphore_counts_down() {
        let event = EventFd::new(2, false);
        assert!(event.try_add(3));
        assert_eq!(event.try_read(), Some(5));
        assert_eq!(event.try_read(), None);
        let event = EventFd::new(2, true);
        assert_eq!((event.try_read(), event.try_read(), event.try_read()), (Some(1), Some(1), None));
    }

    #[test]
    fn the_count_never_reaches_the_maximum() {
        let event = EventFd::new(1, false);
        assert!(!event.try_add(u64::MAX - 1));
        assert!(event.try_add(u64::MAX - 2));
        assert!(!event.try_add(1));
    }
}
