//! Extended attributes of a file that a path of the monitor's own /proc names, and times of any file.

use nix::errno::Errno;
use nix::libc;
use nix::sys::time::TimeSpec;
use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

fn count(result: isize) -> Result<usize, Errno> {
    Errno::result(result).map(|count| usize::try_from(count).unwrap_or(0))
}

/// Reads a value into `buffer`; how many bytes.
///
/// # Errors
/// The host's; `ERANGE` if the buffer is too short.
pub fn get(path: &CStr, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: path and name are terminated, and the host writes at most `buffer.len()` bytes into the exclusively
    // borrowed buffer.
    count(unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Sets a value. `flags` as setxattr(2).
///
/// # Errors
/// The host's.
pub fn set(path: &CStr, name: &CStr, value: &[u8], flags: i32) -> Result<(), Errno> {
    // SAFETY: path and name are terminated, and the host reads `value.len()` bytes of the borrowed value.
    Errno::result(unsafe {
        libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags)
    })
    .map(drop)
}

/// Reads all names, each with a NUL behind it, into `buffer`; how many bytes.
///
/// # Errors
/// The host's; `ERANGE` if the buffer is too short.
pub fn list(path: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the path is terminated, and the host writes at most `buffer.len()` bytes into the exclusively borrowed
    // buffer.
    count(unsafe { libc::listxattr(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// Removes an attribute.
///
/// # Errors
/// The host's.
pub fn remove(path: &CStr, name: &CStr) -> Result<(), Errno> {
    // SAFETY: path and name are terminated.
    Errno::result(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) }).map(drop)
}

/// Sets the times of access and modification of exactly this file, which may be a symbolic link and may be open for its
/// path only.
///
/// # Errors
/// The host's.
pub fn set_times(file: BorrowedFd<'_>, times: [TimeSpec; 2]) -> Result<(), Errno> {
    let times = times.map(|time| *time.as_ref());
    // SAFETY: the path is terminated, and the host reads the two times.
    Errno::result(unsafe {
        libc::utimensat(file.as_raw_fd(), c"".as_ptr(), times.as_ptr(), libc::AT_EMPTY_PATH)
    })
    .map(drop)
}
