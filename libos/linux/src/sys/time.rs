//! Clocks and sleeping.

use crate::call::Call;
use crate::ipc::deadline;
use crate::task::{Thread, process};
use crate::{Errno, Result, wait};
use postern_pal::clock::{self, id};
use postern_pal::{thread as host_thread, user};

const SECOND: u64 = 1_000_000_000;
/// Clock ticks per second, as `times` and `AT_CLKTCK` count them.
const NANOS_PER_TICK: u64 = 10_000_000;

/// Clocks that clock_gettime(2) knows by a fixed number, beside those of [`id`].
mod more {
    pub const MONOTONIC_RAW: u32 = 4;
    pub const REALTIME_COARSE: u32 = 5;
    pub const MONOTONIC_COARSE: u32 = 6;
    pub const REALTIME_ALARM: u32 = 8;
    pub const BOOTTIME_ALARM: u32 = 9;
    pub const TAI: u32 = 11;
}

/// The host's number for a clock of the app.
///
/// # Errors
/// `EINVAL` for clocks that do not exist.
fn host_clock(thread: &Thread, clock: i32) -> Result<u32> {
    if let Ok(fixed) = u32::try_from(clock) {
        return match fixed {
            id::REALTIME
            | id::MONOTONIC
            | id::PROCESS_CPUTIME
            | id::THREAD_CPUTIME
            | id::BOOTTIME
            | more::MONOTONIC_RAW
            | more::REALTIME_COARSE
            | more::MONOTONIC_COARSE
            | more::TAI => Ok(fixed),
            more::REALTIME_ALARM => Ok(id::REALTIME),
            more::BOOTTIME_ALARM => Ok(id::BOOTTIME),
            _ => Err(Errno::EINVAL),
        };
    }
    // The CPU clock of a process or thread: ~id << 3, and which of its clocks. All of them count the same here.
    const PER_THREAD: i32 = 4;
    if clock & 3 == 3 {
        return Err(Errno::EINVAL);
    }
    let which = u32::try_from(!(clock >> 3)).map_err(|_| Errno::EINVAL)?;
    let per_thread = clock & PER_THREAD != 0;
    if which == 0 {
        return Ok(if per_thread { id::THREAD_CPUTIME } else { id::PROCESS_CPUTIME });
    }
    let target = if per_thread {
        let found = process::find_thread(which).ok_or(Errno::EINVAL)?;
        if found.process.pid != thread.process.pid {
            return Err(Errno::EINVAL);
        }
        found
    } else {
        let found = process::find(which).ok_or(Errno::EINVAL)?;
        let first = found.state.lock().threads.first().cloned();
        first.ok_or(Errno::EINVAL)?
    };
    let (host_process, host_id) = target.host().map(host_thread::host_ids).ok_or(Errno::EINVAL)?;
    let number = if per_thread { host_id } else { host_process };
    const SCHEDULED: u32 = 2;
    Ok((!number << 3) | SCHEDULED | if per_thread { PER_THREAD.unsigned_abs() } else { 0 })
}

/// clock_gettime(2).
///
/// # Errors
/// As the manual page says.
pub fn clock_gettime(call: &mut Call<'_>) -> Result<u64> {
    let spec = clock::read(host_clock(call.thread, call.int(0))?)?;
    user::write(call.word(1), &spec)?;
    Ok(0)
}

/// clock_getres(2).
///
/// # Errors
/// As the manual page says.
pub fn clock_getres(call: &mut Call<'_>) -> Result<u64> {
    let clock = host_clock(call.thread, call.int(0))?;
    let nanos = match clock {
        // One tick of a kernel with 250 Hz.
        more::REALTIME_COARSE | more::MONOTONIC_COARSE => 4_000_000,
        _ => 1,
    };
    if call.word(1) != 0 {
        user::write(call.word(1), &[0i64, nanos])?;
    }
    Ok(0)
}

/// Sleeps until `deadline`.
///
/// # Errors
/// `ERESTARTNOHAND` if a signal is to be handled.
fn sleep_until(thread: &Thread, deadline: u64) -> Result<()> {
    match wait::block(thread, &[], Some(deadline), || None::<Result<()>>) {
        Err(Errno::ETIMEDOUT) | Ok(()) => Ok(()),
        Err(_) => Err(Errno::ERESTARTNOHAND),
    }
}

/// A relative sleep; `left_at` gets what was left where a signal interrupted it.
fn sleep_for(call: &Call<'_>, nanos: u64, left_at: usize) -> Result<u64> {
    let signals = &call.thread.signals;
    let deadline = signals.take_resume_deadline().unwrap_or_else(|| clock::now().saturating_add(nanos));
    let result = sleep_until(call.thread, deadline);
    if result.is_err() {
        if left_at != 0 {
            let left = deadline.saturating_sub(clock::now());
            user::write(left_at, &deadline::timespec(left))?;
        }
        signals.set_resume_deadline(deadline);
    }
    result.map(|()| 0)
}

/// nanosleep(2).
///
/// # Errors
/// As the manual page says.
pub fn nanosleep(call: &mut Call<'_>) -> Result<u64> {
    let nanos = deadline::nanoseconds(user::read(call.word(0))?)?;
    sleep_for(call, nanos, call.word(1))
}

/// clock_nanosleep(2).
///
/// # Errors
/// As the manual page says.
pub fn clock_nanosleep(call: &mut Call<'_>) -> Result<u64> {
    const ABSTIME: u32 = 1;
    let host = host_clock(call.thread, call.int(0))?;
    let nanos = deadline::nanoseconds(user::read(call.word(2))?)?;
    let is_absolute = call.uint(1) & ABSTIME != 0;
    match host {
        id::THREAD_CPUTIME => return Err(Errno::EINVAL),
        more::MONOTONIC_RAW | more::REALTIME_COARSE | more::MONOTONIC_COARSE => {
            return Err(Errno::EOPNOTSUPP);
        }
        id::REALTIME | id::MONOTONIC | id::BOOTTIME | more::TAI => {}
        _ => return sleep_cpu_time(call.thread, host, nanos, is_absolute),
    }
    if !is_absolute {
        return sleep_for(call, nanos, call.word(3));
    }
    let now = clock::now();
    let there = if host == id::MONOTONIC { now } else { clock::nanoseconds(host) };
    sleep_until(call.thread, now.saturating_add(nanos.saturating_sub(there))).map(|()| 0)
}

/// Sleeps until a CPU clock shows a time. It cannot run faster than one second per second and processor, so looking
/// again after the difference divided by the processors never comes late by more than a last short sleep.
fn sleep_cpu_time(thread: &Thread, host: u32, nanos: u64, is_absolute: bool) -> Result<u64> {
    const SHORTEST: u64 = 1_000_000;
    let now = clock::nanoseconds(host);
    let until = if is_absolute { nanos } else { now.saturating_add(nanos) };
    loop {
        let now = clock::nanoseconds(host);
        if now >= until {
            return Ok(0);
        }
        let step = ((until - now) / u64::from(super::cpus())).max(SHORTEST);
        sleep_until(thread, clock::now().saturating_add(step))?;
    }
}

/// gettimeofday(2). The time zone is that of an unconfigured kernel.
///
/// # Errors
/// `EFAULT`.
pub fn gettimeofday(call: &mut Call<'_>) -> Result<u64> {
    if call.word(0) != 0 {
        let [seconds, nanos] = clock::read(id::REALTIME)?;
        user::write(call.word(0), &[seconds, nanos / 1000])?;
    }
    if call.word(1) != 0 {
        user::write(call.word(1), &[0i32, 0])?;
    }
    Ok(0)
}

/// time(2).
///
/// # Errors
/// `EFAULT`.
pub fn time(call: &mut Call<'_>) -> Result<u64> {
    let [seconds, _] = clock::read(id::REALTIME)?;
    if call.word(0) != 0 {
        user::write(call.word(0), &seconds)?;
    }
    Ok(seconds.cast_unsigned())
}

/// times(2).
///
/// # Errors
/// `EFAULT`.
pub fn times(call: &mut Call<'_>) -> Result<u64> {
    if call.word(0) != 0 {
        let children = *call.process().used_by_children.lock();
        let own = super::usage::of_process(call.process());
        let ticks = [own.user_ns, own.system_ns, children.user_ns, children.system_ns];
        user::write(call.word(0), &ticks.map(|nanos| nanos / NANOS_PER_TICK))?;
    }
    Ok(clock::nanoseconds(id::BOOTTIME) / NANOS_PER_TICK)
}

/// Whole seconds that the machine is up.
#[must_use]
pub fn uptime() -> u64 {
    clock::nanoseconds(id::BOOTTIME) / SECOND
}
