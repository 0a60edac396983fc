//! inotify(7): the changes that this family makes itself, in all file systems, and those that others make to the host's
//! files ([`super::outside`]).

use super::dentry::Dentry;
use super::file::{FileOps, OpenFile, Poll, flags, mode};
use super::inode::Inode;
use super::{Metadata, dentry_of, outside};
use crate::call::Call;
use crate::io::Sink;
use crate::task::Thread;
use crate::wait::{self, WaitQueue};
use crate::{Errno, Mutex, Result, ipc};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use hashbrown::HashMap;
use postern_pal::user;

/// Event bits (inotify(7)).
#[expect(missing_docs, reason = "the names are inotify's own")]
pub mod event {
    pub const ACCESS: u32 = 0x001;
    pub const MODIFY: u32 = 0x002;
    pub const ATTRIB: u32 = 0x004;
    pub const CLOSE_WRITE: u32 = 0x008;
    pub const CLOSE_NOWRITE: u32 = 0x010;
    pub const OPEN: u32 = 0x020;
    pub const MOVED_FROM: u32 = 0x040;
    pub const MOVED_TO: u32 = 0x080;
    pub const CREATE: u32 = 0x100;
    pub const DELETE: u32 = 0x200;
    pub const DELETE_SELF: u32 = 0x400;
    pub const MOVE_SELF: u32 = 0x800;
    pub const ALL: u32 = 0xfff;
    pub const Q_OVERFLOW: u32 = 0x4000;
    pub const IGNORED: u32 = 0x8000;
    pub const ISDIR: u32 = 0x4000_0000;
}

const ONLYDIR: u32 = 0x0100_0000;
const DONT_FOLLOW: u32 = 0x0200_0000;
const EXCL_UNLINK: u32 = 0x0400_0000;
const MASK_CREATE: u32 = 0x1000_0000;
const MASK_ADD: u32 = 0x2000_0000;
const ONESHOT: u32 = 0x8000_0000;

/// `/proc/sys/fs/inotify/max_queued_events`.
const MAX_QUEUED: usize = 16384;
const FIONREAD: u32 = 0x541b;

#[derive(PartialEq, Eq)]
struct Event {
    wd: i32,
    mask: u32,
    cookie: u32,
    name: Box<[u8]>,
}

impl Event {
    /// Bytes in the stream: the name is padded with NULs to a multiple of the header's 16 bytes.
    fn len(&self) -> usize {
        16 + if self.name.is_empty() { 0 } else { (self.name.len() + 1).next_multiple_of(16) }
    }

    fn encode(&self) -> Vec<u8> {
        let len = self.len();
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&self.wd.to_le_bytes());
        out.extend_from_slice(&self.mask.to_le_bytes());
        out.extend_from_slice(&self.cookie.to_le_bytes());
        out.extend_from_slice(&u32::try_from(len - 16).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.name);
        out.resize(len, 0);
        out
    }
}

struct Watch {
    wd: i32,
    mask: AtomicU32,
    /// Keeps the inode, and so its identity.
    dentry: Arc<Dentry>,
    owner: Weak<Inotify>,
    /// The number that the monitor tells of changes from outside by, or 0.
    outside: u64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Event>,
    watches: BTreeMap<i32, Arc<Watch>>,
    next: i32,
}

/// An inotify instance.
struct Inotify {
    state: Mutex<State>,
    readable: WaitQueue,
    ino: u64,
    created: [i64; 2],
}

/// Watches by inode.
static WATCHES: Mutex<Option<HashMap<usize, Vec<Arc<Watch>>>>> = Mutex::new(None);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static COOKIE: AtomicU32 = AtomicU32::new(1);

/// Whether anything is watched. Cheap, so that callers can skip the work of finding out what to tell.
#[inline]
#[must_use]
pub fn is_used() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

fn identity(inode: &dyn Inode) -> usize {
    core::ptr::from_ref(inode).cast::<()>().addr()
}

impl Inotify {
    fn push(&self, event: Event) {
        {
            let mut state = self.state.lock();
            if state.queue.back() == Some(&event) {
                return;
            }
            if state.queue.len() >= MAX_QUEUED {
                if state.queue.back().is_none_or(|e| e.mask != event::Q_OVERFLOW) {
                    let name = Box::default();
                    state.queue.push_back(Event { wd: -1, mask: event::Q_OVERFLOW, cookie: 0, name });
                }
            } else {
                state.queue.push_back(event);
            }
        }
        self.readable.wake_for(Poll::IN);
    }

    fn remove(&self, wd: i32) -> Result<()> {
        let watch = self.state.lock().watches.remove(&wd).ok_or(Errno::EINVAL)?;
        unregister(&watch);
        self.push(Event { wd, mask: event::IGNORED, cookie: 0, name: Box::default() });
        Ok(())
    }
}

fn unregister(watch: &Arc<Watch>) {
    {
        let mut all = WATCHES.lock();
        let Some(map) = all.as_mut() else { return };
        let id = identity(&*watch.dentry.inode);
        if let Some(list) = map.get_mut(&id) {
            let before = list.len();
            list.retain(|w| !Arc::ptr_eq(w, watch));
            COUNT.fetch_sub(before - list.len(), Ordering::Relaxed);
            if list.is_empty() {
                map.remove(&id);
            }
        }
    }
    outside::end(watch.outside);
}

/// The watches of a file.
fn watches_of(inode: &dyn Inode) -> Vec<Arc<Watch>> {
    let all = WATCHES.lock();
    all.as_ref().and_then(|map| map.get(&identity(inode))).cloned().unwrap_or_default()
}

fn emit(inode: &dyn Inode, name: &[u8], mask: u32, cookie: u32) {
    let watches = watches_of(inode);
    leave_echo(&watches, name, mask);
    hand_out(&watches, name, mask, cookie);
}

/// The monitor will tell of the same.
fn leave_echo(watches: &[Arc<Watch>], name: &[u8], mask: u32) {
    if let Some(watch) = watches.iter().find(|watch| watch.outside != 0) {
        outside::echo(watch.outside, mask, name);
    }
}

/// Something is going to happen to a file, or just did, that is not told as the family's own and is no news either.
pub fn expect(dentry: &Arc<Dentry>, mask: u32) {
    if !is_used() {
        return;
    }
    if let Some(parent) = dentry.parent().filter(|_| !dentry.is_deleted()) {
        leave_echo(&watches_of(&*parent.inode), &dentry.name(), mask);
    }
    leave_echo(&watches_of(&*dentry.inode), b"", mask);
}

/// Others did something to a watched file, or to the name `name` in a watched directory.
pub fn outside(dentry: &Arc<Dentry>, name: &[u8], mask: u32, cookie: u32) {
    let watches = watches_of(&*dentry.inode);
    hand_out(&watches, name, mask, cookie);
    if mask & event::DELETE_SELF != 0 {
        end_all(&watches);
    }
}

/// Changes from outside were lost.
pub fn overflow_outside() {
    let all: Vec<Arc<Watch>> = {
        let all = WATCHES.lock();
        let lists = all.iter().flat_map(|map| map.values());
        lists.flatten().filter(|watch| watch.outside != 0).cloned().collect()
    };
    for owner in all.iter().filter_map(|watch| watch.owner.upgrade()) {
        owner.push(Event { wd: -1, mask: event::Q_OVERFLOW, cookie: 0, name: Box::default() });
    }
}

/// The file is gone, and its watches with it.
fn end_all(watches: &[Arc<Watch>]) {
    for watch in watches {
        if let Some(owner) = watch.owner.upgrade() {
            let _ = owner.remove(watch.wd);
        }
    }
}

fn hand_out(watches: &[Arc<Watch>], name: &[u8], mask: u32, cookie: u32) {
    for watch in watches {
        let wanted = watch.mask.load(Ordering::Relaxed);
        if wanted & mask & event::ALL == 0 {
            continue;
        }
        let Some(owner) = watch.owner.upgrade() else { continue };
        owner.push(Event { wd: watch.wd, mask, cookie, name: name.into() });
        if wanted & ONESHOT != 0 {
            let _ = owner.remove(watch.wd);
        }
    }
}

/// Something happened to the name `name` in `dir`.
pub fn child(dir: &Arc<Dentry>, name: &[u8], mask: u32, is_directory: bool) {
    if is_used() {
        emit(&*dir.inode, name, mask | if is_directory { event::ISDIR } else { 0 }, 0);
    }
}

/// Something happened to a file: those who watch it hear of it, and those who watch its directory.
pub fn file(dentry: &Arc<Dentry>, mask: u32) {
    if !is_used() {
        return;
    }
    let mask = mask | if dentry.is_directory() { event::ISDIR } else { 0 };
    if let Some(parent) = dentry.parent().filter(|_| !dentry.is_deleted()) {
        emit(&*parent.inode, &dentry.name(), mask, 0);
    }
    emit(&*dentry.inode, b"", mask, 0);
}

/// A file got or lost a name: those hear of it who watch the file itself.
pub fn relinked(dentry: &Arc<Dentry>) {
    if is_used() {
        emit(&*dentry.inode, b"", event::ATTRIB, 0);
    }
}

/// The last name of a file may be gone: its watches end.
pub fn removed(dentry: &Arc<Dentry>) {
    if !is_used() {
        return;
    }
    let links = dentry.inode.metadata().map_or(0, |m| m.nlink);
    if !dentry.is_directory() && links > 0 {
        relinked(dentry);
        return;
    }
    emit(&*dentry.inode, b"", event::DELETE_SELF, 0);
    end_all(&watches_of(&*dentry.inode));
}

/// A file was renamed.
pub fn moved(
    from: &Arc<Dentry>,
    name: &[u8],
    to: &Arc<Dentry>,
    to_name: &[u8],
    what: &Arc<Dentry>,
    is_directory: bool,
) {
    if !is_used() {
        return;
    }
    let cookie = COOKIE.fetch_add(1, Ordering::Relaxed);
    let kind = if is_directory { event::ISDIR } else { 0 };
    emit(&*from.inode, name, event::MOVED_FROM | kind, cookie);
    emit(&*to.inode, to_name, event::MOVED_TO | kind, cookie);
    emit(&*what.inode, b"", event::MOVE_SELF, 0);
}

/// The last descriptor of an open file was closed.
pub fn closed(open: &OpenFile) {
    if !is_used() || open.status() & flags::O_PATH != 0 {
        return;
    }
    if let Some(dentry) = dentry_of(open) {
        file(&dentry, if open.is_writable() { event::CLOSE_WRITE } else { event::CLOSE_NOWRITE });
    }
}

impl FileOps for Inotify {
    fn read(&self, thread: &Thread, file: &OpenFile, sink: &mut Sink<'_>, _: Option<u64>) -> Result<usize> {
        let mut attempt = || {
            let mut total = 0;
            loop {
                let next = {
                    let mut state = self.state.lock();
                    match state.queue.front() {
                        None if total == 0 => return None,
                        None => break,
                        Some(event) if event.len() > sink.left() => {
                            return Some(if total == 0 { Err(Errno::EINVAL) } else { Ok(total) });
                        }
                        Some(_) => state.queue.pop_front(),
                    }
                };
                let Some(event) = next else { break };
                match sink.put(&event.encode()) {
                    Ok(count) => total += count,
                    Err(error) if total == 0 => return Some(Err(error)),
                    Err(_) => break,
                }
            }
            Some(Ok(total))
        };
        match attempt() {
            Some(result) => result,
            None if file.is_nonblocking() => Err(Errno::EAGAIN),
            None => wait::block(thread, &[&self.readable], None, attempt),
        }
    }

    fn poll(&self, _: &OpenFile) -> Poll {
        if self.state.lock().queue.is_empty() { Poll::empty() } else { Poll::IN | Poll::RDNORM }
    }

    fn wait_queue(&self) -> Option<&WaitQueue> {
        Some(&self.readable)
    }

    fn async_queue(&self) -> Option<&WaitQueue> {
        Some(&self.readable)
    }

    fn metadata(&self) -> Result<Metadata> {
        Ok(ipc::anonymous_metadata(ipc::DEV_ANONYMOUS, self.ino, 0o600, self.created, [0; 2]))
    }

    fn ioctl(&self, _: &Thread, _: &OpenFile, request: u32, argument: usize) -> Result<u64> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let bytes: usize = self.state.lock().queue.iter().map(Event::len).sum();
        user::write(argument, &i32::try_from(bytes).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn release(&self, _: &OpenFile) {
        let watches = core::mem::take(&mut self.state.lock().watches);
        for watch in watches.values() {
            unregister(watch);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Whether `ops` is an inotify instance, for /proc/PID/fd.
#[must_use]
pub fn is_instance(ops: &dyn FileOps) -> bool {
    ops.as_any().is::<Inotify>()
}

fn make(call: &Call<'_>, status: u32) -> Result<u64> {
    if status & !(flags::O_NONBLOCK | flags::O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let instance = Inotify {
        state: Mutex::default(),
        readable: WaitQueue::new(),
        ino: ipc::next_inode(),
        created: ipc::time_of_day(),
    };
    let file = OpenFile::new(Arc::new(instance), status & flags::O_NONBLOCK);
    let fd = call.process().add_file(file, status & flags::O_CLOEXEC != 0)?;
    u64::try_from(fd).map_err(|_| Errno::EMFILE)
}

/// inotify_init(2).
///
/// # Errors
/// `EMFILE`.
pub fn inotify_init(call: &mut Call<'_>) -> Result<u64> {
    make(call, 0)
}

/// inotify_init1(2).
///
/// # Errors
/// `EINVAL` for unknown flags, `EMFILE`.
pub fn inotify_init1(call: &mut Call<'_>) -> Result<u64> {
    make(call, call.uint(0))
}

/// inotify_add_watch(2).
///
/// # Errors
/// As the manual page says.
pub fn inotify_add_watch(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let ops: Arc<dyn Any + Send + Sync> = file.ops.clone();
    let instance = ops.downcast::<Inotify>().map_err(|_| Errno::EINVAL)?;
    let path = call.path(1)?;
    let mask = call.uint(2);
    if mask & event::ALL == 0 || mask & (MASK_ADD | MASK_CREATE) == MASK_ADD | MASK_CREATE {
        return Err(Errno::EINVAL);
    }
    let dentry = super::calls::find(call, super::calls::AT_FDCWD, &path, mask & DONT_FOLLOW == 0)?;
    if mask & ONLYDIR != 0 && dentry.inode.kind() != mode::S_IFDIR {
        return Err(Errno::ENOTDIR);
    }
    super::permission::check(call.process(), &*dentry.inode, super::permission::READ)?;
    let keep = mask & (event::ALL | ONESHOT | EXCL_UNLINK);
    let mut state = instance.state.lock();
    if let Some(watch) = state.watches.values().find(|w| Arc::ptr_eq(&w.dentry.inode, &dentry.inode)) {
        if mask & MASK_CREATE != 0 {
            return Err(Errno::EEXIST);
        }
        if mask & MASK_ADD != 0 {
            watch.mask.fetch_or(keep, Ordering::Relaxed);
        } else {
            watch.mask.store(keep, Ordering::Relaxed);
        }
        return u64::try_from(watch.wd).map_err(|_| Errno::ENOSPC);
    }
    state.next += 1;
    let wd = state.next;
    let id = identity(&*dentry.inode);
    let owner = Arc::downgrade(&instance);
    let outside = outside::begin(&dentry);
    let watch = Arc::new(Watch { wd, mask: AtomicU32::new(keep), dentry, owner, outside });
    state.watches.insert(wd, watch.clone());
    drop(state);
    WATCHES.lock().get_or_insert_default().entry(id).or_default().push(watch);
    COUNT.fetch_add(1, Ordering::Relaxed);
    u64::try_from(wd).map_err(|_| Errno::ENOSPC)
}

/// inotify_rm_watch(2).
///
/// # Errors
/// As the manual page says.
pub fn inotify_rm_watch(call: &mut Call<'_>) -> Result<u64> {
    let file = call.file(0)?;
    let instance = file.ops.as_any().downcast_ref::<Inotify>().ok_or(Errno::EINVAL)?;
    instance.remove(call.int(1)).map(|()| 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_padded_to_the_size_of_the_header() {
        let event = Event { wd: 3, mask: event::CREATE, cookie: 0, name: (*b"0123456789abcde").into() };
        let bytes = event.encode();
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[12..16], [16, 0, 0, 0]);
        assert_eq!(&bytes[16..], b"0123456789abcde\0");
        let longer = Event { name: (*b"0123456789abcdef").into(), ..event };
        assert_eq!(longer.encode().len(), 48);
        let none = Event { name: Box::default(), ..longer };
        assert_eq!(none.encode().len(), 16);
    }
}
