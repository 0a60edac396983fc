//! The one thread that waits for the host: handles that somebody waits on, events from the monitor, the display
//! channel, and the next timer. App threads never block in a host poll themselves; they stand in wait queues, and
//! this thread wakes the queues.

use super::unix::garbage;
use super::{console, wayland};
use crate::fs::namespace;
use crate::fs::outside;
use crate::mm::known;
use crate::sys::timer;
use crate::wait::WaitQueue;
use crate::{Errno, Mutex, Once};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use postern_abi::boot;
use postern_abi::calls::notice;
use postern_abi::event::{Event, EventKind};
use postern_abi::layout::handle::{EVENTS, WAKE_READ, WAKE_WRITE};
use postern_pal::clock;
use postern_pal::gate;
use postern_pal::handle::{self, Handle, PollEntry};
use zerocopy::{FromZeros, IntoBytes};

/// `POLLIN` for host handles.
pub const IN: i16 = 1;
/// `POLLOUT` for host handles.
pub const OUT: i16 = 4;
/// `POLLERR | POLLHUP | POLLNVAL`, which the host always reports.
const ALWAYS: i16 = 8 | 16 | 32;

/// Somebody waits for a handle.
#[derive(Clone)]
struct Interest {
    handle: Arc<Handle>,
    events: i16,
    queue: Arc<WaitQueue>,
}

static INTERESTS: Mutex<Vec<Interest>> = Mutex::new(Vec::new());
/// Whether the thread was asked to look at its lists again since it last did.
static ASKED: AtomicU32 = AtomicU32::new(0);
static WAKE: Once<Handle> = Once::new();
/// Permissions as the monitor last told them ([`postern_abi::boot::permission`] bits).
static PERMISSIONS: AtomicU32 = AtomicU32::new(0);

/// The app's present permissions, [`postern_abi::boot::permission`] bits. The monitor enforces them; here they only
/// decide what is shown.
#[must_use]
pub fn permissions() -> u32 {
    PERMISSIONS.load(Ordering::Relaxed)
}

pub(super) fn init(permissions: u32) {
    PERMISSIONS.store(permissions, Ordering::Relaxed);
    if let Some(wake) = Handle::initial(WAKE_WRITE) {
        let _ = WAKE.set(wake);
    }
}

/// Makes the thread look again: at the handles it watches and at the next timer.
pub fn kick() {
    if ASKED.swap(1, Ordering::SeqCst) == 0
        && let Some(wake) = WAKE.get()
    {
        // A full pipe wakes the thread as well.
        let _ = wake.write(&[1], None);
    }
}

/// Wakes `queue` once, when `handle` has one of `events` (or an error or hang-up).
pub fn wait_handle(handle: &Arc<Handle>, events: i16, queue: &Arc<WaitQueue>) {
    let mut interests = INTERESTS.lock();
    if let Some(known) = interests.iter_mut().find(|i| Arc::ptr_eq(&i.handle, handle)) {
        if known.events & events == events {
            return;
        }
        known.events |= events;
    } else {
        interests.push(Interest { handle: handle.clone(), events, queue: queue.clone() });
    }
    drop(interests);
    kick();
}

/// Nobody waits for `handle` any more.
pub fn forget(handle: &Arc<Handle>) {
    let removed = {
        let mut interests = INTERESTS.lock();
        let at = interests.iter().position(|i| Arc::ptr_eq(&i.handle, handle));
        at.map(|at| interests.swap_remove(at))
    };
    if removed.is_some() {
        kick();
    }
}

/// Takes what was reported off the list of interests.
fn settle(interest: &Interest, found: i16) {
    let mut interests = INTERESTS.lock();
    if let Some(at) = interests.iter().position(|i| Arc::ptr_eq(&i.handle, &interest.handle)) {
        let Some(known) = interests.get_mut(at) else { return };
        known.events &= !found;
        if known.events == 0 || found & ALWAYS != 0 {
            let gone = interests.swap_remove(at);
            drop(interests);
            drop(gone);
        }
    }
}

/// Longest name behind an event, in bytes: a path.
const MAX_NAME: usize = 4096;

fn read_events(events: &Handle) -> bool {
    let mut name = alloc::vec![0; MAX_NAME];
    loop {
        let mut event = Event::new_zeroed();
        let (len, handle) = match events.receive(event.as_mut_bytes(), &mut name, false) {
            Ok(got) => got,
            Err(Errno::EAGAIN) => return true,
            Err(Errno::EINTR) => continue,
            Err(_) => return false,
        };
        if len == 0 {
            // The monitor is gone; nothing more will come.
            return false;
        }
        let Some(name) = len.checked_sub(size_of::<Event>()).and_then(|len| name.get(..len)) else {
            continue;
        };
        let [first, second, _] = event.args;
        match EventKind::from_number(event.kind) {
            Some(EventKind::Signal) => console::signal_initial(u32::try_from(first).unwrap_or(0)),
            Some(EventKind::WindowSize) => console::set_window(first, second),
            Some(EventKind::Permissions) => {
                PERMISSIONS.store(u32::try_from(first & 0xffff_ffff).unwrap_or(0), Ordering::Relaxed);
            }
            Some(EventKind::Changed) => {
                let half = |word: u64| u32::try_from(word & 0xffff_ffff).unwrap_or(0);
                outside::arrived(first, half(second), half(second >> 32), name);
            }
            Some(EventKind::Mounted) => {
                let small = |word: u64| u32::try_from(word).unwrap_or(0);
                let (id, flags) = (small(first), small(second));
                let record = boot::Mount { id, flags, path_len: 0, target_len: 0 };
                // What cannot be mounted is not there for the app; the monitor need not wait for it.
                let _ = namespace::mount_late(&record, name);
                gate::tell(notice::MOUNTED, [first, 0, 0, 0], b"");
            }
            Some(EventKind::DisplayReady) => {
                if let Some(channel) = handle {
                    wayland::replace_channel(channel);
                }
            }
            Some(EventKind::Settled) => known::tell(),
            None => {}
        }
    }
}

/// The thread. Never returns.
pub fn service() {
    let mut events = Handle::initial(EVENTS);
    let wake = Handle::initial(WAKE_READ);
    let mut interests: Vec<Interest> = Vec::new();
    let mut entries: Vec<PollEntry> = Vec::new();
    loop {
        timer::run_expired();
        wayland::tick();
        garbage::collect();
        outside::tell_due();
        // Whoever asks from here on is heard by the poll below.
        ASKED.store(0, Ordering::SeqCst);
        interests.clear();
        interests.extend(INTERESTS.lock().iter().cloned());
        entries.clear();
        entries.extend(interests.iter().map(|i| PollEntry::new(&i.handle, i.events)));
        entries.extend(wake.as_ref().map(|handle| PollEntry::new(handle, IN)));
        entries.extend(events.as_ref().map(|handle| PollEntry::new(handle, IN)));
        let deadlines = [
            timer::next_deadline(),
            wayland::next_deadline(),
            garbage::next_deadline(),
            outside::next_deadline(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let timeout = deadline.map(|at| at.saturating_sub(clock::now()));
        let found = handle::poll(&mut entries, timeout);
        // What is asked for from here on is looked at before the next poll anyway: nobody needs to interrupt that.
        ASKED.store(1, Ordering::SeqCst);
        if found == 0 {
            continue;
        }
        for (interest, entry) in interests.iter().zip(&entries) {
            if entry.revents != 0 {
                settle(interest, entry.revents);
                interest.queue.wake();
            }
        }
        let mut rest = entries.iter().skip(interests.len());
        if let Some(wake) = &wake
            && rest.next().is_some_and(|entry| entry.revents != 0)
        {
            let _ = wake.read(&mut [0; 64], None);
        }
        if let Some(handle) = &events
            && rest.next().is_some_and(|entry| entry.revents != 0)
            && !read_events(handle)
        {
            events = None;
        }
    }
}
