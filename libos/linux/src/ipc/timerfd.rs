//! timerfd_create(2): timers whose readiness follows from the clock, without a thread behind them.

use super::{DEV_ANONYMOUS, anonymous_metadata, deadline, next_inode, time_of_day};
use crate::call::Call;
use crate::fs::file::flags;
use crate::fs::{FileOps, Metadata, OpenFile, Poll};
use crate::io::Sink;
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use core::any::Any;
use postern_pal::{clock, user};

const ABSTIME: u32 = 1;
const CANCEL_ON_SET: u32 = 2;

/// When a timer goes off, in monotonic nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Schedule {
    /// The first expiration that was not read yet; `None` if disarmed.
    next: Option<u64>,
    /// Time between expirations, 0 for a single one.
    interval: u64,
}

impl Schedule {
    /// Expirations that were not read, at time `now`.
    fn due(&self, now: u64) -> u64 {
        match self.next {
            Some(next) if now >= next => match self.interval {
                0 => 1,
                interval => (now - next) / interval + 1,
            },
            _ => 0,
        }
    }

    /// Counts the due expirations as read.
    fn take(&mut self, now: u64) -> u64 {
        let due = self.due(now);
        if due > 0 {
            self.next = match self.interval {
                0 => None,
                interval => self.next.map(|n| n.saturating_add(due.saturating_mul(interval))),
            };
        }
        due
    }

    /// The next expiration after `now`.
    fn upcoming(&self, now: u64) -> Option<u64> {
        let next = self.next?;
        if next > now {
            return Some(next);
        }
        match self.interval {
            0 => None,
            interval => Some(next.saturating_add(self.due(now).saturating_mul(interval))),
        }
    }

    /// As `struct itimerspec`: interval, and time left.
    fn show(&self, now: u64) -> [[i64; 2]; 2] {
        let left = self.upcoming(now).map_or(0, |next| next - now);
        [deadline::timespec(self.interval), deadline::timespec(left)]
    }
}

/// The object behind a timer descriptor.
pub struct TimerFd {
    schedule: Mutex<Schedule>,
    clock: u32,
    queue: WaitQueue,
    ino: u64,
    created: [i64; 2],
}

impl TimerFd {
    fn try_read(&self) -> Option<Result<u64>> {
        let due = self.schedule.lock().take(clock::now());
        (due > 0).then_some(Ok(due))
    }
}

impl FileOps for TimerFd {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        if sink.left() < 8 {
            return Err(Errno::EINVAL);
        }
        let due = loop {
            match self.try_read() {
                Some(due) => break due?,
                None if file.is_nonblocking() => return Err(Errno::EAGAIN),
                None => {}
            }
            // Armed anew while waiting, the deadline is another: the queue is woken then.
            let until = self.poll_deadline();
            let waited = wait::block(thread, &[&self.queue], until, || {
                if self.poll_deadline() == until { None } else { Some(Ok(())) }
            });
            match waited {
                Ok(()) | Err(Errno::ETIMEDOUT) => {}
                Err(error) => return Err(error),
            }
        };
        sink.put(&due.to_ne_bytes())
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        let due = self.schedule.lock().due(clock::now());
        if due > 0 { Poll::IN | Poll::RDNORM } else { Poll::empty() }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn poll_deadline(&self) -> Option<u64> {
        self.schedule.lock().upcoming(clock::now())
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

/// timerfd_create(2).
///
/// # Errors
/// `EINVAL` for an unknown clock or flags, `EMFILE`.
pub fn timerfd_create(call: &mut Call<'_>) -> Result<u64> {
    let clock = call.uint(0);
    let status = call.uint(1);
    // Realtime, monotonic, boottime and the two alarm clocks.
    if !matches!(clock, 0 | 1 | 7 | 8 | 9) || status & !(flags::O_CLOEXEC | flags::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    if matches!(clock, 8 | 9) {
        return Err(Errno::EPERM);
    }
    let ops = Arc::new(TimerFd {
        schedule: Mutex::new(Schedule::default()),
        clock,
        queue: WaitQueue::new(),
        ino: next_inode(),
        created: time_of_day(),
    });
    let file = OpenFile::new(ops, flags::O_RDWR | (status & flags::O_NONBLOCK));
    let fd = call.process().add_file(file, status & flags::O_CLOEXEC != 0)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

fn timer(file: &OpenFile) -> Result<&TimerFd> {
    file.ops.as_any().downcast_ref().ok_or(Errno::EINVAL)
}

/// timerfd_settime(2). `TFD_TIMER_CANCEL_ON_SET` has no effect: the clock of an app is never set.
///
/// # Errors
/// `EBADF`, `EINVAL`, `EFAULT`.
pub fn timerfd_settime(call: &mut Call<'_>) -> Result<u64> {
    let mode = call.uint(1);
    let [interval, value]: [[i64; 2]; 2] = user::read(call.word(2))?;
    let (interval, value) = (deadline::nanoseconds(interval)?, deadline::nanoseconds(value)?);
    let file = call.file(0)?;
    let timer = timer(&file)?;
    if mode & !(ABSTIME | CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let now = clock::now();
    let next = if value == 0 {
        None
    } else if mode & ABSTIME != 0 {
        let there = clock::nanoseconds(timer.clock);
        Some(now.saturating_add(value).saturating_sub(there))
    } else {
        Some(now.saturating_add(value))
    };
    let old = core::mem::replace(&mut *timer.schedule.lock(), Schedule { next, interval });
    timer.queue.wake();
    if call.word(3) != 0 {
        user::write(call.word(3), &old.show(now))?;
    }
    Ok(0)
}

/// timerfd_gettime(2).
///
/// # Errors
/// `EBADF`, `EINVAL`, `EFAULT`.
pub fn timerfd_gettime(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let schedule = *timer(&file)?.schedule.lock();
    user::write(call.word(1), &schedule.show(clock::now()))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_timer_counts_what_was_missed() {
        let mut schedule = Schedule { next: Some(100), interval: 10 };
        assert_eq!(schedule.due(99), 0);
        assert_eq!(schedule.due(100), 1);
        assert_eq!(schedule.upcoming(125), Some(130));
        assert_eq!(schedule.take(125), 3);
        assert_eq!(schedule, Schedule { next: Some(130), interval: 10 });
        assert_eq!(schedule.show(125), [[0, 10], [0, 5]]);
    }

    #[test]
    fn a_single_timer_disarms_when_read() {
        let mut schedule = Schedule { next: Some(5), interval: 0 };
        assert_eq!(schedule.upcoming(7), None);
        assert_eq!(schedule.take(7), 1);
        assert_eq!(schedule, Schedule::default());
        assert_eq!(schedule.take(9), 0);
    }
}
