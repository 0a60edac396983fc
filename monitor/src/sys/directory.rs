//! Reading directories from a remembered place.

use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// One entry of a directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where the next entry begins: a place for [`seek`].
    pub next: u64,
    /// Name.
    pub name: &'a [u8],
}

/// Goes to a place that [`Entry::next`] named; 0 is the beginning.
///
/// # Errors
/// The host's, for a place that it never named.
pub fn seek(directory: BorrowedFd<'_>, place: u64) -> Result<(), Errno> {
    let place = i64::try_from(place).map_err(|_| Errno::EINVAL)?;
    // SAFETY: touches no memory.
    Errno::result(unsafe { libc::lseek(directory.as_raw_fd(), place, libc::SEEK_SET) }).map(drop)
}

/// Reads raw entries into `buffer`; how many bytes, 0 at the end. [`entries`] takes them apart.
///
/// # Errors
/// The host's.
pub fn read(directory: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the host writes at most `buffer.len()` bytes into the exclusively borrowed buffer.
    let got = unsafe {
        libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
    };
    Errno::result(got).map(|n| usize::try_from(n).unwrap_or(0))
}

/// The entries in what [`read`] read. Layout of each: inode (8 bytes), next place (8), record length (2), type (1),
/// name with NUL.
pub fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    std::iter::from_fn(move || {
        let next = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        let len = usize::from(u16::from_le_bytes(bytes.get(16..18)?.try_into().ok()?));
        let name = bytes.get(19..len)?.split(|byte| *byte == 0).next()?;
        bytes = bytes.get(len..)?;
        Some(Entry { next, name })
    })
}
