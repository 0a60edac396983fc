//! The system calls on files.

pub mod attribute;
pub mod descriptor;
pub mod directory;
pub mod fcntl;
pub mod name;
pub mod space;
pub mod stat;
pub mod statfs;
pub mod transfer;
pub mod vector;
pub mod xattr;

use super::dentry::Dentry;
use super::path::Walk;
use super::{dentry_of, open};
use crate::call::Call;
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use postern_pal::user;

/// Do not follow a symbolic link at the end.
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
/// Check with the effective ids.
pub const AT_EACCESS: u32 = 0x200;
/// unlinkat: remove a directory.
pub const AT_REMOVEDIR: u32 = 0x200;
/// Follow a symbolic link at the end (linkat).
pub const AT_SYMLINK_FOLLOW: u32 = 0x400;
/// Do not mount anything on the way; there is nothing to mount.
pub const AT_NO_AUTOMOUNT: u32 = 0x800;
/// An empty path means the descriptor itself.
pub const AT_EMPTY_PATH: u32 = 0x1000;

/// Descriptor that stands for the working directory.
pub const AT_FDCWD: i32 = -100;

/// A path argument, without an allocation where it is short.
pub struct PathArgument {
    short: [u8; PathArgument::SHORT],
    len: usize,
    long: Vec<u8>,
}

impl PathArgument {
    const SHORT: usize = 128;

    /// An empty path.
    #[must_use]
    pub fn empty() -> Self {
        Self { short: [0; Self::SHORT], len: 0, long: Vec::new() }
    }

    /// Reads the path that argument `index` points to.
    ///
    /// # Errors
    /// `EFAULT`; `ENAMETOOLONG`.
    #[inline]
    pub fn read(call: &Call<'_>, index: usize) -> Result<Self> {
        const PAGE: usize = 4096;
        let mut path = Self::empty();
        let at = call.word(index);
        // Never past the page that the string may end in.
        let room = (PAGE - at % PAGE).min(Self::SHORT);
        let part = path.short.get_mut(..room).unwrap_or(&mut []);
        user::read_bytes(at, part)?;
        match part.iter().position(|b| *b == 0) {
            Some(end) => path.len = end,
            None => path.long = call.path(index)?,
        }
        Ok(path)
    }
}

impl core::ops::Deref for PathArgument {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        if self.long.is_empty() { self.short.get(..self.len).unwrap_or(&[]) } else { &self.long }
    }
}

/// The file that `path` names, seen from descriptor `fd`.
///
/// # Errors
/// As path_resolution(7).
pub fn find(call: &Call<'_>, fd: i32, path: &[u8], follow: bool) -> Result<Arc<Dentry>> {
    if path.first() == Some(&b'/') {
        return Walk::new(call.thread).find(super::path::root()?, path, follow);
    }
    let base = open::base(call.process(), fd, path)?;
    Walk::new(call.thread).find(&base, path, follow)
}

/// As [`find`], with `AT_*` flags. The result of `AT_EMPTY_PATH` on a file without a place is `ENOENT`; calls that
/// can do better look themselves.
///
/// # Errors
/// As [`find`].
pub fn find_at(call: &Call<'_>, fd: i32, path: &[u8], flags: u32) -> Result<Arc<Dentry>> {
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        if fd == AT_FDCWD {
            return super::path::working_directory(call.process());
        }
        let file = call.process().files.get(fd)?;
        return dentry_of(&file).ok_or(Errno::ENOENT);
    }
    find(call, fd, path, flags & AT_SYMLINK_NOFOLLOW == 0)
}
