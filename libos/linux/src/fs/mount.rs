//! Mounts. They are made once, at the start of the family; every file of the namespace belongs to one.

use super::dentry::Dentry;
use crate::Mutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// How long names and attributes may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Nobody else changes what is there.
    Forever,
    /// Others may change it: for this many nanoseconds.
    For(u64),
    /// What is there depends on who asks and when (/proc).
    Never,
}

/// One mount.
#[derive(Debug)]
pub struct Mount {
    /// Device number that stat shows.
    pub dev: u64,
    /// Writing answers `EROFS`.
    pub read_only: bool,
    /// How long dentries are good.
    pub cache: Cache,
    /// File system type, as /proc/mounts names it.
    pub kind: &'static str,
    /// Counts removed, renamed and newly protected names.
    changes: AtomicU64,
    /// Counts new names.
    additions: AtomicU64,
}

/// Device numbers of mounts: major 0, as those of all file systems without a device.
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(32);

impl Mount {
    /// A mount with a device number of its own.
    #[must_use]
    pub fn new(kind: &'static str, read_only: bool, cache: Cache) -> Arc<Self> {
        let minor = NEXT_DEVICE.fetch_add(1, Ordering::Relaxed);
        // Linux' makedev: the low 8 bits of the minor number, then the major (0), then the rest of the minor.
        let dev = (minor & 0xff) | ((minor & !0xff) << 12);
        Arc::new(Self {
            dev,
            read_only,
            cache,
            kind,
            changes: AtomicU64::new(0),
            additions: AtomicU64::new(0),
        })
    }
}

/// Counts all changes and additions of all mounts.
static EVENTS: AtomicU64 = AtomicU64::new(0);

/// A number that differs if any name of any mount was changed or added between two calls.
#[must_use]
pub fn events() -> u64 {
    EVENTS.load(Ordering::Acquire)
}

impl Mount {
    /// A name was removed or renamed, or the permission to pass through a directory changed.
    pub fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        EVENTS.fetch_add(1, Ordering::AcqRel);
    }

    /// A name was added.
    pub fn added(&self) {
        self.additions.fetch_add(1, Ordering::AcqRel);
        EVENTS.fetch_add(1, Ordering::AcqRel);
    }

    /// Differs if a name that existed may have come to mean something else between two calls.
    #[inline]
    #[must_use]
    pub fn change_stamp(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Differs if a name that did not exist may exist now.
    #[inline]
    #[must_use]
    pub fn addition_stamp(&self) -> u64 {
        self.additions.load(Ordering::Acquire)
    }
}

static MOUNTED: Mutex<Vec<Arc<Dentry>>> = Mutex::new(Vec::new());

/// Adds a mount to the list of /proc/mounts.
pub fn register(root: &Arc<Dentry>) {
    MOUNTED.lock().push(root.clone());
}

/// The roots of all mounts, in order of mounting.
#[must_use]
pub fn all() -> Vec<Arc<Dentry>> {
    MOUNTED.lock().clone()
}
