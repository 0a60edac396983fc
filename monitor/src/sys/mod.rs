//! Host calls that need `unsafe`: the only unsafe code of the monitor. Each function here is safe to call.
#![allow(unsafe_code, reason = "the one place for it; every block says why it is sound")]

pub mod attribute;
pub mod directory;
pub mod memory;
pub mod process;
pub mod terminal;

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// Makes `number` a copy of `fd`, without close-on-exec. For a process that is about to execute an image; whatever
/// `number` was before is closed, so it must not be owned by anything that still lives.
///
/// # Errors
/// The host's.
pub fn place(fd: RawFd, number: i32) -> Result<(), Errno> {
    // SAFETY: touches only the descriptor table; the caller owns its layout.
    Errno::result(unsafe { libc::dup2(fd, number) }).map(drop)
}

/// Closes `number`, which nothing that still lives may own.
pub fn close(number: i32) {
    // SAFETY: touches only the descriptor table; the caller owns its layout.
    unsafe { libc::close(number) };
}

/// A copy of `fd` with a number of at least `least`, close-on-exec.
///
/// # Errors
/// The host's.
pub fn duplicate_from(fd: BorrowedFd<'_>, least: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: the new descriptor is owned by nobody else.
    unsafe {
        let number = Errno::result(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least))?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// Closes all descriptors from `first` to `last`.
///
/// # Errors
/// The host's.
pub fn close_range(first: i32, last: i32) -> Result<(), Errno> {
    // SAFETY: for a process about to execute an image; nothing in it uses a descriptor afterwards.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Owns a descriptor that this process was started with.
///
/// Returns `None` if it is not open, or was taken already.
#[must_use]
pub fn take_inherited(number: RawFd) -> Option<OwnedFd> {
    static TAKEN: std::sync::Mutex<Vec<RawFd>> = std::sync::Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().ok()?;
    // SAFETY: asks only.
    if number < 3 || taken.contains(&number) || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    taken.push(number);
    // SAFETY: open, and handed out once; nothing in this process opened it, as its command line says.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Bytes received and sent over a TCP connection, as the host counts them.
#[must_use]
pub fn tcp_traffic(fd: BorrowedFd<'_>) -> Option<(u64, u64)> {
    // `struct tcp_info`, up to tcpi_bytes_received: the first 136 bytes, of which these are the last two words.
    let mut info = [0u64; 17];
    let mut len = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    // SAFETY: the host writes at most `len` bytes into `info`.
    let got = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    (got == 0 && usize::try_from(len).ok()? == size_of_val(&info)).then_some((info[16], info[15]))
}

/// Takes a connection from a listening socket; non-blocking and close-on-exec.
///
/// # Errors
/// The host's.
pub fn accept(listening: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no address is asked for; the new descriptor is owned by nobody else.
    unsafe {
        let number = Errno::result(libc::accept4(
            listening.as_raw_fd(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            flags,
        ))?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// The three standard streams of this process.
#[must_use]
pub fn standard_streams() -> [BorrowedFd<'static>; 3] {
    // SAFETY: the runtime opens the three at the start if they are not, and nothing in this process closes them.
    [0, 1, 2].map(|number| unsafe { BorrowedFd::borrow_raw(number) })
}
