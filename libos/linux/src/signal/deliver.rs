//! Handling pending signals on the way to app code: handlers, default actions, stops, restarts of calls.

use super::frame;
use super::info::Info;
use super::mask::{restore_saved, set_blocked};
use super::send::{self, stop_process};
use super::set::{self, UNBLOCKABLE, sig};
use super::state::{Action, DEFAULT, IGNORE, flag, is_pending};
use super::{After, crash};
use crate::Errno;
use crate::task::process::Status;
use crate::task::{Thread, exit};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use postern_pal::frame::{Exception, Frame};
use postern_pal::thread as host_thread;

/// The next signal with a handler; signals without one are dealt with here. `None`: nothing is left to do, or the
/// thread must end.
fn next(thread: &Arc<Thread>, frame: &Frame) -> Option<(Info, Action)> {
    let process = &thread.process;
    loop {
        if thread.must_exit.load(Ordering::Acquire) != 0 {
            return None;
        }
        if process.signals.is_stopped() {
            wait_while_stopped(thread);
            continue;
        }
        let continued = process.signals.continued.load(Ordering::SeqCst);
        let wanted = !thread.signals.blocked();
        let mut info = thread.signals.take(wanted).or_else(|| process.signals.take(wanted))?;
        let signal = info.signal();
        crate::sys::timer::signal_taken(process, &mut info);
        let action = process.signals.action(signal);
        match action.handler {
            IGNORE => {}
            DEFAULT => match set::default_action(signal) {
                set::Default::Ignore => {}
                set::Default::Stop => {
                    let group = process.group.load(Ordering::Relaxed);
                    // Nobody could continue an orphaned group that the terminal stopped.
                    if signal == sig::STOP || !send::is_orphaned(group) {
                        stop_process(process, signal, continued);
                    }
                }
                fatal @ (set::Default::Terminate | set::Default::Core) => {
                    if fatal == set::Default::Core {
                        crash::report(thread, frame, &info);
                    }
                    // No core dump is ever written, so the status does not claim one.
                    let status = Status::Killed(u8::try_from(signal).unwrap_or(0), false);
                    exit::end_process(process, status);
                    return None;
                }
            },
            _ => {
                if action.flags & flag::RESETHAND != 0 {
                    let reset = Action { handler: DEFAULT, ..action };
                    let _ = process.signals.set_action(signal, reset);
                }
                return Some((info, action));
            }
        }
    }
}

fn wait_while_stopped(thread: &Thread) {
    while thread.process.signals.is_stopped() && thread.must_exit.load(Ordering::Acquire) == 0 {
        host_thread::park(None);
    }
}

/// Enters the handler of a signal.
fn enter(thread: &Arc<Thread>, frame: &mut Frame, info: &Info, action: &Action) {
    let _ = thread.signals.take_resume_deadline();
    let signal = info.signal();
    let blocked = thread.signals.blocked();
    let saved = thread.signals.take_saved_mask().unwrap_or(blocked);
    if frame::build(thread, frame, info, action, saved).is_ok() {
        set_blocked(thread, frame::handler_mask(action, signal, blocked) & !UNBLOCKABLE);
        return;
    }
    thread.signals.save_mask(saved);
    if signal == sig::SEGV {
        // Its own handler cannot run: nothing is left but the default.
        let _ = thread.process.signals.set_action(sig::SEGV, Action::default());
    }
    send::force(thread, Info::kernel(sig::SEGV));
}

/// Handles all pending signals before app code goes on. Called where a thread was kicked, and before it returns from
/// a call during which something became pending.
pub fn deliver(thread: &Arc<Thread>, frame: &mut Frame) -> After {
    while let Some((info, action)) = next(thread, frame) {
        enter(thread, frame, &info, &action);
    }
    restore_saved(thread);
    After::Continue
}

/// What becomes of a call that returned `errno`, one of the `ERESTART*` numbers, because a signal was to be handled.
///
/// - No handler runs (the signal was ignored, another thread took it, the process was stopped and continued): the
///   dispatcher runs the call again.
/// - A handler runs and the call is one that `SA_RESTART` restarts: the saved registers are those of the call, and the
///   saved instruction pointer that of the `syscall` instruction, or of the jump that stands in its place. So the
///   handler's return makes the call again, exactly as on Linux, whatever the handler did meanwhile.
/// - Else the call returns `EINTR`.
pub fn interrupted(thread: &Arc<Thread>, frame: &mut Frame, errno: Errno) -> After {
    const SYSCALL_LENGTH: u64 = 2;
    match next(thread, frame) {
        Some((info, action)) => {
            let restarts = errno == Errno::ERESTARTSYS && action.flags & flag::RESTART != 0;
            if restarts || errno == Errno::ERESTARTNOINTR {
                frame.rax = frame.call;
                frame.rip = frame.rip.wrapping_sub(SYSCALL_LENGTH);
            } else {
                frame.rax = Errno::EINTR.to_return();
            }
            enter(thread, frame, &info, &action);
            if is_pending(thread) {
                thread.kick();
            }
            After::Continue
        }
        None if thread.must_exit.load(Ordering::Acquire) != 0 => {
            frame.rax = Errno::EINTR.to_return();
            // The end of the thread is the resume path's work.
            thread.kick();
            After::Continue
        }
        None => {
            restore_saved(thread);
            After::Restart
        }
    }
}

/// App code faulted: makes the signal pending. [`deliver`] follows.
pub fn fault(thread: &Arc<Thread>, _frame: &mut Frame, exception: &Exception) {
    for (slot, word) in thread.signals.fault.iter().zip(exception.trap) {
        slot.store(word, Ordering::Relaxed);
    }
    send::force(thread, Info::fault(exception));
}
