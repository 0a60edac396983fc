//! Making, removing and renaming names.

use super::{AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW};
use crate::call::Call;
use crate::fs::dentry::Dentry;
use crate::fs::file::mode;
use crate::fs::inode::New;
use crate::fs::inotify::{self, event};
use crate::fs::open::{base, check_writable_directory, ownership};
use crate::fs::path::{Last, Parent, Walk};
use crate::fs::permission;
use crate::task::Thread;
use crate::{Errno, Result};
use alloc::sync::Arc;

/// Makes a file of any kind at a path of which the parent was found.
///
/// # Errors
/// `EEXIST`, `EROFS`, `EACCES`, `ENOSPC`, …
pub fn make(thread: &Thread, parent: &Parent, what: New<'_>, bits: u32) -> Result<Arc<Dentry>> {
    if parent.last != Last::Name {
        return Err(Errno::EEXIST);
    }
    let is_directory = matches!(what, New::Directory);
    let (dir, name) = (&parent.dir, &parent.name);
    if Walk::new(thread).step(dir, name, b"")?.is_some() {
        return Err(Errno::EEXIST);
    }
    if parent.slash && !is_directory {
        return Err(Errno::ENOENT);
    }
    check_writable_directory(&thread.process, dir)?;
    if matches!(what, New::Node(mode::S_IFCHR | mode::S_IFBLK, _)) {
        // Device nodes take a privilege that apps do not have; overlay whiteouts (0, 0) included.
        return Err(Errno::EPERM);
    }
    let (bits, owner) = ownership(&thread.process, dir, bits);
    let bits = match what {
        New::Symlink(_) => 0o777,
        New::Directory => (bits & 0o1777) | (dir.inode.mode() & 0o2000),
        _ => bits,
    };
    let dentry = {
        let _in_order = dir.change();
        match dir.inode.create(dir, name, what, bits, owner) {
            Err(Errno::EEXIST) => {
                dir.forget_absence(name);
                return Err(Errno::EEXIST);
            }
            made => dir.created(name, made?),
        }
    };
    inotify::child(dir, name, event::CREATE, is_directory);
    Ok(dentry)
}

fn make_at(call: &Call<'_>, fd: i32, path_at: usize, what: New<'_>, bits: u32) -> Result<u64> {
    let path = call.path(path_at)?;
    let base = base(call.process(), fd, &path)?;
    let parent = Walk::new(call.thread).find_parent(&base, &path)?;
    make(call.thread, &parent, what, bits).map(|_| 0)
}

/// mkdir(2).
///
/// # Errors
/// As the manual page says.
pub fn mkdir(call: &mut Call<'_>) -> Result<u64> {
    make_at(call, AT_FDCWD, 0, New::Directory, call.uint(1))
}

/// mkdirat(2).
///
/// # Errors
/// As the manual page says.
pub fn mkdirat(call: &mut Call<'_>) -> Result<u64> {
    make_at(call, call.int(0), 1, New::Directory, call.uint(2))
}

fn make_node(call: &Call<'_>, fd: i32, path_at: usize, bits: u32, device: u64) -> Result<u64> {
    let what = match bits & mode::S_IFMT {
        0 | mode::S_IFREG => New::Regular,
        kind @ (mode::S_IFIFO | mode::S_IFSOCK | mode::S_IFCHR | mode::S_IFBLK) => New::Node(kind, device),
        mode::S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    make_at(call, fd, path_at, what, bits)
}

/// mknod(2).
///
/// # Errors
/// As the manual page says.
pub fn mknod(call: &mut Call<'_>) -> Result<u64> {
    make_node(call, AT_FDCWD, 0, call.uint(1), call.raw(2))
}

/// mknodat(2).
///
/// # Errors
/// As the manual page says.
pub fn mknodat(call: &mut Call<'_>) -> Result<u64> {
    make_node(call, call.int(0), 1, call.uint(2), call.raw(3))
}

fn symlink_at(call: &Call<'_>, target_at: usize, fd: i32, path_at: usize) -> Result<u64> {
    let target = call.path(target_at)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    make_at(call, fd, path_at, New::Symlink(&target), 0o777)
}

/// symlink(2).
///
/// # Errors
/// As the manual page says.
pub fn symlink(call: &mut Call<'_>) -> Result<u64> {
    symlink_at(call, 0, AT_FDCWD, 1)
}

/// symlinkat(2).
///
/// # Errors
/// As the manual page says.
pub fn symlinkat(call: &mut Call<'_>) -> Result<u64> {
    symlink_at(call, 0, call.int(1), 2)
}

fn link_at(call: &Call<'_>, from: (i32, usize), to: (i32, usize), flags: u32) -> Result<u64> {
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let old = call.path(from.1)?;
    let new = call.path(to.1)?;
    let target = if old.is_empty() && flags & AT_EMPTY_PATH != 0 {
        super::find_at(call, from.0, &old, flags)?
    } else {
        super::find(call, from.0, &old, flags & AT_SYMLINK_FOLLOW != 0)?
    };
    let base = base(call.process(), to.0, &new)?;
    let parent = Walk::new(call.thread).find_parent(&base, &new)?;
    if parent.last != Last::Name || Walk::new(call.thread).step(&parent.dir, &parent.name, b"")?.is_some() {
        return Err(Errno::EEXIST);
    }
    if parent.slash {
        return Err(Errno::ENOENT);
    }
    if !Arc::ptr_eq(&target.mount, &parent.dir.mount) {
        return Err(Errno::EXDEV);
    }
    check_writable_directory(call.process(), &parent.dir)?;
    if target.is_directory() {
        return Err(Errno::EPERM);
    }
    {
        let _in_order = parent.dir.change();
        parent.dir.inode.link(&parent.dir, &parent.name, &target)?;
        parent.dir.created(&parent.name, target.inode.clone());
    }
    inotify::child(&parent.dir, &parent.name, event::CREATE, false);
    inotify::relinked(&target);
    Ok(0)
}

/// link(2).
///
/// # Errors
/// As the manual page says.
pub fn link(call: &mut Call<'_>) -> Result<u64> {
    link_at(call, (AT_FDCWD, 0), (AT_FDCWD, 1), 0)
}

/// linkat(2).
///
/// # Errors
/// As the manual page says.
pub fn linkat(call: &mut Call<'_>) -> Result<u64> {
    link_at(call, (call.int(0), 1), (call.int(2), 3), call.uint(4))
}

fn remove(call: &Call<'_>, fd: i32, path_at: usize, directory: bool) -> Result<u64> {
    let path = call.path(path_at)?;
    let base = base(call.process(), fd, &path)?;
    let mut walk = Walk::new(call.thread);
    let parent = walk.find_parent(&base, &path)?;
    match (parent.last, directory) {
        (Last::Name, _) => {}
        (Last::Dot, true) if parent.name.is_empty() => return Err(Errno::EBUSY),
        (Last::Dot, true) => return Err(Errno::EINVAL),
        (Last::DotDot, true) => return Err(Errno::ENOTEMPTY),
        (_, false) => return Err(Errno::EISDIR),
    }
    loop {
        if let Some(done) = try_remove(call, &walk, &parent, directory)? {
            inotify::child(&parent.dir, &parent.name, event::DELETE, directory);
            inotify::removed(&done);
            return Ok(0);
        }
    }
}

/// Removes what the name means now, and returns it. `None` if the name came to mean something else meanwhile.
fn try_remove(
    call: &Call<'_>,
    walk: &Walk<'_>,
    parent: &Parent,
    directory: bool,
) -> Result<Option<Arc<Dentry>>> {
    let (dir, name) = (&parent.dir, &parent.name);
    let child = walk.step(dir, name, b"")?.ok_or(Errno::ENOENT)?;
    check_writable_directory(call.process(), dir)?;
    permission::check_sticky(call.process(), &*dir.inode, &*child.inode)?;
    match (directory, child.is_directory()) {
        (true, false) => return Err(Errno::ENOTDIR),
        (false, true) => return Err(Errno::EISDIR),
        _ => {}
    }
    if parent.slash && !directory {
        return Err(Errno::ENOTDIR);
    }
    if child.is_mount_root() || !child.mounts_here().is_empty() {
        return Err(Errno::EBUSY);
    }
    let _in_order = dir.change();
    if !dir.still_holds(name, Some(&child)) {
        return Ok(None);
    }
    let removed = dir.inode.remove(dir, name, &child, directory);
    // Somebody outside the family was faster.
    if matches!(removed, Ok(()) | Err(Errno::ENOENT)) {
        dir.removed(name, &child);
    }
    removed.map(|()| Some(child))
}

/// unlink(2).
///
/// # Errors
/// As the manual page says.
pub fn unlink(call: &mut Call<'_>) -> Result<u64> {
    remove(call, AT_FDCWD, 0, false)
}

/// rmdir(2).
///
/// # Errors
/// As the manual page says.
pub fn rmdir(call: &mut Call<'_>) -> Result<u64> {
    remove(call, AT_FDCWD, 0, true)
}

/// unlinkat(2).
///
/// # Errors
/// As the manual page says.
pub fn unlinkat(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.uint(2);
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    remove(call, call.int(0), 1, flags & AT_REMOVEDIR != 0)
}

/// Whether `dir` is `top` or below it.
fn is_below(dir: &Arc<Dentry>, top: &Arc<Dentry>) -> bool {
    let mut at = Some(dir.clone());
    while let Some(dentry) = at {
        if Arc::ptr_eq(&dentry, top) {
            return true;
        }
        at = dentry.parent();
    }
    false
}

const NOREPLACE: u32 = 1;
const EXCHANGE: u32 = 2;

fn rename_at(call: &Call<'_>, from: (i32, usize), to: (i32, usize), flags: u32) -> Result<u64> {
    if flags & !(NOREPLACE | EXCHANGE) != 0 || flags == NOREPLACE | EXCHANGE {
        return Err(Errno::EINVAL);
    }
    let mut walk = Walk::new(call.thread);
    let mut parent = |(base_at, path_at): (i32, usize)| {
        let path = call.path(path_at)?;
        walk.find_parent(&base(call.process(), base_at, &path)?, &path)
    };
    let (old, new) = (parent(from)?, parent(to)?);
    if !Arc::ptr_eq(&old.dir.mount, &new.dir.mount) {
        return Err(Errno::EXDEV);
    }
    if old.last != Last::Name {
        return Err(Errno::EBUSY);
    }
    if new.last != Last::Name {
        return Err(if flags & NOREPLACE != 0 { Errno::EEXIST } else { Errno::EBUSY });
    }
    loop {
        if try_rename(call, &walk, &old, &new, flags)? {
            return Ok(0);
        }
    }
}

/// Renames what the name means now. `false` if a name came to mean something else meanwhile.
fn try_rename(call: &Call<'_>, walk: &Walk<'_>, old: &Parent, new: &Parent, flags: u32) -> Result<bool> {
    let child = walk.step(&old.dir, &old.name, b"")?.ok_or(Errno::ENOENT)?;
    let covered = walk.step(&new.dir, &new.name, b"")?;
    if flags & NOREPLACE != 0 && covered.is_some() {
        return Err(Errno::EEXIST);
    }
    if flags & EXCHANGE != 0 {
        let other = covered.as_ref().ok_or(Errno::ENOENT)?;
        if new.slash && !other.is_directory() {
            return Err(Errno::ENOTDIR);
        }
    }
    if !child.is_directory() && (old.slash || (new.slash && flags & EXCHANGE == 0)) {
        return Err(Errno::ENOTDIR);
    }
    let process = call.process();
    check_writable_directory(process, &old.dir)?;
    check_writable_directory(process, &new.dir)?;
    permission::check_sticky(process, &*old.dir.inode, &*child.inode)?;
    let is_pinned = |d: &Arc<Dentry>| d.is_mount_root() || !d.mounts_here().is_empty();
    if is_pinned(&child) || covered.as_ref().is_some_and(is_pinned) {
        return Err(Errno::EBUSY);
    }
    if child.is_directory() && is_below(&new.dir, &child) {
        return Err(Errno::EINVAL);
    }
    if let Some(covered) = &covered {
        permission::check_sticky(process, &*new.dir.inode, &*covered.inode)?;
        if covered.is_directory() && is_below(&old.dir, covered) {
            return Err(if flags & EXCHANGE != 0 { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        // Two names of one file: nothing happens.
        if Arc::ptr_eq(&covered.inode, &child.inode) {
            return Ok(true);
        }
        if flags & EXCHANGE == 0 {
            match (child.is_directory(), covered.is_directory()) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                _ => {}
            }
        }
    }
    let is_directory = child.is_directory();
    {
        let _in_order = Dentry::change_both(&old.dir, &new.dir);
        if !old.dir.still_holds(&old.name, Some(&child)) || !new.dir.still_holds(&new.name, covered.as_ref())
        {
            return Ok(false);
        }
        old.dir.inode.rename(&old.dir, &old.name, &child, &new.dir, &new.name, flags)?;
        match &covered {
            Some(other) if flags & EXCHANGE != 0 => {
                old.dir.exchanged(&old.name, &child, &new.dir, &new.name, other);
            }
            _ => old.dir.renamed(&old.name, &child, &new.dir, &new.name),
        }
    }
    inotify::moved(&old.dir, &old.name, &new.dir, &new.name, &child, is_directory);
    if let Some(covered) = covered.filter(|_| flags & EXCHANGE == 0) {
        inotify::removed(&covered);
    }
    Ok(true)
}

/// rename(2).
///
/// # Errors
/// As the manual page says.
pub fn rename(call: &mut Call<'_>) -> Result<u64> {
    rename_at(call, (AT_FDCWD, 0), (AT_FDCWD, 1), 0)
}

/// renameat(2).
///
/// # Errors
/// As the manual page says.
pub fn renameat(call: &mut Call<'_>) -> Result<u64> {
    rename_at(call, (call.int(0), 1), (call.int(2), 3), 0)
}

/// renameat2(2).
///
/// # Errors
/// As the manual page says; `EINVAL` for `RENAME_WHITEOUT`.
pub fn renameat2(call: &mut Call<'_>) -> Result<u64> {
    rename_at(call, (call.int(0), 1), (call.int(2), 3), call.uint(4))
}
