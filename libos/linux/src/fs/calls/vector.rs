//! read(2), write(2) and their vector and positioned forms; lseek(2).

use super::transfer::{SPLICE_FLAGS, SPLICE_NONBLOCK};
use crate::call::{Call, done};
use crate::fs::Poll;
use crate::fs::dentry_of;
use crate::fs::file::{OpenFile, Whence, flags, mode};
use crate::fs::inotify::{self, event};
use crate::io::{Sink, Source, UserRanges};
use crate::ipc::pipe;
use crate::{Errno, Result};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

fn read_into(call: &Call<'_>, ranges: UserRanges, offset: Option<u64>) -> Result<u64> {
    call.with_file(0, |file| {
        let count = file.read(call.thread, &mut Sink::User(ranges), offset)?;
        call.thread.moved.read(count);
        told(file, event::ACCESS, count);
        done(count)
    })
}

fn write_from(call: &Call<'_>, ranges: UserRanges, offset: Option<u64>) -> Result<u64> {
    call.with_file(0, |file| {
        let count = file.write(call.thread, &mut Source::User(ranges), offset)?;
        call.thread.moved.written(count);
        told(file, event::MODIFY, count);
        done(count)
    })
}

/// Tells inotify, if anybody listens.
pub(super) fn told(file: &OpenFile, mask: u32, count: usize) {
    if count > 0
        && inotify::is_used()
        && let Some(dentry) = dentry_of(file)
    {
        inotify::file(&dentry, mask);
    }
}

fn position(call: &Call<'_>, index: usize) -> Result<u64> {
    u64::try_from(call.long(index)).map_err(|_| Errno::EINVAL)
}

/// read(2).
///
/// # Errors
/// As the manual page says.
pub fn read(call: &mut Call<'_>) -> Result<u64> {
    read_into(call, UserRanges::one(call.word(1), call.word(2)), None)
}

/// write(2).
///
/// # Errors
/// As the manual page says.
pub fn write(call: &mut Call<'_>) -> Result<u64> {
    write_from(call, UserRanges::one(call.word(1), call.word(2)), None)
}

/// pread64(2).
///
/// # Errors
/// As the manual page says.
pub fn pread64(call: &mut Call<'_>) -> Result<u64> {
    let at = position(call, 3)?;
    read_into(call, UserRanges::one(call.word(1), call.word(2)), Some(at))
}

/// pwrite64(2).
///
/// # Errors
/// As the manual page says.
pub fn pwrite64(call: &mut Call<'_>) -> Result<u64> {
    let at = position(call, 3)?;
    write_from(call, UserRanges::one(call.word(1), call.word(2)), Some(at))
}

fn ranges(call: &Call<'_>) -> Result<UserRanges> {
    UserRanges::from_iovec(call.word(1), call.word(2))
}

/// No bytes at all are read from any file, whatever it is.
fn read_vector(call: &Call<'_>, ranges: UserRanges, offset: Option<u64>) -> Result<u64> {
    if ranges.left() > 0 {
        return read_into(call, ranges, offset);
    }
    if call.file(0)?.is_readable() { Ok(0) } else { Err(Errno::EBADF) }
}

/// As [`read_vector`].
fn write_vector(call: &Call<'_>, ranges: UserRanges, offset: Option<u64>) -> Result<u64> {
    if ranges.left() > 0 {
        return write_from(call, ranges, offset);
    }
    if call.file(0)?.is_writable() { Ok(0) } else { Err(Errno::EBADF) }
}

/// readv(2).
///
/// # Errors
/// As the manual page says.
pub fn readv(call: &mut Call<'_>) -> Result<u64> {
    let ranges = ranges(call)?;
    read_vector(call, ranges, None)
}

/// writev(2).
///
/// # Errors
/// As the manual page says.
pub fn writev(call: &mut Call<'_>) -> Result<u64> {
    let ranges = ranges(call)?;
    write_vector(call, ranges, None)
}

/// preadv(2).
///
/// # Errors
/// As the manual page says.
pub fn preadv(call: &mut Call<'_>) -> Result<u64> {
    let at = position(call, 3)?;
    let ranges = ranges(call)?;
    read_vector(call, ranges, Some(at))
}

/// pwritev(2).
///
/// # Errors
/// As the manual page says.
pub fn pwritev(call: &mut Call<'_>) -> Result<u64> {
    let at = position(call, 3)?;
    let ranges = ranges(call)?;
    write_vector(call, ranges, Some(at))
}

const RWF_HIPRI: u32 = 1;
const RWF_DSYNC: u32 = 2;
const RWF_SYNC: u32 = 4;
const RWF_NOWAIT: u32 = 8;
const RWF_APPEND: u32 = 16;
const RWF_NOAPPEND: u32 = 32;
const RWF_KNOWN: u32 = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND;

fn vector_position(call: &Call<'_>) -> Result<Option<u64>> {
    if call.long(3) == -1 { Ok(None) } else { position(call, 3).map(Some) }
}

/// Runs `f` with the open file of a call with flags, after a look at those, and if they say so without waiting.
fn with_flags(call: &Call<'_>, writes: bool, f: impl FnOnce(&Arc<OpenFile>) -> Result<u64>) -> Result<u64> {
    let flags = call.uint(5);
    let file = call.file(0)?;
    if !(if writes { file.is_writable() } else { file.is_readable() }) {
        return Err(Errno::EBADF);
    }
    if flags & !RWF_KNOWN != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if flags & (RWF_APPEND | RWF_NOAPPEND) == RWF_APPEND | RWF_NOAPPEND {
        return Err(Errno::EINVAL);
    }
    if flags & RWF_NOWAIT == 0 {
        return f(&file);
    }
    if !file.ops.knows_hurry(writes) {
        return Err(Errno::EOPNOTSUPP);
    }
    call.thread.hurries.store(true, Ordering::Relaxed);
    let done = f(&file);
    call.thread.hurries.store(false, Ordering::Relaxed);
    done
}

/// preadv2(2).
///
/// # Errors
/// As the manual page says.
pub fn preadv2(call: &mut Call<'_>) -> Result<u64> {
    let at = vector_position(call)?;
    let ranges = ranges(call)?;
    if ranges.left() == 0 || call.uint(5) == 0 {
        return read_vector(call, ranges, at);
    }
    with_flags(call, false, |_| read_into(call, ranges, at))
}

/// pwritev2(2).
///
/// # Errors
/// As the manual page says.
pub fn pwritev2(call: &mut Call<'_>) -> Result<u64> {
    let at = vector_position(call)?;
    let ranges = ranges(call)?;
    let bits = call.uint(5);
    if ranges.left() == 0 || bits == 0 {
        return write_vector(call, ranges, at);
    }
    with_flags(call, true, |file| {
        let always = file.status() & flags::O_APPEND != 0;
        let appends = bits & RWF_APPEND != 0 || always && bits & RWF_NOAPPEND == 0;
        let count = file.write_as(call.thread, &mut Source::User(ranges), at, appends)?;
        call.thread.moved.written(count);
        told(file, event::MODIFY, count);
        if bits & (RWF_DSYNC | RWF_SYNC) != 0 {
            file.ops.sync(bits & RWF_SYNC == 0)?;
        }
        done(count)
    })
}

/// vmsplice(2): the bytes are copied, which a program that leaves gifts alone does not notice.
///
/// # Errors
/// As the manual page says.
pub fn vmsplice(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let options = call.uint(3);
    if options & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if pipe::capacity(&*file.ops).is_err() {
        return Err(Errno::EBADF);
    }
    let ranges = ranges(call)?;
    let writes = file.is_writable();
    let ready = if writes { Poll::OUT | Poll::ERR } else { Poll::IN | Poll::HUP };
    if options & SPLICE_NONBLOCK != 0 && !file.ops.poll(&file).intersects(ready) {
        return Err(Errno::EAGAIN);
    }
    if writes { write_from(call, ranges, None) } else { read_into(call, ranges, None) }
}

/// lseek(2).
///
/// # Errors
/// As the manual page says.
pub fn lseek(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let (offset, whence) = (call.long(1), call.uint(2));
    if whence > 4 {
        return Err(Errno::EINVAL);
    }
    if !file.ops.is_seekable() {
        // Event descriptors and the like have a position that stays where it is.
        let is_event = file.ops.metadata()?.mode & mode::S_IFMT == 0;
        return if is_event { Ok(0) } else { Err(Errno::ESPIPE) };
    }
    if file.ops.stays_at_start() {
        return Ok(0);
    }
    let mut position = file.position.lock();
    let relative = |start: u64| start.checked_add_signed(offset).ok_or(Errno::EINVAL);
    let new = match whence {
        0 => file.ops.seek(&file, u64::try_from(offset).map_err(|_| Errno::EINVAL)?, Whence::Set)?,
        1 => file.ops.seek(&file, relative(*position)?, Whence::Current)?,
        2 => relative(file.ops.seek(&file, 0, Whence::End)?)?,
        3 | 4 => {
            let at = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            file.ops.seek(&file, at, if whence == 3 { Whence::Data } else { Whence::Hole })?
        }
        _ => return Err(Errno::EINVAL),
    };
    if i64::try_from(new).is_err() {
        return Err(Errno::EINVAL);
    }
    *position = new;
    Ok(new)
}
