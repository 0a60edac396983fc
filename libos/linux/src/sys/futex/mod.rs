//! futex(2): waiting for words of the app's memory.
//!
//! The host's futexes are not used for the app: its threads wait as all others do here ([`crate::wait`]), so that
//! signals reach them, and shared futexes work between processes whatever the memory behind them is.

mod lock;
mod robust;
mod sized;
mod table;

pub use robust::{exit_robust, get_robust_list, set_robust_list};
pub use sized::{futex_requeue, futex_wait, futex_waitv, futex_wake};

use crate::call::Call;
use crate::ipc::deadline;
use crate::task::{Process, Thread};
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::clock::{self, id};
use postern_pal::{thread as host_thread, user};
use table::{ANY, Key, Purpose};

mod op {
    pub const WAIT: u32 = 0;
    pub const WAKE: u32 = 1;
    pub const REQUEUE: u32 = 3;
    pub const CMP_REQUEUE: u32 = 4;
    pub const WAKE_OP: u32 = 5;
    pub const LOCK_PI: u32 = 6;
    pub const UNLOCK_PI: u32 = 7;
    pub const TRYLOCK_PI: u32 = 8;
    pub const WAIT_BITSET: u32 = 9;
    pub const WAKE_BITSET: u32 = 10;
    pub const WAIT_REQUEUE_PI: u32 = 11;
    pub const CMP_REQUEUE_PI: u32 = 12;
    pub const LOCK_PI2: u32 = 13;
    pub const PRIVATE: u32 = 128;
    pub const REALTIME: u32 = 256;
}

/// Highest bit of an offset in shared memory, so that it never equals an address.
const IN_SHARED_MEMORY: u64 = 1 << 63;

/// The key of the futex at `addr`. `private`: the app promises that only its own process uses it.
///
/// # Errors
/// `EINVAL` if it is not aligned; `EFAULT` outside the app's half.
#[inline]
fn key(process: &Process, addr: usize, private: bool) -> Result<Key> {
    if !addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if !user::is_user_range(addr, 4) {
        return Err(Errno::EFAULT);
    }
    if !private && let Some((object, offset)) = process.space().shared_key(addr) {
        return Ok(Key { object, offset: offset | IN_SHARED_MEMORY });
    }
    Ok(Key { object: process.signals.space_id(process), offset: addr as u64 })
}

/// A deadline in monotonic nanoseconds from one of `CLOCK_REALTIME` (`realtime`) or `CLOCK_MONOTONIC`.
fn absolute(nanos: u64, realtime: bool) -> u64 {
    if !realtime {
        return nanos;
    }
    let there = clock::nanoseconds(id::REALTIME);
    clock::now().saturating_add(nanos).saturating_sub(there)
}

/// Sleeps until the running thread, which entered the table, is woken.
///
/// # Errors
/// `ETIMEDOUT`; `ERESTARTSYS` if a signal is to be handled.
fn sleep(thread: &Thread, deadline: Option<u64>) -> Result<()> {
    loop {
        if table::was_woken() {
            return Ok(());
        }
        let over = if thread.is_interrupted() {
            Some(Errno::ERESTARTSYS)
        } else if deadline.is_some_and(|deadline| clock::now() >= deadline) {
            Some(Errno::ETIMEDOUT)
        } else {
            None
        };
        if let Some(errno) = over {
            return if table::leave() { Ok(()) } else { Err(errno) };
        }
        host_thread::park(deadline);
    }
}

fn wait(
    thread: &Thread,
    addr: usize,
    private: bool,
    value: u32,
    bits: u32,
    deadline: Option<u64>,
) -> Result<()> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(&thread.process, addr, private)?;
    table::enter(key, Purpose::Wake(bits), || {
        if user::load_u32(addr)? == value { Ok(()) } else { Err(Errno::EAGAIN) }
    })?;
    match sleep(thread, deadline) {
        Err(Errno::ERESTARTSYS) if deadline.is_some() => Err(Errno::ERESTARTNOHAND),
        other => other,
    }
}

/// The deadline of `FUTEX_WAIT`, whose timeout is relative; the first one where the call runs again after a stop.
fn relative_deadline(thread: &Thread, at: usize) -> Result<Option<u64>> {
    if at == 0 {
        return Ok(None);
    }
    let resumed = thread.signals.take_resume_deadline();
    let nanos = deadline::nanoseconds(user::read(at)?)?;
    Ok(Some(resumed.unwrap_or_else(|| deadline::after(nanos))))
}

fn absolute_deadline(at: usize, realtime: bool) -> Result<Option<u64>> {
    if at == 0 {
        return Ok(None);
    }
    Ok(Some(absolute(deadline::nanoseconds(user::read(at)?)?, realtime)))
}

/// A count of waiters, which the kernel takes as a signed number.
fn count(call: &Call<'_>, index: usize) -> u32 {
    u32::try_from(call.int(index)).unwrap_or(0)
}

/// Linux wakes one waiter even where it is asked to wake none.
fn wake_limit(call: &Call<'_>, index: usize) -> u32 {
    count(call, index).max(1)
}

/// futex(2).
///
/// # Errors
/// As the manual page says.
pub fn futex(call: &mut Call<'_>) -> Result<u64> {
    let (addr, raw, value) = (call.word(0), call.uint(1), call.uint(2));
    let private = raw & op::PRIVATE != 0;
    let realtime = raw & op::REALTIME != 0;
    let operation = raw & !(op::PRIVATE | op::REALTIME);
    let process = call.process();
    if realtime && !matches!(operation, op::WAIT | op::WAIT_BITSET | op::LOCK_PI2 | op::WAIT_REQUEUE_PI) {
        return Err(Errno::ENOSYS);
    }
    match operation {
        op::WAKE => Ok(u64::from(table::wake(key(process, addr, private)?, wake_limit(call, 2), ANY)?)),
        op::WAKE_BITSET => {
            let bits = call.uint(5);
            if bits == 0 {
                return Err(Errno::EINVAL);
            }
            Ok(u64::from(table::wake(key(process, addr, private)?, wake_limit(call, 2), bits)?))
        }
        op::WAIT => {
            let deadline = relative_deadline(call.thread, call.word(3))?;
            let result = wait(call.thread, addr, private, value, ANY, deadline);
            if let (Err(Errno::ERESTARTNOHAND), Some(deadline)) = (&result, deadline) {
                call.thread.signals.set_resume_deadline(deadline);
            }
            result.map(|()| 0)
        }
        op::WAIT_BITSET => {
            let deadline = absolute_deadline(call.word(3), realtime)?;
            wait(call.thread, addr, private, value, call.uint(5), deadline).map(|()| 0)
        }
        op::REQUEUE | op::CMP_REQUEUE => {
            let (wake, moves) = (call.int(2), call.int(3));
            if wake < 0 || moves < 0 {
                return Err(Errno::EINVAL);
            }
            let from = key(process, addr, private)?;
            let to = key(process, call.word(4), private)?;
            let compared = (operation == op::CMP_REQUEUE).then(|| call.uint(5));
            let check = || match compared {
                Some(expected) if user::load_u32(addr)? != expected => Err(Errno::EAGAIN),
                _ => Ok(()),
            };
            let (woken, moved) = table::requeue(from, to, wake.unsigned_abs(), moves.unsigned_abs(), check)?;
            Ok(u64::from(woken + moved))
        }
        op::WAKE_OP => wake_op(call, private),
        // The timeout of LOCK_PI is one of CLOCK_REALTIME whatever the flag says.
        op::LOCK_PI => lock::lock(call, private, absolute_deadline(call.word(3), true)?),
        op::LOCK_PI2 => lock::lock(call, private, absolute_deadline(call.word(3), realtime)?),
        op::TRYLOCK_PI => lock::try_lock(call, private),
        op::UNLOCK_PI => lock::unlock(call, private),
        op::WAIT_REQUEUE_PI => lock::wait_requeue(call, private, absolute_deadline(call.word(3), realtime)?),
        op::CMP_REQUEUE_PI => lock::requeue(call, private),
        _ => Err(Errno::ENOSYS),
    }
}

/// What `FUTEX_WAKE_OP` does to the second word, and what it compares the old value with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WordOperation {
    operation: u32,
    operand: u32,
    comparison: u32,
    with: u32,
}

impl WordOperation {
    fn decode(code: u32) -> Result<Self> {
        // Twelve bits each, sign-extended.
        let extend = |field: u32| ((field << 20).cast_signed() >> 20).cast_unsigned();
        let mut operand = extend((code >> 12) & 0xfff);
        let operation = (code >> 28) & 7;
        if code >> 31 != 0 {
            operand = 1u32.checked_shl(operand & 31).unwrap_or(0);
        }
        let decoded = Self { operation, operand, comparison: (code >> 24) & 15, with: extend(code & 0xfff) };
        if decoded.operation > 4 || decoded.comparison > 5 { Err(Errno::ENOSYS) } else { Ok(decoded) }
    }

    fn apply(self, old: u32) -> u32 {
        match self.operation {
            0 => self.operand,
            1 => old.wrapping_add(self.operand),
            2 => old | self.operand,
            3 => old & !self.operand,
            _ => old ^ self.operand,
        }
    }

    fn holds(self, old: u32) -> bool {
        let (old, with) = (old.cast_signed(), self.with.cast_signed());
        match self.comparison {
            0 => old == with,
            1 => old != with,
            2 => old < with,
            3 => old <= with,
            4 => old > with,
            _ => old >= with,
        }
    }
}

fn wake_op(call: &Call<'_>, private: bool) -> Result<u64> {
    let second = call.word(4);
    let operation = WordOperation::decode(call.uint(5))?;
    let a = key(call.process(), call.word(0), private)?;
    let b = key(call.process(), second, private)?;
    let change = || user::update_u32(second, |old| operation.apply(old)).map(|old| operation.holds(old));
    Ok(u64::from(table::wake_two(a, b, wake_limit(call, 2), wake_limit(call, 3), change)?))
}

/// Wakes waiters of a word that the library OS changed: the thread id of a thread that ended.
pub fn wake_address(process: &Arc<Process>, addr: usize, count: u32) {
    if let Ok(key) = key(process, addr, false) {
        let _ = table::wake(key, count, ANY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_op_is_decoded_as_the_kernel_does() {
        // FUTEX_OP(FUTEX_OP_ADD, -1, FUTEX_OP_CMP_GT, 1): glibc's old condition variables used this form.
        let code = (1 << 28) | (4 << 24) | (0xfff << 12) | 1;
        let operation = WordOperation::decode(code);
        assert_eq!(operation, Ok(WordOperation { operation: 1, operand: u32::MAX, comparison: 4, with: 1 }));
        assert_eq!(operation.map(|o| (o.apply(5), o.holds(5), o.holds(1))), Ok((4, true, false)));
        // FUTEX_OP_OPARG_SHIFT: set bit 4.
        let shifted = WordOperation::decode((1 << 31) | (2 << 28) | (4 << 12));
        assert_eq!(shifted.map(|o| o.apply(1)), Ok(17));
        assert_eq!(WordOperation::decode(7 << 28), Err(Errno::ENOSYS));
    }
}
