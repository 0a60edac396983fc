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
        Arc::new(Self { dev, read_only, cache, kind })
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
