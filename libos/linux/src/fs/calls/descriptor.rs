//! close(2), dup(2), ioctl(2).

use crate::call::Call;
use crate::fs::file::{flags, mode};
use crate::fs::{OpenFile, sigio};
use crate::task::Process;
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::user;

/// A descriptor of `file` was taken out of the table of `process`.
pub(super) fn closed(process: &Process, file: Arc<OpenFile>) {
    file.closed_by(process.pid);
    drop(file);
}

fn number(fd: i32) -> Result<u64> {
    u64::try_from(fd).map_err(|_| Errno::EMFILE)
}

/// close(2).
///
/// # Errors
/// As the manual page says.
pub fn close(call: &mut Call<'_>) -> Result<u64> {
    let process = call.process();
    let file = process.files.remove(call.int(0))?;
    closed(process, file);
    Ok(0)
}

/// close_range(2).
///
/// # Errors
/// As the manual page says.
pub fn close_range(call: &mut Call<'_>) -> Result<u64> {
    const UNSHARE: u32 = 2;
    const CLOEXEC: u32 = 4;
    let (first, last, options) = (call.uint(0), call.uint(1), call.uint(2));
    if first > last || options & !(UNSHARE | CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let process = call.process();
    let inside = |fd: i32| u32::try_from(fd).is_ok_and(|fd| (first..=last).contains(&fd));
    if options & CLOEXEC != 0 {
        for (fd, _) in process.files.list() {
            if inside(fd) {
                // Another thread may have closed it meanwhile.
                let _ = process.files.set_close_on_exec(fd, true);
            }
        }
        return Ok(0);
    }
    for file in process.files.remove_if(|fd, _| inside(fd)) {
        closed(process, file);
    }
    Ok(0)
}

/// dup(2).
///
/// # Errors
/// As the manual page says.
pub fn dup(call: &mut Call<'_>) -> Result<u64> {
    let file = call.any_file(0)?;
    number(call.process().add_file(file, false)?)
}

fn dup_to(call: &Call<'_>, new: i32, close_on_exec: bool) -> Result<u64> {
    let file = call.any_file(0)?;
    let process = call.process();
    if let Some(old) = process.files.replace(new, file, close_on_exec, process.descriptor_limit())? {
        closed(process, old);
    }
    number(new)
}

/// dup2(2).
///
/// # Errors
/// As the manual page says.
pub fn dup2(call: &mut Call<'_>) -> Result<u64> {
    let new = call.int(1);
    if new == call.int(0) {
        return call.any_file(0).and_then(|_| number(new));
    }
    dup_to(call, new, false)
}

/// dup3(2).
///
/// # Errors
/// As the manual page says.
pub fn dup3(call: &mut Call<'_>) -> Result<u64> {
    let (new, options) = (call.int(1), call.uint(2));
    if new == call.int(0) || options & !flags::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    dup_to(call, new, options != 0)
}

/// ioctl(2): what is the same for all files; the rest is the file's.
///
/// # Errors
/// As the manual page says.
pub fn ioctl(call: &mut Call<'_>) -> Result<u64> {
    const FIONCLEX: u32 = 0x5450;
    const FIOCLEX: u32 = 0x5451;
    const FIONBIO: u32 = 0x5421;
    const FIOASYNC: u32 = 0x5452;
    const FIONREAD: u32 = 0x541b;
    const FIOQSIZE: u32 = 0x5460;
    let file = call.file(0)?;
    let (request, argument) = (call.uint(1), call.word(2));
    match request {
        FIOCLEX | FIONCLEX => {
            call.process().files.set_close_on_exec(call.int(0), request == FIOCLEX).map(|()| 0)
        }
        FIONBIO => {
            let status = file.status();
            let on = user::read::<i32>(argument)? != 0;
            file.set_status(if on { status | flags::O_NONBLOCK } else { status & !flags::O_NONBLOCK });
            Ok(0)
        }
        FIOASYNC => {
            let on = user::read::<i32>(argument)? != 0;
            let is_known = sigio::set_async(call.process(), &file, call.int(0), on);
            if is_known { Ok(0) } else { Err(Errno::ENOTTY) }
        }
        FIONREAD | FIOQSIZE if file.ops.metadata().is_ok_and(|m| m.mode & mode::S_IFMT == mode::S_IFREG) => {
            let size = file.ops.size()?;
            if request == FIOQSIZE {
                user::write(argument, &size)?;
            } else {
                // Negative behind the end, as Linux has it.
                let left = size.cast_signed().saturating_sub_unsigned(*file.position.lock());
                user::write(argument, &i32::try_from(left).unwrap_or(i32::MAX))?;
            }
            Ok(0)
        }
        _ => file.ops.ioctl(call.thread, &file, request, argument),
    }
}
