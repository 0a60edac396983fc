//! Downcalls that change names and attributes: `Create`, `Rename`, `Remove`, `SetAttributes`, `Flush`; and
//! `FileSystem`.

use super::mounts::{Mount, Mounts};
use super::open::mode;
use super::walk::Node;
use crate::answer::Answer;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstat, mkdirat, mknodat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};
use postern_abi::calls::{node, set, split_unnamed};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Splits the payload of a call with two paths.
fn split(payload: &[u8], first_len: u64) -> Result<(&[u8], &[u8]), Errno> {
    let len = usize::try_from(first_len).map_err(|_| Errno::EINVAL)?;
    payload.split_at_checked(len).ok_or(Errno::EINVAL)
}

impl Mounts {
    /// Answers `Create`; see [`postern_abi::calls::Downcall::Create`].
    ///
    /// # Errors
    /// The host's; `EROFS` where the mount is read-only.
    pub fn create(&self, args: &[u64; 6], payload: &[u8]) -> Result<Answer, Errno> {
        let [id, kind, bits, first_len, ..] = *args;
        let (mount, number) = split_unnamed(id);
        let mount = self.get(mount)?;
        Self::may_write(mount)?;
        let (path, second) = split(payload, first_len)?;
        let (parent, name) = self.walk_parent(mount, path)?;
        let make_node = |kind| mknodat(parent.fd(), name, kind, mode(bits), 0);
        match kind {
            _ if number != 0 && (kind != node::HARD_LINK || !second.is_empty()) => return Err(Errno::EINVAL),
            node::DIRECTORY => mkdirat(parent.fd(), name, mode(bits))?,
            node::SYMLINK => symlinkat(OsStr::from_bytes(second), parent.fd(), name)?,
            node::HARD_LINK if number != 0 => self.name_unnamed(id, &parent, name)?,
            node::HARD_LINK => self.hard_link(mount, second, &parent, name)?,
            node::FIFO => make_node(SFlag::S_IFIFO)?,
            node::SOCKET => make_node(SFlag::S_IFSOCK)?,
            _ => return Err(Errno::EINVAL),
        }
        let made = self.child(mount, &parent, name)?;
        let mut answer = Answer::default();
        answer.push_record(self.attributes(mount, &made.stat), &made.link_target()?)?;
        Ok(answer)
    }

    fn hard_link(&self, mount: &Mount, existing: &[u8], parent: &Node, name: &OsStr) -> Result<(), Errno> {
        let (old_parent, old_name) = self.walk_parent(mount, existing)?;
        // Also refuses what is hidden.
        self.child(mount, &old_parent, old_name)?;
        linkat(old_parent.fd(), old_name, parent.fd(), name, AtFlags::empty())
    }

    /// Answers `Rename`; see [`postern_abi::calls::Downcall::Rename`].
    ///
    /// # Errors
    /// The host's; `EROFS` where the mount is read-only.
    pub fn rename(&self, args: &[u64; 6], payload: &[u8]) -> Result<Answer, Errno> {
        let [mount, flags, first_len, ..] = *args;
        let mount = self.get(mount)?;
        Self::may_write(mount)?;
        let how = match flags {
            0 => RenameFlags::empty(),
            1 => RenameFlags::RENAME_NOREPLACE,
            2 => RenameFlags::RENAME_EXCHANGE,
            _ => return Err(Errno::EINVAL),
        };
        let (old, new) = split(payload, first_len)?;
        let (old_parent, old_name) = self.walk_parent(mount, old)?;
        let (new_parent, new_name) = self.walk_parent(mount, new)?;
        self.child(mount, &old_parent, old_name)?;
        match self.child(mount, &new_parent, new_name) {
            Ok(_) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
        renameat2(old_parent.fd(), old_name, new_parent.fd(), new_name, how)?;
        Ok(Answer::default())
    }

    /// Answers `Remove`; see [`postern_abi::calls::Downcall::Remove`].
    ///
    /// # Errors
    /// The host's; `EROFS` where the mount is read-only.
    pub fn remove(&self, args: &[u64; 6], path: &[u8]) -> Result<Answer, Errno> {
        if split_unnamed(args[0]).1 != 0 {
            return self.release_unnamed(args[0]).map(|()| Answer::default());
        }
        let mount = self.get(args[0])?;
        Self::may_write(mount)?;
        let (parent, name) = self.walk_parent(mount, path)?;
        self.child(mount, &parent, name)?;
        let how = match args[1] {
            0 => UnlinkatFlags::NoRemoveDir,
            1 => UnlinkatFlags::RemoveDir,
            _ => return Err(Errno::EINVAL),
        };
        unlinkat(parent.fd(), name, how)?;
        Ok(Answer::default())
    }

    /// Answers `SetAttributes`; see [`postern_abi::calls::Downcall::SetAttributes`].
    ///
    /// # Errors
    /// The host's; `EROFS` where the mount is read-only.
    pub fn set_attributes(&self, args: &[u64; 6], payload: &[u8]) -> Result<Answer, Errno> {
        let [mount, what, bits, size, ..] = *args;
        let (times, path) = payload.split_at_checked(32).ok_or(Errno::EINVAL)?;
        Self::may_write(self.get(split_unnamed(mount).0)?)?;
        let (mount, mut file) = self.locate(mount, path)?;
        if what & !(set::MODE | set::SIZE | set::ATIME | set::MTIME) != 0 {
            return Err(Errno::EINVAL);
        }
        if what & set::MODE != 0 {
            if file.is(SFlag::S_IFLNK) {
                return Err(Errno::EOPNOTSUPP);
            }
            // Through /proc: names exactly this file, whatever its name leads to by now.
            fchmodat(nix::fcntl::AT_FDCWD, &file.proc_path(), mode(bits), FchmodatFlags::FollowSymlink)?;
        }
        if what & set::SIZE != 0 {
            match file.kind() {
                SFlag::S_IFREG => {}
                SFlag::S_IFDIR => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
            let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
            nix::unistd::ftruncate(&file.reopen(OFlag::O_WRONLY)?, size)?;
        }
        if what & (set::ATIME | set::MTIME) != 0 {
            self.set_times(&file, what, times)?;
        }
        file.stat = fstat(file.fd())?;
        let mut answer = Answer::default();
        answer.push_record(self.attributes(mount, &file.stat), &file.link_target()?)?;
        Ok(answer)
    }

    fn set_times(&self, file: &Node, what: u64, times: &[u8]) -> Result<(), Errno> {
        let word = |index: usize| {
            let bytes = times.get(index * 8..index * 8 + 8).and_then(|b| b.try_into().ok());
            bytes.map(i64::from_le_bytes).ok_or(Errno::EINVAL)
        };
        let time = |bit, index| -> Result<TimeSpec, Errno> {
            if what & bit == 0 {
                return Ok(TimeSpec::UTIME_OMIT);
            }
            let (seconds, nanos) = (word(index)?, word(index + 1)?);
            // The host has special meanings for values beyond these.
            if !(0..1_000_000_000).contains(&nanos) {
                return Err(Errno::EINVAL);
            }
            Ok(TimeSpec::new(seconds, nanos))
        };
        let (access, change) = (time(set::ATIME, 0)?, time(set::MTIME, 2)?);
        crate::sys::attribute::set_times(file.fd(), [access, change])
    }

    /// Answers `Flush`; see [`postern_abi::calls::Downcall::Flush`].
    ///
    /// # Errors
    /// The host's.
    pub fn flush(&self, args: &[u64; 6], path: &[u8]) -> Result<Answer, Errno> {
        let (_, file) = self.locate(args[0], path)?;
        let handle = match file.kind() {
            SFlag::S_IFREG => file.reopen(OFlag::O_RDONLY).or_else(|_| file.reopen(OFlag::O_WRONLY))?,
            SFlag::S_IFDIR => file.reopen(OFlag::O_RDONLY | OFlag::O_DIRECTORY)?,
            _ => return Err(Errno::EINVAL),
        };
        match args[1] {
            0 => nix::unistd::fsync(&handle)?,
            1 => nix::unistd::fdatasync(&handle)?,
            2 => nix::unistd::syncfs(&handle)?,
            _ => return Err(Errno::EINVAL),
        }
        Ok(Answer::default())
    }

    /// Answers `FileSystem`; see [`postern_abi::calls::Downcall::FileSystem`].
    ///
    /// # Errors
    /// The host's.
    pub fn file_system(&self, args: &[u64; 6]) -> Result<Answer, Errno> {
        let mount = self.get(args[0])?;
        let facts = nix::sys::statvfs::fstatvfs(&mount.root)?;
        Ok(Answer::values([
            facts.fragment_size(),
            facts.blocks(),
            facts.blocks_available(),
            facts.files_available(),
        ]))
    }
}

/// Makes new files have exactly the mode that the library OS asks for: it keeps the app's own umask.
pub fn clear_umask() {
    nix::sys::stat::umask(Mode::empty());
}
