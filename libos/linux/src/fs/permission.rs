//! Permission checks, as path_resolution(7) and credentials(7) describe them. User 0 passes, except that a file
//! without any execute bit cannot be executed.

use super::file::mode;
use super::inode::Inode;
use crate::task::Process;
use crate::{Errno, Result};

/// Permission to execute a file or search a directory.
pub const EXECUTE: u32 = 1;
/// Permission to write.
pub const WRITE: u32 = 2;
/// Permission to read.
pub const READ: u32 = 4;

/// Who asks: a user, a group and supplementary groups.
pub struct Who<'a> {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: &'a [u32],
}

/// Whether `who` may do all of `wanted` with a file of this mode and owner.
#[must_use]
pub fn is_allowed(who: &Who<'_>, bits: u32, owner: [u32; 2], wanted: u32) -> bool {
    let [uid, gid] = owner;
    if who.uid == 0 {
        let is_directory = bits & mode::S_IFMT == mode::S_IFDIR;
        return wanted & EXECUTE == 0 || is_directory || bits & 0o111 != 0;
    }
    let granted = if who.uid == uid {
        bits >> 6
    } else if who.gid == gid || who.groups.contains(&gid) {
        bits >> 3
    } else {
        bits
    };
    granted & wanted == wanted
}

/// Checks that `process` may do `wanted` with the file.
///
/// # Errors
/// `EACCES`.
#[inline]
pub fn check(process: &Process, inode: &dyn Inode, wanted: u32) -> Result<()> {
    let bits = inode.mode();
    // What everybody may, the process may.
    if bits & (bits >> 3) & (bits >> 6) & wanted == wanted {
        return Ok(());
    }
    check_slow(process, inode, bits, wanted)
}

#[cold]
fn check_slow(process: &Process, inode: &dyn Inode, bits: u32, wanted: u32) -> Result<()> {
    let identity = process.identity.lock();
    let who = Who { uid: identity.fsuid, gid: identity.fsgid, groups: &identity.groups };
    if is_allowed(&who, bits, inode.owner(), wanted) { Ok(()) } else { Err(Errno::EACCES) }
}

/// Checks that `process` may remove or rename `child`, which is in `dir`: in a sticky directory only its owner or
/// the directory's may.
///
/// # Errors
/// `EPERM`.
pub fn check_sticky(process: &Process, dir: &dyn Inode, child: &dyn Inode) -> Result<()> {
    if dir.mode() & 0o1000 == 0 {
        return Ok(());
    }
    let uid = process.identity.lock().fsuid;
    let [of_child, _] = child.owner();
    let [of_dir, _] = dir.owner();
    if uid == 0 || uid == of_child || uid == of_dir { Ok(()) } else { Err(Errno::EPERM) }
}

/// Checks that `process` owns the file, as changing its mode or times asks for.
///
/// # Errors
/// `EPERM`.
pub fn check_owner(process: &Process, inode: &dyn Inode) -> Result<()> {
    let uid = process.identity.lock().fsuid;
    let [owner, _] = inode.owner();
    if uid == 0 || uid == owner { Ok(()) } else { Err(Errno::EPERM) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Who<'_> = Who { uid: 1000, gid: 1000, groups: &[1000, 27] };

    #[test]
    fn the_first_matching_class_decides() {
        // The owner has no read permission, although others have.
        assert!(!is_allowed(&ALICE, 0o100_044, [1000, 1000], READ));
        assert!(is_allowed(&ALICE, 0o100_044, [0, 27], READ));
        assert!(!is_allowed(&ALICE, 0o100_604, [0, 27], READ));
        assert!(is_allowed(&ALICE, 0o100_604, [0, 0], READ));
        assert!(!is_allowed(&ALICE, 0o100_604, [0, 0], READ | WRITE));
    }

    #[test]
    fn root_needs_an_execute_bit_to_execute() {
        let root = Who { uid: 0, gid: 0, groups: &[] };
        assert!(is_allowed(&root, 0o100_000, [1, 1], READ | WRITE));
        assert!(!is_allowed(&root, 0o100_666, [1, 1], EXECUTE));
        assert!(is_allowed(&root, 0o100_001, [1, 1], EXECUTE));
        assert!(is_allowed(&root, 0o040_000, [1, 1], EXECUTE));
    }
}
