//! POSIX message queues: mq_overview(7).

mod calls;
mod notice;

pub use calls::{mq_getsetattr, mq_notify, mq_open, mq_timedreceive, mq_timedsend, mq_unlink};

use super::{anonymous_metadata, next_inode, time_of_day};
use crate::fs::file::mode;
use crate::fs::permission::{self, Who};
use crate::fs::{FileOps, Metadata, OpenFile, Poll};
use crate::io::Sink;
use crate::task::{Process, Thread, limits, resource};
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};
use notice::Notice;

/// Device number that stat shows for queues.
const DEV_QUEUE: u64 = 16;
/// Length that stat shows (`FILENT_SIZE`).
const SHOWN_SIZE: u64 = 80;
/// Lowest priority that does not exist (`MQ_PRIO_MAX`).
const PRIORITIES: u32 = 32768;
/// Most queues (`/proc/sys/fs/mqueue/queues_max`).
pub const MAX_QUEUES: u32 = 256;
/// Most and longest messages of a queue, and what it gets where nothing else is asked for (`/proc/sys/fs/mqueue`).
pub const MAX_MESSAGES: u64 = 10;
/// In bytes.
pub const MAX_SIZE: u64 = 8192;
/// Bytes that the kernel would need for each message beside its text, and for each priority.
const OVERHEAD: u64 = 48;

/// Messages and bytes of a queue at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    messages: u64,
    size: u64,
}

impl Shape {
    /// What mq_open(3)'s `attr` asks for.
    ///
    /// # Errors
    /// `EINVAL`.
    fn new(messages: i64, size: i64) -> Result<Self> {
        let within = |value: i64, most: u64| u64::try_from(value).ok().filter(|v| (1..=most).contains(v));
        match (within(messages, MAX_MESSAGES), within(size, MAX_SIZE)) {
            (Some(messages), Some(size)) => Ok(Self { messages, size }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What counts against `RLIMIT_MSGQUEUE`, in bytes.
    fn bytes(self) -> u64 {
        let tree = self.messages.min(u64::from(PRIORITIES)) * OVERHEAD;
        self.messages * (self.size + OVERHEAD) + tree
    }
}

#[derive(Default)]
struct State {
    /// Messages by priority, each in order of arrival.
    messages: BTreeMap<u32, VecDeque<Vec<u8>>>,
    count: u64,
    bytes: u64,
    /// Threads that wait for a message: they get one before anybody is told of it.
    receivers: u64,
    notice: Option<Notice>,
}

impl State {
    fn push(&mut self, priority: u32, text: Vec<u8>) {
        self.count += 1;
        self.bytes += text.len() as u64;
        self.messages.entry(priority).or_default().push_back(text);
    }

    /// The oldest message of the highest priority.
    fn pop(&mut self) -> Option<(u32, Vec<u8>)> {
        let mut highest = self.messages.last_entry()?;
        let priority = *highest.key();
        let text = highest.get_mut().pop_front()?;
        if highest.get().is_empty() {
            highest.remove();
        }
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(text.len() as u64);
        Some((priority, text))
    }
}

/// Bytes of queues by user, and how many queues there are.
static USED: Mutex<BTreeMap<u32, u64>> = Mutex::new(BTreeMap::new());
static QUEUES: AtomicU32 = AtomicU32::new(0);

/// A message queue: what all who opened it share.
pub struct Queue {
    shape: Shape,
    state: Mutex<State>,
    changed: WaitQueue,
    mode: u32,
    owner: [u32; 2],
    ino: u64,
    created: [i64; 2],
}

impl Queue {
    /// # Errors
    /// `ENOSPC` for too many queues, `EMFILE` where the user has no bytes left (`RLIMIT_MSGQUEUE`).
    fn new(process: &Process, shape: Shape, bits: u32) -> Result<Self> {
        let owner = {
            let identity = process.identity.lock();
            [identity.fsuid, identity.fsgid]
        };
        let [uid, _] = owner;
        let limit = process.limits.soft(resource::MSGQUEUE);
        let mut used = USED.lock();
        if QUEUES.load(Ordering::Relaxed) >= MAX_QUEUES {
            return Err(Errno::ENOSPC);
        }
        let own = used.entry(uid).or_default();
        let bytes = own.saturating_add(shape.bytes());
        if limit != limits::INFINITY && bytes > limit {
            return Err(Errno::EMFILE);
        }
        *own = bytes;
        QUEUES.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            shape,
            state: Mutex::new(State::default()),
            changed: WaitQueue::new(),
            mode: bits,
            owner,
            ino: next_inode(),
            created: time_of_day(),
        })
    }

    /// Checks for permission to do `wanted`.
    fn check(&self, process: &Process, wanted: u32) -> Result<()> {
        let identity = process.identity.lock();
        let who = Who { uid: identity.fsuid, gid: identity.fsgid, groups: &identity.groups };
        let bits = mode::S_IFREG | self.mode;
        if permission::is_allowed(&who, bits, self.owner, wanted) { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Adds a message, waiting for room until `deadline` unless `at_once`.
    fn send(
        &self,
        thread: &Thread,
        priority: u32,
        text: Vec<u8>,
        at_once: bool,
        deadline: Option<u64>,
    ) -> Result<()> {
        let mut text = Some(text);
        let told = wait::block(thread, &[&self.changed], deadline, || {
            let mut state = self.state.lock();
            if state.count >= self.shape.messages {
                return at_once.then_some(Err(Errno::EAGAIN));
            }
            state.push(priority, text.take().unwrap_or_default());
            // The first message that nobody waits for.
            let is_first = state.count == state.receivers + 1;
            Some(Ok(if is_first { state.notice.take() } else { None }))
        })?;
        self.changed.wake_after_lock();
        if let Some(notice) = told {
            notice.arrived(&thread.process);
        }
        Ok(())
    }

    /// Takes a message and its priority, waiting for one until `deadline` unless `at_once`.
    fn receive(&self, thread: &Thread, at_once: bool, deadline: Option<u64>) -> Result<(u32, Vec<u8>)> {
        let mut waits = false;
        let taken = wait::block(thread, &[&self.changed], deadline, || {
            let mut state = self.state.lock();
            let message = state.pop();
            if message.is_none() && at_once {
                return Some(Err(Errno::EAGAIN));
            }
            if message.is_none() != waits {
                waits = !waits;
                state.receivers = if waits { state.receivers + 1 } else { state.receivers.saturating_sub(1) };
            }
            message.map(Ok)
        });
        if waits {
            let mut state = self.state.lock();
            state.receivers = state.receivers.saturating_sub(1);
        }
        let taken = taken?;
        self.changed.wake_after_lock();
        Ok(taken)
    }

    /// Drops the wish of `pid` to be told, if it has one.
    fn forget_notice(&self, pid: u32) {
        let dropped = {
            let mut state = self.state.lock();
            if state.notice.as_ref().is_some_and(|n| n.pid() == pid) { state.notice.take() } else { None }
        };
        if let Some(notice) = dropped {
            notice.removed();
        }
    }
}

impl FileOps for Queue {
    /// The line that mq_overview(7) describes.
    fn read(&self, _: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        let (bytes, [kind, signal, pid]) = {
            let state = self.state.lock();
            (state.bytes, state.notice.as_ref().map_or([0; 3], Notice::shown))
        };
        let line = format!("QSIZE:{bytes:<10} NOTIFY:{kind:<5} SIGNO:{signal:<5} NOTIFY_PID:{pid:<6}\n");
        let mut position = file.position.lock();
        let rest = usize::try_from(*position).ok().and_then(|at| line.as_bytes().get(at..)).unwrap_or(&[]);
        let count = if rest.is_empty() { 0 } else { sink.put(rest)? };
        *position += count as u64;
        Ok(count)
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        let count = self.state.lock().count;
        let mut ready = Poll::empty();
        if count > 0 {
            ready |= Poll::IN | Poll::RDNORM;
        }
        if count < self.shape.messages {
            ready |= Poll::OUT | Poll::WRNORM;
        }
        ready
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.changed)
    }

    fn metadata(&self) -> Result<Metadata> {
        let bits = mode::S_IFREG | self.mode;
        let metadata = anonymous_metadata(DEV_QUEUE, self.ino, bits, self.created, self.owner);
        Ok(Metadata { size: SHOWN_SIZE, ..metadata })
    }

    fn close(&self, _: &OpenFile, pid: u32) {
        self.forget_notice(pid);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let [uid, _] = self.owner;
        if let Some(own) = USED.lock().get_mut(&uid) {
            *own = own.saturating_sub(self.shape.bytes());
        }
        QUEUES.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_comes_first_and_in_order() {
        let mut state = State::default();
        for (priority, text) in [(1, "a"), (9, "b"), (1, "c"), (9, "d")] {
            state.push(priority, text.as_bytes().to_vec());
        }
        let mut order = Vec::new();
        while let Some((priority, text)) = state.pop() {
            order.push((priority, text[0]));
        }
        assert_eq!(order, [(9, b'b'), (9, b'd'), (1, b'a'), (1, b'c')]);
        assert_eq!((state.count, state.bytes), (0, 0));
    }

    #[test]
    fn shapes_have_limits() {
        assert_eq!(Shape::new(10, 8192).map(Shape::bytes), Ok(10 * (8192 + 96)));
        for (messages, size) in [(0, 1), (1, 0), (-1, 1), (11, 1), (1, 8193)] {
            assert_eq!(Shape::new(messages, size), Err(Errno::EINVAL));
        }
    }
}
