//! CPU time of processes and threads, from the host's clocks. What the host's kernel does for one is its system time; the
//! library OS runs as a part of the process, so its work counts as user time.

use crate::task::process::Usage;
use crate::task::{Process, Thread};
use core::sync::atomic::{AtomicU64, Ordering};
use postern_pal::clock;
use postern_pal::thread::{self as host_thread, ThreadId};

/// Which CPU clock of a process or thread, as the low bits of its clock id tell it.
mod which {
    /// User and system time, by the ticks of the host.
    pub const BOTH: u32 = 0;
    /// User time, likewise.
    pub const USER: u32 = 1;
    /// User and system time, exactly.
    pub const EXACT: u32 = 2;
    /// Of a thread, not of a process.
    pub const PER_THREAD: u32 = 4;
}

/// The clock of the host's process or thread `number`.
fn clock_id(number: u32, which: u32) -> u32 {
    (!number << 3) | which
}

/// Splits the exact time as the ticks say.
fn split(exact: u64, user: u64, both: u64) -> Usage {
    let user_ns = match u128::from(exact) * u128::from(user.min(both)) / u128::from(both.max(1)) {
        // No tick came yet.
        _ if both == 0 => exact,
        share => u64::try_from(share).unwrap_or(exact),
    };
    Usage { user_ns, system_ns: exact.saturating_sub(user_ns), ..Usage::default() }
}

fn sample(number: u32, kind: u32) -> Usage {
    let read = |which| clock::nanoseconds(clock_id(number, which | kind));
    split(read(which::EXACT), read(which::USER), read(which::BOTH))
}

/// The host's number of the picoprocess that a process runs in.
fn host_process(process: &Process) -> Option<u32> {
    let first = process.state.lock().threads.first().and_then(|t| t.host())?;
    Some(host_thread::host_ids(first).0)
}

/// What a process used so far, without its children.
#[must_use]
pub fn of_process(process: &Process) -> Usage {
    if process.shares_memory.load(Ordering::Relaxed) != 0 && !process.has_ended() {
        return of_threads(process);
    }
    match host_process(process) {
        Some(number) => sample(number, 0),
        None => *process.used.lock(),
    }
}

/// What a thread used so far.
#[must_use]
pub fn of_thread(thread: &Thread) -> Usage {
    let number = thread.host().map(|id: ThreadId| host_thread::host_ids(id).1);
    number.map_or_else(Usage::default, |number| sample(number, which::PER_THREAD))
}

/// What the threads of a process used that have not ended: its picoprocess runs others, too.
fn of_threads(process: &Process) -> Usage {
    let threads = process.state.lock().threads.clone();
    threads.iter().map(|thread| of_thread(thread)).fold(Usage::default(), |sum, used| Usage {
        user_ns: sum.user_ns.saturating_add(used.user_ns),
        system_ns: sum.system_ns.saturating_add(used.system_ns),
        ..sum
    })
}

/// User time of a process by the host's ticks, which never runs backwards.
#[must_use]
pub fn user_clock(process: &Process) -> u64 {
    host_process(process).map_or(0, |number| clock::nanoseconds(clock_id(number, which::USER)))
}

/// User and system time of a process, exactly.
#[must_use]
pub fn cpu_clock(process: &Process) -> u64 {
    host_process(process).map_or(0, |number| clock::nanoseconds(clock_id(number, which::EXACT)))
}

/// What processes used that have ended.
static ENDED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// The process ends now, in the picoprocess of the running thread: settles what it used.
pub fn settle(process: &Process) {
    let (number, own) = host_thread::host_ids(host_thread::current());
    let shares = process.shares_memory.load(Ordering::Relaxed) != 0;
    let used = if shares { sample(own, which::PER_THREAD) } else { sample(number, 0) };
    *process.used.lock() = used;
    for (sum, part) in ENDED.iter().zip([used.user_ns, used.system_ns]) {
        sum.fetch_add(part, Ordering::Relaxed);
    }
}

/// What ended processes used, user and system time in nanoseconds.
#[must_use]
pub fn of_ended() -> [u64; 2] {
    [0, 1].map(|i| ENDED.get(i).map_or(0, |sum: &AtomicU64| sum.load(Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_time_is_split_as_the_ticks_say() {
        let parts = |exact, user, both| {
            let used = split(exact, user, both);
            (used.user_ns, used.system_ns)
        };
        assert_eq!(parts(1000, 0, 0), (1000, 0));
        assert_eq!(parts(1000, 0, 8), (0, 1000));
        assert_eq!(parts(1000, 6, 8), (750, 250));
        assert_eq!(parts(1000, 9, 8), (1000, 0));
        assert_eq!(parts(u64::MAX, u64::MAX, u64::MAX), (u64::MAX, 0));
    }
}
