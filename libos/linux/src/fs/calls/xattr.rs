//! Extended attributes: no file system here keeps any.

use super::{AT_FDCWD, find};
use crate::call::Call;
use crate::fs::dentry_of;
use crate::{Errno, Result};

/// What happens to the attributes of a file that was found.
fn absent(call: &Call<'_>, name_at: usize) -> Result<u64> {
    let name = call.path(name_at)?;
    if name.is_empty() || name.len() > 255 {
        return Err(Errno::ERANGE);
    }
    Err(if name.contains(&b'.') { Errno::ENODATA } else { Errno::EOPNOTSUPP })
}

fn path(call: &Call<'_>, follow: bool) -> Result<()> {
    let path = call.path(0)?;
    find(call, AT_FDCWD, &path, follow).map(|_| ())
}

fn refuse(call: &Call<'_>, follow: bool) -> Result<u64> {
    let path = call.path(0)?;
    let dentry = find(call, AT_FDCWD, &path, follow)?;
    Err(if dentry.mount.read_only { Errno::EROFS } else { Errno::EOPNOTSUPP })
}

/// getxattr(2).
///
/// # Errors
/// `ENODATA`: there is none.
pub fn getxattr(call: &mut Call<'_>) -> Result<u64> {
    path(call, true)?;
    absent(call, 1)
}

/// lgetxattr(2).
///
/// # Errors
/// `ENODATA`: there is none.
pub fn lgetxattr(call: &mut Call<'_>) -> Result<u64> {
    path(call, false)?;
    absent(call, 1)
}

/// fgetxattr(2).
///
/// # Errors
/// `ENODATA`: there is none.
pub fn fgetxattr(call: &mut Call<'_>) -> Result<u64> {
    call.file(0)?;
    absent(call, 1)
}

/// listxattr(2): an empty list.
///
/// # Errors
/// As path_resolution(7).
pub fn listxattr(call: &mut Call<'_>) -> Result<u64> {
    path(call, true).map(|()| 0)
}

/// llistxattr(2): an empty list.
///
/// # Errors
/// As path_resolution(7).
pub fn llistxattr(call: &mut Call<'_>) -> Result<u64> {
    path(call, false).map(|()| 0)
}

/// flistxattr(2): an empty list.
///
/// # Errors
/// `EBADF`.
pub fn flistxattr(call: &mut Call<'_>) -> Result<u64> {
    call.file(0).map(|_| 0)
}

/// setxattr(2).
///
/// # Errors
/// `EOPNOTSUPP`, or `EROFS`.
pub fn setxattr(call: &mut Call<'_>) -> Result<u64> {
    refuse(call, true)
}

/// lsetxattr(2).
///
/// # Errors
/// `EOPNOTSUPP`, or `EROFS`.
pub fn lsetxattr(call: &mut Call<'_>) -> Result<u64> {
    refuse(call, false)
}

/// fsetxattr(2).
///
/// # Errors
/// `EOPNOTSUPP`, or `EROFS`.
pub fn fsetxattr(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let read_only = dentry_of(&file).is_some_and(|d| d.mount.read_only);
    Err(if read_only { Errno::EROFS } else { Errno::EOPNOTSUPP })
}

/// removexattr(2).
///
/// # Errors
/// `ENODATA`, or `EROFS`.
pub fn removexattr(call: &mut Call<'_>) -> Result<u64> {
    match refuse(call, true) {
        Err(Errno::EOPNOTSUPP) => absent(call, 1),
        other => other,
    }
}

/// lremovexattr(2).
///
/// # Errors
/// `ENODATA`, or `EROFS`.
pub fn lremovexattr(call: &mut Call<'_>) -> Result<u64> {
    match refuse(call, false) {
        Err(Errno::EOPNOTSUPP) => absent(call, 1),
        other => other,
    }
}

/// fremovexattr(2).
///
/// # Errors
/// `ENODATA`.
pub fn fremovexattr(call: &mut Call<'_>) -> Result<u64> {
    call.file(0)?;
    absent(call, 1)
}
