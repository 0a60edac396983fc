//! The system calls of timers.

use super::{Base, Name, Notice, SCHEDULE, Timer, change, set};
use crate::call::Call;
use crate::ipc::deadline::{nanoseconds, timespec};
use crate::signal::{self, sig};
use crate::task::Process;
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::clock::{self, id};
use postern_pal::user;

/// Most POSIX timers of a process.
const MAX_TIMERS: usize = 4096;
const MICROSECOND: u64 = 1000;
const SECOND: u64 = 1_000_000_000;

/// Makes sure that an interval timer is there.
fn interval_timer(process: &Arc<Process>, which: u32) -> Result<i32> {
    let (id, base, signal) = match which {
        0 => (Name::REAL, Base::Wall(id::MONOTONIC), sig::ALRM),
        1 => (Name::VIRTUAL, Base::User, sig::VTALRM),
        2 => (Name::PROFILE, Base::Cpu, sig::PROF),
        _ => return Err(Errno::EINVAL),
    };
    let name = Name { pid: process.pid, id };
    SCHEDULE.lock().timers.entry(name).or_insert_with(|| Timer::new(process, base, Notice::Plain(signal)));
    Ok(id)
}

/// What a clock of `base` shows now.
fn time(process: &Process, base: Base) -> u64 {
    base.time(process, clock::now())
}

fn base_of(process: &Process, id: i32) -> Result<Base> {
    let name = Name { pid: process.pid, id };
    SCHEDULE.lock().timers.get(&name).map(|t| t.base).ok_or(Errno::EINVAL)
}

/// Time left and interval.
fn show(process: &Process, id: i32) -> Result<(u64, u64)> {
    let now = time(process, base_of(process, id)?);
    let name = Name { pid: process.pid, id };
    SCHEDULE.lock().timers.get(&name).map(|t| t.left(now)).ok_or(Errno::EINVAL)
}

/// As a `struct itimerval`: interval and time left.
fn itimerval((left, interval): (u64, u64)) -> [[i64; 2]; 2] {
    [interval, left].map(|nanos| {
        let [seconds, nanos] = timespec(nanos);
        [seconds, nanos / 1000]
    })
}

/// Nanoseconds of a timeval.
fn microseconds([seconds, micros]: [i64; 2]) -> Result<u64> {
    if !(0..1_000_000).contains(&micros) {
        return Err(Errno::EINVAL);
    }
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let micros = u64::try_from(micros).map_err(|_| Errno::EINVAL)?;
    Ok(seconds.saturating_mul(SECOND).saturating_add(micros * MICROSECOND))
}

/// alarm(2).
///
/// # Errors
/// None.
pub fn alarm(call: &mut Call<'_>) -> Result<u64> {
    let process = call.process();
    let id = interval_timer(process, 0)?;
    let seconds = u64::from(call.uint(0));
    let next = (seconds != 0).then(|| clock::now().saturating_add(seconds * SECOND));
    let (left, _) = set(process, id, next, 0).unwrap_or((0, 0));
    // Rounded to the nearest second, but never to 0 while something is left.
    let rounded = (left + SECOND / 2) / SECOND;
    Ok(if left > 0 { rounded.max(1) } else { 0 })
}

/// setitimer(2).
///
/// # Errors
/// As the manual page says.
pub fn setitimer(call: &mut Call<'_>) -> Result<u64> {
    let process = call.process();
    let [interval, value]: [[i64; 2]; 2] =
        if call.word(1) == 0 { [[0; 2]; 2] } else { user::read(call.word(1))? };
    let (interval, value) = (microseconds(interval)?, microseconds(value)?);
    let id = interval_timer(process, call.uint(0))?;
    let now = time(process, base_of(process, id)?);
    let next = (value != 0).then(|| now.saturating_add(value));
    let old = set(process, id, next, interval).unwrap_or((0, 0));
    if call.word(2) != 0 {
        user::write(call.word(2), &itimerval(old))?;
    }
    Ok(0)
}

/// getitimer(2).
///
/// # Errors
/// As the manual page says.
pub fn getitimer(call: &mut Call<'_>) -> Result<u64> {
    let process = call.process();
    let id = interval_timer(process, call.uint(0))?;
    user::write(call.word(1), &itimerval(show(process, id)?))?;
    Ok(0)
}

/// What a `struct sigevent` asks for; the second value is that of a signal without one of its own.
fn notice(call: &Call<'_>, at: usize) -> Result<Option<Notice>> {
    const SIGNAL: u32 = 0;
    const NONE: u32 = 1;
    const THREAD: u32 = 2;
    const THREAD_ID: u32 = 4;
    if at == 0 {
        return Ok(None);
    }
    let [low, high, signal, kind, tid, _]: [u32; 6] = user::read(at)?;
    let value = u64::from(low) | (u64::from(high) << 32);
    let is_signal = signal::bit(signal) != 0;
    match kind {
        NONE => Ok(Some(Notice::None)),
        SIGNAL | THREAD if is_signal => Ok(Some(Notice::Value(signal, value, 0))),
        THREAD_ID if is_signal => {
            let thread = crate::task::process::find_thread(tid);
            let own = thread.is_some_and(|t| t.process.pid == call.process().pid);
            if own { Ok(Some(Notice::Value(signal, value, tid))) } else { Err(Errno::EINVAL) }
        }
        _ => Err(Errno::EINVAL),
    }
}

/// timer_create(2).
///
/// # Errors
/// As the manual page says; `EPERM` for clocks that would wake the machine.
pub fn timer_create(call: &mut Call<'_>) -> Result<u64> {
    const REALTIME_ALARM: u32 = 8;
    const BOOTTIME_ALARM: u32 = 9;
    const TAI: u32 = 11;
    let base = match call.uint(0) {
        clock @ (id::REALTIME | id::MONOTONIC | id::BOOTTIME | TAI) => Base::Wall(clock),
        id::PROCESS_CPUTIME | id::THREAD_CPUTIME => Base::Cpu,
        REALTIME_ALARM | BOOTTIME_ALARM => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let asked = notice(call, call.word(1))?;
    let process = call.process();
    let pid = process.pid;
    let id = change(|schedule| {
        let own = schedule.timers.range(Name { pid, id: 0 }..=Name { pid, id: i32::MAX });
        let mut id = 0;
        let mut count = 0;
        for (name, _) in own {
            count += 1;
            if name.id == id {
                id += 1;
            }
        }
        if count >= MAX_TIMERS {
            return Err(Errno::EAGAIN);
        }
        let notice = asked.unwrap_or(Notice::Value(sig::ALRM, u64::from(id.unsigned_abs()), 0));
        schedule.timers.insert(Name { pid, id }, Timer::new(process, base, notice));
        Ok(id)
    })?;
    if let Err(errno) = user::write(call.word(2), &id) {
        change(|schedule| schedule.remove(Name { pid, id }));
        return Err(errno);
    }
    Ok(0)
}

/// The POSIX timer that argument 0 names.
fn timer_id(call: &Call<'_>) -> Result<i32> {
    if call.int(0) < 0 { Err(Errno::EINVAL) } else { Ok(call.int(0)) }
}

/// As a `struct itimerspec`: interval and time left.
fn itimerspec((left, interval): (u64, u64)) -> [[i64; 2]; 2] {
    [timespec(interval), timespec(left)]
}

/// timer_settime(2).
///
/// # Errors
/// As the manual page says.
pub fn timer_settime(call: &mut Call<'_>) -> Result<u64> {
    const ABSTIME: u32 = 1;
    let (process, id) = (call.process(), timer_id(call)?);
    let [interval, value]: [[i64; 2]; 2] = user::read(call.word(2))?;
    let (interval, value) = (nanoseconds(interval)?, nanoseconds(value)?);
    let base = base_of(process, id)?;
    let now = time(process, base);
    let next = match base {
        _ if value == 0 => None,
        _ if call.uint(1) & ABSTIME == 0 => Some(now.saturating_add(value)),
        Base::Cpu | Base::User => Some(value),
        Base::Wall(clock) => Some(now.saturating_add(value).saturating_sub(clock::nanoseconds(clock))),
    };
    // Setting it forgets a signal that it sent before.
    signal::remove_timer(process, id.unsigned_abs());
    let old = set(process, id, next, interval).ok_or(Errno::EINVAL)?;
    if call.word(3) != 0 {
        user::write(call.word(3), &itimerspec(old))?;
    }
    Ok(0)
}

/// timer_gettime(2).
///
/// # Errors
/// As the manual page says.
pub fn timer_gettime(call: &mut Call<'_>) -> Result<u64> {
    let left = show(call.process(), timer_id(call)?)?;
    user::write(call.word(1), &itimerspec(left))?;
    Ok(0)
}

/// timer_getoverrun(2).
///
/// # Errors
/// `EINVAL`.
pub fn timer_getoverrun(call: &mut Call<'_>) -> Result<u64> {
    let name = Name { pid: call.process().pid, id: timer_id(call)? };
    SCHEDULE.lock().timers.get(&name).map(|t| t.last_overrun.into()).ok_or(Errno::EINVAL)
}

/// timer_delete(2).
///
/// # Errors
/// `EINVAL`.
pub fn timer_delete(call: &mut Call<'_>) -> Result<u64> {
    let id = timer_id(call)?;
    let name = Name { pid: call.process().pid, id };
    change(|schedule| schedule.remove(name)).ok_or(Errno::EINVAL)?;
    signal::remove_timer(call.process(), id.unsigned_abs());
    Ok(0)
}
