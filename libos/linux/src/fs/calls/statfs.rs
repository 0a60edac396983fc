//! statfs(2).

use super::{AT_FDCWD, find};
use crate::call::Call;
use crate::fs::dentry::Dentry;
use crate::fs::dentry_of;
use crate::fs::file::mode;
use crate::fs::inode::Statistics;
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::user;

const ST_RDONLY: u64 = 1;
const ST_NOSUID: u64 = 2;
const ST_NODEV: u64 = 4;
const ST_VALID: u64 = 0x20;
const ST_RELATIME: u64 = 0x1000;

fn write_statistics(at: usize, s: &Statistics, dev: u64, read_only: bool) -> Result<u64> {
    let mut flags = ST_VALID | ST_NOSUID | ST_NODEV | ST_RELATIME;
    if read_only {
        flags |= ST_RDONLY;
    }
    let words: [u64; 15] = [
        s.magic.cast_unsigned(),
        s.block_size,
        s.blocks,
        s.blocks_free,
        s.blocks_free,
        s.files,
        s.files_free,
        dev,
        255,
        s.block_size,
        flags,
        0,
        0,
        0,
        0,
    ];
    user::write(at, &words)?;
    Ok(0)
}

fn of_dentry(dentry: &Arc<Dentry>, at: usize) -> Result<u64> {
    let statistics = dentry.inode.statistics()?;
    write_statistics(at, &statistics, dentry.mount.dev, dentry.mount.read_only)
}

/// statfs(2).
///
/// # Errors
/// As the manual page says.
pub fn statfs(call: &mut Call<'_>) -> Result<u64> {
    let path = call.path(0)?;
    let dentry = find(call, AT_FDCWD, &path, true)?;
    of_dentry(&dentry, call.word(1))
}

/// fstatfs(2).
///
/// # Errors
/// As the manual page says.
pub fn fstatfs(call: &mut Call<'_>) -> Result<u64> {
    let file = call.any_file(0)?;
    if let Some(dentry) = dentry_of(&file) {
        return of_dentry(&dentry, call.word(1));
    }
    let meta = file.ops.metadata()?;
    let magic = match meta.mode & mode::S_IFMT {
        mode::S_IFIFO => 0x5049_5045,
        mode::S_IFSOCK => 0x534f_434b,
        _ => 0x0904_1934,
    };
    let nothing = Statistics { magic, block_size: 4096, blocks: 0, blocks_free: 0, files: 0, files_free: 0 };
    write_statistics(call.word(1), &nothing, meta.dev, false)
}

/// ustat(2) and sysfs(2) name file systems by devices that are not there.
///
/// # Errors
/// `EINVAL`.
pub fn ustat(_: &mut Call<'_>) -> Result<u64> {
    Err(Errno::EINVAL)
}
