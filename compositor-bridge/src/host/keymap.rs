//! The keyboard's map, copied out of the compositor's file into one of our own.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::{Errno, pread, write};
use std::os::fd::{AsFd, OwnedFd};

/// Largest map that is passed on; real ones have about 64 KiB.
const MOST: usize = 1 << 20;

/// A sealed copy of the first `size` bytes. The app gets this and not the compositor's own file, which might be
/// writable or larger than it says.
pub fn copy(from: &OwnedFd, size: u32) -> Result<OwnedFd, Errno> {
    let size = usize::try_from(size).ok().filter(|size| (1..=MOST).contains(size)).ok_or(Errno::FBIG)?;
    let mut text = vec![0_u8; size];
    let mut filled = 0;
    while filled < size {
        let rest = text.get_mut(filled..).ok_or(Errno::FBIG)?;
        match pread(from, rest, u64::try_from(filled).unwrap_or(u64::MAX)) {
            Ok(0) => return Err(Errno::IO),
            Ok(len) => filled += len,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    let copy = memfd_create("keymap", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = text.as_slice();
    while !rest.is_empty() {
        match write(copy.as_fd(), rest) {
            Ok(len) => rest = rest.get(len..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    fcntl_add_seals(&copy, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_the_text_and_cannot_change() {
        let from = memfd_create("test", MemfdFlags::CLOEXEC).unwrap();
        write(&from, b"xkb_keymap {};\0 and more").unwrap();
        let copied = copy(&from, 15).unwrap();
        let mut text = [0; 64];
        assert_eq!(pread(&copied, &mut text, 0), Ok(15));
        assert_eq!(&text[..15], b"xkb_keymap {};\0");
        assert_eq!(write(&copied, b"x"), Err(Errno::PERM));
        assert_eq!(copy(&from, 1000).unwrap_err(), Errno::IO, "the file is shorter than it says");
        assert_eq!(copy(&from, u32::MAX).unwrap_err(), Errno::FBIG);
    }
}
