//! Priority-inheritance locks: the futex word holds the owner's thread id, and the kernel hands the lock over. There
//! are no priorities here, so the first that waits is the next owner.

use super::table::{self, Purpose};
use super::{key, sleep};
use crate::call::Call;
use crate::task::process;
use crate::{Errno, Result};
use postern_pal::user;

/// Somebody waits.
pub const WAITERS: u32 = 0x8000_0000;
/// The owner ended without unlocking.
pub const OWNER_DIED: u32 = 0x4000_0000;
/// Thread id of the owner.
pub const OWNER: u32 = 0x3fff_ffff;

enum Attempt {
    Taken,
    MustWait,
}

/// Takes a free lock, or says in its word that somebody waits.
fn attempt(addr: usize, tid: u32) -> Result<Attempt> {
    loop {
        let word = user::load_u32(addr)?;
        let owner = word & OWNER;
        if owner == tid {
            return Err(Errno::EDEADLK);
        }
        if owner == 0 {
            // OWNER_DIED stays for the new owner to see.
            if user::compare_exchange_u32(addr, word, word | tid)? == word {
                return Ok(Attempt::Taken);
            }
        } else if word & OWNER_DIED == 0 && process::find_thread(owner).is_none() {
            return Err(Errno::ESRCH);
        } else if word & WAITERS != 0 || user::compare_exchange_u32(addr, word, word | WAITERS)? == word {
            return Ok(Attempt::MustWait);
        }
    }
}

/// `FUTEX_LOCK_PI`.
pub(super) fn lock(call: &Call<'_>, private: bool, deadline: Option<u64>) -> Result<u64> {
    let (addr, tid) = (call.word(0), call.thread.tid);
    let key = key(call.process(), addr, private)?;
    let mut taken = false;
    let entered = table::enter(key, Purpose::Own(tid), || match attempt(addr, tid)? {
        Attempt::MustWait => Ok(()),
        Attempt::Taken => {
            taken = true;
            Err(Errno::EAGAIN)
        }
    });
    if taken {
        return Ok(0);
    }
    entered?;
    // Who unlocks makes this thread the owner before it wakes it.
    sleep(call.thread, deadline).map(|()| 0)
}

/// `FUTEX_WAIT_REQUEUE_PI`: waits on one futex until [`requeue`] gives the thread the lock that the second word is, or
/// lets it wait for that.
pub(super) fn wait_requeue(call: &Call<'_>, private: bool, deadline: Option<u64>) -> Result<u64> {
    let (addr, value, lock) = (call.word(0), call.uint(2), call.word(4));
    let from = key(call.process(), addr, private)?;
    let to = key(call.process(), lock, private)?;
    if from == to {
        return Err(Errno::EINVAL);
    }
    table::enter(from, Purpose::Move(to, call.thread.tid), || {
        if user::load_u32(addr)? == value { Ok(()) } else { Err(Errno::EAGAIN) }
    })?;
    match sleep(call.thread, deadline) {
        // The lock was not taken: the caller looks at its condition again.
        Err(Errno::ERESTARTSYS) => Err(Errno::EAGAIN),
        other => other.map(|()| 0),
    }
}

/// `FUTEX_CMP_REQUEUE_PI`.
pub(super) fn requeue(call: &Call<'_>, private: bool) -> Result<u64> {
    let (addr, lock, expected) = (call.word(0), call.word(4), call.uint(5));
    let limit = u32::try_from(call.int(3)).map_err(|_| Errno::EINVAL)?;
    if call.int(2) != 1 {
        return Err(Errno::EINVAL);
    }
    let from = key(call.process(), addr, private)?;
    let to = key(call.process(), lock, private)?;
    if from == to {
        return Err(Errno::EINVAL);
    }
    let check = || if user::load_u32(addr)? == expected { Ok(()) } else { Err(Errno::EAGAIN) };
    let take = |tid: u32, more: bool| match attempt(lock, tid)? {
        Attempt::Taken if more => user::update_u32(lock, |word| word | WAITERS).map(|_| true),
        Attempt::Taken => Ok(true),
        Attempt::MustWait => Ok(false),
    };
    table::requeue_to_lock(from, to, limit, check, take).map(u64::from)
}

/// `FUTEX_TRYLOCK_PI`.
pub(super) fn try_lock(call: &Call<'_>, private: bool) -> Result<u64> {
    let addr = call.word(0);
    key(call.process(), addr, private)?;
    let word = user::load_u32(addr)?;
    if word & OWNER == call.thread.tid {
        return Err(Errno::EDEADLK);
    }
    let free = word & OWNER == 0;
    if free && user::compare_exchange_u32(addr, word, word | call.thread.tid)? == word {
        Ok(0)
    } else {
        Err(Errno::EAGAIN)
    }
}

/// `FUTEX_UNLOCK_PI`.
pub(super) fn unlock(call: &Call<'_>, private: bool) -> Result<u64> {
    let (addr, tid) = (call.word(0), call.thread.tid);
    let key = key(call.process(), addr, private)?;
    if user::load_u32(addr)? & OWNER != tid {
        return Err(Errno::EPERM);
    }
    table::hand_over(key, |next| {
        let new = match next {
            Some((next, more)) => next | if more { WAITERS } else { 0 },
            None => 0,
        };
        user::update_u32(addr, |_| new)?;
        Ok(next.is_some())
    })?;
    Ok(0)
}
