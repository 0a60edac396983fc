//! epoll(7). Every watched file has an [`Item`] that stands in the file's wait queue; a wake-up puts it on the ready
//! list, so that waiting costs by what is ready and not by what is watched.

use super::timerfd::TimerFd;
use super::{DEV_ANONYMOUS, anonymous_metadata, deadline, next_inode, poll, time_of_day};
use crate::call::{Call, done};
use crate::fs::file::flags;
use crate::fs::{FileOps, Metadata, OpenFile, Poll};
use crate::task::Thread;
use crate::wait::{self, Notify, WaitQueue};
use crate::{Errno, Mutex, Result, signal};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use postern_pal::{clock, user};
use zerocopy::IntoBytes;

const ONESHOT: u32 = 1 << 30;
const EDGE: u32 = 1 << 31;
const EXCLUSIVE: u32 = 1 << 28;
const WAKEUP: u32 = 1 << 29;
/// Event bits that say how to watch and not what for.
const PRIVATE: u32 = ONESHOT | EDGE | EXCLUSIVE | WAKEUP;
const ALWAYS: u32 = Poll::ERR.bits() | Poll::HUP.bits();
/// Deepest nesting of epoll descriptors in each other.
const MAX_NESTING: u32 = 5;
/// Bytes of `struct epoll_event`, which is packed.
const EVENT_SIZE: usize = 12;

/// A watched file.
struct Item {
    epoll: Weak<Epoll>,
    this: Weak<Item>,
    file: Weak<OpenFile>,
    ops: Arc<dyn FileOps>,
    key: (i32, usize),
    events: AtomicU32,
    data: AtomicU64,
    /// On the ready list.
    queued: AtomicBool,
    /// Taken out of the epoll instance.
    removed: AtomicBool,
    /// Place in the file's wait queue.
    place: AtomicU64,
    /// When the file changes by itself, as far as known; 0 = never.
    armed: AtomicU64,
}

impl Item {
    fn ready(&self) -> u32 {
        let events = self.events.load(Ordering::Acquire);
        if events & !PRIVATE == 0 {
            return 0;
        }
        let Some(file) = self.file.upgrade() else { return 0 };
        self.ops.poll(&file).bits() & (events | ALWAYS) & !PRIVATE
    }

    fn remove(&self) {
        self.removed.store(true, Ordering::Release);
        if let Some(queue) = self.ops.wait_queue() {
            queue.leave(self.place.load(Ordering::Relaxed));
        }
    }
}

impl Notify for Item {
    fn notify(&self) {
        if self.removed.load(Ordering::Acquire) {
            return;
        }
        if let (Some(epoll), Some(this)) = (self.epoll.upgrade(), self.this.upgrade()) {
            epoll.enqueue(&this);
            epoll.queue.wake();
        }
    }
}

/// An epoll instance.
pub struct Epoll {
    this: Weak<Epoll>,
    items: Mutex<BTreeMap<(i32, usize), Arc<Item>>>,
    ready: Mutex<VecDeque<Arc<Item>>>,
    /// Items whose files become ready by the clock.
    timed: Mutex<Vec<Weak<Item>>>,
    queue: WaitQueue,
    ino: u64,
    created: [i64; 2],
}

/// One reported event, as the app gets it: bits, and the two halves of its word.
type Event = [u32; 3];

impl Epoll {
    fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            items: Mutex::new(BTreeMap::new()),
            ready: Mutex::new(VecDeque::new()),
            timed: Mutex::new(Vec::new()),
            queue: WaitQueue::new(),
            ino: next_inode(),
            created: time_of_day(),
        })
    }

    fn enqueue(&self, item: &Arc<Item>) {
        if !item.queued.swap(true, Ordering::AcqRel) {
            self.ready.lock().push_back(item.clone());
        }
    }

    fn dequeue(&self) -> Option<Arc<Item>> {
        let item = self.ready.lock().pop_front()?;
        item.queued.store(false, Ordering::Release);
        Some(item)
    }

    fn timed_items(&self) -> Vec<Arc<Item>> {
        let mut timed = self.timed.lock();
        if timed.is_empty() {
            return Vec::new();
        }
        timed.retain(|item| item.strong_count() > 0);
        timed.iter().filter_map(Weak::upgrade).collect()
    }

    /// Puts items whose time has come on the ready list. Returns when the next one's comes.
    fn fire(&self) -> Option<u64> {
        let mut soonest: Option<u64> = None;
        for item in self.timed_items() {
            let now = clock::now();
            let next = item.ops.poll_deadline();
            let armed = item.armed.swap(next.unwrap_or(0), Ordering::AcqRel);
            if armed != 0 && armed <= now {
                self.enqueue(&item);
            }
            soonest = match (soonest, next) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        soonest
    }

    /// Takes up to `max` events.
    fn collect(&self, max: usize, out: &mut Vec<Event>) {
        let budget = self.ready.lock().len();
        let mut again = false;
        for _ in 0..budget {
            if out.len() >= max {
                break;
            }
            let Some(item) = self.dequeue() else { break };
            if item.removed.load(Ordering::Acquire) {
                continue;
            }
            if item.file.strong_count() == 0 {
                self.items.lock().remove(&item.key);
                item.remove();
                continue;
            }
            let ready = item.ready();
            if ready == 0 {
                continue;
            }
            let events = item.events.load(Ordering::Relaxed);
            let data = item.data.load(Ordering::Relaxed);
            let [a, b, c, d, e, f, g, h] = data.to_ne_bytes();
            out.push([ready, u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]);
            if events & ONESHOT != 0 {
                item.events.store(events & PRIVATE, Ordering::Release);
            } else if events & EDGE == 0 {
                // Behind the others, so that every file has its turn; the budget keeps it from coming up again now.
                self.enqueue(&item);
                again = true;
            }
        }
        if again {
            // Level-triggered items are still ready for others who wait here.
            self.queue.wake();
        }
    }

    /// Waits for events.
    fn wait(&self, thread: &Thread, max: usize, deadline: Option<u64>) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        loop {
            let timer = self.fire();
            if events.is_empty() {
                self.collect(max, &mut events);
            }
            if !events.is_empty() || deadline == Some(0) {
                return Ok(events);
            }
            let until = match (deadline, timer) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let result = wait::block(thread, &[&self.queue], until, || {
                let sooner = self.fire().is_some_and(|t| until.is_none_or(|u| t < u));
                self.collect(max, &mut events);
                (sooner || !events.is_empty()).then_some(Ok(()))
            });
            match result {
                Ok(()) => {}
                Err(Errno::ETIMEDOUT) if deadline.is_none_or(|d| clock::now() < d) => {}
                Err(Errno::ETIMEDOUT) => {
                    self.collect(max, &mut events);
                    return Ok(events);
                }
                Err(Errno::ERESTARTSYS) => return Err(Errno::EINTR),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether `target` can be reached through the instances watched here; nesting deeper than allowed counts as
    /// reached.
    fn reaches(&self, target: *const Epoll, depth: u32) -> bool {
        if core::ptr::eq(self, target) || depth >= MAX_NESTING {
            return true;
        }
        let inner: Vec<Arc<dyn FileOps>> = {
            let items = self.items.lock();
            items.values().filter(|i| i.ops.as_any().is::<Epoll>()).map(|i| i.ops.clone()).collect()
        };
        inner.iter().any(|ops| {
            ops.as_any().downcast_ref::<Epoll>().is_some_and(|epoll| epoll.reaches(target, depth + 1))
        })
    }

    fn add(&self, fd: i32, file: &Arc<OpenFile>, events: u32, data: u64) -> Result<()> {
        let queue = file.ops.wait_queue().ok_or(Errno::EPERM)?;
        if let Some(inner) = file.ops.as_any().downcast_ref::<Epoll>() {
            if events & EXCLUSIVE != 0 || core::ptr::eq(inner, self) {
                return Err(Errno::EINVAL);
            }
            if inner.reaches(self, 1) {
                return Err(Errno::ELOOP);
            }
        }
        let key = (fd, Arc::as_ptr(file).addr());
        let timed = file.ops.as_any().is::<TimerFd>() || file.ops.as_any().is::<Epoll>();
        let item = Arc::new_cyclic(|this| Item {
            epoll: self.this.clone(),
            this: this.clone(),
            file: Arc::downgrade(file),
            ops: file.ops.clone(),
            key,
            events: AtomicU32::new(events),
            data: AtomicU64::new(data),
            queued: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            place: AtomicU64::new(0),
            armed: AtomicU64::new(0),
        });
        {
            let mut items = self.items.lock();
            if items.get(&key).is_some_and(|old| old.file.strong_count() > 0) {
                return Err(Errno::EEXIST);
            }
            if let Some(old) = items.insert(key, item.clone()) {
                old.remove();
            }
        }
        let notify: Weak<Item> = Arc::downgrade(&item);
        item.place.store(queue.subscribe(notify), Ordering::Relaxed);
        if timed {
            self.timed.lock().push(Arc::downgrade(&item));
            // Who waits here already has to hear of the new deadline.
            self.queue.wake();
        }
        self.check(&item);
        Ok(())
    }

    fn check(&self, item: &Arc<Item>) {
        item.armed.store(item.ops.poll_deadline().unwrap_or(0), Ordering::Relaxed);
        if item.ready() != 0 {
            self.enqueue(item);
            self.queue.wake();
        }
    }
}

/// The file that the epoll instance `epoll` watches under the descriptor `fd`; of several, the one with this number.
///
/// # Errors
/// `EINVAL`: not an epoll instance. `ENOENT`: no such file.
pub fn watched(epoll: &OpenFile, fd: i32, number: u32) -> Result<Arc<OpenFile>> {
    let epoll = epoll.ops.as_any().downcast_ref::<Epoll>().ok_or(Errno::EINVAL)?;
    let items = epoll.items.lock();
    let mut under = items.range((fd, 0)..=(fd, usize::MAX)).filter_map(|(_, item)| item.file.upgrade());
    under.nth(usize::try_from(number).unwrap_or(usize::MAX)).ok_or(Errno::ENOENT)
}

impl FileOps for Epoll {
    fn ioctl(&self, _: &Thread, _: &OpenFile, _: u32, _: usize) -> Result<u64> {
        Err(Errno::EINVAL)
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        self.fire();
        let budget = self.ready.lock().len();
        for _ in 0..budget {
            let Some(item) = self.dequeue() else { break };
            if !item.removed.load(Ordering::Acquire) && item.ready() != 0 {
                if !item.queued.swap(true, Ordering::AcqRel) {
                    self.ready.lock().push_front(item);
                }
                return Poll::IN | Poll::RDNORM;
            }
        }
        Poll::empty()
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn poll_deadline(&self) -> Option<u64> {
        self.timed_items().iter().filter_map(|item| item.ops.poll_deadline()).min()
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(anonymous_metadata(DEV_ANONYMOUS, self.ino, 0o600, self.created, [0, 0]))
    }

    fn release(&self, _: &OpenFile) {
        let items = core::mem::take(&mut *self.items.lock());
        for item in items.values() {
            item.remove();
        }
        self.ready.lock().clear();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// epoll_create(2).
///
/// # Errors
/// `EINVAL` for a size that is not positive, `EMFILE`.
pub fn epoll_create(call: &mut Call<'_>) -> Result<u64> {
    if call.int(0) <= 0 {
        return Err(Errno::EINVAL);
    }
    let fd = call.process().add_file(OpenFile::new(Epoll::new(), flags::O_RDWR), false)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

/// epoll_create1(2).
///
/// # Errors
/// `EINVAL` for unknown flags, `EMFILE`.
pub fn epoll_create1(call: &mut Call<'_>) -> Result<u64> {
    let status = call.uint(0);
    if status & !flags::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    let file = OpenFile::new(Epoll::new(), flags::O_RDWR);
    let fd = call.process().add_file(file, status & flags::O_CLOEXEC != 0)?;
    Ok(u64::try_from(fd).unwrap_or(0))
}

/// epoll_ctl(2).
///
/// # Errors
/// As the manual page: `EBADF`, `EEXIST`, `EINVAL`, `ELOOP`, `ENOENT`, `EPERM`, `EFAULT`.
pub fn epoll_ctl(call: &mut Call<'_>) -> Result<u64> {
    const ADD: u32 = 1;
    const DEL: u32 = 2;
    const MOD: u32 = 3;
    let operation = call.uint(1);
    let fd = call.int(2);
    let (events, data) = if operation == DEL {
        (0, 0)
    } else {
        let [events, low, high]: [u32; 3] = user::read(call.word(3))?;
        (events, u64::from(low) | u64::from(high) << 32)
    };
    let epoll_file = call.file(0)?;
    let file = call.process().files.get(fd)?.more_than_path()?;
    if file.ops.wait_queue().is_none() {
        return Err(Errno::EPERM);
    }
    let epoll: &Epoll = epoll_file.ops.as_any().downcast_ref().ok_or(Errno::EINVAL)?;
    if Arc::ptr_eq(&epoll_file, &file) {
        return Err(Errno::EINVAL);
    }
    let key = (fd, Arc::as_ptr(&file).addr());
    match operation {
        ADD => epoll.add(fd, &file, events, data)?,
        DEL => {
            let item = epoll.items.lock().remove(&key).ok_or(Errno::ENOENT)?;
            item.remove();
        }
        MOD => {
            let item = epoll.items.lock().get(&key).cloned().ok_or(Errno::ENOENT)?;
            if (events | item.events.load(Ordering::Relaxed)) & EXCLUSIVE != 0 {
                return Err(Errno::EINVAL);
            }
            item.data.store(data, Ordering::Relaxed);
            item.events.store(events, Ordering::Release);
            epoll.check(&item);
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn wait_call(call: &Call<'_>, deadline: Option<u64>, mask: Option<u64>) -> Result<u64> {
    let max = usize::try_from(call.int(2)).unwrap_or(0);
    if max == 0 || max > 0x7fff_ffff / EVENT_SIZE {
        return Err(Errno::EINVAL);
    }
    let file = call.file(0)?;
    let epoll: &Epoll = file.ops.as_any().downcast_ref().ok_or(Errno::EINVAL)?;
    let wait = || epoll.wait(call.thread, max, deadline);
    let events = if mask.is_some() { signal::with_mask(call.thread, mask, wait)? } else { wait()? };
    user::write_bytes(call.word(1), events.as_bytes())?;
    done(events.len())
}

/// epoll_wait(2).
///
/// # Errors
/// `EBADF`, `EINVAL`, `EFAULT`, `EINTR`.
pub fn epoll_wait(call: &mut Call<'_>) -> Result<u64> {
    wait_call(call, deadline::from_milliseconds(call.int(3)), None)
}

/// epoll_pwait(2).
///
/// # Errors
/// `EBADF`, `EINVAL`, `EFAULT`, `EINTR`.
pub fn epoll_pwait(call: &mut Call<'_>) -> Result<u64> {
    let mask = poll::signal_mask(call.word(4), call.word(5))?;
    wait_call(call, deadline::from_milliseconds(call.int(3)), mask)
}

/// epoll_pwait2(2).
///
/// # Errors
/// `EBADF`, `EINVAL`, `EFAULT`, `EINTR`.
pub fn epoll_pwait2(call: &mut Call<'_>) -> Result<u64> {
    let mask = poll::signal_mask(call.word(4), call.word(5))?;
    wait_call(call, deadline::from_timespec(call.word(3))?, mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::eventfd::EventFd;

    fn event(count: u64) -> Arc<OpenFile> {
        OpenFile::new(EventFd::new(count, false), flags::O_RDWR)
    }

    fn ready(epoll: &Epoll, max: usize) -> Vec<(u32, u32)> {
        let mut out = Vec::new();
        epoll.collect(max, &mut out);
        out.into_iter().map(|[bits, low, _]| (bits, low)).collect()
    }

    const IN: u32 = Poll::IN.bits();

    #[test]
    fn level_triggered_files_are_reported_again_and_take_turns() {
        let epoll = Epoll::new();
        let files = [event(1), event(1), event(0)];
        for (fd, file) in (3..).zip(&files) {
            epoll.add(fd, file, IN, u64::from(fd.cast_unsigned())).unwrap();
        }
        assert_eq!(ready(&epoll, 8), [(IN, 3), (IN, 4)]);
        assert_eq!(ready(&epoll, 1), [(IN, 3)]);
        assert_eq!(ready(&epoll, 1), [(IN, 4)]);
    }

    #[test]
    fn edge_and_oneshot_report_once() {
        let epoll = Epoll::new();
        let (edge, once) = (event(1), event(1));
        epoll.add(3, &edge, IN | EDGE, 3).unwrap();
        epoll.add(4, &once, IN | ONESHOT, 4).unwrap();
        assert_eq!(ready(&epoll, 8), [(IN, 3), (IN, 4)]);
        assert_eq!(ready(&epoll, 8), []);
        // A wake-up is a new edge; the oneshot item stays off until it is armed again.
        edge.ops.wait_queue().unwrap().wake();
        once.ops.wait_queue().unwrap().wake();
        assert_eq!(ready(&epoll, 8), [(IN, 3)]);
    }

    #[test]
    fn a_closed_file_is_forgotten() {
        let epoll = Epoll::new();
        let file = event(1);
        epoll.add(3, &file, IN, 3).unwrap();
        assert_eq!(epoll.add(3, &file, IN, 3), Err(Errno::EEXIST));
        drop(file);
        assert_eq!(ready(&epoll, 8), []);
        assert!(epoll.items.lock().is_empty());
    }

    #[test]
    fn nested_instances_report_and_loops_are_refused() {
        let (outer, inner) = (Epoll::new(), Epoll::new());
        let outer_file = OpenFile::new(outer.clone(), flags::O_RDWR);
        let inner_file = OpenFile::new(inner.clone(), flags::O_RDWR);
        outer.add(3, &inner_file, IN, 3).unwrap();
        assert_eq!(inner.add(4, &outer_file, IN, 4), Err(Errno::ELOOP));
        assert_eq!(ready(&outer, 8), []);
        let file = event(1);
        inner.add(5, &file, IN, 5).unwrap();
        assert_eq!(ready(&outer, 8), [(IN, 3)]);
        assert_eq!(ready(&inner, 8), [(IN, 5)]);
    }
}
