//! The futex calls whose flags tell the size of the word: futex_waitv(2), futex_wait, futex_wake and futex_requeue. As on
//! Linux so far, only words of 32 bits are there.

use super::table::{self, Key, Purpose};
use super::{absolute_deadline, key, wait};
use crate::call::Call;
use crate::{Errno, Result};
use alloc::vec::Vec;
use postern_pal::clock::{self, id};
use postern_pal::{thread as host_thread, user};

const SIZE_32: u64 = 2;
const PRIVATE: u64 = 128;

/// Whether the futex is private, from the flags of a call or of a `struct futex_waitv`.
fn is_private(flags: u64) -> Result<bool> {
    if flags & !PRIVATE == SIZE_32 { Ok(flags & PRIVATE != 0) } else { Err(Errno::EINVAL) }
}

/// A value or mask for a word of 32 bits.
fn word(value: u64) -> Result<u32> {
    u32::try_from(value).map_err(|_| Errno::EINVAL)
}

/// A futex with the value that it is expected to have.
struct Word {
    key: Key,
    addr: usize,
    value: u32,
}

impl Word {
    fn check(&self) -> Result<()> {
        if user::load_u32(self.addr)? == self.value { Ok(()) } else { Err(Errno::EAGAIN) }
    }
}

/// Reads an array of `struct futex_waitv`.
fn read_words(call: &Call<'_>, at: usize, number: u32) -> Result<Vec<Word>> {
    let mut words = Vec::new();
    for i in 0..usize::try_from(number).unwrap_or(0) {
        // value, address, flags and padding
        let [value, addr, flags]: [u64; 3] = user::read(at.wrapping_add(i * 24))?;
        let private = is_private(flags)?;
        let addr = usize::try_from(addr).map_err(|_| Errno::EFAULT)?;
        words.push(Word { key: key(call.process(), addr, private)?, addr, value: word(value)? });
    }
    Ok(words)
}

/// futex_waitv(2).
///
/// # Errors
/// As the manual page says.
pub fn futex_waitv(call: &mut Call<'_>) -> Result<u64> {
    const MAX: u32 = 128;
    let (at, number, flags, timeout, clock) =
        (call.word(0), call.uint(1), call.uint(2), call.word(3), call.uint(4));
    if flags != 0 || number == 0 || number > MAX || at == 0 || (timeout != 0 && clock > 1) {
        return Err(Errno::EINVAL);
    }
    let deadline = absolute_deadline(timeout, clock == id::REALTIME)?;
    let words = read_words(call, at, number)?;
    table::begin_several();
    let mut entered = Vec::with_capacity(words.len());
    for (i, word) in words.iter().enumerate() {
        let index = u16::try_from(i).unwrap_or(0);
        if let Err(errno) = table::enter(word.key, Purpose::Several(index), || word.check()) {
            return table::leave_several(&entered).map(u64::from).ok_or(errno);
        }
        entered.push(word.key);
    }
    let over = loop {
        if table::woken_by().is_some() {
            break Errno::EAGAIN;
        }
        if call.thread.is_interrupted() {
            break if deadline.is_some() { Errno::ERESTARTNOHAND } else { Errno::ERESTARTSYS };
        }
        if deadline.is_some_and(|deadline| clock::now() >= deadline) {
            break Errno::ETIMEDOUT;
        }
        host_thread::park(deadline);
    };
    table::leave_several(&entered).map(u64::from).ok_or(over)
}

/// futex_wait.
///
/// # Errors
/// As futex(2) for `FUTEX_WAIT_BITSET`.
pub fn futex_wait(call: &mut Call<'_>) -> Result<u64> {
    let (timeout, clock) = (call.word(4), call.uint(5));
    let private = is_private(call.uint(3).into())?;
    let (value, mask) = (word(call.raw(1))?, word(call.raw(2))?);
    if timeout != 0 && clock > id::MONOTONIC {
        return Err(Errno::EINVAL);
    }
    let deadline = absolute_deadline(timeout, clock == id::REALTIME)?;
    wait(call.thread, call.word(0), private, value, mask, deadline).map(|()| 0)
}

/// futex_wake.
///
/// # Errors
/// As futex(2) for `FUTEX_WAKE_BITSET`.
pub fn futex_wake(call: &mut Call<'_>) -> Result<u64> {
    let private = is_private(call.uint(3).into())?;
    let mask = word(call.raw(1))?;
    if mask == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(call.process(), call.word(0), private)?;
    match call.int(2) {
        0 => Ok(0),
        number => Ok(table::wake(key, u32::try_from(number).unwrap_or(1), mask)?.into()),
    }
}

/// futex_requeue.
///
/// # Errors
/// As futex(2) for `FUTEX_CMP_REQUEUE`.
pub fn futex_requeue(call: &mut Call<'_>) -> Result<u64> {
    let (at, wake, moves) = (call.word(0), call.int(2), call.int(3));
    if call.uint(1) != 0 || at == 0 {
        return Err(Errno::EINVAL);
    }
    let words = read_words(call, at, 2)?;
    let [from, to] = words.as_slice() else { return Err(Errno::EINVAL) };
    let (Ok(wake), Ok(moves)) = (u32::try_from(wake), u32::try_from(moves)) else {
        return Err(Errno::EINVAL);
    };
    let (woken, moved) = table::requeue(from.key, to.key, wake, moves, || from.check())?;
    Ok(u64::from(woken) + u64::from(moved))
}
