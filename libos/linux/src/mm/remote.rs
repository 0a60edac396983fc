//! process_vm_readv(2), process_vm_writev(2), process_madvise(2) and process_mrelease(2): the memory of other processes.

use super::advice;
use super::errand::{self, MOST, Work};
use crate::call::{Call, done};
use crate::io::{Sink, Source, UserRanges};
use crate::sys::capability::cap;
use crate::sys::identity;
use crate::task::{Process, process};
use crate::{Errno, Result, signal};
use alloc::sync::Arc;

/// The caller's side of a transfer.
enum Local {
    To(Sink<'static>),
    From(Source<'static>),
}

impl Local {
    fn left(&self) -> usize {
        match self {
            Self::To(sink) => sink.left(),
            Self::From(source) => source.left(),
        }
    }
}

/// The process with the thread that argument 0 names, if the caller may look into it.
fn target(call: &Call<'_>) -> Result<Arc<Process>> {
    let found = process::find_thread(call.uint(0)).ok_or(Errno::ESRCH)?.process.clone();
    if identity::may_trace(call.process(), &found) { Ok(found) } else { Err(Errno::EPERM) }
}

/// Moves bytes until either side has no more, or one of them cannot be reached.
fn transfer(call: &Call<'_>, side: impl FnOnce(UserRanges) -> Local) -> Result<u64> {
    if call.raw(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut local = side(UserRanges::from_iovec(call.word(1), call.word(2))?);
    let mut remote = UserRanges::from_iovec(call.word(3), call.word(4))?;
    if local.left() == 0 || remote.left() == 0 {
        return Ok(0);
    }
    let owner = target(call)?;
    let space = owner.space();
    let run = |work| errand::run_in(call.thread, &owner, &space, work);
    let mut total = 0;
    while let Some(part) = remote.host_ranges(local.left().min(MOST)).first().copied() {
        let moved = match &mut local {
            Local::To(sink) => run(Work::Read(part.addr, part.len)).and_then(|(bytes, _)| sink.put(&bytes)),
            Local::From(source) => source
                .take_vec(part.len)
                .and_then(|bytes| run(Work::Write(part.addr, bytes)))
                .map(|(_, count)| count),
        };
        match moved {
            Ok(count) => {
                total += count;
                remote.advance(count);
                if count < part.len {
                    break;
                }
            }
            Err(errno) if total == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    done(total)
}

/// process_vm_readv(2).
///
/// # Errors
/// As the manual page says.
pub fn process_vm_readv(call: &mut Call<'_>) -> Result<u64> {
    transfer(call, |ranges| Local::To(Sink::User(ranges)))
}

/// process_vm_writev(2).
///
/// # Errors
/// As the manual page says.
pub fn process_vm_writev(call: &mut Call<'_>) -> Result<u64> {
    transfer(call, |ranges| Local::From(Source::User(ranges)))
}

/// process_madvise(2). Without privileges a process may advise about itself only; for root inside, advice about another
/// is taken as the hint it is.
///
/// # Errors
/// As the manual page says.
pub fn process_madvise(call: &mut Call<'_>) -> Result<u64> {
    if call.uint(4) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut ranges = UserRanges::from_iovec(call.word(1), call.word(2))?;
    let owner = signal::pidfd_process(call.process(), call.int(0))?;
    let owner = process::find(owner).filter(|p| !p.has_ended()).ok_or(Errno::ESRCH)?;
    let advice = call.uint(3);
    let is_own = owner.pid == call.process().pid;
    if !is_own {
        if !advice::is_hint_for_others(advice) {
            return Err(Errno::EINVAL);
        }
        if !call.process().identity.lock().may(cap::SYS_NICE) {
            return Err(Errno::EPERM);
        }
    }
    let space = owner.space();
    let mut total = 0;
    while let Some(part) = ranges.host_ranges(usize::MAX).first().copied() {
        let advised = if is_own {
            advice::advise(&space, part.addr, part.len, advice)
        } else if space.is_mapped(part.addr, part.len) {
            Ok(())
        } else {
            Err(Errno::ENOMEM)
        };
        match advised {
            Ok(()) => {}
            Err(errno) if total == 0 => return Err(errno),
            Err(_) => break,
        }
        total += part.len;
        ranges.advance(part.len);
    }
    done(total)
}

/// process_mrelease(2): a process that is ending gives its memory back by itself, and soon.
///
/// # Errors
/// As the manual page says.
pub fn process_mrelease(call: &mut Call<'_>) -> Result<u64> {
    if call.uint(1) != 0 {
        return Err(Errno::EINVAL);
    }
    let owner = signal::pidfd_process(call.process(), call.int(0))?;
    let owner = process::find(owner).ok_or(Errno::ESRCH)?;
    let state = owner.state.lock();
    match (state.exit, state.exiting) {
        (Some(_), _) => Err(Errno::ESRCH),
        (None, Some(_)) => Ok(0),
        (None, None) => Err(Errno::EINVAL),
    }
}
