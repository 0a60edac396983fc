//! The terminal behind `console:`.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Rows and columns of a terminal.
///
/// # Errors
/// `ENOTTY` if it is none.
pub fn window_size(fd: BorrowedFd<'_>) -> Result<[u16; 2], Errno> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the host writes one winsize.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok([size.ws_row, size.ws_col])
}
