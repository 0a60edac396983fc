//! Waiting: queues that threads and epoll instances stand in, and the one loop in which a thread blocks.

use crate::fs::Poll;
use crate::task::Thread;
use crate::{Errno, Mutex, Result};
use alloc::sync::Weak;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use postern_pal::thread::{self as host_thread, ThreadId};

/// Something that wants to hear of every wake-up of a queue, for instance an epoll item.
pub trait Notify: Send + Sync {
    /// The condition that the queue stands for may have changed. Called with no queue locked; must be short.
    fn notify(&self);

    /// As [`Notify::notify`]; `events` is what is known to have happened.
    fn notify_of(&self, events: Poll) {
        let _ = events;
        self.notify();
    }
}

enum Waiter {
    Thread(ThreadId),
    Callback(Weak<dyn Notify>),
}

/// A queue of those who wait for a condition to change. The owner of the condition calls [`WaitQueue::wake`] after
/// each change.
#[derive(Default)]
pub struct WaitQueue {
    count: AtomicU32,
    list: Mutex<Vec<(u64, Waiter)>>,
}

static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

/// A place in a queue; left when dropped.
pub struct Place<'a> {
    queue: &'a WaitQueue,
    key: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.leave(self.key);
    }
}

impl WaitQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: AtomicU32::new(0), list: Mutex::new(Vec::new()) }
    }

    fn join(&self, waiter: Waiter) -> u64 {
        let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        let mut list = self.list.lock();
        list.push((key, waiter));
        self.count.fetch_add(1, Ordering::SeqCst);
        key
    }

    /// Leaves the place with this key.
    pub fn leave(&self, key: u64) {
        let mut list = self.list.lock();
        if let Some(at) = list.iter().position(|(k, _)| *k == key) {
            list.swap_remove(at);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The running thread stands in the queue until the place is dropped. Look at the condition *after* this.
    #[must_use]
    pub fn stand(&self) -> Place<'_> {
        Place { queue: self, key: self.join(Waiter::Thread(host_thread::current())) }
    }

    /// Registers a callback; undo with [`WaitQueue::leave`].
    #[must_use]
    pub fn subscribe(&self, callback: Weak<dyn Notify>) -> u64 {
        self.join(Waiter::Callback(callback))
    }

    /// Wakes everybody. Call it after the condition changed.
    #[inline]
    pub fn wake(&self) {
        self.wake_for(Poll::empty());
    }

    /// [`WaitQueue::wake`] for something that is told of by signals, too.
    #[inline]
    pub fn wake_for(&self, events: Poll) {
        core::sync::atomic::fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) != 0 {
            self.wake_slow(events);
        }
    }

    /// Wakes everybody after a change of a condition that is guarded by a lock: the change was made under it, and
    /// whoever stands in the queue takes it to look. Then either the waiter sees the change or this sees the waiter,
    /// without the fence that [`WaitQueue::wake`] needs.
    #[inline]
    pub fn wake_after_lock(&self) {
        self.wake_after_lock_for(Poll::empty());
    }

    /// [`WaitQueue::wake_after_lock`] for something that is told of by signals, too.
    #[inline]
    pub fn wake_after_lock_for(&self, events: Poll) {
        if self.count.load(Ordering::Relaxed) != 0 {
            self.wake_slow(events);
        }
    }

    #[cold]
    fn wake_slow(&self, events: Poll) {
        // Woken threads leave the queue at once: waking them under its lock would make them wait for it. Most queues
        // hold one or two threads, which need no memory here.
        let mut first = [None; 4];
        let mut further = Vec::new();
        let mut callbacks = Vec::new();
        {
            let list = self.list.lock();
            let mut room = first.iter_mut();
            for (_, waiter) in list.iter() {
                match (waiter, room.next()) {
                    (Waiter::Thread(id), Some(place)) => *place = Some(*id),
                    (Waiter::Thread(id), None) => further.push(*id),
                    (Waiter::Callback(weak), _) => callbacks.extend(weak.upgrade()),
                }
            }
        }
        for id in first.into_iter().flatten().chain(further) {
            host_thread::unpark(id);
        }
        for callback in callbacks {
            callback.notify_of(events);
        }
    }
}

/// Blocks the running thread until `attempt` returns something. `attempt` is called at once, and again after each
/// wake-up of one of `queues`; it must not block.
///
/// # Errors
/// What `attempt` returns; `EAGAIN` if the thread may not wait now; `ERESTARTSYS` if a signal is to be handled; `ETIMEDOUT` when `deadline` (monotonic
/// nanoseconds) has passed.
pub fn block<T>(
    thread: &Thread,
    queues: &[&WaitQueue],
    deadline: Option<u64>,
    mut attempt: impl FnMut() -> Option<Result<T>>,
) -> Result<T> {
    if let Some(result) = attempt() {
        return result;
    }
    if thread.hurries.load(Ordering::Relaxed) {
        return Err(Errno::EAGAIN);
    }
    let mut places = Vec::with_capacity(queues.len());
    for queue in queues {
        places.push(queue.stand());
    }
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        if thread.is_interrupted() {
            return Err(Errno::ERESTARTSYS);
        }
        if deadline.is_some_and(|deadline| postern_pal::clock::now() >= deadline) {
            return Err(Errno::ETIMEDOUT);
        }
        host_thread::park(deadline);
    }
}
