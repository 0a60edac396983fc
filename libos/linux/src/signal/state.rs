//! The signal state of threads and processes.

use super::altstack::AltStack;
use super::info::Info;
use super::queue::Queue;
use super::set::{self, UNBLOCKABLE, bit};
use crate::Mutex;
use crate::task::{Process, Thread};
use crate::wait::WaitQueue;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// `SIG_DFL`.
pub const DEFAULT: u64 = 0;
/// `SIG_IGN`.
pub const IGNORE: u64 = 1;

/// Bits of `sa_flags`.
pub mod flag {
    pub const NOCLDSTOP: u64 = 1;
    pub const NOCLDWAIT: u64 = 2;
    pub const SIGINFO: u64 = 4;
    pub const RESTORER: u64 = 0x0400_0000;
    pub const ONSTACK: u64 = 0x0800_0000;
    pub const RESTART: u64 = 0x1000_0000;
    pub const NODEFER: u64 = 0x4000_0000;
    pub const RESETHAND: u64 = 0x8000_0000;
    pub const EXPOSE_TAGBITS: u64 = 0x800;
    /// What the kernel keeps of the flags.
    pub const KNOWN: u64 =
        NOCLDSTOP | NOCLDWAIT | SIGINFO | EXPOSE_TAGBITS | RESTORER | ONSTACK | RESTART | NODEFER | RESETHAND;
}

/// What a process does on a signal: the kernel's `struct sigaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// Address of the handler, [`DEFAULT`] or [`IGNORE`].
    pub handler: u64,
    /// [`flag`] bits.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: u64,
}

impl Action {
    /// Whether a signal with this action does nothing at all.
    #[must_use]
    pub fn ignores(&self, signal: u32) -> bool {
        match self.handler {
            IGNORE => true,
            DEFAULT => set::default_action(signal) == set::Default::Ignore,
            _ => false,
        }
    }
}

/// The actions of a process, by signal.
pub struct Actions([Action; 64]);

impl Default for Actions {
    fn default() -> Self {
        Self([Action::default(); 64])
    }
}

impl Actions {
    fn index(signal: u32) -> usize {
        usize::try_from(signal).unwrap_or(0).wrapping_sub(1)
    }

    /// The action for `signal`.
    #[must_use]
    pub fn get(&self, signal: u32) -> Action {
        self.0.get(Self::index(signal)).copied().unwrap_or_default()
    }

    fn set(&mut self, signal: u32, action: Action) {
        if let Some(slot) = self.0.get_mut(Self::index(signal)) {
            *slot = action;
        }
    }

    fn ignored(&self) -> u64 {
        (1..=set::LAST).filter(|s| self.get(*s).ignores(*s)).fold(0, |set, s| set | bit(s))
    }

    /// Handlers of the old program mean nothing to the new one; what was ignored stays ignored.
    fn reset_handlers(&mut self) {
        for action in &mut self.0 {
            let handler = if action.handler == IGNORE { IGNORE } else { DEFAULT };
            *action = Action { handler, ..Action::default() };
        }
    }
}

/// Signal state of a thread.
pub struct ThreadSignals {
    blocked: AtomicU64,
    /// Signals that sigtimedwait is waiting for: they count as wanted although they may be blocked or ignored.
    pub(super) awaited: AtomicU64,
    /// Which signals are in `queue`.
    pub(super) pending: AtomicU64,
    pub(super) queue: Mutex<Queue>,
    /// The mask to go back to once a signal that came during a call with a mask of its own (sigsuspend, ppoll) was
    /// handled; meaningful if `has_saved`. Only the thread itself touches the two.
    saved: AtomicU64,
    has_saved: AtomicU32,
    pub(super) alt_stack: Mutex<AltStack>,
    /// Trap number, error code and cr2 of the last fault, as every later signal frame shows them.
    pub(super) fault: [AtomicU64; 3],
    /// Deadline of a call with a relative timeout that is about to run again, or 0.
    resume_deadline: AtomicU64,
}

impl Default for ThreadSignals {
    fn default() -> Self {
        Self::new(0, AltStack::default())
    }
}

impl ThreadSignals {
    fn new(blocked: u64, alt_stack: AltStack) -> Self {
        Self {
            blocked: AtomicU64::new(blocked),
            awaited: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            queue: Mutex::new(Queue::new()),
            saved: AtomicU64::new(0),
            has_saved: AtomicU32::new(0),
            alt_stack: Mutex::new(alt_stack),
            fault: Default::default(),
            resume_deadline: AtomicU64::new(0),
        }
    }

    /// For the thread of a forked process: the mask and the alternate stack are copied, nothing is pending.
    #[must_use]
    pub fn for_child(parent: &Self) -> Self {
        Self::new(parent.blocked(), *parent.alt_stack.lock())
    }

    /// For a new thread of the same process: it has no alternate stack.
    #[must_use]
    pub fn for_thread(creator: &Self) -> Self {
        Self::new(creator.blocked(), AltStack::default())
    }

    /// For the main thread that goes on after an exec by another thread: mask and pending signals are kept.
    #[must_use]
    pub fn for_exec(old: &Self) -> Self {
        let new = Self::new(old.blocked(), AltStack::default());
        core::mem::swap(&mut *new.queue.lock(), &mut *old.queue.lock());
        new.pending.store(new.queue.lock().set(), Ordering::Relaxed);
        new
    }

    /// The thread executes a program: its alternate stack is gone.
    pub fn exec(&self) {
        *self.alt_stack.lock() = AltStack::default();
        self.resume_deadline.store(0, Ordering::Relaxed);
        for word in &self.fault {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// The blocked signals.
    #[inline]
    #[must_use]
    pub fn blocked(&self) -> u64 {
        self.blocked.load(Ordering::Relaxed)
    }

    /// The signals that are pending for this thread alone.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::SeqCst)
    }

    /// Replaces the mask without looking at what that unblocks or blocks; returns the old one.
    pub(super) fn swap_blocked(&self, mask: u64) -> u64 {
        self.blocked.swap(mask & !UNBLOCKABLE, Ordering::SeqCst)
    }

    /// Remembers `mask` as the one to go back to.
    pub(super) fn save_mask(&self, mask: u64) {
        self.saved.store(mask, Ordering::Relaxed);
        self.has_saved.store(1, Ordering::Relaxed);
    }

    /// The mask to go back to, if there is one.
    pub(super) fn take_saved_mask(&self) -> Option<u64> {
        (self.has_saved.swap(0, Ordering::Relaxed) != 0).then(|| self.saved.load(Ordering::Relaxed))
    }

    /// Remembers the deadline of a call with a relative timeout that returns `ERESTARTNOHAND`: where it runs again
    /// (after a stop, for instance), it asks [`Self::take_resume_deadline`] and does not begin anew.
    pub fn set_resume_deadline(&self, deadline: u64) {
        self.resume_deadline.store(deadline.max(1), Ordering::Relaxed);
    }

    /// The deadline that this call had when it was interrupted.
    #[must_use]
    pub fn take_resume_deadline(&self) -> Option<u64> {
        if self.resume_deadline.load(Ordering::Relaxed) == 0 {
            return None;
        }
        Some(self.resume_deadline.swap(0, Ordering::Relaxed))
    }

    /// Takes a signal of `among` that is pending for this thread alone.
    pub(super) fn take(&self, among: u64) -> Option<Info> {
        take(&self.pending, &self.queue, among)
    }
}

/// Signal state of a process.
#[derive(Default)]
pub struct ProcessSignals {
    actions: Mutex<Actions>,
    /// Signals that do nothing, as `actions` has it.
    ignored: AtomicU64Default,
    /// Which signals are in `queue`.
    pub(super) pending: AtomicU64,
    pub(super) queue: Mutex<Queue>,
    /// Woken whenever a signal becomes pending for the process or one of its threads.
    pub(super) arrivals: WaitQueue,
    /// 1 while the process is stopped.
    pub(super) stopped: AtomicU32,
    /// Counts SIGCONTs, so that a stop that one of them overtook does not happen.
    pub(super) continued: AtomicU32,
    /// Identity of the address space, or 0 if it was not asked for since the process began or executed a program. Kept
    /// here because it changes with exec as the actions do, and futexes want it without taking a lock.
    space: AtomicU64,
}

/// The set of signals that are ignored at first.
struct AtomicU64Default(AtomicU64);

impl Default for AtomicU64Default {
    fn default() -> Self {
        Self(AtomicU64::new(Actions::default().ignored()))
    }
}

fn take(pending: &AtomicU64, queue: &Mutex<Queue>, among: u64) -> Option<Info> {
    if pending.load(Ordering::SeqCst) & among == 0 {
        return None;
    }
    let mut queue = queue.lock();
    let info = queue.take(among);
    pending.store(queue.set(), Ordering::SeqCst);
    info
}

impl ProcessSignals {
    /// For a forked process: actions are copied, nothing is pending. `clear`: handlers are reset
    /// (`CLONE_CLEAR_SIGHAND`).
    #[must_use]
    pub fn fork(&self, clear: bool) -> Self {
        let mut actions = Actions(self.actions.lock().0);
        if clear {
            actions.reset_handlers();
        }
        let ignored = AtomicU64Default(AtomicU64::new(actions.ignored()));
        Self { actions: Mutex::new(actions), ignored, ..Self::default() }
    }

    /// The process executes a program: handlers are reset, ignored signals stay ignored.
    pub fn exec(&self) {
        let mut actions = self.actions.lock();
        actions.reset_handlers();
        self.ignored.0.store(actions.ignored(), Ordering::SeqCst);
        self.space.store(0, Ordering::Relaxed);
    }

    /// Identity of the address space of `process`, whose state this is.
    #[inline]
    #[must_use]
    pub fn space_id(&self, process: &Process) -> u64 {
        match self.space.load(Ordering::Relaxed) {
            0 => {
                let id = process.space().id;
                self.space.store(id, Ordering::Relaxed);
                id
            }
            id => id,
        }
    }

    /// What the process does on `signal`.
    #[must_use]
    pub fn action(&self, signal: u32) -> Action {
        self.actions.lock().get(signal)
    }

    /// Changes what the process does on `signal`; returns what it did before.
    pub(super) fn set_action(&self, signal: u32, action: Action) -> Action {
        let mut actions = self.actions.lock();
        let old = actions.get(signal);
        actions.set(signal, action);
        let this = bit(signal);
        if action.ignores(signal) {
            self.ignored.0.fetch_or(this, Ordering::SeqCst);
        } else {
            self.ignored.0.fetch_and(!this, Ordering::SeqCst);
        }
        old
    }

    /// The signals that do nothing.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored.0.load(Ordering::SeqCst)
    }

    /// The signals whose action is explicitly to do nothing, and those with a handler.
    #[must_use]
    pub fn ignored_and_caught(&self) -> (u64, u64) {
        let actions = self.actions.lock();
        let with = |wanted: fn(u64) -> bool| {
            (1..=set::LAST).filter(|s| wanted(actions.get(*s).handler)).fold(0, |set, s| set | bit(s))
        };
        (with(|handler| handler == IGNORE), with(|handler| handler > IGNORE))
    }

    /// The signals that are pending for the process as a whole.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::SeqCst)
    }

    /// Whether the process is stopped.
    #[inline]
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst) != 0
    }

    /// Takes a signal of `among` that is pending for the process.
    pub(super) fn take(&self, among: u64) -> Option<Info> {
        take(&self.pending, &self.queue, among)
    }
}

/// Signals that are pending for `thread`, its process' included, blocked or not.
#[must_use]
pub fn pending(thread: &Thread) -> u64 {
    thread.signals.pending.load(Ordering::SeqCst) | thread.process.signals.pending()
}

/// Whether the thread has something to do about signals before it goes on: one that is not blocked is pending, or
/// its process is stopped.
#[inline]
#[must_use]
pub fn is_pending(thread: &Thread) -> bool {
    pending(thread) & !thread.signals.blocked() != 0 || thread.process.signals.is_stopped()
}

#[cfg(test)]
mod tests {
    use super::super::set::sig;
    use super::*;

    #[test]
    fn exec_keeps_ignored_signals_only() {
        let signals = ProcessSignals::default();
        let _ = signals.set_action(sig::INT, Action { handler: 0x1000, flags: 4, restorer: 8, mask: 1 });
        let _ = signals.set_action(sig::HUP, Action { handler: IGNORE, ..Action::default() });
        assert_eq!(signals.ignored_and_caught(), (bit(sig::HUP), bit(sig::INT)));
        signals.exec();
        assert_eq!(signals.action(sig::INT), Action::default());
        assert_eq!(signals.action(sig::HUP).handler, IGNORE);
        assert_eq!(signals.ignored_and_caught(), (bit(sig::HUP), 0));
        assert_eq!(signals.ignored() & bit(sig::HUP), bit(sig::HUP));
    }

    #[test]
    fn a_fork_copies_actions_but_not_pending_signals() {
        let signals = ProcessSignals::default();
        let _ = signals.set_action(sig::INT, Action { handler: 0x1000, ..Action::default() });
        signals.queue.lock().add(Info::kernel(sig::HUP), 8);
        signals.pending.store(bit(sig::HUP), Ordering::Relaxed);
        let child = signals.fork(false);
        assert_eq!(child.action(sig::INT).handler, 0x1000);
        assert_eq!(child.pending(), 0);
        assert_eq!(signals.fork(true).action(sig::INT).handler, DEFAULT);
        assert_eq!(signals.take(!0).map(|i| i.signal()), Some(sig::HUP));
        assert_eq!(signals.pending(), 0);
    }

    #[test]
    fn signals_that_do_nothing_by_default_count_as_ignored_until_caught() {
        let signals = ProcessSignals::default();
        assert_eq!(signals.ignored() & bit(sig::CHLD), bit(sig::CHLD));
        let _ = signals.set_action(sig::CHLD, Action { handler: 0x1000, ..Action::default() });
        assert_eq!(signals.ignored() & bit(sig::CHLD), 0);
    }

    #[test]
    fn kill_and_stop_cannot_be_blocked() {
        let signals = ThreadSignals::default();
        signals.swap_blocked(!0);
        assert_eq!(signals.blocked(), !UNBLOCKABLE);
    }

    #[test]
    fn a_saved_mask_is_taken_once() {
        let signals = ThreadSignals::default();
        assert_eq!(signals.take_saved_mask(), None);
        signals.save_mask(0);
        assert_eq!(signals.take_saved_mask(), Some(0));
        assert_eq!(signals.take_saved_mask(), None);
    }
}
