//! The limit of file sizes (`RLIMIT_FSIZE`).

use super::file::{OpenFile, mode};
use crate::io::Source;
use crate::signal::{self, sig};
use crate::task::{Thread, limits, resource};
use crate::{Errno, Result};

fn refuse(thread: &Thread) -> Errno {
    signal::by_own_call(thread, sig::XFSZ);
    Errno::EFBIG
}

/// Whether a file of `old` bytes may become one of `new` bytes.
///
/// # Errors
/// `EFBIG`, and SIGXFSZ is sent, where it would grow beyond the limit.
pub fn check(thread: &Thread, old: u64, new: u64) -> Result<()> {
    if new > old && new > thread.process.limits.soft(resource::FSIZE) {
        return Err(refuse(thread));
    }
    Ok(())
}

/// Cuts a write of `source` to `file` at the position `at` (`u64::MAX`: its end) so that it ends at the limit.
///
/// # Errors
/// `EFBIG`, and SIGXFSZ is sent, where not even one byte may be written.
pub(super) fn cut(thread: &Thread, file: &OpenFile, source: &mut Source<'_>, at: u64) -> Result<()> {
    let limit = thread.process.limits.soft(resource::FSIZE);
    if limit == limits::INFINITY || source.left() == 0 {
        return Ok(());
    }
    let now = file.ops.metadata()?;
    if now.mode & mode::S_IFMT != mode::S_IFREG {
        return Ok(());
    }
    let start = if at == u64::MAX { now.size } else { at };
    match limit.checked_sub(start) {
        None | Some(0) => Err(refuse(thread)),
        Some(room) => {
            source.limit(usize::try_from(room).unwrap_or(usize::MAX));
            Ok(())
        }
    }
}
