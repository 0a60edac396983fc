//! prctl(2) and personality(2).

use super::{MACHINE_CHECK, capability, seccomp};
use crate::call::{Call, done};
use crate::{Errno, Result};
use core::sync::atomic::Ordering;
use postern_pal::user;

mod option {
    pub const SET_PDEATHSIG: u32 = 1;
    pub const GET_PDEATHSIG: u32 = 2;
    pub const GET_DUMPABLE: u32 = 3;
    pub const SET_DUMPABLE: u32 = 4;
    pub const GET_UNALIGN: u32 = 5;
    pub const GET_KEEPCAPS: u32 = 7;
    pub const SET_KEEPCAPS: u32 = 8;
    pub const GET_TIMING: u32 = 13;
    pub const SET_TIMING: u32 = 14;
    pub const SET_NAME: u32 = 15;
    pub const GET_NAME: u32 = 16;
    pub const GET_SECCOMP: u32 = 21;
    pub const SET_SECCOMP: u32 = 22;
    pub const CAPBSET_READ: u32 = 23;
    pub const CAPBSET_DROP: u32 = 24;
    pub const GET_TSC: u32 = 25;
    pub const SET_TSC: u32 = 26;
    pub const GET_SECUREBITS: u32 = 27;
    pub const SET_SECUREBITS: u32 = 28;
    pub const SET_TIMERSLACK: u32 = 29;
    pub const GET_TIMERSLACK: u32 = 30;
    pub const TASK_PERF_EVENTS_DISABLE: u32 = 31;
    pub const TASK_PERF_EVENTS_ENABLE: u32 = 32;
    pub const MCE_KILL: u32 = 33;
    pub const MCE_KILL_GET: u32 = 34;
    pub const SET_MM: u32 = 35;
    pub const SET_CHILD_SUBREAPER: u32 = 36;
    pub const GET_CHILD_SUBREAPER: u32 = 37;
    pub const SET_NO_NEW_PRIVS: u32 = 38;
    pub const GET_NO_NEW_PRIVS: u32 = 39;
    pub const GET_TID_ADDRESS: u32 = 40;
    pub const SET_THP_DISABLE: u32 = 41;
    pub const GET_THP_DISABLE: u32 = 42;
    pub const CAP_AMBIENT: u32 = 47;
    pub const SET_IO_FLUSHER: u32 = 57;
    pub const GET_IO_FLUSHER: u32 = 58;
    pub const GET_AUXV: u32 = 0x4155_5856;
    pub const SET_VMA: u32 = 0x5356_4d41;
}

fn answer(value: u32) -> Result<u64> {
    Ok(value.into())
}

/// Writes an `int` to the address that argument `index` is.
fn put(call: &Call<'_>, index: usize, value: u32) -> Result<u64> {
    user::write(call.word(index), &value)?;
    Ok(0)
}

/// Refuses calls whose unused arguments are not 0, where Linux does.
fn unused(call: &Call<'_>, from: usize) -> Result<()> {
    if (from..5).all(|i| call.raw(i) == 0) { Ok(()) } else { Err(Errno::EINVAL) }
}

fn set_name(call: &Call<'_>) -> Result<u64> {
    let mut name = [0u8; 16];
    let mut at = call.word(1);
    for slot in name.iter_mut().take(15) {
        let byte: u8 = user::read(at)?;
        if byte == 0 {
            break;
        }
        *slot = byte;
        at = at.wrapping_add(1);
    }
    *call.thread.name.lock() = name;
    Ok(0)
}

/// `PR_MCE_KILL`: kept for reading back.
fn machine_check(call: &Call<'_>) -> Result<u64> {
    const CLEAR: u64 = 0;
    const SET: u64 = 1;
    unused(call, 3)?;
    let new = match (call.raw(1), call.raw(2)) {
        (CLEAR, 0) => MACHINE_CHECK,
        (SET, 0..=2) => call.uint(2),
        _ => return Err(Errno::EINVAL),
    };
    call.process().settings.machine_check.store(new, Ordering::Relaxed);
    Ok(0)
}

/// `PR_GET_AUXV`.
fn auxiliary(call: &Call<'_>) -> Result<u64> {
    unused(call, 3)?;
    let vector = call.process().program.lock().auxiliary.clone();
    user::write_bytes(call.word(1), vector.get(..call.word(2).min(vector.len())).unwrap_or(&[]))?;
    done(vector.len())
}

/// prctl(2). What is missing answers `EINVAL`, as a kernel without it does.
///
/// # Errors
/// As the manual page says.
pub fn prctl(call: &mut Call<'_>) -> Result<u64> {
    use option as o;
    let (process, thread) = (&call.thread.process, call.thread);
    let (own, of_process) = (&thread.settings, &process.settings);
    let value = call.uint(1);
    match call.uint(0) {
        o::SET_NAME => set_name(call),
        o::GET_NAME => {
            let name = *thread.name.lock();
            user::write_bytes(call.word(1), &name)?;
            Ok(0)
        }
        o::SET_PDEATHSIG if call.raw(1) > 64 => Err(Errno::EINVAL),
        o::SET_PDEATHSIG => {
            process.parent_death_signal.store(value, Ordering::Relaxed);
            Ok(0)
        }
        o::GET_PDEATHSIG => put(call, 1, process.parent_death_signal.load(Ordering::Relaxed)),
        o::GET_DUMPABLE => answer(of_process.dumpable.load(Ordering::Relaxed)),
        o::SET_DUMPABLE if call.raw(1) > 1 => Err(Errno::EINVAL),
        o::SET_DUMPABLE => {
            of_process.dumpable.store(value, Ordering::Relaxed);
            Ok(0)
        }
        o::GET_KEEPCAPS => answer(u32::from(capability::keeps(&process.identity.lock()))),
        o::SET_KEEPCAPS => capability::keep(call),
        // Statistical timing; no filter.
        o::GET_TIMING => Ok(0),
        o::GET_SECCOMP => answer(own.seccomp.state().0),
        o::SET_SECCOMP => seccomp::set(call),
        o::SET_TIMING if call.raw(1) == 0 => Ok(0),
        o::CAPBSET_READ => capability::read_bounding(call),
        o::CAPBSET_DROP => capability::drop_bounding(call),
        o::GET_SECUREBITS => answer(process.identity.lock().capabilities.secure_bits),
        o::SET_SECUREBITS => capability::set_secure_bits(call),
        o::CAP_AMBIENT => capability::ambient(call),
        // The time stamp counter can be read.
        o::GET_TSC => put(call, 1, 1),
        o::SET_TSC if call.raw(1) == 1 => Ok(0),
        o::GET_UNALIGN => Err(Errno::EINVAL),
        o::SET_TIMERSLACK => {
            own.set_timer_slack(call.raw(1));
            Ok(0)
        }
        o::GET_TIMERSLACK => Ok(own.timer_slack.load(Ordering::Relaxed)),
        o::SET_CHILD_SUBREAPER => {
            process.subreaper.store(u32::from(call.raw(1) != 0), Ordering::Relaxed);
            Ok(0)
        }
        o::GET_CHILD_SUBREAPER => put(call, 1, process.subreaper.load(Ordering::Relaxed)),
        o::SET_NO_NEW_PRIVS => {
            unused(call, 2)?;
            if call.raw(1) != 1 {
                return Err(Errno::EINVAL);
            }
            own.no_new_privileges.store(1, Ordering::Relaxed);
            Ok(0)
        }
        o::GET_NO_NEW_PRIVS => {
            unused(call, 1)?;
            answer(own.no_new_privileges.load(Ordering::Relaxed))
        }
        o::GET_TID_ADDRESS => {
            user::write(call.word(1), &thread.clear_child_tid.load(Ordering::Relaxed))?;
            Ok(0)
        }
        o::SET_THP_DISABLE => {
            unused(call, 2)?;
            of_process.huge_pages_off.store(u32::from(call.raw(1) != 0), Ordering::Relaxed);
            Ok(0)
        }
        o::GET_THP_DISABLE => {
            unused(call, 1)?;
            answer(of_process.huge_pages_off.load(Ordering::Relaxed))
        }
        // Nobody counts events here, and who is to be told of broken memory is up to the host.
        o::TASK_PERF_EVENTS_DISABLE | o::TASK_PERF_EVENTS_ENABLE => Ok(0),
        o::MCE_KILL => machine_check(call),
        o::MCE_KILL_GET => {
            unused(call, 1)?;
            answer(of_process.machine_check.load(Ordering::Relaxed))
        }
        o::SET_MM | o::SET_IO_FLUSHER | o::GET_IO_FLUSHER => Err(Errno::EPERM),
        o::GET_AUXV => auxiliary(call),
        // The name of a mapping is only for people who read maps.
        o::SET_VMA if call.raw(1) == 0 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// personality(2). The bits are kept for reading back; addresses are always random here.
///
/// # Errors
/// None.
pub fn personality(call: &mut Call<'_>) -> Result<u64> {
    const ASK: u32 = 0xffff_ffff;
    let stored = &call.process().settings.personality;
    let old = match call.uint(0) {
        ASK => stored.load(Ordering::Relaxed),
        new => stored.swap(new, Ordering::Relaxed),
    };
    Ok(old.into())
}
