//! sendfile(2), copy_file_range(2), splice(2), tee(2): through a buffer of the kernel half.

use crate::call::{Call, done};
use crate::fs::file::{flags, mode};
use crate::fs::{OpenFile, Poll, device, inotify::event};
use crate::io::{MAX_COUNT, Sink, Source};
use crate::ipc::pipe;
use crate::task::Thread;
use crate::{Errno, Result, wait};
use alloc::sync::Arc;
use postern_pal::user;

const BUFFER: usize = 64 * 1024;
pub(super) const SPLICE_NONBLOCK: u32 = 2;
/// All `SPLICE_F_*`.
pub(super) const SPLICE_FLAGS: u32 = 15;

/// Writes all of `bytes`. `taken`: they cannot be given back to their source, so what was begun is finished even
/// where the file is non-blocking.
fn write_all(
    thread: &Thread,
    file: &OpenFile,
    bytes: &[u8],
    mut at: Option<u64>,
    taken: bool,
) -> Result<usize> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(thread, &mut Source::Kernel(rest, 0), at) {
            Ok(0) => break,
            Ok(count) => {
                written += count;
                at = at.map(|a| a.saturating_add(count as u64));
            }
            Err(Errno::EAGAIN) if written > 0 && taken => {
                let Some(queue) = file.ops.wait_queue() else { break };
                let ready =
                    || file.ops.poll(file).intersects(Poll::OUT | Poll::ERR | Poll::HUP).then_some(Ok(()));
                if wait::block(thread, &[queue], None, ready).is_err() {
                    break;
                }
            }
            Err(error) => return if written > 0 { Ok(written) } else { Err(error) },
        }
    }
    Ok(written)
}

/// Moves up to `len` bytes. Offsets of `None` use and move the files' positions.
fn copy(
    thread: &Thread,
    from: &OpenFile,
    mut from_at: Option<u64>,
    to: &OpenFile,
    mut to_at: Option<u64>,
    len: usize,
) -> Result<usize> {
    let mut buffer = alloc::vec![0u8; len.min(BUFFER)];
    let mut total = 0;
    while total < len {
        let want = (len - total).min(buffer.len());
        let part = buffer.get_mut(..want).unwrap_or(&mut []);
        let got = match from.read(thread, &mut Sink::Kernel(part, 0), from_at) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if total == 0 => return Err(error),
            Err(_) => break,
        };
        let put = match write_all(thread, to, part.get(..got).unwrap_or(&[]), to_at, !from.ops.is_seekable())
        {
            Ok(put) => put,
            Err(error) => {
                give_back(from, from_at, got);
                if total == 0 {
                    return Err(error);
                }
                break;
            }
        };
        if put < got {
            give_back(from, from_at, got - put);
        }
        total += put;
        from_at = from_at.map(|a| a.saturating_add(put as u64));
        to_at = to_at.map(|a| a.saturating_add(put as u64));
        // A pipe or socket gives what it has; only files are read on.
        if put < got || !from.ops.is_seekable() {
            break;
        }
    }
    Ok(total)
}

/// Moves the position back over what was read but not written.
fn give_back(from: &OpenFile, from_at: Option<u64>, count: usize) {
    if from_at.is_none() && from.ops.is_seekable() {
        let mut position = from.position.lock();
        *position = position.saturating_sub(count as u64);
    }
}

/// The offset that a pointer argument gives, if there is one.
fn offset_at(at: usize) -> Result<Option<u64>> {
    if at == 0 {
        return Ok(None);
    }
    let value: i64 = user::read(at)?;
    u64::try_from(value).map(Some).map_err(|_| Errno::EINVAL)
}

fn store_offset(at: usize, old: Option<u64>, moved: usize) -> Result<()> {
    match old {
        Some(old) => user::write(at, &old.saturating_add(moved as u64)),
        None => Ok(()),
    }
}

fn finish(to: &OpenFile, moved: usize) -> Result<u64> {
    super::vector::told(to, event::MODIFY, moved);
    done(moved)
}

fn is_pipe(file: &OpenFile) -> bool {
    pipe::capacity(&*file.ops).is_ok()
}

/// Whether the content can be taken by splice(2), which is not so for directories, event descriptors and the like.
fn can_splice_from(file: &OpenFile) -> Result<bool> {
    let what = file.ops.metadata()?;
    Ok(match what.mode & mode::S_IFMT {
        0 | mode::S_IFDIR | mode::S_IFIFO => false,
        mode::S_IFCHR => what.rdev != device::NULL,
        _ => true,
    })
}

/// sendfile(2).
///
/// # Errors
/// As the manual page says.
pub fn sendfile(call: &mut Call<'_>) -> Result<u64> {
    let from = call.file(1)?;
    let (offset_ptr, len) = (call.word(2), call.word(3).min(MAX_COUNT));
    let offset = offset_at(offset_ptr)?;
    if !from.is_readable() {
        return Err(Errno::EBADF);
    }
    if offset.is_some() && !from.ops.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    let to = call.file(0)?;
    if !to.is_writable() {
        return Err(Errno::EBADF);
    }
    pipe::may_fill(call.thread, &to)?;
    // Into a pipe everything goes that splice takes.
    let fits = is_pipe(&to) || (from.ops.is_seekable() && to.status() & flags::O_APPEND == 0);
    if !fits || !can_splice_from(&from)? {
        return Err(Errno::EINVAL);
    }
    let moved = if offset.is_none() && Arc::ptr_eq(&from, &to) {
        // Onto itself: both sides begin at the one position, and it moves once.
        let start = *from.position.lock();
        let moved = copy(call.thread, &from, Some(start), &to, Some(start), len)?;
        *from.position.lock() = start.saturating_add(moved as u64);
        moved
    } else {
        copy(call.thread, &from, offset, &to, None, len)?
    };
    store_offset(offset_ptr, offset, moved)?;
    finish(&to, moved)
}

/// copy_file_range(2).
///
/// # Errors
/// As the manual page says.
pub fn copy_file_range(call: &mut Call<'_>) -> Result<u64> {
    let (from, to) = (call.file(0)?, call.file(2)?);
    let (from_ptr, to_ptr, len) = (call.word(1), call.word(3), call.word(4).min(MAX_COUNT));
    if call.uint(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let (from_at, to_at) = (offset_at(from_ptr)?, offset_at(to_ptr)?);
    let both = [from.ops.metadata()?, to.ops.metadata()?];
    let is_one_file_system = both[0].dev == both[1].dev;
    let kinds = both.map(|m| m.mode & mode::S_IFMT);
    if kinds.contains(&mode::S_IFDIR) {
        return Err(Errno::EISDIR);
    }
    if kinds != [mode::S_IFREG; 2] {
        return Err(Errno::EINVAL);
    }
    if !from.is_readable() || !to.is_writable() || to.status() & flags::O_APPEND != 0 {
        return Err(Errno::EBADF);
    }
    if !is_one_file_system {
        return Err(Errno::EXDEV);
    }
    let a = from_at.unwrap_or_else(|| *from.position.lock());
    let left = usize::try_from(from.ops.size()?.saturating_sub(a)).unwrap_or(usize::MAX);
    let len = len.min(left);
    if Arc::ptr_eq(&from.ops, &to.ops) {
        let b = to_at.unwrap_or_else(|| *to.position.lock());
        if a < b.saturating_add(len as u64) && b < a.saturating_add(len as u64) {
            return Err(Errno::EINVAL);
        }
    }
    let moved = copy(call.thread, &from, from_at, &to, to_at, len)?;
    store_offset(from_ptr, from_at, moved)?;
    store_offset(to_ptr, to_at, moved)?;
    finish(&to, moved)
}

/// splice(2): one of the two is a pipe.
///
/// # Errors
/// As the manual page says.
pub fn splice(call: &mut Call<'_>) -> Result<u64> {
    let (from_ptr, to_ptr, len) = (call.word(1), call.word(3), call.word(4).min(MAX_COUNT));
    let options = call.uint(5);
    if options & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let (from, to) = (call.file(0)?, call.file(2)?);
    let (from_pipe, to_pipe) = (is_pipe(&from), is_pipe(&to));
    if (from_pipe && from_ptr != 0) || (to_pipe && to_ptr != 0) {
        return Err(Errno::ESPIPE);
    }
    if !from.is_readable() || !to.is_writable() {
        return Err(Errno::EBADF);
    }
    let no_place = |file: &OpenFile, at: usize| at != 0 && !file.ops.is_seekable();
    if pipe::are_one(&*from.ops, &*to.ops)
        || (!from_pipe && !to_pipe)
        || no_place(&from, from_ptr)
        || no_place(&to, to_ptr)
        || (!to_pipe && to.status() & flags::O_APPEND != 0)
        || to.ops.metadata()?.mode & mode::S_IFMT == 0
    {
        return Err(Errno::EINVAL);
    }
    let empty = !from.ops.poll(&from).intersects(Poll::IN | Poll::HUP);
    let full = !to.ops.poll(&to).intersects(Poll::OUT | Poll::ERR);
    if options & SPLICE_NONBLOCK != 0 && (empty || full) {
        return Err(Errno::EAGAIN);
    }
    let (from_at, to_at) = (offset_at(from_ptr)?, offset_at(to_ptr)?);
    if !from_pipe {
        pipe::may_fill(call.thread, &to)?;
        if !can_splice_from(&from)? {
            return Err(Errno::EINVAL);
        }
    }
    let moved = copy(call.thread, &from, from_at, &to, to_at, len.min(BUFFER))?;
    store_offset(from_ptr, from_at, moved)?;
    store_offset(to_ptr, to_at, moved)?;
    finish(&to, moved)
}

/// tee(2).
///
/// # Errors
/// As the manual page says.
pub fn tee(call: &mut Call<'_>) -> Result<u64> {
    let (len, options) = (call.word(2).min(MAX_COUNT), call.uint(3));
    if options & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let (from, to) = (call.file(0)?, call.file(1)?);
    if !from.is_readable() || !to.is_writable() {
        return Err(Errno::EBADF);
    }
    let waits = options & SPLICE_NONBLOCK == 0 && !from.is_nonblocking() && !to.is_nonblocking();
    done(pipe::tee(call.thread, &*from.ops, &*to.ops, len, waits)?)
}
