//! Sending signals: to a thread, a process, a process group.

use super::info::Info;
use super::queue::Added;
use super::set::{self, STOPS, bit, sig};
use super::state::{self, flag};
use crate::task::process::{self, Status};
use crate::task::{Process, Thread, exit, resource};
use crate::{Errno, Mutex, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use postern_pal::MutexGuard;

/// Sends a signal to a process: one of its threads handles it.
pub fn send_to_process(process: &Arc<Process>, info: Info) {
    // A full queue loses the information only, where nobody can be told.
    let _ = post(process, None, info);
}

/// Sends a signal to one thread.
pub fn send_to_thread(thread: &Thread, info: Info) {
    let _ = post(&thread.process, Some(thread), info);
}

static JOINING: Mutex<()> = Mutex::new(());

/// Held while a signal goes to several processes, and while a forked process joins them: a signal for a group reaches
/// either the child or, before it forks, its parent.
pub fn joining() -> MutexGuard<'static, ()> {
    JOINING.lock()
}

/// Sends a signal to all processes of a group. Returns how many there are.
pub fn send_to_group(group: u32, info: Info) -> usize {
    let _joining = joining();
    let members = members(group);
    for member in &members {
        send_to_process(member, info);
    }
    members.len()
}

/// The processes of a group that have not ended.
#[must_use]
pub fn members(group: u32) -> Vec<Arc<Process>> {
    let mut all = process::all();
    all.retain(|p| p.group.load(Ordering::Relaxed) == group && !p.has_ended());
    all
}

/// A signal that a call of the thread brings upon it (SIGPIPE, SIGXFSZ): Linux tells it as sent by the process itself.
pub fn by_own_call(thread: &Thread, signal: u32) {
    send_to_thread(thread, Info::from_process(signal, super::info::code::USER, &thread.process));
}

/// [`send_to_process`] of a signal that the kernel itself sends.
pub fn kernel_to_process(process: &Arc<Process>, signal: u32) {
    send_to_process(process, Info::kernel(signal));
}

/// [`send_to_group`] of a signal that the kernel itself sends.
pub fn kernel_to_group(group: u32, signal: u32) {
    let _ = send_to_group(group, Info::kernel(signal));
}

/// Whether a thread would not notice `signal`: it is blocked or ignored (for SIGTTIN and SIGTTOU).
#[must_use]
pub fn is_blocked_or_ignored(thread: &Thread, signal: u32) -> bool {
    (thread.signals.blocked() | thread.process.signals.ignored()) & bit(signal) != 0
}

/// Sends a signal that the thread caused itself by a fault. It cannot be blocked or ignored: then it ends the
/// process.
pub fn force(thread: &Thread, info: Info) {
    let signal = info.signal();
    let this = bit(signal);
    let signals = &thread.process.signals;
    let blocked = thread.signals.blocked();
    if blocked & this != 0 || signals.action(signal).handler == state::IGNORE {
        let _ = signals.set_action(signal, state::Action::default());
        thread.signals.swap_blocked(blocked & !this);
    }
    enqueue(thread, info);
    thread.kick();
}

/// [`force`] of a signal that no handler may catch.
pub fn force_fatal(thread: &Thread, info: Info) {
    let _ = thread.process.signals.set_action(info.signal(), state::Action::default());
    force(thread, info);
}

fn enqueue(thread: &Thread, info: Info) {
    let mut queue = thread.signals.queue.lock();
    queue.add(info, usize::MAX);
    thread.signals.pending.store(queue.set(), Ordering::SeqCst);
}

/// The thread that handles a process-directed signal: the main thread if it does not block it, else any other.
fn taker(process: &Process, signal: u32) -> Option<Arc<Thread>> {
    let state = process.state.lock();
    let wants = |t: &&Arc<Thread>| {
        (t.signals.blocked() & !t.signals.awaited.load(Ordering::SeqCst)) & bit(signal) == 0
    };
    let main = state.threads.iter().find(|t| t.tid == process.pid).filter(wants);
    main.or_else(|| state.threads.iter().find(wants)).cloned()
}

/// Has threads that do not block them look at those of `which` that are pending for the process: the thread that was
/// to handle them blocks them now, or ends.
pub fn retarget(process: &Process, which: u64) {
    let mut left = process.signals.pending() & which;
    while left != 0 {
        let signal = left.trailing_zeros() + 1;
        left &= !bit(signal);
        if let Some(thread) = taker(process, signal) {
            thread.kick();
        }
    }
}

/// Makes a signal pending and has a thread look at it.
///
/// # Errors
/// `EAGAIN` if a real-time signal lost its information for lack of room (`RLIMIT_SIGPENDING`).
pub fn post(process: &Arc<Process>, thread: Option<&Thread>, info: Info) -> Result<()> {
    let signal = info.signal();
    let this = bit(signal);
    if this == 0 || process.pid == process::INIT || process.has_ended() {
        return Ok(());
    }
    let signals = &process.signals;
    match signal {
        sig::KILL => {
            exit::end_process(process, Status::Killed(9, false));
            return Ok(());
        }
        sig::CONT => resume_process(process),
        _ if this & STOPS != 0 => forget(process, bit(sig::CONT)),
        _ => {}
    }
    if signals.ignored() & this != 0 && !is_held(process, thread, this) {
        return Ok(());
    }
    let limit = usize::try_from(process.limits.soft(resource::SIGPENDING)).unwrap_or(usize::MAX);
    let (queue, pending) = match thread {
        Some(thread) => (&thread.signals.queue, &thread.signals.pending),
        None => (&signals.queue, &signals.pending),
    };
    let added = {
        let mut queue = queue.lock();
        let added = queue.add(info, limit);
        pending.store(queue.set(), Ordering::SeqCst);
        added
    };
    if added == Added::Already {
        return Ok(());
    }
    signals.arrivals.wake();
    let ends = match thread {
        Some(thread) => tell(thread, signal),
        None => taker(process, signal).is_some_and(|thread| tell(&thread, signal)),
    };
    if ends {
        exit::end_process(process, Status::Killed(u8::try_from(signal).unwrap_or(0), false));
    }
    if added == Added::Bare { Err(Errno::EAGAIN) } else { Ok(()) }
}

/// Has a thread look at `signal`. `true`: the signal ends its process, and the thread cannot see to that because a vfork
/// child runs on its host thread.
fn tell(thread: &Thread, signal: u32) -> bool {
    thread.kick();
    thread.is_lent.load(Ordering::SeqCst) != 0
        && thread.signals.blocked() & bit(signal) == 0
        && thread.process.signals.action(signal).handler == state::DEFAULT
        && set::default_action(signal) == set::Default::Terminate
}

/// Whether a signal that is ignored becomes pending all the same: it is blocked (it may be caught by the time it is
/// unblocked) or somebody waits for it.
fn is_held(process: &Process, thread: Option<&Thread>, this: u64) -> bool {
    let held = |t: &Thread| (t.signals.blocked() | t.signals.awaited.load(Ordering::SeqCst)) & this != 0;
    match thread {
        Some(thread) => held(thread),
        None => {
            let state = process.state.lock();
            let main = state.threads.iter().find(|t| t.tid == process.pid);
            main.is_some_and(|t| held(t))
                || state.threads.iter().any(|t| t.signals.awaited.load(Ordering::SeqCst) & this != 0)
        }
    }
}

/// Forgets pending signals of a process and of all its threads.
pub(super) fn forget(process: &Process, which: u64) {
    each_queue(process, |queue| queue.remove(which));
}

/// What sending SIGCONT does, whether the signal itself is handled or not.
fn resume_process(process: &Arc<Process>) {
    forget(process, STOPS);
    process.signals.continued.fetch_add(1, Ordering::SeqCst);
    let was_stopped = {
        let mut state = process.state.lock();
        let was = core::mem::take(&mut state.stopped);
        process.signals.stopped.store(0, Ordering::SeqCst);
        if was {
            state.job = Some(Status::Continued);
            for thread in &state.threads {
                thread.kick();
            }
        }
        was
    };
    if was_stopped {
        tell_parent_of_job(process, Status::Continued);
    }
}

/// Stops a process, unless a SIGCONT came after `continued` was read.
pub(super) fn stop_process(process: &Arc<Process>, signal: u32, continued: u32) {
    let status = Status::Stopped(u8::try_from(signal).unwrap_or(0));
    {
        let mut state = process.state.lock();
        if state.stopped
            || state.exiting.is_some()
            || process.signals.continued.load(Ordering::SeqCst) != continued
        {
            return;
        }
        state.stopped = true;
        state.job = Some(status);
        process.signals.stopped.store(1, Ordering::SeqCst);
        for thread in &state.threads {
            thread.kick();
        }
    }
    tell_parent_of_job(process, status);
}

fn tell_parent_of_job(process: &Arc<Process>, status: Status) {
    let parent = process.parent.lock().upgrade();
    if let Some(parent) = parent {
        if parent.signals.action(sig::CHLD).flags & flag::NOCLDSTOP == 0 {
            send_to_process(&parent, Info::child(sig::CHLD, process, status));
        }
        parent.changed.wake();
    }
    process.changed.wake();
}

/// Tells `parent` that `child` ended with `status`. `true`: the parent does not want to wait for it (SIGCHLD is
/// ignored, or `SA_NOCLDWAIT`), so it is to be forgotten at once.
#[must_use]
pub fn notify_parent(child: &Arc<Process>, parent: &Arc<Process>, status: Status) -> bool {
    let signal = child.exit_signal.load(Ordering::Relaxed);
    let mut reap = false;
    if signal == sig::CHLD {
        let action = parent.signals.action(sig::CHLD);
        let ignored = action.handler == state::IGNORE;
        reap = ignored || action.flags & flag::NOCLDWAIT != 0;
        if ignored {
            return reap;
        }
    }
    if signal != 0 {
        send_to_process(parent, Info::child(signal, child, status));
    }
    reap
}

/// Whether no process of `group` has a parent in another group of the same session: then nobody could continue it,
/// and terminal stops do nothing.
#[must_use]
pub fn is_orphaned(group: u32) -> bool {
    !members(group).iter().any(|member| {
        let parent = member.parent.lock().upgrade();
        parent.is_some_and(|parent| {
            parent.group.load(Ordering::Relaxed) != group
                && parent.session.load(Ordering::Relaxed) == member.session.load(Ordering::Relaxed)
        })
    })
}

/// Changes the queues where a timer's signal may be: the process' and those of its threads.
fn each_queue(process: &Process, mut f: impl FnMut(&mut super::queue::Queue)) {
    {
        let mut queue = process.signals.queue.lock();
        f(&mut queue);
        process.signals.pending.store(queue.set(), Ordering::SeqCst);
    }
    let threads = process.state.lock().threads.clone();
    for thread in threads {
        let mut queue = thread.signals.queue.lock();
        f(&mut queue);
        thread.signals.pending.store(queue.set(), Ordering::SeqCst);
    }
}

/// Whether a signal of the timer `id` is pending where it would be sent now.
#[must_use]
pub fn has_timer(process: &Process, thread: Option<&Thread>, id: u32) -> bool {
    match thread {
        Some(thread) => thread.signals.queue.lock().has_timer(id),
        None => process.signals.queue.lock().has_timer(id),
    }
}

/// Forgets the pending signal of a timer that was set anew or is gone.
pub fn remove_timer(process: &Process, id: u32) {
    each_queue(process, |queue| queue.remove_timer(id));
}
