//! stat(2) and its relatives; access(2); readlink(2).

use super::{AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, PathArgument, find};
use crate::call::{Call, done};
use crate::fs::dentry::Dentry;
use crate::fs::file::mode;
use crate::fs::permission::{self, Who};
use crate::fs::{Metadata, dentry_of, device};
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::user;

const AT_STATX_SYNC_TYPE: u32 = 0x6000;

/// Writes a `struct stat`.
fn write_stat(at: usize, m: &Metadata) -> Result<u64> {
    let words: [u64; 18] = [
        m.dev,
        m.ino,
        u64::from(m.nlink),
        u64::from(m.mode) | (u64::from(m.uid) << 32),
        u64::from(m.gid),
        m.rdev,
        m.size,
        u64::from(m.blksize),
        m.blocks,
        m.atime[0].cast_unsigned(),
        m.atime[1].cast_unsigned(),
        m.mtime[0].cast_unsigned(),
        m.mtime[1].cast_unsigned(),
        m.ctime[0].cast_unsigned(),
        m.ctime[1].cast_unsigned(),
        0,
        0,
        0,
    ];
    user::write(at, &words)?;
    Ok(0)
}

fn metadata_at(call: &Call<'_>, fd: i32, path: &[u8], flags: u32) -> Result<Metadata> {
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 && fd != AT_FDCWD {
        return call.process().files.get(fd)?.ops.metadata();
    }
    super::find_at(call, fd, path, flags)?.inode.metadata()
}

/// stat(2).
///
/// # Errors
/// As the manual page says.
pub fn stat(call: &mut Call<'_>) -> Result<u64> {
    let path = PathArgument::read(call, 0)?;
    let meta = find(call, AT_FDCWD, &path, true)?.inode.metadata()?;
    write_stat(call.word(1), &meta)
}

/// lstat(2).
///
/// # Errors
/// As the manual page says.
pub fn lstat(call: &mut Call<'_>) -> Result<u64> {
    let path = PathArgument::read(call, 0)?;
    let meta = find(call, AT_FDCWD, &path, false)?.inode.metadata()?;
    write_stat(call.word(1), &meta)
}

/// fstat(2).
///
/// # Errors
/// As the manual page says.
pub fn fstat(call: &mut Call<'_>) -> Result<u64> {
    let meta = call.any_file(0)?.ops.metadata()?;
    write_stat(call.word(1), &meta)
}

/// newfstatat(2).
///
/// # Errors
/// As the manual page says.
pub fn newfstatat(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.uint(3);
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = path_or_empty(call, 1, flags)?;
    let meta = metadata_at(call, call.int(0), &path, flags)?;
    write_stat(call.word(2), &meta)
}

/// The path of argument `index`; with `AT_EMPTY_PATH` a null pointer is an empty path.
fn path_or_empty(call: &Call<'_>, index: usize, flags: u32) -> Result<PathArgument> {
    if flags & AT_EMPTY_PATH != 0 && call.word(index) == 0 {
        return Ok(PathArgument::empty());
    }
    PathArgument::read(call, index)
}

/// statx(2).
///
/// # Errors
/// As the manual page says.
pub fn statx(call: &mut Call<'_>) -> Result<u64> {
    const BASIC_AND_BIRTH: u32 = 0xfff;
    const RESERVED: u32 = 0x8000_0000;
    const MOUNT_ROOT: u64 = 0x2000;
    let (flags, mask) = (call.uint(2), call.uint(3));
    let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
    if flags & !known != 0 || mask & RESERVED != 0 || flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE {
        return Err(Errno::EINVAL);
    }
    let path = path_or_empty(call, 1, flags)?;
    let fd = call.int(0);
    let (m, is_root) = if path.is_empty() && flags & AT_EMPTY_PATH != 0 && fd != AT_FDCWD {
        let file = call.process().files.get(fd)?;
        (file.ops.metadata()?, dentry_of(&file).is_some_and(|d| d.is_mount_root()))
    } else {
        let dentry = super::find_at(call, fd, &path, flags)?;
        (dentry.inode.metadata()?, dentry.is_mount_root())
    };
    let mut words = [0u64; 32];
    let time = |t: [i64; 2]| [t[0].cast_unsigned(), t[1].cast_unsigned() & 0xffff_ffff];
    let device = |number: u64| {
        let (major, minor) = device::parts(number);
        major | (minor << 32)
    };
    words[0] = u64::from(BASIC_AND_BIRTH) | (u64::from(m.blksize) << 32);
    words[1] = if is_root { MOUNT_ROOT } else { 0 };
    words[2] = u64::from(m.nlink) | (u64::from(m.uid) << 32);
    words[3] = u64::from(m.gid) | (u64::from(m.mode & 0xffff) << 32);
    words[4] = m.ino;
    words[5] = m.size;
    words[6] = m.blocks;
    words[7] = MOUNT_ROOT;
    for (at, value) in [(8, m.atime), (10, m.btime), (12, m.ctime), (14, m.mtime)] {
        if let Some(slot) = words.get_mut(at..at + 2) {
            slot.copy_from_slice(&time(value));
        }
    }
    words[16] = device(m.rdev);
    words[17] = device(m.dev);
    user::write(call.word(4), &words)?;
    Ok(0)
}

/// Checks access as access(2) does: by the real ids unless `flags` ask for the effective ones.
fn check_access(call: &Call<'_>, dentry: &Arc<Dentry>, wanted: u32, flags: u32) -> Result<u64> {
    let bits = dentry.inode.mode();
    let kind = bits & mode::S_IFMT;
    let data = matches!(kind, mode::S_IFREG | mode::S_IFDIR | mode::S_IFLNK);
    let identity = call.process().identity.lock();
    let who = if flags & AT_EACCESS != 0 {
        Who { uid: identity.fsuid, gid: identity.fsgid, groups: &identity.groups }
    } else {
        Who { uid: identity.uid, gid: identity.gid, groups: &identity.groups }
    };
    if !permission::is_allowed(&who, bits, dentry.inode.owner(), wanted) {
        return Err(Errno::EACCES);
    }
    let refused = wanted & permission::WRITE != 0 && dentry.mount.read_only && data;
    if refused { Err(Errno::EROFS) } else { Ok(0) }
}

fn access_at(call: &Call<'_>, fd: i32, path_at: usize, wanted: u32, flags: u32) -> Result<u64> {
    if wanted & !7 != 0 || flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = PathArgument::read(call, path_at)?;
    let dentry = match super::find_at(call, fd, &path, flags) {
        // A pipe or socket, by its descriptor.
        Err(Errno::ENOENT) if path.is_empty() && flags & AT_EMPTY_PATH != 0 => return Ok(0),
        found => found?,
    };
    check_access(call, &dentry, wanted, flags)
}

/// access(2).
///
/// # Errors
/// As the manual page says.
pub fn access(call: &mut Call<'_>) -> Result<u64> {
    access_at(call, AT_FDCWD, 0, call.uint(1), 0)
}

/// faccessat(2), which has no flags.
///
/// # Errors
/// As the manual page says.
pub fn faccessat(call: &mut Call<'_>) -> Result<u64> {
    access_at(call, call.int(0), 1, call.uint(2), 0)
}

/// faccessat2(2).
///
/// # Errors
/// As the manual page says.
pub fn faccessat2(call: &mut Call<'_>) -> Result<u64> {
    access_at(call, call.int(0), 1, call.uint(2), call.uint(3))
}

fn read_link(call: &Call<'_>, fd: i32, path_at: usize, at: usize, size: i32) -> Result<u64> {
    let size = usize::try_from(size).ok().filter(|s| *s > 0).ok_or(Errno::EINVAL)?;
    let path = PathArgument::read(call, path_at)?;
    let dentry = if path.is_empty() {
        // An O_PATH descriptor of the link itself.
        super::find_at(call, fd, &path, AT_EMPTY_PATH)?
    } else {
        find(call, fd, &path, false)?
    };
    if dentry.inode.kind() != mode::S_IFLNK {
        return Err(if path.is_empty() { Errno::ENOENT } else { Errno::EINVAL });
    }
    let target = dentry.inode.read_link(&dentry)?;
    let part = target.get(..target.len().min(size)).unwrap_or(&target);
    user::write_bytes(at, part)?;
    done(part.len())
}

/// readlink(2).
///
/// # Errors
/// As the manual page says.
pub fn readlink(call: &mut Call<'_>) -> Result<u64> {
    if PathArgument::read(call, 0)?.is_empty() {
        return Err(Errno::ENOENT);
    }
    read_link(call, AT_FDCWD, 0, call.word(1), call.int(2))
}

/// readlinkat(2).
///
/// # Errors
/// As the manual page says.
pub fn readlinkat(call: &mut Call<'_>) -> Result<u64> {
    read_link(call, call.int(0), 1, call.word(2), call.int(3))
}
