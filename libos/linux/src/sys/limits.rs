//! Resource limits and usage: getrlimit(2), getrusage(2).

use super::capability::cap;
use super::{timer, usage};
use crate::call::Call;
use crate::task::process::{self, Process};
use crate::task::wait::write_usage;
use crate::task::{limits, resource};
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::user;

/// Highest limit on descriptors (`/proc/sys/fs/nr_open`).
const NOFILE_MAX: u64 = 1 << 20;

fn resource(call: &Call<'_>, index: usize) -> Result<usize> {
    usize::try_from(call.uint(index)).ok().filter(|r| *r < limits::COUNT).ok_or(Errno::EINVAL)
}

/// Checks a change of a limit and makes it.
fn set(caller: &Process, target: &Arc<Process>, resource: usize, new: [u64; 2]) -> Result<()> {
    let privileged = caller.identity.lock().may(cap::SYS_RESOURCE);
    target.limits.set(resource, new, |old| check(old, new, resource, privileged))?;
    match resource {
        resource::AS | resource::DATA | resource::MEMLOCK => target.limit_memory(),
        resource::CPU => timer::limit_cpu(target),
        _ => {}
    }
    Ok(())
}

/// Whether `caller` may look at and change the limits of `target`.
fn check_right(caller: &Process, target: &Process) -> Result<()> {
    let (uid, gid, privileged) = {
        let own = caller.identity.lock();
        (own.uid, own.gid, own.may(cap::SYS_RESOURCE))
    };
    let other = target.identity.lock();
    let same =
        [other.uid, other.euid, other.suid] == [uid; 3] && [other.gid, other.egid, other.sgid] == [gid; 3];
    if same || privileged { Ok(()) } else { Err(Errno::EPERM) }
}

fn check([_, old_hard]: [u64; 2], [soft, hard]: [u64; 2], resource: usize, privileged: bool) -> Result<()> {
    if soft > hard {
        return Err(Errno::EINVAL);
    }
    if (resource == resource::NOFILE && hard > NOFILE_MAX) || (hard > old_hard && !privileged) {
        return Err(Errno::EPERM);
    }
    Ok(())
}

/// prlimit64(2).
///
/// # Errors
/// As the manual page says.
pub fn prlimit64(call: &mut Call<'_>) -> Result<u64> {
    let resource = resource(call, 1)?;
    let own = call.process();
    let target: Arc<Process> = match call.uint(0) {
        0 => own.clone(),
        pid => process::find_thread(pid).ok_or(Errno::ESRCH)?.process.clone(),
    };
    if target.pid != own.pid {
        check_right(own, &target)?;
    }
    let old = target.limits.get(resource);
    if call.word(2) != 0 {
        set(own, &target, resource, user::read(call.word(2))?)?;
    }
    if call.word(3) != 0 {
        user::write(call.word(3), &old)?;
    }
    Ok(0)
}

/// getrlimit(2).
///
/// # Errors
/// As the manual page says.
pub fn getrlimit(call: &mut Call<'_>) -> Result<u64> {
    let limit = call.process().limits.get(resource(call, 0)?);
    user::write(call.word(1), &limit)?;
    Ok(0)
}

/// setrlimit(2).
///
/// # Errors
/// As the manual page says.
pub fn setrlimit(call: &mut Call<'_>) -> Result<u64> {
    let new = user::read(call.word(1))?;
    set(call.process(), call.process(), resource(call, 0)?, new)?;
    Ok(0)
}

/// getrusage(2): CPU time.
///
/// # Errors
/// As the manual page says.
pub fn getrusage(call: &mut Call<'_>) -> Result<u64> {
    const SELF: i32 = 0;
    const CHILDREN: i32 = -1;
    const THREAD: i32 = 1;
    let used = match call.int(0) {
        SELF => usage::of_process(call.process()),
        THREAD => usage::of_thread(call.thread),
        CHILDREN => *call.process().used_by_children.lock(),
        _ => return Err(Errno::EINVAL),
    };
    write_usage(call.word(1), &used)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_limits_only_go_down_for_ordinary_users() {
        assert_eq!(check([10, 20], [20, 20], 3, false), Ok(()));
        assert_eq!(check([10, 20], [10, 21], 3, false), Err(Errno::EPERM));
        assert_eq!(check([10, 20], [10, 21], 3, true), Ok(()));
        assert_eq!(check([10, 20], [11, 10], 3, true), Err(Errno::EINVAL));
        assert_eq!(check([10, u64::MAX], [10, NOFILE_MAX + 1], resource::NOFILE, true), Err(Errno::EPERM));
    }
}
