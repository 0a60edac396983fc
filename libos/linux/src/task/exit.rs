//! The end of threads and processes, and watching over host processes.

use super::process::{self, Status};
use super::{Process, Thread, clone};
use crate::call::Call;
use crate::{Result, kernel, signal, sys};
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU32, Ordering};
use postern_abi::calls::notice;
use postern_pal::frame::Frame;
use postern_pal::thread as host_thread;
use postern_pal::{gate, report};

/// Process id of the initial process.
static INITIAL: AtomicU32 = AtomicU32::new(0);

/// Remembers which process is the initial one: its status is the app's.
pub fn set_initial(pid: u32) {
    INITIAL.store(pid, Ordering::Relaxed);
}

/// The initial process, as long as it lives.
#[must_use]
pub fn initial_process() -> Option<Arc<Process>> {
    process::find(INITIAL.load(Ordering::Relaxed))
}

/// exit(2): ends the calling thread.
///
/// # Errors
/// None.
pub fn exit(call: &mut Call<'_>) -> Result<u64> {
    let code = u8::try_from(call.uint(0) & 0xff).unwrap_or(0);
    let process = call.process();
    let last = {
        let mut state = process.state.lock();
        let last = state.threads.len() <= 1;
        if last && state.exiting.is_none() {
            state.exiting = Some(Status::Exited(code));
        }
        last
    };
    let _ = last;
    call.thread.must_exit.store(1, Ordering::Release);
    host_thread::kick(host_thread::current());
    Ok(0)
}

/// exit_group(2): ends the calling process.
///
/// # Errors
/// None.
pub fn exit_group(call: &mut Call<'_>) -> Result<u64> {
    let code = u8::try_from(call.uint(0) & 0xff).unwrap_or(0);
    end_process(call.process(), Status::Exited(code));
    host_thread::kick(host_thread::current());
    Ok(0)
}

/// Begins the end of a process with `status`: every thread ends before it enters app code again. The caller, if it
/// is one of them, kicks itself.
pub fn end_process(process: &Arc<Process>, status: Status) {
    let mut state = process.state.lock();
    if state.exiting.is_none() {
        state.exiting = Some(status);
    }
    state.stopped = false;
    for thread in &state.threads {
        end_thread(thread);
    }
    drop(state);
    process.changed.wake();
}

/// Has a thread end before it enters app code again.
pub fn end_thread(thread: &Arc<Thread>) {
    thread.must_exit.store(1, Ordering::SeqCst);
    thread.kick();
    if thread.is_lent.load(Ordering::SeqCst) != 0 {
        kernel::end_lender(thread.clone());
    }
}

/// A thread that must end has lent its host thread to a vfork child: it ends without, and the child keeps the host
/// thread. Called by the keeper.
pub fn end_lender(thread: &Arc<Thread>) {
    let is_borrower = |process: &Process| process.state.lock().vfork.as_ref().is_some_and(|l| l.is(thread));
    let Some(borrower) = process::all().into_iter().find(|p| is_borrower(p)) else { return };
    // The child may give it back at this moment; then the thread ends by itself.
    let Some(lender) = borrower.state.lock().vfork.take_if(|l| l.is(thread)) else { return };
    let process = &thread.process;
    borrower.shares_memory.store(1, Ordering::SeqCst);
    process.moved.take_over(&thread.moved);
    let last = {
        let mut state = process.state.lock();
        state.threads.retain(|t| !Arc::ptr_eq(t, thread));
        state.threads.is_empty()
    };
    drop(lender);
    process::forget_thread(thread.tid);
    if last {
        finish_process(process, None);
    } else {
        signal::retarget(process, u64::MAX);
        process.changed.wake();
    }
}

/// Ends the running thread, and the process if it was the last. Returns only for a vfork child, whose host thread
/// then goes on as the parent.
pub fn exit_thread(thread: &Arc<Thread>, frame: &mut Frame) {
    let process = thread.process.clone();
    sys::futex::exit_robust(thread);
    let clear = thread.clear_child_tid.swap(0, Ordering::Relaxed);
    if clear != 0 && postern_pal::user::write(clear, &0u32).is_ok() {
        sys::futex::wake_address(&process, clear, 1);
    }
    let borrowed = process.state.lock().vfork.is_some();
    let last = {
        // One at a time adds.
        let used = process.used.lock();
        process.moved.take_over(&thread.moved);
        drop(used);
        let mut state = process.state.lock();
        state.threads.retain(|t| !Arc::ptr_eq(t, thread));
        state.threads.is_empty()
    };
    if last && !borrowed {
        sys::usage::settle(&process);
    }
    process::forget_thread(thread.tid);
    if last {
        let gives_back = if borrowed { Some(&mut *frame) } else { None };
        let returned = finish_process(&process, gives_back);
        if returned {
            return;
        }
    } else {
        // Signals for the process that this thread was to handle.
        signal::retarget(&process, u64::MAX);
        process.changed.wake();
    }
    drop(process);
    host_thread::exit();
}

/// The only thread of a process ends without ever having run in a picoprocess of its own: the host has none left.
pub fn never_ran(thread: &Arc<Thread>) {
    const SIGKILL: u8 = 9;
    let process = &thread.process;
    {
        let mut state = process.state.lock();
        state.exiting.get_or_insert(Status::Killed(SIGKILL, false));
        state.threads.clear();
    }
    drop(thread.pending_program.lock().take());
    process::forget_thread(thread.tid);
    finish_process(process, None);
}

/// The last thread of a process is ending: releases what it holds and tells the parent.
fn finish_process(process: &Arc<Process>, frame: Option<&mut Frame>) -> bool {
    let files = process.files.remove_if(|_, _| Arc::strong_count(&process.files) == 1);
    for file in &files {
        file.closed_by(process.pid);
    }
    drop(files);
    crate::ipc::process_ended(process);
    sys::timer::process_ended(process);
    sys::sysv::process_ended(process);
    let (status, children) = {
        let mut state = process.state.lock();
        let status = state.exiting.unwrap_or(Status::Exited(0));
        (status, core::mem::take(&mut state.children))
    };
    if !children.is_empty() {
        let reaper = reaper_of(process);
        for child in children {
            orphan(&child, reaper.as_ref());
        }
    }
    let initial = process.pid == INITIAL.load(Ordering::Relaxed);
    if initial {
        gate::tell(notice::EXIT, [u64::from(wait_status(status)), 0, 0, 0], b"");
    }
    let left = process::count_live(false);
    let parent = process.parent.lock().upgrade();
    {
        let _ends = parent.as_ref().map(|parent| parent.children_end.lock());
        process.state.lock().exit = Some(status);
        // From here on the host process may vanish.
        tell_parent(process, status);
    }
    let returned = frame.is_some_and(|frame| clone::give_back(process, frame));
    process.changed.wake();
    if left == 0 {
        gate::tell(notice::EMPTY, [0; 4], b"");
    }
    returned
}

fn tell_parent(process: &Arc<Process>, status: Status) {
    let parent = process.parent.lock().upgrade();
    match parent {
        Some(parent) => {
            let reap = signal::notify_parent(process, &parent, status);
            if reap {
                parent.state.lock().children.retain(|c| c.pid != process.pid);
                process::forget(process.pid);
            }
            parent.changed.wake();
        }
        None => process::forget(process.pid),
    }
}

/// The nearest ancestor that takes in orphans (`PR_SET_CHILD_SUBREAPER`).
fn reaper_of(process: &Process) -> Option<Arc<Process>> {
    let mut at = process.parent.lock().upgrade();
    while let Some(ancestor) = at {
        if ancestor.subreaper.load(Ordering::Relaxed) != 0 && !ancestor.state.lock().threads.is_empty() {
            return Some(ancestor);
        }
        at = ancestor.parent.lock().upgrade();
    }
    None
}

/// Makes `child` a child of `reaper`, unless that one is about to leave its own children behind.
fn take_in(child: &Arc<Process>, reaper: &Arc<Process>) -> bool {
    let mut state = reaper.state.lock();
    if state.threads.is_empty() {
        return false;
    }
    *child.parent.lock() = Arc::downgrade(reaper);
    child.parent_id.store(reaper.pid, Ordering::Relaxed);
    child.exit_signal.store(signal::sig::CHLD, Ordering::Relaxed);
    state.children.push(child.clone());
    true
}

/// `child` lost its parent.
fn orphan(child: &Arc<Process>, reaper: Option<&Arc<Process>>) {
    let has_parent = reaper.is_some_and(|reaper| take_in(child, reaper));
    if !has_parent {
        *child.parent.lock() = Weak::new();
        child.parent_id.store(process::INIT, Ordering::Relaxed);
    }
    let (exit, stopped) = {
        let state = child.state.lock();
        (state.exit, state.stopped)
    };
    if let Some(status) = exit {
        // Nobody waited for it; with a new parent somebody may.
        tell_parent(child, status);
        return;
    }
    let signal = child.parent_death_signal.load(Ordering::Relaxed);
    if signal != 0 {
        signal::send_to_process(child, signal::Info::kernel(signal));
    }
    if stopped {
        // A stopped process whose group lost its last link to the session's shell: SIGHUP, then SIGCONT.
        signal::send_to_process(child, signal::Info::kernel(1));
        signal::send_to_process(child, signal::Info::kernel(18));
    }
}

/// The status word of wait(2).
#[must_use]
pub fn wait_status(status: Status) -> u32 {
    match status {
        Status::Exited(code) => u32::from(code) << 8,
        Status::Killed(signal, core) => u32::from(signal) | if core { 0x80 } else { 0 },
        Status::Stopped(signal) => (u32::from(signal) << 8) | 0x7f,
        Status::Continued => 0xffff,
    }
}

/// Looks for processes whose host process is gone although they never ended: a bug, or the host's OOM killer. There
/// is no recovery from that, because locks may be held: the family ends with a report.
pub fn look_for_deaths() {
    for process in process::all() {
        let state = process.state.lock();
        if state.exit.is_some() || state.vfork.is_some() {
            continue;
        }
        let Some(host) = state.threads.first().and_then(|t| t.host()) else { continue };
        let (pid, _) = host_thread::host_ids(host);
        let program = process.program.lock().path.clone();
        drop(state);
        if pid != 0 && !host_thread::host_process_exists(pid) && !process.has_ended() {
            let state = process.state.lock();
            if state.threads.is_empty() {
                continue;
            }
            drop(state);
            let name = core::str::from_utf8(&program).unwrap_or("?");
            report::panic_fmt(format_args!("the host process of {name} (process {}) died", process.pid));
        }
    }
}
