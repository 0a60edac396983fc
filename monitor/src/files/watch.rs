//! Watching directories that others may change. The library OS believes what it was told of such a directory only for
//! a moment, unless it knows that nothing changed since: each watched directory has a counter in memory that the family
//! can read ([`postern_abi::layout::CHANGES_BASE`]), so that knowing takes no message.
//!
//! A watch ends with the first change that it sees: a directory that is written to all the time costs one event and not
//! one for every write. The library OS lists such a directory again when it is worth it, which watches it again.

use crate::account::lock;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::uio::pwrite;
use postern_abi::layout::{CHANGES, CHANGES_BASE, arena_offset};
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Stack of the thread that takes the host's events, in bytes.
const STACK: usize = 128 * 1024;

/// The watched directories of a family.
#[derive(Debug)]
pub struct Watches {
    inotify: Inotify,
    arena: OwnedFd,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Index of the counter of each watch.
    slots: HashMap<WatchDescriptor, usize>,
    /// Watches in the order in which they began; some have ended.
    order: VecDeque<WatchDescriptor>,
    /// What the counters stand at, as far as they were ever used.
    counts: Vec<u32>,
    free: Vec<usize>,
    has_thread: bool,
}

/// A watch: which counter, and where it stood when the watch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Index of the counter.
    pub slot: usize,
    /// Its value. Another value means that something changed since.
    pub count: u32,
}

impl Watches {
    /// None yet. The counters are in `arena`.
    ///
    /// # Errors
    /// The host's.
    pub fn new(arena: OwnedFd) -> Result<Arc<Self>, Errno> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        Ok(Arc::new(Self { inotify, arena, table: Mutex::default() }))
    }

    /// Watches `directory`. `None` where the host allows no more.
    pub fn watch(self: &Arc<Self>, directory: &Path) -> Option<Watch> {
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONESHOT
            | AddWatchFlags::IN_ONLYDIR;
        // Held while the watch is made: its first event finds it in the table.
        let mut table = lock(&self.table);
        if !table.has_thread {
            let this = Arc::clone(self);
            let thread = std::thread::Builder::new().name("watch".to_owned()).stack_size(STACK);
            thread.spawn(move || this.serve()).ok()?;
            table.has_thread = true;
        }
        let watch = self.inotify.add_watch(directory, flags).ok()?;
        if let Some(slot) = table.slots.get(&watch).copied() {
            return table.counts.get(slot).map(|count| Watch { slot, count: *count });
        }
        let slot = self.free_slot(&mut table)?;
        table.slots.insert(watch, slot);
        table.order.push_back(watch);
        table.counts.get(slot).map(|count| Watch { slot, count: *count })
    }

    fn free_slot(&self, table: &mut Table) -> Option<usize> {
        if let Some(slot) = table.free.pop() {
            return Some(slot);
        }
        if table.counts.len() < CHANGES {
            table.counts.push(0);
            return Some(table.counts.len() - 1);
        }
        // The oldest watch gives way.
        loop {
            let oldest = table.order.pop_front()?;
            if self.end(table, oldest) {
                let _ = self.inotify.rm_watch(oldest);
                return table.free.pop();
            }
        }
    }

    /// A watch saw something, or gives way. `false` if it has ended before.
    fn end(&self, table: &mut Table, watch: WatchDescriptor) -> bool {
        let Some(slot) = table.slots.remove(&watch) else { return false };
        if let Some(count) = table.counts.get_mut(slot) {
            *count = count.wrapping_add(1);
            let place = arena_offset(CHANGES_BASE) + slot * size_of::<u32>();
            let place = i64::try_from(place).unwrap_or(i64::MAX);
            // Memory that was written to before cannot fail; the first time it is the host that is out of memory, and
            // the family's next step fails as well.
            let _ = pwrite(self.arena.as_fd(), &count.to_ne_bytes(), place);
        }
        table.free.push(slot);
        // Ended watches are forgotten when they are many.
        if table.order.len() > 2 * CHANGES {
            let slots = &table.slots;
            table.order.retain(|watch| slots.contains_key(watch));
        }
        true
    }

    fn serve(&self) {
        loop {
            let events = match self.inotify.read_events() {
                Ok(events) => events,
                Err(Errno::EINTR) => continue,
                Err(_) => return,
            };
            let mut table = lock(&self.table);
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    let all: Vec<WatchDescriptor> = table.slots.keys().copied().collect();
                    for watch in all {
                        self.end(&mut table, watch);
                        let _ = self.inotify.rm_watch(watch);
                    }
                }
                self.end(&mut table, event.wd);
            }
        }
    }
}
