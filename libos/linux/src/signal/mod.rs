//! Signals, as signal(7) has them.
//!
//! *Sending* ([`send`]) makes a signal pending for a thread or a process and kicks a thread that does not block it. A
//! kick reaches a thread wherever it is: in app code (the host interrupts it), in a wait (which returns `ERESTARTSYS`,
//! because [`is_pending`]), or elsewhere in the kernel half (then it looks before it goes back to app code).
//!
//! *Handling* ([`deliver()`], [`interrupted()`]) is done by the thread itself on its way to app code: it takes pending
//! signals that it does not block, does the default action, or builds a frame on the app's stack ([`frame`]) and enters
//! the handler. `rt_sigreturn` takes the frame down again.
//!
//! *The dispatcher* uses three functions. A handler of a system call that was interrupted before it did anything returns
//! `ERESTARTSYS`, or `ERESTARTNOHAND` where Linux never restarts it after a handler; then [`interrupted()`] decides.
//! [`deliver()`] is called where a thread was kicked. [`fault()`] makes the signal of a fault pending.
//!
//! *Locks*: a signal queue's lock is the innermost one. The process state's lock may be held while a thread is kicked.

mod altstack;
mod calls;
mod crash;
mod deliver;
mod frame;
mod info;
mod mask;
mod pidfd;
mod queue;
mod send;
mod set;
mod state;

pub use altstack::{AltStack, sigaltstack};
pub use calls::{
    arrivals, dequeue, kill, pause, pending_in, rt_sigaction, rt_sigpending, rt_sigqueueinfo, rt_sigsuspend,
    rt_sigtimedwait, rt_tgsigqueueinfo, tgkill, tkill,
};
pub use deliver::{deliver, fault, interrupted};
pub use frame::rt_sigreturn;
pub use info::{Info, code};
pub use mask::{read_set, rt_sigprocmask, with_mask};
pub use pidfd::{pidfd_create, pidfd_getfd, pidfd_open, pidfd_process, pidfd_send_signal};
pub use queue::Queue;
pub use send::{
    by_own_call, force, force_fatal, has_timer, is_blocked_or_ignored, is_orphaned, joining, kernel_to_group,
    kernel_to_process, members, notify_parent, post, remove_timer, retarget, send_to_group, send_to_process,
    send_to_thread,
};
pub use set::{LAST, bit, sig};
pub use state::{Action, ProcessSignals, ThreadSignals, is_pending, pending};

/// What the dispatcher does after a call was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Run the call in the frame again.
    Restart,
    /// Return to app code with the frame as it is.
    Continue,
}
