//! The `Enumerate` downcall.

use super::mounts::Mounts;
use crate::answer::Answer;
use crate::sys::directory;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{SFlag, fstatat};
use std::ffi::OsStr;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;

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
        loop {
            let got = directory::read(directory.as_fd(), &mut buffer)?;
            if got == 0 {
                answer.values = [place, 1, slot, count];
                return Ok(answer);
            }
            for entry in directory::entries(buffer.get(..got).unwrap_or(&[])) {
                if !answer.has_room(entry.name) {
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
                if !self.is_hidden(stat.st_dev, stat.st_ino) {
                    answer.push_record(self.attributes(mount, &stat), entry.name)?;
                }
            }
        }
    }
}
