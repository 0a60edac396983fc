//! Leases: who holds one hears of it, by a signal, before another opens or truncates the file, and has some time to be
//! done (fcntl(2)). Known are the opens that the family makes, not those of others on the host.

use super::dentry::Dentry;
use super::file::{OpenFile, mode};
use super::{lock, sigio};
use crate::sys::capability::cap;
use crate::task::{Process, Thread, process};
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use postern_pal::clock;

/// `/proc/sys/fs/lease-break-time`: how long a holder has, in seconds.
pub const BREAK_TIME: u64 = 45;

/// What a lease is against, with fcntl's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `F_RDLCK`: against opening for writing.
    Read = 0,
    /// `F_WRLCK`: against any opening.
    Write = 1,
    /// `F_UNLCK`: none.
    None = 2,
}

struct Lease {
    /// The inode.
    id: usize,
    file: Weak<OpenFile>,
    fd: i32,
    kind: Kind,
    /// What it is to become, and when it does so by itself.
    breaking: Option<(Kind, u64)>,
}

/// A call that waits to open or truncate a file.
struct Breaker {
    id: usize,
    writes: bool,
}

struct Leases {
    held: Vec<Lease>,
    breakers: Vec<Breaker>,
}

static LEASES: Mutex<Leases> = Mutex::new(Leases { held: Vec::new(), breakers: Vec::new() });
static COUNT: AtomicUsize = AtomicUsize::new(0);
static CHANGED: WaitQueue = WaitQueue::new();

impl Lease {
    fn is_of(&self, file: &OpenFile) -> bool {
        core::ptr::eq(self.file.as_ptr(), file)
    }

    /// Whether it is in the way of opening, for writing if `writes`.
    fn conflicts(&self, id: usize, writes: bool) -> bool {
        self.id == id && (writes || self.kind == Kind::Write)
    }
}

impl Leases {
    /// Makes what was to be broken by now what it was to become. Returns the files whose lease is gone.
    fn time_out(&mut self) -> Vec<Arc<OpenFile>> {
        let now = clock::now();
        let mut gone = Vec::new();
        self.held.retain_mut(|lease| {
            match lease.breaking {
                Some((Kind::None, by)) if by <= now => {
                    gone.extend(lease.file.upgrade());
                    return false;
                }
                Some((kind, by)) if by <= now => (lease.kind, lease.breaking) = (kind, None),
                _ => {}
            }
            true
        });
        COUNT.store(self.held.len(), Ordering::Release);
        gone
    }

    fn remove(&mut self, file: &OpenFile) -> bool {
        let before = self.held.len();
        self.held.retain(|lease| !lease.is_of(file));
        COUNT.store(self.held.len(), Ordering::Release);
        self.held.len() < before
    }
}

/// All leases, with what is over left out.
fn with<R>(f: impl FnOnce(&mut Leases) -> R) -> R {
    let (result, gone) = {
        let mut leases = LEASES.lock();
        let gone = leases.time_out();
        (f(&mut leases), gone)
    };
    // Files are let go of where no lock is held.
    gone.iter().for_each(|file| sigio::forget(file));
    result
}

/// Whether others than `file` have the inode open: for writing, and at all.
fn others(file: &OpenFile, id: usize) -> (bool, bool) {
    let mut found = (false, false);
    for process in process::all() {
        for (fd, _) in process.files.list() {
            let Ok(other) = process.files.get(fd) else { continue };
            if core::ptr::eq(&raw const *other, file) || lock::identity(&other) != id {
                continue;
            }
            found.0 |= other.is_writable();
            found.1 |= other.is_writable() || other.is_readable();
        }
    }
    found
}

/// F_SETLEASE by descriptor `fd`.
///
/// # Errors
/// As fcntl(2).
pub fn set(by: &Process, file: &Arc<OpenFile>, fd: i32, kind: i32) -> Result<()> {
    let kind = match kind {
        0 => Kind::Read,
        1 => Kind::Write,
        2 => Kind::None,
        _ => return Err(Errno::EINVAL),
    };
    let is_own = {
        let what = file.ops.metadata()?;
        let identity = by.identity.lock();
        if identity.fsuid != what.uid && !identity.may(cap::LEASE) {
            return Err(Errno::EACCES);
        }
        what.mode & mode::S_IFMT == mode::S_IFREG
    };
    if !is_own {
        return Err(Errno::EINVAL);
    }
    if kind == Kind::None {
        return if with(|leases| leases.remove(file)) {
            sigio::forget(file);
            CHANGED.wake();
            Ok(())
        } else {
            Err(Errno::EAGAIN)
        };
    }
    let id = lock::identity(file);
    let (written, open) = others(file, id);
    with(|leases| {
        let waits = leases.breakers.iter().any(|b| b.id == id && b.writes);
        let waits_at_all = leases.breakers.iter().any(|b| b.id == id);
        let is_in_use = match kind {
            Kind::Read => written || file.is_writable() || waits,
            _ => open || waits_at_all,
        };
        let others = || leases.held.iter().filter(|lease| lease.id == id && !lease.is_of(file));
        let is_refused = others().any(|l| kind == Kind::Write || matches!(l.breaking, Some((Kind::None, _))));
        if is_in_use || is_refused {
            return Err(Errno::EAGAIN);
        }
        match leases.held.iter_mut().find(|lease| lease.is_of(file)) {
            Some(lease) => {
                lease.kind = kind;
                lease.fd = fd;
                if kind == Kind::Read {
                    lease.breaking = lease.breaking.filter(|(to, _)| *to == Kind::None);
                }
            }
            None => leases.held.push(Lease { id, file: Arc::downgrade(file), fd, kind, breaking: None }),
        }
        COUNT.store(leases.held.len(), Ordering::Release);
        Ok(())
    })?;
    sigio::own_if_free(by, file);
    CHANGED.wake();
    Ok(())
}

/// F_GETLEASE: what the open file's lease is, or is to become.
#[must_use]
pub fn get(file: &OpenFile) -> Kind {
    with(|leases| {
        let own = leases.held.iter().find(|lease| lease.is_of(file));
        own.map_or(Kind::None, |lease| lease.breaking.map_or(lease.kind, |(to, _)| to))
    })
}

/// The open file is gone.
#[inline]
pub(super) fn released(file: &OpenFile) {
    if COUNT.load(Ordering::Acquire) != 0 && LEASES.lock().remove(file) {
        CHANGED.wake();
    }
}

/// The file is to be opened or truncated, for writing if `writes`: waits until no lease is in the way.
///
/// # Errors
/// `EWOULDBLOCK` if it must not wait; `ERESTARTSYS`.
#[inline]
pub fn break_for(thread: &Thread, dentry: &Dentry, writes: bool, nonblocking: bool) -> Result<()> {
    if COUNT.load(Ordering::Acquire) == 0 {
        return Ok(());
    }
    break_all(thread, lock::inode_identity(dentry), writes, nonblocking)
}

#[cold]
fn break_all(thread: &Thread, id: usize, writes: bool, nonblocking: bool) -> Result<()> {
    let by = clock::now().saturating_add(BREAK_TIME * 1_000_000_000);
    let to = if writes { Kind::None } else { Kind::Read };
    let (waits, told) = with(|leases| {
        let mut told = Vec::new();
        let mut waits = false;
        for lease in leases.held.iter_mut().filter(|lease| lease.conflicts(id, writes)) {
            waits = true;
            let is_known = lease.breaking.is_some_and(|(known, _)| known == Kind::None || known == to);
            if !is_known {
                lease.breaking = Some((to, by));
                told.push((lease.file.clone(), lease.fd));
            }
        }
        if waits && !nonblocking {
            leases.breakers.push(Breaker { id, writes });
        }
        (waits, told)
    });
    for (file, fd) in told {
        if let Some(file) = file.upgrade() {
            sigio::lease_broken(&file, fd);
        }
    }
    if !waits {
        return Ok(());
    }
    if nonblocking {
        return Err(Errno::EAGAIN);
    }
    let over = || {
        let left = with(|leases| leases.held.iter().any(|lease| lease.conflicts(id, writes)));
        (!left).then_some(Ok(()))
    };
    let result = match wait::block(thread, &[&CHANGED], Some(by), over) {
        // Those that began to break earlier were over before.
        Err(Errno::ETIMEDOUT) => with(|_| Ok(())),
        result => result,
    };
    let mut leases = LEASES.lock();
    if let Some(at) = leases.breakers.iter().position(|b| b.id == id && b.writes == writes) {
        leases.breakers.swap_remove(at);
    }
    result
}
