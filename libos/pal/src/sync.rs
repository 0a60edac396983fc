//! Locks and waiting on memory. All of it works across the processes of a family, because it lives in the arena,
//! which is shared at the same addresses: futexes are used in their shared form.

use crate::host::{self, number};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

const FUTEX_WAIT_BITSET: usize = 9;
const FUTEX_WAKE: usize = 1;
const MATCH_ANY: usize = 0xffff_ffff;

/// Waits while `*word == expected`, at most until `deadline` (nanoseconds of CLOCK_MONOTONIC). May return early.
pub fn futex_wait(word: &AtomicU32, expected: u32, deadline: Option<u64>) {
    let spec = deadline.map(|ns| [ns / 1_000_000_000, ns % 1_000_000_000]);
    let spec_ptr = spec.as_ref().map_or(0, |s| s.as_ptr().addr());
    let word = core::ptr::from_ref(word).addr();
    // SAFETY: futex only reads the word and the timespec, both alive during the call. Every result (woken, value
    // changed, interrupted, timed out) means the same to callers: look again.
    let _ = unsafe {
        host::call(number::FUTEX, [word, FUTEX_WAIT_BITSET, expected as usize, spec_ptr, 0, MATCH_ANY])
    };
}

/// Wakes at most `count` waiters of `word`.
pub fn futex_wake(word: &AtomicU32, count: u32) {
    let word = core::ptr::from_ref(word).addr();
    // SAFETY: a wake touches no memory of ours.
    let _ = unsafe { host::call(number::FUTEX, [word, FUTEX_WAKE, count as usize, 0, 0, 0]) };
}

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// A futex lock without data, for [`Mutex`] and the heap.
pub struct RawLock(AtomicU32);

// SAFETY: lock() returns only after the word went from FREE to HELD or CONTENDED by this caller, with acquire
// ordering, and unlock() releases: at most one holder at a time.
unsafe impl lock_api::RawMutex for RawLock {
    const INIT: Self = Self(AtomicU32::new(FREE));
    type GuardMarker = lock_api::GuardNoSend;

    #[inline]
    fn lock(&self) {
        if self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_slow();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    unsafe fn unlock(&self) {
        if self.0.swap(FREE, Ordering::Release) == CONTENDED {
            futex_wake(&self.0, 1);
        }
    }
}

impl RawLock {
    #[cold]
    fn lock_slow(&self) {
        for _ in 0..100 {
            if self.0.load(Ordering::Relaxed) == FREE
                && self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
            core::hint::spin_loop();
        }
        while self.0.swap(CONTENDED, Ordering::Acquire) != FREE {
            futex_wait(&self.0, CONTENDED, None);
        }
    }
}

/// Mutual exclusion across all threads of a family. There is no poisoning: a thread that dies inside a lock is a
/// family panic.
///
/// Locks are held for short, bounded work only: never while waiting for an app, a peer or a timer.
pub struct Mutex<T: ?Sized> {
    lock: RawLock,
    data: UnsafeCell<T>,
}

// SAFETY: the lock hands out access to the data one thread at a time.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

/// Access to the data of a locked [`Mutex`], until dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    /// A lock around `data`.
    pub const fn new(data: T) -> Self {
        Self { lock: <RawLock as lock_api::RawMutex>::INIT, data: UnsafeCell::new(data) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock and takes it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        lock_api::RawMutex::lock(&self.lock);
        MutexGuard { mutex: self }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        // Lazily: a guard that is made and dropped would release the holder's lock.
        lock_api::RawMutex::try_lock(&self.lock).then(|| MutexGuard { mutex: self })
    }

    /// Where the data is, for telling locks apart.
    #[must_use]
    pub fn data_ptr(&self) -> *const T {
        self.data.get()
    }

    /// The data, through exclusive access to the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a guard exists only while its lock is held.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: a guard exists only while its lock is held, and `self` is borrowed exclusively.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this guard holds the lock.
        unsafe { lock_api::RawMutex::unlock(&self.mutex.lock) }
    }
}

/// A value that is set once and then only read.
pub struct Once<T> {
    state: AtomicU32,
    data: UnsafeCell<Option<T>>,
}

// SAFETY: the data is written once before `state` says so (release) and only read afterwards (acquire).
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// An empty cell.
    pub const fn new() -> Self {
        Self { state: AtomicU32::new(0), data: UnsafeCell::new(None) }
    }

    /// Sets the value; gives it back if there already is one (or another thread is just setting it).
    pub fn set(&self, value: T) -> core::result::Result<(), T> {
        if self.state.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(value);
        }
        // SAFETY: only the one thread that moved the state from 0 to 1 gets here, and readers wait for 2.
        unsafe { *self.data.get() = Some(value) };
        self.state.store(2, Ordering::Release);
        Ok(())
    }

    /// The value, if it was set.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != 2 {
            return None;
        }
        // SAFETY: state 2 means that the value is there and never changes again.
        unsafe { (*self.data.get()).as_ref() }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}
