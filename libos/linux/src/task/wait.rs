//! wait4(2) and waitid(2).

use super::process::{self, Status, Usage};
use super::{Process, exit};
use crate::call::Call;
use crate::{Errno, Result, signal, wait};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_pal::user;

const WNOHANG: u32 = 1;
const WUNTRACED: u32 = 2;
const WEXITED: u32 = 4;
const WCONTINUED: u32 = 8;
const WNOWAIT: u32 = 0x100_0000;
/// Children that do not send SIGCHLD when they end, instead of those that do.
const WCLONE: u32 = 0x8000_0000;
/// Both kinds.
const WALL: u32 = 0x4000_0000;
/// Children of the calling thread only, which is not told apart.
const WNOTHREAD: u32 = 0x2000_0000;
const KINDS: u32 = WCLONE | WALL | WNOTHREAD;

/// Which children are meant.
#[derive(Clone, Copy)]
enum Which {
    Any,
    Pid(u32),
    Group(u32),
}

impl Which {
    fn matches(self, child: &Process) -> bool {
        match self {
            Self::Any => true,
            Self::Pid(pid) => child.pid == pid,
            Self::Group(group) => child.group.load(Ordering::Relaxed) == group,
        }
    }
}

struct Found {
    child: Arc<Process>,
    status: Status,
    used: Usage,
}

/// Takes a state change of a matching child, if there is one. `None`: none now. `ECHILD`: no such child.
fn take(parent: &Process, which: Which, options: u32) -> Result<Option<Found>> {
    let _ends = parent.children_end.lock();
    let mut state = parent.state.lock();
    let mut any = false;
    let mut found = None;
    for child in &state.children {
        let is_clone = child.exit_signal.load(Ordering::Relaxed) != signal::sig::CHLD;
        let is_meant = options & WALL != 0 || is_clone == (options & WCLONE != 0);
        if !is_meant || !which.matches(child) {
            continue;
        }
        any = true;
        let mut child_state = child.state.lock();
        if let Some(status) = child_state.exit {
            if options & WEXITED != 0 {
                found = Some((child.clone(), status));
                break;
            }
            continue;
        }
        let wanted = match child_state.job {
            Some(Status::Stopped(_)) => options & WUNTRACED != 0,
            Some(Status::Continued) => options & WCONTINUED != 0,
            _ => false,
        };
        if wanted && let Some(status) = child_state.job {
            if options & WNOWAIT == 0 {
                child_state.job = None;
            }
            drop(child_state);
            return Ok(Some(Found { child: child.clone(), status, used: Usage::default() }));
        }
    }
    let Some((child, status)) = found else { return if any { Ok(None) } else { Err(Errno::ECHILD) } };
    let mut used = *child.used.lock();
    let of_children = *child.used_by_children.lock();
    used.user_ns += of_children.user_ns;
    used.system_ns += of_children.system_ns;
    used.max_rss_kib = used.max_rss_kib.max(of_children.max_rss_kib);
    if options & WNOWAIT == 0 {
        state.children.retain(|c| c.pid != child.pid);
        drop(state);
        process::forget(child.pid);
        let mut total = parent.used_by_children.lock();
        total.user_ns += used.user_ns;
        total.system_ns += used.system_ns;
        total.max_rss_kib = total.max_rss_kib.max(used.max_rss_kib);
    }
    Ok(Some(Found { child, status, used }))
}

fn wait_for(call: &Call<'_>, which: Which, options: u32) -> Result<Option<Found>> {
    let process = call.process();
    if options & WNOHANG != 0 {
        return take(process, which, options);
    }
    wait::block(call.thread, &[&process.changed], None, || match take(process, which, options) {
        Ok(None) => None,
        Ok(found) => Some(Ok(found)),
        Err(errno) => Some(Err(errno)),
    })
}

/// wait4(2).
///
/// # Errors
/// As the manual page says.
pub fn wait4(call: &mut Call<'_>) -> Result<u64> {
    let (pid, status_at, options, usage_at) = (call.int(0), call.word(1), call.uint(2), call.word(3));
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | KINDS) != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match pid {
        -1 => Which::Any,
        0 => Which::Group(call.process().group.load(Ordering::Relaxed)),
        i32::MIN => return Err(Errno::ESRCH),
        pid if pid < 0 => Which::Group(pid.unsigned_abs()),
        pid => Which::Pid(pid.unsigned_abs()),
    };
    let Some(found) = wait_for(call, which, options | WEXITED)? else { return Ok(0) };
    if status_at != 0 {
        user::write(status_at, &exit::wait_status(found.status))?;
    }
    if usage_at != 0 {
        write_usage(usage_at, &found.used)?;
    }
    Ok(u64::from(found.child.pid))
}

/// Writes a `struct rusage`.
///
/// # Errors
/// `EFAULT`.
pub fn write_usage(at: usize, used: &Usage) -> Result<()> {
    let mut words = [0u64; 18];
    let (user_s, system_s) = (used.user_ns / 1000, used.system_ns / 1000);
    words[0] = user_s / 1_000_000;
    words[1] = user_s % 1_000_000;
    words[2] = system_s / 1_000_000;
    words[3] = system_s % 1_000_000;
    words[4] = used.max_rss_kib;
    user::write(at, &words)
}

/// waitid(2).
///
/// # Errors
/// As the manual page says.
pub fn waitid(call: &mut Call<'_>) -> Result<u64> {
    let (kind, id, info_at, options, usage_at) =
        (call.uint(0), call.uint(1), call.word(2), call.uint(3), call.word(4));
    let known = WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | KINDS;
    if options & !known != 0 || options & (WEXITED | WUNTRACED | WCONTINUED) == 0 {
        return Err(Errno::EINVAL);
    }
    let which = match kind {
        0 => Which::Any,
        1 => Which::Pid(id),
        2 if id == 0 => Which::Group(call.process().group.load(Ordering::Relaxed)),
        2 => Which::Group(id),
        3 => Which::Pid(signal::pidfd_process(call.process(), id.cast_signed())?),
        _ => return Err(Errno::EINVAL),
    };
    let found = wait_for(call, which, options)?;
    let mut info = [0u32; 32];
    if let Some(found) = &found {
        let (code, status) = match found.status {
            Status::Exited(code) => (1, u32::from(code)),
            Status::Killed(signal, false) => (2, u32::from(signal)),
            Status::Killed(signal, true) => (3, u32::from(signal)),
            Status::Stopped(signal) => (5, u32::from(signal)),
            Status::Continued => (6, 18),
        };
        info[0] = 17;
        info[2] = code;
        info[4] = found.child.pid;
        info[5] = found.child.identity.lock().uid;
        info[6] = status;
        if usage_at != 0 {
            write_usage(usage_at, &found.used)?;
        }
    }
    if info_at != 0 {
        user::write(info_at, &info)?;
    }
    Ok(0)
}
