//! Record locks (fcntl) of processes and of open files, and flock(2).
//!
//! A lock belongs to a file, whatever name it was opened by. Locks of processes go when the process closes any
//! descriptor of the file; the others when the last descriptor of the open file is closed.

use super::deadlock::Waits;
use super::dentry::Dentry;
use super::file::OpenFile;
use super::inode::Inode;
use crate::call::Call;
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result, ipc};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use hashbrown::HashMap;
use postern_pal::user;

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A process (classic record locks).
    Process(u32),
    /// An open file (`F_OFD_*`): its address.
    File(usize),
    /// An open file, by flock.
    Flock(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lock {
    owner: Owner,
    start: u64,
    /// One past the end.
    end: u64,
    write: bool,
}

struct Locks {
    files: Option<HashMap<usize, Vec<Lock>>>,
    /// Who waits for whom.
    waits: Waits,
}

static LOCKS: Mutex<Locks> = Mutex::new(Locks { files: None, waits: Waits::new() });
static COUNT: AtomicUsize = AtomicUsize::new(0);
static CHANGED: WaitQueue = WaitQueue::new();

/// The one inode of all event descriptors: no address, and no pipe's number.
const ANONYMOUS: usize = 2;

/// Names an inode that has a place in the file system.
pub(super) fn inode_identity(dentry: &Dentry) -> usize {
    core::ptr::from_ref::<dyn Inode>(&*dentry.inode).cast::<()>().addr()
}

/// Names the inode behind an open file. No address is odd, so the numbers of pipes, which both ends have, are.
pub(super) fn identity(file: &OpenFile) -> usize {
    let ops = &*file.ops;
    if let Some(dentry) = super::dentry_of(file) {
        inode_identity(&dentry)
    } else if ipc::event_kind(ops).is_some() || super::inotify::is_instance(ops) {
        ANONYMOUS
    } else if let Some(number) = ipc::pipe::number(ops).and_then(|number| usize::try_from(number).ok()) {
        number.wrapping_mul(2).wrapping_add(1)
    } else {
        Arc::as_ptr(&file.ops).cast::<()>().addr()
    }
}

fn address(file: &OpenFile) -> usize {
    core::ptr::from_ref(file).addr()
}

fn is_flock(owner: Owner) -> bool {
    matches!(owner, Owner::Flock(_))
}

/// The first lock that stands in the way of `wanted`. Record locks and flock do not see each other.
fn conflict(locks: &[Lock], wanted: &Lock) -> Option<Lock> {
    let clashes = |l: &&Lock| {
        l.owner != wanted.owner
            && is_flock(l.owner) == is_flock(wanted.owner)
            && l.start < wanted.end
            && wanted.start < l.end
            && (l.write || wanted.write)
    };
    locks.iter().filter(clashes).min_by_key(|l| l.start).copied()
}

/// Takes `[start, end)` away from what `owner` holds.
fn carve(locks: &mut Vec<Lock>, owner: Owner, start: u64, end: u64) {
    let mut rest = Vec::new();
    locks.retain(|l| {
        if l.owner != owner || l.end <= start || end <= l.start {
            return true;
        }
        if l.start < start {
            rest.push(Lock { end: start, ..*l });
        }
        if l.end > end {
            rest.push(Lock { start: end, ..*l });
        }
        false
    });
    locks.extend(rest);
}

/// Adds a lock for which there is room. Record locks that touch or overlap become one.
fn add(locks: &mut Vec<Lock>, mut new: Lock) {
    if !is_flock(new.owner) {
        locks.retain(|l| {
            let joins =
                l.owner == new.owner && l.write == new.write && l.start <= new.end && new.start <= l.end;
            if joins {
                new.start = new.start.min(l.start);
                new.end = new.end.max(l.end);
            }
            !joins
        });
    }
    locks.push(new);
}

impl Locks {
    fn of(&mut self, file: usize) -> &mut Vec<Lock> {
        self.files.get_or_insert_default().entry(file).or_default()
    }

    fn tidy(&mut self, file: usize) {
        if let Some(files) = &mut self.files {
            if files.get(&file).is_some_and(Vec::is_empty) {
                files.remove(&file);
            }
            COUNT.store(files.values().map(Vec::len).sum(), Ordering::Release);
        }
    }
}

/// Sets a lock. What stands in its way is noted as what the thread that waits under `key` waits for.
fn try_set(file: usize, wanted: &Lock, key: Option<u64>) -> Result<()> {
    let mut all = LOCKS.lock();
    let locks = all.of(file);
    let obstacle = conflict(locks, wanted);
    if obstacle.is_none() {
        carve(locks, wanted.owner, wanted.start, wanted.end);
        add(locks, *wanted);
    }
    all.tidy(file);
    match (obstacle, key) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Errno::EAGAIN),
        (Some(obstacle), Some(key)) => {
            all.waits.note(key, wanted.owner, obstacle.owner).and(Err(Errno::EAGAIN))
        }
    }
}

fn set(thread: &Thread, file: usize, wanted: &Lock, waits: bool) -> Result<()> {
    if !waits {
        return try_set(file, wanted, None);
    }
    let key = u64::from(thread.tid);
    let result = wait::block(thread, &[&CHANGED], None, || match try_set(file, wanted, Some(key)) {
        Err(Errno::EAGAIN) => None,
        result => Some(result),
    });
    LOCKS.lock().waits.forget(key);
    result
}

fn clear(file: usize, owner: Owner, start: u64, end: u64) {
    {
        let mut all = LOCKS.lock();
        carve(all.of(file), owner, start, end);
        all.tidy(file);
    }
    CHANGED.wake();
}

/// Process `pid` closed a descriptor of the file.
pub fn closed(file: &OpenFile, pid: u32) {
    if COUNT.load(Ordering::Acquire) != 0 {
        clear(identity(file), Owner::Process(pid), 0, u64::MAX);
    }
}

/// The open file is gone.
pub fn released(file: &OpenFile) {
    if COUNT.load(Ordering::Acquire) != 0 {
        let (id, at) = (identity(file), address(file));
        clear(id, Owner::File(at), 0, u64::MAX);
        clear(id, Owner::Flock(at), 0, u64::MAX);
    }
}

/// flock(2).
///
/// # Errors
/// As the manual page says.
pub fn flock(call: &mut Call<'_>) -> Result<u64> {
    const SHARED: u32 = 1;
    const EXCLUSIVE: u32 = 2;
    const NONBLOCKING: u32 = 4;
    const UNLOCK: u32 = 8;
    let operation = call.uint(1);
    if !matches!(operation & !NONBLOCKING, UNLOCK | SHARED | EXCLUSIVE) {
        return Err(Errno::EINVAL);
    }
    let file = call.file(0)?;
    let (id, owner) = (identity(&file), Owner::Flock(address(&file)));
    let write = match operation & !NONBLOCKING {
        UNLOCK => {
            clear(id, owner, 0, u64::MAX);
            return Ok(0);
        }
        kind => kind == EXCLUSIVE,
    };
    let wanted = Lock { owner, start: 0, end: u64::MAX, write };
    set(call.thread, id, &wanted, operation & NONBLOCKING == 0).map(|()| 0)
}

const READ_LOCK: u16 = 0;
const WRITE_LOCK: u16 = 1;
const NO_LOCK: u16 = 2;

/// Operation of a record-lock call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Say what stands in the way.
    Get,
    /// Lock, unlock, or fail.
    Set,
    /// Lock, waiting as long as it takes.
    Wait,
}

/// The range of a `struct flock`: start and one past the end.
fn range(file: &OpenFile, whence: u16, start: i64, len: i64) -> Result<(u64, u64)> {
    let origin = match whence {
        0 => 0,
        1 => *file.position.lock(),
        2 => file.ops.size()?,
        _ => return Err(Errno::EINVAL),
    };
    let at = origin.checked_add_signed(start).ok_or(Errno::EINVAL)?;
    match len {
        0 => Ok((at, u64::MAX)),
        len if len > 0 => Ok((at, at.checked_add_signed(len).ok_or(Errno::EOVERFLOW)?)),
        len => Ok((at.checked_add_signed(len).ok_or(Errno::EINVAL)?, at)),
    }
}

/// A record-lock operation of fcntl(2); `ofd`: on behalf of the open file.
///
/// # Errors
/// As the manual page says.
pub fn record(call: &Call<'_>, file: &OpenFile, at: usize, operation: Operation, ofd: bool) -> Result<u64> {
    let [head, start, len, pid]: [u64; 4] = user::read(at)?;
    let kind = u16::try_from(head & 0xffff).unwrap_or(0);
    let whence = u16::try_from((head >> 16) & 0xffff).unwrap_or(0);
    if ofd && pid & 0xffff_ffff != 0 {
        return Err(Errno::EINVAL);
    }
    let (start, end) = range(file, whence, start.cast_signed(), len.cast_signed())?;
    let owner = if ofd { Owner::File(address(file)) } else { Owner::Process(call.process().pid) };
    let id = identity(file);
    let write = match kind {
        // What the open file itself holds there.
        NO_LOCK if operation == Operation::Get && ofd => {
            return tell(at, head, own(id, owner, start, end));
        }
        NO_LOCK if operation == Operation::Get => return Err(Errno::EINVAL),
        NO_LOCK => {
            clear(id, owner, start, end);
            return Ok(0);
        }
        READ_LOCK => false,
        WRITE_LOCK => true,
        _ => return Err(Errno::EINVAL),
    };
    let wanted = Lock { owner, start, end, write };
    if operation != Operation::Get {
        if (write && !file.is_writable()) || (!write && !file.is_readable()) {
            return Err(Errno::EBADF);
        }
        return set(call.thread, id, &wanted, operation == Operation::Wait).map(|()| 0);
    }
    let found = {
        let mut all = LOCKS.lock();
        let found = conflict(all.of(id), &wanted);
        all.tidy(id);
        found
    };
    tell(at, head, found)
}

/// The first lock that `owner` holds in `[start, end)`.
fn own(file: usize, owner: Owner, start: u64, end: u64) -> Option<Lock> {
    let mut all = LOCKS.lock();
    let overlaps = |l: &&Lock| l.owner == owner && l.start < end && start < l.end;
    let found = all.of(file).iter().filter(overlaps).min_by_key(|l| l.start).copied();
    all.tidy(file);
    found
}

/// Writes what F_GETLK found to the `struct flock` at `at`, whose first word is `head`.
fn tell(at: usize, head: u64, found: Option<Lock>) -> Result<u64> {
    match found {
        None => user::write(at, &((head & !0xffff) | u64::from(NO_LOCK)))?,
        Some(lock) => {
            let kind = if lock.write { WRITE_LOCK } else { READ_LOCK };
            let len = if lock.end == u64::MAX { 0 } else { lock.end - lock.start };
            let pid = if let Owner::Process(pid) = lock.owner { pid } else { u32::MAX };
            let pad = pid_pad(at)?;
            user::write(at, &[u64::from(kind), lock.start, len, u64::from(pid) | pad])?;
        }
    }
    Ok(0)
}

/// What is behind `l_pid` in the app's memory; not ours to change.
fn pid_pad(at: usize) -> Result<u64> {
    Ok(user::load_u64(at.wrapping_add(24))? & 0xffff_ffff_0000_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(pid: u32, start: u64, end: u64, write: bool) -> Lock {
        Lock { owner: Owner::Process(pid), start, end, write }
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let held = [lock(1, 0, 10, false)];
        assert_eq!(conflict(&held, &lock(2, 5, 6, false)), None);
        assert_eq!(conflict(&held, &lock(2, 5, 6, true)), Some(held[0]));
        assert_eq!(conflict(&held, &lock(2, 10, 11, true)), None);
        assert_eq!(conflict(&held, &lock(1, 5, 6, true)), None);
        let flock = Lock { owner: Owner::Flock(7), start: 0, end: u64::MAX, write: true };
        assert_eq!(conflict(&held, &flock), None);
    }

    #[test]
    fn locks_that_touch_become_one() {
        let mut held = alloc::vec![lock(1, 0, 10, true), lock(2, 10, 20, true), lock(1, 30, 40, true)];
        add(&mut held, lock(1, 10, 30, true));
        assert_eq!(held, [lock(2, 10, 20, true), lock(1, 0, 40, true)]);
        add(&mut held, lock(1, 40, 50, false));
        assert_eq!(held.len(), 3);
    }

    #[test]
    fn unlocking_the_middle_leaves_both_ends() {
        let mut held = alloc::vec![lock(1, 0, 100, true), lock(2, 200, 300, false)];
        carve(&mut held, Owner::Process(1), 40, 60);
        held.sort_by_key(|l| l.start);
        assert_eq!(held, [lock(1, 0, 40, true), lock(1, 60, 100, true), lock(2, 200, 300, false)]);
        carve(&mut held, Owner::Process(1), 0, u64::MAX);
        assert_eq!(held, [lock(2, 200, 300, false)]);
    }
}
