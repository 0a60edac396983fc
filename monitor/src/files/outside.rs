//! Telling a family of changes that others make: to the files and directories that its programs watch (inotify). What
//! the family itself does is told as well; the library OS knows which that is.
//!
//! A family has a bounded number of watches, and events go out no faster than the family takes them: what is too much
//! is lost on the host's side, and the family is told so.

use super::mounts::{Mount, Mounts};
use super::walk::Node;
use crate::account::lock;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use nix::sys::socket::{MsgFlags, sendmsg};
use nix::sys::stat::SFlag;
use postern_abi::boot::mount;
use postern_abi::event::{Event, EventKind};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zerocopy::IntoBytes as _;

/// Most files and directories that a family can have watched: the host has some tens of thousands for each user.
const MAX_WATCHES: usize = 4096;
/// Stack of the thread that takes the host's events, in bytes.
const STACK: usize = 128 * 1024;
/// Pause after each batch of events, in which the host joins equal ones: a file that is written to all the time costs
/// an event for each pause and not one for each write.
const PAUSE: Duration = Duration::from_millis(5);

/// What others do to watched files.
#[derive(Debug)]
pub struct Outside {
    /// Where events to the family go.
    events: OwnedFd,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Made with the first watch.
    inotify: Option<Arc<Inotify>>,
    /// The number that the family knows each watch by, and the file.
    watches: HashMap<WatchDescriptor, (u64, (u64, u64))>,
    last: u64,
}

impl Outside {
    /// Nothing is watched yet. Events are sent to `events`.
    #[must_use]
    pub fn new(events: OwnedFd) -> Arc<Self> {
        Arc::new(Self { events, table: Mutex::default() })
    }

    /// Watches a file; the number it has from now on. `None` where there are too many.
    fn watch(self: &Arc<Self>, file: &Path, identity: (u64, u64), mounts: &Mounts) -> Option<u64> {
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        // Held while the watch is made: its first event finds it in the table.
        let mut table = lock(&self.table);
        if table.watches.len() >= MAX_WATCHES {
            return None;
        }
        let inotify = match &table.inotify {
            Some(inotify) => Arc::clone(inotify),
            None => {
                let inotify = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC).ok()?);
                let (this, theirs, hidden) = (Arc::clone(self), Arc::clone(&inotify), mounts.hidden_names());
                let thread = std::thread::Builder::new().name("outside".to_owned()).stack_size(STACK);
                thread.spawn(move || this.serve(&theirs, &hidden)).ok()?;
                table.inotify = Some(Arc::clone(&inotify));
                inotify
            }
        };
        let watch = inotify.add_watch(file, flags).ok()?;
        if let Some((number, _)) = table.watches.get(&watch) {
            return Some(*number);
        }
        table.last += 1;
        let number = table.last;
        table.watches.insert(watch, (number, identity));
        Some(number)
    }

    fn unwatch(&self, number: u64) {
        let mut table = lock(&self.table);
        let found = table.watches.iter().find_map(|(watch, (n, _))| (*n == number).then_some(*watch));
        let Some(watch) = found else { return };
        table.watches.remove(&watch);
        if let Some(inotify) = &table.inotify {
            let _ = inotify.rm_watch(watch);
        }
    }

    fn serve(&self, inotify: &Inotify, hidden: &[((u64, u64), Vec<u8>)]) {
        loop {
            let events = match inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            for event in &events {
                if self.pass_on(event, hidden).is_err() {
                    return;
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Tells the family of an event.
    fn pass_on(&self, event: &InotifyEvent, hidden: &[((u64, u64), Vec<u8>)]) -> Result<(), Errno> {
        let name = event.name.as_deref().unwrap_or(OsStr::new("")).as_bytes();
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return self.send(0, event.mask.bits(), 0, b"");
        }
        let (number, identity) = {
            let mut table = lock(&self.table);
            let Some((number, identity)) = table.watches.get(&event.wd).copied() else { return Ok(()) };
            if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                table.watches.remove(&event.wd);
                return Ok(());
            }
            (number, identity)
        };
        if hidden.iter().any(|(folder, hidden)| *folder == identity && hidden == name) {
            return Ok(());
        }
        self.send(number, event.mask.bits(), event.cookie, name)
    }

    /// Waits where the family does not take its events: that costs a thread that has nothing else to do.
    fn send(&self, number: u64, mask: u32, cookie: u32, name: &[u8]) -> Result<(), Errno> {
        let args = [number, u64::from(mask) | u64::from(cookie) << 32, name.len() as u64];
        let event = Event { kind: EventKind::Changed as u32, reserved: 0, args };
        let parts = [IoSlice::new(event.as_bytes()), IoSlice::new(name)];
        loop {
            match sendmsg::<()>(self.events.as_raw_fd(), &parts, &[], MsgFlags::MSG_NOSIGNAL, None) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => std::thread::sleep(PAUSE),
                other => return other.map(drop),
            }
        }
    }
}

impl Mounts {
    /// Has the family told what others do to the files that its programs watch.
    pub fn tell_with(&mut self, outside: Arc<Outside>) {
        self.outside = Some(outside);
    }

    /// Watches a file at `path` of `mount`, if others may change it and the app may read it. The number of the watch,
    /// or 0.
    pub(super) fn watch_outside(&self, mount: &Mount, node: &Node, path: &[u8]) -> u64 {
        if mount.flags & mount::EXCLUSIVE != 0
            || !matches!(node.kind(), SFlag::S_IFREG | SFlag::S_IFDIR)
            || self.may_read(mount, node, path).is_err()
        {
            return 0;
        }
        let Some(outside) = &self.outside else { return 0 };
        let identity = (node.stat.st_dev, node.stat.st_ino);
        outside.watch(&node.proc_path(), identity, self).unwrap_or(0)
    }

    /// Ends a watch.
    pub fn unwatch_outside(&self, number: u64) {
        if let Some(outside) = &self.outside {
            outside.unwatch(number);
        }
    }
}
