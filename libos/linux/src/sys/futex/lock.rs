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
