//! fsync(2), fallocate(2), fadvise(2) and their relatives.

use crate::call::Call;
use crate::fs::file::mode;
use crate::fs::{dentry_of, inotify::event, mount, size_limit};
use crate::{Errno, Result};

/// fsync(2).
///
/// # Errors
/// As the manual page says.
pub fn fsync(call: &mut Call<'_>) -> Result<u64> {
    call.file(0)?.ops.sync(false).map(|()| 0)
}

/// fdatasync(2).
///
/// # Errors
/// As the manual page says.
pub fn fdatasync(call: &mut Call<'_>) -> Result<u64> {
    call.file(0)?.ops.sync(true).map(|()| 0)
}

/// sync(2).
///
/// # Errors
/// None.
pub fn sync(_: &mut Call<'_>) -> Result<u64> {
    for root in mount::all() {
        // Nobody is told of what could not be written.
        let _ = root.inode.flush_file_system();
    }
    Ok(0)
}

/// syncfs(2).
///
/// # Errors
/// As the manual page says.
pub fn syncfs(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    dentry_of(&file).map_or(Ok(()), |dentry| dentry.inode.flush_file_system())?;
    Ok(0)
}

/// sync_file_range(2): a hint without a promise.
///
/// # Errors
/// As the manual page says.
pub fn sync_file_range(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    if call.uint(3) & !7 != 0 || call.long(1) < 0 || call.long(2) < 0 {
        return Err(Errno::EINVAL);
    }
    if file.ops.is_seekable() { Ok(0) } else { Err(Errno::ESPIPE) }
}

/// fadvise64(2): hints; the host's read-ahead sees the same reads anyway.
///
/// # Errors
/// As the manual page says.
pub fn fadvise64(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    if file.ops.metadata()?.mode & mode::S_IFMT == mode::S_IFIFO {
        return Err(Errno::ESPIPE);
    }
    if call.long(2) < 0 || call.uint(3) > 5 { Err(Errno::EINVAL) } else { Ok(0) }
}

/// readahead(2), likewise.
///
/// # Errors
/// As the manual page says.
pub fn readahead(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    if file.ops.is_seekable() { Ok(0) } else { Err(Errno::EINVAL) }
}

/// fallocate(2).
///
/// # Errors
/// As the manual page says.
pub fn fallocate(call: &mut Call<'_>) -> Result<u64> {
    const KEEP_SIZE: u32 = 1;
    const PUNCH_HOLE: u32 = 2;
    const ZERO_RANGE: u32 = 0x10;
    const ALL: u32 = 0x7f;
    let file = call.file(0)?;
    let (how, offset, len) = (call.uint(1), call.long(2), call.long(3));
    if offset < 0 || len <= 0 {
        return Err(Errno::EINVAL);
    }
    if how & !ALL != 0 || how & (PUNCH_HOLE | KEEP_SIZE) == PUNCH_HOLE {
        return Err(Errno::EOPNOTSUPP);
    }
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    let (offset, len) = (offset.cast_unsigned(), len.cast_unsigned());
    if offset.checked_add(len).is_none_or(|end| i64::try_from(end).is_err()) {
        return Err(Errno::EFBIG);
    }
    match file.ops.metadata()?.mode & mode::S_IFMT {
        mode::S_IFREG => {}
        mode::S_IFIFO => return Err(Errno::ESPIPE),
        mode::S_IFDIR => return Err(Errno::EISDIR),
        _ => return Err(Errno::ENODEV),
    }
    // The ways that can make a file longer. Any other is refused by its file system before limits matter.
    if matches!(how, 0 | ZERO_RANGE) {
        size_limit::check(call.thread, file.ops.size()?, offset + len)?;
    }
    file.ops.allocate(how, offset, len)?;
    super::vector::told(&file, event::MODIFY, 1);
    Ok(0)
}
