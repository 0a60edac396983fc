//! open(2) and its relatives.

use super::calls::PathArgument;
use super::dentry::Dentry;
use super::directory::PathFile;
use super::file::{flags, mode};
use super::inode::{Change, Link, New};
use super::inotify::{self, event};
use super::path::{Last, Walk};
use super::{OpenFile, lease, permission};
use crate::call::Call;
use crate::task::{Process, Thread};
use crate::{Errno, Result};
use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_pal::user;

/// The bit that tells `O_TMPFILE` from `O_DIRECTORY`.
const TMPFILE_BIT: u32 = 0o20000000;
/// Everything that open(2) knows.
const KNOWN: u32 = 0o37777703;

/// The directory that relative paths begin at: the working directory, or that of descriptor `fd`.
///
/// # Errors
/// `EBADF`; `ENOTDIR` if `fd` is no directory and the path is relative.
pub fn base(process: &Process, fd: i32, path: &[u8]) -> Result<Arc<Dentry>> {
    const CWD: i32 = -100;
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    if path.first() == Some(&b'/') {
        return super::path::root().cloned();
    }
    if fd == CWD {
        return super::path::working_directory(process);
    }
    let file = process.files.get(fd)?;
    super::dentry_of(&file).filter(|d| d.is_directory()).ok_or(Errno::ENOTDIR)
}

/// User and group of a new file in `dir`, and its mode with the umask applied.
#[must_use]
pub fn ownership(process: &Process, dir: &Dentry, bits: u32) -> (u32, [u32; 2]) {
    let umask = process.fs.umask.load(Ordering::Relaxed);
    let (uid, gid) = {
        let identity = process.identity.lock();
        (identity.fsuid, identity.fsgid)
    };
    let gid = if dir.inode.mode() & 0o2000 != 0 { dir.inode.owner()[1] } else { gid };
    (bits & 0o7777 & !umask, [uid, gid])
}

/// Checks that names may be added to or removed from `dir`. Permissions come before the mount: where the host's own
/// files are read-only mounts, a program hears what it would hear of them outside.
///
/// # Errors
/// `EACCES`, `EROFS`, `ENOENT` for a directory that was removed.
pub fn check_writable_directory(process: &Process, dir: &Dentry) -> Result<()> {
    if dir.is_deleted() {
        return Err(Errno::ENOENT);
    }
    permission::check(process, &*dir.inode, permission::WRITE | permission::EXECUTE)?;
    if dir.mount.read_only { Err(Errno::EROFS) } else { Ok(()) }
}

/// Opens `path`, seen from `base`, with open(2) flags `status` and creation mode `bits`.
///
/// # Errors
/// As open(2).
pub fn open_at(
    thread: &Thread,
    walk: &mut Walk<'_>,
    base: &Arc<Dentry>,
    path: &[u8],
    status: u32,
    bits: u32,
) -> Result<Arc<OpenFile>> {
    let mut status = status & KNOWN;
    if status & flags::O_PATH != 0 {
        status &= flags::O_PATH | flags::O_DIRECTORY | flags::O_NOFOLLOW | flags::O_CLOEXEC;
    }
    if status & TMPFILE_BIT != 0 {
        return open_unnamed(thread, walk, base, path, status, bits);
    }
    let follow = status & flags::O_NOFOLLOW == 0;
    if status & flags::O_CREAT == 0 {
        walk.open = status & (flags::O_ACCMODE | flags::O_PATH | flags::O_DIRECTORY) == 0;
        let dentry = walk.find(base, path, follow)?;
        return finish(thread, &dentry, status, false);
    }
    let mut base = base.clone();
    let mut path = path.to_vec();
    loop {
        let parent = walk.find_parent(&base, &path)?;
        if parent.last != Last::Name || parent.slash {
            let exists = parent.last != Last::Name && status & flags::O_EXCL != 0;
            return Err(if exists { Errno::EEXIST } else { Errno::EISDIR });
        }
        let Some(child) = walk.step(&parent.dir, &parent.name, b"")? else {
            match create(thread, &parent.dir, &parent.name, bits) {
                Ok(dentry) => return finish(thread, &dentry, status, true),
                Err(Errno::EEXIST) if status & flags::O_EXCL == 0 => {
                    parent.dir.forget_absence(&parent.name);
                    continue;
                }
                Err(error) => return Err(error),
            }
        };
        if status & flags::O_EXCL != 0 {
            return Err(Errno::EEXIST);
        }
        if child.inode.kind() == mode::S_IFLNK && follow {
            walk.count_link()?;
            match child.inode.follow(&child)? {
                Link::Jump(target) => return finish(thread, &target, status, false),
                Link::Text(target) => {
                    base = parent.dir;
                    path = target;
                    continue;
                }
            }
        }
        return finish(thread, &child, status, false);
    }
}

fn create(thread: &Thread, dir: &Arc<Dentry>, name: &[u8], bits: u32) -> Result<Arc<Dentry>> {
    check_writable_directory(&thread.process, dir)?;
    let (bits, owner) = ownership(&thread.process, dir, bits);
    let dentry = {
        let _in_order = dir.change();
        dir.created(name, dir.inode.create(dir, name, New::Regular, bits, owner)?)
    };
    inotify::child(dir, name, event::CREATE, false);
    Ok(dentry)
}

fn open_unnamed(
    thread: &Thread,
    walk: &mut Walk<'_>,
    base: &Arc<Dentry>,
    path: &[u8],
    status: u32,
    bits: u32,
) -> Result<Arc<OpenFile>> {
    let dir = walk.find(base, path, true)?;
    if !dir.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    check_writable_directory(&thread.process, &dir)?;
    let (bits, owner) = ownership(&thread.process, &dir, bits);
    let inode = dir.inode.create_unnamed(&dir, bits, owner, status & flags::O_EXCL == 0)?;
    let mut name = dir.absolute_path();
    let slash = if name == b"/" { "" } else { "/" };
    name.extend_from_slice(format!("{slash}#{}", inode.metadata()?.ino).as_bytes());
    let dentry = Dentry::unattached(dir.mount.clone(), inode, &name);
    let keep = status & !(flags::O_EXCL | flags::O_NOCTTY | flags::O_TRUNC | flags::O_CLOEXEC);
    dentry.inode.clone().open(thread, &dentry, keep | flags::O_LARGEFILE)
}

/// The permissions that an access mode asks for.
fn wanted(status: u32) -> u32 {
    match status & flags::O_ACCMODE {
        0 => permission::READ,
        flags::O_WRONLY => permission::WRITE,
        _ => permission::READ | permission::WRITE,
    }
}

/// Opens a file that was found.
fn finish(thread: &Thread, dentry: &Arc<Dentry>, status: u32, created: bool) -> Result<Arc<OpenFile>> {
    let kind = dentry.inode.kind();
    if status & flags::O_DIRECTORY != 0 && kind != mode::S_IFDIR {
        return Err(Errno::ENOTDIR);
    }
    if status & flags::O_PATH != 0 {
        return Ok(OpenFile::at(Arc::new(PathFile(dentry.clone())), status, dentry.clone()));
    }
    let writes = status & flags::O_ACCMODE != 0;
    match kind {
        mode::S_IFLNK => return Err(Errno::ELOOP),
        mode::S_IFDIR if writes || status & (flags::O_CREAT | flags::O_TRUNC) != 0 => {
            return Err(Errno::EISDIR);
        }
        mode::S_IFSOCK => return Err(Errno::ENXIO),
        _ => {}
    }
    let truncate = status & flags::O_TRUNC != 0 && kind == mode::S_IFREG && !created;
    if !created {
        let wanted = wanted(status) | if truncate { permission::WRITE } else { 0 };
        permission::check(&thread.process, &*dentry.inode, wanted)?;
        if (writes || truncate) && dentry.mount.read_only && matches!(kind, mode::S_IFREG | mode::S_IFDIR) {
            return Err(Errno::EROFS);
        }
    }
    if status & flags::O_DIRECT != 0 && matches!(kind, mode::S_IFIFO | mode::S_IFCHR) {
        return Err(Errno::EINVAL);
    }
    if kind == mode::S_IFREG && !created {
        lease::break_for(thread, dentry, writes, status & flags::O_NONBLOCK != 0)?;
    }
    let keep = status & !(flags::O_CREAT | flags::O_EXCL | flags::O_TRUNC | flags::O_CLOEXEC);
    // As on every 64-bit Linux.
    let file = dentry.inode.clone().open(thread, dentry, keep | flags::O_LARGEFILE)?;
    if truncate {
        if writes {
            file.ops.truncate(0)?;
        } else {
            dentry.inode.set_attributes(dentry, &Change { size: Some(0), ..Change::default() })?;
        }
        inotify::file(dentry, event::MODIFY);
    }
    inotify::file(dentry, event::OPEN);
    Ok(file)
}

/// Checks what can be said of open(2) flags before the path is looked at.
fn check_flags(status: u32) -> Result<()> {
    if status & flags::O_PATH != 0 {
        return Ok(());
    }
    let unnamed = status & (TMPFILE_BIT | flags::O_DIRECTORY | flags::O_CREAT);
    let is_wrong = match status & TMPFILE_BIT {
        0 => unnamed == flags::O_DIRECTORY | flags::O_CREAT,
        _ => unnamed != TMPFILE_BIT | flags::O_DIRECTORY || status & flags::O_ACCMODE == 0,
    };
    if is_wrong { Err(Errno::EINVAL) } else { Ok(()) }
}

/// open(2) for callers inside the kernel half.
///
/// # Errors
/// As openat(2).
pub fn open_path(thread: &Thread, fd: i32, path: &[u8], status: u32, bits: u32) -> Result<Arc<OpenFile>> {
    check_flags(status)?;
    if path.first() == Some(&b'/') {
        return open_at(thread, &mut Walk::new(thread), super::path::root()?, path, status, bits);
    }
    let base = base(&thread.process, fd, path)?;
    open_at(thread, &mut Walk::new(thread), &base, path, status, bits)
}

fn install(call: &Call<'_>, file: Arc<OpenFile>, status: u32) -> Result<u64> {
    let fd = call.process().add_file(file, status & flags::O_CLOEXEC != 0)?;
    u64::try_from(fd).map_err(|_| Errno::EMFILE)
}

fn open_call(call: &Call<'_>, fd: i32, path_at: usize, status: u32, bits: u32) -> Result<u64> {
    let path = PathArgument::read(call, path_at)?;
    let file = open_path(call.thread, fd, &path, status, bits)?;
    install(call, file, status)
}

/// open(2).
///
/// # Errors
/// As the manual page says.
pub fn open(call: &mut Call<'_>) -> Result<u64> {
    open_call(call, -100, 0, call.uint(1), call.uint(2))
}

/// creat(2).
///
/// # Errors
/// As the manual page says.
pub fn creat(call: &mut Call<'_>) -> Result<u64> {
    open_call(call, -100, 0, flags::O_CREAT | flags::O_WRONLY | flags::O_TRUNC, call.uint(1))
}

/// openat(2).
///
/// # Errors
/// As the manual page says.
pub fn openat(call: &mut Call<'_>) -> Result<u64> {
    open_call(call, call.int(0), 1, call.uint(2), call.uint(3))
}

/// openat2(2).
///
/// # Errors
/// As the manual page says.
pub fn openat2(call: &mut Call<'_>) -> Result<u64> {
    const NO_XDEV: u64 = 1;
    const NO_MAGICLINKS: u64 = 2;
    const NO_SYMLINKS: u64 = 4;
    const BENEATH: u64 = 8;
    const IN_ROOT: u64 = 16;
    const CACHED: u64 = 32;
    const SCOPED: u64 = BENEATH | IN_ROOT;
    let (at, size) = (call.word(2), call.word(3));
    if size < 24 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let [how, bits, resolve]: [u64; 3] = user::read(at)?;
    for extra in (24..size).step_by(8) {
        let mut word = [0u8; 8];
        let len = (size - extra).min(8);
        user::read_bytes(at.wrapping_add(extra), word.get_mut(..len).unwrap_or(&mut []))?;
        if word != [0; 8] {
            return Err(Errno::E2BIG);
        }
    }
    let status = u32::try_from(how).map_err(|_| Errno::EINVAL)?;
    let makes = status & (flags::O_CREAT | TMPFILE_BIT) != 0;
    if status & !KNOWN != 0 || bits & !0o7777 != 0 || (bits != 0 && !makes) || resolve & !0x3f != 0 {
        return Err(Errno::EINVAL);
    }
    if resolve & SCOPED == SCOPED {
        return Err(Errno::EINVAL);
    }
    check_flags(status)?;
    let fd = call.int(0);
    let path = call.path(1)?;
    if resolve & BENEATH != 0 && path.first() == Some(&b'/') {
        return Err(Errno::EXDEV);
    }
    // An absolute path begins at the descriptor's directory where that is to be the root.
    let is_absolute = path.first() == Some(&b'/');
    let from = if is_absolute && resolve & IN_ROOT != 0 { b"." } else { path.as_slice() };
    let base = base(call.process(), fd, from)?;
    let mut walk = Walk::new(call.thread);
    walk.one_mount = resolve & NO_XDEV != 0;
    walk.no_magic_links = resolve & NO_MAGICLINKS != 0;
    walk.no_links = resolve & NO_SYMLINKS != 0;
    walk.cached_only = resolve & CACHED != 0;
    walk.top = (resolve & SCOPED != 0).then(|| base.clone());
    walk.top_is_root = resolve & IN_ROOT != 0;
    let bits = u32::try_from(bits).map_err(|_| Errno::EINVAL)?;
    let file = open_at(call.thread, &mut walk, &base, &path, status, bits)?;
    install(call, file, status)
}
