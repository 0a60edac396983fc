//! poll(2), ppoll, select(2) and pselect6.

use super::deadline;
use crate::call::{Call, done};
use crate::fs::{FdTable, OpenFile, Poll};
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Result, signal};
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_pal::{clock, user};
use zerocopy::IntoBytes;

const ALWAYS: Poll = Poll::ERR.union(Poll::HUP).union(Poll::NVAL);

/// One file that a poll looks at.
struct Watch {
    file: Option<Arc<OpenFile>>,
    events: Poll,
    found: Poll,
}

impl Watch {
    fn new(files: &FdTable, fd: i32, events: Poll) -> Self {
        let file = files.get(fd).and_then(OpenFile::more_than_path).ok();
        let found = if file.is_some() { Poll::empty() } else { Poll::NVAL };
        Self { file, events, found }
    }

    fn look(&mut self) -> bool {
        if let Some(file) = &self.file {
            self.found = file.ops.poll(file) & (self.events | ALWAYS);
        }
        !self.found.is_empty()
    }
}

fn look_at_all(watches: &mut [Watch]) -> usize {
    watches.iter_mut().map(|w| usize::from(w.look())).sum()
}

/// Waits until a file is ready or the deadline has passed. Returns how many are ready.
fn wait_for(thread: &Thread, watches: &mut [Watch], deadline: Option<u64>) -> Result<usize> {
    let ready = look_at_all(watches);
    if ready > 0 || deadline == Some(0) {
        return Ok(ready);
    }
    // The files stay alive through these, the watches are looked at mutably.
    let files: Vec<Arc<OpenFile>> = watches.iter().filter_map(|w| w.file.clone()).collect();
    let queues: Vec<&WaitQueue> = files.iter().filter_map(|f| f.ops.wait_queue()).collect();
    loop {
        // A timer descriptor becomes ready by the clock alone.
        let timer = files.iter().filter_map(|f| f.ops.poll_deadline()).min();
        let until = match (deadline, timer) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let result = wait::block(thread, &queues, until, || {
            let ready = look_at_all(watches);
            let timer = files.iter().filter_map(|f| f.ops.poll_deadline()).min();
            let sooner = timer.is_some_and(|t| until.is_none_or(|u| t < u));
            (ready > 0 || sooner).then_some(Ok(ready))
        });
        match result {
            // Somebody set a timer descriptor.
            Ok(0) => {}
            Err(Errno::ETIMEDOUT) if deadline.is_some_and(|d| clock::now() >= d) => {
                return Ok(look_at_all(watches));
            }
            Err(Errno::ETIMEDOUT) => {}
            Err(Errno::ERESTARTSYS) => return Err(Errno::ERESTARTNOHAND),
            other => return other,
        }
    }
}

/// poll on the array of `struct pollfd` at `addr`.
fn poll_array(thread: &Thread, addr: usize, count: usize, deadline: Option<u64>) -> Result<u64> {
    let process = &thread.process;
    if count > process.descriptor_limit() {
        return Err(Errno::EINVAL);
    }
    let mut entries: Vec<[u32; 2]> = alloc::vec![[0; 2]; count];
    user::read_bytes(addr, entries.as_mut_bytes())?;
    let mut watches = Vec::with_capacity(count);
    for [fd, events] in &entries {
        let fd = fd.cast_signed();
        let events = Poll::from_bits_truncate(*events & 0xffff);
        watches.push(if fd < 0 {
            Watch { file: None, events, found: Poll::empty() }
        } else {
            Watch::new(&process.files, fd, events)
        });
    }
    let ready = wait_for(thread, &mut watches, deadline)?;
    for (entry, watch) in entries.iter_mut().zip(&watches) {
        let [_, events] = entry;
        *events = (*events & 0xffff) | (watch.found.bits() << 16);
    }
    user::write_bytes(addr, entries.as_bytes())?;
    done(ready)
}

/// poll(2).
///
/// # Errors
/// `EINVAL`, `EFAULT`, `EINTR`.
pub fn poll(call: &mut Call<'_>) -> Result<u64> {
    let deadline = deadline::from_milliseconds(call.int(2));
    poll_array(call.thread, call.word(0), usize::try_from(call.uint(1)).unwrap_or(usize::MAX), deadline)
}

/// A signal mask argument: pointer and size.
///
/// # Errors
/// `EINVAL` for a size that is not 8, `EFAULT`.
pub fn signal_mask(addr: usize, size: usize) -> Result<Option<u64>> {
    match (addr, size) {
        (0, _) => Ok(None),
        (_, 8) => user::load_u64(addr).map(Some),
        _ => Err(Errno::EINVAL),
    }
}

/// Writes back what is left of a timeout, as Linux does for ppoll, select and pselect6.
fn write_left(deadline: Option<u64>, write: impl FnOnce(u64)) {
    if let Some(deadline) = deadline {
        write(deadline.saturating_sub(if deadline == 0 { 0 } else { clock::now() }));
    }
}

/// ppoll(2).
///
/// # Errors
/// `EINVAL`, `EFAULT`, `EINTR`.
pub fn ppoll(call: &mut Call<'_>) -> Result<u64> {
    let timeout = call.word(2);
    let deadline = deadline::from_timespec(timeout)?;
    let mask = signal_mask(call.word(3), call.word(4))?;
    let count = usize::try_from(call.uint(1)).unwrap_or(usize::MAX);
    let result =
        signal::with_mask(call.thread, mask, || poll_array(call.thread, call.word(0), count, deadline));
    write_left(deadline, |left| {
        let _ = user::write(timeout, &deadline::timespec(left));
    });
    result
}

const READ_EVENTS: Poll = Poll::RDNORM.union(Poll::RDBAND).union(Poll::IN).union(Poll::HUP).union(Poll::ERR);
const WRITE_EVENTS: Poll = Poll::WRNORM.union(Poll::WRBAND).union(Poll::OUT).union(Poll::ERR);
const EXCEPT_EVENTS: Poll = Poll::PRI;

fn bit(set: &[u64], fd: usize) -> bool {
    set.get(fd / 64).is_some_and(|word| word >> (fd % 64) & 1 != 0)
}

/// select on three sets of `count` bits.
fn select_sets(thread: &Thread, count: usize, sets: [usize; 3], deadline: Option<u64>) -> Result<u64> {
    // Bits beyond the table are ignored, as Linux ignores them; its tables hold a multiple of 64.
    let count = count.min(thread.process.files.size().next_multiple_of(64).max(64));
    let words = count.div_ceil(64);
    let mut asked: [Vec<u64>; 3] = Default::default();
    for (set, addr) in asked.iter_mut().zip(sets) {
        if addr != 0 {
            set.resize(words, 0);
            user::read_bytes(addr, set.as_mut_bytes())?;
        }
    }
    let mut watches = Vec::new();
    let mut fds = Vec::new();
    for fd in 0..count {
        let mut events = Poll::empty();
        for (set, kind) in asked.iter().zip([READ_EVENTS, WRITE_EVENTS, EXCEPT_EVENTS]) {
            if bit(set, fd) {
                events |= kind;
            }
        }
        if events.is_empty() {
            continue;
        }
        let number = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
        // Unlike poll, select reports a hang-up only to those who asked to read.
        watches.push(Watch { file: Some(thread.process.files.get(number)?), events, found: Poll::empty() });
        fds.push(fd);
    }
    loop {
        wait_for(thread, &mut watches, deadline)?;
        let mut ready = 0;
        let mut found: [Vec<u64>; 3] = Default::default();
        for (index, kind) in [READ_EVENTS, WRITE_EVENTS, EXCEPT_EVENTS].into_iter().enumerate() {
            let (Some(out), Some(asked)) = (found.get_mut(index), asked.get(index)) else { continue };
            out.resize(asked.len(), 0);
            for (watch, fd) in watches.iter().zip(&fds) {
                if watch.found.intersects(kind)
                    && bit(asked, *fd)
                    && let Some(word) = out.get_mut(fd / 64)
                {
                    *word |= 1 << (fd % 64);
                    ready += 1;
                }
            }
        }
        // What poll always reports may be nothing that select was asked for: then look again when something changes.
        let expired = deadline.is_some_and(|d| clock::now() >= d);
        if ready == 0 && !expired && watches.iter().any(|w| !w.found.is_empty()) {
            for watch in &mut watches {
                if !watch.found.is_empty() && !watch.found.intersects(watch.events) {
                    watch.file = None;
                    watch.found = Poll::empty();
                }
            }
            continue;
        }
        for (set, addr) in found.iter().zip(sets) {
            if addr != 0 {
                user::write_bytes(addr, set.as_bytes())?;
            }
        }
        return Ok(ready);
    }
}

fn set_arguments(call: &Call<'_>) -> Result<(usize, [usize; 3])> {
    let count = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    Ok((count, [call.word(1), call.word(2), call.word(3)]))
}

/// select(2).
///
/// # Errors
/// `EBADF`, `EINVAL`, `EFAULT`, `EINTR`.
pub fn select(call: &mut Call<'_>) -> Result<u64> {
    let (count, sets) = set_arguments(call)?;
    let timeout = call.word(4);
    let deadline = if timeout == 0 {
        None
    } else {
        let [seconds, micros]: [i64; 2] = user::read(timeout)?;
        let (extra, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let seconds = seconds.checked_add(extra).ok_or(Errno::EINVAL)?;
        Some(deadline::after(deadline::nanoseconds([seconds, micros * 1000])?))
    };
    let result = select_sets(call.thread, count, sets, deadline);
    write_left(deadline, |left| {
        let [seconds, nanos] = deadline::timespec(left);
        let _ = user::write(timeout, &[seconds, nanos / 1000]);
    });
    result
}

/// pselect6, what pselect(2) calls.
///
/// # Errors
/// `EBADF`, `EINVAL`, `EFAULT`, `EINTR`.
pub fn pselect6(call: &mut Call<'_>) -> Result<u64> {
    let (count, sets) = set_arguments(call)?;
    let timeout = call.word(4);
    let deadline = deadline::from_timespec(timeout)?;
    let mask = match call.word(5) {
        0 => None,
        at => {
            let [addr, size]: [usize; 2] = user::read(at)?;
            signal_mask(addr, size)?
        }
    };
    let result = signal::with_mask(call.thread, mask, || select_sets(call.thread, count, sets, deadline));
    write_left(deadline, |left| {
        let _ = user::write(timeout, &deadline::timespec(left));
    });
    result
}
