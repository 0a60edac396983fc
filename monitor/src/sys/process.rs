//! Making processes and taking rights away from them.

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt as _;

/// The namespaces of a family.
pub const NAMESPACES: i32 = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// A new process as its parent sees it.
#[derive(Debug)]
pub struct Child {
    /// Process id.
    pub pid: Pid,
    /// Names it even after the id was used again.
    pub pidfd: OwnedFd,
}

/// Forks, with the new process in the new namespaces that `namespaces` (`CLONE_NEW*` bits) names. The child runs
/// `main` and exits with what that returns.
///
/// # Errors
/// The host's; `EBUSY` if this process has more than one thread, since the child would have a broken copy of the
/// others' locks.
pub fn fork(namespaces: i32, main: impl FnOnce() -> u8) -> Result<Child, Errno> {
    // The link count of this directory is 2 + the number of threads.
    if std::fs::metadata("/proc/self/task").is_ok_and(|meta| meta.nlink() != 3) {
        return Err(Errno::EBUSY);
    }
    let mut pidfd: RawFd = -1;
    let flags = libc::c_long::from(namespaces | libc::CLONE_PIDFD | libc::SIGCHLD);
    // SAFETY: as fork(2): the child has a copy of all memory of a process with one thread. The host writes one
    // descriptor number to `pidfd`.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match Errno::result(pid)? {
        0 => {
            let status = main();
            // SAFETY: ends the process; nothing of the parent's is to be run at exit.
            unsafe { libc::_exit(i32::from(status)) }
        }
        pid => Ok(Child {
            pid: Pid::from_raw(i32::try_from(pid).map_err(|_| Errno::EOVERFLOW)?),
            // SAFETY: the host made it for us.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Executes the program in the file `fd`, with no arguments and no environment. Returns only if that failed.
pub fn execute(fd: RawFd) -> Errno {
    let none: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: path, argument and environment lists are terminated and live until the call returns.
    unsafe {
        libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), none.as_ptr(), none.as_ptr(), libc::AT_EMPTY_PATH)
    };
    Errno::last()
}

fn prctl(option: i32, argument: libc::c_ulong) -> Result<(), Errno> {
    // SAFETY: the options used in this file take one integer and touch no memory.
    Errno::result(unsafe { libc::prctl(option, argument, 0, 0, 0) }).map(drop)
}

/// Has the host end this process when the thread that forked it ends.
///
/// # Errors
/// The host's.
pub fn die_with_parent() -> Result<(), Errno> {
    prctl(libc::PR_SET_PDEATHSIG, libc::c_ulong::try_from(libc::SIGKILL).unwrap_or(9))
}

/// Gives up all capabilities for this process and everything it executes, and the means to get any.
///
/// # Errors
/// The host's.
pub fn drop_capabilities() -> Result<(), Errno> {
    // Without the capability to do so the bounding set stays, which matters no more: no_new_privs is set.
    for capability in 0..64 {
        if prctl(libc::PR_CAPBSET_DROP, capability) == Err(Errno::EINVAL) {
            break;
        }
    }
    let _ = prctl(libc::PR_CAP_AMBIENT, libc::c_ulong::try_from(libc::PR_CAP_AMBIENT_CLEAR_ALL).unwrap_or(4));
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    // Version 3 of the interface: a header (version, pid 0 = self) and two triples of 32-bit sets.
    let header: [u32; 2] = [0x2008_0522, 0];
    let sets = [0u32; 6];
    // SAFETY: the host reads the header and the two triples.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }).map(drop)
}

/// Sets the name that process lists show for this process.
pub fn set_name(name: &std::ffi::CStr) {
    // SAFETY: the host copies the string, at most 16 bytes of it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Lets the default of a signal hold, or ignores it.
///
/// # Errors
/// The host's.
pub fn set_ignored(signal: nix::sys::signal::Signal, ignored: bool) -> Result<(), Errno> {
    let action =
        if ignored { nix::sys::signal::SigHandler::SigIgn } else { nix::sys::signal::SigHandler::SigDfl };
    // SAFETY: installs no handler function.
    unsafe { nix::sys::signal::signal(signal, action) }.map(drop)
}

/// Shortest slice that the host's scheduler takes, in nanoseconds.
const SHORT_SLICE: u64 = 100_000;

/// Has the calling thread run soon after it was woken, even where all processors are busy: a thread with a short slice
/// (sched_setattr(2)) comes before those in the middle of a longer one. It gets no more time for that. For threads
/// that others wait for and that never run long.
///
/// # Errors
/// The host's. One before Linux 6.12 ignores the wish.
pub fn wake_early() -> Result<(), Errno> {
    let size = size_of::<libc::sched_attr>();
    let mut bytes = std::mem::MaybeUninit::<libc::sched_attr>::zeroed();
    // SAFETY: the host writes at most `size` bytes, and all of them zero is a value of the type.
    let mut attributes = unsafe {
        Errno::result(libc::syscall(libc::SYS_sched_getattr, 0, bytes.as_mut_ptr(), size, 0))?;
        bytes.assume_init()
    };
    attributes.sched_runtime = SHORT_SLICE;
    // SAFETY: the host reads the structure, whose size is in it.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) }).map(drop)
}
