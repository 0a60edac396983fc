//! Files: the VFS and its file systems.
//!
//! The namespace is one tree of [`dentry`]s over all [`mount`]s; [`path`] walks it. File systems provide
//! [`inode`]s: [`host`] (the monitor's file service), [`tmpfs`], [`synthetic`] (for [`proc`] and [`sysfs`]). What is
//! open is in [`file`] and [`descriptor`]; the system calls are in [`open`] and [`calls`].

pub mod ahead;
pub mod calls;
mod deadlock;
pub mod dentry;
pub mod descriptor;
pub mod device;
pub mod directory;
pub mod extended;
pub mod file;
pub mod host;
pub mod inode;
pub mod inotify;
pub mod lease;
pub mod lock;
pub mod memfd;
pub mod mount;
pub mod namespace;
pub mod open;
pub mod outside;
pub mod path;
pub mod permission;
pub mod proc;
pub mod random;
pub mod shortcut;
pub mod sigio;
pub mod size_limit;
pub mod stream;
pub mod synthetic;
pub mod sysfs;
#[cfg(test)]
mod tests;
pub mod tmpfs;

pub use descriptor::FdTable;
pub use file::{FileOps, Mapping, Metadata, OpenFile, Poll};
pub use namespace::{init, init_process};

use crate::task::Thread;
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use dentry::Dentry;
use file::{Whence, mode};
use inode::New;
use path::{Last, Walk};

/// Where an open file was found, if it has a place in the file system.
#[must_use]
pub fn dentry_of(file: &OpenFile) -> Option<Arc<Dentry>> {
    file.path.clone()?.downcast().ok()
}

/// The time of day, as files keep it.
#[must_use]
pub fn time_of_day() -> [i64; 2] {
    // The coarse clock is what Linux takes, too.
    const REALTIME_COARSE: u32 = 5;
    postern_pal::clock::read(REALTIME_COARSE).unwrap_or([0, 0])
}

/// lseek of a file that only knows its size: all of it is data.
///
/// # Errors
/// `ENXIO` for data or holes behind the end.
pub fn seek_by_size(size: u64, position: u64, whence: Whence) -> Result<u64> {
    match whence {
        Whence::Set | Whence::Current => Ok(position),
        Whence::End => Ok(size),
        Whence::Data if position < size => Ok(position),
        Whence::Hole if position < size => Ok(size),
        Whence::Data | Whence::Hole => Err(Errno::ENXIO),
    }
}

/// Opens a program for exec, and tells its absolute path.
///
/// # Errors
/// As execve(2): `EACCES` if it is no regular file or may not be executed.
pub fn open_for_exec(thread: &Thread, path: &[u8]) -> Result<(Arc<OpenFile>, Vec<u8>)> {
    let base = open::base(&thread.process, -100, path)?;
    let mut walk = Walk::new(thread);
    walk.open = true;
    let dentry = walk.find(&base, path, true)?;
    if dentry.inode.kind() != mode::S_IFREG {
        return Err(Errno::EACCES);
    }
    permission::check(&thread.process, &*dentry.inode, permission::EXECUTE)?;
    let file = dentry.inode.clone().open(thread, &dentry, 0)?;
    Ok((file, dentry.absolute_path()))
}

/// Makes the node of a socket that is bound to `path` with mode `bits` (less the umask), and keeps a weak reference to `object` with it.
///
/// # Errors
/// `EADDRINUSE` if the name is taken; as mknod(2) otherwise.
pub fn bind_socket(
    thread: &Thread,
    path: &[u8],
    bits: u32,
    object: Arc<dyn Any + Send + Sync>,
) -> Result<()> {
    let parent = socket_parent(thread, path)?;
    let made = calls::name::make(thread, &parent, New::Node(mode::S_IFSOCK, 0), bits);
    let dentry = made.map_err(|e| if e == Errno::EEXIST { Errno::EADDRINUSE } else { e })?;
    dentry.inode.attach(object)
}

fn socket_parent(thread: &Thread, path: &[u8]) -> Result<path::Parent> {
    let base = open::base(&thread.process, -100, path)?;
    let parent = Walk::new(thread).find_parent(&base, path)?;
    if parent.last == Last::Name && !parent.slash { Ok(parent) } else { Err(Errno::EADDRINUSE) }
}

/// Whether a socket could be bound to `path`.
///
/// # Errors
/// As [`bind_socket`].
pub fn may_bind_socket(thread: &Thread, path: &[u8]) -> Result<()> {
    let parent = socket_parent(thread, path)?;
    if Walk::new(thread).step(&parent.dir, &parent.name, b"")?.is_some() {
        return Err(Errno::EADDRINUSE);
    }
    open::check_writable_directory(&thread.process, &parent.dir)
}

/// The object of the socket that is bound to `path`.
///
/// # Errors
/// `ECONNREFUSED` if it is no socket or nobody listens any more; `EACCES` without write permission; as
/// path_resolution(7) otherwise.
pub fn lookup_socket(thread: &Thread, path: &[u8]) -> Result<Arc<dyn Any + Send + Sync>> {
    let base = open::base(&thread.process, -100, path)?;
    let dentry = Walk::new(thread).find(&base, path, true)?;
    permission::check(&thread.process, &*dentry.inode, permission::WRITE)?;
    if dentry.inode.kind() != mode::S_IFSOCK {
        return Err(Errno::ECONNREFUSED);
    }
    dentry.inode.attached().ok_or(Errno::ECONNREFUSED)
}
