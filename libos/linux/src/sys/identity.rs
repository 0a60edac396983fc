//! User and group ids, as credentials(7). They mean something inside the family only: an app that runs as user 0 there
//! has no rights on the host.

use super::capability::cap;
use crate::call::Call;
use crate::task::Process;
use crate::task::process::Identity;
use crate::{Errno, Result};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use postern_pal::user;

/// "Leave it as it is".
const KEEP: u32 = u32::MAX;
/// `NGROUPS_MAX`.
const MAX_GROUPS: usize = 65536;

/// Whether `caller` may look into `target`, as ptrace(2) has it: all ids of the other are its own, and the other did not
/// forbid it.
#[must_use]
pub fn may_trace(caller: &Process, target: &Process) -> bool {
    if caller.pid == target.pid {
        return true;
    }
    let (uid, gid, privileged) = {
        let own = caller.identity.lock();
        (own.uid, own.gid, own.may(cap::SYS_PTRACE))
    };
    let other = target.identity.lock();
    let same =
        [other.uid, other.euid, other.suid] == [uid; 3] && [other.gid, other.egid, other.sgid] == [gid; 3];
    privileged || same && target.settings.dumpable.load(Ordering::Relaxed) == 1
}

fn with<T>(call: &Call<'_>, f: impl FnOnce(&mut Identity) -> T) -> T {
    f(&mut call.process().identity.lock())
}

/// getuid(2).
///
/// # Errors
/// None.
pub fn getuid(call: &mut Call<'_>) -> Result<u64> {
    Ok(with(call, |i| i.uid).into())
}

/// geteuid(2).
///
/// # Errors
/// None.
pub fn geteuid(call: &mut Call<'_>) -> Result<u64> {
    Ok(with(call, |i| i.euid).into())
}

/// getgid(2).
///
/// # Errors
/// None.
pub fn getgid(call: &mut Call<'_>) -> Result<u64> {
    Ok(with(call, |i| i.gid).into())
}

/// getegid(2).
///
/// # Errors
/// None.
pub fn getegid(call: &mut Call<'_>) -> Result<u64> {
    Ok(with(call, |i| i.egid).into())
}

/// Real, effective, saved and file-system id: of the user or of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    real: u32,
    effective: u32,
    saved: u32,
    fs: u32,
}

impl Ids {
    fn has(self, id: u32) -> bool {
        id == self.real || id == self.effective || id == self.saved
    }

    /// setuid(2), setgid(2).
    fn set(self, id: u32, privileged: bool) -> Result<Self> {
        if id == KEEP {
            return Err(Errno::EINVAL);
        }
        if privileged {
            return Ok(Self { real: id, effective: id, saved: id, fs: id });
        }
        if id != self.real && id != self.saved {
            return Err(Errno::EPERM);
        }
        Ok(Self { effective: id, fs: id, ..self })
    }

    /// setreuid(2), setregid(2).
    fn set_two(self, real: u32, effective: u32, privileged: bool) -> Result<Self> {
        let may_real = real == KEEP || real == self.real || real == self.effective;
        let may_effective = effective == KEEP || self.has(effective);
        if !(privileged || may_real && may_effective) {
            return Err(Errno::EPERM);
        }
        let mut new = self;
        if real != KEEP {
            new.real = real;
        }
        if effective != KEEP {
            new.effective = effective;
        }
        if real != KEEP || (effective != KEEP && effective != self.real) {
            new.saved = new.effective;
        }
        new.fs = new.effective;
        Ok(new)
    }

    /// setresuid(2), setresgid(2).
    fn set_three(self, real: u32, effective: u32, saved: u32, privileged: bool) -> Result<Self> {
        let may = |id: u32| id == KEEP || self.has(id);
        if !(privileged || may(real) && may(effective) && may(saved)) {
            return Err(Errno::EPERM);
        }
        let pick = |new: u32, old: u32| if new == KEEP { old } else { new };
        let effective = pick(effective, self.effective);
        Ok(Self { real: pick(real, self.real), effective, saved: pick(saved, self.saved), fs: effective })
    }

    fn of_user(i: &Identity) -> Self {
        Self { real: i.uid, effective: i.euid, saved: i.suid, fs: i.fsuid }
    }

    fn of_group(i: &Identity) -> Self {
        Self { real: i.gid, effective: i.egid, saved: i.sgid, fs: i.fsgid }
    }
}

fn change_user(call: &Call<'_>, f: impl FnOnce(Ids, bool) -> Result<Ids>) -> Result<u64> {
    with(call, |i| {
        let new = f(Ids::of_user(i), i.may(cap::SETUID))?;
        let old = [i.uid, i.euid, i.suid];
        i.capabilities.change_user(old, [new.real, new.effective, new.saved]);
        (i.uid, i.euid, i.suid, i.fsuid) = (new.real, new.effective, new.saved, new.fs);
        Ok(0)
    })
}

fn change_group(call: &Call<'_>, f: impl FnOnce(Ids, bool) -> Result<Ids>) -> Result<u64> {
    with(call, |i| {
        let new = f(Ids::of_group(i), i.may(cap::SETGID))?;
        (i.gid, i.egid, i.sgid, i.fsgid) = (new.real, new.effective, new.saved, new.fs);
        Ok(0)
    })
}

/// setuid(2).
///
/// # Errors
/// As the manual page says.
pub fn setuid(call: &mut Call<'_>) -> Result<u64> {
    change_user(call, |ids, privileged| ids.set(call.uint(0), privileged))
}

/// setgid(2).
///
/// # Errors
/// As the manual page says.
pub fn setgid(call: &mut Call<'_>) -> Result<u64> {
    change_group(call, |ids, privileged| ids.set(call.uint(0), privileged))
}

/// setreuid(2).
///
/// # Errors
/// As the manual page says.
pub fn setreuid(call: &mut Call<'_>) -> Result<u64> {
    change_user(call, |ids, privileged| ids.set_two(call.uint(0), call.uint(1), privileged))
}

/// setregid(2).
///
/// # Errors
/// As the manual page says.
pub fn setregid(call: &mut Call<'_>) -> Result<u64> {
    change_group(call, |ids, privileged| ids.set_two(call.uint(0), call.uint(1), privileged))
}

/// setresuid(2).
///
/// # Errors
/// As the manual page says.
pub fn setresuid(call: &mut Call<'_>) -> Result<u64> {
    change_user(call, |ids, privileged| ids.set_three(call.uint(0), call.uint(1), call.uint(2), privileged))
}

/// setresgid(2).
///
/// # Errors
/// As the manual page says.
pub fn setresgid(call: &mut Call<'_>) -> Result<u64> {
    change_group(call, |ids, privileged| ids.set_three(call.uint(0), call.uint(1), call.uint(2), privileged))
}

fn write_three(call: &Call<'_>, ids: Ids) -> Result<u64> {
    for (i, id) in [ids.real, ids.effective, ids.saved].iter().enumerate() {
        user::write(call.word(i), id)?;
    }
    Ok(0)
}

/// getresuid(2).
///
/// # Errors
/// `EFAULT`.
pub fn getresuid(call: &mut Call<'_>) -> Result<u64> {
    let ids = with(call, |i| Ids::of_user(i));
    write_three(call, ids)
}

/// getresgid(2).
///
/// # Errors
/// `EFAULT`.
pub fn getresgid(call: &mut Call<'_>) -> Result<u64> {
    let ids = with(call, |i| Ids::of_group(i));
    write_three(call, ids)
}

/// setfsuid(2): returns the old id, whether it worked or not.
///
/// # Errors
/// None.
pub fn setfsuid(call: &mut Call<'_>) -> Result<u64> {
    let id = call.uint(0);
    with(call, |i| {
        let old = i.fsuid;
        if id != KEEP && (i.may(cap::SETUID) || Ids::of_user(i).has(id) || id == old) {
            i.fsuid = id;
        }
        Ok(old.into())
    })
}

/// setfsgid(2): returns the old id, whether it worked or not.
///
/// # Errors
/// None.
pub fn setfsgid(call: &mut Call<'_>) -> Result<u64> {
    let id = call.uint(0);
    with(call, |i| {
        let old = i.fsgid;
        if id != KEEP && (i.may(cap::SETGID) || Ids::of_group(i).has(id) || id == old) {
            i.fsgid = id;
        }
        Ok(old.into())
    })
}

/// getgroups(2).
///
/// # Errors
/// As the manual page says.
pub fn getgroups(call: &mut Call<'_>) -> Result<u64> {
    let room = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    let groups = with(call, |i| i.groups.clone());
    if room != 0 {
        if room < groups.len() {
            return Err(Errno::EINVAL);
        }
        let bytes: Vec<u8> = groups.iter().flat_map(|g| g.to_le_bytes()).collect();
        user::write_bytes(call.word(1), &bytes)?;
    }
    crate::call::done(groups.len())
}

/// setgroups(2).
///
/// # Errors
/// As the manual page says.
pub fn setgroups(call: &mut Call<'_>) -> Result<u64> {
    if !with(call, |i| i.may(cap::SETGID)) {
        return Err(Errno::EPERM);
    }
    let count = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    if count > MAX_GROUPS {
        return Err(Errno::EINVAL);
    }
    let mut bytes = alloc::vec![0u8; count * 4];
    user::read_bytes(call.word(1), &mut bytes)?;
    let groups = bytes.chunks_exact(4).filter_map(|b| <[u8; 4]>::try_from(b).ok()).map(u32::from_le_bytes);
    let groups = groups.collect();
    with(call, |i| i.groups = groups);
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids { real: 1000, effective: 1000, saved: 1000, fs: 1000 };

    #[test]
    fn users_may_only_swap_the_ids_they_have() {
        assert_eq!(IDS.set(0, false), Err(Errno::EPERM));
        assert_eq!(IDS.set(KEEP, true), Err(Errno::EINVAL));
        let ids = Ids { saved: 7, ..IDS };
        assert_eq!(ids.set(7, false), Ok(Ids { effective: 7, fs: 7, ..ids }));
        assert_eq!(ids.set_three(KEEP, 7, KEEP, false), Ok(Ids { effective: 7, fs: 7, ..ids }));
        assert_eq!(ids.set_three(5, KEEP, KEEP, false), Err(Errno::EPERM));
    }

    #[test]
    fn the_super_user_gives_up_all_ids_at_once() {
        let root = Ids { real: 0, effective: 0, saved: 0, fs: 0 };
        assert_eq!(root.set(5, true), Ok(Ids { real: 5, effective: 5, saved: 5, fs: 5 }));
    }

    #[test]
    fn setreuid_saves_a_new_effective_id() {
        let ids = Ids { real: 1, effective: 2, saved: 3, fs: 2 };
        assert_eq!(ids.set_two(2, 1, false), Ok(Ids { real: 2, effective: 1, saved: 1, fs: 1 }));
        assert_eq!(ids.set_two(KEEP, 1, false), Ok(Ids { effective: 1, fs: 1, ..ids }));
        assert_eq!(ids.set_two(3, KEEP, false), Err(Errno::EPERM));
    }
}
