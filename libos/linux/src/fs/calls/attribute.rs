//! chmod(2), chown(2), utimensat(2), truncate(2) and their relatives.

use super::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, find};
use crate::call::Call;
use crate::fs::dentry::Dentry;
use crate::fs::file::mode;
use crate::fs::inode::Change;
use crate::fs::inotify::{self, event};
use crate::fs::{OpenFile, dentry_of, lease, permission, size_limit};
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::{clock, user};

fn apply(dentry: &Arc<Dentry>, change: &Change) -> Result<u64> {
    if dentry.mount.read_only {
        return Err(Errno::EROFS);
    }
    dentry.inode.set_attributes(dentry, change)?;
    if dentry.is_directory() && (change.mode.is_some() || change.uid.is_some() || change.gid.is_some()) {
        dentry.mount.changed();
    }
    inotify::file(dentry, if change.size.is_some() { event::MODIFY } else { event::ATTRIB });
    Ok(0)
}

/// The place of the open file `fd`; pipes and the like have none.
fn place(call: &Call<'_>, index: usize) -> Result<Option<Arc<Dentry>>> {
    let file = call.file(index)?;
    let dentry = dentry_of(&file);
    if dentry.is_none() {
        changeable(&file)?;
    }
    Ok(dentry)
}

/// Checks that attributes of a file without a place can be changed: of pipes and sockets they can, for nothing.
fn changeable(file: &OpenFile) -> Result<()> {
    if file.ops.metadata()?.mode & mode::S_IFMT == 0 { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
}

fn change_mode(call: &Call<'_>, dentry: &Arc<Dentry>, bits: u32) -> Result<u64> {
    if dentry.inode.kind() == mode::S_IFLNK {
        return Err(Errno::EOPNOTSUPP);
    }
    permission::check_owner(call.process(), &*dentry.inode)?;
    apply(dentry, &Change { mode: Some(bits & 0o7777), ..Change::default() })
}

/// chmod(2).
///
/// # Errors
/// As the manual page says.
pub fn chmod(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(0)?;
    let dentry = find(call, AT_FDCWD, &path, true)?;
    change_mode(call, &dentry, call.uint(1))
}

/// fchmod(2).
///
/// # Errors
/// As the manual page says.
pub fn fchmod(call: &mut Call<'_>) -> Result<u64> {
    match place(call, 0)? {
        Some(dentry) => change_mode(call, &dentry, call.uint(1)),
        None => Ok(0),
    }
}

/// fchmodat(2), which has no flags.
///
/// # Errors
/// As the manual page says.
pub fn fchmodat(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(1)?;
    let dentry = find(call, call.int(0), &path, true)?;
    change_mode(call, &dentry, call.uint(2))
}

/// fchmodat2(2).
///
/// # Errors
/// As the manual page says.
pub fn fchmodat2(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.uint(3);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = call.path(1)?;
    let dentry = super::find_at(call, call.int(0), &path, flags)?;
    change_mode(call, &dentry, call.uint(2))
}

fn change_owner(call: &Call<'_>, dentry: &Arc<Dentry>, uid: u32, gid: u32) -> Result<u64> {
    let [old_uid, old_gid] = dentry.inode.owner();
    let wanted = |id: u32| (id != u32::MAX).then_some(id);
    let (uid, gid) = (wanted(uid), wanted(gid));
    {
        let identity = call.process().identity.lock();
        let is_owner = identity.fsuid == old_uid;
        let root = identity.fsuid == 0;
        let uid_fine = uid.is_none_or(|u| u == old_uid && is_owner);
        let in_group = |g: u32| g == old_gid || g == identity.fsgid || identity.groups.contains(&g);
        let gid_fine = gid.is_none_or(|g| is_owner && in_group(g));
        if !(root || uid_fine && gid_fine) {
            return Err(Errno::EPERM);
        }
    }
    let mut change = Change { uid, gid, ..Change::default() };
    let bits = dentry.inode.mode();
    // As Linux does: a new owner does not inherit set-id bits.
    if bits & mode::S_IFMT == mode::S_IFREG && bits & 0o6000 != 0 && (uid.is_some() || gid.is_some()) {
        let keep_group = bits & 0o2010 == 0o2000;
        change.mode = Some(bits & 0o7777 & !(0o4000 | if keep_group { 0 } else { 0o2000 }));
    }
    apply(dentry, &change)
}

/// chown(2).
///
/// # Errors
/// As the manual page says.
pub fn chown(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(0)?;
    let dentry = find(call, AT_FDCWD, &path, true)?;
    change_owner(call, &dentry, call.uint(1), call.uint(2))
}

/// lchown(2).
///
/// # Errors
/// As the manual page says.
pub fn lchown(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(0)?;
    let dentry = find(call, AT_FDCWD, &path, false)?;
    change_owner(call, &dentry, call.uint(1), call.uint(2))
}

/// fchown(2).
///
/// # Errors
/// As the manual page says.
pub fn fchown(call: &mut Call<'_>) -> Result<u64> {
    match place(call, 0)? {
        Some(dentry) => change_owner(call, &dentry, call.uint(1), call.uint(2)),
        None => Ok(0),
    }
}

/// fchownat(2).
///
/// # Errors
/// As the manual page says.
pub fn fchownat(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.uint(4);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = call.path(1)?;
    let dentry = super::find_at(call, call.int(0), &path, flags)?;
    change_owner(call, &dentry, call.uint(2), call.uint(3))
}

/// Times as the calls give them: access and modification time; `None`: now for both.
type Times = Option<[[i64; 2]; 2]>;

const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;

fn change_times(call: &Call<'_>, dentry: &Arc<Dentry>, times: Times) -> Result<u64> {
    // The exact time: the host's file systems may be more exact than the coarse clock, and time must not go back.
    let now = clock::read(clock::id::REALTIME)?;
    let [atime, mtime] = times.unwrap_or([[0, UTIME_NOW]; 2]);
    for [_, nanos] in [atime, mtime] {
        if !(0..1_000_000_000).contains(&nanos) && nanos != UTIME_NOW && nanos != UTIME_OMIT {
            return Err(Errno::EINVAL);
        }
    }
    if atime[1] == UTIME_OMIT && mtime[1] == UTIME_OMIT {
        return Ok(0);
    }
    let both_now = atime[1] == UTIME_NOW && mtime[1] == UTIME_NOW;
    match permission::check_owner(call.process(), &*dentry.inode) {
        // Whoever may write may set both to the present time.
        Err(_) if both_now => permission::check(call.process(), &*dentry.inode, permission::WRITE)?,
        checked => checked?,
    }
    if dentry.mount.read_only {
        return Err(Errno::EROFS);
    }
    let value = |[seconds, nanos]: [i64; 2]| match nanos {
        UTIME_NOW => Some(now),
        UTIME_OMIT => None,
        _ => Some([seconds, nanos]),
    };
    apply(dentry, &Change { atime: value(atime), mtime: value(mtime), ..Change::default() })
}

/// Reads two pairs of 64-bit numbers.
fn read_times(at: usize, scale: i64) -> Result<Times> {
    if at == 0 {
        return Ok(None);
    }
    let [a, b, c, d]: [i64; 4] = user::read(at)?;
    if scale != 1 && [b, d].iter().any(|v| !(0..1_000_000).contains(v)) {
        return Err(Errno::EINVAL);
    }
    Ok(Some([[a, b * scale], [c, d * scale]]))
}

/// utime(2).
///
/// # Errors
/// As the manual page says.
pub fn utime(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(0)?;
    let times = match call.word(1) {
        0 => None,
        at => {
            let [a, m]: [i64; 2] = user::read(at)?;
            Some([[a, 0], [m, 0]])
        }
    };
    let dentry = find(call, AT_FDCWD, &path, true)?;
    change_times(call, &dentry, times)
}

/// utimes(2).
///
/// # Errors
/// As the manual page says.
pub fn utimes(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(0)?;
    let times = read_times(call.word(1), 1000)?;
    let dentry = find(call, AT_FDCWD, &path, true)?;
    change_times(call, &dentry, times)
}

/// futimesat(2).
///
/// # Errors
/// As the manual page says.
pub fn futimesat(call: &mut Call<'_>) -> Result<u64> {
    let times = read_times(call.word(2), 1000)?;
    times_at(call, call.int(0), call.word(1), 0, times)
}

fn times_at(call: &Call<'_>, fd: i32, path_at: usize, flags: u32, times: Times) -> Result<u64> {
    // A null path means the descriptor itself: futimens(3).
    if path_at == 0 && fd != AT_FDCWD {
        let file = call.process().files.get(fd)?.more_than_path()?;
        return match dentry_of(&file) {
            Some(dentry) => change_times(call, &dentry, times),
            None => changeable(&file).map(|()| 0),
        };
    }
    let path = call.path(1)?;
    let dentry = super::find_at(call, fd, &path, flags)?;
    change_times(call, &dentry, times)
}

/// utimensat(2).
///
/// # Errors
/// As the manual page says.
pub fn utimensat(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.uint(3);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let times = read_times(call.word(2), 1)?;
    times_at(call, call.int(0), call.word(1), flags, times)
}

fn length(call: &Call<'_>, index: usize) -> Result<u64> {
    u64::try_from(call.long(index)).map_err(|_| Errno::EINVAL)
}

/// truncate(2).
///
/// # Errors
/// As the manual page says.
pub fn truncate(call: &mut Call<'_>) -> Result<u64> {
    let size = length(call, 1)?;
    let path = call.path(0)?;
    let dentry = find(call, AT_FDCWD, &path, true)?;
    match dentry.inode.kind() {
        mode::S_IFREG => {}
        mode::S_IFDIR => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    permission::check(call.process(), &*dentry.inode, permission::WRITE)?;
    lease::break_for(call.thread, &dentry, true, false)?;
    size_limit::check(call.thread, dentry.inode.metadata()?.size, size)?;
    apply(&dentry, &Change { size: Some(size), ..Change::default() })
}

/// ftruncate(2).
///
/// # Errors
/// As the manual page says.
pub fn ftruncate(call: &mut Call<'_>) -> Result<u64> {
    let size = length(call, 1)?;
    let file: Arc<OpenFile> = call.file(0)?;
    if !file.is_writable() {
        return Err(Errno::EINVAL);
    }
    size_limit::check(call.thread, file.ops.size()?, size)?;
    file.ops.truncate(size)?;
    super::vector::told(&file, event::MODIFY, 1);
    Ok(0)
}
