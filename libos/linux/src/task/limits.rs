//! Resource limits of a process: getrlimit(2).

use crate::{Errno, Mutex, Result};
use core::sync::atomic::{AtomicU64, Ordering};

/// `RLIMIT_*`.
#[expect(missing_docs, reason = "the names are getrlimit's own")]
pub mod resource {
    pub const CPU: usize = 0;
    pub const FSIZE: usize = 1;
    pub const DATA: usize = 2;
    pub const STACK: usize = 3;
    pub const RSS: usize = 5;
    pub const NPROC: usize = 6;
    pub const NOFILE: usize = 7;
    pub const MEMLOCK: usize = 8;
    pub const AS: usize = 9;
    pub const SIGPENDING: usize = 11;
    pub const MSGQUEUE: usize = 12;
    pub const NICE: usize = 13;
    pub const RTPRIO: usize = 14;
}

/// How many there are.
pub const COUNT: usize = 16;
/// `RLIM_INFINITY`.
pub const INFINITY: u64 = u64::MAX;

/// Soft and hard limit of each resource. Reading takes no lock: many calls ask for one.
pub struct Limits {
    soft: [AtomicU64; COUNT],
    hard: [AtomicU64; COUNT],
    /// Held while one is checked and changed.
    change: Mutex<()>,
}

impl Limits {
    /// These limits: soft and hard.
    #[must_use]
    pub fn new(values: [[u64; 2]; COUNT]) -> Self {
        Self {
            soft: values.map(|[soft, _]| AtomicU64::new(soft)),
            hard: values.map(|[_, hard]| AtomicU64::new(hard)),
            change: Mutex::new(()),
        }
    }

    /// All of them, in order of number.
    #[must_use]
    pub fn all(&self) -> [[u64; 2]; COUNT] {
        core::array::from_fn(|resource| self.get(resource))
    }

    /// Soft and hard limit of a resource; none for one that does not exist.
    #[must_use]
    pub fn get(&self, resource: usize) -> [u64; 2] {
        let load = |set: &[AtomicU64]| set.get(resource).map_or(INFINITY, |l| l.load(Ordering::Relaxed));
        [load(&self.soft), load(&self.hard)]
    }

    /// The soft limit of a resource, which is the one that holds.
    #[inline]
    #[must_use]
    pub fn soft(&self, resource: usize) -> u64 {
        self.soft.get(resource).map_or(INFINITY, |l| l.load(Ordering::Relaxed))
    }

    /// Replaces a limit, if `check`, which gets the old one, agrees.
    ///
    /// # Errors
    /// `EINVAL` for a resource that does not exist; those of `check`.
    pub fn set(
        &self,
        resource: usize,
        [soft, hard]: [u64; 2],
        check: impl FnOnce([u64; 2]) -> Result<()>,
    ) -> Result<()> {
        let _change = self.change.lock();
        check(self.get(resource))?;
        let (Some(to_soft), Some(to_hard)) = (self.soft.get(resource), self.hard.get(resource)) else {
            return Err(Errno::EINVAL);
        };
        to_soft.store(soft, Ordering::Relaxed);
        to_hard.store(hard, Ordering::Relaxed);
        Ok(())
    }
}
