//! Job control: which processes may use a terminal, and what happens to those that may not.

use super::{SIGCONT, SIGHUP, Slave, Tty, termios};
use crate::fs::FileOps;
use crate::fs::file::flags;
use crate::task::{Process, Thread, process};
use crate::{Errno, Result, signal};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

const SIGTTIN: u32 = 21;
const SIGTTOU: u32 = 22;

/// The controlling terminal of a process.
#[must_use]
pub fn terminal_of(process: &Process) -> Option<Arc<Tty>> {
    process.terminal.lock().clone()?.downcast().ok()
}

/// Number and foreground group of the controlling terminal, for /proc/PID/stat.
#[must_use]
pub fn facts_of(process: &Process) -> Option<(u32, u32)> {
    let tty = terminal_of(process)?;
    let foreground = tty.state.lock().foreground;
    Some((tty.number, foreground))
}

fn is_terminal_of(tty: &Tty, process: &Process) -> bool {
    terminal_of(process).is_some_and(|own| core::ptr::eq(Arc::as_ptr(&own), tty))
}

/// Whether the process is in a background group of this, its own controlling terminal.
fn is_background(tty: &Tty, thread: &Thread) -> bool {
    let foreground = tty.state.lock().foreground;
    foreground != 0
        && thread.process.group.load(Ordering::Relaxed) != foreground
        && is_terminal_of(tty, &thread.process)
}

/// Reading: a background process is stopped by SIGTTIN.
///
/// # Errors
/// `ERESTARTSYS` after the signal was sent; `EIO` where the process ignores it or nobody could continue it.
pub fn may_read(tty: &Tty, thread: &Thread) -> Result<()> {
    if !is_background(tty, thread) {
        return Ok(());
    }
    let group = thread.process.group.load(Ordering::Relaxed);
    if signal::is_blocked_or_ignored(thread, SIGTTIN) || signal::is_orphaned(group) {
        return Err(Errno::EIO);
    }
    signal::kernel_to_group(group, SIGTTIN);
    Err(Errno::ERESTARTSYS)
}

/// Changing the terminal: a background process is stopped by SIGTTOU, unless it ignores that.
///
/// # Errors
/// `ERESTARTSYS` after the signal was sent; `EIO` where nobody could continue the process.
pub fn may_change(tty: &Tty, thread: &Thread) -> Result<()> {
    if !is_background(tty, thread) || signal::is_blocked_or_ignored(thread, SIGTTOU) {
        return Ok(());
    }
    let group = thread.process.group.load(Ordering::Relaxed);
    if signal::is_orphaned(group) {
        return Err(Errno::EIO);
    }
    signal::kernel_to_group(group, SIGTTOU);
    Err(Errno::ERESTARTSYS)
}

/// Writing: as [`may_change`] if `TOSTOP` is set.
///
/// # Errors
/// As [`may_change`].
pub fn may_write(tty: &Tty, thread: &Thread) -> Result<()> {
    let stop = tty.state.lock().discipline.termios.lflag & termios::local::TOSTOP != 0;
    if stop { may_change(tty, thread) } else { Ok(()) }
}

/// Makes the terminal the controlling one of the caller's session.
///
/// # Errors
/// `EPERM` where the caller leads no session, has a terminal, or the terminal has a session.
pub fn acquire(tty: &Arc<Tty>, process: &Process) -> Result<()> {
    let session = process.session.load(Ordering::Relaxed);
    if session == process.pid && is_terminal_of(tty, process) {
        return Ok(());
    }
    if session != process.pid || process.terminal.lock().is_some() {
        return Err(Errno::EPERM);
    }
    {
        let mut state = tty.state.lock();
        if state.session != 0 {
            return Err(Errno::EPERM);
        }
        state.session = session;
        state.foreground = process.group.load(Ordering::Relaxed);
    }
    *process.terminal.lock() = Some(tty.clone());
    Ok(())
}

/// What open(2) of a terminal does without `O_NOCTTY`: the leader of a session without a terminal gets it.
pub fn acquire_by_open(tty: &Arc<Tty>, process: &Process, status: u32) {
    if status & flags::O_NOCTTY == 0 && tty.state.lock().session == 0 {
        // Whoever cannot have it merely opens it.
        let _ = acquire(tty, process);
    }
}

/// No process of the session has a controlling terminal any more.
pub(super) fn drop_terminal(session: u32) {
    for process in process::all() {
        if process.session.load(Ordering::Relaxed) == session {
            let terminal = process.terminal.lock().take();
            drop(terminal);
        }
    }
}

/// Gives up the controlling terminal (`TIOCNOTTY`); for the leader of a session the whole session loses it.
pub fn release(process: &Process) {
    let Some(tty) = terminal_of(process) else { return };
    if process.session.load(Ordering::Relaxed) != process.pid {
        let terminal = process.terminal.lock().take();
        drop(terminal);
        return;
    }
    let foreground = {
        let mut state = tty.state.lock();
        state.session = 0;
        core::mem::take(&mut state.foreground)
    };
    if foreground != 0 {
        signal::kernel_to_group(foreground, SIGHUP);
        signal::kernel_to_group(foreground, SIGCONT);
    }
    drop_terminal(process.pid);
}

/// A process has ended: where it led a session with a pseudo-terminal, the terminal hangs up.
pub fn process_ended(process: &Process) {
    if process.session.load(Ordering::Relaxed) != process.pid {
        return;
    }
    let Some(tty) = terminal_of(process) else { return };
    if tty.host.is_some() {
        // The user's own terminal is not hung up by the end of what ran in it.
        return;
    }
    let foreground = tty.state.lock().foreground;
    if foreground != 0 {
        signal::kernel_to_group(foreground, SIGHUP);
        signal::kernel_to_group(foreground, SIGCONT);
    }
    tty.hang_up();
}

/// Opens `/dev/tty`, the controlling terminal.
///
/// # Errors
/// `ENXIO` if there is none.
pub fn open_tty(thread: &Thread, _status: u32) -> Result<Arc<dyn FileOps>> {
    let tty = terminal_of(&thread.process).ok_or(Errno::ENXIO)?;
    Ok(Slave::open(&tty))
}
