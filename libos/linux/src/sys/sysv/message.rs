//! Message queues: msgget(2), msgsnd(2), msgrcv(2).

use super::{NO_WAIT, Object, Permissions, READ, Table, WRITE, answer, command, now, usable};
use crate::call::Call;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use postern_pal::user;

/// Longest message, in bytes.
const MAX_MESSAGE: usize = 8192;
/// Bytes that a queue holds at first.
const MAX_BYTES: u64 = 16384;
/// msgrcv: cut a message that is too long; take one of another type; leave it in the queue.
const NO_ERROR: u32 = 0o10000;
const EXCEPT: u32 = 0o20000;
const COPY: u32 = 0o40000;

struct Message {
    kind: i64,
    text: Vec<u8>,
}

struct State {
    messages: VecDeque<Message>,
    bytes: u64,
    limit: u64,
    /// When and by whom a message was sent and received last.
    sent: (i64, u32),
    received: (i64, u32),
    is_removed: bool,
}

/// A message queue.
struct Queue {
    permissions: Mutex<Permissions>,
    state: Mutex<State>,
    changed: WaitQueue,
}

impl Object for Queue {
    fn permissions(&self) -> &Mutex<Permissions> {
        &self.permissions
    }
}

static QUEUES: Mutex<Table<Queue>> = Mutex::new(Table::new());

/// msgget(2).
///
/// # Errors
/// As the manual page says.
pub fn msgget(call: &mut Call<'_>) -> Result<u64> {
    let make = |permissions| {
        let state = State {
            messages: VecDeque::new(),
            bytes: 0,
            limit: MAX_BYTES,
            sent: (0, 0),
            received: (0, 0),
            is_removed: false,
        };
        Ok(Queue {
            permissions: Mutex::new(permissions),
            state: Mutex::new(state),
            changed: WaitQueue::new(),
        })
    };
    let id = QUEUES.lock().get(call.process(), call.int(0), call.uint(1), |_| Ok(()), make)?;
    answer(id)
}

/// msgsnd(2).
///
/// # Errors
/// As the manual page says.
pub fn msgsnd(call: &mut Call<'_>) -> Result<u64> {
    let (at, len, asked) = (call.word(1), call.word(2), call.uint(3));
    if len > MAX_MESSAGE {
        return Err(Errno::EINVAL);
    }
    let kind: i64 = user::read(at)?;
    if kind < 1 {
        return Err(Errno::EINVAL);
    }
    let mut text = alloc::vec![0u8; len];
    user::read_bytes(at.wrapping_add(8), &mut text)?;
    let queue = usable(call, &QUEUES, WRITE)?;
    let size = len as u64;
    let mut message = Some(Message { kind, text });
    wait::block(call.thread, &[&queue.changed], None, || {
        let mut state = queue.state.lock();
        if state.is_removed {
            return Some(Err(Errno::EIDRM));
        }
        let full = state.bytes + size > state.limit || state.messages.len() as u64 >= state.limit;
        if full {
            return (asked & NO_WAIT != 0).then_some(Err(Errno::EAGAIN));
        }
        state.bytes += size;
        state.sent = (now(), call.process().pid);
        state.messages.extend(message.take());
        Some(Ok(()))
    })
    .map_err(never_restarted)?;
    queue.changed.wake();
    Ok(0)
}

/// These calls are not restarted after a handler, whatever `SA_RESTART` says.
fn never_restarted(errno: Errno) -> Errno {
    if errno == Errno::ERESTARTSYS { Errno::ERESTARTNOHAND } else { errno }
}

/// The place of the message that msgrcv means.
fn choose(messages: &VecDeque<Message>, kind: i64, asked: u32) -> Option<usize> {
    if asked & COPY != 0 {
        return usize::try_from(kind).ok().filter(|at| *at < messages.len());
    }
    match kind {
        0 => (!messages.is_empty()).then_some(0),
        kind if kind > 0 && asked & EXCEPT != 0 => messages.iter().position(|m| m.kind != kind),
        kind if kind > 0 => messages.iter().position(|m| m.kind == kind),
        // The lowest type that is not above the absolute value; the first of several.
        kind => {
            let most = i64::try_from(kind.unsigned_abs()).unwrap_or(i64::MAX);
            let lowest = messages.iter().map(|m| m.kind).filter(|k| *k <= most).min()?;
            messages.iter().position(|m| m.kind == lowest)
        }
    }
}

/// msgrcv(2).
///
/// # Errors
/// As the manual page says.
pub fn msgrcv(call: &mut Call<'_>) -> Result<u64> {
    let (at, room, kind, asked) = (call.word(1), call.word(2), call.long(3), call.uint(4));
    if room > isize::MAX.unsigned_abs() || (asked & COPY != 0 && asked & (EXCEPT | NO_WAIT) != NO_WAIT) {
        return Err(Errno::EINVAL);
    }
    let queue = usable(call, &QUEUES, READ)?;
    let (kind, mut text) = wait::block(call.thread, &[&queue.changed], None, || {
        let mut state = queue.state.lock();
        if state.is_removed {
            return Some(Err(Errno::EIDRM));
        }
        let Some(index) = choose(&state.messages, kind, asked) else {
            return (asked & NO_WAIT != 0).then_some(Err(Errno::ENOMSG));
        };
        let too_long = state.messages.get(index).is_some_and(|m| m.text.len() > room);
        if too_long && asked & NO_ERROR == 0 {
            return Some(Err(Errno::E2BIG));
        }
        if asked & COPY != 0 {
            return state.messages.get(index).map(|m| Ok((m.kind, m.text.clone())));
        }
        let message = state.messages.remove(index)?;
        state.bytes = state.bytes.saturating_sub(message.text.len() as u64);
        state.received = (now(), call.process().pid);
        Some(Ok((message.kind, message.text)))
    })
    .map_err(never_restarted)?;
    queue.changed.wake();
    text.truncate(room);
    user::write(at, &kind)?;
    user::write_bytes(at.wrapping_add(8), &text)?;
    crate::call::done(text.len())
}

/// As `struct msqid64_ds`.
fn status(queue: &Queue) -> [u64; 15] {
    let permissions = *queue.permissions.lock();
    let state = queue.state.lock();
    let mut words = [0u64; 15];
    for (slot, word) in words.iter_mut().zip(permissions.words()) {
        *slot = word;
    }
    words[6] = state.sent.0.cast_unsigned();
    words[7] = state.received.0.cast_unsigned();
    words[8] = permissions.changed.cast_unsigned();
    words[9] = state.bytes;
    words[10] = state.messages.len() as u64;
    words[11] = state.limit;
    words[12] = u64::from(state.sent.1) | (u64::from(state.received.1) << 32);
    words
}

/// msgctl(2).
///
/// # Errors
/// As the manual page says.
pub fn msgctl(call: &mut Call<'_>) -> Result<u64> {
    const STAT_INDEX: u32 = 11;
    const MSG_INFO: u32 = 12;
    const STAT_ANY: u32 = 13;
    let (id, at) = (call.int(0), call.word(2));
    match call.uint(1) {
        command::STAT => {
            user::write(at, &status(&*usable(call, &QUEUES, READ)?))?;
            Ok(0)
        }
        STAT_INDEX | STAT_ANY => {
            user::write(at, &status(&*usable(call, &QUEUES, READ)?))?;
            answer(id)
        }
        command::SET => {
            let words: [u64; 15] = user::read(at)?;
            let limit = words.get(11).copied().unwrap_or(0);
            let queue = QUEUES.lock().find(id)?;
            {
                let mut permissions = queue.permissions.lock();
                permissions.check_owner(call.process())?;
                if limit > MAX_BYTES && call.process().identity.lock().euid != 0 {
                    return Err(Errno::EPERM);
                }
                permissions.set(at)?;
            }
            queue.state.lock().limit = limit;
            queue.changed.wake();
            Ok(0)
        }
        command::REMOVE => {
            let queue = {
                let mut table = QUEUES.lock();
                table.find(id)?.permissions.lock().check_owner(call.process())?;
                table.remove(id).ok_or(Errno::EINVAL)?
            };
            queue.state.lock().is_removed = true;
            queue.changed.wake();
            Ok(0)
        }
        command::INFO | MSG_INFO => {
            let limits: [u32; 8] = [512_000, 32000, 8192, 16384, 32000, 16, 32000, 65535];
            user::write(at, &limits)?;
            Ok(QUEUES.lock().objects.keys().next_back().map_or(0, |id| u64::from(id.unsigned_abs())))
        }
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_chooses_the_message() {
        let messages: VecDeque<Message> =
            [3, 1, 2, 1].into_iter().map(|kind| Message { kind, text: Vec::new() }).collect();
        assert_eq!(choose(&messages, 0, 0), Some(0));
        assert_eq!(choose(&messages, 1, 0), Some(1));
        assert_eq!(choose(&messages, 9, 0), None);
        assert_eq!(choose(&messages, 3, EXCEPT), Some(1));
        assert_eq!(choose(&messages, -2, 0), Some(1));
        assert_eq!(choose(&messages, 3, COPY), Some(3));
        assert_eq!(choose(&VecDeque::new(), 0, 0), None);
    }
}
