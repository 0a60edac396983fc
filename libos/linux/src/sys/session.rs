//! Process ids, process groups and sessions.

use crate::call::Call;
use crate::task::process::{self, Process};
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// getpid(2).
///
/// # Errors
/// None.
pub fn getpid(call: &mut Call<'_>) -> Result<u64> {
    Ok(call.process().pid.into())
}

/// gettid(2).
///
/// # Errors
/// None.
pub fn gettid(call: &mut Call<'_>) -> Result<u64> {
    Ok(call.thread.tid.into())
}

/// getppid(2).
///
/// # Errors
/// None.
pub fn getppid(call: &mut Call<'_>) -> Result<u64> {
    Ok(call.process().parent_pid().into())
}

/// getpgrp(2).
///
/// # Errors
/// None.
pub fn getpgrp(call: &mut Call<'_>) -> Result<u64> {
    Ok(call.process().group.load(Ordering::Relaxed).into())
}

/// The process that a `pid_t` names; 0 is the caller.
fn target(call: &Call<'_>, index: usize) -> Result<Arc<Process>> {
    match call.uint(index) {
        0 => Ok(call.process().clone()),
        pid => process::find(pid).ok_or(Errno::ESRCH),
    }
}

/// Process 1 is nobody here: the leader of its own group and session.
const NOBODY: u32 = 1;

/// getpgid(2).
///
/// # Errors
/// `ESRCH`.
pub fn getpgid(call: &mut Call<'_>) -> Result<u64> {
    if call.uint(0) == NOBODY {
        return Ok(NOBODY.into());
    }
    Ok(target(call, 0)?.group.load(Ordering::Relaxed).into())
}

/// getsid(2).
///
/// # Errors
/// `ESRCH`.
pub fn getsid(call: &mut Call<'_>) -> Result<u64> {
    if call.uint(0) == NOBODY {
        return Ok(NOBODY.into());
    }
    Ok(target(call, 0)?.session.load(Ordering::Relaxed).into())
}

/// setpgid(2).
///
/// # Errors
/// As the manual page says.
pub fn setpgid(call: &mut Call<'_>) -> Result<u64> {
    if call.int(1) < 0 {
        return Err(Errno::EINVAL);
    }
    let own = call.process();
    let target = target(call, 0)?;
    let session = own.session.load(Ordering::Relaxed);
    if target.pid != own.pid {
        let is_child = own.state.lock().children.iter().any(|c| c.pid == target.pid);
        if !is_child {
            return Err(Errno::ESRCH);
        }
        if target.session.load(Ordering::Relaxed) != session {
            return Err(Errno::EPERM);
        }
        if target.has_execed.load(Ordering::Relaxed) != 0 {
            return Err(Errno::EACCES);
        }
    }
    if target.session.load(Ordering::Relaxed) == target.pid {
        return Err(Errno::EPERM);
    }
    let group = if call.uint(1) == 0 { target.pid } else { call.uint(1) };
    let exists = || {
        let in_session = |p: &Arc<Process>| {
            p.group.load(Ordering::Relaxed) == group && p.session.load(Ordering::Relaxed) == session
        };
        process::all().iter().any(in_session)
    };
    if group != target.pid && !exists() {
        return Err(Errno::EPERM);
    }
    target.group.store(group, Ordering::Relaxed);
    Ok(0)
}

/// setsid(2).
///
/// # Errors
/// `EPERM` if the caller leads a process group.
pub fn setsid(call: &mut Call<'_>) -> Result<u64> {
    let process = call.process();
    let pid = process.pid;
    if process::all().iter().any(|p| p.group.load(Ordering::Relaxed) == pid) {
        return Err(Errno::EPERM);
    }
    process.group.store(pid, Ordering::Relaxed);
    process.session.store(pid, Ordering::Relaxed);
    // A new session has no controlling terminal.
    *process.terminal.lock() = None;
    Ok(pid.into())
}
