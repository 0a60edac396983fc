//! Who waits for which futex: buckets of waiters, found by the futex' key.
//!
//! A waiter holds its bucket's lock while it compares the futex word and enters the bucket. Who changes the word and
//! then wakes looks at the bucket's count first: the waiter raises the count before it reads the word, so either the
//! waiter sees the new value or the waker sees the waiter.

use crate::{Errno, Mutex, Result};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering, fence};
use postern_abi::layout::MAX_THREADS;
use postern_pal::MutexGuard;
use postern_pal::thread::{self as host_thread, ThreadId};

const BUCKETS: usize = 512;

/// Wakes and requeues of all waiters, whatever they wait for.
pub const ANY: u32 = u32::MAX;

/// What names a futex: its address in one address space, or an offset in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Identity of the address space or of the shared memory.
    pub object: u64,
    /// Address, or offset with the highest bit set.
    pub offset: u64,
}

impl Key {
    fn bucket(self) -> usize {
        let mixed = (self.object.rotate_left(24) ^ (self.offset >> 2)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> 48).unwrap_or(0) % BUCKETS
    }
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A wake with one of these bits.
    Wake(u32),
    /// Ownership of a priority-inheritance lock, as the thread with this id.
    Own(u32),
    /// A wake of any of several futexes, of which this is the one with the index.
    Several(u16),
    /// To be moved to the priority-inheritance lock with this key, for the thread with this id.
    Move(Key, u32),
}

struct Waiter {
    key: Key,
    purpose: Purpose,
    thread: ThreadId,
}

struct Bucket {
    /// Waiters, and threads that are about to enter.
    count: AtomicU32,
    /// In order of arrival.
    waiters: Mutex<Vec<Waiter>>,
}

static TABLE: [Bucket; BUCKETS] =
    [const { Bucket { count: AtomicU32::new(0), waiters: Mutex::new(Vec::new()) } }; BUCKETS];

/// Where each host thread stands: [`WOKEN`], the number of its bucket plus 1, [`SEVERAL`], or [`WOKEN_BY`] plus the
/// index of the futex that woke it.
static PLACES: [AtomicU32; MAX_THREADS] = [const { AtomicU32::new(0) }; MAX_THREADS];

const WOKEN: u32 = 0;
const SEVERAL: u32 = 0x4000_0000;
const WOKEN_BY: u32 = 0x8000_0000;

fn place(thread: ThreadId) -> &'static AtomicU32 {
    static NOWHERE: AtomicU32 = AtomicU32::new(0);
    usize::try_from(thread.index()).ok().and_then(|at| PLACES.get(at)).unwrap_or(&NOWHERE)
}

fn bucket(index: usize) -> &'static Bucket {
    TABLE.get(index).unwrap_or(&TABLE[0])
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(0) + 1
}

impl Waiter {
    /// Marks the waiter as woken; `false` if another futex of its several woke it already.
    fn mark(&self) -> bool {
        match self.purpose {
            Purpose::Several(index) => place(self.thread)
                .compare_exchange(SEVERAL, WOKEN_BY | u32::from(index), Ordering::AcqRel, Ordering::Relaxed)
                .is_ok(),
            _ => {
                place(self.thread).store(WOKEN, Ordering::Release);
                true
            }
        }
    }
}

/// Threads to wake once the locks are free again.
struct Wakeups {
    some: [Option<ThreadId>; 8],
    count: usize,
    more: Vec<ThreadId>,
}

impl Wakeups {
    const fn new() -> Self {
        Self { some: [None; 8], count: 0, more: Vec::new() }
    }

    fn push(&mut self, thread: ThreadId) {
        match self.some.get_mut(self.count) {
            Some(slot) => *slot = Some(thread),
            None => self.more.push(thread),
        }
        self.count += 1;
    }

    fn run(&self) {
        for thread in self.some.iter().flatten().chain(&self.more) {
            host_thread::unpark(*thread);
        }
    }
}

/// Enters the running thread as a waiter of `key`, if `check`, which reads the futex word, finds that it must wait.
///
/// # Errors
/// Those of `check`: then the thread does not wait.
pub fn enter(key: Key, purpose: Purpose, check: impl FnOnce() -> Result<()>) -> Result<()> {
    let index = key.bucket();
    let bucket = bucket(index);
    let mut waiters = bucket.waiters.lock();
    bucket.count.fetch_add(1, Ordering::SeqCst);
    if let Err(errno) = check() {
        bucket.count.fetch_sub(1, Ordering::Relaxed);
        return Err(errno);
    }
    let thread = host_thread::current();
    if !matches!(purpose, Purpose::Several(_)) {
        place(thread).store(number(index), Ordering::Relaxed);
    }
    waiters.push(Waiter { key, purpose, thread });
    Ok(())
}

/// Whether the running thread was woken.
#[must_use]
pub fn was_woken() -> bool {
    place(host_thread::current()).load(Ordering::Acquire) == WOKEN
}

/// The running thread stops waiting. `true`: it was woken before it could.
pub fn leave() -> bool {
    let thread = host_thread::current();
    let place = place(thread);
    loop {
        let at = place.load(Ordering::Acquire);
        if at == WOKEN {
            return true;
        }
        let bucket = bucket(usize::try_from(at - 1).unwrap_or(0));
        let mut waiters = bucket.waiters.lock();
        // A requeue may have moved it meanwhile.
        if place.load(Ordering::Acquire) != at {
            continue;
        }
        remove(bucket, &mut waiters, thread);
        place.store(WOKEN, Ordering::Relaxed);
        return false;
    }
}

fn remove(bucket: &Bucket, waiters: &mut MutexGuard<'_, Vec<Waiter>>, thread: ThreadId) {
    let before = waiters.len();
    waiters.retain(|w| w.thread != thread);
    let removed = u32::try_from(before - waiters.len()).unwrap_or(0);
    bucket.count.fetch_sub(removed, Ordering::Relaxed);
}

/// The running thread is about to enter several buckets.
pub fn begin_several() {
    place(host_thread::current()).store(SEVERAL, Ordering::Release);
}

/// The index of the futex that woke the running thread, which waits for several.
#[must_use]
pub fn woken_by() -> Option<u32> {
    let at = place(host_thread::current()).load(Ordering::Acquire);
    (at & WOKEN_BY != 0).then_some(at & !WOKEN_BY)
}

/// The running thread stops waiting for several futexes. Returns the index of the one that woke it, if one did.
pub fn leave_several(keys: &[Key]) -> Option<u32> {
    let thread = host_thread::current();
    // From here on nobody wakes it any more.
    let at = place(thread).swap(WOKEN, Ordering::AcqRel);
    for key in keys {
        let bucket = bucket(key.bucket());
        let mut waiters = bucket.waiters.lock();
        remove(bucket, &mut waiters, thread);
    }
    (at & WOKEN_BY != 0).then_some(at & !WOKEN_BY)
}

/// Wakes at most `limit` waiters of `key` that wait for one of `bits`. Returns how many.
///
/// # Errors
/// `EINVAL` if somebody waits for ownership of a priority-inheritance lock there.
pub fn wake(key: Key, limit: u32, bits: u32) -> Result<u32> {
    let bucket = bucket(key.bucket());
    fence(Ordering::SeqCst);
    if bucket.count.load(Ordering::Relaxed) == 0 {
        return Ok(0);
    }
    let mut wakeups = Wakeups::new();
    let woken = {
        let mut waiters = bucket.waiters.lock();
        wake_locked(bucket, &mut waiters, key, limit, bits, &mut wakeups)
    };
    wakeups.run();
    woken
}

fn wake_locked(
    bucket: &Bucket,
    waiters: &mut Vec<Waiter>,
    key: Key,
    limit: u32,
    bits: u32,
    wakeups: &mut Wakeups,
) -> Result<u32> {
    let mut woken = 0;
    let mut at = 0;
    while woken < limit {
        let Some(waiter) = waiters.get(at) else { break };
        if waiter.key != key {
            at += 1;
            continue;
        }
        match waiter.purpose {
            Purpose::Own(_) | Purpose::Move(..) if woken == 0 => return Err(Errno::EINVAL),
            Purpose::Own(_) | Purpose::Move(..) => break,
            Purpose::Wake(mask) if mask & bits == 0 => {
                at += 1;
                continue;
            }
            _ => {}
        }
        let waiter = waiters.remove(at);
        bucket.count.fetch_sub(1, Ordering::Relaxed);
        if waiter.mark() {
            wakeups.push(waiter.thread);
            woken += 1;
        }
    }
    Ok(woken)
}

/// Locks the buckets of two keys in order; one guard where they share a bucket.
fn lock_two(
    a: usize,
    b: usize,
) -> (MutexGuard<'static, Vec<Waiter>>, Option<MutexGuard<'static, Vec<Waiter>>>) {
    match a.cmp(&b) {
        core::cmp::Ordering::Equal => (bucket(a).waiters.lock(), None),
        core::cmp::Ordering::Less => {
            let first = bucket(a).waiters.lock();
            (first, Some(bucket(b).waiters.lock()))
        }
        core::cmp::Ordering::Greater => {
            let second = bucket(b).waiters.lock();
            (bucket(a).waiters.lock(), Some(second))
        }
    }
}

/// Wakes at most `limit` waiters of `from` and makes at most `move_limit` others wait for `to`. `check` reads the
/// futex word. Returns how many were woken and how many moved.
///
/// # Errors
/// Those of `check`; `EINVAL` for waiters of a priority-inheritance lock.
pub fn requeue(
    from: Key,
    to: Key,
    limit: u32,
    move_limit: u32,
    check: impl FnOnce() -> Result<()>,
) -> Result<(u32, u32)> {
    let (a, b) = (from.bucket(), to.bucket());
    let mut wakeups = Wakeups::new();
    let result = {
        let (mut source, mut target) = lock_two(a, b);
        check()?;
        wake_locked(bucket(a), &mut source, from, limit, ANY, &mut wakeups).map(|woken| {
            let mut moved = 0;
            let mut at = 0;
            while moved < move_limit && from != to {
                let Some(waiter) = source.get_mut(at) else { break };
                if waiter.key != from || !matches!(waiter.purpose, Purpose::Wake(_)) {
                    at += 1;
                    continue;
                }
                waiter.key = to;
                moved += 1;
                if let Some(target) = &mut target {
                    let waiter = source.remove(at);
                    bucket(b).count.fetch_add(1, Ordering::SeqCst);
                    bucket(a).count.fetch_sub(1, Ordering::Relaxed);
                    place(waiter.thread).store(number(b), Ordering::Release);
                    target.push(waiter);
                } else {
                    at += 1;
                }
            }
            (woken, moved)
        })
    };
    wakeups.run();
    result
}

/// Moves waiters of `from` that wait to be moved to the lock `to`: at most `limit` and one more, which gets the lock if
/// it is free. `check` reads the word of `from`; `take` gives the lock to the thread with an id, or says in its word
/// that somebody waits; it is told whether others will. Returns how many were woken or moved.
///
/// # Errors
/// Those of `check` and `take`; `EINVAL` for waiters that wait for something else.
pub fn requeue_to_lock(
    from: Key,
    to: Key,
    limit: u32,
    check: impl FnOnce() -> Result<()>,
    take: impl FnOnce(u32, bool) -> Result<bool>,
) -> Result<u32> {
    let (a, b) = (from.bucket(), to.bucket());
    let mut wakeups = Wakeups::new();
    let (mut source, mut target) = lock_two(a, b);
    check()?;
    let own = |w: &&Waiter| w.key == from;
    let mut tids = source.iter().filter(own).map(|w| match w.purpose {
        Purpose::Move(key, tid) if key == to => Some(tid),
        _ => None,
    });
    let Some(first) = tids.next() else { return Ok(0) };
    let first = first.ok_or(Errno::EINVAL)?;
    let more = limit > 0 && tids.next().is_some();
    let mut done = 0;
    if take(first, more)? {
        if let Some(at) = source.iter().position(|w| w.key == from) {
            let waiter = source.remove(at);
            bucket(a).count.fetch_sub(1, Ordering::Relaxed);
            waiter.mark();
            wakeups.push(waiter.thread);
        }
        done = 1;
    }
    while done <= limit {
        let Some(at) = source.iter().position(|w| w.key == from) else { break };
        let mut waiter = source.remove(at);
        let Purpose::Move(_, tid) = waiter.purpose else { break };
        waiter.key = to;
        waiter.purpose = Purpose::Own(tid);
        if let Some(target) = &mut target {
            bucket(b).count.fetch_add(1, Ordering::SeqCst);
            bucket(a).count.fetch_sub(1, Ordering::Relaxed);
            place(waiter.thread).store(number(b), Ordering::Release);
            target.push(waiter);
        } else {
            source.push(waiter);
        }
        done += 1;
    }
    drop((source, target));
    wakeups.run();
    Ok(done)
}

/// Runs `change`, which acts on two futex words, with both buckets locked, then wakes: at most `limit` waiters of `a`,
/// and at most `other_limit` of `b` if `change` says so.
///
/// # Errors
/// Those of `change`; `EINVAL` for waiters of a priority-inheritance lock.
pub fn wake_two(
    a: Key,
    b: Key,
    limit: u32,
    other_limit: u32,
    change: impl FnOnce() -> Result<bool>,
) -> Result<u32> {
    let mut wakeups = Wakeups::new();
    let result = {
        let (mut first, second) = lock_two(a.bucket(), b.bucket());
        let both = change()?;
        let woken = wake_locked(bucket(a.bucket()), &mut first, a, limit, ANY, &mut wakeups);
        woken.and_then(|woken| {
            if !both {
                return Ok(woken);
            }
            let mut guard = second.unwrap_or(first);
            let more = wake_locked(bucket(b.bucket()), &mut guard, b, other_limit, ANY, &mut wakeups)?;
            Ok(woken + more)
        })
    };
    wakeups.run();
    result
}

/// Runs `change` with the bucket of `key` locked: it gets the thread id of the first that waits to own the futex and
/// whether others do too, and returns whether that one owns it now. Then it is woken.
///
/// # Errors
/// Those of `change`; `EINVAL` if the first waiter is an ordinary one.
pub fn hand_over(key: Key, change: impl FnOnce(Option<(u32, bool)>) -> Result<bool>) -> Result<()> {
    let bucket = bucket(key.bucket());
    let woken = {
        let mut waiters = bucket.waiters.lock();
        let first = waiters.iter().position(|w| w.key == key);
        let more = waiters.iter().filter(|w| w.key == key).count() > 1;
        let owner = match first.and_then(|at| waiters.get(at)).map(|w| w.purpose) {
            Some(Purpose::Own(tid)) => Some((tid, more)),
            Some(_) => return Err(Errno::EINVAL),
            None => None,
        };
        let gives = change(owner)?;
        match first.filter(|_| gives) {
            Some(at) => {
                let waiter = waiters.remove(at);
                bucket.count.fetch_sub(1, Ordering::Relaxed);
                place(waiter.thread).store(WOKEN, Ordering::Release);
                Some(waiter.thread)
            }
            None => None,
        }
    };
    if let Some(thread) = woken {
        host_thread::unpark(thread);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand(key: Key, purpose: Purpose, thread: u32) {
        let index = key.bucket();
        let bucket = bucket(index);
        let Some(thread) = ThreadId::from_index(thread) else { return };
        bucket.count.fetch_add(1, Ordering::SeqCst);
        place(thread).store(number(index), Ordering::Relaxed);
        bucket.waiters.lock().push(Waiter { key, purpose, thread });
    }

    fn at(thread: u32) -> u32 {
        ThreadId::from_index(thread).map_or(9, |t| place(t).load(Ordering::Relaxed))
    }

    fn woken_by_hand(key: Key, limit: u32, bits: u32) -> Result<u32> {
        let bucket = bucket(key.bucket());
        let mut wakeups = Wakeups::new();
        wake_locked(bucket, &mut bucket.waiters.lock(), key, limit, bits, &mut wakeups)
    }

    #[test]
    fn the_first_come_is_woken_first() {
        let key = Key { object: 1, offset: 0x1000 };
        stand(key, Purpose::Wake(ANY), 100);
        stand(key, Purpose::Wake(ANY), 101);
        stand(Key { object: 2, ..key }, Purpose::Wake(ANY), 102);
        assert_eq!(woken_by_hand(key, 1, ANY), Ok(1));
        assert_eq!((at(100), at(101) != WOKEN), (WOKEN, true));
        assert_eq!(woken_by_hand(key, 8, ANY), Ok(1));
        assert_ne!(at(102), WOKEN);
        assert_eq!(woken_by_hand(Key { object: 2, ..key }, 8, ANY), Ok(1));
    }

    #[test]
    fn bits_choose_who_is_woken() {
        let key = Key { object: 3, offset: 0x2000 };
        stand(key, Purpose::Wake(1), 110);
        stand(key, Purpose::Wake(2), 111);
        assert_eq!(woken_by_hand(key, 8, 2), Ok(1));
        assert_eq!((at(110) != WOKEN, at(111)), (true, WOKEN));
        assert_eq!(woken_by_hand(key, 8, 4), Ok(0));
        assert_eq!(woken_by_hand(key, 8, 1), Ok(1));
    }

    #[test]
    fn requeued_waiters_are_found_under_the_new_key() {
        let (from, to) = (Key { object: 4, offset: 0x3000 }, Key { object: 4, offset: 0x7008 });
        for thread in 120..124 {
            stand(from, Purpose::Wake(ANY), thread);
        }
        assert_eq!(requeue(from, to, 0, 3, || Err(Errno::EAGAIN)), Err(Errno::EAGAIN));
        assert_eq!(requeue(from, to, 0, 3, || Ok(())), Ok((0, 3)));
        assert_eq!(woken_by_hand(from, 9, ANY), Ok(1));
        assert_eq!(at(123), WOKEN);
        assert_eq!(at(120), number(to.bucket()));
        assert_eq!(woken_by_hand(to, 9, ANY), Ok(3));
        assert_eq!(bucket(to.bucket()).count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn lock_waiters_are_not_woken_as_ordinary_ones() {
        let key = Key { object: 5, offset: 0x4000 };
        stand(key, Purpose::Own(7), 130);
        assert_eq!(woken_by_hand(key, 1, ANY), Err(Errno::EINVAL));
        bucket(key.bucket()).waiters.lock().clear();
        bucket(key.bucket()).count.store(0, Ordering::Relaxed);
    }

    #[test]
    fn one_of_several_futexes_wakes_once() {
        let (a, b) = (Key { object: 6, offset: 8 }, Key { object: 6, offset: 16 });
        stand(a, Purpose::Several(0), 140);
        stand(b, Purpose::Several(1), 140);
        if let Some(thread) = ThreadId::from_index(140) {
            place(thread).store(SEVERAL, Ordering::Relaxed);
        }
        assert_eq!(woken_by_hand(b, 1, ANY), Ok(1));
        assert_eq!(at(140), WOKEN_BY | 1);
        assert_eq!(woken_by_hand(a, 1, ANY), Ok(0));
    }
}
