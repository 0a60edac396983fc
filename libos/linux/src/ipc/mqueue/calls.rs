//! The calls on message queues.

use super::notice::Notice;
use super::{MAX_MESSAGES, MAX_SIZE, PRIORITIES, Queue, Shape};
use crate::call::{Call, done};
use crate::fs::file::flags;
use crate::fs::path::NAME_MAX;
use crate::fs::{OpenFile, permission};
use crate::ipc::deadline;
use crate::{Errno, Mutex, Result};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use postern_pal::{clock, user};

/// The queues that have a name.
static NAMES: Mutex<BTreeMap<Vec<u8>, Arc<Queue>>> = Mutex::new(BTreeMap::new());

/// The name at argument 0, from which the C library took the slash.
fn name(call: &Call<'_>) -> Result<Vec<u8>> {
    let name = call.path(0)?;
    match name.as_slice() {
        b"" => Err(Errno::ENOENT),
        b"." | b".." => Err(Errno::EACCES),
        name if name.contains(&b'/') => Err(Errno::EACCES),
        name if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
        _ => Ok(name),
    }
}

/// mq_open(2).
///
/// # Errors
/// As the manual page says.
pub fn mq_open(call: &mut Call<'_>) -> Result<u64> {
    let (asked, bits, attributes) = (call.uint(1), call.uint(2), call.word(3));
    let name = name(call)?;
    let wanted = match asked & flags::O_ACCMODE {
        0 => permission::READ,
        flags::O_WRONLY => permission::WRITE,
        flags::O_RDWR => permission::READ | permission::WRITE,
        _ => return Err(Errno::EINVAL),
    };
    let shape = if asked & flags::O_CREAT != 0 && attributes != 0 {
        let [_, messages, size, ..]: [i64; 8] = user::read(attributes)?;
        Some((messages, size))
    } else {
        None
    };
    let process = call.process();
    let queue = {
        let mut names = NAMES.lock();
        match names.get(&name) {
            Some(_) if asked & (flags::O_CREAT | flags::O_EXCL) == flags::O_CREAT | flags::O_EXCL => {
                return Err(Errno::EEXIST);
            }
            Some(queue) => {
                queue.check(process, wanted)?;
                queue.clone()
            }
            None if asked & flags::O_CREAT == 0 => return Err(Errno::ENOENT),
            None => {
                let plain = Shape { messages: MAX_MESSAGES, size: MAX_SIZE };
                let shape = shape.map_or(Ok(plain), |(messages, size)| Shape::new(messages, size))?;
                let umask = process.fs.umask.load(Ordering::Relaxed);
                let queue = Arc::new(Queue::new(process, shape, bits & 0o7777 & !umask)?);
                names.insert(name, queue.clone());
                queue
            }
        }
    };
    // The descriptor closes on exec, whether asked for or not.
    let file = OpenFile::new(queue, asked & (flags::O_ACCMODE | flags::O_NONBLOCK));
    u64::try_from(process.add_file(file, true)?).map_err(|_| Errno::EMFILE)
}

/// mq_unlink(2).
///
/// # Errors
/// As the manual page says.
pub fn mq_unlink(call: &mut Call<'_>) -> Result<u64> {
    let name = name(call)?;
    let uid = call.process().identity.lock().fsuid;
    let removed = {
        let mut names = NAMES.lock();
        let [owner, _] = names.get(&name).ok_or(Errno::ENOENT)?.owner;
        if uid != 0 && uid != owner {
            return Err(Errno::EPERM);
        }
        names.remove(&name)
    };
    drop(removed);
    Ok(0)
}

/// Runs `f` with the queue of descriptor argument 0.
fn with_queue<R>(call: &Call<'_>, f: impl FnOnce(&OpenFile, &Queue) -> Result<R>) -> Result<R> {
    call.with_file(0, |file| f(file, file.ops.as_any().downcast_ref().ok_or(Errno::EBADF)?))
}

/// The deadline that argument 4 points to, a time of `CLOCK_REALTIME`, in monotonic nanoseconds.
fn deadline(call: &Call<'_>) -> Result<Option<u64>> {
    let at = call.word(4);
    if at == 0 {
        return Ok(None);
    }
    let there = deadline::nanoseconds(user::read(at)?)?;
    Ok(Some(clock::now().saturating_add(there).saturating_sub(clock::nanoseconds(clock::id::REALTIME))))
}

/// mq_timedsend(2).
///
/// # Errors
/// As the manual page says.
pub fn mq_timedsend(call: &mut Call<'_>) -> Result<u64> {
    let (at, len, priority) = (call.word(1), call.word(2), call.uint(3));
    let deadline = deadline(call)?;
    if priority >= PRIORITIES {
        return Err(Errno::EINVAL);
    }
    with_queue(call, |file, queue| {
        if !file.is_writable() {
            return Err(Errno::EBADF);
        }
        if len as u64 > queue.shape.size {
            return Err(Errno::EMSGSIZE);
        }
        let mut text = alloc::vec![0; len];
        user::read_bytes(at, &mut text)?;
        queue.send(call.thread, priority, text, file.is_nonblocking(), deadline).map(|()| 0)
    })
}

/// mq_timedreceive(2).
///
/// # Errors
/// As the manual page says.
pub fn mq_timedreceive(call: &mut Call<'_>) -> Result<u64> {
    let (at, room, priority_at) = (call.word(1), call.word(2), call.word(3));
    let deadline = deadline(call)?;
    with_queue(call, |file, queue| {
        if !file.is_readable() {
            return Err(Errno::EBADF);
        }
        if (room as u64) < queue.shape.size {
            return Err(Errno::EMSGSIZE);
        }
        let (priority, text) = queue.receive(call.thread, file.is_nonblocking(), deadline)?;
        if priority_at != 0 {
            user::write(priority_at, &priority)?;
        }
        user::write_bytes(at, &text)?;
        done(text.len())
    })
}

/// mq_notify(2).
///
/// # Errors
/// As the manual page says.
pub fn mq_notify(call: &mut Call<'_>) -> Result<u64> {
    let at = call.word(1);
    let notice = if at == 0 { None } else { Some(Notice::read(call, at)?) };
    with_queue(call, |_, queue| {
        let Some(notice) = notice else {
            queue.forget_notice(call.process().pid);
            return Ok(0);
        };
        let mut state = queue.state.lock();
        if state.notice.is_some() {
            return Err(Errno::EBUSY);
        }
        state.notice = Some(notice);
        Ok(0)
    })
}

/// mq_getsetattr(2).
///
/// # Errors
/// As the manual page says.
pub fn mq_getsetattr(call: &mut Call<'_>) -> Result<u64> {
    let (new_at, old_at) = (call.word(1), call.word(2));
    let new: Option<[i64; 8]> = if new_at == 0 { None } else { Some(user::read(new_at)?) };
    let nonblock = i64::from(flags::O_NONBLOCK);
    let new = new.map(|[status, ..]| status);
    if new.is_some_and(|status| status & !nonblock != 0) {
        return Err(Errno::EINVAL);
    }
    with_queue(call, |file, queue| {
        let count = queue.state.lock().count;
        let shown = if file.is_nonblocking() { u64::from(flags::O_NONBLOCK) } else { 0 };
        let old = [shown, queue.shape.messages, queue.shape.size, count, 0, 0, 0, 0];
        if let Some(status) = new {
            let rest = file.status() & !flags::O_NONBLOCK;
            file.set_status(if status != 0 { rest | flags::O_NONBLOCK } else { rest });
        }
        if old_at != 0 {
            user::write(old_at, &old)?;
        }
        Ok(0)
    })
}
