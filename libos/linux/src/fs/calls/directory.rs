//! getdents(2), getcwd(2), chdir(2).

use super::{AT_FDCWD, find};
use crate::call::{Call, done};
use crate::fs::dentry::Dentry;
use crate::fs::file::mode;
use crate::fs::{dentry_of, path, permission};
use crate::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use postern_pal::user;

/// Most bytes that one getdents call fills.
const MAX_LISTING: usize = 256 * 1024;

/// `DT_*` of type bits.
fn kind_of(bits: u32) -> u8 {
    u8::try_from((bits & mode::S_IFMT) >> 12).unwrap_or(0)
}

fn list(call: &Call<'_>, old_layout: bool) -> Result<u64> {
    let file = call.file(0)?;
    let (at, size) = (call.word(1), (call.uint(2) as usize).min(MAX_LISTING));
    let mut out: Vec<u8> = Vec::new();
    let mut too_small = false;
    let mut position = file.position.lock();
    let next = file.ops.read_dir(*position, &mut |entry| {
        // Both layouts: inode (8), position (8), length (2), then old: name NUL … type; new: type, name NUL.
        let used = 18 + 1 + entry.name.len() + 1;
        let len = used.next_multiple_of(8);
        if out.len() + len > size {
            too_small = out.is_empty();
            return false;
        }
        let start = out.len();
        out.extend_from_slice(&entry.ino.to_le_bytes());
        out.extend_from_slice(&entry.next.to_le_bytes());
        out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
        if !old_layout {
            out.push(kind_of(entry.mode));
        }
        out.extend_from_slice(entry.name);
        out.resize(start + len, 0);
        if old_layout && let Some(last) = out.last_mut() {
            *last = kind_of(entry.mode);
        }
        true
    })?;
    if too_small {
        return Err(Errno::EINVAL);
    }
    user::write_bytes(at, &out)?;
    *position = next;
    done(out.len())
}

/// getdents(2).
///
/// # Errors
/// As the manual page says.
pub fn getdents(call: &mut Call<'_>) -> Result<u64> {
    list(call, true)
}

/// getdents64(2).
///
/// # Errors
/// As the manual page says.
pub fn getdents64(call: &mut Call<'_>) -> Result<u64> {
    list(call, false)
}

/// getcwd(2): returns the length with the NUL.
///
/// # Errors
/// As the manual page says.
pub fn getcwd(call: &mut Call<'_>) -> Result<u64> {
    let (at, size) = (call.word(0), call.word(1));
    let cwd = path::working_directory(call.process())?;
    if cwd.is_deleted() {
        return Err(Errno::ENOENT);
    }
    let mut text = cwd.absolute_path();
    text.push(0);
    if text.len() > size {
        return Err(Errno::ERANGE);
    }
    user::write_bytes(at, &text)?;
    done(text.len())
}

fn change(call: &Call<'_>, dentry: Arc<Dentry>) -> Result<u64> {
    if !dentry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    permission::check(call.process(), &*dentry.inode, permission::EXECUTE)?;
    let old = call.process().fs.cwd.lock().replace(dentry);
    drop(old);
    Ok(0)
}

/// chdir(2).
///
/// # Errors
/// As the manual page says.
pub fn chdir(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(0)?;
    let dentry = find(call, AT_FDCWD, &path, true)?;
    change(call, dentry)
}

/// fchdir(2).
///
/// # Errors
/// As the manual page says.
pub fn fchdir(call: &mut Call<'_>) -> Result<u64> {
    let file = call.any_file(0)?;
    let dentry = dentry_of(&file).ok_or(Errno::ENOTDIR)?;
    change(call, dentry)
}

/// umask(2).
///
/// # Errors
/// None.
pub fn umask(call: &mut Call<'_>) -> Result<u64> {
    Ok(u64::from(call.process().fs.umask.swap(call.uint(0) & 0o777, Ordering::Relaxed)))
}
