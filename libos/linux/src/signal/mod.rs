//! Signals.

use crate::task::process::Status;
use crate::task::{Process, Thread};
use crate::{Errno, Result};
use alloc::sync::Arc;
use postern_pal::frame::{Exception, Frame};

/// What the dispatcher does after a call was interrupted.
pub enum After {
    /// Run the call in the frame again.
    Restart,
    /// Return to app code with the frame as it is.
    Continue,
}
/// A signal with its siginfo.
pub struct Info;
impl Info {
    /// Sent by the kernel.
    #[must_use]
    pub fn kernel(_signal: u32) -> Self {
        Self
    }
}
/// Signal state of a thread.
#[derive(Default)]
pub struct ThreadSignals {}
impl ThreadSignals {
    /// For a child.
    #[must_use]
    pub fn for_child(_parent: &Self) -> Self {
        Self {}
    }
    /// For exec.
    #[must_use]
    pub fn for_exec(_parent: &Self) -> Self {
        Self {}
    }
    /// exec.
    pub fn exec(&self) {}
}
/// Signal state of a process.
#[derive(Default)]
pub struct ProcessSignals {}
impl ProcessSignals {
    /// For a child.
    #[must_use]
    pub fn fork(&self, _clear: bool) -> Self {
        Self {}
    }
    /// exec.
    pub fn exec(&self) {}
}
/// Whether a signal that is not blocked is pending for the thread.
#[must_use]
pub fn is_pending(_thread: &Thread) -> bool {
    false
}
/// Stub.
pub fn interrupted(_t: &Arc<Thread>, f: &mut Frame, _e: Errno) -> After {
    f.rax = Errno::EINTR.to_return();
    After::Continue
}
/// Stub.
pub fn deliver(_t: &Arc<Thread>, _f: &mut Frame) -> After {
    After::Continue
}
/// Stub.
pub fn fault(t: &Arc<Thread>, f: &mut Frame, e: &Exception) {
    postern_pal::gate::log(&alloc::format!("fault {e:?} rip {:#x}", f.rip));
    crate::task::exit::end_process(&t.process, Status::Killed(11, true));
}
/// Stub.
pub fn notify_parent(_c: &Arc<Process>, _p: &Arc<Process>, _s: Status) -> bool {
    false
}
/// Stub.
pub fn send_to_process(_p: &Arc<Process>, _i: Info) {}
/// Stub.
///
/// # Errors
/// Always.
pub fn pidfd_process(_p: &Arc<Process>, _fd: i32) -> Result<u32> {
    Err(Errno::EBADF)
}
