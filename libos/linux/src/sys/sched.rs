//! Scheduling: which processors, which policy, which priority. The host schedules the threads of an app as it does all
//! others; what an app sets here it reads back, and that is all.

use super::capability::cap;
use crate::call::Call;
use crate::task::{Thread, process, resource};
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use postern_pal::{clock, thread as host_thread, user};

const POLICY_OTHER: u32 = 0;
const POLICY_FIFO: u32 = 1;
const POLICY_RR: u32 = 2;
const POLICY_BATCH: u32 = 3;
const POLICY_IDLE: u32 = 5;
const RESET_ON_FORK: u32 = 0x4000_0000;

/// The thread with this id; 0 is the caller.
fn target(call: &Call<'_>, index: usize) -> Result<Arc<Thread>> {
    match call.int(index) {
        0 => Ok(call.thread.clone()),
        id if id < 0 => Err(Errno::EINVAL),
        id => process::find_thread(id.unsigned_abs()).ok_or(Errno::ESRCH),
    }
}

/// As [`target`], for questions: process 1 is nobody here, but it is scheduled as all others are.
fn asked(call: &Call<'_>, index: usize) -> Result<Arc<Thread>> {
    if call.int(index) == 1 { Ok(call.thread.clone()) } else { target(call, index) }
}

/// As `target`, where a negative id is one that does not exist.
fn existing(found: Result<Arc<Thread>>, id: i32) -> Result<Arc<Thread>> {
    if id < 0 { Err(Errno::ESRCH) } else { found }
}

/// The processors of the app as a bit set.
fn all_processors() -> u64 {
    1u64.checked_shl(super::cpus()).map_or(u64::MAX, |bit| bit - 1)
}

/// sched_yield(2). The host's filter has no such call. Where a thread does it again and again it waits for another
/// thread, which may need this processor: then it sleeps for the shortest time there is.
///
/// # Errors
/// None.
pub fn sched_yield(call: &mut Call<'_>) -> Result<u64> {
    const PATIENCE: u32 = 8;
    if call.thread.settings.yields.fetch_add(1, Ordering::Relaxed) % PATIENCE == PATIENCE - 1 {
        host_thread::park(Some(clock::now() + 1));
    } else {
        core::hint::spin_loop();
    }
    Ok(0)
}

/// sched_getaffinity(2).
///
/// # Errors
/// As the manual page says.
pub fn sched_getaffinity(call: &mut Call<'_>) -> Result<u64> {
    const SIZE: usize = 8;
    let len = call.word(1);
    if len < SIZE || !len.is_multiple_of(SIZE) {
        return Err(Errno::EINVAL);
    }
    let thread = existing(asked(call, 0), call.int(0))?;
    let set = match thread.settings.affinity.load(Ordering::Relaxed) {
        0 => all_processors(),
        set => set,
    };
    user::write(call.word(2), &set)?;
    Ok(SIZE as u64)
}

/// sched_setaffinity(2).
///
/// # Errors
/// As the manual page says.
pub fn sched_setaffinity(call: &mut Call<'_>) -> Result<u64> {
    let thread = existing(target(call, 0), call.int(0))?;
    let mut set = [0u8; 8];
    let len = call.word(1).min(set.len());
    user::read_bytes(call.word(2), set.get_mut(..len).ok_or(Errno::EINVAL)?)?;
    let set = u64::from_le_bytes(set) & all_processors();
    if set == 0 {
        return Err(Errno::EINVAL);
    }
    thread.settings.affinity.store(set, Ordering::Relaxed);
    Ok(0)
}

/// Checks a policy with its priority.
fn check(thread: &Thread, policy: u32, priority: u32) -> Result<()> {
    let real_time = matches!(policy, POLICY_FIFO | POLICY_RR);
    let valid = match policy {
        POLICY_FIFO | POLICY_RR => (1..=99).contains(&priority),
        POLICY_OTHER | POLICY_BATCH | POLICY_IDLE => priority == 0,
        _ => false,
    };
    if !valid {
        return Err(Errno::EINVAL);
    }
    let limit = thread.process.limits.soft(resource::RTPRIO);
    let privileged = thread.process.identity.lock().may(cap::SYS_NICE);
    if real_time && u64::from(priority) > limit && !privileged { Err(Errno::EPERM) } else { Ok(()) }
}

/// sched_setscheduler(2).
///
/// # Errors
/// As the manual page says.
pub fn sched_setscheduler(call: &mut Call<'_>) -> Result<u64> {
    if call.int(1) < 0 {
        return Err(Errno::EINVAL);
    }
    let thread = target(call, 0)?;
    let priority: u32 = user::read(call.word(2))?;
    check(call.thread, call.uint(1) & !RESET_ON_FORK, priority)?;
    thread.settings.policy.store(call.uint(1), Ordering::Relaxed);
    thread.settings.priority.store(priority, Ordering::Relaxed);
    Ok(0)
}

/// sched_getscheduler(2).
///
/// # Errors
/// As the manual page says.
pub fn sched_getscheduler(call: &mut Call<'_>) -> Result<u64> {
    Ok(asked(call, 0)?.settings.policy.load(Ordering::Relaxed).into())
}

/// sched_setparam(2).
///
/// # Errors
/// As the manual page says.
pub fn sched_setparam(call: &mut Call<'_>) -> Result<u64> {
    let thread = target(call, 0)?;
    let priority: u32 = user::read(call.word(1))?;
    check(call.thread, thread.settings.policy.load(Ordering::Relaxed) & !RESET_ON_FORK, priority)?;
    thread.settings.priority.store(priority, Ordering::Relaxed);
    Ok(0)
}

/// sched_getparam(2).
///
/// # Errors
/// As the manual page says.
pub fn sched_getparam(call: &mut Call<'_>) -> Result<u64> {
    let priority = asked(call, 0)?.settings.priority.load(Ordering::Relaxed);
    user::write(call.word(1), &priority)?;
    Ok(0)
}

/// sched_get_priority_max(2).
///
/// # Errors
/// `EINVAL`.
pub fn sched_get_priority_max(call: &mut Call<'_>) -> Result<u64> {
    match call.uint(0) {
        POLICY_FIFO | POLICY_RR => Ok(99),
        POLICY_OTHER | POLICY_BATCH | POLICY_IDLE | 6 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_get_priority_min(2).
///
/// # Errors
/// `EINVAL`.
pub fn sched_get_priority_min(call: &mut Call<'_>) -> Result<u64> {
    match call.uint(0) {
        POLICY_FIFO | POLICY_RR => Ok(1),
        POLICY_OTHER | POLICY_BATCH | POLICY_IDLE | 6 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// sched_rr_get_interval(2).
///
/// # Errors
/// As the manual page says.
pub fn sched_rr_get_interval(call: &mut Call<'_>) -> Result<u64> {
    let policy = asked(call, 0)?.settings.policy.load(Ordering::Relaxed) & !RESET_ON_FORK;
    let nanos = match policy {
        POLICY_FIFO => 0,
        POLICY_RR => 100_000_000,
        _ => 4_000_000,
    };
    user::write(call.word(1), &[0i64, nanos])?;
    Ok(0)
}

/// Bytes of the first `struct sched_attr`.
const ATTR_SIZE: u32 = 48;

/// sched_getattr(2).
///
/// # Errors
/// As the manual page says.
pub fn sched_getattr(call: &mut Call<'_>) -> Result<u64> {
    let thread = target(call, 0)?;
    if call.uint(2) < ATTR_SIZE || call.uint(2) > 4096 || call.uint(3) != 0 {
        return Err(Errno::EINVAL);
    }
    let s = &thread.settings;
    let policy = s.policy.load(Ordering::Relaxed);
    let mut words = [0u32; 12];
    words[0] = ATTR_SIZE;
    words[1] = policy & !RESET_ON_FORK;
    words[2] = u32::from(policy & RESET_ON_FORK != 0);
    words[4] = s.nice.load(Ordering::Relaxed).cast_unsigned();
    words[5] = s.priority.load(Ordering::Relaxed);
    user::write(call.word(1), &words)?;
    Ok(0)
}

/// sched_setattr(2).
///
/// # Errors
/// As the manual page says; `EPERM` for deadlines.
pub fn sched_setattr(call: &mut Call<'_>) -> Result<u64> {
    let thread = target(call, 0)?;
    let words: [u32; 12] = user::read(call.word(1))?;
    let [_, policy, flags, _, nice, priority, ..] = words;
    const DEADLINE: u32 = 6;
    if policy == DEADLINE {
        return Err(Errno::EPERM);
    }
    check(call.thread, policy, priority)?;
    if matches!(policy, POLICY_OTHER | POLICY_BATCH) {
        set_nice(call.thread, &thread, nice.cast_signed())?;
    }
    let policy = policy | if flags & 1 != 0 { RESET_ON_FORK } else { 0 };
    thread.settings.policy.store(policy, Ordering::Relaxed);
    thread.settings.priority.store(priority, Ordering::Relaxed);
    Ok(0)
}

/// Sets the nice value; going below what the limit allows needs privileges.
fn set_nice(caller: &Thread, thread: &Thread, nice: i32) -> Result<()> {
    let nice = nice.clamp(-20, 19);
    let (euid, privileged) = {
        let own = caller.process.identity.lock();
        (own.euid, own.may(cap::SYS_NICE))
    };
    let is_own = {
        let other = thread.process.identity.lock();
        other.uid == euid || other.euid == euid
    };
    if !privileged && !is_own {
        return Err(Errno::EPERM);
    }
    let limit = caller.process.limits.soft(resource::NICE);
    let lowest = 20i64 - i64::try_from(limit).unwrap_or(40).min(40);
    if !privileged && nice < thread.settings.nice.load(Ordering::Relaxed) && i64::from(nice) < lowest {
        return Err(Errno::EACCES);
    }
    thread.settings.nice.store(nice, Ordering::Relaxed);
    Ok(())
}

const PRIO_PROCESS: u32 = 0;
const PRIO_GROUP: u32 = 1;
const PRIO_USER: u32 = 2;

/// The threads that getpriority and its like mean.
fn several(call: &Call<'_>, which: u32, who: u32) -> Result<Vec<Arc<Thread>>> {
    let own = call.process();
    if which == PRIO_PROCESS {
        let thread = if who == 0 { Some(call.thread.clone()) } else { process::find_thread(who) };
        return thread.map(|t| alloc::vec![t]).ok_or(Errno::ESRCH);
    }
    let group = if who == 0 { own.group.load(Ordering::Relaxed) } else { who };
    let user = if who == 0 { own.identity.lock().uid } else { who };
    let mut found = Vec::new();
    for process in process::all() {
        let matches = match which {
            PRIO_GROUP => process.group.load(Ordering::Relaxed) == group,
            PRIO_USER => process.identity.lock().uid == user,
            _ => return Err(Errno::EINVAL),
        };
        if matches {
            found.extend(process.state.lock().threads.iter().cloned());
        }
    }
    if found.is_empty() { Err(Errno::ESRCH) } else { Ok(found) }
}

/// getpriority(2): the system call returns 20 minus the nice value.
///
/// # Errors
/// As the manual page says.
pub fn getpriority(call: &mut Call<'_>) -> Result<u64> {
    let threads = several(call, call.uint(0), call.uint(1))?;
    let lowest = threads.iter().map(|t| t.settings.nice.load(Ordering::Relaxed)).min().unwrap_or(0);
    Ok(u64::try_from(20 - lowest).unwrap_or(0))
}

/// setpriority(2).
///
/// # Errors
/// As the manual page says.
pub fn setpriority(call: &mut Call<'_>) -> Result<u64> {
    for thread in several(call, call.uint(0), call.uint(1))? {
        set_nice(call.thread, &thread, call.int(2))?;
    }
    Ok(0)
}

/// ioprio_get(2).
///
/// # Errors
/// As the manual page says.
pub fn ioprio_get(call: &mut Call<'_>) -> Result<u64> {
    let which = call.uint(0).checked_sub(1).ok_or(Errno::EINVAL)?;
    let threads = several(call, which, call.uint(1))?;
    Ok(threads.first().map_or(0, |t| t.settings.io_priority.load(Ordering::Relaxed)).into())
}

/// ioprio_set(2).
///
/// # Errors
/// As the manual page says.
pub fn ioprio_set(call: &mut Call<'_>) -> Result<u64> {
    let which = call.uint(0).checked_sub(1).ok_or(Errno::EINVAL)?;
    let (class, value) = (call.uint(2) >> 13, call.uint(2) & 0x1fff);
    match class {
        0 if value != 0 => return Err(Errno::EINVAL),
        1 => return Err(Errno::EPERM),
        2 if value > 7 => return Err(Errno::EINVAL),
        0 | 2 | 3 => {}
        _ => return Err(Errno::EINVAL),
    }
    for thread in several(call, which, call.uint(1))? {
        thread.settings.io_priority.store(call.uint(2), Ordering::Relaxed);
    }
    Ok(0)
}

/// The processor of `set` that stands for the host's `number`: itself if it is in the set.
fn own_number(number: u32, set: u64) -> u32 {
    if set.checked_shr(number).is_some_and(|rest| rest & 1 != 0) {
        return number;
    }
    let nth = number.checked_rem(set.count_ones()).unwrap_or(0);
    (0..64).filter(|bit| set >> bit & 1 != 0).nth(usize::try_from(nth).unwrap_or(0)).unwrap_or(0)
}

/// getcpu(2): one of the processors that the thread may use. There is one node.
///
/// # Errors
/// `EFAULT`.
pub fn getcpu(call: &mut Call<'_>) -> Result<u64> {
    let set = match call.thread.settings.affinity.load(Ordering::Relaxed) {
        0 => all_processors(),
        set => set,
    };
    for (index, value) in [own_number(host_thread::processor(), set), 0].into_iter().enumerate() {
        if call.word(index) != 0 {
            user::write(call.word(index), &value)?;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_those_of_the_set() {
        assert_eq!(own_number(2, 0b1111), 2);
        assert_eq!(own_number(5, 0b1111), 1);
        assert_eq!(own_number(7, 0b1000), 3);
        assert_eq!(own_number(700, 0b0110), 1);
        assert_eq!(own_number(3, 0), 0);
    }
}
