//! The `Enumerate` downcall.

use super::mounts::Mounts;
use super::walk::kind;
use crate::answer::Answer;
use crate::sys::directory;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::stat::{SFlag, fstatat};
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;

/// Targets of symbolic links that are read for one answer: directories of configuration are mostly links, and each is
/// asked for otherwise; of a directory of libraries few are.
const TARGETS: usize = 128;

impl Mounts {
    /// Answers `Enumerate`; see [`postern_abi::calls::Downcall::Enumerate`].
    ///
    /// # Errors
    /// The host's; `EACCES` where the policy hides the directory.
    pub fn enumerate(&self, args: &[u64; 6], path: &[u8]) -> Result<Answer, Errno> {
        let [mount, cookie, ..] = *args;
        let mount = self.get(mount)?;
        let node = self.walk(mount, path)?;
        if !node.is(SFlag::S_IFDIR) {
            return Err(Errno::ENOTDIR);
        }
        self.may_read(mount, &node, path)?;
        // Before it is read, so that no change is missed.
        let watch = if cookie == 0 { self.watch(mount, &node) } else { None };
        let [slot, count] = watch.map_or([0, 0], |watch| [watch.slot as u64 + 1, u64::from(watch.count)]);
        let directory = node.reopen(OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        if cookie != 0 {
            directory::seek(directory.as_fd(), cookie)?;
        }
        let mut answer = Answer::default();
        let mut place = cookie;
        let mut buffer = vec![0; 32 * 1024];
        let mut targets = TARGETS;
        loop {
            let got = directory::read(directory.as_fd(), &mut buffer)?;
            if got == 0 {
                answer.values = [place, 1, slot, count];
                return Ok(answer);
            }
            for entry in directory::entries(buffer.get(..got).unwrap_or(&[])) {
                if !answer.has_room(entry.name.len()) {
                    answer.values = [place, 0, slot, count];
                    return Ok(answer);
                }
                place = entry.next;
                if matches!(entry.name, b"." | b"..") {
                    continue;
                }
                let name = OsStr::from_bytes(entry.name);
                // An entry that went away meanwhile is left out.
                let Ok(stat) = fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
                if self.is_hidden(stat.st_dev, stat.st_ino) {
                    continue;
                }
                let mut target = OsString::new();
                if kind(&stat) == SFlag::S_IFLNK && targets > 0 {
                    targets -= 1;
                    target = readlinkat(&directory, name).unwrap_or_default();
                }
                // Without room the target is asked for like any other.
                let has_room = answer.has_room(entry.name.len() + target.len());
                let target = if has_room { target.as_bytes() } else { b"" };
                answer.push_link_record(self.attributes(mount, &stat), entry.name, target)?;
            }
        }
    }
}
