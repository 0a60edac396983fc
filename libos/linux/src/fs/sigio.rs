//! Signals that tell of files: SIGIO, or another one, when a file becomes ready (`O_ASYNC`), and SIGURG for urgent
//! data (fcntl(2), socket(7)).
//!
//! A file that nobody asked this of has an empty option, and its queue one waiter less: telling costs nothing then.

use super::file::{OpenFile, Poll, flags};
use crate::signal::{self, Info, sig};
use crate::task::{Process, Thread, process};
use crate::wait::Notify;
use crate::{Errno, Mutex, Result};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, Ordering};

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One thread (`F_OWNER_TID`).
    Thread,
    /// A process.
    Process,
    /// A process group.
    Group,
}

/// Who gets the signals, and who said so.
#[derive(Clone, Copy)]
struct Owner {
    kind: Kind,
    id: u32,
    uid: u32,
    euid: u32,
}

#[derive(Clone, Copy)]
struct State {
    owner: Owner,
    /// `F_SETSIG`; 0: SIGIO, without information.
    signal: u32,
    /// The descriptor by which `O_ASYNC` was set.
    fd: i32,
    is_async: bool,
    /// The place in the file's queue.
    place: Option<u64>,
}

/// What was said about signals for one open file.
pub struct Notices {
    state: Mutex<State>,
}

/// Where an open file keeps them.
pub type Slot = Mutex<Option<Arc<Notices>>>;

/// What is told of, first things first: the event, `si_code` (`POLL_*`) and `si_band`.
const REASONS: [(Poll, i32, u64); 5] = [
    (Poll::PRI, 5, 0x82),
    (Poll::IN, 1, 0x41),
    (Poll::OUT, 2, 0x304),
    (Poll::ERR, 4, 0x8),
    (Poll::HUP, 6, 0x18),
];

impl Owner {
    fn may_signal(&self, to: &Process) -> bool {
        let other = to.identity.lock();
        let same = |id: u32| id == other.uid || id == other.suid;
        self.euid == 0 || same(self.euid) || same(self.uid)
    }

    /// Whether it is still there.
    fn lives(&self) -> bool {
        match self.kind {
            Kind::Thread => process::find_thread(self.id).is_some(),
            Kind::Process => process::find(self.id).is_some(),
            Kind::Group => !signal::members(self.id).is_empty(),
        }
    }

    /// Sends `info`, or SIGIO where there is no room for that.
    fn send(&self, info: Info) {
        let fallback = |result: Result<()>, to: &Arc<Process>, thread: Option<&Thread>| {
            if result.is_err() {
                let _ = signal::post(to, thread, Info::kernel(sig::IO));
            }
        };
        let to_process = |to: &Arc<Process>| {
            if self.may_signal(to) {
                fallback(signal::post(to, None, info), to, None);
            }
        };
        match self.kind {
            Kind::Thread => {
                if let Some(thread) = process::find_thread(self.id).filter(|t| self.may_signal(&t.process)) {
                    fallback(
                        signal::post(&thread.process, Some(&thread), info),
                        &thread.process,
                        Some(&thread),
                    );
                }
            }
            Kind::Process => {
                if let Some(to) = process::find(self.id) {
                    to_process(&to);
                }
            }
            Kind::Group => {
                let _joining = signal::joining();
                signal::members(self.id).iter().for_each(to_process);
            }
        }
    }
}

impl State {
    fn tell(&self, events: Poll) {
        if self.owner.id == 0 {
            return;
        }
        if events.contains(Poll::PRI) {
            self.owner.send(Info::kernel(sig::URG));
        }
        if !self.is_async {
            return;
        }
        for (event, code, band) in REASONS {
            if !events.contains(event) {
                continue;
            }
            if self.signal != 0 {
                self.owner.send(Info::poll(self.signal, code, band, self.fd));
            } else if event != Poll::PRI {
                self.owner.send(Info::kernel(sig::IO));
            }
        }
    }
}

impl Notices {
    fn of(file: &OpenFile) -> Arc<Self> {
        let owner = Owner { kind: Kind::Thread, id: 0, uid: 0, euid: 0 };
        let state = State { owner, signal: 0, fd: -1, is_async: false, place: None };
        let fresh = || Arc::new(Self { state: Mutex::new(state) });
        file.notices.lock().get_or_insert_with(fresh).clone()
    }

    /// Stands in the file's queue where somebody wants to hear of it, and only then.
    fn settle(self: &Arc<Self>, file: &OpenFile) {
        let Some(queue) = file.ops.async_queue() else { return };
        let mut state = self.state.lock();
        let wanted = state.is_async || state.owner.id != 0;
        if wanted && state.place.is_none() {
            let this: Weak<Self> = Arc::downgrade(self);
            state.place = Some(queue.subscribe(this));
            ARE_USED.store(true, Ordering::Relaxed);
        } else if !wanted && let Some(place) = state.place.take() {
            queue.leave(place);
        }
    }
}

impl Notify for Notices {
    fn notify(&self) {}

    fn notify_of(&self, events: Poll) {
        let state = *self.state.lock();
        state.tell(events);
    }
}

/// Real and effective user of a process.
fn ids(process: &Process) -> (u32, u32) {
    let identity = process.identity.lock();
    (identity.uid, identity.euid)
}

static ARE_USED: AtomicBool = AtomicBool::new(false);

/// Whether any file of the family ever had an owner or `O_ASYNC`.
#[inline]
#[must_use]
pub fn are_used() -> bool {
    ARE_USED.load(Ordering::Relaxed)
}

/// The open file is gone.
pub(super) fn released(file: &OpenFile) {
    let Some(notices) = file.notices.lock().take() else { return };
    let place = notices.state.lock().place.take();
    if let (Some(queue), Some(place)) = (file.ops.async_queue(), place) {
        queue.leave(place);
    }
}

/// Sets who gets the signals; id 0: nobody.
///
/// # Errors
/// `ESRCH` if there is no such process, thread or group.
pub fn set_owner(by: &Process, file: &OpenFile, kind: Kind, id: u32) -> Result<()> {
    let exists = || {
        process::find(id).is_some()
            || process::find_thread(id).is_some()
            || process::all()
                .iter()
                .any(|p| p.group.load(Ordering::Relaxed) == id || p.session.load(Ordering::Relaxed) == id)
    };
    if id != 0 && !exists() {
        return Err(Errno::ESRCH);
    }
    let (uid, euid) = ids(by);
    let notices = Notices::of(file);
    notices.state.lock().owner = Owner { kind, id, uid, euid };
    notices.settle(file);
    Ok(())
}

/// Makes `by` the owner if nobody is.
pub(super) fn own_if_free(by: &Process, file: &OpenFile) {
    let (uid, euid) = ids(by);
    let notices = Notices::of(file);
    {
        let mut state = notices.state.lock();
        if state.owner.id == 0 {
            state.owner = Owner { kind: Kind::Process, id: by.pid, uid, euid };
        }
    }
    notices.settle(file);
}

/// Forgets owner and signal.
pub(super) fn forget(file: &OpenFile) {
    let notices = file.notices.lock().clone();
    let Some(notices) = notices else { return };
    {
        let mut state = notices.state.lock();
        state.owner.id = 0;
        state.signal = 0;
    }
    notices.settle(file);
}

/// Tells the holder of a lease, set by descriptor `fd`, that another wants the file.
pub(super) fn lease_broken(file: &OpenFile, fd: i32) {
    const POLL_MSG: i32 = 3;
    let notices = file.notices.lock().clone();
    let Some(notices) = notices else { return };
    let state = *notices.state.lock();
    match state.signal {
        _ if state.owner.id == 0 => {}
        0 => state.owner.send(Info::kernel(sig::IO)),
        signal => state.owner.send(Info::poll(signal, POLL_MSG, 0x441, fd)),
    }
}

/// F_SETOWN: a process, or a group as a negative number.
///
/// # Errors
/// `ESRCH`, `EINVAL`.
pub fn set_owner_number(by: &Process, file: &OpenFile, owner: i32) -> Result<()> {
    let kind = if owner < 0 { Kind::Group } else { Kind::Process };
    let id = owner.checked_abs().ok_or(Errno::EINVAL)?;
    set_owner(by, file, kind, id.cast_unsigned())
}

/// Who gets the signals: the kind, and the id, or 0 if nobody does.
#[must_use]
pub fn owner(file: &OpenFile) -> (Kind, u32) {
    let notices = file.notices.lock().clone();
    let Some(notices) = notices else { return (Kind::Thread, 0) };
    let owner = notices.state.lock().owner;
    (owner.kind, if owner.id != 0 && owner.lives() { owner.id } else { 0 })
}

/// F_GETOWN.
#[must_use]
pub fn owner_number(file: &OpenFile) -> i32 {
    let (kind, id) = owner(file);
    let id = id.cast_signed();
    if kind == Kind::Group { id.saturating_neg() } else { id }
}

/// F_SETSIG.
///
/// # Errors
/// `EINVAL` if there is no such signal.
pub fn set_signal(file: &OpenFile, signal: u32) -> Result<()> {
    if signal > signal::LAST {
        return Err(Errno::EINVAL);
    }
    Notices::of(file).state.lock().signal = signal;
    Ok(())
}

/// F_GETSIG.
#[must_use]
pub fn signal_of(file: &OpenFile) -> u32 {
    let notices = file.notices.lock().clone();
    notices.map_or(0, |notices| notices.state.lock().signal)
}

/// Switches `O_ASYNC`, by descriptor `fd`. Returns `false` if the file knows no such thing.
pub fn set_async(by: &Process, file: &OpenFile, fd: i32, on: bool) -> bool {
    if (file.status() & flags::O_ASYNC != 0) == on {
        return true;
    }
    if file.ops.async_queue().is_none() {
        return false;
    }
    let notices = Notices::of(file);
    {
        let mut state = notices.state.lock();
        (state.is_async, state.fd) = (on, fd);
        if on
            && state.owner.id == 0
            && let Some((kind, id)) = file.ops.default_owner(by)
        {
            let (uid, euid) = ids(by);
            state.owner = Owner { kind, id, uid, euid };
        }
    }
    file.ops.set_async(on);
    file.mark_async(on);
    notices.settle(file);
    true
}
